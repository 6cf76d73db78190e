"""The staff's accounts: who may enter the staff's page, as what; and the log of who changed what.

Passwords are kept as Argon2id hashes (argon2-cffi, with the parameters of OWASP's Password Storage Cheat Sheet).
The account `owner` is always there; its password is the settings' or the data folder's own. A login is a row that
holds as long as the account's password is the one it was made with: a changed password, a removed account ends it.
Customers have no account here, and no word or id of theirs belongs in the log.
"""

from __future__ import annotations

import csv
import datetime as dt
import enum
import getpass
import hashlib
import io
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import argon2
import sqlalchemy as sa
from sqlalchemy import orm

from assistant.errors import BadInput, UnknownName
from assistant.rows import AccountRow, AuditRow, Base, LoginRow, now
from assistant.store import Store

OWNER = "owner"
"""The account that is always there."""
SHORTEST = 10
"""Characters of a password that somebody chooses."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
_HASHER = argon2.PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
_WHAT_CHARS = 500


class Role(enum.StrEnum):
    """What an account may do. Each role may do what the ones before it may."""

    VIEWER = "viewer"
    """See dashboards, conversations and documents; change nothing."""
    STAFF = "staff"
    """Also answer at the desk, keep documents, goods and curated answers."""
    OWNER = "owner"
    """Also train, erase, change settings and accounts."""

    def covers(self, other: Role) -> bool:
        """Whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Account:
    """One of the staff. `added` and `seen` (the last sign-in) are UTC without a zone.

    `waiting`: its one-time password was not exchanged yet. `own_password` is False where an identity provider vouches.
    """

    name: str
    role: Role
    added: dt.datetime | None = None
    seen: dt.datetime | None = None
    waiting: bool = False
    own_password: bool = True


@dataclass(frozen=True, slots=True)
class Logged:
    """A line of the log: when (UTC without a zone), who, what was done (`document.add`), to what."""

    at: dt.datetime
    who: str
    action: str
    what: str


class Accounts:
    """The accounts of a tenant, their logins and their log. Another process's changes count at once."""

    def __init__(self, store: Store, tenant: str) -> None:
        self._sessions = store.tables(Base.metadata)
        self._tenant = tenant

    # Accounts

    def all(self) -> list[Account]:
        """Every account, by name, the owner first."""
        with self._sessions() as session:
            rows = session.scalars(sa.select(AccountRow).where(AccountRow.tenant == self._tenant))
            return sorted(map(_value, rows), key=lambda account: (account.name != OWNER, account.name))

    def add(self, name: str, role: Role) -> str:
        """A new account; its one-time password, which is kept nowhere.

        Raises:
            BadInput: the name cannot be one, or is taken.
        """
        clean = tidy(name)
        if not _NAME.fullmatch(clean):
            raise BadInput(
                f"{name!r} cannot be a user name.",
                hint="Letters, digits and . _ @ + -, beginning with one of the first.",
            )
        password = secrets.token_urlsafe(12)
        with self._sessions.begin() as session:
            if session.get(AccountRow, (self._tenant, clean)) is not None or clean == OWNER:
                raise BadInput(f"There is an account {clean!r} already.", hint="`confide accounts list` shows them.")
            session.add(self._row(clean, role, _hash(password), one_time=True))
        return password

    def admit(self, name: str, role: Role) -> None:
        """An account that an identity provider vouches for: created, or its role set to what the provider says.

        Raises:
            BadInput: the name cannot be one, or is one that has a password here.
        """
        clean = tidy(name)
        if not _NAME.fullmatch(clean):
            raise BadInput("The identity provider sends a name that cannot be one here.")
        with self._sessions.begin() as session:
            row = session.get(AccountRow, (self._tenant, clean))
            if clean == OWNER or (row is not None and row.password):
                raise BadInput(f"The account {clean!r} has a password of its own.", hint="Remove it first.")
            if row is None:
                session.add(self._row(clean, role, ""))
            else:
                row.role = role

    def set_role(self, name: str, role: Role) -> None:
        """Changes what an account may do, at once.

        Raises:
            UnknownName: there is no such account.
            BadInput: it is the owner's.
        """
        with self._sessions.begin() as session:
            self._other(session, name).role = role

    def renew(self, name: str) -> str:
        """A new one-time password for an account; its logins end. Raises as `set_role`."""
        password = secrets.token_urlsafe(12)
        with self._sessions.begin() as session:
            row = self._other(session, name)
            row.password, row.one_time = _hash(password), True
        return password

    def remove(self, name: str) -> None:
        """Removes an account; its logins end. Raises as `set_role`."""
        with self._sessions.begin() as session:
            row = self._other(session, name)
            session.execute(sa.delete(LoginRow).where(LoginRow.tenant == self._tenant, LoginRow.account == row.name))
            session.delete(row)

    def keep_owner(self, password: str) -> None:
        """Makes this the owner's password; where it is another than before, the owner's logins end."""
        with self._sessions() as session:
            row = session.get(AccountRow, (self._tenant, OWNER))
            known = row.password if row is not None else ""
        if not _right(known, password):
            with self._sessions.begin() as session:
                session.merge(self._row(OWNER, Role.OWNER, _hash(password)))

    def check(self, name: str, password: str) -> Account | None:
        """The account, where this is its password. It takes as long for a name that nobody has."""
        with self._sessions() as session:
            row = session.get(AccountRow, (self._tenant, tidy(name)))
        known = row.password if row is not None and row.password else _nobodys()
        return _value(row) if _right(known, password) and row is not None and row.password else None

    def choose(self, name: str, password: str) -> None:
        """Gives an account the password that its holder chose.

        Raises:
            BadInput: it is too short.
            UnknownName: there is no such account.
        """
        if len(password) < SHORTEST:
            raise BadInput(f"A password has at least {SHORTEST} characters.")
        with self._sessions.begin() as session:
            row = self._other(session, name)
            row.password, row.one_time = _hash(password), False

    # Logins

    def sign_in(self, session_id: str, name: str, *, seconds: int) -> None:
        """The session is this account's for so long, unless the account changes."""
        until, at = now() + dt.timedelta(seconds=seconds), now()
        with self._sessions.begin() as session:
            session.execute(sa.delete(LoginRow).where(LoginRow.until < at))
            row = session.get_one(AccountRow, (self._tenant, tidy(name)))
            row.seen = at
            session.merge(
                LoginRow(
                    session=_digest(session_id), tenant=self._tenant, account=row.name, stamp=_stamp(row), until=until
                )
            )

    def sign_out(self, session_id: str) -> None:
        """The session is nobody's."""
        with self._sessions.begin() as session:
            session.execute(sa.delete(LoginRow).where(LoginRow.session == _digest(session_id)))

    def of(self, session_id: str) -> Account | None:
        """Whose session it is; None where nobody signed in, or what they signed in with holds no more."""
        with self._sessions() as session:
            found = session.execute(
                sa.select(LoginRow, AccountRow)
                .join(AccountRow, (AccountRow.tenant == LoginRow.tenant) & (AccountRow.name == LoginRow.account))
                .where(LoginRow.session == _digest(session_id), LoginRow.tenant == self._tenant)
            ).one_or_none()
        if found is None or found[0].until < now() or found[0].stamp != _stamp(found[1]) or found[1].one_time:
            return None
        return _value(found[1])

    # The log

    def log(self, action: str, what: str = "", *, who: str = "") -> None:
        """Writes down that somebody changed something ("" = who sits at the console); nothing of customers."""
        with self._sessions.begin() as session:
            session.add(
                AuditRow(tenant=self._tenant, at=now(), who=who or at_console(), action=action, what=what[:_WHAT_CHARS])
            )

    def logged(self, limit: int | None = None) -> list[Logged]:
        """The log, newest first."""
        with self._sessions() as session:
            rows = session.scalars(
                sa.select(AuditRow).where(AuditRow.tenant == self._tenant).order_by(AuditRow.number.desc()).limit(limit)
            )
            return [Logged(row.at, row.who, row.action, row.what) for row in rows]

    def _row(self, name: str, role: Role, password: str, *, one_time: bool = False) -> AccountRow:
        return AccountRow(
            tenant=self._tenant, name=name, role=role, password=password, one_time=one_time, added=now(), seen=None
        )

    def _other(self, session: orm.Session, name: str) -> AccountRow:
        """The row of an account that is not the owner's."""
        clean = tidy(name)
        if clean == OWNER:
            raise BadInput(
                "The owner's account cannot be changed here.",
                hint="Its password is the setting server.admin_password, or keys/admin-password in the data folder.",
            )
        row = session.get(AccountRow, (self._tenant, clean))
        if row is None:
            raise UnknownName(f"There is no account {name!r}.", hint="`confide accounts list` shows them.")
        return row


def to_csv(lines: Sequence[Logged]) -> str:
    """The log as CSV. No cell begins with what a spreadsheet would calculate."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(("at_utc", "who", "action", "what"))
    for one in lines:
        cells = (one.at.isoformat(sep=" ", timespec="seconds"), one.who, one.action, one.what)
        writer.writerow("'" + cell if cell[:1] in "=+-@\t\r" and cell else cell for cell in cells)
    return file.getvalue()


def at_console() -> str:
    """Who types at the command line: the system's name of them."""
    try:
        return f"console: {getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # a number that nobody has a name for, as in a container
        return "console"


def tidy(name: str) -> str:
    """A user name as it is kept: without case and spaces around it. Empty = the owner."""
    return name.strip().lower() or OWNER


def _hash(password: str) -> str:
    return _HASHER.hash(password.encode(errors="replace"))


def _right(known: str, password: str) -> bool:
    if not known:
        return False
    try:
        return _HASHER.verify(known, password.encode(errors="replace"))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    """A hash that no password has."""
    return _HASHER.hash(secrets.token_bytes(32))


def _digest(session_id: str) -> str:
    return hashlib.sha256(session_id.encode(errors="replace")).hexdigest()


def _stamp(row: AccountRow) -> str:
    """What changes with the password (a hash of its salted hash, so that it tells nothing of it)."""
    return _digest(row.password)


def _value(row: AccountRow) -> Account:
    return Account(row.name, Role(row.role), row.added, row.seen, row.one_time, bool(row.password))
