"""Laws of splitting: every row at exactly one partner, nobody empty, the same seed the same split."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated import partition
from federated.errors import BadRequest


@given(rows=st.integers(60, 200), partners=st.integers(1, 5), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_every_row_goes_to_one_partner(rows: int, partners: int, seed: int) -> None:
    labels = [index % 4 for index in range(rows)]
    owners = [f"c{index % 7}" for index in range(rows)]
    splits = [
        partition.iid(rows, partners, seed=seed),
        partition.by_size(rows, [1.0 + i for i in range(partners)], seed=seed),
        partition.by_label(labels, partners, alpha=1.0, seed=seed),
        partition.by_owner(owners, min(partners, len(set(owners))), seed=seed),
    ]
    for split in splits:
        assert sorted(index for part in split for index in part) == list(range(rows))
    assert partition.iid(rows, partners, seed=seed) == splits[0]


def test_small_alpha_skews_and_large_alpha_does_not() -> None:
    labels = [index % 10 for index in range(1000)]

    def largest_share(alpha: float) -> float:
        part = partition.by_label(labels, 5, alpha=alpha, seed=1)[0]
        counts = [sum(labels[i] == label for i in part) for label in range(10)]
        return max(counts) / max(1, sum(counts))

    assert largest_share(0.1) > 0.25 > largest_share(100.0)


def test_an_owner_is_at_one_partner_only_and_the_parts_are_about_equal() -> None:
    owners = [f"c{index % 30}" for index in range(300)]
    parts = partition.by_owner(owners, 3)
    homes = [{owners[i] for i in part} for part in parts]
    assert sum(len(home) for home in homes) == len(set().union(*homes)) == 30
    assert {len(part) for part in parts} == {100}


def test_what_cannot_be_split_is_refused() -> None:
    for call in (
        lambda: partition.iid(2, 3),
        lambda: partition.by_owner(["a"] * 9, 2),
        lambda: partition.by_label([1, 2, 3], 2, alpha=0),
        lambda: partition.by_size(9, [1, 0]),
    ):
        with pytest.raises(BadRequest):
            call()
