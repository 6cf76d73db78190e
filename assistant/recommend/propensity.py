"""How likely a customer buys an item in the days to come: a calibrated probability, and how far it can be trusted.

What the scorers, the sales and the customer's own views say before a moment is the input, what was bought after
it the outcome; a logistic regression is fitted on half of the customers, calibrated on a quarter (Platt), and
judged on the last quarter, which neither saw. Not a ranking: that is the blend.

Sources: Platt 1999; expected calibration error over equal-mass bins (Naeini et al. 2015).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assistant.errors import BadInput
from assistant.goods import Interaction
from assistant.recommend.recommender import EVENTS, TAKEN, Recommender, fit

HORIZON = 0.15
"""The last share of the purchases: the days they took are what is predicted. A stray late view changes nothing."""
LEAST = 60
BINS = 8
_CUSTOMERS = 1500
_ITEMS = 400
_SEED = 0


@dataclass(frozen=True, slots=True)
class Propensity:
    """A fitted model and its reliability on customers it never saw.

    `bins` are (mean predicted, observed share, pairs), rising; `error` is their mean distance, weighted; `days`
    is the horizon, `n` the pairs judged, `until` the end of the log.
    """

    days: float
    bins: tuple[tuple[float, float, int], ...]
    error: float
    n: int
    until: dt.datetime
    model: Any = None
    calibration: Any = None

    def probability(self, recommender: Recommender, history: Sequence[Interaction], rows: Any) -> Any:
        """(m,) the probability that the customer buys each of the rows within `days` of the end of what is known."""
        # Ranks are among others: here too among as many as the model was fitted with.
        among = np.union1d(_drawn(np.random.default_rng(_SEED), len(recommender.table), _ITEMS), rows)
        now = max([self.until, *(one.at for one in history[-1:])])
        x = features(recommender, history, among, now)[np.searchsorted(among, rows)]
        return _calibrated(self.calibration, self.model.decision_function(x))


def fit_propensity(recommender: Recommender, interactions: Sequence[Interaction]) -> Propensity:
    """The model of a log.

    Raises:
        BadInput: too few purchases lie in the last part of the log.
    """
    known = [one for one in interactions if one.item in recommender.table.row and one.event in EVENTS]
    if not known:
        raise BadInput(
            "There are no interactions to learn from.", hint="`confide interactions import FILE` reads some."
        )
    taken = sorted(one.at for one in known if one.event in TAKEN)
    last = max(one.at for one in known) if not taken else taken[-1]
    cut = taken[int(len(taken) * (1 - HORIZON))] if taken else last
    before = [one for one in known if one.at <= cut]
    bought = {(one.customer, one.item) for one in known if one.at > cut and one.event in TAKEN}
    past = fit(recommender.table, before, recommender.vectors)
    x, y, whose = _pairs(past, before, bought, cut)
    if y.sum() < LEAST:
        raise BadInput(
            f"Only {int(y.sum())} purchases lie in the last {(last - cut).days} days; {LEAST} are needed.",
            hint="Import a longer log.",
        )
    return _judged(x, y, whose, days=(last - cut).total_seconds() / 86400, until=last)


def features(recommender: Recommender, history: Sequence[Interaction], rows: Any, now: dt.datetime) -> Any:
    """(m, f): the scorers' ranks, sales, what the customer did with the item, and how long since the last visit."""
    ranks = recommender.blend.features([recommender.history_of(history)], rows)[:, 0].T
    touched = np.zeros(len(recommender.table))
    owned = np.zeros(len(recommender.table))
    for one in history:
        row = recommender.table.row.get(one.item)
        if row is not None and one.event in EVENTS:
            touched[row] = max(touched[row], EVENTS[one.event])
            owned[row] = max(owned[row], float(one.event in TAKEN))
    rest = (now - history[-1].at).total_seconds() / 86400 if history else 999.0
    visits = len({one.at.date() for one in history})
    fixed = np.tile([np.log1p(max(rest, 0.0)), np.log1p(visits)], (len(rows), 1))
    sales = np.log1p(recommender.buyers[rows])[:, None]
    return np.hstack([ranks, sales, touched[rows][:, None], owned[rows][:, None], fixed])


def _pairs(past: Recommender, before: Sequence[Interaction], bought: set[tuple[str, str]], cut: dt.datetime) -> Any:
    """(features, bought or not, the customer's number) of some customers and items."""
    dice = np.random.default_rng(_SEED)
    people: dict[str, list[Interaction]] = {}
    for one in before:
        people.setdefault(one.customer, []).append(one)
    names = sorted(people)
    chosen = _drawn(dice, len(names), _CUSTOMERS)
    items = past.table.items
    n = len(items)
    x, y, whose = [], [], []
    for number in chosen:
        name = names[number]
        rows = _drawn(dice, n, _ITEMS)
        x.append(features(past, people[name], rows, cut))
        y.append(np.array([(name, items[row].id) in bought for row in rows]))
        whose.append(np.full(len(rows), number))
    return np.vstack(x), np.concatenate(y), np.concatenate(whose)


def _drawn(dice: np.random.Generator, n: int, most: int) -> Any:
    """At most so many of n, rising."""
    return np.sort(dice.permutation(n)[:most])


def _judged(x: Any, y: Any, whose: Any, *, days: float, until: dt.datetime) -> Propensity:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    part = np.random.default_rng(_SEED).permutation(int(whose.max()) + 1)[whose] % 4
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    model.fit(x[part < 2], y[part < 2])
    calibration = LogisticRegression(C=1e6).fit(model.decision_function(x[part == 2])[:, None], y[part == 2])
    said = _calibrated(calibration, model.decision_function(x[part == 3]))
    seen = y[part == 3]
    order = np.argsort(said, kind="stable")
    bins = tuple(
        (float(said[some].mean()), float(seen[some].mean()), len(some))
        for some in np.array_split(order, BINS)
        if len(some)
    )
    error = sum(count * abs(predicted - observed) for predicted, observed, count in bins) / len(seen)
    return Propensity(days, bins, float(error), len(seen), until, model, calibration)


def _calibrated(calibration: Any, margins: Any) -> Any:
    return calibration.predict_proba(np.asarray(margins)[:, None])[:, 1]
