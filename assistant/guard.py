"""What stands before every request: headers, body caps, same origin, the session cookie. Pure ASGI.

Gradio sends no security headers, accepts bodies of any size and trusts a session hash that the client
chooses; these layers mend that for everything that is mounted behind them. They know no paths of
Gradio (`gate.py` does) and keep no visitor's data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.sessions import COOKIE, Session, Sessions

SESSION = "confide_session"
"""The key of the request's scope that holds its `Session` (or None)."""
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
    "frame-src 'none'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors "
)


def cookie(name: str, value: str, *, seconds: int, secure: bool, framed: bool = False) -> str:
    """A cookie's line; `framed`: other sites may show the page, so it is sent there, kept apart for each of them.

    Browsers take such a cookie over TLS only. Those that do not keep them apart send it with every request of another
    site: `SameOrigin` refuses what would change something.
    """
    line = f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; "
    if secure and framed:
        return line + "SameSite=None; Secure; Partitioned"
    return line + ("SameSite=Lax; Secure" if secure else "SameSite=Lax")


def policy(frame_ancestors: Sequence[str]) -> str:
    """The Content-Security-Policy of every answer."""
    return _POLICY + (" ".join(frame_ancestors) or "'none'")


class SafeHeaders:
    """The security headers on every answer, errors included; Retry-After wherever we say "later"."""

    def __init__(self, app: ASGIApp, frame_ancestors: Sequence[str] = ()) -> None:
        self._app = app
        self._headers = {
            "content-security-policy": policy(frame_ancestors),
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
        }
        if not frame_ancestors:
            self._headers["x-frame-options"] = "DENY"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and completes the answer's headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                if not scope["path"].startswith(("/assets/", "/static/", "/widget.js")):
                    headers["cache-control"] = "no-store"
                if message["status"] in {429, 503}:
                    headers.setdefault("retry-after", "5")
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class SameOrigin:
    """A changing request that comes from another site's page is refused, unless that site is listed."""

    def __init__(self, app: ASGIApp, origins: Sequence[str] = ()) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses with 403, or passes the request on without the headers that would rename this host."""
        if scope["type"] == "websocket":  # nothing here speaks it
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"x-forwarded-host"]
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        try:
            own = origin is None or urlsplit(origin).netloc == headers.get("host")
        except ValueError:  # no browser sends it
            await refuse(400, "The header Origin is not an address.")(scope, receive, send)
            return
        if not own and scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
            if origin not in self._origins:
                await refuse(403, "This request comes from another site.")(scope, receive, send)
                return
            # A listed site speaks with a key or a pass, never as whoever is signed in here.
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"cookie"]
        await self._app(scope, receive, send)


class BodyCap:
    """A body above its path's cap is answered with 413, whether or not it says its length."""

    def __init__(self, app: ASGIApp, cap: Callable[[str], int]) -> None:
        self._app = app
        self._cap = cap

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts what comes in; nothing above the cap reaches the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cap = self._cap(scope["path"])
        too_large = refuse(413, f"The request is larger than {cap // 1_000_000} MB.")
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared) > cap:
            await too_large(scope, receive, send)
            return
        seen, refused, started = 0, False, False

        async def counted() -> Message:
            nonlocal seen, refused
            message = await receive()
            seen += len(message.get("body", b""))
            if seen <= cap:
                return message
            if not refused and not started:
                refused = True
                await too_large(scope, receive, send)
            return {"type": "http.disconnect"}

        async def unless_refused(message: Message) -> None:
            nonlocal started
            if not refused:
                started = True
                await send(message)

        try:
            await self._app(scope, counted, unless_refused)
        except Exception:  # the application may well stumble over a body that ends early
            if not refused:
                raise


class SessionCookie:
    """Puts the request's `Session` into its scope; a page that is opened without one gets a new one."""

    def __init__(
        self, app: ASGIApp, sessions: Sessions, is_page: Callable[[str], bool], *, framed: bool = False
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._is_page = is_page
        self._framed = framed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads the cookie; sends one where it is new or renewed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        session = self._sessions.read(HTTPConnection(scope).cookies.get(COOKIE))
        is_page = scope["method"] == "GET" and self._is_page(scope["path"])
        if session is None and is_page:
            session = self._sessions.new()
        scope[SESSION] = session
        if session is None or not (session.cookie and is_page):
            await self._app(scope, receive, send)
            return
        line = self._line(session, secure=scope["scheme"] == "https")

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", line)
            await send(message)

        await self._app(scope, receive, with_cookie)

    def _line(self, session: Session, *, secure: bool) -> str:
        seconds = self._sessions.max_age
        return cookie(COOKIE, session.cookie, seconds=seconds, secure=secure, framed=self._framed)


def refuse(status: int, detail: str, **headers: str) -> JSONResponse:
    """A refusal in the shapes that Gradio's page and OpenAI's clients understand."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse(problem(status, detail), status, named)


def problem(status: int, detail: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The body of a refusal; `code` and `param` are OpenAI's, None where there is none."""
    kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": detail, "type": kind, "param": param, "code": code}, "detail": detail}
