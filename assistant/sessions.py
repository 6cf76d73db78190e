"""Who is asking: our own signed session cookie, the conversations it owns, the door to the staff's page.

A visitor is a random id in a signed, HttpOnly cookie; nothing is keyed on what a client may choose. A
conversation's id carries a mark of the session it was made for, so that somebody else's id is refused
before the store is asked. Being an administrator is a flag on the server, never in the browser.
Who the staff is, with which password and role, is `accounts.py`'s.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import itsdangerous
from limits import RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from assistant.accounts import Account, Accounts, Role, tidy
from assistant.errors import StoreError
from assistant.settings import Settings
from assistant.store import Store

COOKIE = "confide_session"
ADMIN_SECONDS = 8 * 3600
"""A login ends after so many seconds."""
PER_ADDRESS = RateLimitItemPerMinute(5)
PER_ADDRESS_HOUR = RateLimitItemPerHour(30)
PER_ACCOUNT = RateLimitItemPerHour(100)
IN_ALL = RateLimitItemPerHour(300)
"""How many sign-ins may be tried. Counted in this process."""
_MARK = 16
_PASS = "vt_"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """A visitor. `cookie` is what has to be sent to the browser; "" where it is fresh enough."""

    id: str
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who a widget's pass was made for, on which site, about which collection."""

    session: str
    collection: str


class Sessions:
    """Signs and reads session cookies and passes; makes and checks conversation ids. Holds no visitor's data."""

    def __init__(self, key: bytes, *, days: int = 30) -> None:
        self.max_age = days * 86400
        self._key = key
        self._signer = itsdangerous.TimestampSigner(
            key, salt="confide.session", digest_method=hashlib.sha256, key_derivation="hmac"
        )
        self._passes = itsdangerous.URLSafeTimedSerializer(
            key, salt="confide.pass", signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        )

        self._seals = itsdangerous.URLSafeTimedSerializer(
            key, salt="confide.seal", signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        )

    @classmethod
    def open(cls, data_dir: Path, *, days: int = 30) -> Sessions:
        """The sessions of a data folder; its key is made at first use, readable by its owner only."""
        path = data_dir / "keys" / "session.key"
        try:
            key = bytes.fromhex(_secret(path, secrets.token_hex(_KEY_BYTES)))
        except ValueError:
            key = b""
        if len(key) < _KEY_BYTES:
            raise StoreError("The session key is damaged.", hint=f"Delete {path}; visitors then start anew.")
        return cls(key, days=days)

    def new(self) -> Session:
        """A visitor never seen before."""
        return self._signed(secrets.token_urlsafe(18))

    def read(self, cookie: str | None) -> Session | None:
        """The visitor of a cookie; None where it is missing, forged or too old.

        A cookie older than a day comes back with a fresh one, so that the term runs from the last visit.
        """
        if not cookie:
            return None
        try:
            value, signed_at = self._signer.unsign(cookie, max_age=self.max_age, return_timestamp=True)
        except itsdangerous.BadData:
            return None
        session_id = value.decode()
        stale = time.time() - signed_at.timestamp() > min(86400, self.max_age / 2)
        return self._signed(session_id) if stale else Session(session_id)

    def new_pass(self, origin: str, collection: str, *, known: Visitor | None = None) -> str:
        """The pass of a new visitor of another site's page, or a fresh one for a `known`: signed, good there only."""
        session = known.session.removeprefix("w_") if known else secrets.token_urlsafe(18)
        return _PASS + self._passes.dumps([session, origin, collection])

    def read_pass(self, text: str, origin: str) -> Visitor | None:
        """The visitor of a pass; None where it is forged, too old, or used on another site."""
        if not text.startswith(_PASS):
            return None
        try:
            session, made_for, collection = self._passes.loads(text.removeprefix(_PASS), max_age=self.max_age)
        except (itsdangerous.BadData, ValueError, TypeError):
            return None
        return Visitor(f"w_{session}", collection) if made_for == origin else None

    def seal(self, parts: list[str]) -> str:
        """A signed text that `unseal` reads again; not a secret."""
        return self._seals.dumps(parts)

    def unseal(self, text: str, *, seconds: int) -> list[str] | None:
        """What was sealed; None where it is forged or older than so many seconds."""
        try:
            parts: list[str] = self._seals.loads(text, max_age=seconds)
        except itsdangerous.BadData:
            return None
        return parts

    def new_conversation(self, session_id: str, *, first: str = "") -> str:
        """A conversation id that only this session may use; the same each time for the id of its first message."""
        if not first:
            return self._marked(session_id, secrets.token_hex(10))
        made = hmac.new(self._key, f"first/{session_id}/{first}".encode(errors="replace"), "sha256").hexdigest()
        return self._marked(session_id, made[:20])

    def owns(self, session_id: str, conversation_id: str) -> bool:
        """Whether the id was made for this session."""
        nonce = conversation_id[2:].partition("-")[0]
        made = self._marked(session_id, nonce)
        return secrets.compare_digest(made.encode(errors="replace"), conversation_id.encode(errors="replace"))

    def _signed(self, session_id: str) -> Session:
        return Session(session_id, self._signer.sign(session_id).decode())

    def _marked(self, session_id: str, nonce: str) -> str:
        mark = hmac.new(self._key, f"conversation/{session_id}/{nonce}".encode(errors="replace"), "sha256").hexdigest()
        return f"c_{nonce}-{mark[:_MARK]}"


class Entry(enum.Enum):
    """What came of a sign-in. Only INSIDE is true."""

    WRONG = "wrong"
    CHOOSE = "choose"
    """The one-time password is right; the account's holder has to choose one of their own."""
    INSIDE = "inside"

    def __bool__(self) -> bool:
        return self is Entry.INSIDE


class Door:
    """The staff page's lock: who signed in, as what, and a throttle on wrong passwords.

    Every tab's handler asks it: `door.may(session, "staff")`; who changes something says so: `door.log(...)`.
    """

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    @classmethod
    def open(cls, store: Store, settings: Settings) -> Door:
        """The door of a store; the owner's password is the settings', or the data folder's own, made at first use."""
        accounts = Accounts(store, settings.tenant)
        password = settings.server.admin_password.get_secret_value()
        accounts.keep_owner(password or _secret(password_file(settings.data_dir), secrets.token_urlsafe(12)))
        return cls(accounts)

    def enter(self, session_id: str, password: str, *, address: str, name: str = "", chosen: str = "") -> Entry:
        """Whether the password is this account's ("" = the owner); the session is then inside.

        `chosen` is the password that its holder wants from now on; a one-time password needs one. After five tries a
        minute or thirty an hour from an address, a hundred an hour for an account, three hundred in all, nothing is
        right any more.

        Raises:
            BadInput: the chosen password is too short, or the owner's, which is a setting.
        """
        if not self._in_time(address, tidy(name)):
            return Entry.WRONG
        account = self.accounts.check(name, password)
        if account is None:
            return Entry.WRONG
        if chosen:
            self.accounts.choose(account.name, chosen)
        elif account.waiting:
            return Entry.CHOOSE
        self.admit(session_id, account.name)
        return Entry.INSIDE

    def admit(self, session_id: str, name: str) -> None:
        """The session is this account's from now on, for some hours: its password was right, or somebody vouches."""
        self.accounts.sign_in(session_id, name, seconds=ADMIN_SECONDS)

    def leave(self, session_id: str) -> None:
        """The session is outside again."""
        self.accounts.sign_out(session_id)

    def account(self, session_id: str) -> Account | None:
        """Whose session it is; None where nobody signed in during the last hours."""
        return self.accounts.of(session_id)

    def may(self, session_id: str, role: Role | str) -> bool:
        """Whether the session's account may do what `role` may: "viewer" sees, "staff" works, "owner" decides."""
        account = self.account(session_id)
        return account is not None and account.role.covers(Role(role))

    def is_inside(self, session_id: str) -> bool:
        """Whether somebody signed in with this session, as whatever."""
        return self.account(session_id) is not None

    def log(self, session_id: str, action: str, what: str = "") -> None:
        """Writes down that this session's account did something ("document.add"), to what. Nothing of customers."""
        account = self.account(session_id)
        self.accounts.log(action, what, who=account.name if account else "nobody")

    def _in_time(self, address: str, name: str) -> bool:
        keys = ((PER_ADDRESS, address), (PER_ADDRESS_HOUR, address), (PER_ACCOUNT, name), (IN_ALL, ""))
        return all(self._limiter.hit(limit, "login", str(place), key) for place, (limit, key) in enumerate(keys))


def password_file(data_dir: Path) -> Path:
    """Where the owner's random password is kept."""
    return data_dir / "keys" / "admin-password"


def _secret(path: Path, fresh: str) -> str:
    """The content of a secret file, created with mode 0600 in a folder of mode 0700."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # Windows, or a folder somebody else owns
        path.parent.chmod(0o700)
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(fresh + "\n")
            file.flush()
            os.fsync(file.fileno())
    content = path.read_text().strip()
    if not content:
        raise StoreError(f"{path} is empty.", hint="Delete it; a new one is made at the next start.")
    return content
