"""Which adapter answers for a collection: the live one, a challenger beside it, and the way back.

An append-only table in the store: the last row of a slot is in force, so that a running server sees what
another process decided. A slot is "chat", or a classifier's own name. Not the adapters themselves.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import orm

from assistant.errors import BadInput
from assistant.store import Store
from assistant.types import Adapter

CHAT = "chat"


class _Base(orm.DeclarativeBase):
    """Root of this module's tables."""


class _Row(_Base):
    __tablename__ = "deployments"
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=True)
    tenant: orm.Mapped[str]
    collection: orm.Mapped[str]
    slot: orm.Mapped[str]
    adapter: orm.Mapped[str]
    challenger: orm.Mapped[str]
    share: orm.Mapped[float]
    previous: orm.Mapped[int]
    at: orm.Mapped[dt.datetime]
    note: orm.Mapped[str]
    __table_args__ = (sa.Index("deployments_slot", "tenant", "collection", "slot", "number"),)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What answers in a slot of a collection from `at` (UTC) on.

    `adapter` is `name@version`, "none" the bare model, "" what Confide brings: the built-in adapter where it fits.
    `challenger` answers `share` of the conversations
    (0 = there is none). `previous` is the number of what it replaced, 0 where nothing was.
    """

    number: int
    tenant: str
    collection: str
    slot: str
    adapter: str
    challenger: str
    share: float
    previous: int
    at: dt.datetime
    note: str = ""

    def arm(self, conversation: str) -> str:
        """The adapter of a conversation: always the same within one deployment.

        >>> one = Deployment(7, "t", "c", "chat", "old@1", "new@1", 1.0, 0, dt.datetime(2026, 1, 1))
        >>> one.arm("any")
        'new@1'
        """
        if self.share <= 0.0:
            return self.adapter
        digest = hashlib.sha256(f"{self.number}:{conversation}".encode()).digest()
        return self.challenger if int.from_bytes(digest[:8]) < self.share * 2**64 else self.adapter


class Deployments:
    """The deployments in a store. Safe to use from several threads and processes."""

    def __init__(self, store: Store) -> None:
        self._sessions = store.tables(_Base.metadata)

    def current(self, tenant: str, collection: str, slot: str = CHAT) -> Deployment | None:
        """What is in force; None where nothing was ever decided, which is as much as an adapter ""."""
        with self._sessions() as session:
            row = session.scalars(_of(tenant, collection, slot).limit(1)).first()
            return _value(row) if row else None

    def before(self, deployment: Deployment) -> Deployment | None:
        """What a deployment replaced; None where nothing was."""
        with self._sessions() as session:
            row = session.get(_Row, deployment.previous)
            return _value(row) if row else None

    def history(self, tenant: str, collection: str, slot: str | None = None) -> list[Deployment]:
        """Every decision, the newest first; of all slots where none is named."""
        with self._sessions() as session:
            return [_value(row) for row in session.scalars(_of(tenant, collection, slot))]

    def slots(self, tenant: str, collection: str) -> dict[str, Deployment]:
        """slot -> what is in force there."""
        return {one.slot: one for one in reversed(self.history(tenant, collection))}

    def put(self, tenant: str, collection: str, adapter: str, *, slot: str = CHAT, note: str = "") -> Deployment:
        """From here on `adapter` answers, alone."""
        return self._append(tenant, collection, slot, {"adapter": adapter, "note": note})

    def split(
        self, tenant: str, collection: str, challenger: str, *, share: float, slot: str = CHAT, note: str = ""
    ) -> Deployment:
        """From here on `challenger` answers a share of the conversations, what was live the others.

        Raises:
            BadInput: the share is not between 0 and 1.
        """
        if not 0.0 < share < 1.0:
            raise BadInput(f"A share of {share:g} is no split.", hint="Between 0 and 1: --share 0.2.")
        now = self.current(tenant, collection, slot)
        adapter = now.adapter if now else ""
        fields = {"adapter": adapter, "challenger": challenger, "share": share, "note": note}
        return self._append(tenant, collection, slot, fields)

    def rollback(self, tenant: str, collection: str, slot: str = CHAT) -> Deployment:
        """What answered before the one in force answers again; called twice, what was before that.

        Raises:
            BadInput: there is nothing to go back to.
        """
        now = self.current(tenant, collection, slot)
        if now is None:
            raise BadInput(f"No adapter was ever put to use in {collection} ({slot}).", hint="There is no way back.")
        then = self.before(now)
        fields: dict[str, object] = {
            "adapter": "",
            "previous": 0,
            "note": f"rolled back from {now.adapter or 'built-in'}",
        }
        if then is not None:
            fields |= {"adapter": then.adapter, "challenger": then.challenger, "share": then.share}
            fields["previous"] = then.previous
        elif not now.adapter and not now.challenger:
            raise BadInput(f"What answers in {collection} ({slot}) is as at first.", hint="Nothing was changed.")
        return self._append(tenant, collection, slot, fields)

    def _append(self, tenant: str, collection: str, slot: str, fields: dict[str, object]) -> Deployment:
        with self._sessions.begin() as session:
            last = session.scalars(_of(tenant, collection, slot).limit(1)).first()
            row = _Row(
                tenant=tenant,
                collection=collection,
                slot=slot,
                at=dt.datetime.now(dt.UTC).replace(tzinfo=None),
                **{"challenger": "", "share": 0.0, "previous": last.number if last else 0, **fields},
            )
            session.add(row)
            session.flush()
            return _value(row)


def slot_of(adapter: Adapter) -> str:
    """Where an adapter can be put to use: "chat", or, for a classifier or a tagger, its own name."""
    return CHAT if adapter.task == "chat" else adapter.name


def _of(tenant: str, collection: str, slot: str | None) -> sa.Select[_Row]:
    found = sa.select(_Row).where(_Row.tenant == tenant, _Row.collection == collection).order_by(_Row.number.desc())
    return found if slot is None else found.where(_Row.slot == slot)


def _value(row: _Row) -> Deployment:
    return Deployment(**{field.name: getattr(row, field.name) for field in dataclasses.fields(Deployment)})
