"""Rows are cut and owners are read as training reads them: what it takes for a customer's is found and goes. (E1; OWASP LLM02:2025)"""

import json

import pytest

from privacy.scrub import Theirs, holds, is_telling, longer_names, scrub, words_of

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


@pytest.mark.parametrize("text", ["C-1.", "(C-1)", "id=C-1,", "\\nC-1", "\\u4e2dC-1", "客户C-1要", "-C-1", "C-12 C-1"])
def test_a_name_is_found_where_it_stands_by_itself(text):
    assert holds(text, "C-1")


@pytest.mark.parametrize("text", ["C-12", "BC-1", "C-1-2", "a.C-1", "C-1x", "öC-1", "a@C-1.de"])
def test_a_name_is_not_found_within_a_longer_one(text):
    assert not holds(text, "C-1")


def test_what_a_name_is_a_part_of_is_known_whole():
    assert longer_names("to zhang.li@qq.com.cn, li@qq.com", "li@qq.com") == {"zhang.li@qq.com.cn"}
    assert longer_names("C-1, C-12 and C-134, x-C-1", "C-1") == {"C-12", "C-134"}


def test_a_sentence_with_white_space_is_found_anywhere():
    assert holds("xI am Ann of Ulmx", "I am Ann of Ulm")


@pytest.mark.parametrize(("text", "enough"), [("How is the weather?", False), ("How long may I return it?", True), ("怎么退货？", False), ("我叫王小明，家住建国路八号", True)])  # fmt: skip
def test_a_chinese_sentence_is_as_telling_as_one_three_times_as_long(text, enough):
    assert is_telling(text) is enough
