"""Who is asking: our own signed session cookie, the conversations it owns, the door to the Documents page.

A visitor is a random id in a signed, HttpOnly cookie; nothing is keyed on what a client may choose. A
conversation's id carries a mark of the session it was made for, so that somebody else's id is refused
before the store is asked. Being an administrator is a flag on the server, never in the browser.
It is not a user database: there is one password, the settings' or a random one in the data folder.
"""

from __future__ import annotations

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

from assistant.errors import StoreError

COOKIE = "confide_session"
ADMIN_SECONDS = 8 * 3600
"""A login ends after so many seconds, and with the server."""
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

    def new_pass(self, origin: str, collection: str) -> str:
        """The pass of a new visitor of another site's page: a signed text, good on that site only."""
        return _PASS + self._passes.dumps([secrets.token_urlsafe(18), origin, collection])

    def read_pass(self, text: str, origin: str) -> Visitor | None:
        """The visitor of a pass; None where it is forged, too old, or used on another site."""
        if not text.startswith(_PASS):
            return None
        try:
            session, made_for, collection = self._passes.loads(text.removeprefix(_PASS), max_age=self.max_age)
        except (itsdangerous.BadData, ValueError, TypeError):
            return None
        return Visitor(f"w_{session}", collection) if made_for == origin else None

    def new_conversation(self, session_id: str) -> str:
        """A conversation id that only this session may use."""
        return self._marked(session_id, secrets.token_hex(10))

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


class Door:
    """The Documents page's lock: one password, a throttle on wrong ones, and who is in."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._inside: dict[str, float] = {}
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._limits = (RateLimitItemPerMinute(5), RateLimitItemPerHour(30))

    @classmethod
    def open(cls, data_dir: Path, password: str = "") -> Door:
        """The door with the settings' password, or with the data folder's own, made at first use."""
        return cls(password or _secret(password_file(data_dir), secrets.token_urlsafe(12)))

    def enter(self, session_id: str, password: str, *, address: str) -> bool:
        """Whether the password is right; the session is then inside.

        After five tries a minute or thirty an hour from an address, or three hundred an hour in all,
        nothing is right any more. The comparison takes the same time for every wrong password.
        """
        in_time = all(self._limiter.hit(limit, "login", address) for limit in self._limits)
        in_time = in_time and self._limiter.hit(RateLimitItemPerHour(300), "login")
        right = hmac.compare_digest(password.encode(errors="replace"), self._password)
        if not (right and in_time):
            return False
        now = time.monotonic()
        self._inside = {known: until for known, until in self._inside.items() if until > now}
        self._inside[session_id] = now + ADMIN_SECONDS
        return True

    def leave(self, session_id: str) -> None:
        """The session is outside again."""
        self._inside.pop(session_id, None)

    def is_inside(self, session_id: str) -> bool:
        """Whether this session gave the password in the last hours."""
        return self._inside.get(session_id, 0.0) > time.monotonic()


def password_file(data_dir: Path) -> Path:
    """Where the random password of the Documents page is kept."""
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
