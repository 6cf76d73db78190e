"""The values of privacy: what a training run spends, what may be spent, what is left.

Standard library only. Epsilon is never stored: it is computed from these parameters with a delta,
by `accounting.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["example", "customer", "partner"]


@dataclass(frozen=True, slots=True)
class PrivacySpend:
    """One mechanism's use of a data set.

    `mechanism` is "dpsgd" (the Poisson-subsampled Gaussian), "gaussian", "laplace", or
    "nonprivate" (an ordinary training run: epsilon is infinite from here on). `noise_multiplier`
    is sigma over `clip_norm`; `sample_rate` the probability of a unit in one step; `steps` how
    many steps were charged; `dataset` the name of the data set in the holder's ledger.
    """

    mechanism: str
    noise_multiplier: float
    sample_rate: float
    steps: int
    clip_norm: float
    unit: Unit
    dataset: str

    @classmethod
    def nonprivate(cls, dataset: str, *, unit: Unit = "example") -> PrivacySpend:
        """An ordinary training run over the data set."""
        return cls("nonprivate", 0.0, 1.0, 1, float("inf"), unit, dataset)


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
