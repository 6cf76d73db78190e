"""The stored conversations for the staff: found, read, given out without personal data, deleted, swept when old.

What one customer may do with their own is `store.py`; forgetting a customer altogether is `erase.py`. Deleting one
takes everything that hangs on it (ratings, notes, the address left at the desk) and leaves nothing in free pages; the
loop's files of it go when the loop next looks.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from assistant.errors import BadInput, UnknownName
from assistant.owners import CustomerRows
from assistant.rows import Base, ConversationRow, RatingRow, TurnRow, now
from assistant.store import Store, Turn
from assistant.types import Outcome
from privacy.erasure import Marks
from privacy.redaction import Redactor

Format = Literal["jsonl", "csv"]
FORMATS = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
RATINGS = ("up", "down")
_CSV_HEAD = ("conversation", "customer", "collection", "at", "role", "outcome", "rating", "text")
_RATED = {"up": 1, "down": -1}
_NAMED = (ConversationRow.id, ConversationRow.customer, ConversationRow.collection)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which conversations: every field that is set has to fit. `since` and `until` are days, both included.

    `text` stands in any message, in any letter case; `outcome` is one of an answer, `rating` of a customer (up, down).
    """

    text: str = ""
    collection: str = ""
    outcome: str = ""
    rating: str = ""
    since: dt.date | None = None
    until: dt.date | None = None
    customer: str = ""
    limit: int = 100


def wanted_of(fields: Mapping[str, str], *, limit: int = 1_000_000) -> Wanted:
    """The search that a form's fields describe; an export is of all that it finds.

    Raises:
        BadInput: a day is none, or there is no such outcome or rating; all that is wrong at once.
    """
    problems, days = list[str](), dict[str, dt.date | None]()
    for name in ("since", "until"):
        try:
            days[name] = dt.date.fromisoformat(fields[name]) if fields.get(name) else None
        except ValueError:
            problems.append(f"{name} is no day: 2026-12-31")
    for name, known in (("outcome", [one.value for one in Outcome]), ("rating", RATINGS)):
        if fields.get(name) and fields[name] not in known:
            problems.append(f"{name} is one of {', '.join(known)}")
    if problems:
        raise BadInput(f"This cannot be searched for: {'; '.join(problems)}.", hint="Change it, or leave it out.")
    return Wanted(
        text=fields.get("text", ""), collection=fields.get("collection", ""), outcome=fields.get("outcome", ""),
        rating=fields.get("rating", ""), since=days["since"], until=days["until"],
        customer=fields.get("customer", ""), limit=limit,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A conversation as a line of a list. `updated` is UTC without a zone; `rating` is the last one, "" = none."""

    id: str
    customer: str
    collection: str
    title: str
    updated: dt.datetime
    messages: int
    outcome: str
    rating: str


class History:
    """The conversations of a tenant."""

    def __init__(self, store: Store, tenant: str) -> None:
        self._store, self._tenant = store, tenant
        self._sessions = store.tables(Base.metadata)

    def find(self, wanted: Wanted) -> list[Entry]:
        """Those that fit, the newest first."""
        with self._sessions() as session:
            return [_entry(session, row) for row in session.scalars(self._chosen(wanted))]

    def read(self, conversation: str) -> tuple[Entry, list[Turn]]:
        """One of them with what was said. Raises UnknownName."""
        with self._sessions() as session:
            row = session.get(ConversationRow, conversation)
            if row is None or row.tenant != self._tenant:
                raise UnknownName(
                    f"There is no conversation {conversation!r}.", hint="`confide conversations list` shows them."
                )
            return _entry(session, row), self._store.turns(row.id, row.customer)

    def ratings(self, conversation: str) -> dict[str, str]:
        """answer id -> up or down."""
        with self._sessions() as session:
            rows = session.scalars(sa.select(RatingRow).where(RatingRow.conversation == conversation))
            return {row.answer: "up" if row.rating > 0 else "down" for row in rows}

    def delete(self, conversation: str) -> None:
        """Deletes one with all that hangs on it.

        Raises:
            UnknownName: there is none such.
            StoreBusy: it is deleted; what is left of it in free pages goes with the next sweep.
        """
        entry, _ = self.read(conversation)
        self._store.remove_conversation(entry.id, entry.customer)
        self._compact()

    def sweep(self, keep_days: int) -> int:
        """Deletes those that nobody wrote in for so many days; how many. 0 days = none is ever deleted.

        Raises:
            StoreBusy: as in `delete`.
        """
        if not keep_days:
            return 0
        old = ConversationRow.updated < now() - dt.timedelta(days=keep_days)
        with self._sessions.begin() as session:
            chosen = sa.delete(ConversationRow).where(ConversationRow.tenant == self._tenant, old)
            gone = session.connection().execute(chosen).rowcount
        if gone:
            self._compact()
        return gone

    def export(self, wanted: Wanted, redactor: Redactor, marks: Marks, *, kind: Format) -> Iterator[str]:
        """Those that fit as lines of text, personal data replaced; customers and staff are not named.

        JSON lines have a conversation each, CSV a message each, after a head.
        """
        if kind == "csv":
            yield _row(_CSV_HEAD)
        with self._sessions() as session:  # their names alone, so that the first lines go out at once
            rows = session.execute(self._chosen(wanted).with_only_columns(*_NAMED)).all()
        for row in rows:
            found = self._clean(row.id, row.customer, row.collection, redactor, marks)
            if kind == "jsonl":
                yield json.dumps(found, ensure_ascii=False) + "\n"
                continue
            for said in found["messages"]:
                yield _row([{**found, **said}[column] for column in _CSV_HEAD])

    def _chosen(self, wanted: Wanted) -> sa.Select[ConversationRow]:
        chosen = sa.select(ConversationRow).where(ConversationRow.tenant == self._tenant, *_fits(wanted))
        return chosen.order_by(ConversationRow.updated.desc(), ConversationRow.id).limit(wanted.limit)

    def _clean(self, name: str, customer: str, collection: str, redactor: Redactor, marks: Marks) -> dict[str, Any]:
        rated = self.ratings(name)
        messages = [
            {
                "role": "person" if turn.by else turn.message.role,
                "text": redactor.redact(turn.message.text).text,
                "outcome": turn.answer["outcome"] if turn.answer else "",
                "rating": rated.get(turn.answer_id, ""),
                "at": turn.at.isoformat(timespec="seconds"),
            }
            for turn in self._store.turns(name, customer)
        ]
        head = {"conversation": name, "customer": marks.of(customer), "collection": collection}
        return {**head, "messages": messages}

    def _compact(self) -> None:
        CustomerRows(self._store, self._tenant, frozenset()).compact()


def _fits(wanted: Wanted) -> Iterator[sa.ColumnElement[bool]]:
    said = TurnRow.conversation_id == ConversationRow.id
    if wanted.text.strip():
        text = wanted.text.strip()
        yield sa.exists().where(said, TurnRow.text.icontains(text, autoescape=True))
    if wanted.collection:
        yield ConversationRow.collection == wanted.collection
    if wanted.outcome:  # as JSON writes it: within a quoted text its quotes would be escaped
        yield sa.exists().where(said, TurnRow.answer.contains(f'"outcome": "{wanted.outcome}"', autoescape=True))
    if wanted.rating:
        rated = (RatingRow.conversation == ConversationRow.id, RatingRow.rating == _RATED[wanted.rating])
        yield sa.exists().where(*rated)
    if wanted.since:
        yield ConversationRow.updated >= dt.datetime.combine(wanted.since, dt.time())
    if wanted.until:
        yield ConversationRow.updated <= dt.datetime.combine(wanted.until, dt.time.max)
    if wanted.customer.strip():
        yield ConversationRow.customer == wanted.customer.strip()


def _entry(session: sa.orm.Session, row: ConversationRow) -> Entry:
    messages = sa.select(sa.func.count()).where(TurnRow.conversation_id == row.id)
    last = sa.select(TurnRow.answer).where(TurnRow.conversation_id == row.id, TurnRow.answer.is_not(None))
    answer = session.scalar(last.order_by(TurnRow.number.desc()).limit(1))
    rating = session.scalar(
        sa.select(RatingRow.rating).where(RatingRow.conversation == row.id).order_by(RatingRow.at.desc()).limit(1)
    )
    return Entry(
        id=row.id, customer=row.customer, collection=row.collection, title=row.title, updated=row.updated,
        messages=session.scalar(messages) or 0, outcome=json.loads(answer)["outcome"] if answer else "",
        rating={1: "up", -1: "down"}.get(rating or 0, ""),
    )  # fmt: skip


def _row(cells: Any) -> str:
    """A line of CSV; a cell that a spreadsheet would compute is text there."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([f"'{cell}" if cell[:1] in {*"=+-@\t\r"} else cell for cell in cells])
    return out.getvalue()
