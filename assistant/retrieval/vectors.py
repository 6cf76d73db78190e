"""A table of vectors by id, in FAISS: exact while it is small, inverted lists beyond. Rows can be deleted.

It knows ids and vectors, nothing of texts or passages: those are `index.py`'s. A table in use is not
changed; `updated` makes the next one. `Table` is what the index asks of any: `qdrant.py` has another.

Source: FAISS (Douze et al. 2024, arXiv:2401.08281).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from assistant.retrieval.embedders import Vectors

FLAT_LIMIT = 50_000
"""Up to so many vectors every one is compared (exact); beyond, an eighth of the lists is probed."""
BATCH = 64
"""Texts that are embedded between two looks at the progress, and at whether somebody is waiting for an answer."""

QDRANT = "qdrant"
"""The kind of a table that is on a server; the manifest says it."""

Ids = npt.NDArray[np.int64]
Cosines = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]


class Table(Protocol):
    """Unit rows by id, here or on a server. `tests/assistant/retrieval/test_vectors.py` holds its laws."""

    trained_on: int
    runtime: str
    """What is known to have computed rows of it, besides who uses it; "" = nothing is."""

    @property
    def kind(self) -> str:
        """What the manifest calls it."""
        ...

    @property
    def dimension(self) -> int:
        """The length d of a row."""
        ...

    def __len__(self) -> int: ...

    def to_bytes(self) -> bytes:
        """What the version keeps of it on disk."""
        ...

    def nearest(self, vector: Vectors, count: int) -> Ids:
        """Ids of at most `count` rows nearest to a (d,) vector by inner product, nearest first."""
        ...

    def cosines(self, ids: Ids, vector: Vectors) -> Cosines:
        """(n,): of each of these ids with a (d,) vector."""
        ...

    def rows(self, ids: Ids) -> Vectors:
        """(n, d): the rows of these ids."""
        ...

    def updated(
        self, texts: Mapping[int, str], encode: Callable[[Sequence[str]], Vectors], *, progress: Progress
    ) -> Table:
        """A table with the ids of `texts`; only those not here yet are encoded."""
        ...

    def settle(self) -> None:
        """Called once the version with this table is in force: lets go of what only the one before had."""
        ...


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """Within it FAISS wakes no helpers: OpenMP's stay awake after a search, on the cores that the next step needs.

    Put back after: the number is this thread's in every library that was linked with the same OpenMP, torch too.
    """
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


class VectorTable:
    """(n, d) float32 unit rows by 63-bit id. `trained_on` vectors shaped its lists; 0 = exact."""

    runtime = ""

    def __init__(self, index: Any, trained_on: int) -> None:
        self._index = index
        self.trained_on = trained_on

    @classmethod
    def empty(cls, dimension: int) -> VectorTable:
        """An exact table without rows."""
        import faiss

        return cls(faiss.IndexIDMap2(faiss.IndexFlatIP(dimension)), 0)

    @classmethod
    def from_bytes(cls, data: bytes, *, trained_on: int) -> VectorTable:
        """The table that `to_bytes` wrote. Raises RuntimeError where FAISS cannot read it."""
        import faiss

        return cls(faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8)), trained_on)

    def to_bytes(self) -> bytes:
        """FAISS's own file format."""
        import faiss

        data: bytes = faiss.serialize_index(self._index).tobytes()
        return data

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """The length d of a row."""
        return int(self._index.d)

    @property
    def kind(self) -> str:
        """What the manifest calls it."""
        return "ivf-flat" if self.trained_on else "flat"

    def nearest(self, vector: Vectors, count: int) -> Ids:
        """Ids of at most `count` rows nearest to a (d,) vector by inner product, nearest first."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        with _one_core():
            _, found = self._index.search(vector[None, :], min(count, len(self)))
        near: Ids = found[0][found[0] >= 0]
        return near

    def rows(self, ids: Ids) -> Vectors:
        """(n, d): the rows of these ids, which must all be there."""
        with _one_core():
            found: Vectors = self._index.reconstruct_batch(ids)
        return found

    def cosines(self, ids: Ids, vector: Vectors) -> Cosines:
        """(n,): of each of these ids, which must all be there, with a (d,) vector."""
        found: Cosines = np.einsum("ij,j->i", self.rows(ids), vector)  # `@` wakes BLAS's helpers, which stay awake, too
        return found

    def settle(self) -> None:
        """Nothing: each version has a table of its own."""

    def updated(
        self, texts: Mapping[int, str], encode: Callable[[Sequence[str]], Vectors], *, progress: Progress
    ) -> VectorTable:
        """A table with exactly the ids of `texts`; only those not here yet are encoded."""
        table = VectorTable.from_bytes(self.to_bytes(), trained_on=self.trained_on)
        have = set(table._ids().tolist())
        gone = np.array(sorted(have - texts.keys()), dtype=np.int64)
        if len(gone):
            table._index.remove_ids(gone)
        new = sorted(texts.keys() - have, key=lambda key: (len(texts[key]), key))  # like lengths: little padding
        progress(0, len(new))
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            table._index.add_with_ids(encode([texts[key] for key in batch]), np.array(batch, dtype=np.int64))
            progress(start + len(batch), len(new))
        return table._shaped()

    def _shaped(self) -> VectorTable:
        """Itself, or rebuilt where its size asks for another kind or has left what its lists were trained on."""
        wants_lists = len(self) > FLAT_LIMIT
        if wants_lists == bool(self.trained_on) and (
            not wants_lists or self.trained_on / 2 < len(self) < self.trained_on * 2
        ):
            return self
        ids = np.sort(self._ids())
        shaped = VectorTable(self._lists(ids), len(ids)) if wants_lists else VectorTable.empty(self.dimension)
        if len(ids):
            shaped._index.add_with_ids(self.rows(ids), ids)
        return shaped

    def _lists(self, ids: Ids) -> Any:
        """Empty inverted lists trained on these rows; the hash map makes them deletable."""
        import faiss

        count = max(1, int(math.sqrt(len(ids))))
        lists = faiss.IndexIVFFlat(faiss.IndexFlatIP(self.dimension), self.dimension, count, faiss.METRIC_INNER_PRODUCT)
        lists.train(self.rows(np.random.default_rng(0).permutation(ids)[: 64 * count]))
        lists.set_direct_map_type(faiss.DirectMap.Hashtable)  # type: ignore[attr-defined]
        lists.nprobe = max(1, count // 8)
        return lists

    def _ids(self) -> Ids:
        import faiss

        if not self.trained_on:
            flat: Ids = faiss.vector_to_array(self._index.id_map)
            return flat
        lists = self._index.invlists
        sizes = [(number, lists.list_size(number)) for number in range(self._index.nlist)]
        parts = [faiss.rev_swig_ptr(lists.get_ids(number), size).copy() for number, size in sizes if size]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
