"""What is kept of a shop: items, what customers did with them, the shop's own words. Tables beside the store's.

It returns the values of `goods.py`, never rows. Not the fitted models: those are made from it, in memory, and
`revision` says when they are out of date.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from assistant.goods import Interaction, Item
from assistant.store import Store

_CHUNK = 500
Words = dict[str, dict[str, list[str]]]
"""field -> value -> words that mean it, in any language."""


class _Base(orm.DeclarativeBase):
    """Root of this module's tables."""


class _Item(_Base):
    __tablename__ = "items"
    tenant: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    collection: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    position: orm.Mapped[int]
    body: orm.Mapped[str]
    sha256: orm.Mapped[str]


class _Interaction(_Base):
    __tablename__ = "interactions"
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=True)
    tenant: orm.Mapped[str]
    collection: orm.Mapped[str]
    customer: orm.Mapped[str]
    item: orm.Mapped[str]
    event: orm.Mapped[str]
    at: orm.Mapped[dt.datetime]
    value: orm.Mapped[float]
    __table_args__ = (
        sa.Index("interactions_customer", "tenant", "collection", "customer"),
        sa.UniqueConstraint("tenant", "collection", "customer", "item", "event", "at"),
    )


class _Shop(_Base):
    """`revision` grows with every change of the items or the words, and when somebody's interactions are deleted."""

    __tablename__ = "shops"
    tenant: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    collection: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    revision: orm.Mapped[int]
    words: orm.Mapped[str]


@dataclass(frozen=True, slots=True)
class Changed:
    """What an import did."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Pulse:
    """`revision` of a shop, and the highest number of any interaction, which counts up with each that is added."""

    revision: int
    newest: int


@dataclass(frozen=True, slots=True)
class Regular:
    """A customer of the list: how many interactions, and the last one's time (UTC)."""

    customer: str
    interactions: int
    last: dt.datetime


class Stock:
    """The items and interactions of one collection of a tenant."""

    def __init__(self, store: Store, tenant: str, collection: str) -> None:
        self.tenant, self.collection = tenant, collection
        self._sessions = store.tables(_Base.metadata)

    @staticmethod
    def collections(store: Store, tenant: str) -> list[str]:
        """The collections of a tenant that have items, by name."""
        with store.tables(_Base.metadata)() as session:
            return list(
                session.scalars(sa.select(_Shop.collection).where(_Shop.tenant == tenant).order_by(_Shop.collection))
            )

    # Items

    def items(self) -> list[Item]:
        """All items, in the order they came."""
        with self._sessions() as session:
            rows = session.execute(
                sa.select(_Item.body).where(*self._mine(_Item)).order_by(_Item.position, _Item.id)
            ).scalars()
            return [_to_item(json.loads(body)) for body in rows]

    def revision(self) -> int:
        """A number that grows with every change of items or words and every deletion; 0 = there is no catalogue."""
        return self.pulse().revision

    def pulse(self) -> Pulse:
        """How far things are, in one quick look."""
        newest = sa.select(sa.func.max(_Interaction.number)).scalar_subquery()
        with self._sessions() as session:
            found = session.execute(
                sa.select(newest, _Shop.revision).select_from(
                    sa.select(sa.literal(1)).subquery().outerjoin(_Shop, sa.and_(*self._mine(_Shop)))
                )
            ).one()
            return Pulse(found[1] or 0, found[0] or 0)

    def digest(self) -> str:
        """Of the items as they are and of the first interaction: another catalogue or another log has another one."""
        whole = hashlib.sha256()
        with self._sessions() as session:
            for row in session.execute(
                sa.select(_Item.id, _Item.sha256).where(*self._mine(_Item)).order_by(_Item.position, _Item.id)
            ):
                whole.update("\0".join(row).encode())
            first = session.execute(
                sa.select(_Interaction.customer, _Interaction.item, _Interaction.event, _Interaction.at)
                .where(*self._mine(_Interaction))
                .order_by(_Interaction.number)
                .limit(1)
            ).first()
            whole.update(repr(first and tuple(first)).encode())
        return whole.hexdigest()

    def put(self, items: Iterable[Item], *, prune: bool = False, keep: Collection[str] = ()) -> Changed:
        """Adds and replaces items by id, in one transaction; `prune` removes all others but the ids to `keep`."""
        with self._sessions.begin() as session:
            known = {
                row.id: (row.sha256, row.position)
                for row in session.execute(sa.select(_Item.id, _Item.sha256, _Item.position).where(*self._mine(_Item)))
            }
            last = max((position for _, position in known.values()), default=0)
            fresh: list[dict[str, Any]] = []
            counts = {"added": 0, "replaced": 0, "unchanged": 0}
            ids: set[str] = set()
            for item in items:
                row = self._row(item)
                ids.add(item.id)
                if item.id not in known:
                    last, kind = last + 1, "added"
                    row["position"] = last
                else:
                    kind = "unchanged" if known[item.id][0] == row["sha256"] else "replaced"
                    row["position"] = known[item.id][1]
                counts[kind] += 1
                if kind != "unchanged":
                    fresh.append(row)
            gone = [name for name in known if name not in ids and name not in keep] if prune else []
            replaced = [row["id"] for row in fresh if row["id"] in known]
            self._delete(session, [*replaced, *gone])
            if fresh:
                session.execute(sa.insert(_Item), fresh)
            if fresh or gone:
                self._changed(session)
        return Changed(**counts, removed=len(gone))

    def _delete(self, session: orm.Session, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            session.execute(sa.delete(_Item).where(*self._mine(_Item), _Item.id.in_(part)))

    # The shop's own words

    def words(self) -> Words:
        """What customers call a field's values."""
        with self._sessions() as session:
            shop = session.get(_Shop, (self.tenant, self.collection))
            found: Words = json.loads(shop.words) if shop else {}
            return found

    def save_words(self, words: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Replaces them; nothing is changed by what is there already."""
        text = json.dumps(words, ensure_ascii=False)
        with self._sessions.begin() as session:
            known = session.get(_Shop, (self.tenant, self.collection))
            if known is None or known.words != text:
                self._changed(session).words = text

    # Interactions

    def add(self, interactions: Iterable[Interaction]) -> int:
        """Adds interactions; one that is known already (customer, item, event, time) is skipped. How many were new."""
        rows = [
            {**dataclasses.asdict(one), "tenant": self.tenant, "collection": self.collection} for one in interactions
        ]
        added = 0
        with self._sessions.begin() as session:
            for start in range(0, len(rows), _CHUNK):
                part = rows[start : start + _CHUNK]
                known = self._known(session, part)
                fresh = {_key(row): row for row in part if _key(row) not in known}
                if fresh:
                    session.execute(sa.insert(_Interaction), list(fresh.values()))
                added += len(fresh)
        return added

    def _known(self, session: orm.Session, rows: Sequence[dict[str, Any]]) -> set[tuple[Any, ...]]:
        customers = {row["customer"] for row in rows}
        found = session.execute(
            sa.select(_Interaction.customer, _Interaction.item, _Interaction.event, _Interaction.at).where(
                *self._mine(_Interaction),
                _Interaction.customer.in_(customers),
                _Interaction.at >= min(row["at"] for row in rows),
                _Interaction.at <= max(row["at"] for row in rows),
            )
        )
        return {tuple(row) for row in found}

    def interactions(self) -> list[Interaction]:
        """All of them, by time."""
        return self._read()

    def history(self, customer: str) -> list[Interaction]:
        """One customer's, oldest first."""
        return self._read(_Interaction.customer == customer)

    def size(self) -> int:
        """How many interactions there are."""
        with self._sessions() as session:
            count = sa.select(sa.func.count()).select_from(_Interaction).where(*self._mine(_Interaction))
            return session.scalar(count) or 0

    def customers(self, limit: int = 1000) -> list[Regular]:
        """The customers with the latest interactions first."""
        last = sa.func.max(_Interaction.at)
        with self._sessions() as session:
            rows = session.execute(
                sa.select(_Interaction.customer, sa.func.count(), last)
                .where(*self._mine(_Interaction))
                .group_by(_Interaction.customer)
                .order_by(last.desc(), _Interaction.customer)
                .limit(limit)
            )
            return [Regular(*row) for row in rows]

    def forget(self, customer: str) -> int:
        """Deletes everything that is kept of a customer here. How many interactions that were."""
        with self._sessions.begin() as session:
            gone = session.execute(
                sa.delete(_Interaction).where(*self._mine(_Interaction), _Interaction.customer == customer)
            )
            known = session.get(_Shop, (self.tenant, self.collection))
            if gone.rowcount and known is not None:  # type: ignore[attr-defined]
                self._changed(session)  # what was fitted on them is out of date
            return int(gone.rowcount)  # type: ignore[attr-defined]

    def _read(self, *where: Any) -> list[Interaction]:
        with self._sessions() as session:
            rows = session.execute(
                sa.select(
                    _Interaction.customer, _Interaction.item, _Interaction.event, _Interaction.at, _Interaction.value
                )
                .where(*self._mine(_Interaction), *where)
                .order_by(_Interaction.at, _Interaction.number)
            )
            return [Interaction(*row) for row in rows]  # type: ignore[arg-type]

    def _mine(self, table: Any) -> tuple[Any, Any]:
        return table.tenant == self.tenant, table.collection == self.collection

    def _row(self, item: Item) -> dict[str, Any]:
        body = json.dumps(_from_item(item), ensure_ascii=False, sort_keys=True)
        digest = hashlib.sha256(body.encode()).hexdigest()
        return {"tenant": self.tenant, "collection": self.collection, "id": item.id, "body": body, "sha256": digest}

    def _changed(self, session: orm.Session) -> _Shop:
        shop = session.get(_Shop, (self.tenant, self.collection))
        if shop is None:
            shop = _Shop(tenant=self.tenant, collection=self.collection, revision=0, words="{}")
            session.add(shop)
        shop.revision += 1
        return shop


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["customer"], row["item"], row["event"], row["at"]


def _from_item(item: Item) -> dict[str, Any]:
    data = dataclasses.asdict(item)
    return {**data, "price": None if item.price is None else str(item.price)}


def _to_item(data: dict[str, Any]) -> Item:
    price = data["price"]
    return Item(**{**data, "price": None if price is None else Decimal(price), "requires": tuple(data["requires"])})
