"""A near miss is never the same question; a question is the same as itself, however it is written."""

import json
from pathlib import Path

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
