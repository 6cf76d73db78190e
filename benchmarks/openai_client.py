"""The official `openai` client against our API, unchanged: every call that should work works, every one that should fail
fails as OpenAI's does. Over real HTTP, on the shipped echo engine and the demo shop's documents.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import openai

from assistant.console import tell
from assistant.types import Measure, Report
from benchmarks.common import ROOT, provenance

SHOP = ROOT / "examples" / "demo_shop"
QUESTION = "How long do I have to send something back?"
Check = Callable[[], bool]


@contextlib.contextmanager
def api(data_dir: Path, *, panels: Sequence[Any] = (), **server: Any) -> Iterator[tuple[str, Any]]:
    """A served assistant over the demo shop's documents; yields its URL and the assistant. `panels`: more tabs."""
    import uvicorn

    from assistant import ingest
    from assistant.core import Assistant
    from assistant.server import create_app
    from assistant.settings import ModelSettings, ServerSettings, Settings

    settings = Settings(
        data_dir=data_dir,
        model=ModelSettings(engine="echo"),
        server=ServerSettings(**{"requests_per_minute": 100_000, "questions_per_day": 100_000, **server}),
    )
    assistant = Assistant.open(settings)
    paths = sorted((SHOP / "documents").rglob("*.md"))
    ingest.ingest(paths, store=assistant.store, settings=settings, index=assistant.searcher)
    config = uvicorn.Config(create_app(assistant, settings, panels), log_level="error", ws="none", port=0)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        thread.join(0.05)
    try:
        yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}", assistant
    finally:
        running.should_exit = True
        thread.join(10)
        assistant.close()


def run() -> Report:
    """`failures` of all calls."""
    from assistant.keys import Keys, Role

    with tempfile.TemporaryDirectory() as folder, api(Path(folder)) as (url, assistant):
        keys = Keys(assistant.store, assistant.settings.tenant)
        text = keys.create("benchmark", role=Role.STAFF, per_minute=100_000)[1]
        client = openai.OpenAI(base_url=f"{url}/v1", api_key=text, max_retries=0)
        few = keys.create("few", role=Role.VISITOR, per_minute=1)[1]
        checks = {**_works(client), **_fails(client, url, few)}
        failed = [name for name, check in checks.items() if not _holds(check)]
    for name in failed:
        tell(f"failed: {name}")
    measures = (Measure("failures", len(failed), n=len(checks)),)
    return Report("openai-client", measures, provenance(calls=sorted(checks)))


def _holds(check: Check) -> bool:
    try:
        return check()
    except Exception as error:  # whatever a client meets is a failure of the API
        tell(f"{type(error).__name__}: {error}")
        return False


def _works(client: openai.OpenAI) -> dict[str, Check]:
    """Calls that have to work."""

    def ask(**options: Any) -> Any:
        messages = [{"role": "user", "content": QUESTION}]
        return client.chat.completions.create(**{"model": "shop", "messages": messages, **options})

    def cited(message: Any) -> bool:
        quotes = [one.url_citation for one in message.annotations]
        return bool(quotes) and all(one.model_extra["confide"]["quote"] for one in quotes)

    def streamed(**options: Any) -> bool:
        chunks = list(ask(stream=True, **options))
        text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
        ended = [one for one in chunks if one.choices and one.choices[0].finish_reason == "stop"]
        return text == ask().choices[0].message.content and len(ended) == 1

    def left_early() -> bool:
        stream = ask(stream=True)
        next(iter(stream))
        stream.close()
        return bool(ask().choices)

    def helper() -> bool:
        with client.chat.completions.stream(model="shop", messages=[{"role": "user", "content": QUESTION}]) as stream:
            return bool(list(stream)) and bool(stream.get_final_completion().choices[0].message.content)

    def goes_on() -> bool:
        first = ask().model_extra["confide"]["conversation"]
        again = ask(extra_body={"conversation": first})
        return again.model_extra["confide"]["conversation"] == first

    parts = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}]
    many = {"temperature": 0.7, "top_p": 0.9, "max_tokens": 50, "seed": 1, "stop": ["x"], "user": "anna", "n": 1}
    return {
        "an answer": lambda: bool(ask().choices[0].message.content),
        "citations as annotations": lambda: cited(ask().choices[0].message),
        "an outcome": lambda: ask().model_extra["confide"]["outcome"] == "ANSWERED",
        "usage": lambda: ask().usage.total_tokens >= 0,
        "a stream": streamed,
        "a stream with usage": lambda: list(ask(stream=True, stream_options={"include_usage": True}))[-1].usage is not None,
        "a stream that is left": left_early,
        "the client's stream helper": helper,
        "messages in parts": lambda: bool(ask(messages=parts).choices[0].message.content),
        "a history": lambda: bool(ask(messages=[*history, *parts]).choices[0].message.content),
        "a system message": lambda: bool(ask(messages=[{"role": "system", "content": "Be brief."}, *parts]).choices),
        "other models' options": lambda: bool(ask(**many).choices[0].message.content),
        "a stored conversation": goes_on,
        "Chinese": lambda: bool(ask(messages=[{"role": "user", "content": "可以退货吗？"}]).choices[0].message.content),
        "the raw response": lambda: client.chat.completions.with_raw_response.create(
            model="shop", messages=parts  # type: ignore[arg-type]
        ).status_code == 200,
        "models": lambda: "shop" in {one.id for one in client.models.list()},
        "a model": lambda: client.models.retrieve("shop").id == "shop",
        "embeddings": lambda: len(client.embeddings.create(model="shop", input=["a", "b"]).data) == 2,
        "embeddings as numbers": lambda: bool(
            client.embeddings.create(model="shop", input="a", encoding_format="float").data[0].embedding
        ),
    }  # fmt: skip


def _fails(client: openai.OpenAI, url: str, few: str) -> dict[str, Check]:
    """Calls that have to fail, each as the client's own error with a message and a code."""

    def refused(kind: type[openai.APIStatusError], code: str | None, /, **options: Any) -> Check:
        asked = {"model": "shop", "messages": [{"role": "user", "content": QUESTION}], **options}

        def check() -> bool:
            try:
                client.chat.completions.create(**asked)
            except kind as error:
                return error.code == code and bool(error.message)
            return False

        return check

    def call(kind: type[openai.APIStatusError], do: Callable[[], Any]) -> Check:
        def check() -> bool:
            try:
                do()
            except kind as error:
                return bool(error.message)
            return False

        return check

    def too_often() -> None:
        hasty = client.with_options(api_key=few)
        hasty.models.list()
        hasty.models.list()

    def raw(body: bytes) -> Callable[[], Any]:
        headers = {"content-type": "application/json"}
        return lambda: client.post("/chat/completions", content=body, cast_to=object, options={"headers": headers})

    long, bad = "x" * 5000, openai.BadRequestError
    return {
        "an unknown model": refused(openai.NotFoundError, "model_not_found", model="gpt-9"),
        "an unknown adapter": refused(openai.NotFoundError, "model_not_found", model="shop+none@9"),
        "an unknown model, streamed": refused(openai.NotFoundError, "model_not_found", model="gpt-9", stream=True),
        "over-long input": refused(bad, "context_length_exceeded", messages=[{"role": "user", "content": long}]),
        "over-long input, streamed": refused(
            bad, "context_length_exceeded", messages=[{"role": "user", "content": long}], stream=True
        ),
        "an empty question": refused(bad, "invalid_request", messages=[{"role": "user", "content": ""}]),
        "no messages": refused(bad, "invalid_request", messages=[]),
        "a wrong role": refused(bad, "invalid_request", messages=[{"role": "robot", "content": "x"}]),
        "two answers": refused(bad, "unsupported_value", n=2),
        "tools": refused(bad, "unsupported_value", tools=[{"type": "function", "function": {"name": "f"}}]),
        "somebody else's conversation": refused(
            openai.NotFoundError, "not_found", extra_body={"conversation": "c_0-0"}
        ),
        "a body above the cap": call(
            openai.APIStatusError,
            lambda: client.chat.completions.create(model="shop", messages=[{"role": "user", "content": "x" * 2_000_000}]),
        ),
        "bad JSON": call(bad, raw(b"{")),
        "no JSON": call(bad, raw(b"\xff\xfe")),
        "a wrong key": call(openai.AuthenticationError, lambda: client.with_options(api_key="ck_0").models.list()),
        "an unknown door": call(openai.NotFoundError, lambda: client.images.generate(prompt="a tent")),
        "over-long embeddings": call(bad, lambda: client.embeddings.create(model="shop", input="x" * 9000)),
        "an unknown embedding model": call(
            openai.NotFoundError, lambda: client.embeddings.create(model="ada", input="x")
        ),
        "too many requests": call(openai.RateLimitError, too_often),
    }  # fmt: skip
