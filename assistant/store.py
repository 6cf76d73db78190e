"""Everything that is kept: collections, documents, passages, conversations, turns.

SQLAlchemy 2 over SQLite (WAL, every commit synced, deleted rows overwritten) or any database by
URL. It returns the values of `types.py`, never rows. It is not the index: vectors live beside
it and can be rebuilt from it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from assistant.errors import StoreError
from assistant.types import (
    CollectionInfo,
    Company,
    Conversation,
    Document,
    Heading,
    Message,
    Passage,
)


class _Base(orm.DeclarativeBase):
    """Root of the tables."""


class _Collection(_Base):
    __tablename__ = "collections"
    tenant: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    languages: orm.Mapped[str]
    embedder: orm.Mapped[str]
    threshold: orm.Mapped[float]
    company: orm.Mapped[str]


class _Document(_Base):
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


class _Passage(_Base):
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


class _Conversation(_Base):
    __tablename__ = "conversations"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    tenant: orm.Mapped[str] = orm.mapped_column(index=True)
    collection: orm.Mapped[str]
    customer: orm.Mapped[str] = orm.mapped_column(index=True)
    title: orm.Mapped[str]
    updated: orm.Mapped[dt.datetime] = orm.mapped_column(index=True)


class _Turn(_Base):
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


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """A stored message; `answer` is the JSON object of the answer, None for a customer's turn."""

    client_id: str
    message: Message
    answer: dict[str, Any] | None
    at: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class ConversationSummary:
    """A line of the list of conversations."""

    id: str
    title: str
    updated: dt.datetime


class Store:
    """The database of one data folder."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
        try:
            _Base.metadata.create_all(self._engine)
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(
                f"The store cannot be opened: {error.__cause__ or error}.", hint="Is the disk full?"
            ) from error
        self._sessions = orm.sessionmaker(self._engine)

    @classmethod
    def open(cls, data_dir: Path) -> Store:
        """The SQLite store of a data folder, created where there is none."""
        data_dir.mkdir(parents=True, exist_ok=True)
        return cls(f"sqlite:///{data_dir / 'confide.db'}")

    def close(self) -> None:
        """Gives the connections back."""
        self._engine.dispose()

    def tables(self, metadata: sa.MetaData) -> orm.sessionmaker[orm.Session]:
        """Creates a sibling module's tables where they are missing; the way into them."""
        metadata.create_all(self._engine)
        return self._sessions

    def answers(self, tenant: str, collection: str, since: dt.datetime) -> list[tuple[str, dict[str, Any]]]:
        """(conversation, JSON object of the answer) of every answer from `since` (UTC) on, oldest first."""
        with self._sessions() as session:
            rows = session.execute(
                sa.select(_Turn.conversation_id, _Turn.answer)
                .join(_Conversation, _Turn.conversation_id == _Conversation.id)
                .where(_Conversation.tenant == tenant, _Conversation.collection == collection)
                .where(_Turn.at >= since, _Turn.answer.is_not(None))
                .order_by(_Turn.number)
            )
            return [(conversation, json.loads(answer)) for conversation, answer in rows if answer]

    # Collections

    def collections(self, tenant: str) -> list[CollectionInfo]:
        """All collections of a tenant with their sizes, by name."""
        with self._sessions() as session:
            rows = session.scalars(
                sa.select(_Collection).where(_Collection.tenant == tenant).order_by(_Collection.name)
            ).all()
            return [self._info(session, row) for row in rows]

    def collection(self, tenant: str, name: str) -> CollectionInfo | None:
        """One collection, or None."""
        with self._sessions() as session:
            row = session.get(_Collection, (tenant, name))
            return self._info(session, row) if row else None

    def save_collection(self, info: CollectionInfo) -> None:
        """Creates or updates a collection's settings (its counts are not stored)."""
        with self._sessions.begin() as session:
            session.merge(
                _Collection(
                    tenant=info.tenant,
                    name=info.name,
                    languages=",".join(info.languages),
                    embedder=info.embedder,
                    threshold=info.threshold,
                    company=json.dumps(dataclasses.asdict(info.company), ensure_ascii=False),
                )
            )

    def remove_collection(self, tenant: str, name: str) -> bool:
        """Removes a collection with its documents and passages. False: there was none."""
        with self._sessions.begin() as session:
            session.execute(sa.delete(_Document).where(_Document.tenant == tenant, _Document.collection == name))
            found = session.get(_Collection, (tenant, name))
            if found is not None:
                session.delete(found)
            return found is not None

    # Documents and passages

    def documents(self, tenant: str, collection: str) -> list[Document]:
        """All documents of a collection, by name."""
        with self._sessions() as session:
            rows = session.scalars(
                sa.select(_Document)
                .where(_Document.tenant == tenant, _Document.collection == collection)
                .order_by(_Document.name)
            )
            return [_to_document(row) for row in rows]

    def document(self, document_id: str) -> Document | None:
        """One document, or None."""
        with self._sessions() as session:
            row = session.get(_Document, document_id)
            return _to_document(row) if row else None

    def change_documents(
        self, added: Iterable[tuple[Document, Sequence[Passage]]], removed: Iterable[str] = ()
    ) -> None:
        """Removes documents by id and adds others with their passages, in one transaction."""
        with self._sessions.begin() as session:
            for document_id in removed:
                session.execute(sa.delete(_Document).where(_Document.id == document_id))
            session.flush()
            for document, passages in added:
                session.add(_from_document(document))
                session.flush()
                session.add_all(_from_passage(passage, position) for position, passage in enumerate(passages))

    def passages(self, tenant: str, collection: str) -> list[Passage]:
        """All passages of a collection, by document name and position."""
        with self._sessions() as session:
            rows = session.execute(
                sa.select(_Passage, _Document)
                .join(_Document, _Passage.document_id == _Document.id)
                .where(_Document.tenant == tenant, _Document.collection == collection)
                .order_by(_Document.name, _Passage.position)
            )
            return [_to_passage(passage, document) for passage, document in rows]

    def passage(self, tenant: str, passage_id: str) -> Passage | None:
        """One passage of this tenant, or None."""
        with self._sessions() as session:
            row = session.execute(
                sa.select(_Passage, _Document)
                .join(_Document, _Passage.document_id == _Document.id)
                .where(_Passage.id == passage_id, _Document.tenant == tenant)
            ).first()
            return _to_passage(*row) if row else None

    # Conversations

    def append_turns(
        self,
        conversation: Conversation,
        *,
        tenant: str,
        collection: str,
        turns: Sequence[Turn],
    ) -> None:
        """Adds turns to a conversation, creating it with the first. A repeated `client_id` is a no-op."""
        with self._sessions.begin() as session:
            row = session.get(_Conversation, conversation.id)
            if row is None:
                title = next((turn.message.text for turn in turns if turn.message.role == "user"), "")
                row = _Conversation(
                    id=conversation.id,
                    tenant=tenant,
                    collection=collection,
                    customer=conversation.customer,
                    title=" ".join(title.split())[:80],
                    updated=_now(),
                )
                session.add(row)
                session.flush()
            elif (row.tenant, row.customer) != (tenant, conversation.customer):
                raise StoreError("This conversation belongs to somebody else.")
            known = set(
                session.scalars(
                    sa.select(_Turn.client_id).where(
                        _Turn.conversation_id == conversation.id,
                        _Turn.client_id.in_([turn.client_id for turn in turns]),
                    )
                )
            )
            session.add_all(
                _Turn(
                    conversation_id=conversation.id,
                    client_id=turn.client_id,
                    role=turn.message.role,
                    text=turn.message.text,
                    answer=json.dumps(turn.answer, ensure_ascii=False) if turn.answer else None,
                    at=turn.at,
                )
                for turn in turns
                if turn.client_id not in known
            )
            row.updated = _now()

    def drop_turns_after(self, conversation_id: str, customer: str, keep: int) -> None:
        """Keeps the first `keep` turns: a question was edited or asked again."""
        with self._sessions.begin() as session:
            if self._owned(session, conversation_id, customer) is None:
                return
            numbers = session.scalars(
                sa.select(_Turn.number).where(_Turn.conversation_id == conversation_id).order_by(_Turn.number)
            ).all()
            session.execute(sa.delete(_Turn).where(_Turn.number.in_(numbers[keep:])))

    def conversations(self, tenant: str, customer: str, limit: int = 50) -> list[ConversationSummary]:
        """A customer's conversations, newest first."""
        with self._sessions() as session:
            rows = session.scalars(
                sa.select(_Conversation)
                .where(_Conversation.tenant == tenant, _Conversation.customer == customer)
                .order_by(_Conversation.updated.desc())
                .limit(limit)
            )
            return [ConversationSummary(row.id, row.title, row.updated) for row in rows]

    def turns(self, conversation_id: str, customer: str) -> list[Turn]:
        """The turns of a customer's own conversation, oldest first; [] for anybody else's."""
        with self._sessions() as session:
            if self._owned(session, conversation_id, customer) is None:
                return []
            rows = session.scalars(
                sa.select(_Turn).where(_Turn.conversation_id == conversation_id).order_by(_Turn.number)
            )
            return [_to_turn(row) for row in rows]

    def remove_conversation(self, conversation_id: str, customer: str) -> bool:
        """Deletes a customer's own conversation. False: there was none."""
        with self._sessions.begin() as session:
            row = self._owned(session, conversation_id, customer)
            if row is not None:
                session.delete(row)
            return row is not None

    def _owned(self, session: orm.Session, conversation_id: str, customer: str) -> _Conversation | None:
        row = session.get(_Conversation, conversation_id)
        return row if row is not None and row.customer == customer else None

    def _info(self, session: orm.Session, row: _Collection) -> CollectionInfo:
        where = (_Document.tenant == row.tenant, _Document.collection == row.name)
        documents = session.scalar(sa.select(sa.func.count()).select_from(_Document).where(*where))
        passages = session.scalar(
            sa.select(sa.func.count())
            .select_from(_Passage)
            .join(_Document, _Passage.document_id == _Document.id)
            .where(*where)
        )
        return CollectionInfo(
            tenant=row.tenant,
            name=row.name,
            languages=tuple(filter(None, row.languages.split(","))),
            embedder=row.embedder,
            threshold=row.threshold,
            company=_to_company(json.loads(row.company)),
            documents=documents or 0,
            passages=passages or 0,
        )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """WAL for readers beside a writer; FULL so that a commit survives a power cut; erased means erased."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _to_company(data: dict[str, Any]) -> Company:
    examples = {language: tuple(questions) for language, questions in data["examples"].items()}
    return Company(names=data["names"], examples=examples, contact=data["contact"])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def _from_document(document: Document) -> _Document:
    layout = {
        "pages": document.pages,
        "headings": [dataclasses.astuple(heading) for heading in document.headings],
        "rows": document.rows,
    }
    return _Document(
        id=document.id,
        tenant=document.tenant,
        collection=document.collection,
        name=document.name,
        text=document.text,
        sha256=document.sha256,
        kind=document.kind,
        language=document.language,
        layout=json.dumps(layout, ensure_ascii=False),
        added=_now(),
    )


def _to_document(row: _Document) -> Document:
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


def _from_passage(passage: Passage, position: int) -> _Passage:
    return _Passage(
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


def _to_passage(row: _Passage, document: _Document) -> Passage:
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


def _to_turn(row: _Turn) -> Turn:
    return Turn(
        client_id=row.client_id,
        message=Message(role=row.role, text=row.text),  # type: ignore[arg-type]
        answer=json.loads(row.answer) if row.answer else None,
        at=row.at,
    )
