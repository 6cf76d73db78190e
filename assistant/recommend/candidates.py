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

    def __init__(self, vectors: Any, *, probe: int = 0) -> None:
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._index: Any = None
        if len(self._vectors) > EXACT:
            self._index = _inverted(self._vectors)
            self._index.nprobe = probe or max(16, self._index.nlist // 32)

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


def _inverted(vectors: Any) -> Any:
    import faiss

    n, d = vectors.shape
    lists = int(2 ** round(np.log2(4 * np.sqrt(n))))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(d), d, lists, faiss.METRIC_INNER_PRODUCT)
    sample = np.sort(np.random.default_rng(0).permutation(n)[: lists * _TRAINED_ON])
    index.cp.niter = 8
    index.train(vectors[sample])
    index.add(vectors)
    return index
