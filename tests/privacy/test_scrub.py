"""Rows are cut and owners are read as training reads them: what it takes for a customer's is found and goes. (E1; OWASP LLM02:2025)"""

import json

import pytest

from privacy.scrub import Theirs, scrub, words_of

ME = Theirs(frozenset({"c17"}))
BREAKS = {"U+2028": "\u2028", "U+2029": "\u2029", "U+0085": "\u0085"}


@pytest.mark.parametrize("name", BREAKS)
def test_only_a_line_feed_ends_a_row(name, tmp_path):
    said = f"the first half of it{BREAKS[name]}and the second half of it"
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"text": said, "customer": one}, ensure_ascii=False) + "\n" for one in ("c17", "c18")]
    path.write_bytes("".join(lines).encode())
    assert list(words_of(path, ME)) == [said]
    assert scrub(path, ME) == 1
    assert path.read_bytes() == lines[1].encode()


@pytest.mark.parametrize("name", BREAKS)
def test_a_line_without_an_owner_goes_whole(name, tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(f"asked: max@web.de{BREAKS[name]}and more\nfine\n".encode())
    assert scrub(path, Theirs(frozenset({"c17"}), ("max@web.de",))) == 1
    assert path.read_bytes() == b"fine\n"


@pytest.mark.parametrize(
    ("name", "head", "mine", "other"),
    [
        ("labels.csv", "customer,text,label\n", "c17,mine,a\n", "c18,fine,b\n"),
        ("labels.tsv", "customer\ttext\n", "c17\tmine\n", "c18\tfine\n"),
        ("rows.jsonl", "", '{"customer": "c17", "text": "mine"}\n', '{"customer": "c18", "text": "fine"}\n'),
    ],
)
def test_a_byte_order_mark_hides_no_owner_and_stays(name, head, mine, other, tmp_path):
    path = tmp_path / name
    path.write_text(head + mine + other, encoding="utf-8-sig")
    assert scrub(path, ME) == 1
    assert path.read_bytes() == (head + other).encode("utf-8-sig")


def test_a_json_file_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('[{"customer": "c17"}, {"customer": "c18"}]', encoding="utf-8-sig")
    assert scrub(path, ME) == 1
    assert json.loads(path.read_text(encoding="utf-8-sig")) == [{"customer": "c18"}]


@pytest.mark.parametrize("head", ["text,customer", "text, customer"])
def test_spaces_around_an_owner_count_for_nothing(head, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(f"{head}\nmine, c17\nfine, c18\n")
    assert scrub(path, ME) == 1
    assert path.read_text() == f"{head}\nfine, c18\n"


def test_an_owner_of_spaces_is_nobody():
    assert ME.owns({"customer": "  "}) is None
    assert ME.owns({"customer": " c17\t"}) is True
    assert ME.owns({"customer": "c18"}) is False
