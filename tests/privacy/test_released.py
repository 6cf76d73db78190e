"""Noisy counts: exact noise, bounded by unit, charged for what they are."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.accounting import epsilon
from privacy.errors import BadRequest
from privacy.ledger import Ledger
from privacy.released import cost, discrete_laplace, release
from privacy.types import PrivacySpend


@pytest.mark.parametrize("scale", [1, 3, 8])
def test_the_noise_is_the_discrete_laplace(scale):
    from scipy.stats import chisquare

    chance, draws = random.Random(7), 20_000
    counted = Counter(discrete_laplace(scale, chance=chance) for _ in range(draws))
    inside = range(-3 * scale, 3 * scale + 1)
    weight = math.tanh(1 / (2 * scale))
    likely = [weight * math.exp(-abs(k) / scale) * draws for k in inside]
    seen = [counted[k] for k in inside]
    assert chisquare([*seen, draws - sum(seen)], [*likely, draws - sum(likely)]).pvalue > 1e-3


@pytest.mark.parametrize("scale", [1, 2, 5, 20])
def test_one_count_costs_epsilon_one_over_its_scale(scale):
    assert epsilon([cost("d", scale, unit="example")], 1e-9) == pytest.approx(1 / scale, rel=0.01)


def test_a_count_is_dearer_than_continuous_noise_of_the_same_scale_and_never_booked_as_that():
    continuous = PrivacySpend("laplace", 2.0, 1.0, 20, 1.0, "example", "d")
    assert epsilon([cost("d", 2, unit="example", counts=20)], 1e-5) > epsilon([continuous], 1e-5)


def test_counts_and_trainings_are_composed():
    training = PrivacySpend("dpsgd", 1.0, 0.02, 300, 1.0, "example", "d")
    both = epsilon([training, cost("d", 3, unit="example", counts=2)], 1e-5)
    alone = epsilon([training], 1e-5)
    assert alone < both <= alone + 2 / 3 + 0.01


def test_per_record_counts_bound_a_customer_by_the_records_of_one():
    spend = cost("d", 10, unit="example", per_customer=4)
    assert epsilon([spend], 1e-9, unit="customer") == pytest.approx(0.4, rel=0.01)


@given(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.sampled_from("abc")), min_size=1, max_size=30))
def test_leaving_one_customer_out_moves_a_count_per_customer_by_at_most_one(rows):
    class Silent(random.Random):
        """No noise: both coins fall so that the value is 0."""

        def randrange(self, stop):
            return stop - 1

    def total(kept):
        shares = release(cost("d", 1, unit="customer"), [[v for v, _ in kept]], [o for _, o in kept], chance=Silent())
        return round(shares[0].value * shares[0].n)

    for gone in "abc":
        rest = [row for row in rows if row[1] != gone]
        if rest:
            assert abs(total(rows) - total(rest)) <= 1


def test_the_interval_holds_the_true_share_nineteen_times_in_twenty():
    chance = random.Random(3)
    held = 0
    for _ in range(1000):
        (share,) = release(cost("d", 4, unit="example"), [[1] * 60 + [0] * 40], [""] * 100, chance=chance)
        held += share.low <= 0.6 <= share.high
    assert held >= 940


def test_no_more_is_told_than_was_charged():
    with pytest.raises(BadRequest):
        release(cost("d", 2, unit="example"), [[1], [0]], [""])
    with pytest.raises(BadRequest):
        release(cost("d", 2, unit="example"), [[2]], [""])
    with pytest.raises(BadRequest):
        cost("d", 0, unit="example")


def test_a_metric_stands_in_the_book(tmp_path):
    book = Ledger(tmp_path)
    book.charge(cost("chats", 2, unit="example", counts=2), "a score")
    assert book.reports()["chats"].spent == pytest.approx(1.0, rel=0.01)
