"""What customers did, as arrays: the one form that every scorer is fitted on and asked with.

Not where interactions are read (`interactions.py`) or kept (`stock.py`): here an item and a customer are row
numbers, and the order of a customer's events is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class History:
    """One customer's items, oldest first; `weights` say how much each event tells. `user` is the row in the
    log that a scorer was fitted on, -1 for somebody it has not seen."""

    items: Ints
    weights: Floats
    user: int = -1

    @classmethod
    def of(cls, items: Sequence[int], *, user: int = -1) -> History:
        """A history of equally weighted items.

        >>> len(History.of([3, 1]).items)
        2
        """
        found = np.asarray(items, dtype=np.int64)
        return cls(found, np.ones(len(found)), user)


@dataclass(frozen=True, slots=True)
class Log:
    """All events, (N,) each, sorted by customer and time; equal times keep the order they were given in.

    `times` are days since any fixed moment.
    """

    users: Ints
    items: Ints
    times: Floats
    weights: Floats
    n_users: int
    n_items: int

    @classmethod
    def of(
        cls, users: Any, items: Any, times: Any = None, *, weights: Any = None, n_users: int = 0, n_items: int = 0
    ) -> Log:
        """The log of unsorted events; sizes default to what the events name.

        >>> Log.of([1, 0, 0], [5, 7, 6], [0.0, 2.0, 1.0]).items.tolist()
        [6, 7, 5]
        """
        users, items = np.asarray(users, dtype=np.int64), np.asarray(items, dtype=np.int64)
        times = np.arange(len(users), dtype=float) if times is None else np.asarray(times, dtype=float)
        weights = np.ones(len(users)) if weights is None else np.asarray(weights, dtype=float)
        order = np.lexsort((np.arange(len(users)), times, users))
        n_users = max(n_users, int(users.max(initial=-1)) + 1)
        n_items = max(n_items, int(items.max(initial=-1)) + 1)
        return cls(users[order], items[order], times[order], weights[order], n_users, n_items)

    def without_last(self, n: int = 1) -> tuple[Log, Ints, Ints]:
        """The log without each customer's last `n` events; the customers who had more, and their n-th last item."""
        ends = np.searchsorted(self.users, np.arange(self.n_users), side="right")
        sizes = np.diff(ends, prepend=0)
        back = ends[self.users] - np.arange(len(self.users))
        long = sizes > n
        keep = ~((back <= n) & long[self.users])
        at = (ends - n)[long]
        rest = Log(
            self.users[keep],
            self.items[keep],
            self.times[keep],
            self.weights[keep],
            self.n_users,
            self.n_items,
        )
        return rest, np.flatnonzero(long), self.items[at]

    def matrix(self) -> csr_matrix:
        """(n_users, n_items): an item's weights summed, at most 1."""
        from scipy.sparse import csr_matrix

        shape = (self.n_users, self.n_items)
        found = csr_matrix((self.weights, (self.users, self.items)), shape=shape)
        found.data = np.minimum(found.data, 1.0)
        return found

    def histories(self, users: Ints | None = None) -> list[History]:
        """The histories of these customers (of all where none is named)."""
        users = np.arange(self.n_users) if users is None else users
        starts = np.searchsorted(self.users, users, side="left")
        ends = np.searchsorted(self.users, users, side="right")
        return [
            History(self.items[a:b], self.weights[a:b], int(user))
            for user, a, b in zip(users.tolist(), starts.tolist(), ends.tolist(), strict=True)
        ]


def profiles(histories: Sequence[History], n_items: int, *, recent: float = 0.0) -> csr_matrix:
    """(B, n_items): how much each item counts for each customer; rows sum to 1 (or 0, without a history).

    With `recent` > 0 an event counts exp(-b / recent), b events before the last.
    """
    from scipy.sparse import csr_matrix

    sizes = [len(history.items) for history in histories]
    rows = np.repeat(np.arange(len(histories)), sizes)
    items = np.concatenate([history.items for history in histories] or [np.zeros(0, np.int64)])
    weights = np.concatenate([_weights(history, recent) for history in histories] or [np.zeros(0)])
    return csr_matrix((weights, (rows, items)), shape=(len(histories), n_items))


def _weights(history: History, recent: float) -> Floats:
    weights = history.weights
    if recent > 0:
        weights = weights * np.exp(-np.arange(len(weights))[::-1] / recent)
    total = float(weights.sum())
    return weights / total if total > 0 else weights
