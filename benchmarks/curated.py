"""curated: which paraphrases an approved answer's question recognises, and which near misses it takes for one.

The groups of `benchmarks/calibration/same_questions.jsonl` made the rules of `assistant/sameness.py`; those of
`same_questions_held_out.jsonl`, from other trades, were written afterwards (docs/curated.md says what they showed at
first). A group's question is compared with its paraphrases, its near misses and every other group's questions.
"""

from __future__ import annotations

import json
from typing import Any

from assistant import metrics
from assistant.retrieval.embedders import load_embedder
from assistant.sameness import LIKENESS, difference
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks.common import ROOT, provenance

EMBEDDER = "bilingual"
FILES = {
    "made_with": ROOT / "benchmarks" / "calibration" / "same_questions.jsonl",
    "held_out": ROOT / "benchmarks" / "calibration" / "same_questions_held_out.jsonl",
}


def run() -> Report:
    """Recognised paraphrases and taken near misses, of both files."""
    settings = load_settings()
    embedder = load_embedder(EMBEDDER, settings)
    measures: list[Measure] = []
    for name, file in FILES.items():
        groups = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        texts = sorted({text for group in groups for text in _texts(group)})
        vectors = dict(zip(texts, embedder.encode(texts), strict=True))

        def same(one: str, other: str, known: dict[str, Any] = vectors) -> bool:
            return float(known[one] @ known[other]) >= LIKENESS[EMBEDDER] and not difference(one, other)

        asked = [group["question"] for group in groups]
        right = [same(group["question"], text) for group in groups for text in group["same"]]
        near = [same(group["question"], text) for group in groups for text in group["other"]]
        cross = [
            same(one, text) for one in asked for group in groups if group["question"] != one for text in _texts(group)
        ]
        measures += [
            metrics.share(f"recognised_{name}", right),
            Measure(f"near_misses_taken_{name}", float(sum(near)), n=len(near)),
            Measure(f"others_taken_{name}", float(sum(cross)), n=len(cross)),
        ]
    return Report("curated", tuple(measures), provenance(settings, files=tuple(FILES.values()), embedder=embedder.id))


def _texts(group: dict[str, Any]) -> list[str]:
    return [group["question"], *group["same"], *group["other"]]
