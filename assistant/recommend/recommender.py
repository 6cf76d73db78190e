"""A fitted recommender of one catalogue: candidates, scores, order. Its parts are handed in; it reads nothing.

Conditions come first: a row outside `allowed` is never scored. Then, on a large catalogue, some thousand
candidates from the neighbours of the history, the nearest vectors and the best sellers; on a small one,
everything that is allowed. Then the blend, how well a row answers the request, and diversity.

Sources: maximal marginal relevance (Carbonell & Goldstein 1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assistant.goods import Interaction
from assistant.recommend.blend import Blend, ranks
from assistant.recommend.candidates import Nearest
from assistant.recommend.factors import Als
from assistant.recommend.lexical import Lexical
from assistant.recommend.log import Floats, History, Ints, Log, Mask
from assistant.recommend.scorers import Content, Ease, ItemKNN, Popularity, Scorer, Transitions, one_blas_thread
from assistant.recommend.table import Table

SMALL = 2000
"""So many allowed rows are all scored; of more, the candidates."""
PER_SOURCE = 300
EVENTS = {"view": 0.2, "click": 0.3, "cart": 0.6, "buy": 1.0, "rating": 1.0}
TAKEN = ("buy", "rating")
RELEVANCE = 3.0
"""Weight of the answer to a request beside the whole blend's (which sums to 1)."""
DIVERSITY = 0.2
LIKED = 3.0
"""So many of five stars speak for an item; fewer do not."""
_REPEATED, _BUYERS = 0.2, 3


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to the recommender. `vector` (d,) is the request's; `seeds` are rows to be like."""

    history: Sequence[Interaction]
    allowed: Mask
    n: int = 10
    vector: Any = None
    words: str = ""
    seeds: Sequence[int] = ()
    hidden: Sequence[int] = ()


@dataclass(slots=True)
class Recommender:
    """Fitted by `fit`. `together` counts the customers who took two items, for reasons.

    `liked_from` are the stars from which a rating speaks for its item.
    """

    table: Table
    blend: Blend
    vectors: Any
    taken: Any
    repeated: Mask
    fitted_on: int
    lexical: Lexical
    near: dict[str, Nearest] = field(default_factory=dict)
    liked_from: float = 0.0
    buyers: Ints = field(init=False)
    best_sellers: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.buyers = np.asarray(self.taken.sum(axis=0)).ravel().astype(np.int64)
        self.best_sellers = np.argsort(-self.buyers, kind="stable")

    def rank(self, ask: Ask) -> list[tuple[int, float]]:
        """(row, score) of the best `n`, best first; fewer where fewer are allowed."""
        with one_blas_thread():
            return self._rank(ask)

    def _rank(self, ask: Ask) -> list[tuple[int, float]]:
        open_rows = ask.allowed.copy()
        open_rows[self._closed(ask.history)] = False
        open_rows[list(ask.hidden)] = False
        history = self.history_of(ask.history)
        if ask.seeds:
            open_rows[list(ask.seeds)] = False
            history = History.of(list(ask.seeds))
        rows = self._candidates(ask, history, open_rows)
        if not len(rows):
            return []
        scores = self.blend.scores([history], rows)[0] / max(float(self.blend.weights.sum()), 1e-9)
        scores = scores + RELEVANCE * self._relevance(ask, rows)
        return self._diverse(rows, scores, ask.n)

    def likes(self, one: Interaction) -> bool:
        """Whether an event speaks for its item: a dismissal and few stars do not."""
        return one.event in EVENTS and (one.event != "rating" or one.value >= self.liked_from)

    def history_of(self, interactions: Sequence[Interaction]) -> History:
        """What a customer liked, as the scorers read it."""
        known = [one for one in interactions if one.item in self.table.row and self.likes(one)]
        rows = np.array([self.table.row[one.item] for one in known], dtype=np.int64)
        return History(rows, np.array([EVENTS[one.event] for one in known], dtype=np.float64))

    def together(self, rows: Sequence[int], others: Sequence[int]) -> Ints:
        """(len(rows), len(others)) how many customers took both."""
        if not len(rows) or not len(others):
            return np.zeros((len(rows), len(others)), dtype=np.int64)
        both = self.taken[:, list(rows)].T @ self.taken[:, list(others)]
        return np.asarray(both.toarray(), dtype=np.int64)

    def _closed(self, interactions: Sequence[Interaction]) -> list[int]:
        """Rows that are not recommended to this customer: bought ones that nobody buys again, dismissed ones."""
        rows = {self.table.row[one.item] for one in interactions if one.item in self.table.row and one.event in TAKEN}
        gone = {one.item for one in interactions if one.event == "dismiss"}
        return [row for row in rows if not self.repeated[row]] + [
            self.table.row[x] for x in gone if x in self.table.row
        ]

    def _candidates(self, ask: Ask, history: History, allowed: Mask) -> Ints:
        rows = np.flatnonzero(allowed)
        if len(rows) <= SMALL:
            return rows
        found: list[Ints] = [self.best_sellers[:PER_SOURCE]]
        for scorer in self.blend.scorers:
            if isinstance(scorer, (ItemKNN, Transitions)) and len(history.items):
                near = scorer.neighbours(history.items[-20:])
                found.append(near[:PER_SOURCE])
            if isinstance(scorer, Als) and len(history.items) and "als" in self.near:
                found.append(self.near["als"].search(scorer.customers([history]), PER_SOURCE)[0])
        if "content" in self.near:
            mean = self.vectors[history.items[-5:]].mean(axis=0) if len(history.items) else None
            found += [self.near["content"].search(one, PER_SOURCE)[0] for one in (mean, ask.vector) if one is not None]
        if ask.words:
            found.append(self.lexical.best(ask.words, PER_SOURCE))
        some = np.concatenate(found)
        chosen = np.zeros(len(allowed), dtype=np.bool_)
        chosen[some[some >= 0]] = True
        chosen &= allowed
        if chosen.sum() < 5 * ask.n:  # a narrow filter that no source knows of: the first that sell best
            chosen[self.best_sellers[allowed[self.best_sellers]][:SMALL]] = True
        return np.flatnonzero(chosen)

    def _relevance(self, ask: Ask, rows: Ints) -> Floats:
        """(m,) how well each row answers the request; zeros where there is none."""
        parts = []
        if ask.vector is not None and self.vectors is not None:
            parts.append(np.asarray(self.vectors[rows] @ ask.vector, dtype=np.float64))
        said = self.lexical.scores(ask.words) if ask.words else None
        if said is not None:
            parts.append(said[rows])
        if not parts:
            return np.zeros(len(rows))
        return np.asarray(ranks(np.stack(parts)).mean(axis=0), dtype=np.float64)

    def _diverse(self, rows: Ints, scores: Floats, n: int) -> list[tuple[int, float]]:
        """The best by score, each costing what it repeats of those before it."""
        best = np.argsort(-scores, kind="stable")[: max(5 * n, 50)]
        rows, scores = rows[best], scores[best]
        if self.vectors is None or len(rows) <= 1:
            return [(int(row), float(score)) for row, score in zip(rows[:n], scores[:n], strict=True)]
        spread = float(scores[0] - scores[-1]) or 1.0
        alike = np.asarray(self.vectors[rows] @ self.vectors[rows].T)
        worst = np.zeros(len(rows))
        chosen: list[int] = []
        left = np.ones(len(rows), dtype=np.bool_)
        while len(chosen) < min(n, len(rows)):
            gain = np.where(left, (scores - scores[-1]) / spread - DIVERSITY * worst, -np.inf)
            place = int(np.argmax(gain))
            chosen.append(place)
            left[place] = False
            worst = np.maximum(worst, alike[place])
        return [(int(rows[place]), float(scores[place])) for place in chosen]


def fit(table: Table, interactions: Sequence[Interaction], vectors: Any = None) -> Recommender:
    """The recommender of a catalogue. `vectors` are (n, d) float32 unit rows of the items, or None."""
    users: dict[str, int] = {}
    known = [one for one in interactions if one.item in table.row and one.event in EVENTS]
    for one in known:
        users.setdefault(one.customer, len(users))
    # A log whose ratings are all 1 holds no stars.
    liked_from = min(LIKED, LIKED / 5 * max((one.value for one in known if one.event == "rating"), default=5.0))
    liked = [one for one in known if one.event != "rating" or one.value >= liked_from]
    log = Log.of(
        [users[one.customer] for one in liked],
        [table.row[one.item] for one in liked],
        [one.at.timestamp() / 86400 for one in liked],
        weights=[EVENTS[one.event] for one in liked],
        n_users=len(users),
        n_items=len(table),
    )
    blend = Blend(scorers_for(bool(liked), vectors))
    blend.fit(log)
    taken, repeated = _takings(table, known, users)
    near = {}
    if len(table) > SMALL:
        als = next((one for one in blend.scorers if isinstance(one, Als)), None)
        near = {} if vectors is None else {"content": Nearest(vectors)}
        near |= {} if als is None else {"als": Nearest(als.item_factors)}
    lexical = Lexical.of(table.items)
    return Recommender(table, blend, vectors, taken, repeated, len(interactions), lexical, near, liked_from)


def scorers_for(has_events: bool, vectors: Any = None) -> list[Scorer]:
    """The scorers of a blend: content alone where nobody did anything yet. Options as tuned on MovieLens."""
    content: list[Scorer] = [] if vectors is None else [Content(vectors)]
    if not has_events:
        return [Popularity(), *content]
    return [
        Popularity(half_life_days=365), ItemKNN(k=50, recent=5), Transitions(window=5, recent=2),
        Ease(regularization=300, recent=5), Als(regularization=1.0, alpha=10, recent=5), *content,
    ]  # fmt: skip


def _takings(table: Table, known: Sequence[Interaction], users: dict[str, int]) -> tuple[Any, Mask]:
    """(customers x items they took, whether an item is bought again by a fair share of those who took it)."""
    taken, bought = (
        _counts(table, [one for one in known if one.event in events], users) for events in (TAKEN, ("buy",))
    )
    again = np.asarray((bought > 1).sum(axis=0)).ravel()  # a purchase and its rating are not two purchases
    taken.data = np.minimum(taken.data, 1)
    buyers = np.asarray(taken.sum(axis=0)).ravel()
    return taken, (buyers >= _BUYERS) & (again >= _REPEATED * np.maximum(buyers, 1))


def _counts(table: Table, known: Sequence[Interaction], users: dict[str, int]) -> Any:
    """(customers, items) how often."""
    from scipy.sparse import csc_matrix

    cells = ([users[one.customer] for one in known], [table.row[one.item] for one in known])
    counts = csc_matrix((np.ones(len(known), dtype=np.int32), cells), shape=(max(len(users), 1), len(table)))
    counts.sum_duplicates()
    return counts
