"""The walk recommend: a customer or a request -> hard filter -> ranking -> reasons -> `Advice`.

It composes the shelf, the recommender and the embedder of the collection; text and cards are made from the
same rows, and no language model has a say. Fitted models are kept in memory per collection and made anew when
the catalogue changed, the log grew by a fifth or lost an entry (a customer was forgotten). A customer's own
history is read fresh every time, so that a click counts at once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant import texts
from assistant.errors import BadInput, ConfideError
from assistant.goods import Advice, Condition, Event, Interaction, Item, Reason, Recommendation
from assistant.recommend import filters, reasons
from assistant.recommend.filters import Table
from assistant.recommend.propensity import Propensity, fit_propensity
from assistant.recommend.recommender import EVENTS, Ask, Recommender, fit
from assistant.recommend.requests import Vocabulary, Wish
from assistant.retrieval.embedders import Embedder, choose_embedder, load_embedder
from assistant.retrieval.search import Searcher
from assistant.settings import Settings
from assistant.stock import Stock
from assistant.store import Store

MOST = 100
GROWTH = 1.2
IN_STOCK = Condition("stock", ">=", ("1",))
Encode = Callable[[str, Sequence[str]], Any]
"""(collection, texts) -> (n, d) float32 unit rows. Raises ConfideError where no embedder is ready."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of the walk.

    `conditions` None = those of the request, and in stock; a given tuple is used as it is. `like` are ids of
    items to be like, `hidden` ids not to show again. `language` is that of the text.
    """

    customer: str = ""
    request: str = ""
    conditions: tuple[Condition, ...] | None = None
    n: int = 10
    language: str = "en"
    like: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Shop:
    """A catalogue as it is at one revision, with what was fitted on it."""

    revision: int
    table: Table
    vocabulary: Vocabulary
    model: Recommender
    items: dict[str, Item]


class Advisor:
    """Recommends from the catalogues of a tenant. Thread-safe."""

    def __init__(self, store: Store, tenant: str, encode: Encode | None = None) -> None:
        self._store, self._tenant, self._encode = store, tenant, encode
        self._shops: dict[str, _Shop] = {}
        self._shelves: dict[str, Stock] = {}
        self._propensities: dict[str, tuple[_Shop, Propensity]] = {}
        self._lock = threading.Lock()

    def shelf(self, collection: str) -> Stock:
        """The items and interactions of a collection."""
        if collection not in self._shelves:
            self._shelves[collection] = Stock(self._store, self._tenant, collection)
        return self._shelves[collection]

    def has_catalogue(self, collection: str) -> bool:
        """Whether there is anything to recommend. Quick."""
        return self.shelf(collection).revision() > 0

    def shop(self, collection: str) -> _Shop:
        """The fitted catalogue in force.

        Raises:
            BadInput: there is no catalogue in this collection.
        """
        shelf = self.shelf(collection)
        with self._lock:
            known = self._shops.get(collection)
            size, revision = shelf.size(), shelf.revision()
            grown = known is not None and not known.model.fitted_on <= size <= GROWTH * known.model.fitted_on + 10
            if known is not None and known.revision == revision and not grown:
                return known
            items = shelf.items()
            if not items:
                raise BadInput(
                    f"The collection {collection!r} has no catalogue.",
                    hint=f"`confide catalog import FILE --collection {collection}` reads one.",
                )
            table = Table(items)
            model = fit(table, shelf.interactions(), self._vectors(collection, items))
            vocabulary = Vocabulary(table, shelf.words())
            made = _Shop(shelf.revision(), table, vocabulary, model, {item.id: item for item in items})
            self._shops[collection] = made
            return made

    def understand(self, collection: str, request: str) -> Wish:
        """The conditions of a request, without recommending."""
        return self.shop(collection).vocabulary.understand(request)

    def read_filter(self, collection: str, text: str) -> tuple[Condition, ...]:
        """The conditions of a filter's text form. Raises BadInput with every part that is wrong."""
        return filters.from_text(text, self.shop(collection).table)

    def catalogues(self) -> list[str]:
        """The collections that have a catalogue, by name."""
        return Stock.collections(self._store, self._tenant)

    def propensity(self, collection: str) -> Propensity:
        """The calibrated probability of a purchase, and its reliability; fitted once per fitted catalogue.

        Raises:
            BadInput: there is no catalogue, or too few purchases.
        """
        shop = self.shop(collection)
        known = self._propensities.get(collection)
        if known is None or known[0] is not shop:
            known = shop, fit_propensity(shop.model, self.shelf(collection).interactions())
            self._propensities[collection] = known
        return known[1]

    def record(self, collection: str, customer: str, item: str, event: Event, value: float = 1.0) -> None:
        """Keeps what a customer just did; the next recommendation knows it.

        Raises:
            BadInput: there is no such item, or no such event.
        """
        if not customer:
            raise BadInput("Whose event is it?", hint="Name a customer.")
        if event not in {*EVENTS, "dismiss"}:
            raise BadInput(f"There is no event {event!r}.", hint=f"Known: {', '.join([*EVENTS, 'dismiss'])}.")
        if item not in self.shop(collection).items:
            raise BadInput(f"There is no item {item!r} in this catalogue.")
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        self.shelf(collection).add([Interaction(customer, item, event, now, value)])

    def recommend(self, collection: str, query: Query) -> Advice:
        """The walk.

        Raises:
            BadInput: there is no catalogue, the filter names no field of it, or `n` is out of range.
        """
        started = time.perf_counter()
        if not 1 <= query.n <= MOST:
            raise BadInput(f"Between 1 and {MOST} items can be asked for, not {query.n}.")
        shop = self.shop(collection)
        history = self.shelf(collection).history(query.customer) if query.customer else []
        # 1. The hard filter, in code and shown.
        wish = shop.vocabulary.understand(query.request) if query.request else Wish((), "")
        conditions = _conditions(query, wish, shop.table)
        allowed = shop.table.allowed(conditions) & _ready(shop.table, history)
        # 2. Candidates, scores, order.
        seeds = _seeds(query, wish, conditions, history=history, shop=shop)
        ask = Ask(
            history=history,
            allowed=allowed,
            n=query.n,
            vector=self._vector(collection, query.request, shop),
            words=query.request,
            seeds=[shop.table.row[name] for name in seeds],
            hidden=[shop.table.row[name] for name in query.hidden if name in shop.table.row],
        )
        ranked = shop.model.rank(ask)
        # 3. Reasons, and the text from the same rows.
        known = tuple(
            _recommendation(row, score, query=query, conditions=conditions, shop=shop, history=history, seeds=seeds)
            for row, score in ranked
        )
        relax = () if allowed.any() else shop.table.relax(conditions)
        return Advice(
            asked=query.request,
            text=render(known, conditions, relax, language=query.language),
            recommendations=known,
            conditions=conditions,
            items=int(allowed.sum()),
            relax=relax,
            notes=_notes(wish, shop, query.language),
            seconds=round(time.perf_counter() - started, 4),
        )

    def _vectors(self, collection: str, items: Sequence[Item]) -> Any:
        """(n, d) of the items' texts; None where no embedder is ready."""
        if self._encode is None:
            return None
        try:
            return np.asarray(self._encode(collection, [described(item) for item in items]), dtype=np.float32)
        except ConfideError as error:
            _log.warning("recommending without content: %s", error)
            return None

    def _vector(self, collection: str, request: str, shop: _Shop) -> Any:
        if not request or self._encode is None or shop.model.vectors is None:
            return None
        return np.asarray(self._encode(collection, [request]), dtype=np.float32)[0]


def encoder(searcher: Searcher, settings: Settings, known: Callable[[str], bool]) -> Encode:
    """Texts to vectors by the collection's embedder; many texts at once are kept on disk.

    `known` says whether a collection has documents and so an embedder of its own; others take the one that
    knows English and Chinese.
    """

    def encode(collection: str, said: Sequence[str]) -> Any:
        own = known(collection)
        embedder = searcher.embedder(settings.tenant, collection) if own else _shared(settings)
        if len(said) == 1:
            return embedder.encode(said)
        folder = settings.data_dir / "recommend" / settings.tenant / collection
        return _kept(folder, embedder, said)

    return encode


@functools.cache
def _shared(settings: Settings) -> Embedder:
    name = settings.retrieval.embedder
    return load_embedder(choose_embedder(("en", "zh")) if name == "auto" else name, settings)


def _kept(folder: Path, embedder: Embedder, said: Sequence[str]) -> Any:
    """(n, d) of these texts; those of the last call are read back, by the digests of text and embedder."""
    keys = [hashlib.sha256(f"{embedder.id}\0{text}".encode()).hexdigest()[:32] for text in said]
    before: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        old = json.loads((folder / "vectors.json").read_text(encoding="utf-8"))
        before = dict(zip(old, np.load(folder / "vectors.npy", allow_pickle=False), strict=True))
    fresh = {key: text for key, text in zip(keys, said, strict=True) if key not in before}
    before.update(zip(fresh, embedder.encode(list(fresh.values())), strict=True))
    found = np.stack([before[key] for key in keys]) if keys else np.zeros((0, embedder.dimension), dtype=np.float32)
    if fresh:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "vectors.npy", found, allow_pickle=False)
        (folder / "vectors.json").write_text(json.dumps(keys), encoding="utf-8")
    return found


def described(item: Item) -> str:
    """What an item is embedded by: names, category, brand, the text and short fields of its row."""
    short = [f"{name}: {value}" for name, value in item.attributes.items() if len(value) <= 60]
    parts = [item.name, *item.names.values(), item.category, item.brand, item.colour, item.description, *short]
    return ". ".join(part for part in parts if part)


def render(
    found: Sequence[Recommendation],
    conditions: Sequence[Condition],
    relax: Sequence[Any] = (),
    *,
    language: str = "en",
) -> str:
    """The text of an advice: names, prices and stock of the rows, nothing else."""
    if found:
        head = texts.say("advice" if len(found) > 1 else "advice_one", language)
        return "\n".join([head, *(_line(number, one.item, language) for number, one in enumerate(found, start=1))])
    if not relax:
        return texts.say("advice_empty", language)
    lines = [texts.say("advice_none", language, filter=filters.to_text(conditions))]
    for one in relax[:3]:
        lines.append(texts.say("advice_relax", language, condition=filters.to_text([one.condition]), n=str(one.items)))
    return "\n".join(lines)


def _line(number: int, item: Item, language: str) -> str:
    stock = ""
    if item.stock is not None:
        stock = texts.say("advice_stock" if item.stock else "advice_no_stock", language, n=str(item.stock))
    price = reasons.money(item)
    values = {"n": str(number), "name": item.title(language), "stock": stock}
    return (
        texts.say("advice_line", language, price=price, **values)
        if price
        else texts.say("advice_bare", language, **values)
    )


def _conditions(query: Query, wish: Wish, table: Table) -> tuple[Condition, ...]:
    """The filter in force: as it was edited, or the request's, and in stock where the catalogue counts stock."""
    if query.conditions is not None:
        return filters.checked(query.conditions, table)
    counted = not np.isnan(table.stock).all()
    stock = () if not counted or any(one.field == "stock" for one in wish.conditions) else (IN_STOCK,)
    return (*wish.conditions, *stock)


def _ready(table: Table, history: Sequence[Interaction]) -> Any:
    """(n,) whether all that an item requires is in the history (bought, or done)."""
    done = {one.item for one in history if one.event in {"buy", "rating"}}
    ready = np.ones(len(table), dtype=np.bool_)
    for row in table.with_requirements:
        ready[row] = done.issuperset(table.items[row].requires)
    return ready


def _seeds(
    query: Query, wish: Wish, conditions: Sequence[Condition], *, history: Sequence[Interaction], shop: _Shop
) -> tuple[str, ...]:
    """The items to be like: those named, or the customer's own of the category that was asked for."""
    if query.like:
        return tuple(name for name in query.like if name in shop.items)
    if not wish.like_own:
        return ()
    chosen = [one for one in conditions if one.field == "category" and one.test == "is"]
    mask = shop.table.allowed(chosen)
    own = [one.item for one in history if one.event == "buy" and one.item in shop.items]
    return tuple(dict.fromkeys(name for name in reversed(own) if mask[shop.table.row[name]]))[:3]


def _recommendation(
    row: int,
    score: float,
    *,
    query: Query,
    conditions: Sequence[Condition],
    shop: _Shop,
    history: Sequence[Interaction],
    seeds: Sequence[str],
) -> Recommendation:
    """The item with reasons that its row, the log or the customer's history proves."""
    item = shop.table.items[row]
    found = reasons.matched(item, conditions) if query.request or query.conditions else []
    found += [Reason("like", item=name) for name in seeds[:1]]
    found += [Reason("requires", item=name) for name in item.requires[:1]]
    own = {
        one.item: one
        for one in history
        if one.event != "dismiss" and one.item in shop.table.row and one.item != item.id
    }
    names = list(own)[-50:]
    counts = shop.model.together(row, [shop.table.row[name] for name in names])
    if len(counts) and counts.max() >= reasons.FEWEST_TOGETHER:
        best = names[int(counts.argmax())]
        found.append(Reason("together", value=str(int(counts.max())), item=best, at=own[best].at))
    alike = reasons.shared(item, history, shop.items)
    if alike is not None:
        found.append(alike)
    buyers = int(shop.model.buyers[row])
    if buyers >= reasons.FEWEST_TOGETHER:
        found.append(Reason("popular", value=str(buyers)))
    elif buyers == 0 and shop.model.fitted_on:
        found.append(Reason("new"))
    told = tuple(
        Reason(one.kind, one.field, one.value, one.item, one.at, reasons.told(one, shop.items, query.language))
        for one in found[: reasons.MOST]
    )
    return Recommendation(item, round(score, 6), told)


def _notes(wish: Wish, shop: _Shop, language: str) -> tuple[str, ...]:
    ours = next((item.currency for item in shop.table.items if item.currency), "")
    if wish.currency and ours and wish.currency != ours:
        return (texts.say("currency_note", language, ours=ours, theirs=wish.currency),)
    return ()
