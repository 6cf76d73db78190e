"""The nearest of many vectors: exact where that is quick, FAISS's inverted lists where it is not.

Inverted lists and not a graph: items can be added and removed without building it anew. Inner product; unit
rows make it the cosine.

Sources: FAISS (Douze et al. 2024, arXiv:2401.08281).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assistant.recommend.log import Ints

EXACT = 20_000
"""Up to so many vectors each search looks at all of them."""
_TRAINED_ON = 64


class Nearest:
    """The rows of (n, d) float32 vectors, searched by inner product."""

    def __init__(self, vectors: Any, *, centres: Any = None, probe: int = 0) -> None:
        """`centres` (lists, d) are those of an earlier index of the same vectors: nothing is trained then."""
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._index: Any = None
        if len(self._vectors) > EXACT:
            self._index = _inverted(self._vectors, centres)
            self._index.nprobe = probe or max(16, self._index.nlist // 32)

    @property
    def centres(self) -> Any:
        """(lists, d) float32 of the inverted lists; (0, d) where every search is exact."""
        if self._index is None:
            return np.zeros((0, self._vectors.shape[1]), dtype=np.float32)
        return np.asarray(self._index.quantizer.reconstruct_n(0, self._index.nlist))

    def search(self, queries: Any, k: int) -> Ints:
        """(B, k) rows, the nearest first; -1 where there are fewer than k."""
        queries = np.ascontiguousarray(np.atleast_2d(queries), dtype=np.float32)
        k = min(k, len(self._vectors))
        if self._index is not None:
            return np.asarray(self._index.search(queries, k)[1], dtype=np.int64)
        scores = queries @ self._vectors.T
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k] if k else np.zeros((len(queries), 0), dtype=np.int64)
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        return np.asarray(np.take_along_axis(best, order, axis=1), dtype=np.int64)


def _inverted(vectors: Any, centres: Any = None) -> Any:
    import faiss

    n, d = vectors.shape
    lists = int(2 ** round(np.log2(4 * np.sqrt(n))))
    coarse = faiss.IndexFlatIP(d)
    if centres is not None and centres.shape == (lists, d):
        coarse.add(np.ascontiguousarray(centres, dtype=np.float32))
    index = faiss.IndexIVFFlat(coarse, d, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 8
    if not index.is_trained:
        index.train(vectors[np.sort(np.random.default_rng(0).permutation(n)[: lists * _TRAINED_ON])])
    index.add(vectors)
    return index
