"""The values of privacy: what a training run spends, what may be spent, what is left.

Standard library only. Epsilon is never stored: it is computed from these parameters with a delta,
by `accounting.py`.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["example", "customer", "partner"]
DELTA = 1e-5
"""What epsilon is given at where nobody said otherwise."""


@dataclass(frozen=True, slots=True)
class PrivacySpend:
    """One mechanism's use of a data set. Neighbours differ by one unit added or removed.

    `mechanism` is "dpsgd" (the Poisson-subsampled Gaussian), "gaussian", "laplace", "discrete-laplace" (noisy
    counts, see `released.py`), or "nonprivate" (an ordinary training run: epsilon is infinite from here on).
    `noise_multiplier` is sigma (laplace: the scale) over `clip_norm`; `sample_rate` the probability of a unit in one
    step; `steps` how many steps were charged; `dataset` the name of the data set in the holder's
    ledger. `per_customer` is the most examples one customer has in the data set (None = not known): with it a spend
    per example also bounds what a customer loses. In a spend per customer it is how many of a customer's
    examples are taken in one step at most.
    """

    mechanism: str
    noise_multiplier: float
    sample_rate: float
    steps: int
    clip_norm: float
    unit: Unit
    dataset: str
    per_customer: int | None = None

    @classmethod
    def nonprivate(cls, dataset: str, *, unit: Unit = "example") -> PrivacySpend:
        """An ordinary training run over the data set."""
        return cls("nonprivate", 0.0, 1.0, 1, math.inf, unit, dataset)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; an infinite clip norm is null. `from_dict` is its inverse."""
        fields = dataclasses.asdict(self)
        return {**fields, "clip_norm": self.clip_norm if math.isfinite(self.clip_norm) else None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PrivacySpend:
        """The spend that `to_dict` wrote."""
        clip_norm = data["clip_norm"]
        return cls(**{**data, "clip_norm": math.inf if clip_norm is None else clip_norm})


@dataclass(frozen=True, slots=True)
class PrivacyBudget:
    """The most that may be spent: epsilon at this delta, for this unit."""

    epsilon: float
    delta: float
    unit: Unit


@dataclass(frozen=True, slots=True)
class PrivacyReport:
    """Epsilon at the budget's delta: spent, remaining, and after the plan in question (None = no plan)."""

    budget: PrivacyBudget
    spent: float
    remaining: float
    after_plan: float | None = None


@dataclass(frozen=True, slots=True)
class Affordable:
    """What a data set can afford at one epsilon.

    `signal_to_noise` is the norm of one step's summed gradient over the norm of its noise in the best
    case, that all examples pull the same way: under about 0.01 a run learns next to nothing.
    """

    epsilon: float
    noise_multiplier: float
    steps: int
    sample_rate: float
    signal_to_noise: float


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found. `problems` is empty where the book is whole; `head` names its last entry."""

    entries: int
    head: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the book is whole."""
        return not self.problems
