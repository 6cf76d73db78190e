"""Why this answer: how much less likely the model finds it when one of the passages is missing.

Leave one passage out, and compare the answer's log-probability: what a passage contributes to the model's
words. It is not the proof of the answer (that are the quotes, `citations.py`), and of two passages that say the
same neither seems to matter. Computed when it is asked for, in one batch.

Source: Cohen-Wang et al. 2024, ContextCite (arXiv:2409.00729), whose leave-one-out baseline this is.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant import prompts, texts
from assistant.core import Assistant
from assistant.engines.base import ScoresText
from assistant.errors import AdapterUnsupported, EngineUnavailable
from assistant.types import Message


@dataclass(frozen=True, slots=True)
class Contribution:
    """`nats`: by how much the passage raises the answer's log-probability (below 0: it lowers it)."""

    passage_id: str
    nats: float


def why(
    assistant: Assistant, turns: Sequence[Message], answer: Mapping[str, Any], *, collection: str | None = None
) -> tuple[Contribution, ...]:
    """The contribution of each passage that an answer (`Answer.to_dict`) was made from, in their order.

    `turns` are the conversation up to and with the question. An answer without passages has none.

    Raises:
        EngineUnavailable: this engine cannot tell how likely a text is (a remote one, the fake).
        AdapterUnsupported: the adapter that computed the answer is gone.
    """
    hits, engine = answer["hits"], assistant.engine
    if not hits or not answer["text"]:
        return ()
    if not isinstance(engine, ScoresText):
        raise EngineUnavailable(f"The engine {engine.name} cannot tell how likely a text is.", hint="hf can.")
    room = engine.model.context_tokens - engine.count_tokens(answer["text"]) - 1
    spoken = str(answer["receipt"]["language"])
    build = functools.partial(
        prompts.build,
        turns,
        company=assistant.company(collection).name(spoken) or texts.say("this_company", spoken),
        answer_language=spoken,
        budget=room,
        count_tokens=functools.lru_cache(engine.count_tokens),
    )
    passages = [str(hit["text"]) for hit in hits]
    asked = [build(passages)] + [build(passages[:place] + passages[place + 1 :]) for place in range(len(passages))]
    choice = assistant.hosting.choose(
        collection or assistant.settings.collection, "", answer["adapter"] or "none"
    )  # the adapter that computed it, not what is live now
    with assistant.hosting.lease(engine, choice) as leased:
        if leased.adapter != answer["adapter"]:
            raise AdapterUnsupported(f"The adapter {answer['adapter']} is not here any more.")
        whole, *without = engine.logprobs([each.messages for each in asked], answer["text"], adapter=leased.adapter)
    return tuple(Contribution(str(hit["passage_id"]), whole - left) for hit, left in zip(hits, without, strict=True))
