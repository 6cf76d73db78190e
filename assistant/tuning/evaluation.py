"""What a classifier or tagger is worth on records it did not see: measures with intervals, folds, calibration.

Probabilities in, measures out; it trains nothing (`cross_validated` calls back for that) and draws
nothing (`pictures.py`).

Sources: Guo et al. 2017 (arXiv:1706.04599) for the calibration error; conlleval's rules for spans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant import metrics
from assistant.errors import BadInput
from assistant.tuning.records import ClassifyRow, Records, TagRow
from assistant.types import Measure

Probabilities = npt.NDArray[np.float32]
Fit = Callable[[Records, Records], Probabilities]
"""(records to train on, records to judge by) -> (n, labels) probabilities of the second."""
_RESAMPLES = 1000
BINS = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of like confidence: their mean confidence, the share that is right, how many."""

    confidence: float
    accuracy: float
    n: int


def classification(gold: Sequence[int], odds: Probabilities, *, seed: int = metrics.SEED) -> list[Measure]:
    """`accuracy`, `macro_f1` and `calibration_error`, each with its 95 % interval.

    `gold`: (n,) class numbers; `odds`: (n, labels) probabilities.
    """
    right = np.asarray(gold)
    found = odds.argmax(1)
    return [
        metrics.share("accuracy", [bool(hit) for hit in right == found]),
        _measure("macro_f1", lambda rows: macro_f1(right[rows], found[rows], odds.shape[1]), len(right), seed),
        _measure("calibration_error", lambda rows: calibration_error(right[rows], odds[rows]), len(right), seed),
    ]


def macro_f1(gold: npt.NDArray[np.int_], found: npt.NDArray[np.int_], classes: int) -> float:
    """The mean of the classes' F1; a class that neither has nor is found does not count.

    >>> macro_f1(np.array([0, 0, 1]), np.array([0, 0, 1]), 3)
    1.0
    """
    hits = np.bincount(gold[gold == found], minlength=classes)
    total = np.bincount(gold, minlength=classes) + np.bincount(found, minlength=classes)
    there = total > 0
    return float((2 * hits[there] / total[there]).mean()) if there.any() else 0.0


def reliability(gold: Sequence[int] | npt.NDArray[np.int_], odds: Probabilities, *, bins: int = BINS) -> list[Bin]:
    """The predictions by confidence, in bins of equal width; empty ones are left out."""
    right, confidence = np.asarray(gold) == odds.argmax(1), odds.max(1)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        Bin(float(confidence[place == each].mean()), float(right[place == each].mean()), int((place == each).sum()))
        for each in range(bins)
        if (place == each).any()
    ]


def calibration_error(gold: Sequence[int] | npt.NDArray[np.int_], odds: Probabilities, *, bins: int = BINS) -> float:
    """The expected calibration error: how far confidence and accuracy lie apart, weighed by how often.

    >>> calibration_error([0, 0, 0, 1], np.array([[0.75, 0.25]] * 4, dtype=np.float32))
    0.0
    """
    found = reliability(gold, odds, bins=bins)
    return float(sum(each.n * abs(each.confidence - each.accuracy) for each in found) / max(1, len(odds)))


def confusion(gold: Sequence[int], found: Sequence[int], classes: int) -> npt.NDArray[np.int_]:
    """(classes, classes) counts: rows are what is right, columns what was said."""
    table = np.zeros((classes, classes), dtype=np.int_)
    np.add.at(table, (np.asarray(gold, dtype=np.int_), np.asarray(found, dtype=np.int_)), 1)
    return table


def folds(records: Records, count: int, *, seed: int = 0) -> Iterator[tuple[Records, Records]]:
    """(to train on, to judge by), `count` times; each record is judged once.

    A customer's records, and those of one text, are never on both sides; the classes are spread evenly
    as far as that allows.

    Raises:
        BadInput: there are fewer customers (or texts) than folds.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    groups = records.groups()
    if len(set(groups)) < count:
        raise BadInput(f"{len(set(groups))} customers or texts cannot make {count} folds.", hint="Use fewer folds.")
    stratified = records.task == "classify"
    kind = StratifiedGroupKFold if stratified else GroupKFold
    classes = [row.label if isinstance(row, ClassifyRow) else "" for row in records.rows]
    splits = kind(count, shuffle=True, random_state=seed).split(classes, classes, groups)
    for train, test in splits:
        yield records.subset(train.tolist()), records.subset(test.tolist())


def cross_validated(records: Records, count: int, fit: Fit, *, seed: int = 0) -> tuple[list[int], Probabilities]:
    """(gold classes, probabilities) of all records, each judged by a model that did not see it."""
    number = {label: place for place, label in enumerate(records.labels)}
    gold: list[int] = []
    odds: list[Probabilities] = []
    for train, test in folds(records, count, seed=seed):
        odds.append(fit(train, test))
        gold += [number[row.label] for row in test.rows if isinstance(row, ClassifyRow)]
    return gold, np.concatenate(odds)


def resampled(records: Records, *, seed: int = 0) -> Records:
    """The records with those of rare classes repeated until each class has as many as the commonest.

    For training only: a test set stays as it is.
    """
    places: dict[str, list[int]] = {}
    for place, row in enumerate(records.rows):
        if isinstance(row, TagRow) or not isinstance(row, ClassifyRow):
            raise BadInput("Only the records of a classifier have classes to balance.")
        places.setdefault(row.label, []).append(place)
    most = max(map(len, places.values()), default=0)
    chance = np.random.default_rng(seed)
    extra = [chance.choice(found, most - len(found)).tolist() for found in places.values() if len(found) < most]
    return records.subset([*range(len(records)), *(place for part in extra for place in part)])


def _measure(name: str, value: Callable[[npt.NDArray[np.int_]], float], n: int, seed: int) -> Measure:
    """The value on all rows, bounded by the resampled ones."""
    chance = np.random.default_rng(seed)
    low, high = np.quantile([value(chance.integers(n, size=n)) for _ in range(_RESAMPLES)], (0.025, 0.975))
    return Measure(name=name, value=value(np.arange(n)), low=float(low), high=float(high), n=n)
