"""Goods in a conversation: whether a message wants some, and what a follow-up does to the list shown before.

It decides between answering, recommending and both (`recommend/intents.py`), and asks the advisor. What was
shown last is taken from the conversation's stored turns, or from memory where nothing is stored.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.advisor import IN_STOCK, Advisor, Query
from assistant.errors import ConfideError
from assistant.goods import Advice, Condition, Item
from assistant.recommend import filters, intents
from assistant.recommend.requests import Wish
from assistant.store import Store
from assistant.types import Conversation

CARDS = 4
_REMEMBERED = 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a conversation saw last: the conditions, and the items' ids and prices in order.

    `seen` are the ids of the lists before it under the same conditions.
    """

    conditions: tuple[Condition, ...]
    ids: tuple[str, ...]
    prices: tuple[float | None, ...]
    request: str = ""
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """What to show. `alone`: instead of an answer from the documents, not beside one.

    `question` is the message with the item of the list that it points to called by its name; "" where it does not.
    """

    advice: Advice
    alone: bool
    question: str = ""


class Counter:
    """The shop's counter. Thread-safe."""

    def __init__(self, advisor: Advisor, store: Store) -> None:
        self._advisor, self._store = advisor, store
        self._shown: OrderedDict[str, Shown] = OrderedDict()
        self._lock = threading.Lock()

    def offer(self, conversation: Conversation, collection: str, question: str, language: str) -> Offer | None:
        """The goods that belong to a message; None where it wants none, or where there is no catalogue."""
        try:
            if not self._advisor.has_catalogue(collection):
                return None
            return self._offer(conversation, collection, question, "zh" if language == "zh" else "en")
        except ConfideError as error:
            _log.warning("nothing was recommended: %s", error)
            return None

    def wanted(self, collection: str, sentence: str) -> bool:
        """Whether a sentence by itself wishes for goods that the catalogue may have."""
        try:
            if not intents.wants(sentence) or not self._advisor.has_catalogue(collection):
                return False
            return intents.decide(sentence, self._advisor.understand(collection, sentence)) != "answer"
        except ConfideError as error:
            _log.warning("a wish was not understood: %s", error)
            return False

    def _offer(self, conversation: Conversation, collection: str, question: str, language: str) -> Offer | None:
        wish = self._advisor.understand(collection, question)
        shown = self._last(conversation)
        follow = intents.follow_up(question, wish) if shown else None
        pointed = self._pointed(collection, follow, shown)
        if pointed is not None:
            kind = self._kind(collection, (pointed.id,))
            query, alone = Query(request=question, conditions=kind, only=(pointed.id,)), False
        elif shown is not None and follow is not None and follow.turn != "about":
            query, alone = _refined(follow, wish, shown, question), True
        else:
            decision = intents.decide(question, wish)
            if decision == "answer":
                return None
            query, alone = Query(request=question), decision == "advise"
            if wish.called and not alone:
                query = Query(request=question, conditions=self._kind(collection, wish.called), only=wish.called)
        query = dataclasses.replace(query, customer=conversation.customer, n=CARDS, language=language)
        advice = self._advisor.recommend(collection, query)
        if not advice.recommendations and not alone and not intents.wants(question):
            return None
        if pointed is not None:  # the list stays, for "and the first one?"
            return Offer(advice, alone, intents.with_name(question, pointed.title(language)))
        if advice.recommendations:
            self._remember(conversation.id, advice, shown)
        return Offer(advice, alone)

    def _pointed(self, collection: str, follow: intents.FollowUp | None, shown: Shown | None) -> Item | None:
        """The item of the list shown that a message asks about."""
        if shown is None or follow is None or follow.turn != "about":
            return None
        chosen = _chosen(follow.place, shown)
        return None if chosen is None else self._advisor.shop(collection).items.get(shown.ids[chosen])

    def _kind(self, collection: str, ids: Sequence[str]) -> tuple[Condition, ...]:
        """The category that items share, so that "cheaper" after them means cheaper ones of their kind."""
        items = self._advisor.shop(collection).items
        kinds = {items[one].category for one in ids}
        return (Condition("category", "is", tuple(kinds)),) if len(kinds) == 1 and "" not in kinds else ()

    def _last(self, conversation: Conversation) -> Shown | None:
        with self._lock:
            known = self._shown.get(conversation.id)
        if known is not None or not conversation.customer:
            return known
        last: Shown | None = None
        for turn in reversed(self._store.turns(conversation.id, conversation.customer)):
            advice = (turn.answer or {}).get("advice")
            if not advice or not advice["recommendations"]:
                continue
            found = _stored(advice)
            if last is not None and found.conditions != last.conditions:
                break
            last = found if last is None else dataclasses.replace(last, seen=(*found.ids, *last.seen))
        return last

    def _remember(self, conversation: str, advice: Advice, before: Shown | None) -> None:
        items = [one.item for one in advice.recommendations]
        prices = tuple(None if item.price is None else float(item.price) for item in items)
        same = before is not None and before.conditions == advice.conditions
        seen = dict.fromkeys((*before.seen, *before.ids) if before is not None and same else ())
        now = Shown(advice.conditions, tuple(item.id for item in items), prices, advice.asked, tuple(seen))
        with self._lock:
            self._shown[conversation] = now
            self._shown.move_to_end(conversation)
            while len(self._shown) > _REMEMBERED:
                self._shown.popitem(last=False)


def _refined(follow: intents.FollowUp, wish: Wish, shown: Shown, question: str) -> Query:
    """The query of a follow-up: the conditions before, changed by what was said."""
    conditions = filters.merged(shown.conditions, wish.conditions)
    chosen = _chosen(follow.place, shown)
    asked = " ".join(filter(None, (shown.request, question)))[:500]
    if follow.turn in {"cheaper", "dearer"} and not any(one.field == "price" for one in wish.conditions):
        prices = [price for price in shown.prices if price is not None]
        price = shown.prices[chosen] if chosen is not None else (prices[0] if prices else None)
        if price is not None:
            test = Condition("price", "<" if follow.turn == "cheaper" else ">", (f"{price:g}",))
            conditions = filters.merged(conditions, (test,))
    if follow.turn == "like" and chosen is not None:
        return Query(request=asked, conditions=conditions, like=(shown.ids[chosen],))
    if follow.turn == "compare":
        return Query(request=asked, conditions=shown.conditions, only=shown.ids)
    hidden = (*shown.seen, *shown.ids) if follow.turn == "other" else ()
    return Query(request=asked, conditions=conditions or (IN_STOCK,), hidden=hidden)


def _chosen(place: int, shown: Shown) -> int | None:
    """The index of the item that was pointed to."""
    if place == 0:
        return None
    index = len(shown.ids) - 1 if place < 0 else place - 1
    return index if 0 <= index < len(shown.ids) else None


def _stored(advice: dict[str, Any]) -> Shown:
    items: Sequence[dict[str, Any]] = [one["item"] for one in advice["recommendations"]]
    return Shown(
        tuple(Condition(one["field"], one["test"], tuple(one["values"])) for one in advice["conditions"]),
        tuple(item["id"] for item in items),
        tuple(None if item["price"] is None else float(item["price"]) for item in items),
        advice["asked"],
    )
