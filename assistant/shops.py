"""The shops in force: each catalogue at one revision with what was fitted on it, in memory and kept on disk.

    catalogue, log, vectors -> kept under this key? load : fit and keep -> `Shop`

Fitted anew when the catalogue changed, the log grew by a fifth, or somebody's interactions were deleted. The
models lie in `cache/`, which an erasure empties: a running server that finds them gone fits anew too.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.errors import BadInput, ConfideError
from assistant.goods import Item
from assistant.likeness import Encode, described
from assistant.recommend import kept
from assistant.recommend.recommender import Recommender, fit
from assistant.recommend.requests import Vocabulary
from assistant.recommend.table import Table, in_one_currency
from assistant.stock import Pulse, Stock
from assistant.store import Store

GROWTH, SLACK = 0.2, 10
"""The models are fitted anew when the log has grown by this share, and by so many interactions more."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shop:
    """A catalogue as it is at one revision, with what was fitted on it. `folder` is where that is kept, if it is."""

    pulse: Pulse
    table: Table
    vocabulary: Vocabulary
    model: Recommender
    items: dict[str, Item]
    folder: Path | None


class Shops:
    """The shops of a tenant. Thread-safe. Without a `folder` nothing is kept on disk."""

    def __init__(self, store: Store, tenant: str, encode: Encode | None = None, *, folder: Path | None = None) -> None:
        self._store, self._tenant, self._encode, self._folder = store, tenant, encode, folder
        self._open: dict[str, Shop] = {}
        self._stocks: dict[str, Stock] = {}
        self._locks: dict[str, threading.Lock] = {}  # one each: who waits for a fit waits for no other shop's

    def stock(self, collection: str) -> Stock:
        """The items and interactions of a collection."""
        if collection not in self._stocks:
            self._stocks[collection] = Stock(self._store, self._tenant, collection)
        return self._stocks[collection]

    def names(self) -> list[str]:
        """The collections that have a catalogue, by name."""
        return Stock.collections(self._store, self._tenant)

    def shop(self, collection: str) -> Shop:
        """The shop in force.

        Raises:
            BadInput: there is no catalogue in this collection.
        """
        with self._locks.setdefault(collection, threading.Lock()):
            known = self._open.get(collection)
            stock = self.stock(collection)
            pulse = stock.pulse()
            if known is None or not _is_current(known, pulse, stock):
                known = self._open[collection] = self._made(collection, stock, pulse)
            return known

    def vector(self, collection: str, request: str, shop: Shop) -> Any:
        """(d,) of a request; None where items have no vectors."""
        if not request or self._encode is None or shop.model.vectors is None:
            return None
        return np.asarray(self._encode(collection, [request]), dtype=np.float32)[0]

    def _made(self, collection: str, stock: Stock, pulse: Pulse) -> Shop:
        items = in_one_currency(stock.items())
        if not items:
            raise BadInput(
                f"The collection {collection!r} has no catalogue.",
                hint=f"`confide catalog import FILE --collection {collection}` reads one.",
            )
        table, vectors = Table(items), self._vectors(collection, items)
        table.column("name").index()
        folder = self._folder / collection if self._folder else None
        key = _key(pulse, stock, vectors)
        model = kept.load(table, vectors, folder, key) if folder else None
        if model is None or _has_grown(model.fitted_on, stock.size()):
            model = fit(table, stock.interactions(), vectors)
            folder = folder if folder and kept.save(model, folder, key) else None
        return Shop(pulse, table, Vocabulary(table, stock.words()), model, {item.id: item for item in items}, folder)

    def _vectors(self, collection: str, items: Sequence[Item]) -> Any:
        """(n, d) of the items' texts; None where no embedder is ready."""
        if self._encode is None:
            return None
        try:
            return np.asarray(self._encode(collection, [described(item) for item in items]), dtype=np.float32)
        except ConfideError as error:
            _log.warning("recommending without content: %s", error)
            return None


def _is_current(known: Shop, pulse: Pulse, stock: Stock) -> bool:
    """Whether what was fitted may still be used; the log is counted only when it can have grown enough."""
    if known.pulse.revision != pulse.revision or (known.folder and not (known.folder / kept.MANIFEST).exists()):
        return False
    added = pulse.newest - known.pulse.newest
    fitted = known.model.fitted_on
    return not _has_grown(fitted, fitted + added) or not _has_grown(fitted, stock.size())


def _has_grown(fitted: int, size: int) -> bool:
    return size > (1 + GROWTH) * fitted + SLACK


def _key(pulse: Pulse, stock: Stock, vectors: Any) -> str:
    """What a fitted model depends on, but for what the log grew by."""
    parts = [str(pulse.revision), stock.digest()]
    if vectors is not None:
        parts.append(hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
