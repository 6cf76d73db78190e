"""F4: the gate refuses every kind of malformed update, and says which it was."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from federated.encoding import encode
from federated.errors import UpdateRefused
from federated.gate import check
from federated.types import ClientUpdate, Encoded, RoundPlan, TensorSpec
from privacy.types import PrivacySpend

PLAN = RoundPlan(
    run="run", round=3, nonce="ab", partners=("p0", "p1", "p2"), quorum=2, deadline=100.0, mode="plain",
    encoding="float32", tensors=(TensorSpec("x", (4, 3)), TensorSpec("y", (5,))), clip_norm=1.0,
    start_sha256="", weights=(1.0, 1.0, 1.0),
)  # fmt: skip


def good(plan: RoundPlan = PLAN, **changes: Any) -> ClientUpdate:
    values = {spec.name: np.full(spec.shape, 0.1) for spec in plan.tensors}
    tensors, _ = encode(values, plan.encoding)
    update = ClientUpdate("run", 3, "p0", "ab", tensors, examples=7, metrics={"loss": 0.5}, signature="fine")
    return dataclasses.replace(update, **changes)


def verify(partner: str, claim: bytes, signature: str) -> bool:
    return signature == "fine"


def with_tensor(data: np.ndarray, scale: float = 1.0) -> dict[str, Encoded]:
    return {**good().tensors, "x": Encoded(data, scale)}


F32 = np.full((4, 3), 0.1, "<f4")
HOSTILE: dict[str, ClientUpdate] = {
    "stranger": good(partner="p9"),
    "other run": good(run="other"),
    "other round": good(round=2),
    "other nonce": good(nonce="zz"),
    "unsigned": good(signature=""),
    "wrong signature": good(signature="forged"),
    "missing tensor": good(tensors={"x": good().tensors["x"]}),
    "extra tensor": good(tensors={**good().tensors, "embed": Encoded(F32)}),
    "transposed": good(tensors=with_tensor(F32.T)),
    "broadcasts": good(tensors=with_tensor(np.array([0.1], "<f4"))),
    "scalar": good(tensors=with_tensor(np.array(0.1, "<f4"))),
    "empty": good(tensors=with_tensor(np.zeros((0, 3), "<f4"))),
    "float64": good(tensors=with_tensor(F32.astype("<f8"))),
    "big endian": good(tensors=with_tensor(F32.astype(">f4"))),
    "objects": good(tensors=with_tensor(F32.astype(object))),
    "complex": good(tensors=with_tensor(F32.astype(complex))),
    "text": good(tensors={**good().tensors, "x": "x"}),  # type: ignore[dict-item]
    "nan": good(tensors=with_tensor(np.where(np.eye(4, 3) > 0, np.nan, F32).astype("<f4"))),
    "infinite": good(tensors=with_tensor(np.where(np.eye(4, 3) > 0, np.inf, F32).astype("<f4"))),
    "times 1000": good(tensors=with_tensor(F32 * 1000)),
    "overflowing norm": good(tensors=with_tensor(np.full((4, 3), 3e38, "<f4"))),
    "zero": good(tensors={name: Encoded(np.zeros_like(t.data)) for name, t in good().tensors.items()}),
    "scaled": good(tensors=with_tensor(F32, scale=1e9)),
    "nan scale": good(tensors=with_tensor(F32, scale=float("nan"))),
    "negative examples": good(examples=-5),
    "1e12 examples": good(examples=10**12),
    "examples no count": good(examples=0.5),  # type: ignore[arg-type]
    "nan metric": good(metrics={"loss": float("nan")}),
    "text metric": good(metrics={"loss": "low"}),  # type: ignore[dict-item]
    "odd metric key": good(metrics={"<script>": 1.0}),
    "too many metrics": good(metrics={f"m{i}": 1.0 for i in range(100)}),
    "senseless spend": good(spend=PrivacySpend("dpsgd", float("nan"), 2.0, -1, 1.0, "example", "d")),
}


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
