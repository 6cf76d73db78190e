"""The learned blend: one ranking from several scorers, by weights fitted on held-out events.

Scorers' numbers are not comparable, so each is turned into 10 / (10 + rank) within the list to be ranked; the
weights maximise the probability of the item that was really taken next among all unseen ones (a conditional
logit), never below zero. A scorer that says nothing about somebody counts nothing for them.

Sources: reciprocal rank fusion (Cormack et al. 2009); the conditional logit (McFadden 1974).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from assistant.recommend.log import Floats, History, Ints, Log
from assistant.recommend.scorers import Scorer

DEPTH = 10.0
PENALTY = 0.01
LEAST_CUSTOMERS = 50
"""With fewer customers to learn from, all scorers that are not popularity weigh the same."""
_BATCH = 256
_SAMPLE = 2000
_CELLS = 10_000_000
"""The weights are learned on so many pairs of customer and item at most: a few hundred customers of a large shop."""


class Blend:
    """A scorer made of scorers."""

    name = "blend"

    def __init__(self, scorers: Sequence[Scorer], weights: Sequence[float] | None = None) -> None:
        self.scorers = tuple(scorers)
        self.weights = np.asarray(
            weights if weights is not None else [_prior(one) for one in scorers], dtype=np.float64
        )

    def fit(self, log: Log) -> None:
        """Learns the weights on each customer's last event, then fits the scorers on everything."""
        rest, users, taken = log.without_last(1)
        if len(users) >= LEAST_CUSTOMERS:
            for scorer in self.scorers:
                scorer.fit(rest)
            most = max(LEAST_CUSTOMERS, min(_SAMPLE, _CELLS // log.n_items))
            some = np.sort(np.random.default_rng(0).permutation(len(users))[:most])
            self.weights = learn(self.features(rest.histories(users[some])), rest, users[some], taken[some])
        for scorer in self.scorers:
            scorer.fit(log)

    def features(self, histories: Sequence[History], candidates: Ints | None = None) -> Any:
        """(B, m, scorers) float32: every scorer's ranks among the candidates."""
        return np.stack([ranks(one.scores(histories, candidates)) for one in self.scorers], axis=-1)

    def scores(self, histories: Sequence[History], candidates: Ints | None = None) -> Floats:
        """The weighted sum."""
        return np.asarray(self.features(histories, candidates) @ self.weights, dtype=np.float64)


def ranks(scores: Floats) -> Any:
    """(B, m) float32: 10 / (10 + how many score higher); 0 where a row tells nothing apart.

    >>> ranks(np.array([[0.0, 3.0, 3.0], [1.0, 1.0, 1.0]])).round(3).tolist()
    [[0.8330000042915344, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    found = np.zeros(scores.shape, dtype=np.float32)
    for row, line in enumerate(scores):
        ordered = np.sort(line)
        if not len(line) or ordered[0] == ordered[-1]:
            continue
        higher = len(line) - np.searchsorted(ordered, line, side="right")
        found[row] = DEPTH / (DEPTH + higher)
    return found


def learn(features: Any, log: Log, users: Ints, taken: Ints) -> Floats:
    """(scorers,) weights >= 0 under which the items taken stand out most from all that were not seen."""
    from scipy.optimize import minimize

    seen = log.matrix()[users]
    rows = np.arange(len(users))
    size = features.shape[-1]

    def loss(weights: Floats) -> tuple[float, Floats]:
        total, slope = 0.0, np.zeros(size)
        for start in range(0, len(users), _BATCH):
            part = slice(start, start + _BATCH)
            value, gradient = _loss(weights, features[part], seen[part], taken[part])
            total, slope = total + value, slope + gradient
        n = len(rows)
        return total / n + PENALTY * float(weights @ weights), slope / n + 2 * PENALTY * weights

    found = minimize(
        loss, np.full(size, 0.5), jac=True, method="L-BFGS-B", bounds=[(0, None)] * size, options={"maxiter": 60}
    )
    return np.asarray(found.x, dtype=np.float64)


def _loss(weights: Floats, features: Any, seen: Any, taken: Ints) -> tuple[float, Floats]:
    """(sum of -log p, its gradient) of a batch."""
    rows = np.arange(len(taken))
    logits = features @ weights.astype(np.float32)
    hidden = seen.toarray() > 0
    hidden[rows, taken] = False
    logits[hidden] = -np.inf
    top = logits.max(axis=1, keepdims=True)
    shares = np.exp(logits - top)
    total = shares.sum(axis=1, keepdims=True)
    value = -(logits[rows, taken] - top[:, 0] - np.log(total[:, 0])).sum()
    gradient = np.einsum("bm,bmk->k", shares / total, features) - features[rows, taken].sum(axis=0)
    return float(value), np.asarray(gradient, dtype=np.float64)


def _prior(scorer: Scorer) -> float:
    return 0.25 if scorer.name == "popularity" else 1.0
