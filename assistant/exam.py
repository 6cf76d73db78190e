"""The exam that grows from real questions: a reviewed lesson as a row of the golden file that judges the loop's turns.

A row needs proof: each sentence of the answer that a stored passage supports becomes a place that answers, and its
numbers, names of places to write to and dates, or else its own words, are the facts a right answer must say. Rows that
somebody wrote by hand stay as they are. What is in the exam is never trained on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from assistant import citations, language
from assistant.errors import BadInput
from assistant.facts import facts
from assistant.golden import read_golden, rows_of
from assistant.types import Passage
from privacy.keys import durable_write

PREFIX = "lesson-"


def row_of(lesson: str, question: str, answer: str, passages: Sequence[Passage]) -> dict[str, Any]:
    """The golden row of a question and its right answer.

    Raises:
        BadInput: no passage proves any of its sentences.
    """
    gold: list[dict[str, str]] = []
    needed: list[list[str]] = []
    for start, end in language.sentences(answer):
        span = citations.support(answer[start:end], passages).span
        if span is not None:
            gold.append({"document": span.passage.document, "quote": span.text})
            said = [fact for fact in sorted(facts(span.text)) if fact in span.text]
            needed += [[fact] for fact in said] or [[span.text]]
    if not gold:
        raise BadInput(
            "No document says this, so it cannot be an exam question.", hint="Add the document, or accept it to train."
        )
    return {
        "id": f"{PREFIX}{lesson}", "language": language.detect(question), "question": question, "answerable": True,
        "gold": gold, "facts": needed,
    }  # fmt: skip


def add(file: Path, row: dict[str, Any]) -> None:
    """Adds a row to a golden file, or replaces the one of this id; the file is read back before it counts.

    Raises:
        BadInput: the file was changed by hand and has faults, or the row has; nothing was changed.
    """
    rows = [one for one in _rows(file) if one["id"] != row["id"]]
    _write(file, [*rows, row])


def asks(file: Path) -> Callable[[str], bool]:
    """Tells whether the exam asks a question, whatever its case, spaces and marks. Raises `BadInput` as `add` does."""
    questions = {_words(row["question"]) for row in _rows(file)}
    return lambda question: _words(question) in questions


def keep(file: Path, lessons: Collection[str]) -> int:
    """Drops the rows whose lesson stands no more; how many. Raises `BadInput` as `add` does."""
    rows = _rows(file)
    kept = [row for row in rows if not row["id"].startswith(PREFIX) or row["id"].removeprefix(PREFIX) in lessons]
    if len(kept) < len(rows):
        _write(file, kept)
    return len(rows) - len(kept)


def _words(question: str) -> str:
    return " ".join(re.findall(r"\w+", question.casefold()))


def _rows(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    read_golden(file)  # rows by hand may be added, with their slips: it lists them
    return [json.loads(line) for line in rows_of(file) if line.strip()]


def _write(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    durable_write(draft, text.encode())
    try:
        read_golden(draft)  # an exam with faults would judge nothing
    except BadInput:
        draft.unlink()
        raise
    draft.replace(file)
