"""Which examples make a step, and how a step is cut to what the memory holds. Pure.

The order is a function of the seed and the epoch alone, so a run that was cut short goes on with
the same batches. Examples of like length sit together: padding is work that nobody wants.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assistant.types import Example

_POOL = 16
"""Batches that are sorted by length together: enough to save the padding, few enough to stay shuffled."""


@dataclass(frozen=True, slots=True)
class Batches:
    """All steps of a run, in order: each a tuple of examples.

    `epochs` may be a fraction. Iterating twice gives the same.
    """

    examples: tuple[Example, ...]
    size: int
    epochs: float
    seed: int = 0

    @property
    def per_epoch(self) -> int:
        """Steps of one pass over the data."""
        return math.ceil(len(self.examples) / self.size)

    def __len__(self) -> int:
        return max(1, round(self.per_epoch * self.epochs)) if self.examples else 0

    def __iter__(self) -> Iterator[tuple[Example, ...]]:
        left = len(self)
        for epoch in range(math.ceil(self.epochs)):
            for batch in self._epoch(epoch)[:left]:
                yield tuple(self.examples[place] for place in batch)
            left -= self.per_epoch

    def _epoch(self, epoch: int) -> list[list[int]]:
        chance = random.Random(f"{self.seed}/{epoch}")
        order = list(range(len(self.examples)))
        chance.shuffle(order)
        made: list[list[int]] = []
        pool = self.size * _POOL
        for start in range(0, len(order), pool):
            part = sorted(order[start : start + pool], key=lambda place: len(self.examples[place].ids))
            made += [part[at : at + self.size] for at in range(0, len(part), self.size)]
        chance.shuffle(made)
        return made


def physical(batch: Sequence[Example], tokens: int) -> list[tuple[Example, ...]]:
    """The batch in parts of at most `tokens` tokens with padding (at least one example each).

    No example gives no part.
    """
    parts: list[tuple[Example, ...]] = []
    part: list[Example] = []
    for example in sorted(batch, key=lambda each: len(each.ids)):
        if part and (len(part) + 1) * len(example.ids) > tokens:
            parts.append(tuple(part))
            part = []
        part.append(example)
    return [*parts, tuple(part)] if part else parts
