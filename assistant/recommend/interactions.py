"""An interactions file to `Interaction`s: who did what with which item, and when. Bad rows are listed, good ones kept.

Not where they are kept (`stock.py`). The columns have the usual names; a rating file without an event column
is all ratings, an order export all purchases.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from assistant.errors import BadInput
from assistant.goods import Event, Interaction
from assistant.recommend.catalog import BadRow, plain, rows_of

_COLUMNS: dict[str, tuple[str, ...]] = {
    "customer": ("customer", "customer id", "user", "user id", "userid", "email", "client", "客户", "顾客", "用户"),
    "item": ("item", "item id", "sku", "lineitem sku", "product id", "movieid", "product", "商品", "货号", "商品编号"),
    "event": ("event", "event type", "type", "action", "事件", "行为"),
    "at": ("at", "time", "timestamp", "date", "created at", "datetime", "时间", "日期"),
    "value": ("value", "rating", "stars", "score", "评分"),
}
_EVENTS: dict[str, Event] = {
    "view": "view", "viewed": "view", "浏览": "view", "click": "click", "点击": "click", "cart": "cart",
    "add to cart": "cart", "addtocart": "cart", "加购": "cart", "buy": "buy", "purchase": "buy", "order": "buy",
    "transaction": "buy", "done": "buy", "购买": "buy", "rating": "rating", "rate": "rating", "评分": "rating",
    "dismiss": "dismiss", "hide": "dismiss", "忽略": "dismiss",
}  # fmt: skip
_FORMATS = tuple(
    "%Y-%m-%d %H:%M:%S %z|%d/%m/%Y %H:%M|%d/%m/%Y|%d.%m.%Y %H:%M|%d.%m.%Y|%Y/%m/%d|%Y/%m/%d %H:%M".split("|")
)


@dataclass(frozen=True, slots=True)
class ReadInteractions:
    """What a file held; `unknown` counts rows whose item is not in the catalogue."""

    interactions: tuple[Interaction, ...]
    bad: tuple[BadRow, ...] = ()
    unknown: int = 0


def read_interactions(path: Path, *, items: Collection[str] | None = None) -> ReadInteractions:
    """The interactions of a file in its order. With `items`, those of other items are left out and counted.

    Raises:
        BadInput: the file cannot be read, or has no column for customer, item or time.
    """
    rows = list(rows_of(path))
    heads = {plain(head): head for _, row in rows[:1] for head in row}
    names = {field: next((heads[name] for name in known if name in heads), "") for field, known in _COLUMNS.items()}
    missing = [field for field in ("customer", "item", "at") if not names[field]]
    if missing:
        wanted = "; ".join(f"{field}: {' or '.join(_COLUMNS[field][:4])}" for field in missing)
        raise BadInput(f"{path.name} has no column for {' and '.join(missing)}.", hint=f"Name one {wanted}.")
    found: list[Interaction] = []
    bad: list[BadRow] = []
    unknown = 0
    for line, row in rows:
        try:
            one = _interaction(lambda field, row=row: row.get(names[field], "") if names[field] else "", names)  # type: ignore[misc]
        except ValueError as error:
            bad.append(BadRow(line, str(error)))
            continue
        if items is not None and one.item not in items:
            unknown += 1
        else:
            found.append(one)
    return ReadInteractions(tuple(found), tuple(bad), unknown)


def _interaction(said: Callable[[str], str], names: Mapping[str, str]) -> Interaction:
    """The interaction of a row. Raises ValueError with everything that is wrong."""
    problems = [f"no {field}" for field in ("customer", "item") if not said(field)]
    event: Event = "buy" if not names["value"] else "rating"
    if names["event"]:
        known = _EVENTS.get(plain(said("event")))
        if known is None:
            problems.append(f"the event {said('event')!r} is none of {', '.join(dict.fromkeys(_EVENTS.values()))}")
        event = cast(Event, known)
    value, at = 1.0, dt.datetime(1970, 1, 1)
    try:
        at = moment(said("at"))
    except (ValueError, OverflowError, OSError):
        problems.append(f"the time {said('at')!r} is not one")
    if event == "rating" and names["value"] and not said("value"):
        problems.append("a rating without its stars")
    try:
        value = float(said("value") or 1.0)
        if not math.isfinite(value):
            raise ValueError
    except ValueError:
        problems.append(f"the value {said('value')!r} is not a number")
    if problems:
        raise ValueError("; ".join(problems))
    return Interaction(said("customer")[:200], said("item")[:200], event, at, value)


def moment(text: str) -> dt.datetime:
    """A time in UTC without a zone: ISO 8601, seconds or milliseconds since 1970, or a common date.

    Raises:
        ValueError: it is none of these.

    >>> moment("1260759144"), moment("2025-03-01T08:00:00+01:00")
    (datetime.datetime(2009, 12, 14, 2, 52, 24), datetime.datetime(2025, 3, 1, 7, 0))
    """
    text = text.strip()
    if text.replace(".", "", 1).isdecimal() and len(text.split(".")[0]) >= 9:
        seconds = float(text)
        return _naive(dt.datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, dt.UTC))
    try:
        return _naive(dt.datetime.fromisoformat(text))
    except ValueError:
        for form in _FORMATS:
            try:
                return _naive(dt.datetime.strptime(text, form))
            except ValueError:
                continue
        raise


def _naive(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
