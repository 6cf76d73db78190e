"""calibrate: fits the reader on the calibration companies and writes `assistant/retrieval/calibration.json`.

The two companies are not the exam. The figures it prints are cross-validated: fitted on the one company,
judged on the other, both ways. What it writes is fitted on both. The threshold is the support under
which a twentieth of the other company's answerable questions would be refused (`FALSE_REFUSALS`); under `sure`, at
`UNSURE`, an answer says that it may not be one.
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

from assistant import prompts, smalltalk
from assistant.ingest import ingest
from assistant.retrieval import reader
from assistant.retrieval.judge import load_judge
from assistant.retrieval.reader import Array, Question, Reader, Unit
from assistant.retrieval.search import Searcher
from assistant.settings import load_settings
from assistant.store import Store
from assistant.types import Hit, Measure, Message, Passage, Report
from benchmarks.common import provenance

COMPANIES = Path(__file__).parent / "calibration"
TARGET = Path(reader.__file__).with_name("calibration.json")
EMBEDDERS = ("bilingual", "minilm", "use-multilingual", "hashing")
JUDGED = ("bilingual", "minilm")
"""Embedders whose English questions the judge reads too."""
FALSE_REFUSALS = 0.05
"""Half of what the goal allows: another company loses more than these two, and each is a customer sent away."""

UNSURE = 0.20
"""So many answerable questions of the other company are refused or answered with a warning that this may be no answer."""


@dataclass(slots=True)
class Case:
    """A question with what the reader saw for it.

    `asks` is False where the message never reaches the documents (the wish for a person, a customer's
    own order): neither fitted nor judged on.
    """

    answerable: bool
    asked: Question
    units: list[Unit]
    features: Array
    labels: np.ndarray
    found: bool
    reader: Reader
    asks: bool
    verdicts: Array | None = None
    """The judge's logit of every unit; None where it does not know the language."""


def run() -> Report:
    """Fits all embedders; the report has recall, ranking and refusal, cross-validated."""
    table: dict[str, Any] = {"default": "use-multilingual", "embedders": {}}
    measures: list[Measure] = []
    settings = load_settings()
    TARGET.write_text(json.dumps(blank()), encoding="utf-8")
    for embedder in EMBEDDERS:
        cases = [collect(embedder, company) for company in ("kitchen", "bank")]
        row, support, answerable = calibrated(cases)
        table["embedders"][embedder] = row
        measures += summary(embedder, [*cases[0], *cases[1]], support, answerable, row)
    TARGET.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return Report("calibrate", tuple(measures), provenance(settings))


def calibrated(cases: Sequence[Sequence[Case]]) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """An embedder's row of the table, fitted on both companies, and (support, answerable) across them.

    There is one threshold. The support of what the judge has read is shifted so that it refuses as many.
    """
    folds = ((0, 1), (1, 0))
    row = fit([*cases[0], *cases[1]])
    judged = [judge(cases[other], fit(cases[one]), "support") for one, other in folds]
    support, answerable, heard = (np.concatenate(parts) for parts in zip(*judged, strict=True))
    threshold = round(float(np.quantile(support[answerable], FALSE_REFUSALS)), 4)
    if "judged" in row:
        better = np.concatenate([judge(cases[other], fit(cases[one]), "judged")[0] for one, other in folds])
        own = float(np.quantile(better[answerable[heard]], FALSE_REFUSALS))
        shift = _logit(threshold) - _logit(own)
        row["judged"]["bias"] = round(row["judged"]["bias"] + shift, 4)
        support[heard] = 1 / (1 + np.exp(-(_logit(better) + shift)))
    sure = round(float(np.quantile(support[answerable], UNSURE)), 4)
    return {"threshold": threshold, "sure": sure, **row}, support, answerable


def blank() -> dict[str, Any]:
    """A table with which the reader can be built before it is fitted."""
    empty = {"weights": [], "bias": 0.0}
    none = {"threshold": 0.5, "sure": 0.5, "unit": empty, "field": empty, "support": empty}
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
            case = _case(row, query, searcher.search(tenant, company, query, 5, variants=variants), read)
            if embedder in JUDGED and case.units and reader.judgeable(query):
                pairs = [(unit.key, unit.span.text) for unit in case.units]
                case.verdicts = load_judge().scores(query, pairs)
            cases.append(case)
        store.close()
    return cases


def _case(row: dict[str, Any], query: str, hits: Sequence[Hit], read: Reader) -> Case:
    units = [unit for rank, hit in enumerate(hits) for unit in reader.split_units(hit.passage, rank)]
    asked = read.analyse(query)
    labels = np.array([_is_gold(unit, row) for unit in units], dtype=bool)
    found = any(holds(hit.passage, gold) for hit in hits for gold in row["gold"])
    asks = smalltalk.intent(row["question"]) is smalltalk.Intent.QUESTION
    return Case(row["answerable"], asked, units, read.unit_features(asked, units), labels, found, read, asks)


def fit(cases: Sequence[Case]) -> dict[str, Any]:
    """The logistic models: of a sentence, of a field, of support, and of support with the judge's verdicts."""
    cases = [case for case in cases if case.asks and case.units]
    known = [case for case in cases if case.answerable]
    rows, labels = np.concatenate([c.features for c in known]), np.concatenate([c.labels for c in known])
    record = np.array([unit.record for case in known for unit in case.units], dtype=bool)
    model = {"unit": _model(rows[~record], labels[~record])}
    model["field"] = model["unit"]
    if labels[record].any():
        model["field"] = _model(rows[record], labels[record])
    features = np.stack([_support_features(case, model) for case in cases])
    fitted = {**model, "support": _model(features, np.array([case.answerable for case in cases]), strength=0.3)}
    heard = [case for case in cases if case.verdicts is not None]
    if heard:
        features = np.stack([_judged_features(case, model) for case in heard])
        fitted["judged"] = _model(features, np.array([case.answerable for case in heard]), strength=0.3)
    return fitted


def judge(cases: Sequence[Case], model: dict[str, Any], name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(support, answerable, whether the judge has read it) of cases that the model was not fitted on.

    Under the name "judged" only of those that the judge has read.
    """
    real = [case for case in cases if case.asks and case.units]
    if name == "judged":
        real = [case for case in real if case.verdicts is not None]
    features = np.stack([(_judged_features if name == "judged" else _support_features)(case, model) for case in real])
    heard = np.array([case.verdicts is not None for case in real], dtype=bool)
    return reader.logistic(features, model[name]), np.array([case.answerable for case in real]), heard


def summary(
    embedder: str, cases: Sequence[Case], support: np.ndarray, answerable: np.ndarray, row: dict[str, Any]
) -> list[Measure]:
    """What the report says of one embedder."""
    from sklearn.metrics import roc_auc_score

    recall = np.mean([case.found for case in cases if case.answerable])
    refused, warned = (float(np.mean(support[~answerable] < least)) for least in (row["threshold"], row["sure"]))
    return [
        Measure(f"recall@5_{embedder}", float(recall), n=int(answerable.sum())),
        Measure(f"auroc_{embedder}", float(roc_auc_score(answerable, support)), n=len(support)),
        Measure(f"refusal_recall_{embedder}", refused, n=int((~answerable).sum())),
        Measure(f"refused_or_warned_{embedder}", warned, n=int((~answerable).sum())),
        Measure(f"threshold_{embedder}", row["threshold"]),
    ]


def _model(rows: np.ndarray, labels: np.ndarray, *, strength: float = 1.0) -> dict[str, Any]:
    """Logistic regression on standardised features, written for the features as they are."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(rows)
    fitted = LogisticRegression(C=strength, max_iter=5000).fit(scaler.transform(rows), labels)
    weights = fitted.coef_[0] / scaler.scale_
    bias = float(fitted.intercept_[0] - weights @ scaler.mean_)
    return {"weights": [round(float(weight), 4) for weight in weights], "bias": round(bias, 4)}


def _support_features(case: Case, model: dict[str, Any]) -> Array:
    scores = reader.unit_scores(case.features, case.units, model)
    return case.reader.support_features(case.asked, case.units, case.features, scores)


def _judged_features(case: Case, model: dict[str, Any]) -> Array:
    assert case.verdicts is not None
    scores = reader.unit_scores(case.features, case.units, model)
    best = np.argsort(-scores, kind="stable")[: reader.JUDGED_UNITS]
    features = case.reader.support_features(case.asked, case.units, case.features, scores)
    return np.concatenate([features, reader.judge_features(case.verdicts[best])])


def _logit(probability: Any) -> Any:
    return np.log(probability) - np.log1p(-probability)


def _is_gold(unit: Unit, row: dict[str, Any]) -> bool:
    """A sentence of the gold quote; of a record that holds it, the fields with a fact of the answer."""
    text = _squeeze(unit.span.text)
    for gold in row["gold"]:
        if gold["document"] != unit.span.passage.document:
            continue
        quote = _squeeze(gold["quote"])
        if unit.record:
            facts = [_squeeze(spelling) for fact in row["facts"] for spelling in fact]
            if quote in _squeeze(unit.span.passage.text) and any(fact in text for fact in facts):
                return True
        elif text in quote or quote in text:
            return True
    return False


def holds(passage: Passage, gold: dict[str, str]) -> bool:
    """Whether a passage has the text of a gold place."""
    return gold["document"] == passage.document and _squeeze(gold["quote"]) in _squeeze(passage.text)


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold()
