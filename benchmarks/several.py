"""several: two questions in one message; are both answered?

The demo shop's golden questions, two at a time: neighbours of one language without a conversation, drawn once. Of a
pair's facts, the share that the answer says where the message is cut into its questions (the product), where it is read
as one (before), and where each question is sent by itself (the most there is to be had); and, of pairs with one
question that the documents do not answer, how many answers give the other's facts and name the one that is missing.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from assistant import metrics, several
from assistant.core import Assistant
from assistant.golden import Question, read_golden
from assistant.settings import load_settings
from assistant.types import Answer, Conversation, Done, Report
from benchmarks.common import provenance
from benchmarks.shop import SHOP, ingested

SEED = 7
MIXED = 20
"""Pairs with one question that nothing answers."""


def run() -> Report:
    """Facts said of both questions: cut, whole and alone."""
    settings = load_settings()
    rows = [row for row in read_golden(SHOP / "golden.jsonl") if not row.history]
    random.Random(SEED).shuffle(rows)
    said: dict[str, list[int]] = {"cut": [], "whole": [], "alone": []}
    needed: list[int] = []
    cuts, named, answered = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        assistant = ingested(settings, Path(folder), SHOP / "documents", "shop")
        for first, second in _pairs([row for row in rows if row.answerable]):
            message = f"{first.question} {second.question}"
            cuts.append(len(several.questions(message)) > 1)
            needed.append(len(first.facts) + len(second.facts))
            said["cut"].append(_facts((first, second), [_ask(assistant, message)]))
            with patch("assistant.core.several.questions", lambda text, *_: (text,)):
                said["whole"].append(_facts((first, second), [_ask(assistant, message)]))
            said["alone"].append(_facts((first, second), [_ask(assistant, row.question) for row in (first, second)]))
        for one, none in _mixed(rows):
            answer = _ask(assistant, f"{none.question} {one.question}")
            named.append(any(note.startswith("not in the documents") for note in answer.receipt.notes))
            answered.append(_facts((one,), [answer]) == len(one.facts))
        assistant.close()
    measures = [metrics.share("cut", cuts)]
    measures += [metrics.ratio(f"facts_{name}", counts, needed) for name, counts in said.items()]
    measures += [metrics.share("mixed_unanswered_named", named), metrics.share("mixed_other_answered", answered)]
    return Report("several", tuple(measures), provenance(settings, seed=SEED, files=(SHOP / "golden.jsonl",)))


def _pairs(rows: list[Question]) -> Iterator[tuple[Question, Question]]:
    for language in ("en", "zh"):
        own = [row for row in rows if row.language == language and row.facts]
        yield from zip(own[::2], own[1::2], strict=False)


def _mixed(rows: list[Question]) -> Iterator[tuple[Question, Question]]:
    for language in ("en", "zh"):
        own = [row for row in rows if row.language == language]
        answered, not_answered = ([row for row in own if row.answerable is kind] for kind in (True, False))
        yield from zip([row for row in answered if row.facts], not_answered[: MIXED // 2], strict=False)


def _ask(assistant: Assistant, message: str) -> Answer:
    events = list(assistant.ask(Conversation(""), message, collection="shop"))
    assert isinstance(events[-1], Done)
    return events[-1].answer


def _facts(rows: tuple[Question, ...], answers: list[Answer]) -> int:
    """How many facts of the questions the answers say; of one answer, all are looked for in it."""
    texts = [answer.text for answer in answers] * (len(rows) if len(answers) == 1 else 1)
    return sum(
        any(metrics.contains(text, fact) for fact in facts)
        for row, text in zip(rows, texts, strict=True)
        for facts in row.facts
    )
