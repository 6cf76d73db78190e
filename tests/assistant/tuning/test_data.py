from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.errors import BadInput
from assistant.tuning.data import (
    ChatRow,
    ClassifyRow,
    Records,
    TagRow,
    leaks,
    read_records,
    records_of,
)
from assistant.tuning.records import crowded
from assistant.types import Message

CHAT = {
    "messages": [{"role": "user", "content": "How long?"}, {"role": "assistant", "content": "30 days."}],
    "passages": [{"text": "Boots: 30 days."}, "Tents: 60 days."],
    "customer": 7,
}


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines), encoding="utf-8")
    return path


def problems(path: Path, task: str, **more: object) -> str:
    with pytest.raises(BadInput) as caught:
        read_records(path, task, **more)  # type: ignore[arg-type]
    assert "nothing was trained" in caught.value.message
    return caught.value.message


def test_a_chat_row_keeps_its_turns_passages_and_customer(tmp_path: Path):
    records = read_records(write(tmp_path / "a.jsonl", CHAT), "chat")
    row = records.rows[0]
    assert isinstance(row, ChatRow)
    assert row.messages == (Message("user", "How long?"), Message("assistant", "30 days."))
    assert (row.passages, row.customer) == (("Boots: 30 days.", "Tents: 60 days."), "7")
    assert records.statistics()["grounded"] == 1
    assert len(records.sha256) == 64


def test_all_problems_are_listed_at_once_with_their_lines(tmp_path: Path):
    said = problems(
        write(
            tmp_path / "a.jsonl",
            {"text": "fine", "label": "a"},
            "{not json",
            {"label": "a"},
            {"text": "  ", "label": "a"},
            {"text": "x" * 200_000, "label": "a"},
            {"text": "no label"},
            ["a", "list"],
            {"text": 5, "label": "a"},
        ),
        "classify",
    )
    assert "7 problems" in said
    for line, why in [
        (2, "not JSON"), (3, "no 'text'"), (4, "empty"), (5, "200000 characters"), (6, "missing"),
        (7, "not a JSON object"), (8, "not a text"),
    ]:  # fmt: skip
        assert any(f"line {line}:" in part and why in part for part in said.splitlines()), (line, why)


@pytest.mark.parametrize("task", ["classify", "tag", "chat"])
def test_half_an_emoji_is_no_fault(tmp_path: Path, task: str):
    half = "great \ud83d"
    row = {
        "classify": {"text": half, "label": half, "customer": half},
        "tag": {"tokens": ["great", "\ud83d"], "tags": ["B-\ud83d", "O"]},
        "chat": {**CHAT, "messages": [{"role": "user", "content": half}, {"role": "assistant", "content": half}]},
    }[task]
    records = read_records(write(tmp_path / "a.jsonl", row), task)  # type: ignore[arg-type]
    assert "?" in repr(records.rows)
    assert "\\ud83d" not in repr(records)


def test_many_problems_are_counted_not_poured_out(tmp_path: Path):
    said = problems(write(tmp_path / "a.jsonl", *["nope"] * 500), "classify")
    assert "500 problems" in said
    assert "and 480 more" in said


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([], 'no "messages"'),
        ([{"role": "user", "content": "hi"}], "end with the assistant's answer"),
        ([{"role": "assistant", "content": "hi"}], "ask something"),
        ([{"role": "bot", "content": "hi"}], "none of system, user, assistant"),
        ([{"role": "user", "content": "a"}] * 2 + [{"role": "assistant", "content": "b"}], "take turns"),
        ([{"role": "user"}, {"role": "assistant", "content": "b"}], "missing"),
    ],
)
def test_a_conversation_that_is_none_is_refused(tmp_path: Path, messages, why):
    assert why in problems(write(tmp_path / "a.jsonl", {"messages": messages}), "chat")


def test_labels_outside_the_allowed_ones_are_listed(tmp_path: Path):
    path = write(tmp_path / "a.jsonl", {"text": "a", "label": "good"}, {"text": "b", "label": "odd"})
    assert "line 2: the label 'odd' is not allowed" in problems(path, "classify", labels=["good", "bad"])
    path = write(tmp_path / "b.jsonl", {"text": "a", "label": "good"})
    assert read_records(path, "classify", ["good", "bad"]).labels == ("good", "bad")


@pytest.mark.parametrize("task", ["chat", "classify", "tag"])
def test_an_empty_file_is_refused(tmp_path: Path, task: str):
    assert "no records" in problems(write(tmp_path / "a.jsonl", ""), task)


def test_bytes_that_are_no_text_and_a_missing_file_are_refused(tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(b"\xff\xfe\x00")
    for name, why in (("a.jsonl", "not UTF-8"), ("none.jsonl", "cannot be read")):
        with pytest.raises(BadInput, match=why):
            read_records(tmp_path / name, "classify")


def test_csv_and_jsonl_give_the_same_records(tmp_path: Path):
    rows = [{"text": 'say "no", please', "label": "1", "customer": "x"}, {"text": "yes", "label": "2", "customer": ""}]
    lines = write(tmp_path / "a.jsonl", *rows)
    (tmp_path / "a.csv").write_text('text,label,customer\n"say ""no"", please",1,x\nyes,2,\n', encoding="utf-8")
    one, two = read_records(lines, "classify"), read_records(tmp_path / "a.csv", "classify")
    assert [(r.text, r.label, r.customer) for r in one.rows] == [(r.text, r.label, r.customer) for r in two.rows]


def test_conll_and_jsonl_give_the_same_sentences(tmp_path: Path):
    (tmp_path / "a.conll").write_text("-DOCSTART- O\n\nred\tB-colour\ntent\tO\n\nblue B-colour\n", encoding="utf-8")
    records = read_records(tmp_path / "a.conll", "tag")
    assert [(row.tokens, row.tags) for row in records.rows if isinstance(row, TagRow)] == [
        (("red", "tent"), ("B-colour", "O")), (("blue",), ("B-colour",)),
    ]  # fmt: skip
    assert records.labels == ("O", "B-colour")
    assert "a word without a tag" in problems(write(tmp_path / "b.conll", "red B-colour", "tent"), "tag")
    assert "2 tokens, but 1 tags" in problems(write(tmp_path / "c.jsonl", {"tokens": ["a", "b"], "tags": ["O"]}), "tag")
    assert "'colour' is not" in problems(write(tmp_path / "d.jsonl", {"tokens": ["a"], "tags": ["colour"]}), "tag")


def rows(*labels: str, customers: int = 0) -> list[ClassifyRow]:
    return [
        ClassifyRow(f"text number {place}", label, customer=str(place % customers) if customers else "")
        for place, label in enumerate(labels)
    ]


class TestWarnings:
    def test_of_too_few_records(self):
        assert any("fewer than 8" in each for each in records_of("classify", rows("a", "b")).warnings)

    def test_of_imbalance(self):
        assert any("imbalanced (10 to 200" in e for e in records_of("classify", rows(*"a" * 200, *"b" * 10)).warnings)

    def test_of_repeats_whatever_their_case(self):
        twice = [ClassifyRow("Same  text", "a"), ClassifyRow("same text", "a"), *rows(*("ab" * 20))]
        assert any("1 of 42 records repeat" in e for e in records_of("classify", twice).warnings)

    def test_of_contradicting_labels(self):
        made = [ClassifyRow("same", "a"), ClassifyRow("same", "b")]
        assert any("two different labels" in each for each in records_of("classify", made).warnings)

    def test_of_nothing_where_the_data_is_good(self):
        assert records_of("classify", rows(*"ab" * 20)).warnings == ()


def test_leaks_are_by_customer_not_by_row():
    train = records_of("classify", [ClassifyRow("one", "a", "ann"), ClassifyRow("two", "b", "bob")])
    other_text = records_of("classify", [ClassifyRow("three", "a", "ann")])
    same_text = records_of("classify", [ClassifyRow("TWO", "b")])
    clean = records_of("classify", [ClassifyRow("three", "a", "eve")])
    assert "1 customers" in leaks(train, other_text)[0]
    assert "word for word" in leaks(train, same_text)[0]
    assert leaks(train, clean) == ()


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30)), min_size=2, max_size=60),
    st.floats(0.05, 0.9),
    st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_a_record_more_moves_no_other_in_a_split_of_each_by_itself(
    drawn: list[tuple[int, int]], share: float, seed: int
) -> None:
    made = [ClassifyRow(f"text {text}", "a", str(customer or ""), line) for line, (customer, text) in enumerate(drawn)]
    more, less = (
        Records("classify", tuple(some), ("a",)).split(share, seed=seed, singly=True) for some in (made, made[1:])
    )
    for with_it, without in zip(more, less, strict=True):
        assert [row for row in with_it.rows if row.line > 0] == list(without.rows)
    assert not {row.customer for row in more[0].rows} & {row.customer for row in more[1].rows} - {""}


def test_a_split_of_each_by_itself_takes_about_the_share() -> None:
    made = Records("classify", tuple(ClassifyRow(f"text {number}", "a") for number in range(2000)), ("a",))
    rest, aside = made.split(0.1, singly=True)
    assert len(rest) + len(aside) == 2000
    assert 150 < len(aside) < 250
    assert made.split(0.1, seed=1, singly=True)[1] != aside


def of_customers(*sizes: int) -> Records:
    made = [(owner, number) for owner, size in enumerate(sizes) for number in range(size)]
    return records_of(
        "classify", [ClassifyRow(f"text {who} {number}", "ab"[number % 2], f"c{who}") for who, number in made]
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("sizes", "aside"), [((900, *[1] * 100), {100}), ((950, 50), {50}), ((400, 300, 300), {300}), ((5,) * 200, {100})]
)
def test_a_split_keeps_about_its_share_aside_though_one_customer_has_many_records(sizes, aside, seed):
    records = of_customers(*sizes)
    kept, test = records.split(0.1, seed=seed)
    assert {len(test)} == aside
    assert len(kept) == len(records) - len(test)
    assert bool(crowded(records, 0.1)) == (max(sizes) > 100)
    assert crowded(records, 0.0) == ()


@pytest.mark.parametrize("seed", range(3))
def test_a_greeting_binds_no_customers_together_and_is_never_on_both_sides(seed: int):
    thanks = [ClassifyRow("Thank you!", "thanks", f"c{owner}") for owner in range(100)]
    records = records_of("classify", [*of_customers(*[4] * 100).rows, *thanks])
    kept, test = records.split(0.1, seed=seed)
    assert (len(kept), len(test)) == (450, 40)
    assert leaks(kept, test) == ()
    assert crowded(records, 0.1) == ()


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30)), min_size=1, max_size=60),
    st.floats(0.05, 0.9),
    st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_a_split_loses_nothing_and_never_parts_a_customer_or_a_text(drawn, share, seed):
    made: list[ClassifyRow] = [
        ClassifyRow(f"text {text}", "a", customer=str(customer) if customer else "") for customer, text in drawn
    ]
    records = Records("classify", tuple(made), ("a",))
    train, test = records.split(share, seed=seed)
    assert sorted(map(repr, (*train.rows, *test.rows))) == sorted(map(repr, made))
    assert leaks(train, test) == ()
    assert records.split(share, seed=seed) == (train, test)
