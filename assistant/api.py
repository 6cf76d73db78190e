"""The HTTP face of the walks: `/v1/recommend` and its events. Bodies in, values out; nothing is decided here.

A caller is the session of our signed cookie, and recommends for themselves; naming another customer needs a
session that gave the staff's password. Headers, body caps and origins are the server's; the rates are kept here
because these paths do not pass the gate's queue.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assistant.advisor import MOST, Query
from assistant.core import Assistant
from assistant.errors import BadInput, ConfideError
from assistant.gate import address
from assistant.guard import SESSION, refuse
from assistant.language import detect
from assistant.sessions import Door, Session

_STRICT = ConfigDict(extra="forbid", strict=True)


class RecommendBody(BaseModel):
    """What `/v1/recommend` reads. `filter` is the text form; absent = the request's own conditions, and in stock."""

    model_config = _STRICT
    request: str = Field(default="", max_length=1000)
    customer: str = Field(default="", max_length=200)
    filter: str | None = Field(default=None, max_length=1000)
    n: int = Field(default=10, ge=1, le=MOST)
    collection: str = Field(default="", max_length=63)
    language: Literal["", "en", "zh"] = ""


class EventBody(BaseModel):
    """What `/v1/recommend/events` reads: what the visitor did with an item."""

    model_config = _STRICT
    item: str = Field(max_length=200)
    event: Literal["view", "click", "cart", "buy", "dismiss"]
    collection: str = Field(default="", max_length=63)


def add_routes(app: FastAPI, assistant: Assistant, door: Door) -> None:
    """Puts the routes on the server's application."""
    caller = _Caller(door, assistant.settings.server.requests_per_minute)

    @app.post("/v1/recommend")
    async def recommend(request: Request) -> Any:
        return await _answered(request, caller, RecommendBody, lambda body, who: _recommend(assistant, body, who))

    @app.post("/v1/recommend/events")
    async def event(request: Request) -> Any:
        return await _answered(request, caller, EventBody, lambda body, who: _record(assistant, body, who))


class _Caller:
    """Who calls, whether they are staff, and how long they have to wait."""

    def __init__(self, door: Door, per_minute: int) -> None:
        self._door = door
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._mine, self._here = RateLimitItemPerMinute(per_minute), RateLimitItemPerMinute(4 * per_minute)

    def wait(self, session: Session, request: Request) -> int:
        """Seconds to wait; 0 = go on."""
        for limit, key in ((self._mine, session.id), (self._here, address(request.scope))):
            if not self._limiter.hit(limit, "recommend", key):
                stats = self._limiter.get_window_stats(limit, "recommend", key)
                return max(1, round(stats.reset_time - time.time()))
        return 0

    def is_staff(self, session: Session) -> bool:
        """Whether the session gave the staff's password."""
        return self._door.is_inside(session.id)


async def _answered(request: Request, caller: _Caller, shape: type[BaseModel], walk: Any) -> Any:
    """The walk's answer as JSON, in a thread; a refusal where there is no session, no room or no sense."""
    from starlette.concurrency import run_in_threadpool

    session: Session | None = request.scope.get(SESSION)
    if session is None:
        return refuse(403, "There is no session. Open the page first.")
    seconds = caller.wait(session, request)
    if seconds:
        return refuse(429, f"Too many requests. Please wait {seconds} seconds.", retry_after=str(seconds))
    try:
        body = shape.model_validate_json(await request.body())
        wanted = getattr(body, "customer", "")
        if wanted and wanted != session.id and not caller.is_staff(session):
            return refuse(403, "Another customer's recommendations need the staff's password.")
        return JSONResponse(await run_in_threadpool(walk, body, wanted or session.id))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors())
        return refuse(422, f"The request is wrong: {problems}.")
    except BadInput as error:
        return refuse(422, f"{error.message} {error.hint}".strip())
    except ConfideError as error:
        return refuse(503, error.message)


def _recommend(assistant: Assistant, body: RecommendBody, who: str) -> dict[str, Any]:
    name = body.collection or assistant.settings.collection
    conditions = None if body.filter is None else assistant.advisor.read_filter(name, body.filter)
    language = body.language or ("zh" if body.request and detect(body.request) == "zh" else "en")
    query = Query(who, body.request.strip(), conditions, body.n, language)
    return assistant.advisor.recommend(name, query).to_dict()


def _record(assistant: Assistant, body: EventBody, who: str) -> dict[str, Any]:
    name = body.collection or assistant.settings.collection
    assistant.advisor.record(name, who, body.item, body.event)
    return {"recorded": body.event, "item": body.item}
