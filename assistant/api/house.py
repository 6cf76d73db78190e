"""What every door of the API needs: the assistant, who calls, how often they may, and a place in the line.

A caller is a key, a visitor's pass (the widget's), or the session of the page's cookie. Rates are counted in this
process, so a restart begins a new day.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import Depends, Request
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from assistant import accounts
from assistant.accounts import Account
from assistant.api.problems import ApiError
from assistant.core import Assistant
from assistant.desk import Staff
from assistant.gate import address
from assistant.guard import SESSION
from assistant.keys import ApiKey, Keys, Role
from assistant.line import Asker, Line
from assistant.registry import did_you_mean
from assistant.sessions import Door, Session, Sessions
from assistant.settings import ServerSettings
from assistant.types import CollectionInfo

_ADDRESS_SHARE = 4
"""An address may do so many times what a visitor may: there are several behind some."""
_LOOKS_PER_MINUTE = 60
_LOOK_S = 1.0
"""How often a waiting question looks whether its position has changed."""
_KNOCKS_PER_MINUTE = RateLimitItemPerMinute(30)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request. `collection` "" = any; `key` None = a person in a browser."""

    id: str
    role: Role
    address: str
    collection: str = ""
    key: ApiKey | None = None

    def need(self, role: Role) -> None:
        """Raises ApiError where this caller may not do what `role` may."""
        if not self.role.covers(role):
            raise ApiError(403, f"This needs a key with the role {role}.", code="insufficient_permissions")

    def customer(self, user: str | None) -> str:
        """Whose conversation it is: the caller's own, or that of the user whom a key names."""
        return f"{self.id}:{user}" if self.key and user else self.id


class Rates:
    """How often a caller may call: a minute and a day, by key or by visitor and address."""

    def __init__(self, server: ServerSettings) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._server = server

    def count(self, caller: Caller) -> None:
        """Counts one request. Raises ApiError (429) where it is one too many."""
        if caller.key is not None:
            self._hit(RateLimitItemPerMinute(caller.key.per_minute), caller.id)
            if caller.key.per_day:
                self._hit(RateLimitItemPerDay(caller.key.per_day), caller.id)
            return
        self._hit(RateLimitItemPerMinute(self._server.requests_per_minute), caller.id)
        self._hit(RateLimitItemPerMinute(_ADDRESS_SHARE * self._server.requests_per_minute), caller.address)

    def count_question(self, caller: Caller) -> None:
        """Counts one question of a visitor's day. Raises ApiError (429)."""
        if caller.key is None and caller.role is Role.VISITOR:
            self._hit(RateLimitItemPerDay(self._server.questions_per_day), f"q/{caller.id}")
            self._hit(RateLimitItemPerDay(_ADDRESS_SHARE * self._server.questions_per_day), f"q/{caller.address}")

    def count_look(self, caller: Caller) -> None:
        """Counts a look for news, which costs next to nothing, apart from all else. Raises ApiError (429)."""
        many = caller.key.per_minute if caller.key else self._server.requests_per_minute
        self._hit(RateLimitItemPerMinute(max(many, _LOOKS_PER_MINUTE)), f"look/{caller.id}")

    def count_knock(self, what: Literal["wrong", "new"], where: str) -> None:
        """Counts a wrong key, or a new visitor, of an address. Raises ApiError (429)."""
        self._hit(_KNOCKS_PER_MINUTE, f"{what}/{where}")

    def _hit(self, limit: RateLimitItem, who: str) -> None:
        if not self._limiter.hit(limit, who):
            wait = max(1, round(self._limiter.get_window_stats(limit, who).reset_time - time.time()))
            raise ApiError(429, f"Too many requests. Wait {wait} seconds.", code="rate_limit", retry_after=wait)


class Place:
    """A question's place in the line before the model, for the event loop."""

    def __init__(self, line: Line, asker: Asker) -> None:
        loop, self._turn = asyncio.get_running_loop(), asyncio.Event()
        self._ticket = line.join(asker, lambda: loop.call_soon_threadsafe(self._turn.set))
        self.leave = self._ticket.leave

    @property
    def called(self) -> bool:
        """Whether it is its turn."""
        return self._ticket.called

    async def positions(self) -> AsyncIterator[int]:
        """How many are before it, and again when that changes; ends with its turn. Raises Busy."""
        told = -1
        while not self._ticket.called:
            if not self._ticket.left_s:
                raise self._ticket.given_up()
            if (ahead := self._ticket.ahead) != told:
                told = ahead
                yield ahead
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._turn.wait(), min(_LOOK_S, self._ticket.left_s))

    async def turn(self) -> None:
        """Returns with its turn. Raises Busy."""
        async for _ in self.positions():
            pass


@dataclass(frozen=True, slots=True)
class House:
    """What stands behind the doors."""

    assistant: Assistant
    door: Door
    sessions: Sessions
    keys: Keys
    rates: Rates

    def place(self, caller: Caller, customer: str) -> Place:
        """A place in the line for a question of this customer. Raises Busy where there is none."""
        return Place(self.assistant.line, Asker(customer, caller.address, held=caller.key is None))

    def caller(self, request: Request, *, looking: bool = False) -> Caller:
        """Who calls, counted; `looking` = only whether there is news. Raises ApiError (401, 429)."""
        caller = self._known(request)
        (self.rates.count_look if looking else self.rates.count)(caller)
        return caller

    def staff(self, caller: Caller) -> Staff:
        """Who of the staff calls. Raises ApiError (403)."""
        caller.need(Role.STAFF)
        if caller.key is not None:
            return Staff(caller.id, caller.key.name)
        account = self.door.account(caller.id)
        if account is None or not account.role.covers(accounts.Role.STAFF):
            raise ApiError(403, "This needs an account with the role staff.", code="insufficient_permissions")
        return Staff.of_account(account.name)

    def log(self, caller: Caller, action: str, what: str) -> None:
        """Writes down who changed something: a key by its name, a person by their account."""
        if caller.key is not None:
            self.door.accounts.log(action, what, who=f"key: {caller.key.name}")
        else:
            self.door.log(caller.id, action, what)

    def collections(self, caller: Caller) -> list[CollectionInfo]:
        """The collections that a caller may ask, the settings' own first."""
        settings = self.assistant.settings
        found = self.assistant.store.collections(settings.tenant)
        mine = [info for info in found if caller.collection in {"", info.name}]
        return sorted(mine, key=lambda info: (info.name != settings.collection, info.name))

    def collection(self, caller: Caller, name: str, *, param: str = "collection") -> CollectionInfo:
        """The collection of this name ("" = the caller's own, or the settings'). Raises ApiError (404)."""
        settings = self.assistant.settings
        wanted = name or caller.collection or settings.collection
        info = None
        if caller.collection in {"", wanted}:
            info = self.assistant.store.collection(settings.tenant, wanted, counted=False)
        if info is None:
            hint = did_you_mean(wanted, [known.name for known in self.collections(caller)])
            code = "model_not_found" if param == "model" else "not_found"
            raise ApiError(404, f"There is no {param} {wanted!r}. {hint}".strip(), code=code, param=param)
        return info

    def _known(self, request: Request) -> Caller:
        here = address(request.scope)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme:
            found = self._bearer(token.strip(), request, here) if scheme.lower() == "bearer" else None
            if found is None:
                self.rates.count_knock("wrong", here)
                raise ApiError(401, "The key is wrong, or was revoked.", code="invalid_api_key")
            return found
        session: Session | None = request.scope.get(SESSION)
        if session is None:
            raise ApiError(401, "Send a key: Authorization: Bearer ck_... (`confide keys create`).", code="no_api_key")
        return Caller(session.id, _role(self.door.account(session.id)), here)

    def _bearer(self, token: str, request: Request, here: str) -> Caller | None:
        visitor = self.sessions.read_pass(token, site_of(request))
        if visitor is not None:
            return Caller(visitor.session, Role.VISITOR, here, visitor.collection)
        key = self.keys.find(token)
        return Caller(f"key:{key.id}", key.role, here, key.collection, key) if key else None


def _role(account: Account | None) -> Role:
    """What a person in a browser may do here: staff keeps the documents, a viewer reads."""
    if account is None:
        return Role.VISITOR
    return Role.OWNER if account.role.covers(accounts.Role.STAFF) else Role.STAFF


def site_of(request: Request) -> str:
    """The site whose page sends the request: its origin; "" where it is our own, or no page at all."""
    origin = request.headers.get("origin", "")
    return "" if urlsplit(origin).netloc == request.headers.get("host") else origin


def house(request: Request) -> House:
    """The house of the running application."""
    found: House = request.app.state.house
    return found


def caller(request: Request) -> Caller:
    """Who calls, known and counted."""
    return house(request).caller(request)


def onlooker(request: Request) -> Caller:
    """Who looks for news, known and counted."""
    return house(request).caller(request, looking=True)


TheHouse = Annotated[House, Depends(house)]
Who = Annotated[Caller, Depends(caller)]
Onlooker = Annotated[Caller, Depends(onlooker)]
