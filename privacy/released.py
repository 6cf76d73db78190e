"""Private metrics: a share of a data set's units that is told with noise, and charged to the book before it is.

A number about private records tells about them, however good its purpose: how many of the held-out records an adapter
gets right, which of several settings did best. The count is an integer, changes by at most one with any one unit, and
gets discrete Laplace noise from an exact sampler (no floating point to look through). The number of units counts as
known. Not the measures that a data holder sees on their own screen, nor of public records: those need no noise.

Sources: Ghosh et al., arXiv 0811.2841 (the geometric mechanism); Canonne et al., arXiv 2004.00010, algorithm 2 (the
sampler).
"""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from privacy.errors import BadRequest
from privacy.types import PrivacySpend, Unit

MECHANISM = "discrete-laplace"


class Book(Protocol):
    """The part of the privacy book that is charged."""

    def charge(self, spend: PrivacySpend, purpose: str) -> int:
        """Puts a spend on the book and gives its id, or refuses."""
        ...

    def settle(self, charge: int, *, steps: int) -> None:
        """Lowers a charge to the steps that were taken."""
        ...


@dataclass(frozen=True, slots=True)
class Share:
    """A share of `n` units, with noise; `low` and `high` bound the true share of these units at 95 %."""

    value: float
    low: float
    high: float
    n: int


def cost(dataset: str, scale: int, *, unit: Unit, counts: int = 1, per_customer: int | None = None) -> PrivacySpend:
    """What so many noisy counts spend, each epsilon 1/scale on its own.

    Raises:
        BadRequest: the scale is no whole number above 0.
    """
    if type(scale) is not int or scale < 1 or counts < 1:
        raise BadRequest(f"{counts} counts with noise of scale {scale}: both are whole numbers above 0.")
    return PrivacySpend(MECHANISM, float(scale), 1.0, counts, 1.0, unit, dataset, per_customer)


def release(
    spend: PrivacySpend, values: Sequence[Sequence[int]], owners: Sequence[str], *, chance: random.Random | None = None
) -> list[Share]:
    """The shares, with noise, of what was charged as `spend`: one for each of `values`, an integer of -1 to 1 a record.

    Per customer the sign of a customer's sum counts, so that nobody counts for more than one.

    Raises:
        BadRequest: there are more counts than charged, or a value is out of its range.
    """
    if len(values) > spend.steps or any(len(row) != len(owners) for row in values):
        raise BadRequest(f"{spend.steps} counts of {len(owners)} records were charged.")
    if any(value not in (-1, 0, 1) for row in values for value in row):
        raise BadRequest("A record counts for -1, 0 or 1.")
    scale, chance = int(spend.noise_multiplier), chance or secrets.SystemRandom()
    found = []
    for row in values:
        counted = _by_customer(row, owners) if spend.unit == "customer" else list(row)
        n, total = max(1, len(counted)), sum(counted) + discrete_laplace(scale, chance=chance)
        margin = _quantile(scale)
        found.append(Share(total / n, (total - margin) / n, (total + margin) / n, len(counted)))
    return found


def discrete_laplace(scale: int, *, chance: random.Random) -> int:
    """An integer k with probability proportional to exp(-|k| / scale), exactly."""
    while True:
        rest = chance.randrange(scale)
        if not _happens(rest, scale, chance):
            continue
        whole = 0
        while _happens(1, 1, chance):
            whole += 1
        value = rest + scale * whole
        if chance.randrange(2):
            return value
        if value:
            return -value


def _happens(numerator: int, denominator: int, chance: random.Random) -> bool:
    """True with probability exp(-numerator / denominator), for a fraction of at most 1 (algorithm 1)."""
    turn = 1
    while chance.randrange(denominator * turn) < numerator:
        turn += 1
    return turn % 2 == 1


def _by_customer(row: Sequence[int], owners: Sequence[str]) -> list[int]:
    sums: dict[str, int] = {}
    for value, owner in zip(row, owners, strict=True):
        sums[owner] = sums.get(owner, 0) + value
    return [(total > 0) - (total < 0) for total in sums.values()]


def _quantile(scale: int) -> int:
    """The least m with at most 5 % of the noise beyond it on both sides together."""
    ratio = math.exp(-1 / scale)
    return max(0, math.ceil(math.log(0.05 * (1 + ratio) / 2) / math.log(ratio)) - 1)
