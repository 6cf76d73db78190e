"""Updates as a partner should never send them, and a good one: what the gate is measured and tested with."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from federated.encoding import encode
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
    "a metric that no float holds": good(metrics={"loss": 10**400}),
    "a scale that no float holds": good(tensors=with_tensor(F32, scale=10**400)),
    "text as a sample rate": good(spend=PrivacySpend("dpsgd", 1.0, "all", 1, 1.0, "example", "d")),  # type: ignore[arg-type]
    "a spend that is no JSON": good(spend=PrivacySpend("dpsgd", 1.0, 0.5, 1, {1}, "example", "d")),  # type: ignore[arg-type]
    "senseless spend": good(spend=PrivacySpend("dpsgd", float("nan"), 2.0, -1, 1.0, "example", "d")),
}
