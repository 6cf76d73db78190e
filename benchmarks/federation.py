"""Federation without a wire: is the sum exact, what do masks cost, what does the gate let in."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from assistant.types import Measure, Report
from benchmarks.common import provenance
from benchmarks.malformed import HOSTILE, PLAN, good, verify
from federated import gate, masking
from federated.aggregation import clip, mean
from federated.encoding import decode, encode
from federated.errors import UpdateRefused
from federated.types import Arrays, Encoded, RoundPlan, TensorSpec

PARTNERS = 5
RANK = 8
# the default model's q, k, v, o projections: 30 layers, width 576, key-value width 192
WIDTHS = (576, 192, 192, 576)
LAYERS = 30


def _plan(count: int = PARTNERS) -> RoundPlan:
    tensors = tuple(TensorSpec(f"{layer}.{i}", (w, RANK)) for layer in range(LAYERS) for i, w in enumerate(WIDTHS))
    names = tuple(f"p{number}" for number in range(count))
    return RoundPlan(
        "benchmark", 1, "ab" * 16, names, 3, 1e12, "masked", "masked", tensors, 10.0, "", (1.0,) * count
    )  # fmt: skip


def _updates(plan: RoundPlan, seed: int) -> list[Arrays]:
    rng = np.random.default_rng(seed)
    made = [{spec.name: rng.normal(size=spec.shape) for spec in plan.tensors} for _ in plan.partners]
    return [clip(update, plan.clip_norm) for update in made]


def _maskers(plan: RoundPlan) -> list[masking.Masker]:
    keys = {name: X25519PrivateKey.generate() for name in plan.partners}
    public = {name: key.public_key().public_bytes_raw() for name, key in keys.items()}
    return [masking.Masker(name, keys[name], public, plan) for name in plan.partners]


def _masked_sum(plan: RoundPlan, maskers: list[masking.Masker], updates: list[Arrays]) -> Arrays:
    total: masking.Vector | None = None
    sent: list[dict[str, Encoded]] = [m.protect(update) for m, update in zip(maskers, updates, strict=True)]
    for tensors in sent:
        total = masking.add(total, tensors, plan)
    assert total is not None
    return masking.unmask(plan, total, [m.disclose(plan.partners) for m in maskers])


def aggregation() -> Report:
    """Relative error of the aggregated products B A against the exact mean of the products, worst of ten seeds."""
    plan = _plan()
    masked, plain, naive = [], [], []
    for seed in range(10):
        rng = np.random.default_rng([1, seed])
        updates = _updates(plan, seed)
        shared = {spec.name: rng.normal(size=(RANK, 64)) for spec in plan.tensors}
        own = [{name: a + 0.5 * rng.normal(size=a.shape) for name, a in shared.items()} for _ in updates]
        exact = {name: sum(u[name] @ a for u in updates) / PARTNERS for name, a in shared.items()}
        summed = _masked_sum(plan, _maskers(plan), updates)
        sent = [decode(encode(update, "float32")[0]) for update in updates]
        masked.append(_error({k: v / PARTNERS @ shared[k] for k, v in summed.items()}, exact))
        plain.append(_error({k: v @ shared[k] for k, v in mean(sent).items()}, exact))
        # the control: A trained too, and the factors averaged apart
        truth = {k: sum(u[k] @ a[k] for u, a in zip(updates, own, strict=True)) / PARTNERS for k in shared}
        mean_a = mean(own)
        naive.append(_error({k: v @ mean_a[k] for k, v in mean(updates).items()}, truth))
    measures = (
        Measure("masked_error", max(masked), n=10),
        Measure("plain_error", max(plain), n=10),
        Measure("factors_averaged_apart_error", max(naive), n=10),
    )
    return Report("aggregation", measures, provenance(seed=0))


def _error(found: Arrays, exact: Arrays) -> float:
    off = sum(float(((found[name] - exact[name]) ** 2).sum()) for name in exact)
    return float(np.sqrt(off / sum(float((exact[name] ** 2).sum()) for name in exact)))


def masks() -> Report:
    """Seconds a partner spends on masks beyond sending in the clear: 368,640 numbers, five partners, median of nine."""
    plan = _plan()
    updates = _updates(plan, 0)
    extra, clear, recover = [], [], []
    for _ in range(9):
        maskers = _maskers(plan)
        start = time.perf_counter()
        encode(updates[0], "float32")
        clear.append(time.perf_counter() - start)
        start = time.perf_counter()
        maskers[0].protect(updates[0])
        maskers[0].disclose(plan.partners[:4])
        extra.append(time.perf_counter() - start - clear[-1])
        total = None
        for masker, update in zip(maskers[:4], updates, strict=False):
            total = masking.add(total, masker.protect(update), plan)
        disclosures = [masker.disclose(plan.partners[:4]) for masker in maskers[:4]]
        assert total is not None
        start = time.perf_counter()
        masking.unmask(plan, total, disclosures)
        recover.append(time.perf_counter() - start)
    measures = (
        Measure("seconds_per_partner", float(np.median(extra)), min(extra), max(extra), 9),
        Measure("seconds_unmasked", float(np.median(clear)), min(clear), max(clear), 9),
        Measure("seconds_coordinator_with_one_gone", float(np.median(recover)), min(recover), max(recover), 9),
        Measure("numbers", plan.size),
    )
    return Report("masking", measures, provenance(seed=0))


def gates() -> Report:
    """How many of the malformed updates the gate accepts, late and repeated ones among them; and that a good one passes."""
    accepted = sum(_passes(update) for update in HOSTILE.values())
    accepted += _passes(good(), now=PLAN.deadline + 1) + _passes(good(), arrived=("p0",))
    masked = dataclasses.replace(PLAN, encoding="masked", mode="masked")
    accepted += _passes(good(), plan=masked)
    measures = (
        Measure("accepted", accepted, n=len(HOSTILE) + 3),
        Measure("kinds", len(HOSTILE) + 3),
        Measure("good_accepted", float(_passes(good()))),
    )
    return Report("gate", measures, provenance(seed=0))


def _passes(update: object, *, now: float = 0.0, arrived: tuple[str, ...] = (), plan: RoundPlan = PLAN) -> bool:
    try:
        gate.check(plan, update, verify=verify, now=now, arrived=arrived)  # type: ignore[arg-type]
    except UpdateRefused:
        return False
    return True
