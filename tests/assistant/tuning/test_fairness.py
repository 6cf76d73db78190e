import tracemalloc

import numpy as np
import pytest

from assistant.errors import BadInput
from assistant.tuning.fairness import by_group


def people(n=400, bias=0.0, seed=0):
    chance = np.random.default_rng(seed)
    groups = chance.choice(["a", "b"], size=n)
    gold = chance.choice(["good", "bad"], size=n)
    flip = chance.random(n) < np.where(groups == "b", 0.1 + bias, 0.1)
    found = np.where(flip, np.where(gold == "good", "bad", "good"), gold)
    return gold.tolist(), found.tolist(), groups.tolist()


def value(measures, name):
    return next(each for each in measures if each.name == name)


def test_the_measures_of_a_group_are_its_own():
    gold = ["good", "good", "bad", "bad", "good", "bad"]
    found = ["good", "bad", "bad", "good", "good", "bad"]
    report = by_group(gold, found, ["a", "a", "a", "a", "b", "b"], positive="good")
    of_a = report.groups["a"]
    assert {each.name: each.value for each in of_a} == {
        "accuracy": 0.5, "selected": 0.5, "true_positive_rate": 0.5, "false_positive_rate": 0.5,
    }  # fmt: skip
    assert value(report.gaps, "accuracy_gap").value == 0.5


def test_a_bias_shows_as_a_gap_whose_interval_leaves_nothing_to_chance():
    report = by_group(*people(bias=0.4), positive="good")
    gap = value(report.gaps, "accuracy_gap")
    assert gap.low > 0.2
    assert gap.low <= gap.value <= gap.high


def test_without_a_bias_the_gap_is_small():
    assert value(by_group(*people(n=4000), positive="good").gaps, "accuracy_gap").value < 0.05


def test_small_groups_are_named():
    gold, found, groups = people(n=100)
    report = by_group([*gold, "good"], [*found, "good"], [*groups, "c"], positive="good")
    assert any("'c' has 1 records" in warning for warning in report.warnings)
    assert value(report.groups["c"], "false_positive_rate").n == 0


def test_a_rate_that_only_one_group_has_is_no_gap():
    gold = ["angry"] * 50 + ["calm"] * 100
    found = ["angry"] * 20 + ["calm"] * 130
    report = by_group(gold, found, ["a"] * 50 + ["b"] * 100, positive="angry")
    for name in ("true_positive_rate_gap", "false_positive_rate_gap"):
        gap = value(report.gaps, name)
        assert (gap.n, gap.low, gap.high) == (0, None, None)
    assert value(report.gaps, "accuracy_gap").n == 150


def test_thousands_of_records_are_compared_in_megabytes():
    tracemalloc.start()
    try:
        by_group(*people(n=4000), positive="good")
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_one_group_cannot_be_compared():
    with pytest.raises(BadInput, match="two groups"):
        by_group(["good"], ["good"], ["a"], positive="good")


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(BadInput, match="do not match"):
        by_group(["good"], ["good", "bad"], ["a", "b"], positive="good")
