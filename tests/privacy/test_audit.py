"""Laws of the audit: bounds hold for mechanisms whose epsilon is known, and no noise is always caught."""

import json
import math

import numpy as np
import pytest

from privacy.audit import AuditReport, as_html, attack, coins, exposure, one_run
from privacy.errors import AuditFailed, BadRequest


def randomized(count, epsilon, seed):
    """Scores of a mechanism that tells each canary's membership truly with the odds of epsilon, and no better."""
    chance = np.random.default_rng(seed)
    included = chance.random(count) < 0.5
    truth = chance.random(count) < 1 / (1 + math.exp(-epsilon))
    return np.where(truth, included, ~included) + 0.01 * chance.random(count), included


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 3.0])
def test_the_bound_is_below_the_truth_nearly_always(epsilon):
    bounds = [one_run(*randomized(400, epsilon, seed), delta=0.0)[0] for seed in range(60)]
    assert sum(bound > epsilon for bound in bounds) <= 7  # 5 % of 60, and chance
    assert np.median(bounds) >= 0.6 * epsilon - 0.2


def test_who_knows_everything_proves_a_large_epsilon():
    included = coins(300)
    found = attack(included.astype(float), included, delta=1e-5)
    assert found.epsilon > 3
    assert found.auroc == found.tpr_at_1_fpr == 1.0
    assert min(found.exposure) > 6


def test_who_knows_nothing_proves_nothing():
    chance = np.random.default_rng(1)
    found = attack(chance.random(300), coins(300), delta=1e-5)
    assert found.epsilon < 0.5
    assert 0.35 < found.auroc < 0.65


def test_a_larger_delta_proves_less():
    included = coins(200)
    bounds = [one_run(included.astype(float), included, delta=delta)[0] for delta in (0.0, 1e-5, 1e-3)]
    assert bounds[0] >= bounds[1] >= bounds[2]


def test_a_reference_model_takes_out_what_is_easy_for_everybody():
    chance = np.random.default_rng(2)
    included, easy = coins(400), chance.normal(0, 5, 400)
    scores = easy + included * 2.0
    assert attack(scores, included, delta=1e-5, reference=easy).epsilon > attack(scores, included, delta=1e-5).epsilon


def test_exposure_is_in_bits():
    assert exposure(np.array([5.0, -1.0]), np.arange(3.0)) == [2.0, 0.0]


def test_too_few_canaries_are_refused_and_scores_that_are_not_finite_count_as_lowest():
    with pytest.raises(BadRequest):
        attack(np.ones(10), coins(10), delta=1e-5)
    with pytest.raises(BadRequest):
        attack(np.ones(50), np.ones(50, dtype=bool), delta=1e-5)
    included = coins(100)
    assert attack(np.where(included, 1.0, np.nan), included, delta=1e-5).epsilon > 1


def report(private, control, claimed=3.0):
    included = coins(300)
    chance = np.random.default_rng(3)

    def seen(clear):
        return attack(np.where(chance.random(300) < clear, included, chance.random(300)), included, delta=1e-5)

    return AuditReport(claimed, 1e-5, "example", "dpsgd", 300, seen(private), seen(control))


def test_a_claim_below_what_is_proved_fails_and_so_does_an_audit_without_a_control_that_is_caught():
    report(0.0, 1.0).require()
    with pytest.raises(AuditFailed, match="claimed"):
        report(1.0, 1.0, claimed=0.5).require()
    with pytest.raises(AuditFailed, match="control"):
        report(0.0, 0.0).require()


def test_the_report_is_json_and_a_page_that_loads_nothing_and_names_its_limits():
    made = report(0.0, 1.0)
    assert json.loads(json.dumps(made.to_dict()))["claimed_epsilon"] == 3.0
    page = as_html(made, subject="Adapter support@1", day="2026-01-02")
    assert "Adapter support@1 · 2026-01-02" in page
    assert "at most 20 to 1" in page
    assert "Retrieval over raw documents" in page
    assert "src=" not in page
    assert "href=" not in page
