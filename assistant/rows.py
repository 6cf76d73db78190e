"""The store's tables, and each row as a value of `types.py` and back.

What is asked of them is `store.py`; no row leaves it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from assistant.types import Company, Document, Heading, Passage


class Base(orm.DeclarativeBase):
    """Root of the tables."""


class CollectionRow(Base):
    """A knowledge base and how it is searched; `company` is JSON."""

    __tablename__ = "collections"
    tenant: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    languages: orm.Mapped[str]
    embedder: orm.Mapped[str]
    threshold: orm.Mapped[float]
    company: orm.Mapped[str]


class DocumentRow(Base):
    """A document as it was read; `layout` is JSON of its pages, headings and rows."""

    __tablename__ = "documents"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    tenant: orm.Mapped[str] = orm.mapped_column(index=True)
    collection: orm.Mapped[str] = orm.mapped_column(index=True)
    name: orm.Mapped[str]
    text: orm.Mapped[str]
    sha256: orm.Mapped[str]
    kind: orm.Mapped[str]
    language: orm.Mapped[str]
    layout: orm.Mapped[str]
    added: orm.Mapped[dt.datetime]
    __table_args__ = (sa.UniqueConstraint("tenant", "collection", "name"),)


class PassageRow(Base):
    """A span of a document; `headings` is JSON."""

    __tablename__ = "passages"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    document_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("documents.id", ondelete="CASCADE"), index=True)
    position: orm.Mapped[int]
    body: orm.Mapped[str]
    start: orm.Mapped[int]
    end: orm.Mapped[int]
    sha256: orm.Mapped[str]
    page: orm.Mapped[int | None]
    headings: orm.Mapped[str]
    language: orm.Mapped[str]


class ConversationRow(Base):
    """A customer\'s thread."""

    __tablename__ = "conversations"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    tenant: orm.Mapped[str] = orm.mapped_column(index=True)
    collection: orm.Mapped[str]
    customer: orm.Mapped[str] = orm.mapped_column(index=True)
    title: orm.Mapped[str]
    updated: orm.Mapped[dt.datetime] = orm.mapped_column(index=True)


class TurnRow(Base):
    """One message; `client_id` makes a repeated write a no-op; `answer` is `Answer.to_dict`."""

    __tablename__ = "turns"
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=True)
    conversation_id: orm.Mapped[str] = orm.mapped_column(
        sa.ForeignKey("conversations.id", ondelete="CASCADE"), index=True
    )
    client_id: orm.Mapped[str]
    role: orm.Mapped[str]
    text: orm.Mapped[str]
    answer: orm.Mapped[str | None]
    at: orm.Mapped[dt.datetime]
    __table_args__ = (sa.UniqueConstraint("conversation_id", "client_id"),)


class RatingRow(Base):
    """What a customer thinks of an answer: 1 or -1, their correction, and whether it may be trained on."""

    __tablename__ = "ratings"
    answer: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    tenant: orm.Mapped[str]
    collection: orm.Mapped[str]
    conversation: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    customer: orm.Mapped[str] = orm.mapped_column(index=True)
    rating: orm.Mapped[int]
    correction: orm.Mapped[str]
    consent: orm.Mapped[bool]
    changes: orm.Mapped[int]
    at: orm.Mapped[dt.datetime]
    __table_args__ = (sa.Index("ratings_newest", "tenant", "collection", "at"),)


class AccountRow(Base):
    """One of the staff; `password` is an Argon2 hash, "" where an identity provider vouches."""

    __tablename__ = "accounts"
    tenant: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    role: orm.Mapped[str]
    password: orm.Mapped[str]
    one_time: orm.Mapped[bool]
    added: orm.Mapped[dt.datetime]
    seen: orm.Mapped[dt.datetime | None]


class LoginRow(Base):
    """A session (its SHA-256) that is an account's as long as `stamp` fits the account's password."""

    __tablename__ = "logins"
    session: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    tenant: orm.Mapped[str]
    account: orm.Mapped[str]
    stamp: orm.Mapped[str]
    until: orm.Mapped[dt.datetime]


class AuditRow(Base):
    """Who of the staff changed what. Rows are added, never changed or deleted: the database refuses."""

    __tablename__ = "audit"
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=True)
    tenant: orm.Mapped[str] = orm.mapped_column(index=True)
    at: orm.Mapped[dt.datetime]
    who: orm.Mapped[str]
    action: orm.Mapped[str]
    what: orm.Mapped[str]


for _kind in ("UPDATE", "DELETE"):
    _refusal = sa.DDL(  # type: ignore[no-untyped-call]
        f"CREATE TRIGGER audit_no_{_kind.lower()} BEFORE {_kind} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END"
    ).execute_if(dialect="sqlite")
    sa.event.listen(AuditRow.__table__, "after_create", _refusal)
_REFUSALS = (
    "CREATE OR REPLACE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the log is append-only'; END $$",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuses()",
)
for _statement in _REFUSALS:
    _refusal = sa.DDL(_statement).execute_if(dialect="postgresql")  # type: ignore[no-untyped-call]
    sa.event.listen(AuditRow.__table__, "after_create", _refusal)


class CuratedRow(Base):
    """An answer that the staff approved. Its text is also a stored document of one passage, which it cites."""

    __tablename__ = "curated_answers"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    tenant: orm.Mapped[str]
    collection: orm.Mapped[str]
    text: orm.Mapped[str]
    language: orm.Mapped[str]
    document_id: orm.Mapped[str]
    enabled: orm.Mapped[bool]
    expires: orm.Mapped[dt.datetime | None]
    hits: orm.Mapped[int]
    last_hit: orm.Mapped[dt.datetime | None]
    by: orm.Mapped[str]
    at: orm.Mapped[dt.datetime]
    changed: orm.Mapped[dt.datetime]
    __table_args__ = (sa.Index("curated_of", "tenant", "collection"),)


class PhrasingRow(Base):
    """A question that an approved answer answers. `customer`: whose words it is, word for word; "" = the staff's."""

    __tablename__ = "curated_phrasings"
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=True)
    answer_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("curated_answers.id", ondelete="CASCADE"), index=True)
    text: orm.Mapped[str]
    customer: orm.Mapped[str] = orm.mapped_column(index=True)
    embedder: orm.Mapped[str]
    vector: orm.Mapped[bytes | None]


class SuggestionRow(Base):
    """A question, perhaps with an answer, that the staff may approve; `asked` counts who asked it."""

    __tablename__ = "curated_suggestions"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    tenant: orm.Mapped[str]
    collection: orm.Mapped[str]
    question: orm.Mapped[str]
    answer: orm.Mapped[str]
    source: orm.Mapped[str]
    conversation: orm.Mapped[str | None] = orm.mapped_column(
        sa.ForeignKey("conversations.id", ondelete="CASCADE"), index=True
    )
    customer: orm.Mapped[str] = orm.mapped_column(index=True)
    asked: orm.Mapped[int]
    state: orm.Mapped[str]
    by: orm.Mapped[str]
    at: orm.Mapped[dt.datetime]
    __table_args__ = (sa.Index("suggestions_of", "tenant", "collection", "state"),)


class CaseRow(Base):
    """A conversation that needs a person, or had one. `holder` has it, `staff` is the name shown; times are UTC.

    `email` and `name` are what the customer left for an answer; `told` says whether the staff were notified.
    """

    __tablename__ = "desk_cases"
    conversation: orm.Mapped[str] = orm.mapped_column(
        sa.ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    tenant: orm.Mapped[str] = orm.mapped_column(index=True)
    customer: orm.Mapped[str] = orm.mapped_column(index=True)
    state: orm.Mapped[str] = orm.mapped_column(index=True)
    holder: orm.Mapped[str]
    staff: orm.Mapped[str]
    asked: orm.Mapped[dt.datetime]
    changed: orm.Mapped[dt.datetime]
    email: orm.Mapped[str]
    name: orm.Mapped[str]
    told: orm.Mapped[bool]


class AuthorRow(Base):
    """Who of the staff wrote a turn."""

    __tablename__ = "turn_authors"
    turn: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("turns.number", ondelete="CASCADE"), primary_key=True)
    staff: orm.Mapped[str]


class NoteRow(Base):
    """What the staff note about a conversation, for themselves; a repeated `client_id` is a no-op."""

    __tablename__ = "desk_notes"
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=True)
    conversation: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    client_id: orm.Mapped[str]
    staff: orm.Mapped[str]
    text: orm.Mapped[str]
    at: orm.Mapped[dt.datetime]
    __table_args__ = (sa.UniqueConstraint("conversation", "client_id"),)


class CannedRow(Base):
    """An answer that the staff have ready; `texts` is JSON, by language."""

    __tablename__ = "desk_canned"
    tenant: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    texts: orm.Mapped[str]


class AnswerFactRow(Base):
    """An answer's numbers beside its turn, so that they can be summed without reading the whole answer.

    `asked` is the turn of its question; `day` is the date of `at`. Filled by `dashboard.py` from `turns`.
    """

    __tablename__ = "answer_facts"
    turn: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("turns.number", ondelete="CASCADE"), primary_key=True)
    tenant: orm.Mapped[str]
    collection: orm.Mapped[str]
    conversation: orm.Mapped[str]
    asked: orm.Mapped[int | None]
    at: orm.Mapped[dt.datetime]
    day: orm.Mapped[str]
    outcome: orm.Mapped[str]
    shape: orm.Mapped[str]
    cited: orm.Mapped[int]
    seconds: orm.Mapped[float]
    prompt_tokens: orm.Mapped[int]
    completion_tokens: orm.Mapped[int]
    __table_args__ = (sa.Index("answer_facts_of", "tenant", "collection", "at"),)


class LessonRow(Base):
    """What is to be learned from one answer, redacted. `passages` is JSON; `turn` is the loop's turn that used it."""

    __tablename__ = "lessons"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    tenant: orm.Mapped[str]
    collection: orm.Mapped[str]
    conversation: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    customer: orm.Mapped[str] = orm.mapped_column(index=True)
    kind: orm.Mapped[str]
    question: orm.Mapped[str]
    text: orm.Mapped[str]
    rejected: orm.Mapped[str]
    passages: orm.Mapped[str]
    changes: orm.Mapped[int]
    state: orm.Mapped[str]
    by: orm.Mapped[str]
    turn: orm.Mapped[int | None]
    at: orm.Mapped[dt.datetime]
    __table_args__ = (sa.Index("lessons_of", "tenant", "collection", "state"),)


class LoopTurnRow(Base):
    """One turn of the loop, from its data to what became of its adapter. `marked`: withdrawn lessons on its card."""

    __tablename__ = "loop_turns"
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=True)
    tenant: orm.Mapped[str]
    collection: orm.Mapped[str]
    state: orm.Mapped[str]
    lessons: orm.Mapped[int]
    pairs: orm.Mapped[int]
    marked: orm.Mapped[int]
    adapter: orm.Mapped[str]
    note: orm.Mapped[str]
    by: orm.Mapped[str]
    began: orm.Mapped[dt.datetime]
    ended: orm.Mapped[dt.datetime | None]
    __table_args__ = (sa.Index("loop_turns_of", "tenant", "collection"),)


def to_company(data: dict[str, Any]) -> Company:
    """The company that a collection's JSON describes."""
    examples = {language: tuple(questions) for language, questions in data["examples"].items()}
    return Company(names=data["names"], examples=examples, contact=data["contact"])


def now() -> dt.datetime:
    """The time as it is stored: UTC, without a zone."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def from_document(document: Document) -> DocumentRow:
    """The row of a document, added now."""
    layout = {
        "pages": document.pages,
        "headings": [dataclasses.astuple(heading) for heading in document.headings],
        "rows": document.rows,
    }
    return DocumentRow(
        id=document.id,
        tenant=document.tenant,
        collection=document.collection,
        name=document.name,
        text=document.text,
        sha256=document.sha256,
        kind=document.kind,
        language=document.language,
        layout=json.dumps(layout, ensure_ascii=False),
        added=now(),
    )


def to_document(row: DocumentRow) -> Document:
    """The document of a row."""
    layout = json.loads(row.layout)
    return Document(
        id=row.id,
        tenant=row.tenant,
        collection=row.collection,
        name=row.name,
        text=row.text,
        sha256=row.sha256,
        kind=row.kind,
        language=row.language,
        pages=tuple(layout["pages"]),
        headings=tuple(Heading(*heading) for heading in layout["headings"]),
        rows=tuple((start, end) for start, end in layout["rows"]),
    )


def from_passage(passage: Passage, position: int) -> PassageRow:
    """The row of a document's passage number `position`."""
    return PassageRow(
        id=passage.id,
        document_id=passage.document_id,
        position=position,
        body=passage.text,
        start=passage.start,
        end=passage.end,
        sha256=passage.sha256,
        page=passage.page,
        headings=json.dumps(passage.headings, ensure_ascii=False),
        language=passage.language,
    )


def to_passage(row: PassageRow, document: DocumentRow) -> Passage:
    """The passage of a row and of its document's."""
    return Passage(
        id=row.id,
        document_id=row.document_id,
        document=document.name,
        tenant=document.tenant,
        collection=document.collection,
        text=row.body,
        start=row.start,
        end=row.end,
        sha256=row.sha256,
        page=row.page,
        headings=tuple(json.loads(row.headings)),
        language=row.language,
    )
