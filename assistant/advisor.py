"""The walk recommend: a customer or a request -> hard filter -> ranking -> reasons -> `Advice`.

It composes the shop in force (`shops.py`) and the embedder of the collection; text and cards are made from the
same rows, and no language model has a say. A customer's own history is read fresh every time, so that a click
counts at once.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant import texts
from assistant.errors import BadInput
from assistant.goods import Advice, Condition, Event, Interaction, Item, Reason, Recommendation
from assistant.likeness import Encode
from assistant.recommend import filters, reasons
from assistant.recommend.log import Ints
from assistant.recommend.orders import Order
from assistant.recommend.propensity import Propensity, fit_propensity
from assistant.recommend.recommender import EVENTS, TAKEN, Ask
from assistant.recommend.requests import Wish
from assistant.recommend.table import Table
from assistant.shops import Shop, Shops
from assistant.stock import Stock
from assistant.store import Store

MOST = 100
IN_STOCK = Condition("stock", ">=", ("1",))
_GIVEN_UP_LAST = ("category", "stock")
"""Who asked for a bed is told last of all that there are collars."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of the walk.

    `conditions` None = those of the request, and in stock; a given tuple is used as it is. `like` are ids of
    items to be like, `hidden` ids not to show again, `only` ids that alone are shown, in stock or not. `language` is
    that of the text.
    """

    customer: str = ""
    request: str = ""
    conditions: tuple[Condition, ...] | None = None
    n: int = 10
    language: str = "en"
    like: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


class Advisor:
    """Recommends from the catalogues of a tenant. Thread-safe."""

    def __init__(self, store: Store, tenant: str, encode: Encode | None = None, *, folder: Path | None = None) -> None:
        """`folder`: where fitted models are kept; nowhere where None."""
        self._shops = Shops(store, tenant, encode, folder=folder)
        self._propensities: dict[str, tuple[Shop, Propensity]] = {}

    def shelf(self, collection: str) -> Stock:
        """The items and interactions of a collection."""
        return self._shops.stock(collection)

    def shop(self, collection: str) -> Shop:
        """The fitted catalogue in force. Raises BadInput where there is none."""
        return self._shops.shop(collection)

    def has_catalogue(self, collection: str) -> bool:
        """Whether there is anything to recommend. Quick."""
        return self.shelf(collection).revision() > 0

    def understand(self, collection: str, request: str) -> Wish:
        """The conditions of a request, without recommending."""
        return self.shop(collection).vocabulary.understand(request)

    def read_filter(self, collection: str, text: str) -> tuple[Condition, ...]:
        """The conditions of a filter's text form. Raises BadInput with every part that is wrong."""
        return filters.from_text(text, self.shop(collection).table)

    def catalogues(self) -> list[str]:
        """The collections that have a catalogue, by name."""
        return self._shops.names()

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

    def likely(self, collection: str, customer: str, items: Sequence[str]) -> tuple[float, ...]:
        """For each item the probability that the customer buys it within the days of `propensity`.

        Raises:
            BadInput: there is no such item, or see `propensity`.
        """
        shop, fitted = self.shop(collection), self.propensity(collection)
        unknown = [name for name in items if name not in shop.items]
        if unknown:
            raise BadInput(f"There is no item {unknown[0]!r} in this catalogue.")
        rows = np.array([shop.table.row[name] for name in items], dtype=np.int64)
        history = self.shelf(collection).history(customer)
        return tuple(float(one) for one in fitted.probability(shop.model, history, rows))

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
        if query.like:  # of the order asked for before, nothing is left
            wish = dataclasses.replace(wish, order=None)
        conditions = _conditions(query, wish, shop.table)
        allowed = shop.table.allowed(conditions) & shop.table.ready(one.item for one in history if one.event in TAKEN)
        only, hidden = (
            [shop.table.row[name] for name in names if name in shop.table.row] for names in (query.only, query.hidden)
        )
        if query.only:
            allowed = np.isin(np.arange(len(shop.table)), only)
        # 2. Candidates, scores, order.
        seeds = _seeds(query, wish, conditions, history=history, shop=shop)
        ask = Ask(
            history=history,
            allowed=allowed,
            n=query.n,
            vector=self._shops.vector(collection, query.request, shop),
            words=query.request,
            seeds=[shop.table.row[name] for name in seeds],
            hidden=hidden,
        )
        if wish.order is not None:
            rows = np.setdiff1d(np.flatnonzero(allowed), hidden)
            ranked = _ordered(wish.order, shop.table, rows, n=query.n, named=bool(query.only))
        elif query.only:  # named by the customer: shown also where they have it
            ranked = [(row, 1.0 / place) for place, row in enumerate(only[: query.n], start=1)]
        else:
            ranked = shop.model.rank(ask)
        # 3. Reasons, and the text from the same rows.
        known = _explained(ranked, query, shop, conditions=conditions, history=history, seeds=seeds, order=wish.order)
        relax = () if allowed.any() else shop.table.relax(conditions)
        head, more = _head(query, wish), bool(query.hidden)
        return Advice(
            asked=query.request,
            text=render(known, conditions, relax, language=query.language, head=head, more=more),
            recommendations=known,
            conditions=conditions,
            items=int(allowed.sum()),
            relax=relax,
            notes=_notes(wish, shop, query.language),
            seconds=round(time.perf_counter() - started, 4),
        )


def render(
    found: Sequence[Recommendation],
    conditions: Sequence[Condition],
    relax: Sequence[Any] = (),
    *,
    language: str = "en",
    head: str = "",
    more: bool = False,
) -> str:
    """The text of an advice: names, prices and stock of the rows, nothing else; `head` stands above, or the usual.

    `more` were asked for than were shown before.
    """
    if found:
        head = head or texts.say("advice" if len(found) > 1 else "advice_one", language)
        return "\n".join([head, *(_line(number, one.item, language) for number, one in enumerate(found, start=1))])
    if not relax:
        return texts.say("advice_all" if more else "advice_empty", language)
    wanted = ("；" if language == "zh" else "; ").join(reasons.condition(one, language) for one in conditions)
    lines = [texts.say("advice_none", language, filter=wanted)]
    for one in sorted(relax, key=lambda one: one.condition.field in _GIVEN_UP_LAST)[:3]:
        told = reasons.condition(one.condition, language)
        lines.append(texts.say("advice_relax", language, condition=told, n=str(one.items)))
    return "\n".join(lines)


def _head(query: Query, wish: Wish) -> str:
    """What stands above the items where they are no recommendation: an order, or what was called by name."""
    if wish.order is None:
        return texts.say("advice_called", query.language) if query.only else ""
    key = "advice_most" if wish.order.descending else "advice_least"
    return texts.say(key, query.language, field=reasons.field_name(wish.order.field, query.language))


def _line(number: int, item: Item, language: str) -> str:
    stock = ""
    if item.stock is not None:
        stock = texts.say("advice_stock" if item.stock else "advice_no_stock", language, n=str(item.stock))
    price = reasons.money(item, language)
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
    stock = () if not table.counts_stock or any(one.field == "stock" for one in wish.conditions) else (IN_STOCK,)
    return (*wish.conditions, *stock)


def _ordered(order: Order, table: Table, rows: Ints, *, n: int, named: bool) -> list[tuple[int, float]]:
    """(row, score) of the first `n` of some rows by a numeric field; those without a number are last where they were
    `named`, else left out."""
    numbers = table.numbers(order.field)
    rows = rows if named else rows[~np.isnan(numbers[rows])]
    best = rows[np.argsort(-numbers[rows] if order.descending else numbers[rows], kind="stable")][:n]
    return [(int(row), 1.0 / place) for place, row in enumerate(best, start=1)]


def _seeds(
    query: Query, wish: Wish, conditions: Sequence[Condition], *, history: Sequence[Interaction], shop: Shop
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


def _explained(
    ranked: Sequence[tuple[int, float]],
    query: Query,
    shop: Shop,
    *,
    conditions: Sequence[Condition],
    history: Sequence[Interaction],
    seeds: Sequence[str],
    order: Order | None,
) -> tuple[Recommendation, ...]:
    """The items with reasons that their rows, the log or the customer's history prove."""
    liked = [one for one in history if shop.model.likes(one)]
    own = {one.item: one for one in liked if one.item in shop.table.row}
    names = list(own)[-50:]
    together = shop.model.together([row for row, _ in ranked], [shop.table.row[name] for name in names])
    asked = conditions if query.request or query.conditions else ()
    if order is not None and order.field != "price":  # the line has the price already
        asked = (Condition(order.field, ">=", ("0",)), *asked)
    found = []
    for (row, score), counts in zip(ranked, together, strict=True):
        item = shop.table.items[row]
        why = reasons.matched(item, asked, query.language)
        why += [Reason("like", item=name) for name in seeds[:1]]
        why += [Reason("requires", item=name) for name in item.requires[:1]]
        others = [(int(n), name) for n, name in zip(counts, names, strict=True) if name != item.id]
        most, best = max(others, key=lambda one: one[0], default=(0, ""))
        if most >= reasons.FEWEST_TOGETHER:
            why.append(Reason("together", value=str(most), item=best, at=own[best].at))
        alike = reasons.shared(item, liked, shop.items)
        why += [alike] if alike is not None else []
        why += reasons.sold(int(shop.model.buyers[row]), counted=shop.model.fitted_on > 0)
        told = (dataclasses.replace(one, text=reasons.told(one, shop.items, query.language)) for one in why)
        found.append(Recommendation(item, round(score, 6), tuple(told)[: reasons.MOST]))
    return tuple(found)


def _notes(wish: Wish, shop: Shop, language: str) -> tuple[str, ...]:
    ours = shop.table.currency
    if wish.currency and ours and wish.currency != ours:
        return (texts.say("currency_note", language, ours=ours, theirs=wish.currency),)
    return ()
