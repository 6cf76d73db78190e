import json
from pathlib import Path

import pytest

from assistant.errors import BadInput
from assistant.golden import Gold, read_golden
from assistant.types import Message

ROW = {
    "id": "1", "language": "en", "question": "Returns?", "answerable": True, "kinds": ["fact"],
    "history": [{"role": "user", "text": "Hello"}], "gold": [{"document": "a.md", "quote": "14 days"}],
    "facts": [["14 days", "two weeks"]], "false_claims": ["30 days"],
}  # fmt: skip


def write(path: Path, *rows: object) -> Path:
    path.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows),
        encoding="utf-8",
    )
    return path


def test_a_row_is_read_whole(tmp_path):
    (question,) = read_golden(write(tmp_path / "g.jsonl", ROW))
    assert question.history == (Message("user", "Hello"),)
    assert question.gold == (Gold("a.md", "14 days"),)
    assert question.facts == (("14 days", "two weeks"),)


def test_the_demo_shops_golden_file_is_right():
    questions = read_golden(Path(__file__).resolve().parents[2] / "examples/demo_shop/golden.jsonl")
    assert len(questions) == 120
    assert sum(question.language == "zh" for question in questions) == 30
    assert sum(not question.answerable for question in questions) == 30
    assert sum(bool(question.history) for question in questions) >= 15


def test_every_fault_is_told_with_its_line(tmp_path):
    path = write(
        tmp_path / "g.jsonl", ROW, "{not json", {**ROW, "id": "2", "answerable": "yes"}, "", {**ROW, "question": " ", "id": "3"}, ROW,
        {**ROW, "id": "5", "false_claims": ["("]}, {**ROW, "id": "6", "colour": 1}, {**ROW, "id": "7", "gold": []},
        {**ROW, "id": "8", "history": [{"role": "robot", "text": "x"}]}, {**ROW, "id": "9", "facts": ["x"]}, "[]",
    )  # fmt: skip
    with pytest.raises(BadInput) as caught:
        read_golden(path)
    message = caught.value.message
    for line, word in {
        2: "JSON",
        3: "answerable",
        5: "question",
        6: "already on line 1",
        7: "regular",
        8: "colour",
        9: "gold",
        10: "history",
        11: "facts",
        12: "object",
    }.items():
        assert any(row.strip().startswith(f"line {line}:") and word in row for row in message.splitlines()), (
            line,
            word,
        )


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00"])
def test_a_file_without_questions_is_refused(tmp_path, content):
    (tmp_path / "g.jsonl").write_bytes(content)
    with pytest.raises(BadInput):
        read_golden(tmp_path / "g.jsonl")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"id": "s", "question": "hi \\ud83d there", "answerable": false}', "half of a character"),
        ("[" * 100_000, "not JSON"),
        (json.dumps({**ROW, "question": "x" * 4001}), "more than 4000"),
    ],
)
def test_what_cannot_be_asked_is_told_beforehand(tmp_path, line, why):
    (tmp_path / "g.jsonl").write_text(line)
    with pytest.raises(BadInput, match=f"line 1: .*{why}"):
        read_golden(tmp_path / "g.jsonl")


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_only_a_line_feed_ends_a_row(tmp_path, mark):
    row = json.dumps({**ROW, "question": f"Boots?{mark}Thanks"}, ensure_ascii=False)
    (tmp_path / "g.jsonl").write_bytes(f"\ufeff{row}\r\n".encode())
    assert [one.question for one in read_golden(tmp_path / "g.jsonl")] == [f"Boots?{mark}Thanks"]


def test_a_missing_file_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_golden(tmp_path / "none.jsonl")
