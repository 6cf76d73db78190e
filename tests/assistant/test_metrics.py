import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import metrics


def test_a_share_has_an_interval_even_when_all_are_true():
    measure = metrics.share("x", [True] * 30)
    assert (measure.value, measure.high, measure.n) == (1.0, 1.0, 30)
    assert 0.85 < measure.low < 0.9


def test_nothing_to_measure_is_said_by_n():
    for measure in (
        metrics.share("x", []),
        metrics.mean("x", []),
        metrics.ratio("x", [0], [0]),
        metrics.quantile("x", [], 0.5),
    ):
        assert (measure.n, measure.low, measure.high) == (0, None, None)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)).map(sorted), min_size=1, max_size=40))
def test_a_ratio_lies_in_its_interval_and_is_the_same_twice(pairs):
    parts, wholes = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    measure = metrics.ratio("x", parts, wholes)
    assert measure == metrics.ratio("x", parts, wholes)
    if sum(wholes):
        assert measure.value == pytest.approx(sum(parts) / sum(wholes))
        assert measure.low - 1e-9 <= measure.value <= measure.high + 1e-9


def test_intervals_cover_the_truth_about_19_times_of_20():
    import numpy as np

    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(100):
        measure = metrics.mean("x", rng.normal(3.0, 1.0, 60).tolist())
        hits += measure.low <= 3.0 <= measure.high
    assert hits >= 88


def test_an_interval_is_that_of_all_draws_at_once():
    import numpy as np

    before, after = np.random.default_rng(2).random((2, 123, 2))
    draws = np.random.default_rng(metrics.SEED).integers(123, size=(2000, 123))
    (parts, wholes), (old, whole) = after[draws].sum(1).T, before[draws].sum(1).T
    one = metrics.ratio("x", *after.T.tolist())
    assert (one.low, one.high) == tuple(np.quantile(parts / wholes, (0.025, 0.975)))
    two = metrics.difference("x", before.tolist(), after.tolist())
    assert (two.low, two.high) == tuple(np.quantile(parts / wholes - old / whole, (0.025, 0.975)))


def test_intervals_over_thousands_of_records_take_megabytes():
    rows = [(float(number % 3 == 0), 1.0) for number in range(4000)]
    tracemalloc.start()
    try:
        metrics.difference("x", rows, rows)
        metrics.mean("x", [hit for hit, _ in rows])
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()


def test_ndcg_is_the_textbooks():
    found = metrics.ranking({"q": {"a": 1, "b": 1}}, {"q": {"x": 3.0, "a": 2.0, "b": 1.0}}, ["ndcg_cut_10", "recall_2"])
    ideal = 1 + 1 / math.log2(3)
    assert found["ndcg_cut_10"] == [pytest.approx((1 / math.log2(3) + 1 / math.log2(4)) / ideal)]
    assert found["recall_2"] == [0.5]


def test_a_query_that_found_nothing_counts_as_zero():
    found = metrics.ranking({"q": {"a": 1}, "r": {"a": 1}}, {"q": {"a": 1.0}}, ["ndcg_cut_10"])
    assert found["ndcg_cut_10"] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("text", "phrase", "holds"),
    [
        ("You have 30 days.", "30 DAYS", True),
        ("You have 30\n  days.", "30 days", True),
        ("You have 130 days.", "30 days", False),
        ("It costs 6.90 EUR.", "6.90", True),
        ("It costs 16.90 EUR.", "6.90", False),
        ("It costs 6.905 EUR.", "6.90", False),
        ("It is refunded.", "refund", True),
        ("收货后 30 天内可以退货。", "30天", False),
        ("收货后30天内可以退货。", "30 天", True),
        ("Ｆｕｌｌ ｗｉｄｔｈ", "full width", True),
    ],
)
def test_a_phrase_is_contained_whole(text, phrase, holds):
    assert metrics.contains(text, phrase) is holds


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("within thirty days", {"30"}),
        ("€1,200.50 or EUR 4.90", {"1200.5", "4.9"}),
        ("4,90 €", {"4.9"}),
        ("write to a.b@shop.example", {"a.b@shop.example"}),
        ("see https://shop.example/returns.", {"https://shop.example/returns"}),
        ("十四天内，两件九折", {"14", "2", "9"}),
        ("No number, no one.", set()),
        ("on 24 December, 10:00", {"24", "10:00"}),
        ("100 EUR", {"100"}),
    ],
)
def test_claims_are_found_in_one_spelling(text, claims):
    assert metrics.claims(text) == claims


@given(st.text(max_size=200))
def test_a_text_claims_nothing_that_it_does_not_claim_itself(text):
    assert metrics.claims(text) <= metrics.claims(text + " ")
    assert metrics.normal(metrics.normal(text)) == metrics.normal(text)
