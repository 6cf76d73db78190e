"""The vector table holds exactly the rows it was asked to hold, whatever its kind."""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.retrieval import vectors
from assistant.retrieval.embedders import HashingEmbedder, Vectors
from assistant.retrieval.vectors import VectorTable

ENCODER = HashingEmbedder()


def quiet(done: int, total: int) -> None:
    """Nobody watches."""


def texts(*keys: int) -> dict[int, str]:
    return {key: f"text number {key}" for key in keys}


@given(st.lists(st.sets(st.integers(0, 2**62), max_size=12), max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_table_holds_exactly_the_ids_of_the_last_update(steps: list[set[int]]) -> None:
    table = VectorTable.empty(ENCODER.dimension)
    for keys in steps:
        table = table.updated(texts(*keys), ENCODER.encode, progress=quiet)
        ids = np.array(sorted(keys), dtype=np.int64)
        assert len(table) == len(keys)
        assert np.allclose(table.rows(ids), ENCODER.encode([f"text number {key}" for key in ids])) or not keys
        assert set(table.nearest(ENCODER.encode(["number"])[0], 100).tolist()) == keys


def test_a_search_leaves_this_threads_cores_to_who_computes_next() -> None:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)  # torch would see it, too: it may be linked with the same OpenMP
    try:
        table = VectorTable.empty(ENCODER.dimension).updated(texts(1, 2), ENCODER.encode, progress=quiet)
        table.rows(table.nearest(ENCODER.encode(["number"])[0], 1))
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_only_what_is_new_is_encoded() -> None:
    seen: list[str] = []

    def counting(batch: Sequence[str]) -> Vectors:
        seen.extend(batch)
        return ENCODER.encode(batch)

    table = VectorTable.empty(ENCODER.dimension).updated(texts(1, 2), counting, progress=quiet)
    table.updated(texts(2, 3), counting, progress=quiet)
    assert seen == ["text number 1", "text number 2", "text number 3"]


def test_an_update_leaves_the_table_in_use_alone() -> None:
    before = VectorTable.empty(ENCODER.dimension).updated(texts(1), ENCODER.encode, progress=quiet)
    before.updated(texts(2), ENCODER.encode, progress=quiet)
    assert before.nearest(ENCODER.encode(["text"])[0], 5).tolist() == [1]


def test_progress_counts_to_the_total() -> None:
    told: list[tuple[int, int]] = []
    VectorTable.empty(ENCODER.dimension).updated(
        texts(*range(300)), ENCODER.encode, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(done, 300) for done in (*range(0, 300, vectors.BATCH), 300)]


def test_a_large_table_uses_lists_deletes_and_survives_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "FLAT_LIMIT", 400)
    table = VectorTable.empty(ENCODER.dimension).updated(texts(*range(1000)), ENCODER.encode, progress=quiet)
    assert (table.kind, len(table)) == ("ivf-flat", 1000)
    table = VectorTable.from_bytes(table.to_bytes(), trained_on=table.trained_on)
    fewer = table.updated(texts(*range(300, 1000)), ENCODER.encode, progress=quiet)
    assert (fewer.kind, len(fewer)) == ("ivf-flat", 700)
    question = ENCODER.encode(["text number 7"])[0]
    assert table.nearest(question, 1).tolist() == [7]
    assert min(fewer.nearest(question, 50).tolist()) >= 300
    small = fewer.updated(texts(*range(300, 500)), ENCODER.encode, progress=quiet)
    assert (small.kind, len(small)) == ("flat", 200)
    assert np.allclose(small.rows(np.array([444])), ENCODER.encode(["text number 444"]))
