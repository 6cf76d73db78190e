"""The model's own verdict: do these passages answer the question?

The built-in adapter (docs/built-in-adapter.md) has taught the default model to answer a grounded prompt with the
sentence that answers, word for word, or with `REFUSAL`. How likely it is to begin with the refusal is a feature of
support, beside the reader's own: it has read all passages together, which neither the reader nor the judge does. It
decides nothing by itself, and no word of it is shown. Only of languages that the model knows.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from assistant import prompts
from assistant.adapters import BUILT_IN_ID
from assistant.engines.base import Engine, TellsFirst
from assistant.errors import EngineUnavailable
from assistant.hosting import Choice, Hosting
from assistant.types import GenerateOptions, Message, ModelInfo, Passage

REFUSAL = "None of the passages answers this."
"""What it was taught to say where no passage answers."""
LIMIT = 5.0
"""A verdict is kept between these log-odds: an engine knows the likelihood of unlikely words only so far."""
_OPENING = "None"
ROOM = 160
"""Tokens that the window keeps free for the answer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the model is asked it: the turns up to and with it, the passages found, in their order."""

    turns: Sequence[Message]
    passages: Sequence[Passage]
    company: str
    language: str
    time_limit_s: float = 30.0
    conversation: str | None = None


def of_built_in(hosting: Hosting, engine: Engine, asked: Asked) -> float | None:
    """The verdict (`unanswered`), whichever adapter writes.

    None where the adapter does not fit the model, the engine cannot tell, or the model does not know the languages.

    Raises:
        EngineError: the engine failed.
    """
    with hosting.lease(engine, Choice((BUILT_IN_ID, None))) as leased:
        if leased.adapter is None or not isinstance(engine, TellsFirst) or not knows_languages(engine.model, asked):
            return None
        return unanswered(engine, asked, adapter=leased.adapter)


def knows_languages(model: ModelInfo, asked: Asked) -> bool:
    """Whether the model reads question and passages: of what it cannot read it says that it does not answer."""
    spoken = {asked.language, *(passage.language for passage in asked.passages)} - {""}
    return not model.languages or spoken <= set(model.languages)


def unanswered(engine: Engine, asked: Asked, *, adapter: str) -> float:
    """Log-odds, between -LIMIT and LIMIT, that the passages do not answer.

    Raises:
        EngineError: the engine failed, hosts no such adapter, or cannot tell (`TellsFirst`).
    """
    if not isinstance(engine, TellsFirst):
        raise EngineUnavailable(f"The engine {engine.name} cannot tell how an answer would begin.")
    prompt = prompts.build(
        asked.turns,
        [passage.text for passage in asked.passages],
        company=asked.company,
        answer_language=asked.language,
        budget=engine.model.context_tokens - ROOM,
        count_tokens=functools.lru_cache(engine.count_tokens),
    )
    options = GenerateOptions(adapter=adapter, conversation=asked.conversation, time_limit_s=asked.time_limit_s)
    return odds(engine.begins(prompt.messages, _OPENING, options))


def odds(nats: float) -> float:
    """The clipped log-odds of a log-probability.

    >>> odds(math.log(0.5)), odds(-100.0), odds(0.0)
    (0.0, -5.0, 5.0)
    """
    likely = min(max(math.exp(nats), 1e-9), 1 - 1e-9)
    return min(LIMIT, max(-LIMIT, math.log(likely) - math.log1p(-likely)))
