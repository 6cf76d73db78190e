"""What a private training would spend, shown before it does: its noise, its signal, and what else could be had.

Nothing is charged here (`ledger.py`), and nothing is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from privacy.accounting import afford
from privacy.types import Affordable, PrivacyBudget, PrivacySpend


@dataclass(frozen=True, slots=True)
class Quote:
    """A plan: `spend` of a data set of `units` by an adapter with so many trained weights, for the `goal`.

    `spent` is all that the data set has spent before, and what is spent beside the training.
    """

    spend: PrivacySpend
    goal: PrivacyBudget
    units: int
    trainable: int
    spent: tuple[PrivacySpend, ...] = ()

    @property
    def signal_to_noise(self) -> float:
        """The norm of a step's summed gradient over that of its noise, at best; under 0.01 little is learned."""
        batch = self.spend.sample_rate * self.units
        return batch / (self.spend.noise_multiplier * math.sqrt(self.trainable))

    def afford(self) -> list[Affordable]:
        """The same plan at other epsilons; those that are used up are left out. It takes seconds."""
        batch = max(1, round(self.spend.sample_rate * self.units))
        return afford(
            units=self.units, batch=batch, steps=self.spend.steps, trainable=self.trainable, delta=self.goal.delta,
            unit=self.spend.unit, spent=self.spent,
        )  # fmt: skip
