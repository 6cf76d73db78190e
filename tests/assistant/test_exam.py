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


def test_a_hand_leaves_a_byte_order_mark_and_slips_are_listed(tmp_path):
    file, row = tmp_path / "exam.jsonl", {"id": "mine", "question": "Kayaks?", "answerable": False}
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(row).encode() + b"\r\n")
    exam.add(file, {**row, "id": "lesson-a1", "question": "Boots?\u2028Thanks"})
    assert exam.keep(file, {"a1"}) == 0
    assert [one.id for one in read_golden(file)] == ["mine", "lesson-a1"]
    for slip in ('{"question": "Boots?"}', "{"):
        file.write_text(slip)
        with pytest.raises(BadInput, match="line 1"):
            exam.keep(file, ())
        assert file.read_text() == slip


def test_a_row_that_cannot_be_asked_changes_nothing_and_leaves_nothing(tmp_path):
    with pytest.raises(BadInput):
        exam.add(tmp_path / "exam.jsonl", {"id": "a", "question": "", "answerable": False})
    assert list(tmp_path.iterdir()) == []


def test_a_question_is_asked_whatever_its_case_spaces_and_marks(tmp_path):
    exam.add(tmp_path / "exam.jsonl", {"id": "mine", "question": "How long can I  return boots?", "answerable": False})
    asks = exam.asks(tmp_path / "exam.jsonl")
    assert asks("how long can I return\nBOOTS")
    assert not asks("How long can I return tents?")
    assert not exam.asks(tmp_path / "none.jsonl")("How long?")


def test_rows_go_with_their_lesson_and_rows_by_hand_stay(tmp_path):
    file = tmp_path / "exam.jsonl"
    by_hand = {"id": "mine", "question": "Kayaks?", "answerable": False}
    file.write_text(json.dumps(by_hand) + "\n")
    for name in ("a1", "a2"):
        exam.add(file, exam.row_of(name, "How long?", "Boots can be returned within 30 days of delivery.", [PASSAGE]))
    assert exam.keep(file, {"a2"}) == 1
    assert [question.id for question in read_golden(file)] == ["mine", "lesson-a2"]
    assert exam.keep(tmp_path / "none.jsonl", set()) == 0
