"""calibrate: fits the reader on the calibration companies and writes `assistant/retrieval/calibration.json`.

The two companies are not the exam. The figures it prints are cross-validated: fitted on the one company,
judged on the other, both ways. What it writes is fitted on both. The threshold is the support under
which a tenth of the other company's answerable questions would be refused.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant import prompts
from assistant.ingest import ingest
from assistant.retrieval import reader
from assistant.retrieval.reader import Array, Question, Reader, Unit
from assistant.retrieval.search import Searcher
from assistant.settings import load_settings
from assistant.store import Store
from assistant.types import Measure, Message, Report
from benchmarks.common import provenance

COMPANIES = Path(__file__).parent / "calibration"
TARGET = Path(reader.__file__).with_name("calibration.json")
EMBEDDERS = ("bilingual", "minilm", "use-multilingual", "hashing")
FALSE_REFUSALS = 0.10


@dataclass(slots=True)
class Case:
    """A question with what the reader saw for it."""

    answerable: bool
    asked: Question
    units: list[Unit]
    features: Array
    labels: np.ndarray
    found: bool
    reader: Reader


def run() -> Report:
    """Fits all embedders; the report has recall, ranking and refusal, cross-validated."""
    table: dict[str, Any] = {"default": "use-multilingual", "embedders": {}}
    measures: list[Measure] = []
    settings = load_settings()
    TARGET.write_text(json.dumps(blank()), encoding="utf-8")
    for embedder in EMBEDDERS:
        cases = [collect(embedder, company) for company in ("kitchen", "bank")]
        judged = [judge(cases[other], fit(cases[one])) for one, other in ((0, 1), (1, 0))]
        support, answerable = (np.concatenate(parts) for parts in zip(*judged, strict=True))
        threshold = float(np.quantile(support[answerable], FALSE_REFUSALS))
        table["embedders"][embedder] = {"threshold": round(threshold, 4), **fit([*cases[0], *cases[1]])}
        measures += summary(embedder, [*cases[0], *cases[1]], support, answerable, threshold)
    TARGET.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return Report("calibrate", tuple(measures), provenance(settings))


def blank() -> dict[str, Any]:
    """A table with which the reader can be built before it is fitted."""
    none = {"threshold": 0.5, "unit": {"weights": [], "bias": 0.0}, "support": {"weights": [], "bias": 0.0}}
    return {"default": "use-multilingual", "embedders": {"use-multilingual": none}}


def collect(embedder: str, company: str) -> list[Case]:
    """Every question of a company, searched and featured."""
    rows = [json.loads(line) for line in (COMPANIES / company / "questions.jsonl").open(encoding="utf-8")]
    if embedder == "minilm":  # an English model is judged on English
        rows = [row for row in rows if row["language"] == "en"]
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(data_dir=Path(folder), retrieval={"embedder": embedder, "threshold": 0.5})
        store = Store.open(settings.data_dir)
        searcher = Searcher(store, settings)
        ingest([COMPANIES / company / "documents"], store=store, settings=settings, index=searcher, collection=company)
        tenant = settings.tenant
        read = Reader(searcher.embedder(tenant, company), searcher.idf(tenant, company))
        cases = []
        for row in rows:
            turns = [Message(turn["role"], turn["text"]) for turn in row["history"]]
            query = prompts.standalone([*turns, Message("user", row["question"])])
            variants = () if query == row["question"] else (row["question"],)
            hits = searcher.search(tenant, company, query, 5, variants=variants)
            units = [unit for rank, hit in enumerate(hits) for unit in reader.split_units(hit.passage, rank)]
            asked = read.analyse(query)
            labels = np.array([_is_gold(unit, row["gold"]) for unit in units], dtype=bool)
            found = any(_holds(unit, gold) for unit in units for gold in row["gold"])
            features = read.unit_features(asked, units)
            cases.append(Case(row["answerable"], asked, units, features, labels, found, read))
        store.close()
    return cases


def fit(cases: Sequence[Case]) -> dict[str, Any]:
    """The two logistic models."""
    from sklearn.linear_model import LogisticRegression

    known = [case for case in cases if case.answerable and case.units]
    rows, labels = np.concatenate([c.features for c in known]), np.concatenate([c.labels for c in known])
    unit = _model(LogisticRegression(C=1.0, max_iter=5000).fit(rows, labels))
    features = np.stack([_support_features(case, unit) for case in cases if case.units])
    answerable = np.array([case.answerable for case in cases if case.units])
    support = _model(LogisticRegression(C=0.5, max_iter=5000).fit(features, answerable))
    return {"unit": unit, "support": support}


def judge(cases: Sequence[Case], model: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(support, answerable) of cases that the model was not fitted on."""
    features = np.stack([_support_features(case, model["unit"]) for case in cases if case.units])
    support = reader.logistic(features, model["support"])
    return support, np.array([case.answerable for case in cases if case.units])


def summary(
    embedder: str, cases: Sequence[Case], support: np.ndarray, answerable: np.ndarray, threshold: float
) -> list[Measure]:
    """What the report says of one embedder."""
    from sklearn.metrics import roc_auc_score

    recall = np.mean([case.found for case in cases if case.answerable])
    refused = float(np.mean(support[~answerable] < threshold))
    return [
        Measure(f"recall@5_{embedder}", float(recall), n=int(answerable.sum())),
        Measure(f"auroc_{embedder}", float(roc_auc_score(answerable, support)), n=len(support)),
        Measure(f"refusal_recall_{embedder}", refused, n=int((~answerable).sum())),
        Measure(f"threshold_{embedder}", threshold),
    ]


def _model(fitted: Any) -> dict[str, Any]:
    return {"weights": [round(float(w), 4) for w in fitted.coef_[0]], "bias": round(float(fitted.intercept_[0]), 4)}


def _support_features(case: Case, unit: dict[str, Any]) -> Array:
    scores = reader.logistic(case.features, unit)
    return case.reader.support_features(case.asked, case.units, case.features, scores)


def _is_gold(unit: Unit, golds: Sequence[dict[str, str]]) -> bool:
    text = _squeeze(unit.span.text)
    return any(
        gold["document"] == unit.span.passage.document and (text in _squeeze(gold["quote"]) or _squeeze(gold["quote"]) in text)
        for gold in golds
    )


def _holds(unit: Unit, gold: dict[str, str]) -> bool:
    passage = unit.span.passage
    return gold["document"] == passage.document and _squeeze(gold["quote"]) in _squeeze(passage.text)


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold()
