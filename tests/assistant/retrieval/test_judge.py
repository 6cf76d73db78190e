"""Laws of the judge: the shipped weights over the installed base, and its parts without either."""

from __future__ import annotations

import logging
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from assistant.retrieval import bert, e5
from assistant.retrieval import judge as judges
from assistant.retrieval.judge import Judge, batches, changed, load_judge, pair, widened

ASKED = {
    "en": (
        "Who pays for sending it back if I do not like it?",
        ("Returns", "The return shipment is free only if the goods are faulty; otherwise you pay it."),
        ("The club", "The club is open from 6:00 to 23:00 on weekdays."),
    ),
    "zh": (
        "不喜欢的话，退货的运费谁付？",
        ("退货", "商品有质量问题时退货免运费，其他情况下退货的运费由您承担。"),
        ("俱乐部", "俱乐部工作日早上六点到晚上十一点开放。"),
    ),
}
LONG = ("", "word " * 300)


@pytest.fixture(scope="module")
def judge() -> Judge:
    found = load_judge()
    if found is None:
        pytest.skip(f"needs the package {e5.PACKAGE}")
    return found


@pytest.mark.parametrize("language", sorted(judges.LANGUAGES))
def test_what_answers_is_above_what_does_not(judge: Judge, language: str) -> None:
    question, yes, no = ASKED[language]
    other, answer = judge.scores(question, [no, yes])
    assert answer > other


@pytest.mark.parametrize(
    ("question", "key", "sentence"),
    [
        ("Is there parking?", "The branch", "There are 20 parking spaces in the yard behind the branch."),
        ("Do you gift wrap?", "Extras", "Gift wrapping costs £4 per item."),
        ("How do I close an account?", "Accounts", "You can close an account in the app or at any branch."),
        ("What does a lost key cost?", "Keys", "A lost key costs £12 to replace."),
        ("How long is a voucher valid?", "Vouchers", "Vouchers are valid for three years."),
        ("Can I order by phone?", "Orders", "You can order by phone from 9:00 to 17:00."),
        ("Do you ship to Norway?", "Delivery", "We do not ship to Norway."),
        ("Is delivery free?", "Delivery", "Delivery is free from £50, otherwise it costs £5."),
        ("可以货到付款吗", "付款", "支持货到付款，满五百元的订单除外。"),
        ("几点关门？", "门店", "门店每天10:00开门，21:00关门。"),
        ("保修多久", "保修", "整机保修两年，电池保修一年。"),
        ("有停车位吗？", "门店", "门店后面有二十个停车位。"),
        ("运费多少", "配送", "运费每单8元，满99元包邮。"),
        pytest.param(
            *("能开发票吗", "发票", "下单时可以选择开电子发票。"),
            marks=pytest.mark.xfail(strict=True, reason="it is taken for a no"),
        ),
    ],
)
def test_a_short_plain_question_is_answered_by_the_sentence_that_says_it(
    judge: Judge, question: str, key: str, sentence: str
) -> None:
    """A judge tuned on cunning questions alone says no to nearly all of these, and rises in nearly every other figure."""
    assert judge.scores(question, [(key, sentence)])[0] > 0


def test_a_pairs_verdict_does_not_depend_on_its_neighbours(judge: Judge) -> None:
    question, answer, other = ASKED["en"]
    alone = judge.scores(question, [answer])
    among = judge.scores(question, [other, answer, LONG])
    assert np.allclose(alone[0], among[1], atol=1e-3)


def test_verdicts_do_not_depend_on_what_is_read_together(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    question, answer, other = ASKED["zh"]
    sentences = [other, LONG, answer, ("", "好")]
    together = judge.scores(question, sentences)
    monkeypatch.setattr(judges, "BATCH_TOKENS", 1)
    assert np.allclose(judge.scores(question, sentences), together, atol=1e-3)


def test_no_sentence_has_no_verdict(judge: Judge) -> None:
    assert judge.scores(ASKED["en"][0], []).shape == (0,)


def test_openvino_and_torch_agree_on_a_verdict(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(bert, "_on_openvino", bert._on_torch)
    slow = load_judge.__wrapped__()
    assert slow is not None
    for question, answer, other in ASKED.values():
        sentences = [answer, other, LONG]
        assert np.allclose(judge.scores(question, sentences), slow.scores(question, sentences), atol=1e-3)


def test_without_the_wheel_or_with_a_damaged_one_there_is_no_judge_and_a_warning_names_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    damaged = tmp_path / e5.FILE
    damaged.write_bytes(e5.MAGIC)
    for file in (None, damaged):
        monkeypatch.setattr(e5, "installed", lambda file=file: file)
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger=judges.__name__):
            assert load_judge.__wrapped__() is None
        assert e5.PACKAGE in caplog.text
    assert "damaged" in caplog.text


def test_a_pair_is_cut_and_tells_how_much_of_it_is_the_question() -> None:
    assert pair([7, 8], [9]) == ([0, 7, 8, 2, 9, 2], 4)
    assert pair([], []) == ([0, 2, 2], 2)
    row, asked = pair([7] * 100, [5] * 300)
    assert row == [0, *[7] * judges.QUESTION_TOKENS, 2, *[5] * judges.TEXT_TOKENS, 2]
    assert asked == judges.QUESTION_TOKENS + 2


def test_the_model_sees_question_and_sentence_apart_and_padding_as_padding() -> None:
    given: list[list[list[int]]] = []

    def states(*arrays: bert.Ids) -> bert.Array:
        given.extend(array.tolist() for array in arrays)
        return np.zeros((*arrays[0].shape, 2), np.float32)

    shapes = {"hidden.weight": (3, 4), "hidden.bias": (3,), "out.weight": (1, 3), "out.bias": (1,)}
    head = {name: np.full(shape, 0.5, np.float32) for name, shape in shapes.items()}
    letters = Judge(states, head, lambda text: [ord(letter) for letter in text])
    assert letters.scores("ab", [("k", "c"), ("", "e")]) == pytest.approx([0.5 + 1.5 * 0.345731] * 2)  # GELU of 0.5
    ids, kinds, seen = given
    assert ids == [[0, *b"ab", 2, *b"k: c", 2], [0, *b"ab", 2, *b"e", 2, 0, 0, 0]]
    assert kinds == [[0] * 4 + [1] * 5, [0] * 4 + [1] * 2 + [0] * 3]
    assert seen == [[1] * 9, [1] * 6 + [0] * 3]


def test_batches_hold_everything_once_and_few_tokens() -> None:
    lengths = [5, 90, 7, 300, 8, 8, 50]
    found = batches(lengths, 100)
    assert sorted(place for batch in found for place in batch) == list(range(len(lengths)))
    assert [3] in found
    assert all(len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= 100 for batch in found)
    assert batches([10] * 10, 100) == [list(range(10))]
    assert batches([], 100) == []


def test_a_matrix_of_bytes_is_multiplied_by_its_rows_scales() -> None:
    stored = {
        "up": np.array([[2, -4], [1, 0]], np.int8),
        "up.scale": np.array([0.5, 3.0], np.float16),
        "bias": np.array([0.25], np.float16),
    }
    assert widened(stored, "up").tolist() == [[1, -2], [3, 0]]
    assert widened(stored, "bias").tolist() == [0.25]
    assert {widened(stored, name).dtype for name in ("up", "bias")} == {np.dtype(np.float32)}


def test_changes_are_added_as_they_are_and_other_numbers_replaced() -> None:
    base = {"a.weight": np.ones((2, 64), np.float32), "a.bias": np.zeros(2, np.float32), "b": np.ones(1, np.float32)}
    stored = {
        "a.up": np.array([[1.0], [2.0]], np.float32),
        "a.down": np.eye(1, 64, dtype=np.float32),
        "a.bias": np.array([5.0, 6.0], np.float32),
        "head.out.bias": np.zeros(1, np.float32),
    }
    weights = {name: np.array(value) for name, value in changed(base, stored).items()}
    assert weights.keys() == base.keys()
    assert weights["a.weight"][:, :2] == pytest.approx(np.array([[2, 1], [3, 1]]), rel=0.01)
    assert weights["a.bias"].tolist() == [5, 6]
    assert weights["b"].tolist() == [1]


def test_the_shipped_weights_fit_the_model() -> None:
    from safetensors.numpy import load

    stored = load(resources.files("assistant.retrieval").joinpath("judge.safetensors").read_bytes())
    learned = {name: widened(stored, name) for name in stored if not name.endswith(".scale")}
    assert all(np.isfinite(value).all() for value in learned.values())
    assert learned["embeddings.token_type_embeddings.weight"].shape == (2, 384)
    assert learned["head.hidden.weight"].shape == (192, 768)
    for layer in range(12):
        for part, shape in (("intermediate.dense", (1536, 384)), ("attention.self.query", (384, 384))):
            name = f"encoder.layer.{layer}.{part}"
            assert (learned[f"{name}.up"] @ learned[f"{name}.down"]).shape == shape
