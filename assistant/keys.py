"""API keys: who a program is that calls the API, what it may do and how often. Kept as hashes only.

A key is `ck_<id>_<secret>`; the secret has 256 random bits and is shown once, so its SHA-256 is enough to know
it again and useless to whoever reads the store. Not a user database, and not where limits are counted.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import orm

from assistant.errors import BadInput, UnknownName
from assistant.store import Store

_KEY = re.compile(r"ck_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME_CHARS = 80


class Role(enum.StrEnum):
    """What a caller may do. Each role may do what the ones before it may."""

    VISITOR = "visitor"
    """Ask, recommend for itself, rate its own answers."""
    STAFF = "staff"
    """Also read documents and ratings, name an adapter, recommend for any customer."""
    OWNER = "owner"
    """Also change the documents that the assistant answers from."""

    def covers(self, other: Role) -> bool:
        """Whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class _Base(orm.DeclarativeBase):
    """Root of this module's tables."""


class _Row(_Base):
    __tablename__ = "api_keys"
    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    tenant: orm.Mapped[str] = orm.mapped_column(index=True)
    name: orm.Mapped[str]
    role: orm.Mapped[str]
    collection: orm.Mapped[str]
    per_minute: orm.Mapped[int]
    per_day: orm.Mapped[int]
    sha256: orm.Mapped[str]
    created: orm.Mapped[dt.datetime]
    revoked: orm.Mapped[dt.datetime | None]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `collection` "" = any; `per_day` 0 = no limit; times are UTC without a zone."""

    id: str
    name: str
    role: Role
    collection: str
    per_minute: int
    per_day: int
    created: dt.datetime
    revoked: dt.datetime | None = None


class Keys:
    """The API keys of a tenant. Another process's changes count at the next request."""

    def __init__(self, store: Store, tenant: str) -> None:
        self._sessions = store.tables(_Base.metadata)
        self._tenant = tenant

    def create(
        self, name: str, *, role: Role, collection: str = "", per_minute: int = 60, per_day: int = 0
    ) -> tuple[ApiKey, str]:
        """A new key and its text, which is kept nowhere.

        Raises:
            BadInput: the name is empty or too long, or a limit makes no sense.
        """
        problems = []
        if not name.strip() or len(name) > _NAME_CHARS:
            problems.append(f"The name has 1 to {_NAME_CHARS} characters.")
        if per_minute < 1 or per_day < 0:
            problems.append("At least one request a minute; 0 a day means no limit.")
        if problems:
            raise BadInput(" ".join(problems), hint="For example: keys create shop-backend --role visitor.")
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        key = ApiKey(key_id, name.strip(), role, collection, per_minute, per_day, _now())
        with self._sessions.begin() as session:
            session.add(_Row(tenant=self._tenant, sha256=_digest(secret), **dataclasses.asdict(key)))
        return key, f"ck_{key_id}_{secret}"

    def all(self) -> list[ApiKey]:
        """Every key, the revoked ones too, oldest first."""
        with self._sessions() as session:
            rows = session.scalars(sa.select(_Row).where(_Row.tenant == self._tenant).order_by(_Row.created, _Row.id))
            return [_value(row) for row in rows]

    def revoke(self, wanted: str) -> ApiKey:
        """The key of this id, or the only one of this name, opens nothing from now on.

        Raises:
            UnknownName: there is no such key in force, or several have this name.
        """
        found = [key for key in self.all() if key.revoked is None and wanted in {key.id, key.name}]
        if len(found) != 1:
            what = "Several keys are" if found else "No key in force is"
            raise UnknownName(f"{what} called {wanted!r}.", hint="`confide keys list` shows the ids.")
        with self._sessions.begin() as session:
            row = session.get_one(_Row, found[0].id)
            row.revoked = _now()
            return _value(row)

    def find(self, text: str) -> ApiKey | None:
        """The key that this text is; None where it is wrong, revoked or another tenant's."""
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        with self._sessions() as session:
            row = session.get(_Row, match[1])
            known = row.sha256 if row is not None else ""
            right = hmac.compare_digest(_digest(match[2]), known)
            if row is None or not right or row.revoked is not None or row.tenant != self._tenant:
                return None
            return _value(row)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def _value(row: _Row) -> ApiKey:
    fields = {field.name: getattr(row, field.name) for field in dataclasses.fields(ApiKey)}
    return ApiKey(**{**fields, "role": Role(row.role)})
