"""Financial PhraseBank, the sentences on which all annotators agree: sentiment in five folds.

Each sentence is judged once, by an adapter that did not see it (nor a copy of it).

Source: Malo et al. 2014 (arXiv:1307.5336).
"""

from __future__ import annotations

import numpy as np

from assistant import metrics
from assistant.tuning import evaluation
from assistant.tuning.evaluation import Probabilities
from assistant.tuning.records import ClassifyRow, Records, records_of
from assistant.types import Report
from benchmarks.classifying import Recipe, numbers, svm, tuned
from benchmarks.common import eval_data, provenance

FOLDS = 5
RECIPE = Recipe(epochs=5, learning_rate=1e-3, batch_size=32)


def run() -> Report:
    """Accuracy, macro-F1 and calibration over all sentences; the SVM on the same folds."""
    path = eval_data("phrasebank") / "Sentences_AllAgree.txt"
    records = read(path.read_text(encoding="latin-1"))
    gold, odds = evaluation.cross_validated(records, FOLDS, _tuned)
    _, plain = evaluation.cross_validated(records, FOLDS, _svm)
    right = np.array(gold)
    measures = (
        *evaluation.classification(gold, odds),
        metrics.share("svm_accuracy", [bool(hit) for hit in plain.argmax(1) == right]),
        metrics.share("commonest_accuracy", [bool(hit) for hit in right == np.bincount(right).argmax()]),
    )
    return Report("phrasebank", measures, provenance(seed=0, files=(path,)))


def read(text: str) -> Records:
    """`sentence@label` lines."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        sentence, _, label = line.rpartition("@")
        if sentence.strip():
            rows.append(ClassifyRow(sentence.strip(), label.strip(), line=number))
    return records_of("classify", rows)


def _tuned(train: Records, test: Records) -> Probabilities:
    return tuned(train, RECIPE).classify(test)


def _svm(train: Records, test: Records) -> Probabilities:
    said = svm((_texts(train), numbers(train)), _texts(test))
    return np.eye(len(train.labels), dtype=np.float32)[said]


def _texts(records: Records) -> list[str]:
    return [row.text for row in records.rows if isinstance(row, ClassifyRow)]
