"""Laws of epsilon: against another implementation, under composition, upwards only."""

import math
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accounting import afford, calibrate, epsilon
from privacy.errors import BadRequest, BudgetExceeded
from privacy.types import PrivacyBudget, PrivacySpend


def dpsgd(noise, rate, steps, unit="example", per_customer=None):
    return PrivacySpend("dpsgd", noise, rate, steps, 1.0, unit, "chats", per_customer)


def prv_bounds(plans, delta):
    """Opacus' own accountant: a lower and an upper bound of the true epsilon."""
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = list(plans)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        low, _, high = accountant._get_dprv(0.005, delta / 1000).compute_epsilon(delta, delta / 1000, 0.005)
    return low, high


@pytest.mark.parametrize(
    ("plans", "delta"),
    [
        ([(1.0, 0.01, 1000)], 1e-5),
        ([(0.7, 0.002, 5000)], 1e-6),
        ([(4.0, 0.2, 200)], 1e-5),
        ([(1.2, 0.05, 50), (2.0, 0.01, 400)], 1e-5),
        ([(10.0, 1.0, 100)], 1e-5),
        ([(1.5, 0.001, 20000)], 1e-7),
    ],
)
def test_epsilon_agrees_with_another_implementation_and_never_understates(plans, delta):
    ours = epsilon([dpsgd(*plan) for plan in plans], delta)
    low, high = prv_bounds(plans, delta)
    assert low <= ours <= high * 1.01


def test_one_gaussian_release_is_the_closed_form():
    # Balle and Wang, arXiv 1805.06530, theorem 8
    sigma, delta = 2.0, 1e-5
    eps = epsilon([PrivacySpend("gaussian", sigma, 1.0, 1, 1.0, "example", "d")], delta)

    def phi(x):
        return math.erfc(-x / math.sqrt(2)) / 2

    exact = phi(0.5 / sigma - eps * sigma) - math.exp(eps) * phi(-0.5 / sigma - eps * sigma)
    assert exact == pytest.approx(delta, rel=0.02)
    assert exact <= delta * 1.0001


def test_one_laplace_release_is_at_most_its_pure_epsilon():
    assert epsilon([PrivacySpend("laplace", 2.0, 1.0, 1, 1.0, "example", "d")], 1e-9) == pytest.approx(0.5, rel=1e-3)


def test_the_order_and_the_cutting_of_spends_do_not_matter():
    whole = [dpsgd(1.0, 0.01, 300), dpsgd(2.0, 0.05, 40)]
    cut = [dpsgd(2.0, 0.05, 15), dpsgd(1.0, 0.01, 300), dpsgd(2.0, 0.05, 25)]
    assert epsilon(whole, 1e-5) == epsilon(cut, 1e-5)


def test_nothing_spent_is_zero_and_a_plain_run_is_infinite():
    assert epsilon([], 1e-5) == 0
    assert epsilon([dpsgd(1.0, 0.01, 0)], 1e-5) == 0
    assert epsilon([dpsgd(5.0, 0.01, 1), PrivacySpend.nonprivate("chats")], 1e-5) == math.inf
    assert epsilon([dpsgd(0.0, 0.01, 1)], 1e-5) == math.inf


@settings(max_examples=12, deadline=None)
@given(noise=st.floats(0.8, 5), rate=st.floats(0.01, 0.3), steps=st.integers(1, 100))
def test_more_noise_fewer_steps_and_smaller_samples_never_cost_more(noise, rate, steps):
    cost = epsilon([dpsgd(noise, rate, steps)], 1e-5)
    assert epsilon([dpsgd(noise * 1.2, rate, steps)], 1e-5) <= cost * 1.003
    assert epsilon([dpsgd(noise, rate / 2, steps)], 1e-5) <= cost * 1.003
    assert epsilon([dpsgd(noise, rate, steps * 2)], 1e-5) >= cost


def test_a_customer_of_many_examples_loses_more_than_one_example():
    alone = epsilon([dpsgd(1.0, 0.01, 100)], 1e-5)
    several = epsilon([dpsgd(1.0, 0.01, 100, per_customer=4)], 1e-5, unit="customer")
    assert alone < several < math.inf
    assert epsilon([dpsgd(1.0, 0.01, 100, per_customer=1)], 1e-5, unit="customer") == alone
    everything = PrivacySpend("gaussian", 4.0, 1.0, 1, 1.0, "example", "d", 4)
    assert epsilon([everything], 1e-5, unit="customer") == epsilon(
        [PrivacySpend("gaussian", 1.0, 1.0, 1, 1.0, "customer", "d")], 1e-5, unit="customer"
    )


def test_a_spend_of_another_unit_is_infinite_where_nothing_is_known_and_counts_where_it_is_larger():
    assert epsilon([dpsgd(1.0, 0.01, 100)], 1e-5, unit="customer") == math.inf
    assert epsilon([dpsgd(1.0, 0.01, 100, unit="customer")], 1e-5, unit="partner") == math.inf
    assert epsilon([dpsgd(1.0, 0.01, 100, unit="customer")], 1e-5) == epsilon([dpsgd(1.0, 0.01, 100)], 1e-5)


@pytest.mark.parametrize(("target", "rate", "steps"), [(3.0, 0.05, 60), (8.0, 0.02, 300), (0.2, 0.01, 100)])
def test_the_calibrated_noise_keeps_the_target_and_wastes_little(target, rate, steps):
    noise = calibrate(PrivacyBudget(target, 1e-5, "example"), sample_rate=rate, steps=steps)
    assert 0.98 * target <= epsilon([dpsgd(noise, rate, steps)], 1e-5) <= target


def test_noise_is_found_where_a_large_delta_makes_epsilon_nothing(monkeypatch):
    def falls(spends, delta, *, unit):  # as that of few steps at a large delta does: to 0, at less noise than 1
        return max(0.0, *(4 * (0.8 - spend.noise_multiplier) for spend in spends)) if spends else 0.0

    monkeypatch.setattr("privacy.accounting.epsilon", falls)
    noise = calibrate(PrivacyBudget(1.0, 1e-2, "example"), sample_rate=0.02, steps=1)
    assert noise == pytest.approx(0.55, abs=1e-3)
    assert falls([dpsgd(noise, 0.02, 1)], 1e-2, unit="example") <= 1


def test_calibration_counts_what_was_spent():
    spent = [dpsgd(1.0, 0.01, 500)]
    budget = PrivacyBudget(3.0, 1e-5, "example")
    fresh = calibrate(budget, sample_rate=0.05, steps=60)
    after = calibrate(budget, sample_rate=0.05, steps=60, spent=spent)
    assert after > fresh
    assert epsilon([*spent, dpsgd(after, 0.05, 60)], 1e-5) <= 3.0
    assert epsilon([*spent, dpsgd(fresh, 0.05, 60)], 1e-5) > 3.0


def test_a_used_up_budget_cannot_be_calibrated_for():
    budget = PrivacyBudget(1.0, 1e-5, "example")
    with pytest.raises(BudgetExceeded, match="spent already"):
        calibrate(budget, sample_rate=0.05, steps=60, spent=[dpsgd(1.0, 0.05, 500)])
    with pytest.raises(BudgetExceeded):
        calibrate(budget, sample_rate=0.05, steps=60, spent=[PrivacySpend.nonprivate("chats")])


def test_the_table_of_what_can_be_afforded_has_less_signal_for_more_privacy():
    table = afford(units=2000, batch=64, steps=50, trainable=100_000, delta=1e-5, epsilons=(1.0, 3.0, 8.0))
    assert [row.epsilon for row in table] == [1.0, 3.0, 8.0]
    assert table[0].signal_to_noise < table[1].signal_to_noise < table[2].signal_to_noise
    row = table[1]
    assert row.signal_to_noise == pytest.approx(64 / (row.noise_multiplier * math.sqrt(100_000)))
    spent = [dpsgd(1.0, 0.01, 1000)]  # 1.83
    left = afford(units=2000, batch=64, steps=50, trainable=1000, delta=1e-5, spent=spent, epsilons=(1.0, 3.0))
    assert [row.epsilon for row in left] == [3.0]


def test_bad_parameters_are_all_named_at_once():
    with pytest.raises(BadRequest) as caught:
        epsilon([PrivacySpend("magic", math.nan, 1.5, -1, 0.0, "example", "d")], 2.0)
    for word in ("magic", "nan", "1.5", "-1", "clip norm", "delta"):
        assert word in str(caught.value)
