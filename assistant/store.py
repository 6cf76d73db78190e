"""Everything that is kept: collections, documents, passages, conversations, turns.

SQLAlchemy 2 over SQLite (WAL, every commit synced, deleted rows overwritten) or any database by
URL. It returns the values of `types.py`, never the rows of `rows.py`. It is not the index: vectors live
beside it and can be rebuilt from it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import orm

from assistant import migrations
from assistant.errors import StoreError
from assistant.rows import (
    AnswerFactRow,
    AuthorRow,
    Base,
    CollectionRow,
    ConversationRow,
    DocumentRow,
    PassageRow,
    TurnRow,
    from_document,
    from_passage,
    now,
    to_company,
    to_document,
    to_passage,
)
from assistant.types import CollectionInfo, Conversation, Document, Message, Passage

if TYPE_CHECKING:
    from assistant.settings import Settings


STOPPED = "stopped before its end"
"""The note of an answer whose reader went, or in which something broke; its question sent again is answered anew."""
_CREATING = 0x636F6E66
"""The lock under which tables are created."""


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """A stored message; `answer` is the JSON object of the answer, None for a customer's turn and for a person's.

    `by` names the person of the staff who wrote it, "" = the assistant, or the customer. `number` grows in the order
    in which turns were stored.
    """

    client_id: str
    message: Message
    answer: dict[str, Any] | None
    at: dt.datetime
    by: str = ""
    number: int = dataclasses.field(default=0, compare=False)

    @property
    def answer_id(self) -> str:
        """By which id it is rated: the answer's, `p` and the number of a person's message, "" of a customer's."""
        return str(self.answer["id"]) if self.answer else f"p{self.number}" if self.by else ""

    @property
    def is_stopped(self) -> bool:
        """Whether it is an answer that was stopped before its end."""
        return STOPPED in (self.answer or {}).get("receipt", {}).get("notes", ())


@dataclasses.dataclass(frozen=True, slots=True)
class ConversationSummary:
    """A line of the list of conversations."""

    id: str
    title: str
    updated: dt.datetime


class Store:
    """The database of one data folder."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        self._create(Base.metadata, before=migrations.bring_up)
        self._sessions = orm.sessionmaker(self._engine)

    @classmethod
    def open(cls, data_dir: Path, url: str = "") -> Store:
        """The store of a data folder: at this URL, or its own SQLite file. Created where there is none."""
        data_dir.mkdir(parents=True, exist_ok=True)
        return cls(url or f"sqlite:///{data_dir / 'confide.db'}")

    @classmethod
    def of(cls, settings: Settings) -> Store:
        """The store that the settings name."""
        return cls.open(settings.data_dir, settings.store_url.get_secret_value())

    def close(self) -> None:
        """Gives the connections back."""
        self._engine.dispose()

    def tables(self, metadata: sa.MetaData) -> orm.sessionmaker[orm.Session]:
        """Creates a sibling module's tables where they are missing; the way into them."""
        self._create(metadata)
        return self._sessions

    def _create(self, metadata: sa.MetaData, before: Callable[[sa.Connection], None] = lambda connection: None) -> None:
        """Creates what is missing; of several processes at once one after the other."""
        is_file = self._engine.dialect.name == "sqlite"
        try:
            with self._engine.begin() as connection:
                if is_file and set(metadata.tables) - set(sa.inspect(connection).get_table_names()):
                    connection.exec_driver_sql("BEGIN IMMEDIATE")  # of several threads one after the other, too
                elif not is_file:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATING)))
                before(connection)
                metadata.create_all(connection)
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(
                f"The store cannot be opened: {str(error.__cause__ or error).strip()}.",
                hint="Is the disk full?"
                if is_file
                else "Does the database of store_url run, and may this user create tables?",
            ) from error

    def answers(self, tenant: str, collection: str, since: dt.datetime) -> list[tuple[str, dict[str, Any]]]:
        """(conversation, JSON object of the answer) of every answer from `since` (UTC) on, oldest first."""
        with self._sessions() as session:
            rows = session.execute(
                sa.select(TurnRow.conversation_id, TurnRow.answer)
                .join(ConversationRow, TurnRow.conversation_id == ConversationRow.id)
                .where(ConversationRow.tenant == tenant, ConversationRow.collection == collection)
                .where(TurnRow.at >= since, TurnRow.answer.is_not(None))
                .order_by(TurnRow.number)
            )
            return [(conversation, json.loads(answer)) for conversation, answer in rows if answer]

    # Collections

    def collections(self, tenant: str) -> list[CollectionInfo]:
        """All collections of a tenant with their sizes, by name."""
        with self._sessions() as session:
            rows = session.scalars(
                sa.select(CollectionRow).where(CollectionRow.tenant == tenant).order_by(CollectionRow.name)
            ).all()
            return [self._info(session, row) for row in rows]

    def collection(self, tenant: str, name: str, *, counted: bool = True) -> CollectionInfo | None:
        """One collection, or None. Without `counted` its sizes are 0: they cost a look at every passage."""
        with self._sessions() as session:
            row = session.get(CollectionRow, (tenant, name))
            return self._info(session, row, counted=counted) if row else None

    def save_collection(self, info: CollectionInfo) -> None:
        """Creates or updates a collection's settings (its counts are not stored)."""
        with self._sessions.begin() as session:
            session.merge(
                CollectionRow(
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
            session.execute(sa.delete(DocumentRow).where(DocumentRow.tenant == tenant, DocumentRow.collection == name))
            found = session.get(CollectionRow, (tenant, name))
            if found is not None:
                session.delete(found)
            return found is not None

    # Documents and passages

    def documents(self, tenant: str, collection: str) -> list[Document]:
        """All documents of a collection, by name."""
        return list(self.each_document(tenant, collection))

    def each_document(self, tenant: str, collection: str) -> Iterator[Document]:
        """The same, a few in memory at a time."""
        with self._sessions() as session:
            rows = session.scalars(
                sa.select(DocumentRow)
                .where(DocumentRow.tenant == tenant, DocumentRow.collection == collection)
                .order_by(DocumentRow.name)
                .execution_options(yield_per=50)
            )
            yield from map(to_document, rows)

    def mark(self, tenant: str, collection: str) -> str:
        """What changes when a collection's documents do; "" for a file, which stands beside its only index.

        A database may serve processes that keep an index each: each looks here whether its own is still right.
        """
        if self._engine.dialect.name == "sqlite":
            return ""
        with self._sessions() as session:
            found = session.execute(
                sa.select(sa.func.count(), sa.func.max(DocumentRow.added)).where(
                    DocumentRow.tenant == tenant, DocumentRow.collection == collection
                )
            ).one()
            return f"{found[0]}/{found[1]}"

    def cuts(self, tenant: str, collection: str) -> dict[str, list[tuple[int, int]]]:
        """The (start, end) of each passage in its document, by document id."""
        with self._sessions() as session:
            rows = session.execute(
                sa.select(PassageRow.document_id, PassageRow.start, PassageRow.end)
                .join(DocumentRow, PassageRow.document_id == DocumentRow.id)
                .where(DocumentRow.tenant == tenant, DocumentRow.collection == collection)
                .order_by(PassageRow.document_id, PassageRow.position)
            )
            found: dict[str, list[tuple[int, int]]] = {}
            for document_id, start, end in rows:
                found.setdefault(document_id, []).append((start, end))
            return found

    def document(self, document_id: str) -> Document | None:
        """One document, or None."""
        with self._sessions() as session:
            row = session.get(DocumentRow, document_id)
            return to_document(row) if row else None

    def change_documents(
        self, added: Iterable[tuple[Document, Sequence[Passage]]], removed: Iterable[str] = ()
    ) -> None:
        """Removes documents by id and adds others with their passages, in one transaction."""
        with self._sessions.begin() as session:
            for document_id in removed:
                session.execute(sa.delete(DocumentRow).where(DocumentRow.id == document_id))
            session.flush()
            for document, passages in added:
                session.add(from_document(document))
                session.flush()
                session.add_all(from_passage(passage, position) for position, passage in enumerate(passages))

    def passages(self, tenant: str, collection: str) -> list[Passage]:
        """All passages of a collection, by document name and position."""
        with self._sessions() as session:
            rows = session.execute(
                sa.select(PassageRow, DocumentRow)
                .join(DocumentRow, PassageRow.document_id == DocumentRow.id)
                .where(DocumentRow.tenant == tenant, DocumentRow.collection == collection)
                .order_by(DocumentRow.name, PassageRow.position)
                .options(orm.defer(DocumentRow.text))
            )
            return [to_passage(passage, document) for passage, document in rows]

    def passage(self, tenant: str, passage_id: str) -> Passage | None:
        """One passage of this tenant, or None."""
        return self.passages_by_id(tenant, [passage_id]).get(passage_id)

    def passages_by_id(self, tenant: str, passage_ids: Iterable[str]) -> dict[str, Passage]:
        """Those of the passages that exist and are this tenant's, by id, in one query."""
        with self._sessions() as session:
            rows = session.execute(
                sa.select(PassageRow, DocumentRow)
                .join(DocumentRow, PassageRow.document_id == DocumentRow.id)
                .where(PassageRow.id.in_(list(passage_ids)), DocumentRow.tenant == tenant)
                .options(orm.defer(DocumentRow.text))
            )
            return {passage.id: to_passage(passage, document) for passage, document in rows}

    # Conversations

    def append_turns(
        self,
        conversation: Conversation,
        *,
        tenant: str,
        collection: str,
        turns: Sequence[Turn],
        also: Callable[[orm.Session], None] = lambda session: None,
    ) -> None:
        """Adds turns to a conversation; its customer's message creates it. A repeated `client_id` is a no-op.

        An answer to a conversation that was deleted meanwhile is not kept, and one that was stopped before its end is
        replaced by its repetition. `also` writes a sibling module's rows in the same transaction, after the turns.

        Raises:
            StoreError: the conversation is somebody else's.
        """
        try:
            self._append(conversation, tenant, collection, turns, also)
        except (sa.exc.IntegrityError, orm.exc.StaleDataError):  # made, or deleted, at the same moment: it is seen now
            self._append(conversation, tenant, collection, turns, also)

    def _append(
        self,
        conversation: Conversation,
        tenant: str,
        collection: str,
        turns: Sequence[Turn],
        also: Callable[[orm.Session], None],
    ) -> None:
        with self._sessions.begin() as session:
            row = session.get(ConversationRow, conversation.id)
            asked = next((turn.message.text for turn in turns if turn.message.role == "user"), None)
            if row is None:
                if asked is None:  # deleted while its answer was made
                    return
                row = ConversationRow(
                    id=conversation.id,
                    tenant=tenant,
                    collection=collection,
                    customer=conversation.customer,
                    title="",
                    updated=now(),
                )
                session.add(row)
                session.flush()
            elif (row.tenant, row.customer) != (tenant, conversation.customer):
                raise StoreError("This conversation belongs to somebody else.")
            row.title = row.title or " ".join((asked or "").split())[:80]
            known = {
                known.client_id: known
                for known in session.scalars(
                    sa.select(TurnRow).where(
                        TurnRow.conversation_id == conversation.id,
                        TurnRow.client_id.in_([turn.client_id for turn in turns]),
                    )
                )
            }
            for turn in turns:
                if turn.client_id not in known:
                    self._add(session, conversation.id, turn)
                elif _to_turn(known[turn.client_id], "").is_stopped:
                    self._replace(session, known[turn.client_id], turn)
            row.updated = now()
            session.flush()
            also(session)

    def _add(self, session: orm.Session, conversation_id: str, turn: Turn) -> None:
        row = TurnRow(
            conversation_id=conversation_id,
            client_id=turn.client_id,
            role=turn.message.role,
            text=turn.message.text,
            answer=json.dumps(turn.answer, ensure_ascii=False) if turn.answer else None,
            at=turn.at,
        )
        session.add(row)
        if turn.by:
            session.flush()
            session.add(AuthorRow(turn=row.number, staff=turn.by))

    def _replace(self, session: orm.Session, row: TurnRow, turn: Turn) -> None:
        """In its old place; what the dashboard has copied of it is copied again."""
        row.text, row.answer, row.at = turn.message.text, json.dumps(turn.answer, ensure_ascii=False), turn.at
        session.execute(sa.delete(AnswerFactRow).where(AnswerFactRow.turn == row.number))

    def drop_turns_after(self, conversation_id: str, customer: str, keep: int) -> None:
        """Keeps the first `keep` turns: a question was edited or asked again. With its first one the title goes."""
        with self._sessions.begin() as session:
            owned = self._owned(session, conversation_id, customer)
            if owned is None:
                return
            chosen = sa.select(TurnRow.number, TurnRow.role).where(TurnRow.conversation_id == conversation_id)
            turns = session.execute(chosen.order_by(TurnRow.number)).all()
            session.execute(sa.delete(TurnRow).where(TurnRow.number.in_([turn.number for turn in turns[keep:]])))
            if not any(turn.role == "user" for turn in turns[:keep]):
                owned.title = ""

    def conversations(self, tenant: str, customer: str, limit: int = 50) -> list[ConversationSummary]:
        """A customer's conversations, newest first."""
        with self._sessions() as session:
            rows = session.scalars(
                sa.select(ConversationRow)
                .where(ConversationRow.tenant == tenant, ConversationRow.customer == customer)
                .order_by(ConversationRow.updated.desc())
                .limit(limit)
            )
            return [ConversationSummary(row.id, row.title, row.updated) for row in rows]

    def turns(self, conversation_id: str, customer: str, *, after: int = 0) -> list[Turn]:
        """The turns of a customer's own conversation with a higher number, oldest first; [] for anybody else's."""
        with self._sessions() as session:
            if self._owned(session, conversation_id, customer) is None:
                return []
            rows = session.execute(
                sa.select(TurnRow, AuthorRow.staff)
                .outerjoin(AuthorRow, AuthorRow.turn == TurnRow.number)
                .where(TurnRow.conversation_id == conversation_id, TurnRow.number > after)
                .order_by(TurnRow.number)
            )
            return [_to_turn(row, staff or "") for row, staff in rows]

    def collection_of(self, conversation_id: str) -> str:
        """The collection that a conversation is about; "" where there is no such conversation."""
        with self._sessions() as session:
            row = session.get(ConversationRow, conversation_id)
            return row.collection if row is not None else ""

    def remove_conversation(self, conversation_id: str, customer: str) -> bool:
        """Deletes a customer's own conversation. False: there was none."""
        with self._sessions.begin() as session:
            row = self._owned(session, conversation_id, customer)
            if row is not None:
                session.delete(row)
            return row is not None

    def _owned(self, session: orm.Session, conversation_id: str, customer: str) -> ConversationRow | None:
        row = session.get(ConversationRow, conversation_id)
        return row if row is not None and row.customer == customer else None

    def _info(self, session: orm.Session, row: CollectionRow, *, counted: bool = True) -> CollectionInfo:
        documents = passages = 0
        if counted:
            where = (DocumentRow.tenant == row.tenant, DocumentRow.collection == row.name)
            documents = session.scalar(sa.select(sa.func.count()).select_from(DocumentRow).where(*where)) or 0
            joined = sa.select(sa.func.count()).select_from(PassageRow).join(DocumentRow).where(*where)
            passages = session.scalar(joined) or 0
        return CollectionInfo(
            tenant=row.tenant,
            name=row.name,
            languages=tuple(filter(None, row.languages.split(","))),
            embedder=row.embedder,
            threshold=row.threshold,
            company=to_company(json.loads(row.company)),
            documents=documents,
            passages=passages,
        )


def connect(url: str) -> sa.Engine:
    """The way to a database, with what this product needs of it set.

    Raises:
        StoreError: there is no driver for it, or the URL is none.
    """
    try:
        parsed = sa.make_url(url)
        if parsed.drivername in {"postgres", "postgresql"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except ModuleNotFoundError as error:
        raise StoreError(
            f"There is no driver for this database: {error.name} is not installed.",
            hint="For PostgreSQL: pip install -r requirements-postgresql.txt -c constraints.txt",
        ) from error
    except sa.exc.ArgumentError as error:
        raise StoreError(
            "store_url is not the URL of a database.", hint="For example postgresql://user:password@host/confide."
        ) from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """WAL for readers beside a writer; FULL so that a commit survives a power cut; erased means erased."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    # Its own knows the letters of ASCII alone; searches are to find any letter in any case.
    connection.create_function(
        "lower", 1, lambda value: value.lower() if isinstance(value, str) else value, deterministic=True
    )


def before(turns: Sequence[Turn], client_id: str) -> list[Turn]:
    """What was said before a turn; all of it where that is not there yet."""
    return list(itertools.takewhile(lambda turn: turn.client_id != client_id, turns))


def _to_turn(row: TurnRow, staff: str) -> Turn:
    return Turn(
        client_id=row.client_id,
        message=Message(role=row.role, text=row.text),  # type: ignore[arg-type]
        answer=json.loads(row.answer) if row.answer else None,
        at=row.at,
        by=staff,
        number=row.number,
    )
