"""A real server in a thread and a visitor who talks to it as a browser does: cookies, queue, stream."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.routing import Mount


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app on a free loopback port; yields its URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(15)
        listener.close()


def blocks_of(app: FastAPI) -> Any:
    """The Gradio Blocks that are mounted in the app."""
    return next(
        route.app.get_blocks() for route in app.routes if isinstance(route, Mount) and hasattr(route.app, "get_blocks")
    )


def functions(app: FastAPI, page: str = "") -> dict[str, int]:
    """handler name -> function index, of one page."""
    blocks = blocks_of(app)
    wanted = set(blocks.config["page"][page]["dependencies"])
    return {fn.name: index for index, fn in blocks.fns.items() if index in wanted}


class Visitor:
    """A browser without a screen. `hash` is Gradio's session hash, which a client may choose."""

    def __init__(
        self, url: str, app: FastAPI, *, session_hash: str = "", page: str = "", open_page: bool = True
    ) -> None:
        self.client = httpx.Client(base_url=url, timeout=30)
        self.hash = session_hash or secrets.token_hex(5)
        self.app = app
        self.names = functions(app, page)
        if open_page:
            self.client.get(f"/{page}").raise_for_status()

    def join(self, name: str | int, *data: Any, session_hash: str | None = None) -> httpx.Response:
        """Puts an event into the queue."""
        index = self.names[name] if isinstance(name, str) else name
        body = {"fn_index": index, "data": list(data), "session_hash": session_hash or self.hash, "trigger_id": None}
        return self.client.post("/gradio_api/queue/join", json=body)

    def messages(self, session_hash: str | None = None) -> Iterator[dict[str, Any]]:
        """What the stream of a session hash says, until it ends."""
        wanted = session_hash or self.hash
        with self.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": wanted}) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])

    def call(self, name: str | int, *data: Any) -> str:
        """Everything that the event says until it is done, as one text."""
        joined = self.join(name, *data)
        joined.raise_for_status()
        said = []
        for message in self.messages():
            said.append(json.dumps(message, ensure_ascii=False))
            if message["msg"] == "process_completed":
                break
        return "\n".join(said)

    def ask(self, question: str, conversation: str = "", collection: str = "shop") -> str:
        """Asks on the chat page."""
        return self.call("ask", conversation, collection, "", "", question)
