"""BANKING77: what bank customers want, 77 intents. Full data, and ten examples a class.

LoRA on the bundled encoder through the one loop, beside a linear SVM on the same records. Recipes were
chosen on held-out parts of the training data; the test part is read once, for the numbers.

Source: Casanueva et al. 2020 (arXiv:2003.04807).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from assistant import metrics
from assistant.tuning import evaluation
from assistant.tuning.data import read_records
from assistant.tuning.records import ClassifyRow, Records
from assistant.types import Measure, Report
from benchmarks.classifying import Recipe, numbers, svm, tuned
from benchmarks.common import eval_data, provenance

FULL = Recipe()
FEW = Recipe(epochs=4, learning_rate=2e-4, batch_size=32, few=True)
SHOTS, SEEDS = 10, 5


def run() -> Report:
    """Full data: accuracy, macro-F1 and calibration of LoRA, accuracy of the SVM, and the paired difference."""
    train, test, files = _data()
    gold = numbers(test)
    odds = tuned(train, FULL).classify(test)
    said = svm((_texts(train), numbers(train)), _texts(test))
    hits = [(float(one == other), 1.0) for one, other in zip(gold, odds.argmax(1), strict=True)]
    plain = [(float(one == other), 1.0) for one, other in zip(gold, said, strict=True)]
    measures = (
        *evaluation.classification(gold, odds),
        metrics.share("svm_accuracy", [bool(hit) for hit, _ in plain]),
        metrics.difference("gain_over_svm", plain, hits),
    )
    return Report("banking77", measures, provenance(seed=0, files=files))


def few() -> Report:
    """Ten examples a class, drawn with five seeds: the mean accuracy and its spread."""
    train, test, files = _data()
    gold = np.array(numbers(test))
    found: dict[str, list[float]] = {"accuracy": [], "svm_accuracy": []}
    for seed in range(SEEDS):
        drawn = with_names(draw(train, SHOTS, seed))
        odds = tuned(drawn, FEW, seed=seed).classify(test)
        found["accuracy"].append(float((odds.argmax(1) == gold).mean()))
        said = svm((_texts(drawn), numbers(drawn)), _texts(test))
        found["svm_accuracy"].append(float((said == gold).mean()))
    return Report(
        "banking77-10shot", tuple(_over_seeds(*each) for each in found.items()), provenance(seed=0, files=files)
    )


def draw(records: Records, shots: int, seed: int) -> Records:
    """So many records of each class, by chance."""
    chance = np.random.default_rng(seed)
    classes = np.array(numbers(records))
    return records.subset(
        int(place)
        for each in range(len(records.labels))
        for place in chance.choice(np.flatnonzero(classes == each), shots, replace=False)
    )


def with_names(records: Records) -> Records:
    """The records and each class's own name as one more text of it: "card_arrival" is "card arrival"."""
    named = (ClassifyRow(label.replace("_", " ").rstrip("?"), label) for label in records.labels)
    return dataclasses.replace(records, rows=(*records.rows, *named))


def _data() -> tuple[Records, Records, tuple]:
    folder = eval_data("banking77")
    train = read_records(folder / "train.jsonl", "classify")
    test = read_records(folder / "test.jsonl", "classify", labels=train.labels)
    return train, test, (folder / "train.jsonl", folder / "test.jsonl")


def _texts(records: Records) -> list[str]:
    return [row.text for row in records.rows if isinstance(row, ClassifyRow)]


def _over_seeds(name: str, values: list[float]) -> Measure:
    """The mean over seeds, with Student's interval of it."""
    from scipy.stats import t

    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    mean = float(np.mean(values))
    return Measure(name, mean, mean - float(half), mean + float(half), len(values))
