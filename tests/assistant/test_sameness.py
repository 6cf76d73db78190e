"""A near miss is never the same question; a question is the same as itself, however it is written."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.sameness import difference, same_words

HERE = Path(__file__).parents[2] / "benchmarks" / "calibration"
ROWS = [
    json.loads(line)
    for name in ("same_questions", "same_questions_held_out")
    for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
]


@given(st.sampled_from([row["question"] for row in ROWS]), st.sampled_from(["{}", "  {} ", "{}??", "<{}>"]))
def test_case_and_punctuation_change_nothing(question, frame):
    written = frame.format(question).swapcase()
    assert same_words(question, written)


def test_no_near_miss_and_no_other_question_passes():
    for row in ROWS:
        assert not difference(row["question"], row["question"])
        others = [other["question"] for other in ROWS if other is not row]
        assert not [text for text in (*row["other"], *others) if not difference(row["question"], text)]


def test_both_ways_the_verdict_is_the_same():
    for row in ROWS:
        for text in (*row["same"], *row["other"]):
            assert bool(difference(row["question"], text)) == bool(difference(text, row["question"])), text


def test_three_of_four_paraphrases_pass():
    pairs = [(row["question"], text) for row in ROWS for text in row["same"]]
    assert sum(not difference(*pair) for pair in pairs) >= 0.75 * len(pairs)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I switch from Basic to Pro?", "How do I switch from Pro to Basic?"),
        ("What is the fee to convert euros to dollars?", "What is the fee to convert dollars to euros?"),
        ("Can I transfer points from a friend to me?", "Can I transfer points from me to a friend?"),
        ("Is express cheaper than standard?", "Is standard cheaper than express?"),
        ("从上海寄到北京要多少钱？", "从北京寄到上海要多少钱？"),
        ("从Basic怎么升级到Pro？", "从Pro怎么升级到Basic？"),
        ("我能把积分转给朋友吗？", "朋友能把积分转给我吗？"),
        ("欧元换美元收多少手续费？", "美元换欧元收多少手续费？"),
    ],
)
def test_the_same_words_the_other_way_round_are_another_question(one, other):
    assert difference(one, other) == difference(other, one) == "another order"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I switch from Basic to Pro?", "How can I switch to Pro from Basic?"),
        ("Which countries do you ship to?", "To which countries do you ship?"),
        ("多久能收到退款？", "退款多久能收到？"),
    ],
)
def test_a_direction_told_in_another_order_stays_the_same_question(one, other):
    assert not difference(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("你们几点开门？", "你们几点关门？"),
        ("How much is parking per hour?", "How much is parking per day?"),
        ("Do you accept gift cards?", "Do you offer gift cards?"),
        ("What is the withdrawal limit?", "What is the daily withdrawal limit?"),
        ("What does fast delivery cost?", "What does delivery cost?"),
        ("Do you buy used skis?", "Can I buy used skis?"),
        ("有wifi吗？", "有app吗？"),
        ("收礼品卡吗？", "有礼品卡吗？"),
        ("退货运费你们出吗？", "退货运费我出吗？"),
    ],
)
def test_a_word_that_changes_the_answer_is_no_filler(one, other):
    assert difference(one, other)
    assert difference(other, one)


@pytest.mark.parametrize("asked", ["会员价多少？", "会员价是多少？"])
def test_whether_there_is_a_price_is_not_how_much_it_is(asked):
    assert difference("有会员价吗？", asked) == difference(asked, "有会员价吗？") == "another kind of question"
    assert not difference("有会员价吗？", "请问有没有会员价？")
