"""Laws of secure aggregation: the sum comes out exactly, and nothing else does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from federated import masking
from federated.errors import BadRequest, RoundVoid
from federated.types import Encoded, RoundPlan, TensorSpec

KEYS = {f"p{i}": X25519PrivateKey.generate() for i in range(6)}
PUBLIC = {name: key.public_key().public_bytes_raw() for name, key in KEYS.items()}


def plan(count: int, *, quorum: int = 3, shape: tuple[int, ...] = (5, 4), nonce: str = "aa") -> RoundPlan:
    return RoundPlan(
        run="run", round=1, nonce=nonce, partners=tuple(KEYS)[:count], quorum=quorum, deadline=0.0, mode="masked",
        encoding="masked", tensors=(TensorSpec("b", shape), TensorSpec("c", (3,))), clip_norm=2.0,
        start_sha256="", weights=(1.0,) * count,
    )  # fmt: skip


def maskers(the_plan: RoundPlan) -> list[masking.Masker]:
    return [masking.Masker(name, KEYS[name], PUBLIC, the_plan) for name in the_plan.partners]


def update(rng: np.random.Generator, the_plan: RoundPlan) -> dict[str, np.ndarray]:
    arrays = {spec.name: rng.normal(size=spec.shape) for spec in the_plan.tensors}
    size = np.sqrt(sum((array**2).sum() for array in arrays.values()))
    return {name: array / size * the_plan.clip_norm for name, array in arrays.items()}


def total(the_plan: RoundPlan, sent: list[dict[str, Encoded]]) -> masking.Vector:
    result = None
    for tensors in sent:
        result = masking.add(result, tensors, the_plan)
    assert result is not None
    return result


@given(seed=st.integers(0, 10_000), count=st.integers(3, 6), gone=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_the_masks_cancel_whoever_drops_out(seed: int, count: int, gone: int) -> None:
    gone = min(gone, count - 3)
    rng, the_plan = np.random.default_rng(seed), plan(count)
    sides = maskers(the_plan)
    updates = [update(rng, the_plan) for _ in sides]
    sent = [side.protect(item) for side, item in zip(sides, updates, strict=True)]
    here = list(range(gone, count))
    arrived = [sides[i].me for i in here]
    disclosures = [sides[i].disclose(arrived) for i in here]
    found = masking.unmask(the_plan, total(the_plan, [sent[i] for i in here]), disclosures)
    for name in ("b", "c"):
        np.testing.assert_allclose(found[name], sum(updates[i][name] for i in here), atol=1e-7)


def test_weights_are_applied_before_the_mask() -> None:
    the_plan = plan(3)
    rng = np.random.default_rng(0)
    sides, updates, weights = maskers(the_plan), [update(rng, the_plan) for _ in range(3)], (0.5, 0.2, 0.3)
    sent = [side.protect(item, weight) for side, item, weight in zip(sides, updates, weights, strict=True)]
    found = masking.unmask(the_plan, total(the_plan, sent), [side.disclose(the_plan.partners) for side in sides])
    expected = sum(weight * item["b"] for weight, item in zip(weights, updates, strict=True))
    np.testing.assert_allclose(found["b"], expected, atol=1e-7)


def test_a_masked_update_of_zeros_looks_like_any_other() -> None:
    the_plan = plan(3, shape=(400, 50))
    zeros = {spec.name: np.zeros(spec.shape) for spec in the_plan.tensors}
    bits = np.unpackbits(maskers(the_plan)[0].protect(zeros)["b"].data.view(np.uint8))
    # uniform bits: the share of ones is 1/2 within five standard errors
    assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(bits.size)


def test_a_late_update_stays_masked_after_everybody_disclosed() -> None:
    the_plan = plan(4, shape=(200, 10))
    sides = maskers(the_plan)
    zeros = {spec.name: np.zeros(spec.shape) for spec in the_plan.tensors}
    late = sides[3].protect(zeros)["b"].data.astype(np.int64).ravel()
    disclosures = [side.disclose(["p0", "p1", "p2"]) for side in sides[:3]]
    # everything the coordinator learned about the pairs of p3, taken off
    for disclosure in disclosures:
        mask = masking._expand(disclosure.pair_seeds["p3"], the_plan.size)[: late.size].astype(np.int64)
        late = (late + mask) % (1 << 32) if disclosure.partner < "p3" else (late - mask) % (1 << 32)
    assert np.abs(late.mean() / (1 << 32) - 0.5) < 0.05
    assert np.unique(late).size > 0.99 * late.size


def test_another_attempt_has_other_masks() -> None:
    the_plan = plan(3)
    zeros = {spec.name: np.zeros(spec.shape) for spec in the_plan.tensors}
    first = masking.Masker("p0", KEYS["p0"], PUBLIC, the_plan, own_seed=bytes(32)).protect(zeros)["b"].data
    again = masking.Masker("p0", KEYS["p0"], PUBLIC, plan(3, nonce="bb"), own_seed=bytes(32)).protect(zeros)["b"].data
    assert (first != again).mean() > 0.9


def test_a_partner_answers_one_list_of_arrivals_and_repeats_only_that() -> None:
    side = maskers(plan(5))[0]
    first = side.disclose(["p0", "p1", "p2", "p3"])
    assert side.disclose(["p3", "p2", "p1", "p0"]) == first
    with pytest.raises(RoundVoid):
        side.disclose(["p0", "p1", "p2"])


@pytest.mark.parametrize("arrived", [["p0", "p1"], ["p1", "p2", "p3"], ["p0", "p1", "stranger"]])
def test_nothing_is_disclosed_to_too_few_to_others_or_to_strangers(arrived: list[str]) -> None:
    with pytest.raises(RoundVoid):
        maskers(plan(4))[0].disclose(arrived)


def test_two_partners_are_too_few_for_masks() -> None:
    with pytest.raises(BadRequest, match="at least 3"):
        masking.Masker("p0", KEYS["p0"], PUBLIC, plan(2))
    with pytest.raises(BadRequest, match="at least 3"):
        masking.Masker("p0", KEYS["p0"], PUBLIC, plan(4, quorum=2))


def test_a_missing_or_differing_disclosure_voids_the_round() -> None:
    the_plan = plan(4)
    sides = maskers(the_plan)
    zeros = {spec.name: np.zeros(spec.shape) for spec in the_plan.tensors}
    sent = total(the_plan, [side.protect(zeros) for side in sides])
    disclosures = [side.disclose(the_plan.partners) for side in sides]
    with pytest.raises(RoundVoid):
        masking.unmask(the_plan, sent, disclosures[:3])
    other = dataclasses.replace(disclosures[3], arrived=("p0", "p1", "p2"))
    with pytest.raises(RoundVoid):
        masking.unmask(the_plan, sent, [*disclosures[:3], other])


def test_an_unknown_peer_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(BadRequest, match="p2"):
        masking.Masker("p0", KEYS["p0"], {"p1": PUBLIC["p1"]}, plan(3))
