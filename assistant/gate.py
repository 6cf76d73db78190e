"""The way into Gradio: an allow-list of its paths, its session hashes bound to our sessions, rate limits.

Gradio answers on many more paths than a page needs, lets the client choose the session hash that opens a
stream, and queues whatever comes. Here everything that is not listed does not exist, a hash belongs to
the first session that uses it, and one visitor cannot fill the queue, the table of hashes, or the server with
open streams. Pure ASGI; knows nothing of Blocks.

Sources: `gradio/routes.py` and `gradio/queueing.py` of the pinned version.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant import texts
from assistant.accounts import Role
from assistant.errors import Busy
from assistant.guard import SESSION, refuse
from assistant.line import PER_ADDRESS, PER_VISITOR, Asker, Line
from assistant.sessions import Door, Session

MODEL, LIGHT = "model", "light"
"""What an event of the page is, and its concurrency id: a question; anything else."""
ADMIN, STAFF, OWNER = "admin", "staff", "owner"
"""Events behind the sign-in: for everybody of the staff, for those who may change things, for the owner."""
_HASH_SECONDS = 2 * 3600
_HASHES, _HASHES_HERE = 100_000, 500
"""How many hashes are kept in all, and of an address: each page that is opened has one."""
_STREAMS, _STREAMS_HERE, _STREAMS_MINE = 800, 200, 20
"""How many streams may be open in all, of an address, of a session: below the connections that `server.py` allows."""
_FILES = re.compile(r"/(assets|static|svelte)/[^?]*|/(theme\.css|favicon\.ico|robots\.txt|manifest\.json)")
_STREAM = re.compile(r"/gradio_api/heartbeat/([A-Za-z0-9]{1,40})")
_JSON = {"/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset"}
_UPLOADS = {"/gradio_api/upload": "POST", "/gradio_api/upload_progress": "GET"}
_CHINESE = re.compile(r"https?://[^/]+/zh(?:[/?#]|$)")
_A_MOMENT = 5
"""Seconds that a visitor is asked to wait whose earlier questions are still on their way to the line."""
_NEEDED = {ADMIN: Role.VIEWER, STAFF: Role.STAFF, OWNER: Role.OWNER}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a pending question."""

    session: str
    address: str


@dataclass(frozen=True, slots=True)
class House:
    """What the gate has to know of what stands behind it.

    `events` maps a function's index to MODEL, LIGHT, ADMIN, STAFF or OWNER; `pending` lists who sent the questions that
    wait or run; `own` are the prefixes of the parent's own routes, which look after themselves.
    """

    pages: frozenset[str]
    events: Mapping[int, str]
    pending: Callable[[], Iterable[Caller]]
    line: Line
    own: tuple[str, ...] = (
        "/healthz",
        "/metrics",
        "/language/",
        "/receipts/",
        "/sso/",
        "/v1/",
        "/mcp",
        "/widget.js",
        "/widget/",
    )


class Gate:
    """Lets through what the page needs, refuses the rest."""

    def __init__(self, app: ASGIApp, *, house: House, door: Door, per_minute: int = 60) -> None:
        self._app = app
        self._house = house
        self._door = door
        self._owners = _Owners()
        self._streams = _Streams()
        self._rates = _Rates(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """404 for a path that is not listed, 403 for somebody else's, 429 for too much."""
        if scope["type"] != "http" or scope["path"].startswith(self._house.own):
            await self._app(scope, receive, send)
            return
        path, method = scope["path"].rstrip("/") or "/", scope["method"]
        if method in {"GET", "HEAD"} and (path in self._house.pages or _FILES.fullmatch(path)):
            await self._app(scope, receive, send)
            return
        session: Session | None = scope.get(SESSION)
        if session is None:
            refusal = refuse(403, _say("gate_session", scope)) if self._listed(path) else _NOWHERE
            await refusal(scope, receive, send)
        elif method == "POST" and path in _JSON:
            await self._json(scope, receive, send, session)
        elif method == "GET" and self._listed(path) and path not in _JSON:
            allowed = self._may_listen(scope, path, session)
            await (self._listen if allowed else refuse(403, _say("gate_not_yours", scope)))(scope, receive, send)
        elif _UPLOADS.get(path) == method and self._door.may(session.id, Role.STAFF):
            await self._app(scope, receive, send)
        else:
            await _NOWHERE(scope, receive, send)

    def _listed(self, path: str) -> bool:
        return path in _JSON or path == "/gradio_api/queue/data" or bool(_STREAM.fullmatch(path))

    def _may_listen(self, scope: Scope, path: str, session: Session) -> bool:
        stream = _STREAM.fullmatch(path)
        wanted = stream[1] if stream else QueryParams(scope["query_string"]).get("session_hash", "")
        return self._owners.claim(wanted, session.id, address(scope))

    async def _listen(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a stream on, which may be open as long as the caller likes, and counts it until it ends."""
        caller = Caller(scope[SESSION].id, address(scope))
        status = self._streams.open(caller)
        if status:
            await refuse(status, _say("gate_pages", scope))(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._streams.close(caller)

    async def _json(self, scope: Scope, receive: Receive, send: Send, session: Session) -> None:
        body = await _read(receive)
        if body is None:
            return
        refusal = self._refusal(scope, body, session)
        if refusal is not None:
            await refuse(refusal[0], refusal[1], retry_after=str(refusal[2]))(scope, receive, send)
            return
        replayed = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return replayed.pop() if replayed else await receive()

        await self._app(scope, again, send)

    def _refusal(self, scope: Scope, body: bytes, session: Session) -> tuple[int, str, int] | None:
        """(status, why, seconds to wait) of a request that may not pass."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict) or not isinstance(data.get("session_hash"), str):
            return 400, "This is not a request of the page.", 0
        if not self._owners.claim(data["session_hash"], session.id, address(scope)):
            return 403, _say("gate_not_yours", scope), 0
        if not scope["path"].rstrip("/").endswith("/join"):
            return None
        return self._join_refusal(scope, data, Caller(session.id, address(scope)))

    def _join_refusal(self, scope: Scope, data: Mapping[str, Any], caller: Caller) -> tuple[int, str, int] | None:
        index = data.get("fn_index")
        kind = self._house.events.get(index) if isinstance(index, int) else None
        if kind is None or (kind in _NEEDED and not self._door.is_inside(caller.session)):
            return 403, _say("gate_sign_in", scope), 0
        if kind in _NEEDED and not self._door.may(caller.session, _NEEDED[kind]):
            return 403, _say("gate_role", scope, role=_NEEDED[kind]), 0
        wait = self._rates.wait(kind, caller)
        if wait:
            return 429, _say("gate_rate", scope, n=wait), wait
        if kind == MODEL:
            return self._line_refusal(scope, caller)
        return None

    def _line_refusal(self, scope: Scope, caller: Caller) -> tuple[int, str, int] | None:
        """What the line would say, and what it would to the page's events that have not reached it yet."""
        line, pending = self._house.line, list(self._house.pending())
        mine = sum(other.session == caller.session for other in pending)
        here = sum(other.address == caller.address for other in pending)
        if mine >= PER_VISITOR or here >= PER_ADDRESS:
            return 429, _say("busy_theirs", scope, n=_A_MOMENT), _A_MOMENT
        try:
            if len(pending) >= line.room:
                raise line.refusal()
            line.check(Asker(caller.session, caller.address))
        except Busy as error:
            told = _say("busy_theirs" if error.theirs else "busy", scope, n=error.wait_s)
            return 429 if error.theirs else 503, told, error.wait_s
        return None


def _say(key: str, scope: Scope, **values: Any) -> str:
    """A text in the language of the page that sent the request."""
    page = _CHINESE.match(Headers(scope=scope).get("referer", ""))
    return texts.say(key, "zh" if page else "en", **values)


class _Owners:
    """Which session a Gradio session hash belongs to: the first that used it.

    An address that claims more than its share loses its own oldest, which their page takes again when it next asks.
    """

    def __init__(self) -> None:
        self._owners: dict[str, tuple[Caller, float]] = {}  # the longest unused first, as below
        self._here: dict[str, dict[str, None]] = {}  # address -> its hashes

    def claim(self, session_hash: str, session_id: str, here: str = "") -> bool:
        """Whether the hash is this session's; a free one becomes its own. A live one is never given away."""
        if not re.fullmatch(r"[A-Za-z0-9]{1,40}", session_hash):
            return False
        now = time.monotonic()
        while self._owners and now - next(iter(self._owners.values()))[1] > _HASH_SECONDS:
            self._drop(next(iter(self._owners)))
        if session_hash in self._owners:
            if self._owners[session_hash][0].session != session_id:
                return False
            self._drop(session_hash)
        if not self._room(here):
            return False
        self._owners[session_hash] = (Caller(session_id, here), now)
        self._here.setdefault(here, {})[session_hash] = None
        return True

    def _room(self, here: str) -> bool:
        """Whether the address may have one more, once its oldest, or that of the address with the most, is dropped."""
        mine = self._here.get(here, {})
        if len(mine) >= _HASHES_HERE:
            self._drop(next(iter(mine)))
        elif len(self._owners) >= _HASHES:
            most = max(self._here.values(), key=len)
            if len(most) <= len(mine) + 1:  # nobody has more than their share
                return False
            self._drop(next(iter(most)))
        return True

    def _drop(self, session_hash: str) -> None:
        here = self._owners.pop(session_hash)[0].address
        del self._here[here][session_hash]
        if not self._here[here]:
            del self._here[here]


class _Streams:
    """How many streams are open: of a session, of an address, in all."""

    def __init__(self) -> None:
        self._open: Counter[tuple[str, str]] = Counter()

    def open(self, caller: Caller) -> int:
        """Counts one more and returns 0, or the status of the refusal: theirs are too many (429), or all (503)."""
        mine, here, everybody = _keys(caller)
        if self._open[mine] >= _STREAMS_MINE or self._open[here] >= _STREAMS_HERE:
            return 429
        if self._open[everybody] >= _STREAMS:
            return 503
        self._open.update(_keys(caller))
        return 0

    def close(self, caller: Caller) -> None:
        """One has ended."""
        self._open.subtract(_keys(caller))
        for key in _keys(caller):
            if not self._open[key]:
                del self._open[key]


def _keys(caller: Caller) -> tuple[tuple[str, str], tuple[str, str], tuple[str, str]]:
    return ("session", caller.session), ("address", caller.address), ("", "")


class _Rates:
    """How long a caller has to wait: per session, and four times that per address."""

    def __init__(self, per_minute: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._per_minute = per_minute

    def wait(self, kind: str, caller: Caller) -> int:
        """Seconds to wait; 0 = go on. What is not a question has four times the room."""
        room = self._per_minute * (1 if kind == MODEL else 4)
        bucket = "question" if kind == MODEL else "other"
        keys = ((RateLimitItemPerMinute(room), caller.session), (RateLimitItemPerMinute(room * 4), caller.address))
        for limit, key in keys:
            if not self._limiter.hit(limit, bucket, key):
                return max(1, round(self._limiter.get_window_stats(limit, bucket, key).reset_time - time.time()))
        return 0


def address(scope: Scope) -> str:
    """The caller's address; an IPv6 one is cut to its /64, which one customer has for himself."""
    host = (scope.get("client") or ("unknown", 0))[0]
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    return host if parsed.version == 4 else str(ipaddress.ip_network(f"{host}/64", strict=False))


async def _read(receive: Receive) -> bytes | None:
    """The whole body (its size is capped before); None when the client has gone."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body


_NOWHERE = refuse(404, "Not found")
