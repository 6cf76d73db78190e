"""The scorers: how much each customer would like each item, by what is known of both. Smaller is less.

One protocol, `(histories, candidates) -> scores`; every scorer sees only the log it was fitted on. Scores of
different scorers are not comparable: `blend.py` weighs them. Factor models are in `factors.py`.

Sources: EASE (Steck 2019, arXiv:1905.03375, eq. 8), computed on the smaller side by the Woodbury identity;
item-kNN (Sarwar et al. 2001) with implicit's neighbours; transitions as in session-kNN's item-item form
(Ludewig & Jannach 2018, arXiv:1803.09587).
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from assistant.recommend.arrays import Arrays, packed, unpacked
from assistant.recommend.log import Floats, History, Ints, Log, profiles

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


_FEW = 8


class Scorer(Protocol):
    """What every scorer offers."""

    name: str

    def fit(self, log: Log) -> None:
        """Learns from a log."""
        ...

    def scores(self, histories: Sequence[History], candidates: Ints | None = None) -> Floats:
        """(B, m) finite scores of the candidates (rows of items; all items where None), higher is better.

        A history that says nothing to this scorer gives a row of zeros.
        """
        ...

    def state(self) -> Arrays:
        """What `fit` learned, as arrays; `restore` of them is as if it had been fitted."""
        ...

    def restore(self, state: Arrays) -> None:
        """Takes what `state` gave."""
        ...


class Popularity:
    """What others took, an event counting half after `half_life_days` (0: all count the same)."""

    name = "popularity"

    def __init__(self, half_life_days: float = 0.0) -> None:
        self.half_life_days = half_life_days
        self._counts: Floats = np.zeros(0)

    def fit(self, log: Log) -> None:
        """Counts."""
        weights = log.weights
        if self.half_life_days > 0 and len(weights):
            weights = weights * 0.5 ** ((log.times.max() - log.times) / self.half_life_days)
        self._counts = np.bincount(log.items, weights=weights, minlength=log.n_items).astype(np.float64)

    def scores(self, histories: Sequence[History], candidates: Ints | None = None) -> Floats:
        """The same row for everybody."""
        row = self._counts if candidates is None else self._counts[candidates]
        return np.tile(row, (len(histories), 1))

    def state(self) -> Arrays:
        """The counts."""
        return {"counts": self._counts}

    def restore(self, state: Arrays) -> None:
        """The counts."""
        self._counts = state["counts"]


class ItemKNN:
    """Items taken by the same customers: cosine over the `k` nearest of each item."""

    name = "item-knn"

    def __init__(self, k: int = 50, recent: float = 0.0) -> None:
        self.k, self.recent = k, recent
        self.similar: csr_matrix = None

    def fit(self, log: Log) -> None:
        """The neighbours of every item."""
        from implicit.nearest_neighbours import CosineRecommender
        from scipy.sparse import diags

        model = CosineRecommender(K=self.k + 1, num_threads=0)  # an item is its own nearest neighbour
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Method expects CSR")  # it transposes what it is given
            model.fit(log.matrix(), show_progress=False)
        self.similar = (model.similarity - diags(model.similarity.diagonal())).tocsr()

    def neighbours(self, items: Ints) -> Ints:
        """The rows nearest to any of these, the nearest first."""
        return _strongest(self.similar[items])

    def scores(self, histories: Sequence[History], candidates: Ints | None = None) -> Floats:
        """Sum of the similarities of the history's items to each."""
        found = profiles(histories, self.similar.shape[0], recent=self.recent) @ self.similar
        return _dense(found, candidates)

    def state(self) -> Arrays:
        """The neighbours."""
        return packed("similar", self.similar)

    def restore(self, state: Arrays) -> None:
        """The neighbours."""
        from scipy.sparse import csr_matrix

        self.similar = unpacked("similar", state, csr_matrix)


class Transitions:
    """What came next: how often an item followed another within `window` events, nearer counting more."""

    name = "session"

    def __init__(self, window: int = 5, recent: float = 5.0, damping: float = 0.0) -> None:
        self.window, self.recent, self.damping = window, recent, damping
        self.follows: csr_matrix = None

    def fit(self, log: Log) -> None:
        """Counts pairs of each customer's own events, 1/d for d events apart."""
        from scipy.sparse import csr_matrix

        shape = (log.n_items, log.n_items)
        total = csr_matrix(shape, dtype=np.float32)
        for distance in range(1, self.window + 1):
            same = log.users[:-distance] == log.users[distance:]
            before, after = log.items[:-distance][same], log.items[distance:][same]
            counts = np.full(len(before), 1.0 / distance, dtype=np.float32)
            total = total + csr_matrix((counts, (before, after)), shape=shape)
        if self.damping > 0:  # an item that follows everything tells little
            reached = np.maximum(np.asarray(total.sum(axis=0)).ravel(), 1.0)
            total = total.multiply(reached**-self.damping).tocsr()
        self.follows = total

    def neighbours(self, items: Ints) -> Ints:
        """The rows that followed any of these, the most frequent first."""
        return _strongest(self.follows[items])

    def scores(self, histories: Sequence[History], candidates: Ints | None = None) -> Floats:
        """What followed the history's items, its last ones counting most."""
        found = profiles(histories, self.follows.shape[0], recent=self.recent) @ self.follows
        return _dense(found, candidates)

    def state(self) -> Arrays:
        """The counts."""
        return packed("follows", self.follows)

    def restore(self, state: Arrays) -> None:
        """The counts."""
        from scipy.sparse import csr_matrix

        self.follows = unpacked("follows", state, csr_matrix)


class Ease:
    """The linear item-item model with zero diagonal, in closed form, on the `max_items` most frequent items.

    With more items than customers the (n, n) weights are never formed: every score is computed from the
    inverse of a (customers, customers) matrix, which is the same number.
    """

    name = "ease"

    def __init__(self, regularization: float = 100.0, recent: float = 0.0, max_items: int = 4000) -> None:
        self.regularization, self.recent, self.max_items = regularization, recent, max_items
        self._place: Ints = np.zeros(0, dtype=np.int64)
        self._x: Any = None
        self._inner: Floats = np.zeros((0, 0))
        self._diagonal: Floats = np.zeros(0)
        self._weights: Any = None

    def fit(self, log: Log) -> None:
        """Solves on the smaller side."""
        x = log.matrix()
        counts = np.bincount(log.items, minlength=log.n_items)
        if min(log.n_users, log.n_items) > self.max_items:
            known = np.sort(np.argsort(-counts, kind="stable")[: self.max_items])
        else:
            known = np.arange(log.n_items)
        self._place = np.full(log.n_items, -1, dtype=np.int64)
        self._place[known] = np.arange(len(known))
        x = x[:, known]
        if x.shape[0] < x.shape[1]:
            self._fit_customers(x)
        else:
            self._fit_items(x)

    def fit_gram(self, gram: Floats) -> None:
        """Solves from item-item sums (n_items, n_items): those of one log, or of several companies' logs added up."""
        self._place = np.arange(len(gram))
        self._solve(np.array(gram, np.float64))

    def _fit_items(self, x: Any) -> None:
        self._solve((x.T @ x).toarray())

    def _solve(self, gram: Floats) -> None:
        gram[np.diag_indices_from(gram)] += self.regularization
        inverse = np.linalg.inv(gram)
        weights = inverse / -np.diag(inverse)[None, :]
        np.fill_diagonal(weights, 0.0)
        self._weights, self._x = weights.astype(np.float64 if len(weights) < 2000 else np.float32), None

    def _fit_customers(self, x: Any) -> None:
        # P = (X'X + aI)^-1 = (I - X' (aI + XX')^-1 X) / a
        outer = (x @ x.T).toarray()
        outer[np.diag_indices_from(outer)] += self.regularization
        self._inner = np.linalg.inv(outer)
        projected = self._inner @ x
        self._diagonal = (1.0 - np.asarray(x.multiply(projected).sum(axis=0)).ravel()) / self.regularization
        self._x, self._weights = x.tocsc(), None  # columns are what is asked for

    def scores(self, histories: Sequence[History], candidates: Ints | None = None) -> Floats:
        """The history times the weights; 0 for items that the model does not know."""
        places = self._place if candidates is None else self._place[candidates]
        known = places >= 0
        found = np.zeros((len(histories), len(places)))
        if self._place.size and known.any():
            found[:, known] = self._predict(self._taken(histories), places[known])
        return found

    def _taken(self, histories: Sequence[History]) -> csr_matrix:
        """(B, items that the model knows): what each history says, other items left out."""
        from scipy.sparse import csr_matrix

        said = profiles(histories, len(self._place), recent=self.recent)
        places = self._place[said.indices]
        data = np.where(places >= 0, said.data, 0.0)
        return csr_matrix(
            (data, np.maximum(places, 0), said.indptr), shape=(len(histories), int((self._place >= 0).sum()))
        )

    def _predict(self, taken: Any, columns: Ints) -> Floats:
        if self._weights is not None:
            used = np.unique(taken.indices)
            return np.asarray(taken[:, used] @ self._weights[np.ix_(used, columns)], dtype=np.float64)
        through = (taken @ self._x.T) @ self._inner  # (B, customers)
        own = _dense(taken, columns)
        product = (own - through @ self._x[:, columns]) / self.regularization
        return np.asarray(own - product / self._diagonal[columns])

    def state(self) -> Arrays:
        """The weights, or what they are computed from."""
        if self._weights is not None:
            return {"place": self._place, "weights": self._weights}
        x = {} if self._x is None else packed("x", self._x)
        return {"place": self._place, "inner": self._inner, "diagonal": self._diagonal, **x}

    def restore(self, state: Arrays) -> None:
        """The same."""
        from scipy.sparse import csc_matrix

        self._place, self._weights = state["place"], state.get("weights")
        if self._weights is None:
            self._inner, self._diagonal = state["inner"], state["diagonal"]
            self._x = unpacked("x", state, csc_matrix) if "x.data" in state else None


class Content:
    """Items that read alike: the history's mean vector against each item's. For new items and new customers.

    `vectors` are (n_items, d) unit rows, handed in: this organ embeds nothing.
    """

    name = "content"

    def __init__(self, vectors: Any, recent: float = 5.0) -> None:
        self.recent = recent
        self._vectors = np.asarray(vectors, dtype=np.float32)

    def fit(self, log: Log) -> None:
        """Learns nothing from the log."""

    def scores(self, histories: Sequence[History], candidates: Ints | None = None) -> Floats:
        """The mean cosine with the history's items."""
        weights = profiles(histories, len(self._vectors), recent=self.recent)
        used = np.unique(weights.indices)  # a few rows of what may be a million
        mean = (weights[:, used] @ self._vectors[used]).astype(np.float32)
        chosen = self._vectors if candidates is None else self._vectors[candidates]
        return np.asarray(mean @ chosen.T, dtype=np.float64)

    def state(self) -> Arrays:
        """Nothing: the vectors are handed in."""
        return {}

    def restore(self, state: Arrays) -> None:
        """Nothing."""


def _strongest(rows: Any) -> Ints:
    total = np.bincount(rows.indices, weights=rows.data, minlength=1)
    found = np.flatnonzero(total)
    return np.asarray(found[np.argsort(-total[found], kind="stable")], dtype=np.int64)


def _dense(found: Any, candidates: Ints | None) -> Floats:
    if candidates is None:
        return np.asarray(found.toarray(), dtype=np.float64)
    if found.shape[0] <= _FEW:  # whole rows are quicker than looking for columns in sparse ones
        return np.asarray(found.toarray()[:, candidates], dtype=np.float64)
    return np.asarray(found[:, candidates].toarray(), dtype=np.float64)


def one_blas_thread() -> Any:
    """A context in which BLAS takes one thread: for small products a second one costs more than it brings."""
    return _threads().limit(limits=1, user_api="blas")


@functools.cache
def _threads() -> Any:
    import scipy.linalg  # noqa: F401 - its BLAS is to be found too
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
