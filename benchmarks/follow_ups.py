"""follow-ups: does a short question in a conversation get the answer it asks for, be it a follow-up or a new topic?

The dialogues of `benchmarks/calibration/dialogues.jsonl` (two companies that are not the exam, English and Chinese). Right
is an answer whose first quote is of a gold passage, or, where the documents have none, a refusal. Beside what the product
chooses stand both readings it chooses from: every question joined with the one before, and every question alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant import composer, metrics, prompts
from assistant.ingest import ingest
from assistant.retrieval.reader import Reader, Reading
from assistant.retrieval.search import Searcher, default_threshold
from assistant.settings import load_settings
from assistant.store import Store
from assistant.types import Message, Report
from benchmarks.calibrate import COMPANIES, holds
from benchmarks.common import provenance

DIALOGUES = COMPANIES / "dialogues.jsonl"
EMBEDDER = "bilingual"
SIDES = ("chosen", "joined", "alone")


def run() -> Report:
    """The share of right answers of each kind and language, and how many questions were read twice."""
    rows = [json.loads(line) for line in DIALOGUES.read_text(encoding="utf-8").splitlines()]
    right: dict[str, list[bool]] = {}
    twice: list[bool] = []
    for company in ("kitchen", "bank"):
        with tempfile.TemporaryDirectory() as folder:
            for row, sides, read_twice in _answered(company, rows, Path(folder)):
                twice.append(read_twice)
                kind = row["kind"] if row["answerable"] else f"{row['kind']}_unanswerable"
                for side, good in sides.items():
                    right.setdefault(f"{kind}_{row['language']}_{side}", []).append(good)
    measures = [metrics.share(name, right[name]) for name in sorted(right)]
    measures += [metrics.share(f"right_{side}", _all(right, side)) for side in SIDES]
    return Report("follow-ups", (*measures, metrics.share("read_twice", twice)), provenance(load_settings()))


def _answered(company: str, rows: Sequence[dict[str, Any]], folder: Path) -> Any:
    """(row, whether each side is right, whether two readings were needed) of a company's dialogues."""
    settings = load_settings(data_dir=folder, retrieval={"embedder": EMBEDDER})
    store = Store.open(folder)
    searcher, which = Searcher(store, settings), (settings.tenant, company)
    ingest([COMPANIES / company / "documents"], store=store, settings=settings, index=searcher, collection=company)
    reader = Reader(searcher.embedder(*which), searcher.idf(*which), searcher.known(*which))
    threshold = default_threshold(EMBEDDER)

    def read(query: str, question: str) -> Reading:
        variants = () if query == question else (question,)
        return reader.read(query, searcher.search(*which, query, 5, variants=variants))

    for row in (row for row in rows if row["company"] == company):
        question, earlier = row["question"], row["history"][-2]["text"]
        turns = [Message(turn["role"], turn["text"]) for turn in row["history"]]
        asked = prompts.asked([*turns, Message("user", question)])
        alone = read(question, question)
        behind = next((each for each in (asked.query, asked.other) if each not in (question, "")), "")
        joined = read(behind or f"{earlier} {question}", question)
        chosen, other = (alone, joined) if asked.query == question else (joined, alone)
        needed: list[float] = []
        if asked.other_instead(chosen.support, lambda: needed.append(0.0) or other.support):  # noqa: B023
            chosen = other
        readings = dict(zip(SIDES, (chosen, joined, alone), strict=True))
        yield row, {side: _is_right(reading, row, threshold) for side, reading in readings.items()}, bool(needed)
    store.close()


def _is_right(reading: Reading, row: dict[str, Any], threshold: float) -> bool:
    if reading.support < threshold or not reading.units:
        return not row["answerable"]
    first = composer.quotes(reading)[0].spans[0].passage
    return any(holds(first, gold) for gold in row["gold"])


def _all(right: dict[str, list[bool]], side: str) -> list[bool]:
    return [good for name, values in right.items() if name.endswith(side) for good in values]
