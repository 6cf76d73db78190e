"""The engine that asks OpenAI-compatible servers: vLLM, llama-server, Ollama, a hosted model.

What is asked leaves this machine for the servers of `[remote] url`, and for nowhere else. One that fails before its
first word is passed over for the next (`servers.py`). What has been said is never taken back: a failure after it is
told, and the answer falls back to quotes.

Sources: the API of /v1/chat/completions and /v1/models; vLLM's docs on LoRA (an adapter is
asked for as a model's name).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from assistant.engines.servers import Server, Servers
from assistant.engines.streaming import StopFilter
from assistant.errors import AdapterUnsupported, EngineError, EngineTimeout, EngineUnavailable, SettingsError
from assistant.registry import did_you_mean
from assistant.settings import RemoteSettings, Settings
from assistant.types import GenerateOptions, Message, ModelInfo

if TYPE_CHECKING:
    import openai

_CONNECT_S = 10.0
_LAST_LATIN = 0x24F
_ROUNDS, _PAUSE_S = 2, 0.2
_LOADS_S = 120.0
_SENT_STOPS = 4  # the API's bound; the others are cut here


class _Failure(Exception):
    """A server did not answer. `again`: another may be asked; `sick`: it counts against this one."""

    def __init__(self, error: EngineError, *, again: bool = False, sick: bool = False) -> None:
        super().__init__(error.message)
        self.error, self.again, self.sick = error, again, sick


class RemoteEngine:
    """A model behind `[remote] url`, on one server or several. Made by `build`; safe to use from several threads."""

    name = "remote"
    location: Literal["local", "remote"] = "remote"

    def __init__(self, remote: RemoteSettings) -> None:
        """Opens no connection yet; the servers may start later.

        Raises:
            SettingsError: url or model is not set.
        """
        missing = [f"[remote] {name}" for name in ("url", "model") if not getattr(remote, name)]
        if missing:
            raise SettingsError(f"The engine remote needs {' and '.join(missing)}.", hint="Set it in confide.toml.")
        self.model = ModelInfo(
            name=remote.model, sha256="", context_tokens=remote.context_tokens, languages=remote.languages
        )
        self._servers = Servers(remote.urls, lambda url: _client(remote, url))

    def count_tokens(self, text: str) -> int:
        """An estimate, rather high: a token for every three Latin characters and for each other one.

        The server's tokenizer is not at hand.
        """
        wide = sum(ord(character) > _LAST_LATIN for character in text)
        return wide + math.ceil((len(text) - wide) / 3)

    def stream(self, messages: Sequence[Message], options: GenerateOptions) -> Iterator[str]:
        """A server's answer as it comes. Closing it closes the connection, which stops the server.

        One that fails before its first word is passed over for the next, twice round; one that falls silent is given
        up after the time limit since its last sign of life.
        """
        deadline = time.monotonic() + options.time_limit_s
        last: EngineError | None = None
        for server in self._turns(deadline):
            began = False
            try:
                with self._servers.asking(server):
                    for piece in self._answer(server, messages, options, deadline):
                        began = True
                        yield piece
                self._servers.worked(server)
                return
            except GeneratorExit:  # whoever reads has enough: what came was good
                if began:
                    self._servers.worked(server)
                raise
            except _Failure as failure:
                if failure.sick:
                    self._servers.failed(server)
                last = failure.error
                if began or not failure.again:
                    break
        raise last or EngineUnavailable(
            f"{self._shown()} failed several times running and is left alone for a while.",
            hint="Is the server running there, and is [remote] url right?",
        )

    def close(self) -> None:
        """Closes the connections."""
        for server in self._servers.all:
            server.client.close()

    def _turns(self, deadline: float) -> Iterator[Server]:
        """Whom to ask, one after another, while there is time."""
        for number in range(_ROUNDS):
            if number and time.monotonic() + _PAUSE_S < deadline:
                time.sleep(_PAUSE_S)
            for place, server in enumerate(self._servers.ready()):
                if (number or place) and time.monotonic() >= deadline:
                    return
                yield server

    def _shown(self) -> str:
        return ", ".join(server.url for server in self._servers.all)

    def _answer(
        self, server: Server, messages: Sequence[Message], options: GenerateOptions, deadline: float
    ) -> Iterator[str]:
        """One server's answer, which may be empty. Raises _Failure, EngineTimeout."""
        model = self.model.name if options.adapter is None else self._adapter(server, options.adapter)
        stops, answered = StopFilter(options.stop), False
        left = max(0.01, deadline - time.monotonic())
        with self._errors(server, model, left), self._open(server, model, messages, options, left) as chunks:
            for chunk in chunks:
                answered = answered or bool(chunk.choices)
                if shown := stops.feed((chunk.choices[0].delta.content or "") if chunk.choices else ""):
                    yield shown
                if stops.stopped:
                    return
                if time.monotonic() >= deadline:
                    raise EngineTimeout(f"{server.url} took longer than {options.time_limit_s:g} s.")
        if not answered:  # a page of a proxy, or a stream that was cut before it began
            nothing = EngineUnavailable(f"{server.url} sent no answer.", hint="[remote] url usually ends in /v1.")
            raise _Failure(nothing, again=True, sick=True)
        if shown := stops.flush():
            yield shown

    def _open(
        self, server: Server, model: str, messages: Sequence[Message], options: GenerateOptions, seconds: float
    ) -> Any:
        """The stream of chunks, closed with its context."""
        return server.client.with_options(timeout=_timeout(seconds)).chat.completions.create(
            model=model,
            messages=[{"role": message.role, "content": message.text} for message in messages],
            max_tokens=options.max_new_tokens,
            temperature=options.temperature,
            stop=list(options.stop[:_SENT_STOPS]) or None,
            stream=True,
        )

    def _adapter(self, server: Server, name: str) -> str:
        """The server's model of this name. Raises _Failure where it has none."""
        known = self._models(server)
        if name not in known:
            missing = AdapterUnsupported(
                f"The server at {server.url} has no adapter {name!r}.",
                hint=did_you_mean(name, known) or "Load it there under that name.",
            )
            raise _Failure(missing, again=len(self._servers.all) > 1)
        return name

    def _models(self, server: Server) -> list[str]:
        """Names of the models that the server offers; empty where it does not say."""
        import httpx2
        import openai

        try:
            listed = server.client.with_options(timeout=_timeout(_CONNECT_S)).models.list()
            return sorted(model.id for model in listed)
        except (openai.OpenAIError, httpx2.HTTPError):
            return []

    @contextmanager
    def _errors(self, server: Server, model: str, seconds: float) -> Iterator[None]:
        """The client's errors as ours, each with what to look at."""
        import httpx2
        import openai

        try:
            yield
        except (openai.APITimeoutError, httpx2.TimeoutException) as error:
            late = EngineTimeout(f"{server.url} did not answer within {seconds:.3g} s.")
            raise _Failure(late, again=True, sick=True) from error
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            broken = EngineUnavailable(
                f"The connection to {server.url} failed ({type(error.__cause__ or error).__name__}).",
                hint="Is the server running there, and is [remote] url right?",
            )
            raise _Failure(broken, again=True, sick=True) from error
        except openai.APIError as error:
            status = getattr(error, "status_code", 0) or _code(error.body)
            refused = self._refused(server, model, error)
            sick = not status or status >= 500
            raise _Failure(refused, again=sick or status == 429, sick=sick) from error
        except ValueError as error:  # an event that is not JSON
            garbled = EngineUnavailable(f"{server.url} sent what is no answer ({error}).", hint="See the server's log.")
            raise _Failure(garbled, again=True, sick=True) from error

    def _refused(self, server: Server, model: str, error: openai.APIError) -> EngineError:
        """What the server's refusal means for the user."""
        status, url = getattr(error, "status_code", 0), server.url
        said = str(error.message).strip()[:200]
        if status in (401, 403):
            return EngineUnavailable(
                f"{url} refused the key ({status}).", hint="Set [remote] api_key, or CONFIDE_REMOTE__API_KEY."
            )
        known = self._models(server) if status in (400, 404) else []
        if known and model not in known:
            return EngineUnavailable(
                f"{url} has no model {model!r}; it has {', '.join(known[:10])}.", hint="Set [remote] model."
            )
        if status == 404 and not known:
            return EngineUnavailable(f"{url} has no chat API (404).", hint="[remote] url usually ends in /v1.")
        if status == 429:
            return EngineUnavailable(f"{url} takes no more requests now (429).", hint="Try again later.")
        return EngineUnavailable(f"{url} failed ({status or 'in the stream'}): {said}", hint="See the server's log.")


class LoadingEngine(RemoteEngine):
    """Servers that are given our adapters while they run (vLLM with VLLM_ALLOW_RUNTIME_LORA_UPDATING).

    They read the folders themselves: `[remote] adapters` is where they see the data folder's `adapters`. One that has
    lost an adapter, because it was started again, is given it again when it is next asked.
    """

    def __init__(self, remote: RemoteSettings, folder: Path) -> None:
        """`folder` is where the adapters are here."""
        super().__init__(remote)
        self._folder, self._there = folder.resolve(), PurePosixPath(remote.adapters)
        self._key = remote.api_key.get_secret_value()
        self._paths: dict[str, str] = {}

    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that were loaded from here, sorted."""
        return tuple(sorted(self._paths))

    def add_adapter(self, name: str, path: Path) -> None:
        """Has every server that does not rest load an adapter.

        Raises:
            AdapterUnsupported: they all refused it.
            EngineUnavailable: none loaded it, but one may when it is asked again.
        """
        try:
            there = str(self._there / path.resolve().relative_to(self._folder).as_posix())
        except ValueError as error:
            raise AdapterUnsupported(f"{path} is not in {self._folder}, which the servers see.") from error
        said = []
        for server in self._servers.ready():
            status, what = self._load(server, name, there)
            if what and (not status or status >= 500):
                self._servers.failed(server)
            said.append((status, what))
        if all(what for _, what in said):
            refused = said and all(0 < status < 500 and status != 429 for status, _ in said)
            what = said[0][1] if said else f"{self._shown()} failed several times running and is left alone for a while"
            kind = AdapterUnsupported if refused else EngineUnavailable
            raise kind(f"No server loaded the adapter {name}: {what}", hint="See the servers' logs.")
        self._paths[name] = there

    def remove_adapter(self, name: str) -> None:
        """Has every server unload it. Raises AdapterUnsupported where none is loaded."""
        if self._paths.pop(name, None) is None:
            raise AdapterUnsupported(f"No adapter {name!r} is loaded.")
        for server in self._servers.all:
            self._post(server, "unload_lora_adapter", {"lora_name": name})

    def _adapter(self, server: Server, name: str) -> str:
        there = self._paths.get(name)
        if there is not None and name not in self._models(server) and (said := self._load(server, name, there)[1]):
            error = EngineUnavailable(f"{server.url} does not load the adapter {name}: {said}")
            raise _Failure(error, again=True, sick=True)
        return name if there is not None else super()._adapter(server, name)

    def _load(self, server: Server, name: str, there: str) -> tuple[int, str]:
        """The status, and "" where it is loaded now; else what the server said."""
        status, said = self._post(server, "load_lora_adapter", {"lora_name": name, "lora_path": there})
        return status, "" if "already been loaded" in said else said

    def _post(self, server: Server, path: str, body: dict[str, str]) -> tuple[int, str]:
        """The status (0: not reached), and "" where it worked; else what the server said."""
        import httpx2

        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            with httpx2.Client(timeout=_timeout(_LOADS_S), follow_redirects=False) as http:
                done = http.post(f"{server.url.rstrip('/')}/{path}", json=body, headers=headers)
        except httpx2.HTTPError as error:
            return 0, f"{server.url} cannot be reached ({type(error).__name__})"
        return done.status_code, "" if done.status_code == 200 else f"{done.status_code} {done.text[:200]}"


def build(settings: Settings) -> RemoteEngine:
    """The registry's factory."""
    if settings.remote.adapters:
        return LoadingEngine(settings.remote, settings.data_dir / "adapters")
    return RemoteEngine(settings.remote)


def _code(body: object) -> int:
    """The status that an error within a stream names; 0 where it names none."""
    code = body.get("code") if isinstance(body, dict) else None
    return int(str(code)) if str(code).isdecimal() else 0


def _timeout(seconds: float) -> Any:
    import httpx2

    return httpx2.Timeout(seconds, connect=min(_CONNECT_S, seconds))


def _client(remote: RemoteSettings, url: str) -> openai.OpenAI:
    """The official client, without retries and without the headers that describe this machine."""
    import httpx2
    import openai

    def strip(request: httpx2.Request) -> None:
        for header in [name for name in request.headers if name.startswith(("x-stainless-", "openai-"))]:
            del request.headers[header]

    return openai.OpenAI(
        base_url=url,
        api_key=remote.api_key.get_secret_value() or "none",  # the client wants one; local servers ignore it
        max_retries=0,
        http_client=httpx2.Client(event_hooks={"request": [strip]}, follow_redirects=False),
    )
