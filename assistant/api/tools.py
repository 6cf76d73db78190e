"""`/mcp`: the assistant's tools of the Model Context Protocol over streamable HTTP, for holders of a key.

The tools are `mcp_server.py`'s; here each request is let in as every other door lets it in: by its key, counted, in the
key's collection, with a place in the line before the model. No session is kept, so any process can answer any request.
The host and the origin of a request are checked by the server's outer layers before it comes here.

Source: the specification of 2025-06-18, "Transports" (streamable HTTP; its security warning on DNS rebinding).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskStatus
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from assistant.api import problems
from assistant.api.house import Caller, House
from assistant.api.problems import ApiError
from assistant.errors import UnknownName

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

PATH = "/mcp"


def add_tools(app: FastAPI, house: House) -> None:
    """Adds the door to the server; it is open while the server runs."""
    door, life = _Tools(house), app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def opened(application: FastAPI) -> AsyncIterator[Any]:
        async with door.opened(), life(application) as state:
            yield state

    app.router.lifespan_context = opened
    app.router.routes.append(Route(PATH, door))


@dataclass(frozen=True, slots=True)
class _Guest:
    """The holder of a key, as the tools see them."""

    house: House
    caller: Caller

    def collection(self, name: str) -> str:
        if not self.caller.collection:
            return name
        try:
            return self.house.collection(self.caller, name).name
        except ApiError as error:
            raise UnknownName(error.message) from error

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        place = self.house.place(self.caller, self.caller.id)
        try:
            await place.turn()
            yield
        finally:
            place.leave()


class _Tools:
    """The door. A pure ASGI application; the SDK is loaded for the first request, which takes a second."""

    def __init__(self, house: House) -> None:
        self._house = house

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open until the context ends."""
        self._manager: StreamableHTTPSessionManager | None = None
        self._lock = anyio.Lock()
        async with anyio.create_task_group() as self._tasks:
            yield
            self._tasks.cancel_scope.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request in, or says why not."""
        try:
            caller = await run_in_threadpool(self._house.caller, Request(scope, receive))
            if caller.key is None:
                raise ApiError(401, "Send a key: Authorization: Bearer ck_... (`confide keys create`).")
            if scope["method"] != "POST":
                raise ApiError(405, "The tools are asked by POST; there is no stream to listen to.")
        except ApiError as error:
            answer = await problems.told(Request(scope), error)
            headers = {401: ("www-authenticate", "Bearer"), 405: ("allow", "POST")}
            if error.status in headers:
                answer.headers[headers[error.status][0]] = headers[error.status][1]
            await answer(scope, receive, send)
            return
        async with self._lock:
            self._manager = manager = self._manager or await self._tasks.start(self._serve)
        from assistant.mcp_server import GUEST  # loaded by now

        scope[GUEST] = _Guest(self._house, caller)
        await manager.asgi_app(scope, receive, send)

    async def _serve(self, *, task_status: TaskStatus[StreamableHTTPSessionManager]) -> None:
        tools = await run_in_threadpool(_built, self._house)
        async with tools.session_manager.run():
            task_status.started(tools.session_manager)
            await anyio.sleep_forever()


def _built(house: House) -> MCPServer:
    from assistant.mcp_server import build_tools

    tools = build_tools(house.assistant)
    tools.streamable_http_app(stateless_http=True, json_response=True, host="")  # hosts were checked before
    return tools
