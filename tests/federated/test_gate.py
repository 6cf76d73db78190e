"""F4: the gate refuses every kind of malformed update, and says which it was."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks.malformed import F32, HOSTILE, PLAN, good, verify, with_tensor
from federated.encoding import encode
from federated.errors import IdentityRefused, UpdateRefused
from federated.gate import check
from federated.types import Encoded
from privacy.types import PrivacySpend


def test_a_good_update_passes() -> None:
    check(PLAN, good(), verify=verify, now=50.0)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_malformed_update_is_refused_with_a_reason(kind: str) -> None:
    with pytest.raises(UpdateRefused) as caught:
        check(PLAN, HOSTILE[kind], verify=verify, now=50.0)
    assert caught.value.message.endswith(".")


def test_late_and_repeated_updates_are_refused() -> None:
    with pytest.raises(UpdateRefused, match="deadline"):
        check(PLAN, good(), verify=verify, now=100.1)
    with pytest.raises(UpdateRefused, match="already"):
        check(PLAN, good(), verify=verify, now=50.0, arrived={"p0"})


@pytest.mark.parametrize("encoding", ["float16", "int8"])
def test_a_clipped_update_passes_whatever_its_encoding_rounds(encoding: str) -> None:
    plan = dataclasses.replace(PLAN, encoding=encoding)
    rng = np.random.default_rng(0)
    values = {spec.name: rng.normal(size=spec.shape) for spec in plan.tensors}
    size = np.sqrt(sum((value**2).sum() for value in values.values()))
    tensors, _ = encode({name: value / size for name, value in values.items()}, plan.encoding)
    check(plan, good(tensors=tensors), verify=verify, now=50.0)


def test_a_masked_update_is_any_integers_of_the_right_type() -> None:
    plan = dataclasses.replace(PLAN, encoding="masked", mode="masked")
    tensors = {spec.name: Encoded(np.full(spec.shape, 4_000_000_000, "<u4")) for spec in plan.tensors}
    check(plan, good(tensors=tensors), verify=verify, now=50.0)
    with pytest.raises(UpdateRefused):
        check(plan, good(), verify=verify, now=50.0)


def test_what_is_signed_covers_everything_that_counts() -> None:
    claims = {good().claim()}
    for change in (
        {"run": "r2"}, {"round": 4}, {"partner": "p1"}, {"nonce": "cd"}, {"examples": 8}, {"metrics": {"loss": 0.4}},
        {"tensors": with_tensor(F32 * 1.0001)}, {"spend": PrivacySpend.nonprivate("d")},
    ):  # fmt: skip
        claims.add(good(**change).claim())
    assert len(claims) == 9


def test_a_damaged_roster_is_no_fault_of_an_update() -> None:
    def damaged(partner: str, claim: bytes, signature: str) -> bool:
        raise IdentityRefused("roster.json is damaged.")

    with pytest.raises(IdentityRefused):
        check(PLAN, good(), verify=damaged, now=50.0)
