"""The engine protocol: what turns messages into text.

An engine takes messages, never a prompt string: the chat template belongs to whoever owns the
tokenizer. It is not the assistant: it knows no documents, no citations, no store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from assistant.types import GenerateOptions, Message, ModelInfo


class Engine(Protocol):
    """What every engine offers; `tests/assistant/engines/contract.py` holds its laws.

    `stream` yields pieces of text whose concatenation is the answer. It is a generator: closing
    it stops the generation and frees what it held. It raises only errors of the tree below
    `EngineError`: `EngineTimeout` past `options.time_limit_s`, `AdapterUnsupported` for an adapter
    it cannot host, `EngineUnavailable` for anything else that went wrong.
    """

    name: str
    location: Literal["local", "remote"]
    model: ModelInfo

    def count_tokens(self, text: str) -> int:
        """The number of tokens of a text, by the model's own tokenizer where it is at hand."""
        ...

    def stream(self, messages: Sequence[Message], options: GenerateOptions) -> Iterator[str]:
        """The answer to the last message, piece by piece."""
        ...

    def close(self) -> None:
        """Frees the model. The engine cannot be used after."""
        ...


@runtime_checkable
class HostsAdapters(Protocol):
    """An engine that loads LoRA adapters from our folders while it runs."""

    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that are loaded, sorted."""
        ...

    def add_adapter(self, name: str, path: Path) -> None:
        """Loads an adapter between two requests. Nothing was changed where it raises.

        Raises:
            AdapterUnsupported: it can never host this one.
            EngineUnavailable: it cannot now; it is asked again.
        """
        ...

    def remove_adapter(self, name: str) -> None:
        """Unloads an adapter between two requests. Raises AdapterUnsupported where there is none."""
        ...


@runtime_checkable
class Batches(Protocol):
    """An engine that may compute several requests together."""

    places: int
    """How many at once; 1 = one after another."""


@runtime_checkable
class ScoresText(Protocol):
    """An engine that can tell how likely a text is, beside making one."""

    name: str
    model: ModelInfo

    def logprobs(self, prompts: Sequence[Sequence[Message]], text: str, *, adapter: str | None = None) -> list[float]:
        """Of each prompt the log-probability of `text` as its answer, in nats. Raises EngineError."""
        ...


@runtime_checkable
class TellsFirst(Protocol):
    """An engine that can tell how likely an answer begins with a word, for the price of reading the prompt."""

    def begins(self, messages: Sequence[Message], word: str, options: GenerateOptions) -> float:
        """The log-probability, in nats, that the answer begins with the first token of `word`; of the options the
        adapter, the conversation and the time limit count.

        Of an unlikely beginning it may be an upper bound. The answer itself can be streamed after it without reading
        the prompt again. Raises EngineError.
        """
        ...
