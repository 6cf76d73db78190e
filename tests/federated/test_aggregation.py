"""Laws of aggregation: exact where it says exact, robust where it says robust."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated import aggregation as agg
from federated.errors import BadRequest


def updates(count: int, seed: int = 0, scale: float = 1.0) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [{"x": rng.normal(size=(6, 4)) * scale, "y": rng.normal(size=3) * scale} for _ in range(count)]


@given(seed=st.integers(0, 10_000), partners=st.integers(1, 7), rank=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_the_mean_of_b_under_a_shared_a_is_the_mean_of_the_products(seed: int, partners: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(rank, 9))
    bs = [rng.normal(size=(7, rank)) for _ in range(partners)]
    weights = rng.uniform(0.1, 5, size=partners)
    merged = agg.mean([{"b": b} for b in bs], weights)["b"] @ a
    exact = sum(w * (b @ a) for w, b in zip(weights / weights.sum(), bs, strict=True))
    np.testing.assert_allclose(merged, exact, atol=1e-12)


def test_averaging_both_factors_is_not_the_average_of_the_products() -> None:
    rng = np.random.default_rng(1)
    pairs = [(rng.normal(size=(3, 8)), rng.normal(size=(5, 3))) for _ in range(4)]
    exact = sum(b @ a for a, b in pairs) / 4
    naive = (sum(b for _, b in pairs) / 4) @ (sum(a for a, _ in pairs) / 4)
    assert np.linalg.norm(naive - exact) > 0.2 * np.linalg.norm(exact)
    a, b = agg.product_mean(pairs)
    np.testing.assert_allclose(b @ a, exact, atol=1e-12)


def test_refactorising_at_full_rank_loses_nothing_and_makes_the_rows_of_a_orthonormal() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(3, 20)), rng.normal(size=(11, 3))
    new_a, new_b, lost = agg.refactorise(a, b, 3)
    np.testing.assert_allclose(new_b @ new_a, b @ a, atol=1e-10)
    np.testing.assert_allclose(new_a @ new_a.T, np.eye(3), atol=1e-10)
    assert lost < 1e-10


def test_refactorising_to_a_lower_rank_loses_what_the_svd_says() -> None:
    rng = np.random.default_rng(3)
    a, b = agg.product_mean([(rng.normal(size=(4, 30)), rng.normal(size=(20, 4))) for _ in range(3)])
    new_a, new_b, lost = agg.refactorise(a, b, 4)
    s = np.linalg.svd(b @ a, compute_uv=False)
    assert lost == pytest.approx(np.sqrt((s[4:] ** 2).sum()))
    assert np.linalg.norm(new_b @ new_a - b @ a) == pytest.approx(lost)


def test_refactorising_to_a_higher_rank_pads_with_zeros() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 9)), rng.normal(size=(7, 2))
    new_a, new_b, _ = agg.refactorise(a, b, 5)
    assert new_a.shape == (5, 9)
    assert new_b.shape == (7, 5)
    np.testing.assert_allclose(new_b @ new_a, b @ a, atol=1e-10)


def test_a_narrower_partner_is_widened_with_zeros_and_stays_linear() -> None:
    rng = np.random.default_rng(4)
    a = rng.normal(size=(4, 6))
    b = rng.normal(size=(5, 2))
    np.testing.assert_allclose(agg.widen(b, 4) @ a, b @ a[:2])
    with pytest.raises(BadRequest):
        agg.widen(rng.normal(size=(5, 6)), 4)


@given(seed=st.integers(0, 10_000), limit=st.floats(1e-6, 1e6))
@settings(max_examples=40, deadline=None)
def test_clipping_never_leaves_more_than_the_norm_and_never_turns(seed: int, limit: float) -> None:
    (update,) = updates(1, seed, scale=10)
    clipped = agg.clip(update, limit)
    assert agg.norm(clipped) <= limit * (1 + 1e-12)
    cosine = sum(np.vdot(update[k], clipped[k]) for k in update) / (agg.norm(update) * agg.norm(clipped))
    assert cosine == pytest.approx(1.0)


def test_a_zero_update_is_clipped_to_zero_without_a_division() -> None:
    assert agg.norm(agg.clip({"x": np.zeros(3)}, 1.0)) == 0.0


@pytest.mark.parametrize("weights", [[-1, 2], [0, 0], [float("nan"), 1], [float("inf"), 1], [1.0]])
def test_weights_that_are_no_shares_are_refused(weights: list[float]) -> None:
    with pytest.raises(BadRequest):
        agg.mean(updates(2), weights)


@pytest.mark.parametrize("rule", ["median", "trimmed-mean", "multi-krum"])
@pytest.mark.parametrize("attack", [-1.0, 1000.0, -50.0])
def test_one_hostile_of_five_hardly_moves_a_robust_mean_and_moves_the_plain_one(rule: str, attack: float) -> None:
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(40,))
    honest = [{"x": truth + 0.1 * rng.normal(size=40)} for _ in range(4)]
    hostile = {"x": attack * truth * (5 if abs(attack) == 1 else 1)}
    robust = agg.robust([*honest, hostile], rule, hostile=1)["x"]  # type: ignore[arg-type]
    plain = agg.mean([*honest, hostile])["x"]
    assert np.linalg.norm(robust - truth) < 0.15 * np.linalg.norm(truth)
    assert np.linalg.norm(plain - truth) > 0.5 * np.linalg.norm(truth)


def test_krum_and_the_trimmed_mean_refuse_where_they_prove_nothing() -> None:
    with pytest.raises(BadRequest, match="needs 5"):
        agg.multi_krum(updates(4), 1)
    with pytest.raises(BadRequest, match="needs 3"):
        agg.trimmed_mean(updates(2), 1)


def test_every_rule_of_equal_updates_is_that_update() -> None:
    (update,) = updates(1)
    for rule in ("mean", "median", "trimmed-mean", "multi-krum"):
        merged = agg.robust([update] * 5, rule, hostile=1)  # type: ignore[arg-type]
        np.testing.assert_allclose(merged["x"], update["x"])


def test_server_momentum_adds_what_it_remembers() -> None:
    update = {"x": np.ones(2)}
    first, state = agg.ServerStep("momentum", momentum=0.5).apply(update)
    second, _ = state.apply(update)
    np.testing.assert_allclose(first["x"], 1.0)
    np.testing.assert_allclose(second["x"], 1.5)


def test_server_adam_follows_its_paper() -> None:
    rule = agg.ServerStep("adam", learning_rate=0.1, momentum=0.9, beta2=0.99, tau=1e-3)
    step, state = rule.apply({"x": np.array([2.0, -4.0])})
    first, second = 0.1 * np.array([2.0, -4.0]), 0.01 * np.array([4.0, 16.0])
    np.testing.assert_allclose(step["x"], 0.1 * first / (np.sqrt(second) + 1e-3))
    np.testing.assert_allclose(state.second["x"], second)


@given(st.integers(0, 2**31))
def test_factors_made_anew_have_the_same_products_and_orthonormal_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = {"x.lora_B.w": rng.normal(size=(7, 3)), "head.w": rng.normal(size=(2, 7))}
    frozen = {"x.lora_A.w": rng.normal(size=(3, 9))}
    trained, fixed = agg.refactored(weights, frozen)
    assert np.allclose(trained["x.lora_B.w"] @ fixed["x.lora_A.w"], weights["x.lora_B.w"] @ frozen["x.lora_A.w"])
    assert np.allclose(fixed["x.lora_A.w"] @ fixed["x.lora_A.w"].T, np.eye(3))
    assert (trained["head.w"] == weights["head.w"]).all()


def test_a_rank_that_is_not_used_yet_keeps_its_directions() -> None:
    weights = {"x.lora_B.w": np.zeros((7, 3))}
    _, fixed = agg.refactored(weights, {"x.lora_A.w": np.random.default_rng(0).normal(size=(3, 9))})
    assert np.allclose(fixed["x.lora_A.w"] @ fixed["x.lora_A.w"].T, np.eye(3))  # B can grow in all of them


@given(st.integers(0, 2**31), st.booleans())
def test_stacked_products_are_the_best_of_their_rank_where_means_of_factors_are_not(seed: int, weighed: bool) -> None:
    rng = np.random.default_rng(seed)
    start = {"x.lora_A.w": rng.normal(size=(3, 9)), "x.lora_B.w": rng.normal(size=(7, 3))}
    changes = [{name: rng.normal(size=array.shape) for name, array in start.items()} for _ in range(4)]
    shares = rng.uniform(0.1, 1.0, size=4) if weighed else np.ones(4)
    products = [
        (start["x.lora_B.w"] + change["x.lora_B.w"]) @ (start["x.lora_A.w"] + change["x.lora_A.w"])
        for change in changes
    ]
    exact = np.average(products, axis=0, weights=shares)
    found = agg.stacked(start, changes, shares.tolist())
    values = np.linalg.svd(exact, compute_uv=False)
    off = np.linalg.norm(found["x.lora_B.w"] @ found["x.lora_A.w"] - exact)
    assert off == pytest.approx(np.sqrt((values[3:] ** 2).sum()), abs=1e-9)
    apart = agg.mean(changes, shares.tolist())
    naive = (start["x.lora_B.w"] + apart["x.lora_B.w"]) @ (start["x.lora_A.w"] + apart["x.lora_A.w"])
    assert off < np.linalg.norm(naive - exact)


def test_stacking_is_exact_where_partners_agree_on_the_directions() -> None:
    rng = np.random.default_rng(1)
    start = {"x.lora_A.w": rng.normal(size=(3, 9)), "x.lora_B.w": np.zeros((7, 3)), "head.w": np.zeros(2)}
    # each partner turns the shared directions its own way: A_i = R_i A
    turns = [rng.normal(size=(3, 3)) for _ in range(3)]
    changes = [
        {
            "x.lora_A.w": turn @ start["x.lora_A.w"] - start["x.lora_A.w"],
            "x.lora_B.w": rng.normal(size=(7, 3)),
            "head.w": np.full(2, float(number)),
        }
        for number, turn in enumerate(turns)
    ]
    exact = np.mean(
        [change["x.lora_B.w"] @ turn @ start["x.lora_A.w"] for change, turn in zip(changes, turns, strict=True)], axis=0
    )
    found = agg.stacked(start, changes)
    assert np.allclose(found["x.lora_B.w"] @ found["x.lora_A.w"], exact)
    assert found["head.w"].tolist() == [1.0, 1.0]
