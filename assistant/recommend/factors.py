"""The factor models: a vector per item, a vector per customer, their product the score.

Both are `implicit`'s. A customer's vector is computed from the history at hand where that is possible (ALS), so
that a click counts at once; BPR has vectors for the customers it saw and a ridge fit for others.

Sources: ALS (Hu, Koren & Volinsky 2008), BPR (Rendle et al. 2009, arXiv:1205.2618).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from assistant.recommend.arrays import Arrays
from assistant.recommend.log import Floats, History, Ints, Log, profiles
from assistant.recommend.scorers import one_blas_thread

_SEED = 20_240_229


class Als:
    """Alternating least squares on confidence-weighted events."""

    name = "als"

    def __init__(
        self, factors: int = 64, regularization: float = 0.05, alpha: float = 10.0, *, iterations: int = 15,
        recent: float = 0.0,
    ) -> None:  # fmt: skip
        self.factors, self.regularization, self.alpha = factors, regularization, alpha
        self.iterations, self.recent = iterations, recent
        self._model: Any = None

    @property
    def item_factors(self) -> Any:
        """(n_items, factors) float32."""
        return self._model.item_factors

    def fit(self, log: Log) -> None:
        """Solves in turns."""
        with one_blas_thread():  # implicit has its own threads; BLAS beside them only gets in their way
            self._model = self._unfitted()
            self._model.fit(log.matrix().astype(np.float32), show_progress=False)
        self._model.num_threads = 1  # for one customer at a time, threads cost more than they bring

    def _unfitted(self) -> Any:
        from implicit.cpu.als import AlternatingLeastSquares

        return AlternatingLeastSquares(
            factors=self.factors, regularization=self.regularization, alpha=self.alpha, iterations=self.iterations,
            random_state=_SEED, dtype=np.float32,
        )  # fmt: skip

    def state(self) -> Arrays:
        """The items' factors; a customer's are computed from the history."""
        return {"items": self._model.item_factors}

    def restore(self, state: Arrays) -> None:
        """The items' factors."""
        self._model = self._unfitted()
        self._model.item_factors, self._model.num_threads = state["items"], 1

    def customers(self, histories: Sequence[History]) -> Any:
        """(B, factors): the least-squares vector of each history; zeros where it is empty."""
        n_items = len(self._model.item_factors)
        taken = profiles(histories, n_items, recent=self.recent).astype(np.float32)
        top = taken.max(axis=1).toarray().ravel()  # the strongest event counts 1, as in the log
        taken = taken.multiply((1 / np.where(top > 0, top, 1.0))[:, None]).tocsr()
        return np.nan_to_num(self._model.recalculate_user(np.arange(len(histories)), taken))

    def scores(self, histories: Sequence[History], candidates: Ints | None = None) -> Floats:
        """The products."""
        items = self._model.item_factors if candidates is None else self._model.item_factors[candidates]
        return np.asarray(self.customers(histories) @ items.T, dtype=np.float64)


class Bpr:
    """Bayesian personalized ranking: what was taken before what was not."""

    name = "bpr"

    def __init__(
        self, factors: int = 64, learning_rate: float = 0.03, regularization: float = 0.05, *, iterations: int = 100,
        recent: float = 0.0,
    ) -> None:  # fmt: skip
        self.factors, self.learning_rate = factors, learning_rate
        self.regularization, self.iterations, self.recent = regularization, iterations, recent
        self._model: Any = None

    def fit(self, log: Log) -> None:
        """Stochastic gradient steps, one thread: the same seed gives the same model."""
        self._model = self._unfitted()
        self._model.fit(log.matrix().astype(np.float32), show_progress=False)

    def _unfitted(self) -> Any:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        return BayesianPersonalizedRanking(
            factors=self.factors, learning_rate=self.learning_rate, regularization=self.regularization,
            iterations=self.iterations, random_state=_SEED, num_threads=1,
        )  # fmt: skip

    def state(self) -> Arrays:
        """Both sides' factors."""
        return {"items": self._model.item_factors, "users": self._model.user_factors}

    def restore(self, state: Arrays) -> None:
        """Both sides' factors."""
        self._model = self._unfitted()
        self._model.item_factors, self._model.user_factors = state["items"], state["users"]

    def customers(self, histories: Sequence[History]) -> Any:
        """(B, factors + 1): learned where the customer was seen, else the ridge fit of 1 to the items taken.

        With `recent` > 0 it is the ridge fit for everybody, the last events counting most.
        """
        items, users = self._model.item_factors, self._model.user_factors
        found = np.zeros((len(histories), items.shape[1]), dtype=np.float32)
        weights = profiles(histories, len(items), recent=self.recent)
        for row, history in enumerate(histories):
            if 0 <= history.user < len(users) and self.recent <= 0:
                found[row] = users[history.user]
            elif len(history.items):
                mine = weights[row]
                taken, much = items[mine.indices], mine.data.astype(np.float32) * len(mine.data)
                gram = (taken * much[:, None]).T @ taken + np.eye(items.shape[1], dtype=np.float32)
                found[row] = np.linalg.solve(gram, (taken * much[:, None]).sum(axis=0))
        return found

    def scores(self, histories: Sequence[History], candidates: Ints | None = None) -> Floats:
        """The products."""
        items = self._model.item_factors if candidates is None else self._model.item_factors[candidates]
        return np.asarray(self.customers(histories) @ items.T, dtype=np.float64)
