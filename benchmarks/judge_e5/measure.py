"""judge-e5: the judge on multilingual-e5-small beside the product's, on the calibration companies; none taught it.

Cases, models and supports are those of `calibrate` (embedder bilingual), a language at a time; each company is judged by
what was fitted on the others, and nothing is written into calibration.json. Four readings of the same questions:

- `reader`: no judge;
- `today`: with the product's judge, which reads English; in Chinese this is the reader;
- `e5`: with this judge in its place;
- `e5_units`: its verdict is a feature of every sentence too, so it has a say in what is quoted.

JUDGE_E5_COMPANIES=kitchen,bank measures these only. Verdicts are kept in benchmarks/results/calibrate, by weights and text.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assistant import console
from assistant.errors import BadInput
from assistant.retrieval import reader
from assistant.retrieval.reader import Array, Question, Reader, Unit
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks import calibrate
from benchmarks.calibrate import Case, HeldOut
from benchmarks.common import provenance, share
from benchmarks.judge_e5 import wheel
from benchmarks.judge_e5.judge import WEIGHTS, load_judge
from benchmarks.kept_verdicts import KEPT, Kept

ONLY = "JUDGE_E5_COMPANIES"
EMBEDDER = "bilingual"
LANGUAGES = ("en", "zh")
FALSE_REFUSALS = (0.05, 0.10)


def run() -> Report:
    """The table of the card."""
    wheel.installed()  # before minutes are spent
    heard = Heard()
    companies = []
    for company in wanted():
        read = [case for case in calibrate.collect(EMBEDDER, company, None) if case.asks and case.units]
        companies.append([(case, heard.scores(case)) for case in read])
        console.tell(f"judge-e5: read {company}, {sum(len(case.units) for case in read)} sentences and fields")
    measures: list[Measure] = []
    for language in LANGUAGES:
        own = [[(case, logits) for case, logits in each if case.language == language] for each in companies]
        for name, cases in readings([each for each in own if each]).items():
            measures += figures(f"{language},{name}", *held_out(cases))
    return Report("judge-e5", tuple(measures), provenance(load_settings()))


def wanted() -> list[str]:
    """The companies to measure: all, or those that the environment names."""
    known = [file.stem for file in sorted((calibrate.COMPANIES / "apart").glob("*.txt"))] + list(calibrate.NAMES)
    named = [name.strip() for name in os.environ.get(ONLY, "").split(",") if name.strip()]
    if unknown := [name for name in named if name not in known]:
        raise BadInput(f"{ONLY} names {', '.join(unknown)}.", hint=f"Known are {', '.join(known)}.")
    if len(named) == 1:
        raise BadInput(f"{ONLY} names one company.", hint="Each is judged by what the others teach: name two or more.")
    return named or known


class Heard:
    """The judge's verdicts of whole cases, kept on disk."""

    def __init__(self) -> None:
        self._kept = Kept(KEPT / "judge_e5.jsonl")
        self._sha256 = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()

    def scores(self, case: Case) -> Array:
        """(n,) logits of a case's units."""
        question = case.asked.text
        said = [(self._sha256, question, unit.key, unit.span.text) for unit in case.units]
        new = [number for number, each in enumerate(said) if self._kept.get(*each) is None]
        if new:
            logits = load_judge().scores(question, [said[number][2:] for number in new])
            for number, logit in zip(new, logits, strict=True):
                self._kept.add(float(logit), *said[number])
        return np.array([self._kept.get(*each) for each in said], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Narrow:
    """A reader for units with a feature more than it has: it makes its features of support of those that it knows."""

    inner: Reader

    def support_features(self, asked: Question, units: Sequence[Unit], rows: Array, scores: Array) -> Array:
        """As `Reader.support_features`."""
        return self.inner.support_features(asked, units, rows[:, : len(reader.UNIT_FEATURES)], scores)


def readings(companies: Sequence[Sequence[tuple[Case, Array]]]) -> dict[str, list[list[Case]]]:
    """Companies' cases with this judge's logits -> the four readings, each with cases of its own."""

    def each(change: Any) -> list[list[Case]]:
        return [[dataclasses.replace(case, **change(case, logits)) for case, logits in own] for own in companies]

    return {
        "reader": each(lambda case, logits: {"verdicts": None}),
        "today": each(lambda case, logits: {}),
        "e5": each(lambda case, logits: {"verdicts": logits}),
        "e5_units": each(
            lambda case, logits: {
                "verdicts": logits,
                "features": np.column_stack([case.features, logits]),
                "reader": Narrow(case.reader),
            }
        ),
    }


def held_out(companies: Sequence[Sequence[Case]]) -> tuple[HeldOut, list[int]]:
    """Supports by models fitted on the other companies; where the first gold unit stands among the units of a question."""
    parts, ranks = [], []
    for number, own in enumerate(companies):
        model = calibrate.fit([case for other, each in enumerate(companies) if other != number for case in each])
        parts.append(calibrate.judge(own, model))
        ranks += gold_ranks(own, model)
    return HeldOut(*(np.concatenate([getattr(part, name) for part in parts]) for name in HeldOut.__slots__)), ranks


def gold_ranks(cases: Iterable[Case], model: dict[str, Any]) -> list[int]:
    """The first gold unit's place, from 0, of each answerable question with one among its units."""
    found = []
    for case in cases:
        if case.answerable and case.labels.any():
            order = np.argsort(-reader.unit_scores(case.features, case.units, model), kind="stable")
            found.append(int(np.argmax(case.labels[order])))
    return found


def figures(name: str, held: HeldOut, ranks: Sequence[int]) -> list[Measure]:
    """How well answerable is told from not, with one threshold for all companies, and how often gold stands first."""
    from sklearn.metrics import roc_auc_score

    threshold = float(np.quantile(held.support[held.answerable], calibrate.FALSE_REFUSALS))
    support, _, _ = calibrate.combined(held, threshold)
    known, unknown = support[held.answerable], support[~held.answerable]
    measures = [Measure(f"auroc[{name}]", float(roc_auc_score(held.answerable, support)), n=len(support))]
    for allowed in FALSE_REFUSALS:
        refused = unknown < np.quantile(known, allowed)
        measures.append(share(f"refused_at_{100 * allowed:.0f}[{name}]", refused.tolist()))
    for most, what in ((1, "gold_first"), (3, "gold_in_three")):
        measures.append(share(f"{what}[{name}]", [rank < most for rank in ranks]))
    return measures
