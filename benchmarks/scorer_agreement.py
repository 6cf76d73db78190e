"""scorer-agreement: the largest difference between each scorer and the textbook's formula in float64, on a small log."""

from __future__ import annotations

from typing import Any

import numpy as np

from assistant.recommend import factors, scorers
from assistant.recommend.log import History, Log
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks.common import provenance

SEED = 20_240_229


def run() -> Report:
    """Every scorer."""
    dice = np.random.default_rng(SEED)
    users, items = dice.integers(0, 40, 600), dice.integers(0, 60, 600)
    log = Log.of(users, items, n_users=40, n_items=60)
    x = (np.bincount(log.users * 60 + log.items, minlength=2400).reshape(40, 60) > 0).astype(float)
    taken = np.stack(
        [np.bincount(history.items, minlength=60) / max(len(history.items), 1) for history in log.histories()]
    )
    errors = {
        "popularity": np.abs(_fitted(scorers.Popularity(), log) - np.bincount(log.items, minlength=60)).max(),
        "ease_by_customers": np.abs(_fitted(scorers.Ease(regularization=20), log) - taken @ _ease(x, 20)).max(),
        "ease_by_items": np.abs(_ease_by_items()).max(),
        "item-knn": np.abs(_fitted(scorers.ItemKNN(k=60), log) - taken @ _cosine(x)).max(),
        "session": np.abs(_fitted(scorers.Transitions(window=2, recent=0), log) - taken @ _next(log, 2)).max(),
        "als_fold_in": _als_error(log, x),
        "bpr_product": _bpr_error(log),
    }
    measures = [Measure("max_error", float(max(errors.values())))]
    measures += [Measure(f"max_error_{name}", float(error)) for name, error in errors.items()]
    return Report("scorer-agreement", tuple(measures), provenance(load_settings()))


def _fitted(scorer: scorers.Scorer, log: Log) -> Any:
    scorer.fit(log)
    return scorer.scores(log.histories())


def _ease(x: Any, regularization: float) -> Any:
    inverse = np.linalg.inv(x.T @ x + regularization * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def _ease_by_items() -> Any:
    """With more customers than items the other side is solved: against the formula too."""
    dice = np.random.default_rng(1)
    log = Log.of(dice.integers(0, 90, 500), dice.integers(0, 30, 500), n_users=90, n_items=30)
    x = (np.bincount(log.users * 30 + log.items, minlength=2700).reshape(90, 30) > 0).astype(float)
    taken = np.stack([np.bincount(one.items, minlength=30) / max(len(one.items), 1) for one in log.histories()])
    return _fitted(scorers.Ease(regularization=20), log) - taken @ _ease(x, 20)


def _cosine(x: Any) -> Any:
    norms = np.sqrt((x**2).sum(axis=0))
    similar = (x.T @ x) / np.maximum(np.outer(norms, norms), 1e-12)
    np.fill_diagonal(similar, 0)
    return similar


def _next(log: Log, window: int) -> Any:
    counts = np.zeros((log.n_items, log.n_items))
    for history in log.histories():
        for place, item in enumerate(history.items):
            for distance in range(1, window + 1):
                if place + distance < len(history.items):
                    counts[item, history.items[place + distance]] += 1 / distance
    return counts


def _als_error(log: Log, x: Any) -> float:
    """A customer's vector against the normal equations solved directly (float32 factors: relative error)."""
    model = factors.Als(factors=8, regularization=0.1, alpha=3)
    model.fit(log)
    y = model.item_factors.astype(np.float64)
    history = History.of(sorted(np.flatnonzero(x[3])))
    c = 3.0
    mine = y[history.items]
    left = y.T @ y + mine.T @ mine * (c - 1) + 0.1 * np.eye(8)
    direct = np.linalg.solve(left, c * mine.sum(axis=0))
    return float(np.abs(model.customers([history])[0] - direct).max() / np.abs(direct).max())


def _bpr_error(log: Log) -> float:
    model = factors.Bpr(factors=8, iterations=5)
    model.fit(log)
    history = log.histories()[5]
    product = model.scores([history])[0]
    chosen = model.scores([history], np.array([7, 3]))[0]
    return float(np.abs(product[[7, 3]] - chosen).max())
