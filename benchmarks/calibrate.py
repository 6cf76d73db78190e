"""calibrate: fits the reader on the calibration companies and writes `assistant/retrieval/calibration.json`.

None of the eight companies is the exam, and nothing else was trained on them. The figures it prints are held out:
each company is judged by what was fitted on the other seven. What it writes is fitted on all. The threshold is the
support under which nine in a hundred answerable questions would be refused (`FALSE_REFUSALS`), each company judged
by the others; under `sure`, at `UNSURE`, an answer says that it may not be one.

CALIBRATE_ONLY=bilingual,minilm fits these embedders only and leaves the others' rows as they are. The chat model's
verdicts take half a second each; they and the judge's are kept in benchmarks/results/calibrate, by weights and text.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant import console, prompts, smalltalk
from assistant.errors import BadInput
from assistant.ingest import ingest
from assistant.retrieval import reader
from assistant.retrieval.reader import Array, Question, Reader, Unit
from assistant.retrieval.search import Searcher
from assistant.settings import load_settings
from assistant.store import Store
from assistant.types import Hit, Measure, Message, Passage, Report
from benchmarks.calibration import compact
from benchmarks.common import provenance
from benchmarks.kept_verdicts import KEPT, Judged, Verdicts, chat_model

COMPANIES = Path(__file__).parent / "calibration"
NAMES = {"kitchen": "Copper & Oak", "bank": "Harbourlight Bank"}
"""The two that are folders; the others are `apart/NAME.txt`."""
TARGET = Path(reader.__file__).with_name("calibration.json")
EMBEDDERS = ("bilingual", "minilm", "use-multilingual", "hashing")
JUDGED = ("bilingual", "minilm", "use-multilingual")
"""Embedders whose questions the judge reads too, in its languages: each costs a quarter of an hour or more."""
READ = ("bilingual",)
"""Those whose questions the chat model reads too, in its languages: as much again."""
ENGLISH = ("minilm",)
"""Embedders that are judged on English questions to English documents."""
BY_LANGUAGE = ("bilingual",)
ONLY = "CALIBRATE_ONLY"
FALSE_REFUSALS = 0.09
"""Less than the goal allows: another company may lose more, and each is a customer sent away."""

UNSURE = 0.20
"""So many answerable questions of another company are refused or answered with a warning that this may be no answer."""


@dataclass(frozen=True, slots=True)
class Source:
    """A calibration company: its name, its documents' folder and its questions."""

    name: str
    documents: Path
    rows: list[dict[str, Any]]


@dataclass(slots=True)
class Case:
    """A question with what the reader saw for it.

    `asks` is False where the message never reaches the documents (the wish for a person, a customer's
    own order): neither fitted nor judged on. `looked_up`: a field of a record that the question asks for by its name, and
    the record's, is among the units; its support is fitted to nothing.
    """

    answerable: bool
    language: str
    asked: Question
    units: list[Unit]
    features: Array
    labels: np.ndarray
    found: bool
    reader: Reader
    asks: bool
    verdicts: Array | None = None
    """The judge's logit of every unit; None where it does not know the language."""
    unanswered: float | None = None
    """The chat model's log-odds that the passages do not answer; None where it was not asked."""
    looked_up: bool = False


@dataclass(slots=True)
class HeldOut:
    """Of questions, by models that were fitted on other companies: supports and where the first gold unit stands, from 0.

    nan where a model does not apply, or where no gold unit was found.
    """

    answerable: np.ndarray
    language: np.ndarray
    support: np.ndarray
    judged: np.ndarray
    read: np.ndarray
    place: np.ndarray


def run() -> Report:
    """Fits the embedders; the report has recall, ranking and refusal, held out."""
    measures: list[Measure] = []
    settings = load_settings()
    if not TARGET.exists():
        _write(blank())
    embedders = wanted()
    with chat_model() if set(READ) & set(embedders) else contextlib.nullcontext() as model:
        for embedder in embedders:
            cases = []
            for file in sorted((COMPANIES / "apart").glob("*.txt")):
                cases.append(collect(embedder, file.stem, model if embedder in READ else None))
            cases += [collect(embedder, company, model if embedder in READ else None) for company in NAMES]
            cases = [each for each in cases if each]
            console.tell(f"{embedder}: fitting {sum(map(len, cases))} questions of {len(cases)} companies")
            row, held, support = calibrated(cases)
            table = json.loads(TARGET.read_text(encoding="utf-8"))
            table["embedders"][embedder] = row
            order = [name for name in EMBEDDERS if name in table["embedders"]]
            _write({"default": table["default"], "embedders": {name: table["embedders"][name] for name in order}})
            measures += summary(embedder, [case for each in cases for case in each], held, support, row)
    return Report("calibrate", tuple(measures), provenance(settings))


def wanted() -> tuple[str, ...]:
    """The embedders to fit: all, or those that the environment names."""
    named = tuple(filter(None, (name.strip() for name in os.environ.get(ONLY, "").split(","))))
    if unknown := [name for name in named if name not in EMBEDDERS]:
        raise BadInput(f"{ONLY} names {', '.join(unknown)}.", hint=f"Known are {', '.join(EMBEDDERS)}.")
    return named or EMBEDDERS


def calibrated(cases: Sequence[Sequence[Case]]) -> tuple[dict[str, Any], HeldOut, np.ndarray]:
    """An embedder's row of the table, fitted on all companies, and the held-out supports: each model's, and the product's.

    There is one threshold and one `sure`. Each model's supports are shifted so that in each language they refuse as many:
    by the bias and, for Chinese, the weight of the feature "zh".
    """
    row = fit([case for each in cases for case in each])
    held = held_out(cases)
    threshold = round(float(np.quantile(held.support[held.answerable], FALSE_REFUSALS)), 4)
    support, shifts = combined(held, threshold)
    for (reading, name), shift in shifts.items():
        if name in row.get(reading, {}):
            row[reading][name] = _moved(row[reading][name], shift)
    sure = round(float(np.quantile(support[held.answerable], UNSURE)), 4)
    return {"threshold": threshold, "sure": sure, **row}, held, support


def held_out(cases: Sequence[Sequence[Case]]) -> HeldOut:
    """Every company's supports by models fitted on the others."""
    parts = []
    for number, own in enumerate(cases):
        model = fit([case for other, each in enumerate(cases) if other != number for case in each])
        parts.append(judge(own, model))
    return HeldOut(*(np.concatenate([getattr(part, name) for part in parts]) for name in HeldOut.__slots__))


def combined(held: HeldOut, threshold: float) -> tuple[np.ndarray, dict[tuple[str, str], dict[str, float]]]:
    """(support as the product has it, what moves the logits of each model: by reading and name, then by language).

    The judge's support takes the place of the reader's where there is one, and the chat model's that of the judge's
    where this lies between `READ_FROM` and `READ_TO`.
    """
    support = held.support.copy()
    shifts: dict[tuple[str, str], dict[str, float]] = {_PLAIN: {}, _JUDGED: {}, _READ: {}}
    for language in sorted(set(held.language)):
        own = held.language == language
        shifts[_PLAIN][language] = _shift(held.support, own & held.answerable, FALSE_REFUSALS, threshold)
        support[own] = _shifted(held.support[own], shifts[_PLAIN][language])
        heard = own & ~np.isnan(held.judged)
        shifts[_JUDGED][language] = _shift(held.judged, heard & held.answerable, FALSE_REFUSALS, threshold)
        support[heard] = _shifted(held.judged[heard], shifts[_JUDGED][language])
        asked = heard & ~np.isnan(held.read) & (support > reader.READ_FROM) & (support < reader.READ_TO)
        known, doubted = heard & held.answerable, asked & held.answerable
        refused = np.count_nonzero(support[known & ~asked] < threshold)  # whatever the chat model says
        share = (FALSE_REFUSALS * known.sum() - refused) / max(1, doubted.sum())
        if doubted.any():
            shifts[_READ][language] = _shift(held.read, doubted, float(np.clip(share, 0.0, 1.0)), threshold)
            support[asked] = _shifted(held.read[asked], shifts[_READ][language])
    return support, shifts


def _moved(model: dict[str, Any], shift: dict[str, float]) -> dict[str, Any]:
    """A model of support whose logits are moved, by language."""
    base, weights, place = shift.get("en", 0.0), list(model["weights"]), reader.SUPPORT_FEATURES.index("zh")
    weights[place] = round(weights[place] + shift.get("zh", base) - base, 4)
    return {"weights": weights, "bias": round(model["bias"] + base, 4)}


def blank() -> dict[str, Any]:
    """A table with which the reader can be built before it is fitted."""
    unit = {"weights": [0.0] * len(reader.UNIT_FEATURES), "bias": 0.0}
    support = {"weights": [0.0] * len(reader.SUPPORT_FEATURES), "bias": 0.0}
    none = {"threshold": 0.5, "sure": 0.5, "plain": {"unit": unit, "field": unit, "support": support}}
    return {"default": "use-multilingual", "embedders": {"use-multilingual": none}}


def source(company: str, folder: Path) -> Source:
    """A company's documents (written into `folder` where it is one file) and questions."""
    if company in NAMES:
        rows = [json.loads(line) for line in (COMPANIES / company / "questions.jsonl").open(encoding="utf-8")]
        return Source(NAMES[company], COMPANIES / company / "documents", rows)
    read = compact.read(COMPANIES / "apart" / f"{company}.txt")
    compact.write_documents(read, folder)
    return Source(read.name, folder, read.questions())


def is_english(company: str) -> bool:
    """Whether a company has English documents."""
    return company in NAMES or compact.read(COMPANIES / "apart" / f"{company}.txt").language == "en"


def collect(embedder: str, company: str, model: Verdicts | None) -> list[Case]:
    """Every question of a company, searched and featured; () of one that is none for the embedder."""
    if embedder in ENGLISH and not is_english(company):
        return []
    cases, judged = [], Judged(KEPT / "judge.jsonl")
    with tempfile.TemporaryDirectory() as folder:
        its = source(company, Path(folder))
        for case, turns, hits in searched(embedder, its):
            cases.append(case)
            if embedder in JUDGED and case.units and case.asks and reader.judgeable(case.asked.text):
                case.verdicts = judged.scores(case.asked.text, [(unit.key, unit.span.text) for unit in case.units])
                if model is not None:
                    case.unanswered = model.unanswered(turns, hits, its.name)
    console.tell(f"{embedder}: {company}, {len(cases)} questions{model.progress() if model else ''}")
    return cases


def searched(embedder: str, its: Source) -> Iterator[tuple[Case, list[Message], list[Hit]]]:
    """A company's questions (of `ENGLISH` embedders the English ones) as the product reads them, with turns and passages."""
    with tempfile.TemporaryDirectory() as data:
        settings = load_settings(data_dir=Path(data), retrieval={"embedder": embedder, "threshold": 0.5})
        tenant, collection = settings.tenant, "company"
        with contextlib.closing(Store.open(settings.data_dir)) as store:
            searcher = Searcher(store, settings)
            ingest([its.documents], store=store, settings=settings, index=searcher, collection=collection)
            read = Reader(searcher.embedder(tenant, collection), searcher.idf(tenant, collection))
            for row in its.rows:
                if embedder in ENGLISH and row["language"] != "en":
                    continue
                before = (Message(turn["role"], turn["text"]) for turn in row["history"])
                turns = [*before, Message("user", row["question"])]
                query = prompts.standalone(turns)
                variants = () if query == row["question"] else (row["question"],)
                hits = searcher.search(tenant, collection, query, 5, variants=variants)
                yield _case(row, query, hits, read), turns, hits


def _case(row: dict[str, Any], query: str, hits: Sequence[Hit], read: Reader) -> Case:
    asked = read.analyse(query)
    units = read.units(asked, hits)
    features = read.unit_features(asked, units) if units else np.zeros((0, len(reader.UNIT_FEATURES)), np.float32)
    labels = np.array([is_gold(unit, row) for unit in units], dtype=bool)
    found = any(holds(hit.passage, gold) for hit in hits for gold in row["gold"])
    asks = smalltalk.intent(row["question"]) is smalltalk.Intent.QUESTION
    looked = bool(reader.looked_up(query, units).any())
    return Case(row["answerable"], row["language"], asked, units, features, labels, found, read, asks, looked_up=looked)


def fit(cases: Sequence[Case]) -> dict[str, Any]:
    """The reader's models without the judge ("plain") and, of the cases that it has read, with it ("judged")."""
    cases = [case for case in cases if case.asks and case.units]
    fitted: dict[str, Any] = {"plain": _sentences(cases, lambda case: (case.features, np.arange(len(case.units))))}
    fitted["plain"]["support"] = _support_model(cases, fitted, "support", judged=False)
    heard = [case for case in cases if case.verdicts is not None]
    if heard:
        fitted["judged"] = _sentences(heard, lambda case: _judged_rows(case, fitted))
        fitted["judged"]["support"] = _support_model(heard, fitted, "support", judged=True)
    asked = [case for case in heard if case.unanswered is not None]
    if asked:
        fitted["judged"]["read"] = _support_model(asked, fitted, "read", judged=True)
    return fitted


def _judged_rows(case: Case, fitted: dict[str, Any]) -> tuple[Array, np.ndarray]:
    """(features with the verdict, places) of the units that the judge reads."""
    assert case.verdicts is not None
    best = reader.judged_first(reader.unit_scores(case.features, case.units, fitted["plain"]))
    return np.column_stack([case.features[best], case.verdicts[best]]), best


def _sentences(cases: Sequence[Case], rows_of: Callable[[Case], tuple[Array, np.ndarray]]) -> dict[str, Any]:
    """The logistic models of a sentence and of a field."""
    known = [(case, *rows_of(case)) for case in cases if case.answerable]
    rows = np.concatenate([rows for _, rows, _ in known])
    labels = np.concatenate([case.labels[places] for case, _, places in known])
    record = np.array([case.units[place].record for case, _, places in known for place in places], dtype=bool)
    unit = _model(rows[~record], labels[~record])
    return {"unit": unit, "field": _model(rows[record], labels[record]) if labels[record].any() else unit}


def _support_model(cases: Sequence[Case], fitted: dict[str, Any], name: str, *, judged: bool) -> dict[str, Any]:
    cases = [case for case in cases if not case.looked_up]
    rows = np.stack([_features(case, fitted, name, judged=judged) for case in cases])
    return _model(rows, np.array([case.answerable for case in cases]), strength=0.3)


def judge(cases: Sequence[Case], model: dict[str, Any]) -> HeldOut:
    """What becomes of cases that the models were not fitted on. Where nothing was found to read, support is 0."""
    real = [case for case in cases if case.asks]
    support, judged, read, place = (np.full(len(real), np.nan) for _ in range(4))
    for number, case in enumerate(real):
        if not case.units:
            support[number] = 0.0
            continue
        support[number] = _support(case, model, "support", judged=False)
        heard = "judged" in model and case.verdicts is not None
        if heard:
            judged[number] = _support(case, model, "support", judged=True)
            if "read" in model["judged"] and case.unanswered is not None:
                read[number] = _support(case, model, "read", judged=True)
        first = np.zeros(len(case.units), dtype=bool)
        if case.looked_up:
            first = reader.looked_up(case.asked.text, case.units)
            for each in (support, judged, read):
                each[number] = np.nan if np.isnan(each[number]) else max(each[number], reader.LOOKED_UP)
        if case.labels.any():
            order = np.lexsort((-_scores(case, model, judged=heard), ~first))
            place[number] = int(np.argmax(case.labels[order]))
    answerable = np.array([case.answerable for case in real], dtype=bool)
    language = np.array([case.language for case in real], dtype=object)
    return HeldOut(answerable, language, support, judged, read, place)


def summary(
    embedder: str, cases: Sequence[Case], held: HeldOut, support: np.ndarray, row: dict[str, Any]
) -> list[Measure]:
    """What the report says of one embedder."""
    known = [case for case in cases if case.answerable]
    measures = [Measure(f"recall@5_{embedder}", float(np.mean([case.found for case in known])), n=len(known))]
    measures += _refusing(embedder, held, support, row, np.ones(len(support), dtype=bool))
    if embedder in BY_LANGUAGE:
        for language in ("en", "zh"):
            measures += _refusing(f"{embedder}_{language}", held, support, row, held.language == language)
    return [*measures, Measure(f"threshold_{embedder}", row["threshold"])]


def _refusing(name: str, held: HeldOut, support: np.ndarray, row: dict[str, Any], of: np.ndarray) -> list[Measure]:
    """How well support tells what is answerable among the questions `of`."""
    from sklearn.metrics import roc_auc_score

    known, unknown = support[of & held.answerable], support[of & ~held.answerable]
    measures = [
        Measure(f"auroc_{name}", float(roc_auc_score(held.answerable[of], support[of])), n=int(of.sum())),
        Measure(f"refusal_recall_{name}", float(np.mean(unknown < row["threshold"])), n=len(unknown)),
        Measure(f"refused_or_warned_{name}", float(np.mean(unknown < row["sure"])), n=len(unknown)),
        Measure(f"false_refusals_{name}", float(np.mean(known < row["threshold"])), n=len(known)),
        Measure(f"false_warnings_{name}", float(np.mean((known >= row["threshold"]) & (known < row["sure"]))), n=len(known)),
    ]  # fmt: skip
    place = held.place[of & held.answerable & ~np.isnan(held.place)]
    measures += [Measure(f"{what}_{name}", float(np.mean(place < most)), n=len(place)) for what, most in _PLACES]
    for model in ("judged", "read"):
        own = getattr(held, model)
        having = of & ~np.isnan(own)
        if having.any() and "_" not in name:
            auroc = float(roc_auc_score(held.answerable[having], own[having]))
            plain = float(roc_auc_score(held.answerable[having], held.support[having]))
            measures += [Measure(f"auroc_{model}_{name}", auroc, n=int(having.sum()))]
            if model == "judged":
                measures += [Measure(f"auroc_unjudged_{name}", plain, n=int(having.sum()))]
    return measures


def _model(rows: np.ndarray, labels: np.ndarray, *, strength: float = 1.0) -> dict[str, Any]:
    """Logistic regression on standardised features, written for the features as they are."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(rows)
    fitted = LogisticRegression(C=strength, max_iter=5000).fit(scaler.transform(rows), labels)
    weights = fitted.coef_[0] / scaler.scale_
    bias = float(fitted.intercept_[0] - weights @ scaler.mean_)
    return {"weights": [round(float(weight), 4) for weight in weights], "bias": round(bias, 4)}


_PLACES = (("gold_first", 1), ("gold_in_three", 3))
_PLAIN, _JUDGED, _READ = ("plain", "support"), ("judged", "support"), ("judged", "read")


def _support(case: Case, fitted: dict[str, Any], name: str, *, judged: bool) -> float:
    model = fitted["judged" if judged else "plain"][name]
    return float(reader.logistic(_features(case, fitted, name, judged=judged)[None, :], model)[0])


def _scores(case: Case, fitted: dict[str, Any], *, judged: bool) -> Array:
    """(n,) scores of the units, as the reader has them."""
    scores = reader.unit_scores(case.features, case.units, fitted["plain"])
    if not judged or case.verdicts is None:
        return scores
    best = reader.judged_first(scores)
    return reader.judged_scores(case.features, case.units, scores, best, case.verdicts[best], fitted["judged"])


def _features(case: Case, fitted: dict[str, Any], name: str, *, judged: bool) -> Array:
    """The features of support: the reader's, with the judge's, with the chat model's."""
    scores = _scores(case, fitted, judged=judged)
    features = case.reader.support_features(case.asked, case.units, case.features, scores)
    if judged and case.verdicts is not None:
        best = reader.judged_first(reader.unit_scores(case.features, case.units, fitted["plain"]))
        features = np.concatenate([features, reader.judge_features(case.verdicts[best], scores[best])])
    return np.append(features, np.float32(case.unanswered)) if name == "read" else features


def _shift(support: np.ndarray, of: np.ndarray, share: float, threshold: float) -> float:
    """What to add to the logits so that `share` of the questions `of` is under the threshold; 0 for none."""
    if not of.any():
        return 0.0
    return float(_logit(threshold) - _logit(np.quantile(support[of], share)))


def _shifted(support: np.ndarray, shift: float) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-(_logit(support) + shift))))


def _logit(probability: Any) -> Any:
    probability = np.clip(probability, 1e-7, 1 - 1e-7)
    return np.log(probability) - np.log1p(-probability)


def is_gold(unit: Unit, row: dict[str, Any]) -> bool:
    """A sentence of the gold quote; a gold field of the gold record.

    Where the gold names no field: of a record that holds the quote, the fields with a fact of the answer.
    """
    text = _squeeze(unit.span.text)
    for gold in row["gold"]:
        if gold["document"] != unit.span.passage.document:
            continue
        if "field" in gold:
            label = re.split("[:：]", unit.span.text, maxsplit=1)[0].strip()
            if unit.record and label == gold["field"] and holds(unit.span.passage, gold):
                return True
            continue
        quote = _squeeze(gold["quote"])
        if unit.record:
            facts = [_squeeze(spelling) for fact in row.get("facts", ()) for spelling in fact]
            if quote in _squeeze(unit.span.passage.text) and any(fact in text for fact in facts):
                return True
        elif text in quote or quote in text:
            return True
    return False


def holds(passage: Passage, gold: dict[str, str]) -> bool:
    """Whether a passage has the text of a gold place, or is the gold record: its first value is the record's name."""
    if gold["document"] != passage.document:
        return False
    if "record" in gold:
        first = re.split("[:：]", passage.text.split("\n", 1)[0], maxsplit=1)[-1]
        return _squeeze(first) == _squeeze(gold["record"])
    return _squeeze(gold["quote"]) in _squeeze(passage.text)


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold()


def _write(table: dict[str, Any]) -> None:
    """At once, so that who reads it meanwhile has a whole table."""
    part = TARGET.with_suffix(".part")
    part.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    part.replace(TARGET)
