"""The shipped fake engine: deterministic, instant, honest about being a fake.

It answers with the first passage line of its prompt, or with a script given by a test. It is
not a model: nobody should serve customers with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Literal

from assistant.errors import AdapterUnsupported, EngineTimeout
from assistant.settings import Settings
from assistant.types import GenerateOptions, Message, ModelInfo


class EchoEngine:
    """Repeats the last user message, or answers from `script` in turn (the last entry repeats)."""

    name = "echo"
    location: Literal["local", "remote"] = "local"

    def __init__(self, *, script: Sequence[str] = (), delay_s: float = 0.0) -> None:
        self.model = ModelInfo(name="echo", sha256="", context_tokens=4096)
        self._script = tuple(script)
        self._delay_s = delay_s
        self._calls = 0

    def count_tokens(self, text: str) -> int:
        """Words: an echo has no tokenizer."""
        return len(text.split())

    def stream(self, messages: Sequence[Message], options: GenerateOptions) -> Iterator[str]:
        """The scripted or repeated text, word by word."""
        if options.adapter is not None:
            raise AdapterUnsupported(
                f"The echo engine hosts no adapters (asked for {options.adapter!r}).",
                hint="Use the engine hf.",
            )
        deadline = time.monotonic() + options.time_limit_s
        text = self._next(messages)
        for stop in options.stop:
            text = text.split(stop, 1)[0]
        words = text.split(" ")[: options.max_new_tokens]
        for number, word in enumerate(words):
            if self._delay_s:
                time.sleep(min(self._delay_s, max(0.0, deadline - time.monotonic())))
            if time.monotonic() >= deadline:
                raise EngineTimeout(f"No answer within {options.time_limit_s:g} s.")
            yield word if number == 0 else " " + word

    def close(self) -> None:
        """Nothing to free."""

    def _next(self, messages: Sequence[Message]) -> str:
        if not self._script:
            return messages[-1].text
        text = self._script[min(self._calls, len(self._script) - 1)]
        self._calls += 1
        return text


def build(settings: Settings) -> EchoEngine:
    """The registry's factory. An echo has nothing to configure."""
    return EchoEngine()
