"""The learned blend: one ranking from several scorers, by weights fitted on held-out events.

Scorers' numbers are not comparable, so each is turned into 10 / (10 + rank) within the list to be ranked; the
weights maximise the probability of the item that was really taken next among all unseen ones (a conditional
logit), never below zero. A scorer that says nothing about somebody counts nothing for them.

Sources: reciprocal rank fusion (Cormack et al. 2009); the conditional logit (McFadden 1974), which a uniform sample
of the alternatives leaves consistent (McFadden 1978).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from assistant.recommend.arrays import Arrays, under
from assistant.recommend.log import Floats, History, Ints, Log, Mask
from assistant.recommend.scorers import Scorer

DEPTH = 10.0
PENALTY = 0.01
LEAST_CUSTOMERS = 50
"""With fewer customers to learn from, all scorers that are not popularity weigh the same."""
_BATCH = 64
_CUSTOMERS = 2000
_CELLS = 25_000_000
"""Scores looked at for the weights, at most: of a shop with many items, fewer customers."""
_ITEMS = 20_000
_OTHERS = 2000
"""With more items than `_ITEMS`, the item taken is compared with so many others, drawn at random."""


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
            most = max(LEAST_CUSTOMERS, min(_CUSTOMERS, _CELLS // log.n_items))
            some = np.sort(np.random.default_rng(0).permutation(len(users))[:most])
            self.weights = learn(*self._choices(rest, users[some], taken[some]))
        for scorer in self.scorers:
            scorer.fit(log)

    def features(self, histories: Sequence[History], candidates: Ints | None = None) -> Any:
        """(scorers, B, m) float32: every scorer's ranks among the candidates."""
        return np.stack([ranks(one.scores(histories, candidates)) for one in self.scorers])

    def scores(self, histories: Sequence[History], candidates: Ints | None = None) -> Floats:
        """The weighted sum."""
        return np.asarray(np.tensordot(self.weights, self.features(histories, candidates), 1), dtype=np.float64)

    def state(self) -> Arrays:
        """The weights, and what every scorer learned under its name."""
        parts = {f"{one.name}/{key}": value for one in self.scorers for key, value in one.state().items()}
        return {"weights": self.weights, **parts}

    def restore(self, state: Arrays) -> None:
        """The same."""
        self.weights = state["weights"]
        for one in self.scorers:
            one.restore(under(one.name, state))

    def _choices(self, log: Log, users: Ints, taken: Ints) -> tuple[Any, Mask]:
        """What each customer chose from: (scorers, B, m) ranks, (B, m) what does not count. The last was taken."""
        others = np.arange(log.n_items)
        if log.n_items > _ITEMS:
            others = np.sort(np.random.default_rng(1).permutation(log.n_items)[:_OTHERS])
        seen = log.matrix()
        features, hidden = [], []
        for start in range(0, len(users), _BATCH):
            part, own = users[start : start + _BATCH], taken[start : start + _BATCH, None]
            asked = np.hstack([np.tile(others, (len(part), 1)), own])
            histories = log.histories(part)
            features.append(np.stack([ranks(one.scores(histories), asked) for one in self.scorers]))
            gone = (seen[part][:, others].toarray() > 0) | (others == own)
            hidden.append(np.hstack([gone, np.zeros_like(own, dtype=np.bool_)]))
        return np.concatenate(features, axis=1), np.concatenate(hidden)


def ranks(scores: Floats, asked: Ints | None = None) -> Any:
    """(B, m) float32: 10 / (10 + how many score higher); 0 where a row tells nothing apart.

    `asked` (B, k) are the columns that are wanted, all where None; the rank is among all.

    >>> ranks(np.array([[0.0, 3.0, 3.0], [1.0, 1.0, 1.0]])).round(3).tolist()
    [[0.8330000042915344, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    found = np.zeros(scores.shape if asked is None else asked.shape, dtype=np.float32)
    for row, line in enumerate(scores):
        ordered = np.sort(line)
        if not len(line) or ordered[0] == ordered[-1]:
            continue
        wanted = line if asked is None else line[asked[row]]
        higher = len(line) - np.searchsorted(ordered, wanted, side="right")
        found[row] = DEPTH / (DEPTH + higher)
    return found


def learn(features: Any, hidden: Mask) -> Floats:
    """(scorers,) weights >= 0 under which what was taken stands out most from all that counts.

    `features` (scorers, B, m) float32 and `hidden` (B, m) as of `Blend._choices`: the last column was taken.
    """
    from scipy.optimize import minimize

    size, n, m = features.shape
    flat = features.reshape(size, -1)

    def loss(weights: Floats) -> tuple[float, Floats]:
        logits = (weights.astype(np.float32) @ flat).reshape(n, m)
        logits[hidden] = -np.inf
        top = logits.max(axis=1, keepdims=True)
        shares = np.exp(logits - top)
        total = shares.sum(axis=1, keepdims=True, dtype=np.float64)
        value = -(logits[:, -1] - top[:, 0] - np.log(total[:, 0])).sum()
        expected = flat @ np.divide(shares, total, dtype=np.float32, casting="same_kind").ravel()
        slope = (expected - features[:, :, -1].sum(axis=1)).astype(np.float64)
        return float(value) / n + PENALTY * float(weights @ weights), slope / n + 2 * PENALTY * weights

    found = minimize(
        loss, np.full(size, 0.5), jac=True, method="L-BFGS-B", bounds=[(0, None)] * size, options={"maxiter": 60}
    )
    return np.asarray(found.x, dtype=np.float64)


def _prior(scorer: Scorer) -> float:
    return 0.25 if scorer.name == "popularity" else 1.0
