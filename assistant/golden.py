"""Golden files: questions, the passages that answer them, what a right answer says and a wrong one.

One JSON object a line; `examples/demo_shop/README.md` describes the fields. A file with faults is
refused whole, with every fault and its line. Not the judge: that is `evaluate.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.errors import BadInput
from assistant.types import MAX_QUESTION_CHARS, Message

_FIELDS = {"id", "language", "question", "history", "kinds", "answerable", "gold", "facts", "false_claims", "note"}
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Gold:
    """A place that answers the question: a document's name and a quote of it."""

    document: str
    quote: str


@dataclass(frozen=True, slots=True)
class Question:
    """A row. Any one of `gold` answers; each of `facts` is needed, in one of its spellings."""

    id: str
    question: str
    answerable: bool
    language: str = ""
    history: tuple[Message, ...] = ()
    kinds: tuple[str, ...] = ()
    gold: tuple[Gold, ...] = ()
    facts: tuple[tuple[str, ...], ...] = ()
    false_claims: tuple[str, ...] = ()


def read_golden(path: Path) -> list[Question]:
    """The questions of a golden file, in order.

    Raises:
        BadInput: the file cannot be read, or lists every line that is wrong and why.
    """
    try:
        lines = rows_of(path)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The golden file {path} cannot be read: {error}.") from error
    questions: list[Question] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found, question = _row(line)
        if question is not None and question.id in seen:
            found.append(f"id {question.id!r} is already on line {seen[question.id]}")
        problems += [f"line {number}: {problem}" for problem in found]
        if question is not None:
            seen.setdefault(question.id, number)
            questions.append(question)
    if problems:
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        listed = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
        raise BadInput(f"{path} has {len(problems)} fault(s):{listed}{more}\n", hint="Nothing was asked.")
    if not questions:
        raise BadInput(f"{path} has no questions.", hint="One JSON object a line; see examples/demo_shop/golden.jsonl.")
    return questions


def rows_of(path: Path) -> list[str]:
    """The lines of a JSON Lines file, whatever wrote it. U+2028 and its like, which JSON may hold raw, end none."""
    return path.read_text(encoding="utf-8-sig").split("\n")


def _row(line: str) -> tuple[list[str], Question | None]:
    """All faults of a line, and the question where there is none."""
    try:
        row = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return ["it has half of a character, as texts have that were cut in an emoji"], None
    except (ValueError, RecursionError) as error:
        return [f"it is not JSON: {error}"], None
    if not isinstance(row, dict):
        return ["it is not a JSON object"], None
    problems = list(_problems(row))
    if problems:
        return problems, None
    return [], Question(
        id=row["id"],
        question=row["question"],
        answerable=row["answerable"],
        language=row.get("language", ""),
        history=tuple(Message(message["role"], message["text"]) for message in row.get("history", ())),
        kinds=tuple(row.get("kinds", ())),
        gold=tuple(Gold(gold["document"], gold["quote"]) for gold in row.get("gold", ())),
        facts=tuple(tuple(spellings) for spellings in row.get("facts", ())),
        false_claims=tuple(row.get("false_claims", ())),
    )


def _problems(row: dict[str, Any]) -> Iterator[str]:
    unknown = sorted(set(row) - _FIELDS)
    if unknown:
        yield f"unknown field {', '.join(unknown)}"
    for name in ("id", "question"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            yield f"{name} is missing or empty"
    if len(str(row.get("question", ""))) > MAX_QUESTION_CHARS:
        yield f"question has more than {MAX_QUESTION_CHARS} characters"
    if not isinstance(row.get("answerable"), bool):
        yield "answerable is neither true nor false"
    if not isinstance(row.get("language", ""), str):
        yield "language is not a text"
    if not _texts(row.get("kinds", [])):
        yield "kinds is not a list of texts"
    if not _objects(row.get("history", []), ("role", "text")) or any(
        message["role"] not in ("user", "assistant") for message in row.get("history", [])
    ):
        yield 'history is not a list of {"role": "user" or "assistant", "text": ...}'
    if not _objects(row.get("gold", []), ("document", "quote")):
        yield 'gold is not a list of {"document": ..., "quote": ...}'
    facts = row.get("facts", [])
    if not isinstance(facts, list) or not all(_texts(spellings) and spellings for spellings in facts):
        yield "facts is not a list of lists of spellings"
    if row.get("answerable") is True and not row.get("gold"):
        yield "it is answerable, but gold is empty"
    yield from _claim_problems(row.get("false_claims", []))


def _claim_problems(claims: object) -> Iterator[str]:
    if not isinstance(claims, list) or not _texts(claims):
        yield "false_claims is not a list of regular expressions"
        return
    for claim in claims:
        try:
            re.compile(claim)
        except re.error as error:
            yield f"false_claims has {claim!r}, which is no regular expression: {error}"


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value)


def _objects(value: object, keys: tuple[str, ...]) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and _texts([item.get(key) for key in keys]) for item in value
    )
