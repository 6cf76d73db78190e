import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from assistant.errors import BadInput
from assistant.heldout import spans
from assistant.tuning import evaluation
from assistant.tuning.records import ClassifyRow, records_of

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


def sure(found, classes=5, confidence=0.9):
    odds = np.full((len(found), classes), (1 - confidence) / (classes - 1), dtype=np.float32)
    odds[np.arange(len(found)), found] = confidence
    return odds


@given(pairs)
def test_macro_f1_is_scikit_learns(drawn):
    gold, found = (np.array(side) for side in zip(*drawn, strict=True))
    expected = f1_score(gold, found, average="macro", zero_division=0)
    assert evaluation.macro_f1(gold, found, 5) == pytest.approx(expected)


@given(pairs)
def test_the_confusion_matrix_is_scikit_learns(drawn):
    gold, found = zip(*drawn, strict=True)
    assert (evaluation.confusion(gold, found, 5) == confusion_matrix(gold, found, labels=range(5))).all()


@given(st.lists(st.tuples(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"])), max_size=12))
def test_spans_are_those_of_seqeval(drawn):
    seqeval = pytest.importorskip("seqeval.metrics.sequence_labeling")
    tags = [tag for (tag,) in drawn]
    expected = {(kind, start, end + 1) for kind, start, end in seqeval.get_entities(tags)}
    assert spans(tags) == expected


def test_a_calibrated_classifier_has_no_calibration_error_and_an_overconfident_one_does():
    gold = [0] * 9 + [1]
    assert evaluation.calibration_error(gold, sure([0] * 10)) == pytest.approx(0.0, abs=1e-6)
    assert evaluation.calibration_error(gold, sure([0] * 10, confidence=0.99)) == pytest.approx(0.09, abs=1e-6)


def test_the_bins_hold_every_prediction_once():
    odds = np.random.default_rng(0).dirichlet(np.ones(5), size=200).astype(np.float32)
    assert sum(each.n for each in evaluation.reliability([0] * 200, odds)) == 200


def test_intervals_hold_their_values():
    chance = np.random.default_rng(0)
    gold = chance.integers(5, size=300)
    found = np.where(chance.random(300) < 0.8, gold, 0)
    for measure in evaluation.classification(gold.tolist(), sure(found)):
        assert measure.low <= measure.value <= measure.high or measure.name == "calibration_error"
        assert measure.n == 300


def test_intervals_over_thousands_of_records_take_megabytes(monkeypatch):
    monkeypatch.setattr(evaluation, "_RESAMPLES", 100)  # enough to see that they are not held together
    found = [number % 5 for number in range(20_000)]
    tracemalloc.start()
    try:
        evaluation.classification(found, sure(found))
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def records(count=60, customers=12):
    rows = [
        ClassifyRow(f"text {each}", "rare" if each % 6 == 0 else "common", f"c{each % customers}")
        for each in range(count)
    ]
    return records_of("classify", rows)


def test_folds_judge_each_record_once_and_keep_customers_apart():
    judged = []
    for train, test in evaluation.folds(records(), 4):
        assert not {row.customer for row in train.rows} & {row.customer for row in test.rows}
        judged += [row.text for row in test.rows]
    assert sorted(judged) == sorted(row.text for row in records().rows)


def test_more_folds_than_customers_are_refused():
    with pytest.raises(BadInput, match="12 customers"):
        next(evaluation.folds(records(), 13))


def test_cross_validation_asks_a_model_that_did_not_see_the_record():
    def fit(train, test):
        seen = {row.text for row in train.rows}
        assert not any(row.text in seen for row in test.rows)
        return sure([0 if row.label == "common" else 1 for row in test.rows], classes=2)

    gold, odds = evaluation.cross_validated(records(), 4, fit)
    assert len(gold) == len(odds) == 60
    assert (odds.argmax(1) == gold).all()


def test_resampling_makes_classes_equal_and_loses_nothing():
    before, after = records(), evaluation.resampled(records())
    assert set(after.counts().values()) == {before.counts()["common"]}
    assert after.rows[: len(before)] == before.rows
    assert set(after.rows) == set(before.rows)
