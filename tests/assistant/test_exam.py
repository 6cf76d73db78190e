"""The exam grows only by what a document proves, and shrinks with withdrawn consent; rows by hand stay."""

import json

import pytest

from assistant import exam
from assistant.errors import BadInput
from assistant.golden import read_golden
from assistant.types import Passage

TEXT = "Boots can be returned within 30 days of delivery. Write to help@shop.example."
PASSAGE = Passage("p", "d", "returns.md", "default", "shop", TEXT, 0, len(TEXT), "")


def test_a_proven_answer_becomes_a_golden_row(tmp_path):
    row = exam.row_of("a1", "How long?", "Boots can be returned within 30 days of delivery. I like boots.", [PASSAGE])
    exam.add(tmp_path / "exam.jsonl", row)
    exam.add(tmp_path / "exam.jsonl", row)
    (question,) = read_golden(tmp_path / "exam.jsonl")
    assert question.gold[0].quote == "Boots can be returned within 30 days of delivery."
    assert question.facts == (("30",),)


def test_what_no_document_says_is_no_question_of_the_exam():
    with pytest.raises(BadInput, match="No document"):
        exam.row_of("a1", "How long?", "Boots can be returned within 90 days of delivery.", [PASSAGE])


def test_rows_go_with_their_lesson_and_rows_by_hand_stay(tmp_path):
    file = tmp_path / "exam.jsonl"
    by_hand = {"id": "mine", "question": "Kayaks?", "answerable": False}
    file.write_text(json.dumps(by_hand) + "\n")
    for name in ("a1", "a2"):
        exam.add(file, exam.row_of(name, "How long?", "Boots can be returned within 30 days of delivery.", [PASSAGE]))
    assert exam.keep(file, {"a2"}) == 1
    assert [question.id for question in read_golden(file)] == ["mine", "lesson-a2"]
    assert exam.keep(tmp_path / "none.jsonl", set()) == 0
