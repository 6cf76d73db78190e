"""What an update must satisfy before it may be added. One bad update never aborts a round.

The gate is the coordinator's, and each partner runs it on its own update before sending. In a
masked round single updates cannot be read: there it checks identity, binding, names, shapes and
integer type, and each partner clips its own update; the sum's norm (`masking.longest`) and the publication
gate judge the rest.

What is not here: outvoting well-formed but hostile updates (`aggregation.robust`), judging the
new adapter (`rounds.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from federated.encoding import DTYPES, decode
from federated.errors import FederationError, UpdateRefused
from federated.types import ClientUpdate, Encoded, RoundPlan

MAX_METRICS = 32
MAX_EXAMPLES = 1_000_000_000
_METRIC = re.compile(r"[a-z][a-z0-9_@.-]{0,63}")
# fp16 and int8 round: what is sent may be a little longer than what was clipped
_NORM_SLACK = 1.01

Verify = Callable[[str, bytes, str], bool]


def check(plan: RoundPlan, update: ClientUpdate, *, verify: Verify, now: float, arrived: Collection[str] = ()) -> None:
    """Passes an update that may be added.

    Args:
        plan: what was asked.
        update: what came.
        verify: (partner, claim, signature) -> is the signature that of this enrolled, unrevoked key.
        now: seconds since 1970.
        arrived: the partners whose update of this attempt was already accepted.

    Raises:
        UpdateRefused: the first thing that is wrong with it.
    """
    try:
        _check_binding(plan, update, now=now, arrived=arrived)
        _check_reported(update)
        _check_tensors(plan, update)
        if not isinstance(update.signature, str) or not update.signature:
            raise UpdateRefused("It is not signed.")
        if not verify(update.partner, update.claim(), update.signature):
            raise UpdateRefused("Its signature is not that of an enrolled partner's key over this content.")
        if plan.encoding != "masked":
            _check_values(plan, update)
    except FederationError:  # a roster that is damaged is the coordinator's own trouble, and ends the round
        raise
    except Exception as error:  # 10**400 is no float, text has no order: nothing that was sent ends the round
        raise UpdateRefused(f"It cannot be checked: {type(error).__name__}.") from error


def measures(told: Any) -> dict[str, float]:
    """A partner's measures of its own, by name; one that is no finite number is left as it is.

    Raises:
        UpdateRefused: they are no measures.
    """
    try:
        found = {name: float(value) for name, value in told.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise UpdateRefused("What it measured are no numbers.") from error
    if len(found) > MAX_METRICS or not all(isinstance(name, str) and _METRIC.fullmatch(name) for name in found):
        raise UpdateRefused("What it measured has no plain names, or too many.")
    return found


def _check_binding(plan: RoundPlan, update: ClientUpdate, *, now: float, arrived: Collection[str]) -> None:
    if update.partner not in plan.partners:
        raise UpdateRefused("The partner is not part of this round.")
    if (update.run, update.round, update.nonce) != (plan.run, plan.round, plan.nonce):
        raise UpdateRefused("It belongs to another run, round or attempt.")
    if now > plan.deadline:
        raise UpdateRefused("It came after the deadline.")
    if update.partner in arrived:
        raise UpdateRefused("This partner's update was already counted.")


def _check_reported(update: ClientUpdate) -> None:
    if type(update.examples) is not int or not 0 <= update.examples <= MAX_EXAMPLES:
        raise UpdateRefused("Its number of examples is not a count.")
    if len(update.metrics) > MAX_METRICS:
        raise UpdateRefused(f"It reports more than {MAX_METRICS} metrics.")
    for name, value in update.metrics.items():
        if not isinstance(name, str) or not _METRIC.fullmatch(name):
            raise UpdateRefused("A metric's name is not a plain name.")
        if type(value) not in (int, float) or not math.isfinite(value):
            raise UpdateRefused(f"The metric {name} is not a finite number.")
    spend = update.spend
    if spend is not None and not (
        0 <= spend.sample_rate <= 1
        and spend.steps >= 0
        and math.isfinite(spend.noise_multiplier)
        and spend.noise_multiplier >= 0
    ):
        raise UpdateRefused("The privacy it says it spent makes no sense.")


def _check_tensors(plan: RoundPlan, update: ClientUpdate) -> None:
    expected = {spec.name: spec.shape for spec in plan.tensors}
    if set(update.tensors) != set(expected):
        odd = sorted(map(str, set(update.tensors) ^ set(expected)))
        raise UpdateRefused(f"Tensors are missing or were not asked for: {', '.join(odd[:3])}.")
    dtype = np.dtype(DTYPES[plan.encoding])
    for name, tensor in update.tensors.items():
        if not isinstance(tensor, Encoded) or not isinstance(tensor.data, np.ndarray):
            raise UpdateRefused(f"{name} is not a tensor.")
        if tensor.data.dtype != dtype:
            raise UpdateRefused(f"{name} has numbers of type {tensor.data.dtype}; {dtype} was asked for.")
        if tensor.data.shape != expected[name]:
            raise UpdateRefused(f"{name} has the shape {tensor.data.shape}; {expected[name]} was asked for.")
        if not _is_scale(tensor.scale, scaled=plan.encoding == "int8"):
            raise UpdateRefused(f"The scale of {name} is not a positive number, or not 1 where none is used.")


def _is_scale(scale: Any, *, scaled: bool) -> bool:
    if type(scale) not in (int, float) or not math.isfinite(scale) or scale <= 0:
        return False
    return scaled or scale == 1.0


def _check_values(plan: RoundPlan, update: ClientUpdate) -> None:
    total = 0.0
    for name, array in decode(update.tensors).items():
        if not np.isfinite(array).all():
            raise UpdateRefused(f"{name} holds numbers that are not finite.")
        total += float(np.vdot(array, array))
    size = math.sqrt(total)
    if not size <= plan.clip_norm * _NORM_SLACK:
        raise UpdateRefused(f"Its norm {size:.3g} is above the round's bound {plan.clip_norm:.3g}.")
    if size == 0.0:
        raise UpdateRefused("It changes nothing: a free rider, or a training that did not run.")
