"""What the author of an engine reuses: its laws as a test class, and a server to be tested against.

Needs pytest, so nothing of the running assistant imports it. The server is a fake and says so: it
speaks the OpenAI protocol over real HTTP and answers from any engine, by default the echo.
"""

# ruff: noqa: D102  (a test's name is its law)

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from assistant.engines.base import Engine
from assistant.engines.echo import EchoEngine
from assistant.errors import AdapterUnsupported, EngineTimeout
from assistant.types import GenerateOptions, Message

ASK = (
    Message("system", "You are a helper in a shop."),
    Message("user", "Name the days of the week, one after another."),
)
OTHER = (
    Message("system", "You are a helper in a shop."),
    Message("user", "Which colours does a rainbow have, please?"),
)
SHORT = GenerateOptions(max_new_tokens=8, time_limit_s=120.0)


def ask(engine: Engine, messages: tuple[Message, ...] = ASK, **options: Any) -> str:
    """The whole answer, by default of at most 8 tokens and greedy."""
    fields = {name: getattr(SHORT, name) for name in GenerateOptions.__dataclass_fields__}
    return "".join(engine.stream(messages, GenerateOptions(**{**fields, **options})))


class EngineContract:
    """The laws of every engine. Subclass it and give a fixture `engine`."""

    def test_engine_says_what_it_is(self, engine: Engine) -> None:
        assert engine.name
        assert engine.location in ("local", "remote")
        assert engine.model.name
        assert engine.model.context_tokens > 0

    def test_pieces_are_whole_text_and_not_empty(self, engine: Engine) -> None:
        pieces = list(engine.stream(ASK, SHORT))
        assert pieces
        assert all(pieces)
        assert "\ufffd" not in "".join(pieces)

    def test_same_greedy_request_gives_the_same_text(self, engine: Engine) -> None:
        assert ask(engine) == ask(engine)

    def test_text_ends_before_a_stop_string_and_shows_no_part_of_it(self, engine: Engine) -> None:
        text = ask(engine)
        middle = len(text) // 2
        for size in (1, 4):
            stop = text[middle : middle + size]
            assert ask(engine, stop=("never in it", stop)) == text[: text.index(stop)]

    def test_cap_cuts_the_same_text_shorter(self, engine: Engine) -> None:
        whole, capped = ask(engine), ask(engine, max_new_tokens=3)
        assert len(capped) < len(whole)
        assert whole.startswith(capped)

    def test_closing_the_stream_frees_the_engine(self, engine: Engine) -> None:
        whole = ask(engine)
        for _ in range(2):
            stream = engine.stream(ASK, SHORT)
            next(iter(stream))
            stream.close()  # type: ignore[attr-defined]
        assert ask(engine) == whole

    def test_time_limit_raises_timeout_and_frees_the_engine(self, engine: Engine) -> None:
        with pytest.raises(EngineTimeout):
            ask(engine, time_limit_s=1e-6)
        assert ask(engine)

    def test_unknown_adapter_is_unsupported(self, engine: Engine) -> None:
        with pytest.raises(AdapterUnsupported, match="no-such-adapter"):
            ask(engine, adapter="no-such-adapter")

    def test_count_is_nought_for_nothing_and_grows_with_the_text(self, engine: Engine) -> None:
        words = "Returns are free within 30 days; 退货在30天内免费 🙂 .".split()
        counts = [engine.count_tokens(" ".join(words[:size])) for size in range(len(words) + 1)]
        assert counts[0] == 0
        assert counts == sorted(counts)
        assert counts[-1] >= 9

    def test_count_is_the_same_from_many_threads(self, engine: Engine) -> None:
        texts = [f"{number} days to return a jacket" * number for number in range(1, 20)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(engine.count_tokens, texts * 4)) == [engine.count_tokens(text) for text in texts * 4]

    def test_questions_asked_at_once_do_not_mix(self, engine: Engine) -> None:
        alone = [ask(engine, ASK), ask(engine, OTHER)]
        with ThreadPoolExecutor(2) as pool:
            together = list(pool.map(lambda messages: ask(engine, messages), (ASK, OTHER)))
        assert together == alone

    def test_kept_conversation_gives_the_same_text(self, engine: Engine) -> None:
        messages: tuple[Message, ...] = ASK
        for question in ("And the months?", "Thank you. And which day is today?"):
            kept = ask(engine, messages, conversation="kept")
            assert kept == ask(engine, messages)
            messages = (*messages, Message("assistant", kept), Message("user", question))


class FakeServer:
    """An OpenAI-compatible server in a thread, over real HTTP. `with FakeServer() as server: server.url`.

    It offers `models` (the second and later stand for adapters; it loads more as vLLM does), wants `key` where one is
    set, and fails as a model's name in `FAULTS` tells. `stopped` counts answers that did not reach their
    end; `seen` keeps each request's headers and body;
    `load_status` is what it answers where it shall load an adapter (0: as it can).
    """

    FAULTS: ClassVar[dict[str, str]] = {
        "hangs": "never answers",
        "stalls": "falls silent after one word",
        "breaks": "drops the connection after one word",
        "broken": "answers 500",
        "busy": "answers 429",
        "errs": "sends an error within the stream",
    }

    def __init__(self, engine: Engine | None = None, *, models: tuple[str, ...] = ("echo",), key: str = "") -> None:
        self.seen: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.stopped = 0
        self.delay_s = 0.0
        self.load_status = 0
        self._engine = engine or EchoEngine()
        self._models = list(models)
        self._key = key
        self.loaded: dict[str, str] = {}
        app = FastAPI()
        app.get("/v1/models")(self._list)
        app.post("/v1/chat/completions")(self._chat)
        app.post("/v1/load_lora_adapter")(self._load)
        app.post("/v1/unload_lora_adapter")(self._unload)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="critical", ws="none", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> FakeServer:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    @property
    def url(self) -> str:
        """The base URL, with /v1."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"

    async def _list(self, request: Request) -> Response:
        if refusal := self._unauthorised(request):
            return refusal
        names = [*self._models, *self.FAULTS]
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        self.seen.append((dict(request.headers), body))
        model = body["model"]
        if refusal := self._unauthorised(request):
            return refusal
        if model not in (*self._models, *self.FAULTS):
            return _error(404, f"The model {model} does not exist.")
        if model in ("broken", "busy"):
            return _error({"broken": 500, "busy": 429}[model], f"I am {model}.")
        return StreamingResponse(self._chunks(body), media_type="text/event-stream")

    async def _load(self, request: Request) -> Response:
        body = await request.json()
        if refusal := self._unauthorised(request):
            return refusal
        if self.load_status:
            return _error(self.load_status, "Not now.")
        if body["lora_name"] in self._models:
            return _error(400, f"The lora adapter '{body['lora_name']}' has already been loaded.")
        if "refused" in body["lora_path"]:
            return _error(400, "No adapter there.")
        self.loaded[body["lora_name"]] = body["lora_path"]
        self._models.append(body["lora_name"])
        return Response("Success.")

    async def _unload(self, request: Request) -> Response:
        name = (await request.json())["lora_name"]
        self.forget(name)
        return Response("Success.")

    def forget(self, name: str) -> None:
        """As a server that was started again: it has an adapter no more."""
        self._models.remove(name)
        del self.loaded[name]

    async def _chunks(self, body: dict[str, Any]) -> AsyncIterator[str]:
        finished = False
        try:
            async for event in self._events(body):
                yield event
            finished = True
        finally:  # a client that goes away cancels us between two events
            self.stopped += not finished

    async def _events(self, body: dict[str, Any]) -> AsyncIterator[str]:
        fault = body["model"]
        for number, piece in enumerate(self._pieces(body)):
            if fault == "hangs" or (number == 1 and fault == "stalls"):
                await self._silence()
            if number == 1 and fault == "breaks":
                raise ConnectionAbortedError
            if number == 1 and fault == "errs":
                yield _event({"error": {"message": "The model ran out of memory.", "code": 500}})
                return
            yield _chunk({"content": piece})
            await asyncio.sleep(self.delay_s)
        yield _chunk({}, "stop")
        yield "data: [DONE]\n\n"

    async def _silence(self) -> None:
        while not self._server.should_exit:
            await asyncio.sleep(0.02)

    def _pieces(self, body: dict[str, Any]) -> Iterator[str]:
        messages = [Message(turn["role"], turn["content"]) for turn in body["messages"]]
        options = GenerateOptions(
            max_new_tokens=body["max_tokens"], temperature=body["temperature"], stop=tuple(body.get("stop") or ())
        )
        return self._engine.stream(messages, options)

    def _unauthorised(self, request: Request) -> Response | None:
        wanted = f"Bearer {self._key}"
        return _error(401, "Wrong key.") if self._key and request.headers.get("authorization") != wanted else None


def _chunk(delta: dict[str, str], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _event({"id": "1", "object": "chat.completion.chunk", "choices": [choice]})


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, status_code=status)
