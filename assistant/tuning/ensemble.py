"""Several classifiers as one: the mean of their probabilities.

Members are asked one after the other and may differ in base and kind; a wrong member is outvoted where the
others are sure. Not a way to combine weights: that is `merging.py`, for chat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from assistant.errors import BadInput


class Member(Protocol):
    """A classifier as `classifier.load` makes it."""

    labels: tuple[str, ...]

    def classify(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, labels) probabilities."""
        ...


class Ensemble:
    """A classifier whose probabilities are the mean of its members'; labels in the order of the first."""

    def __init__(self, members: Sequence[Member]) -> None:
        """Raises BadInput where there are none, or they tell different labels apart."""
        if not members or any(set(member.labels) != set(members[0].labels) for member in members):
            raise BadInput("An ensemble needs classifiers of the same labels.", hint="Train them on the same labels.")
        self.labels = members[0].labels
        self._members = tuple(members)
        self._orders = [[member.labels.index(label) for label in self.labels] for member in members]

    def classify(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, labels): how likely each class is."""
        odds = [member.classify(texts)[:, order] for member, order in zip(self._members, self._orders, strict=True)]
        mean: npt.NDArray[np.float32] = np.mean(odds, axis=0, dtype=np.float32)
        return mean
