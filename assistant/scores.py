"""What a private run may tell of the records it kept from training: noisy shares, charged before they are known.

A card travels with its adapter, so its numbers leave the house too. Without privacy it holds the measures of
`heldout.py` as they are; here is what stands in their place. The noise and its cost are `privacy.released`'s.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from assistant import heldout
from assistant.types import Example, Measure, Task
from privacy.released import Share, cost, release
from privacy.types import PrivacyBudget, PrivacySpend

PARTS = 20
"""One score costs a run a twentieth of its goal."""


def price(task: Task, test: Sequence[Example], budget: PrivacyBudget, dataset: str) -> PrivacySpend:
    """What telling the scores of `test` spends; charge it before anything is trained."""
    owners = Counter(example.owner for example in test)
    most = None if "" in owners or budget.unit != "example" else max(owners.values())
    scale = max(2, math.ceil(PARTS / budget.epsilon))
    return cost(dataset, scale, unit=budget.unit, counts=1 if task == "chat" else 2, per_customer=most)


def told(
    spend: PrivacySpend, task: Task, test: Sequence[Example], *, before: heldout.Counts, after: heldout.Counts
) -> list[Measure]:
    """The scores of `test` with the noise that was charged, and their intervals at 95 %, noise included."""
    rows = heldout.told(task, before, after)
    shares = release(spend, list(rows.values()), [example.owner for example in test])
    return [_bounded(name, one) for name, one in zip(rows, shares, strict=True)]


def _bounded(name: str, share: Share) -> Measure:
    """The noise's interval, widened by what chance does to so few units, within what a share can be."""
    least = -1.0 if name.endswith("_gain") else 0.0
    chance = 1.96 * (1 - least) / 2 / math.sqrt(max(1, share.n))

    def within(value: float) -> float:
        return min(1.0, max(least, value))

    return Measure(name, within(share.value), within(share.low - chance), within(share.high + chance), share.n)
