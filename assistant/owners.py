"""What in the store is a customer's: the rows that name them, and the documents said to be theirs.

A table that keeps something of a customer names them in a column `customer` (or `owner`) and is found by that,
whichever module it belongs to. Documents that nobody is named for are the company's own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from assistant.errors import StoreBusy
from assistant.rows import Base
from assistant.store import Store
from privacy.scrub import longer_names

_KEYS = frozenset(
    {"id", "tenant", "collection", "customer", "owner", "conversation", "conversation_id", "item", "event"}
)
_STAFF = frozenset({"by", "holder", "staff"})


class _Base(orm.DeclarativeBase):
    """Root of this module's tables."""


class _Row(_Base):
    __tablename__ = "document_owners"
    tenant: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    collection: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    document: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    customer: orm.Mapped[str] = orm.mapped_column(primary_key=True, index=True)


class Owners:
    """The documents of a store that belong to customers."""

    def __init__(self, store: Store) -> None:
        self._sessions = store.tables(_Base.metadata)

    def claim(self, tenant: str, collection: str, document: str, customer: str) -> None:
        """Says that a document (by its name) is a customer's, or is made from what they said. Several may share one."""
        with self._sessions.begin() as session:
            session.merge(_Row(tenant=tenant, collection=collection, document=document, customer=customer))

    def documents(self, tenant: str, customer: str) -> list[tuple[str, str]]:
        """(collection, name) of a customer's documents."""
        with self._sessions() as session:
            rows = session.execute(
                sa.select(_Row.collection, _Row.document)
                .where(_Row.tenant == tenant, _Row.customer == customer)
                .order_by(_Row.collection, _Row.document)
            )
            return [(collection, document) for collection, document in rows]


@dataclass(frozen=True, slots=True)
class Speaker:
    """A customer and how many of their conversations a text belongs to; `last` (UTC) is the newest."""

    customer: str
    conversations: int
    last: dt.datetime

    def row(self) -> tuple[str, str, str]:
        """A line of a table."""
        return self.customer, str(self.conversations), f"{self.last:%Y-%m-%d %H:%M}"


def speakers(store: Store, tenant: str, text: str) -> list[Speaker]:
    """Who wrote a text, left it at the desk or as a correction, in any letter case; the newest first."""
    like = "LIKE LOWER(:text) ESCAPE '!'"
    statement = sa.text(
        "SELECT c.customer, COUNT(DISTINCT c.id), MAX(c.updated) FROM conversations c WHERE c.tenant = :tenant AND ("
        f"EXISTS (SELECT 1 FROM turns t WHERE t.conversation_id = c.id AND t.role = 'user' AND LOWER(t.text) {like})"
        " OR EXISTS (SELECT 1 FROM desk_cases d WHERE d.conversation = c.id"
        f" AND (LOWER(d.email) {like} OR LOWER(d.name) {like}))"
        f" OR EXISTS (SELECT 1 FROM ratings r WHERE r.conversation = c.id AND LOWER(r.correction) {like})"
        ") GROUP BY c.customer ORDER BY 3 DESC"
    ).columns(sa.Column("customer", sa.String), sa.Column("n", sa.Integer), sa.Column("last", sa.DateTime))
    escaped = text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    with store.tables(Base.metadata)() as session:
        rows = session.execute(statement, {"tenant": tenant, "text": f"%{escaped}%"})
        return [Speaker(customer, n, last) for customer, n, last in rows]


class CustomerRows:
    """The rows that name a customer, in whatever tables there are: those with a column `customer` or `owner`."""

    def __init__(self, store: Store, tenant: str, ids: frozenset[str]) -> None:
        """`ids`: the customer's id and their mark."""
        self._engine: sa.Engine = store.tables(sa.MetaData()).kw["bind"]
        self._tenant, self._ids = tenant, ids
        meta = sa.MetaData()
        meta.reflect(self._engine)
        self._tables = list(reversed(meta.sorted_tables))  # rows that point at others go first

    def conversations(self) -> list[str]:
        """The ids of their conversations."""
        table = next(table for table in self._tables if table.name == "conversations")
        with self._engine.connect() as connection:
            return sorted(connection.scalars(sa.select(table.c.id).where(*self._named(table))))

    def said(self, conversations: list[str]) -> list[str]:
        """What they wrote, in conversations and wherever else a row names them."""
        return [*self._words(conversations, theirs=True)]

    def said_by_others(self) -> list[str]:
        """What all other customers wrote in conversations."""
        return [*self._words(self.conversations(), theirs=False)]

    def _words(self, conversations: list[str], *, theirs: bool) -> Iterator[str]:
        turns = next(table for table in self._tables if table.name == "turns")
        chosen = turns.c.conversation_id.in_(conversations)
        with self._engine.connect() as connection:
            where = chosen if theirs else ~chosen
            yield from connection.scalars(sa.select(turns.c.text).where(turns.c.role == "user", where))
            for table in self._owned() if theirs else ():
                texts = [
                    column
                    for column in table.c
                    if isinstance(column.type, sa.String) and column.name not in _KEYS | _STAFF
                ]
                if texts and table.name not in {"conversations", "document_owners"}:
                    for row in connection.execute(sa.select(*texts).where(*self._named(table))):
                        yield from filter(None, row)

    def longer(self, name: str) -> frozenset[str]:
        """The names of others that hold this one: ids, and words of what is written."""
        found = set[str]()
        with self._engine.connect() as connection:
            for table in self._tables:
                for column in (one for one in table.c if isinstance(one.type, sa.String)):
                    held = sa.select(column).distinct().where(column.contains(name, autoescape=True))
                    for text in connection.scalars(held):
                        found |= {text} if column.name in _KEYS and name in text else longer_names(text, name)
        return frozenset(found - {name})

    def rows(self) -> int:
        """How many rows name them."""
        with self._engine.connect() as connection:
            counts = [
                connection.scalar(sa.select(sa.func.count()).select_from(table).where(*self._named(table)))
                for table in self._owned()
            ]
            return sum(count or 0 for count in counts)

    def delete(self, conversations: list[str]) -> int:
        """Their rows, and the rows of their conversations; in one transaction."""
        gone = 0
        with self._engine.begin() as connection:
            for table in self._tables:
                for name in ("conversation_id", "conversation"):
                    if name in table.c and conversations:
                        gone += connection.execute(sa.delete(table).where(table.c[name].in_(conversations))).rowcount
            for table in self._owned():
                gone += connection.execute(sa.delete(table).where(*self._named(table))).rowcount
        return gone

    def compact(self) -> None:
        """Nothing deleted is left in free pages or in the write-ahead log. Raises StoreBusy."""
        if self._engine.dialect.name != "sqlite":
            return
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("VACUUM"))
                busy = connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)")).scalar()
        except sa.exc.OperationalError:
            busy = 1
        if busy:
            raise StoreBusy(
                "The database is in use: what was deleted may still stand in its free pages.",
                hint="Stop the server and run this again; it goes on where it stopped.",
            )

    def _owned(self) -> list[sa.Table]:
        return [table for table in self._tables if {"customer", "owner"} & set(table.c.keys())]

    def _named(self, table: sa.Table) -> list[Any]:
        names = [table.c[name].in_(self._ids) for name in ("customer", "owner") if name in table.c]
        return [sa.or_(*names), *([table.c.tenant == self._tenant] if "tenant" in table.c else [])]
