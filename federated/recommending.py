"""Federated recommendation: item-item sums of all partners, and the linear item model that they give.

The linear model (EASE) needs of a log `X` (customers by items) nothing but `X'X`. Customers are at one partner
each, so the partners' sums add up to the sum over everybody: one masked round on the same wire as an
adapter's, and the model equals the one of the pooled logs. No customer, no row and no partner's own sum is seen.

What is not here: the model itself (`assistant/recommend/scorers.py: Ease`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from federated.aggregation import Matrix, norm
from federated.errors import BadRequest
from federated.local import Trained
from federated.spending import OwnBook
from federated.types import Arrays, RoundPlan, TensorSpec
from federated.weights import load_weights, save_weights
from privacy.types import PrivacySpend

if TYPE_CHECKING:
    from assistant.recommend.scorers import Ease

_log = logging.getLogger(__name__)

GRAM = "gram"
UNIT = 1000.0
"""Sums travel in thousands: the round's clip norm then bounds what a policy allows an adapter, too."""


class GramTrainer:
    """A `local.Trainer` that trains nothing: its change is this partner's item-item sums. They are on its `book`
    as an ordinary training is."""

    def __init__(self, gram: Matrix, customers: int, *, book: OwnBook | None = None) -> None:
        self._gram, self._customers, self._book = gram, customers, book

    def tensors(self) -> tuple[TensorSpec, ...]:
        """The upper triangle as one vector."""
        return specs(len(self._gram))

    def train(self, start: Arrays, plan: RoundPlan) -> Trained:
        """The sums.

        Raises:
            BadRequest: they are longer than the round's bound: clipped sums would be wrong sums.
            BudgetExceeded: the data set has a budget, which sums without noise do not keep.
        """
        if plan.dp is not None:
            raise BadRequest("Item-item sums carry no noise, and this run promises differential privacy.")
        change = {GRAM: packed(self._gram) / UNIT}
        if norm(change) > plan.clip_norm:
            raise BadRequest(
                f"This partner's item-item sums have norm {norm(change):.3g}; the round's bound is {plan.clip_norm:g}.",
                hint="The coordinator sets it: federated coordinator init --clip-norm",
            )
        spend = PrivacySpend.nonprivate(self._book.dataset if self._book else GRAM)
        if self._book is not None:
            self._book.settle(self._book.charge(plan, spend), steps=1)
        return Trained(change, self._customers, spend=spend)

    def evaluate(self, weights: Arrays) -> Mapping[str, float]:
        """Nothing is told."""
        return {}


def gram_of(
    path: Path, items: Sequence[str], *, gone: Callable[[Iterable[str]], set[str]] = lambda customers: set()
) -> tuple[Matrix, int]:
    """(item-item sums (n, n) in the order of `items`, number of customers) of an interactions file.

    `gone` names the customers who were erased: theirs do not count.

    Raises:
        BadRequest: an item is named twice, or nothing is left to count: zeros would pass for an answer.
    """
    from assistant.recommend.interactions import read_interactions
    from assistant.recommend.log import Log
    from assistant.recommend.recommender import EVENTS

    row = {item: place for place, item in enumerate(items)}
    if len(row) != len(items) or not items:
        raise BadRequest("The items that everybody counts are named once each, and there is at least one.")
    read = read_interactions(path, items=row)
    if read.bad or read.unknown:
        _log.warning("%s: %d rows cannot be read, %d are of other items.", path, len(read.bad), read.unknown)
    found = [one for one in read.interactions if one.event in EVENTS]
    erased = gone({one.customer for one in found})
    found = [one for one in found if one.customer not in erased]
    if not found:
        raise BadRequest(
            f"{path} holds no interaction that counts: no item is one of those that everybody counts, or every "
            "customer was erased.",
            hint="Ids are compared letter by letter: compare them with the coordinator's list.",
        )
    users = {name: place for place, name in enumerate(sorted({one.customer for one in found}))}
    log = Log.of(
        [users[one.customer] for one in found], [row[one.item] for one in found],
        weights=[EVENTS[one.event] for one in found], n_items=len(items),
    )  # fmt: skip
    matrix = log.matrix()
    return np.asarray((matrix.T @ matrix).toarray(), np.float64), len(users)


def specs(items: int) -> tuple[TensorSpec, ...]:
    """What travels for so many items."""
    return (TensorSpec(GRAM, (items * (items + 1) // 2,)),)


def packed(gram: Matrix) -> Matrix:
    """The upper triangle of a symmetric matrix, row by row."""
    return np.asarray(gram[np.triu_indices(len(gram))], np.float64)


def unpacked(vector: Matrix) -> Matrix:
    """The symmetric matrix of an upper triangle."""
    count = round((np.sqrt(8 * len(vector) + 1) - 1) / 2)
    gram = np.zeros((count, count))
    gram[np.triu_indices(count)] = vector
    return gram + np.triu(gram, 1).T


def total(weights: Arrays, partners: int) -> Matrix:
    """The sums over all partners, from the mean that a round over so many of them gave."""
    return unpacked(weights[GRAM]) * (UNIT * partners)


def save_gram(path: Path, gram: Matrix, items: Sequence[str]) -> None:
    """Replaces the file in one step."""
    save_weights(path, {GRAM: packed(gram)}, {"items": list(items)})


def load_gram(path: Path) -> tuple[Matrix, tuple[str, ...]]:
    """What `save_gram` wrote."""
    weights, about = load_weights(path)
    return unpacked(weights[GRAM]), tuple(about["items"])


def model_of(gram: Matrix, *, regularization: float = 300.0, recent: float = 5.0) -> Ease:
    """The linear item model of everybody's sums."""
    from assistant.recommend.scorers import Ease

    made = Ease(regularization=regularization, recent=recent)
    made.fit_gram(gram)
    return made
