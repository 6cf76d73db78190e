"""The engine that asks any OpenAI-compatible server: vLLM, llama-server, Ollama, a hosted model.

What is asked leaves this machine for the server of `[remote] url`, and for nowhere else. Not a
router, no retries: a failure is told at once, and the answer falls back to quotes.

Sources: the API of /v1/chat/completions and /v1/models; vLLM's docs on LoRA (an adapter is
asked for as a model's name).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from assistant.engines.streaming import StopFilter
from assistant.errors import AdapterUnsupported, EngineError, EngineTimeout, EngineUnavailable, SettingsError
from assistant.registry import did_you_mean
from assistant.settings import RemoteSettings, Settings
from assistant.types import GenerateOptions, Message, ModelInfo

if TYPE_CHECKING:
    import openai

_CONNECT_S = 10.0
_LAST_LATIN = 0x24F
_SENT_STOPS = 4  # the API's bound; the others are cut here


class RemoteEngine:
    """A model behind `[remote] url`. Made by `build`; safe to use from several threads."""

    name = "remote"
    location: Literal["local", "remote"] = "remote"

    def __init__(self, remote: RemoteSettings) -> None:
        """Opens no connection yet; the server may start later.

        Raises:
            SettingsError: url or model is not set.
        """
        missing = [f"[remote] {name}" for name in ("url", "model") if not getattr(remote, name)]
        if missing:
            raise SettingsError(f"The engine remote needs {' and '.join(missing)}.", hint="Set it in confide.toml.")
        self.model = ModelInfo(
            name=remote.model, sha256="", context_tokens=remote.context_tokens, languages=remote.languages
        )
        self._url = remote.url
        self._client = _client(remote)

    def count_tokens(self, text: str) -> int:
        """An estimate, rather high: a token for every three Latin characters and for each other one.

        The server's tokenizer is not at hand.
        """
        wide = sum(ord(character) > _LAST_LATIN for character in text)
        return wide + math.ceil((len(text) - wide) / 3)

    def stream(self, messages: Sequence[Message], options: GenerateOptions) -> Iterator[str]:
        """The server's answer as it comes. Closing it closes the connection, which stops the server.

        A server that falls silent is given up after the time limit since its last sign of life.
        """
        model = self.model.name if options.adapter is None else self._adapter(options.adapter)
        deadline = time.monotonic() + options.time_limit_s
        stops = StopFilter(options.stop)
        with self._errors(model, options), self._open(model, messages, options) as chunks:
            for chunk in chunks:
                if shown := stops.feed((chunk.choices[0].delta.content or "") if chunk.choices else ""):
                    yield shown
                if stops.stopped:
                    return
                if time.monotonic() >= deadline:
                    raise EngineTimeout(f"{self._url} took longer than {options.time_limit_s:g} s.")
        if shown := stops.flush():
            yield shown

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _open(self, model: str, messages: Sequence[Message], options: GenerateOptions) -> Any:
        """The stream of chunks, closed with its context."""
        return self._client.with_options(
            timeout=_timeout(options.time_limit_s)
        ).chat.completions.create(
            model=model,
            messages=[{"role": message.role, "content": message.text} for message in messages],  # type: ignore[misc]
            max_tokens=options.max_new_tokens,
            temperature=options.temperature,
            stop=list(options.stop[:_SENT_STOPS]) or None,
            stream=True,
        )

    def _adapter(self, name: str) -> str:
        """The server's model of this name. Raises AdapterUnsupported where it has none."""
        known = self._models()
        if name not in known:
            raise AdapterUnsupported(
                f"The server at {self._url} has no adapter {name!r}.",
                hint=did_you_mean(name, known) or "Load it there under that name.",
            )
        return name

    def _models(self) -> list[str]:
        """Names of the models that the server offers; empty where it does not say."""
        import httpx2
        import openai

        try:
            return sorted(model.id for model in self._client.with_options(timeout=_timeout(_CONNECT_S)).models.list())
        except (openai.OpenAIError, httpx2.HTTPError):
            return []

    @contextmanager
    def _errors(self, model: str, options: GenerateOptions) -> Iterator[None]:
        """The client's errors as ours, each with what to look at."""
        import httpx2
        import openai

        try:
            yield
        except (openai.APITimeoutError, httpx2.TimeoutException) as error:
            raise EngineTimeout(f"{self._url} did not answer within {options.time_limit_s:g} s.") from error
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            raise EngineUnavailable(
                f"The connection to {self._url} failed ({type(error.__cause__ or error).__name__}).",
                hint="Is the server running there, and is [remote] url right?",
            ) from error
        except openai.APIError as error:
            raise self._refused(model, error) from error

    def _refused(self, model: str, error: openai.APIError) -> EngineError:
        """What the server's refusal means for the user."""
        status = getattr(error, "status_code", 0)
        said = str(error.message).strip()[:200]
        if status in (401, 403):
            return EngineUnavailable(
                f"{self._url} refused the key ({status}).", hint="Set [remote] api_key, or CONFIDE_REMOTE__API_KEY."
            )
        known = self._models() if status in (400, 404) else []
        if known and model not in known:
            return EngineUnavailable(
                f"{self._url} has no model {model!r}; it has {', '.join(known[:10])}.", hint="Set [remote] model."
            )
        if status == 404 and not known:
            return EngineUnavailable(f"{self._url} has no chat API (404).", hint="[remote] url usually ends in /v1.")
        if status == 429:
            return EngineUnavailable(f"{self._url} takes no more requests now (429).", hint="Try again later.")
        return EngineUnavailable(
            f"{self._url} failed ({status or 'in the stream'}): {said}", hint="See the server's log."
        )


def build(settings: Settings) -> RemoteEngine:
    """The registry's factory."""
    return RemoteEngine(settings.remote)


def _timeout(seconds: float) -> Any:
    import httpx2

    return httpx2.Timeout(seconds, connect=min(_CONNECT_S, seconds))


def _client(remote: RemoteSettings) -> openai.OpenAI:
    """The official client, without retries and without the headers that describe this machine."""
    import httpx2
    import openai

    def strip(request: httpx2.Request) -> None:
        for header in [name for name in request.headers if name.startswith(("x-stainless-", "openai-"))]:
            del request.headers[header]

    return openai.OpenAI(
        base_url=remote.url,
        api_key=remote.api_key.get_secret_value() or "none",  # the client wants one; local servers ignore it
        max_retries=0,
        http_client=httpx2.Client(event_hooks={"request": [strip]}, follow_redirects=False),
    )
