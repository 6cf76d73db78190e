"""movielens: the scorers and the blend on MovieLens small 2016, every one tuned alike.

Protocol: every rating is one interaction; a customer's last by time (equal times in the file's order) is the
test item, the one before it the validation item; ALL unseen items are ranked, ties count half. Each scorer's
grid, recency of the history among it, is searched on the validation item by nDCG@10, then the scorer is fitted
on all but the test item. The blend's weights are learned on the validation item. The test item is used once.
`hr@10`, `ndcg@10` are the best single scorer's by validation.

The file lists a customer's equal times by movie number, and ratings come in bursts: some of what the session
scorer knows is the order of the site's own list. `*_shuffled` breaks equal times at random instead.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assistant.recommend import factors, scorers
from assistant.recommend.blend import Blend
from assistant.recommend.log import Floats, Ints, Log
from assistant.recommend.scorers import Scorer
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks.common import eval_data, mean, provenance

RECENT = (0.0, 2.0, 5.0, 10.0, 20.0)
_Make = Callable[..., Scorer]
GRIDS: dict[str, tuple[_Make, dict[str, Sequence[Any]]]] = {
    "popularity": (scorers.Popularity, {"half_life_days": (0, 365, 1460, 3650)}),
    "item-knn": (scorers.ItemKNN, {"k": (20, 50, 200), "recent": RECENT}),
    "session": (scorers.Transitions, {"window": (1, 3, 5, 10, 20), "damping": (0.0, 0.25, 0.5), "recent": RECENT}),
    "ease": (scorers.Ease, {"regularization": (30, 100, 300, 1000), "recent": RECENT}),
    "als": (factors.Als, {"factors": (32, 64), "regularization": (0.01, 1.0), "alpha": (1, 10, 40), "recent": RECENT}),
    "bpr": (factors.Bpr, {"factors": (32, 64), "learning_rate": (0.03, 0.1), "regularization": (0.01, 0.05), "recent": RECENT}),
}  # fmt: skip


def run() -> Report:
    """The table."""
    train, validation = read()
    test_rest, users, test = train
    rows: list[Measure] = []
    chosen: dict[str, dict[str, Any]] = {}
    tuned: dict[str, float] = {}
    hits: dict[str, tuple[list[float], list[float]]] = {}
    for name, (make, grid) in GRIDS.items():
        chosen[name], tuned[name] = tune(make, grid, *validation)
        scorer = make(**chosen[name])
        scorer.fit(test_rest)
        hits[name] = judge(scorer.scores(test_rest.histories(users)), test_rest, users, test)
    blend = Blend([make(**chosen[name]) for name, (make, _) in GRIDS.items()])
    blend.fit(test_rest)  # holds out each customer's last event of it: the validation item
    hits["blend"] = judge(blend.scores(test_rest.histories(users)), test_rest, users, test)
    for name, (hit, gain) in hits.items():
        rows += [*measures(name, hit, gain)]
    best = max(tuned, key=lambda name: tuned[name])
    head = [*measures("", *hits[best]), *measures("ease_plain", *plain_ease(*train)), *shuffled(chosen["session"])]
    made = provenance(
        load_settings(), best=best, chosen=chosen, weights=blend.weights.round(3).tolist(), protocol=__doc__
    )
    return Report("movielens", (*head, *rows), made)


def plain_ease(rest: Log, users: Ints, taken: Ints) -> tuple[list[float], list[float]]:
    """EASE as published, lambda 100, all events alike: the reference that this protocol is checked with."""
    scorer = scorers.Ease(regularization=100)
    scorer.fit(rest)
    return judge(scorer.scores(rest.histories(users)), rest, users, taken)


def shuffled(options: dict[str, Any]) -> list[Measure]:
    """The session scorer where equal times are in random order."""
    (rest, users, taken), _ = read(shuffle=True)
    scorer = scorers.Transitions(**options)
    scorer.fit(rest)
    return measures("session_shuffled", *judge(scorer.scores(rest.histories(users)), rest, users, taken))


def read(*, shuffle: bool = False) -> tuple[tuple[Log, Ints, Ints], tuple[Log, Ints, Ints]]:
    """((log, customers, test item), (log, customers, validation item))."""
    with (eval_data("movielens_small_2016") / "ratings.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(row["userId"], row["movieId"], int(row["timestamp"]) / 86400) for row in csv.DictReader(stream)]
    if shuffle:
        np.random.default_rng(0).shuffle(rows)
    users = {name: place for place, name in enumerate(dict.fromkeys(row[0] for row in rows))}
    items = {name: place for place, name in enumerate(dict.fromkeys(row[1] for row in rows))}
    log = Log.of([users[row[0]] for row in rows], [items[row[1]] for row in rows], [row[2] for row in rows])
    train = log.without_last(1)
    return train, train[0].without_last(1)


def tune(
    make: _Make, grid: dict[str, Sequence[Any]], rest: Log, users: Ints, taken: Ints
) -> tuple[dict[str, Any], float]:
    """(the options with the best nDCG@10, that number); what only weighs the history is not fitted again."""
    histories = rest.histories(users)
    recencies = grid.get("recent", (None,))
    names = [name for name in grid if name != "recent"]
    best: tuple[float, dict[str, Any]] = (-1.0, {})
    for values in itertools.product(*(grid[name] for name in names)):
        options = dict(zip(names, values, strict=True))
        scorer: Any = make(**options)
        scorer.fit(rest)
        for recent in recencies:
            if recent is not None:
                scorer.recent = options["recent"] = recent
            _, gain = judge(scorer.scores(histories), rest, users, taken)
            if np.mean(gain) > best[0]:
                best = float(np.mean(gain)), dict(options)
    return best[1], best[0]


def judge(scores: Floats, rest: Log, users: Ints, taken: Ints) -> tuple[list[float], list[float]]:
    """(hit, gain) of each customer: whether the taken item is among the first ten of all unseen, and 1/log2(rank + 1)."""
    scores = np.where(rest.matrix()[users].toarray() > 0, -np.inf, scores)
    own = scores[np.arange(len(users)), taken][:, None]
    rank = (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
    hit = rank < 10
    return hit.astype(float).tolist(), np.where(hit, 1 / np.log2(rank + 2), 0.0).tolist()


def measures(name: str, hit: Sequence[float], gain: Sequence[float]) -> list[Measure]:
    """HR@10, its standard error, and nDCG@10."""
    tail = f"_{name}" if name else ""
    error = float(np.std(hit, ddof=1) / np.sqrt(len(hit)))
    return [mean(f"hr@10{tail}", hit), Measure(f"se_hr@10{tail}", error, n=len(hit)), mean(f"ndcg@10{tail}", gain)]
