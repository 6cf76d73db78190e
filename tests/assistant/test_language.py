import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import language


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Do I get the delivery costs back?", "en"),
        ("可以退货吗？", "zh"),
        ("The North Face 的背包可以退吗", "zh"),
        ("Wie lange dauert die Lieferung nach Österreich, und was kostet sie?", "de"),
        ("Combien de temps ai-je pour renvoyer un article à la boutique ?", "fr"),
        ("返品はできますか", "ja"),
        ("ok", "en"),
        ("42", "en"),
        ("", "en"),
        ("。。。", "zh"),
        ("！！", "zh"),
        ("……？", "zh"),
        ("...?!", "en"),
    ],
)
def test_languages_are_told_apart(text, code):
    assert language.detect(text) == code


def test_too_little_text_is_the_callers_guess():
    assert language.detect("12:30", default="zh") == "zh"
    assert language.detect("。。。", default="ja") == "ja"


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Ships in 2.5 days. Free over 50 EUR.", ["Ships in 2.5 days.", "Free over 50 EUR."]),
        ("Fees apply, e.g. for heavy parcels. Ask us!", ["Fees apply, e.g. for heavy parcels.", "Ask us!"]),
        ("可以退货。请在14天内寄回！", ["可以退货。", "请在14天内寄回！"]),
        ("- one\n- two", ["- one", "- two"]),
        ("A heading\n\nA paragraph.", ["A heading", "A paragraph."]),
        ("", []),
        ("   ", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text, sentences):
    assert [text[start:end] for start, end in language.sentences(text)] == sentences


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_sentences_are_ordered_spans_that_leave_only_white_space_out(text):
    spans = language.sentences(text)
    at = 0
    for start, end in spans:
        assert at <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert not text[at:start].strip()
        at = end
    assert not text[at:].strip()


def test_words_of_a_question_meet_those_of_a_passage():
    assert set(language.words("退货期限")) <= set(language.words("退货期限是14天"))
    assert language.words("TENTS") == language.words("tents")
    assert language.words("４.９０") == language.words("4.90")


def test_traditional_characters_and_all_names_of_a_weekday_are_the_same_words():
    assert language.words("魚死了可以補發嗎") == language.words("鱼死了可以补发吗")
    assert language.words("帳戶裡的帳篷") == language.words("账户里的帐篷")
    assert language.words("星期五") == language.words("礼拜五") == language.words("禮拜五") == language.words("周五")
    assert language.words("礼拜天") == language.words("星期日") == language.words("周日")
    assert not {"周一", "周三"} & {*language.words("每星期一次"), *language.words("两个星期三千元")}


def test_every_traditional_character_has_one_simplified_form_and_none_stands_in_simplified_text():
    pairs, table = language._PAIRS, language._SIMPLIFIED
    assert len(table) * 2 == len(pairs)
    assert not set(pairs[::2]) & set(pairs[1::2])
    valid_but_rare = set("乾後徵於瞭")
    assert {char for char in pairs[::2] if char.encode("gb2312", "ignore")} <= valid_but_rare
    assert all(char.encode("gb2312", "ignore") for char in pairs[1::2])


@given(st.text(alphabet=language._PAIRS + "帳户a 。", max_size=40))
def test_a_place_in_the_simplified_text_is_the_same_in_the_text(text):
    assert len(language.simplified(text)) == len(text)
    assert language.simplified(language.simplified(text)) == language.simplified(text)


@pytest.mark.parametrize(
    ("text", "is_traditional"),
    [
        ("退貨期限為三十天", True),
        ("退货期限为三十天，帐户除外", False),
        ("於先生负责售后，周一到周五上班", False),
        ("Hi", False),
    ],
)
def test_a_name_makes_no_text_traditional(text, is_traditional):
    assert language.is_traditional(text) is is_traditional


def test_whom_a_message_addresses_is_known_in_both_scripts():
    assert language.unaddressed("老闆，魚缸包郵嗎") == "魚缸包郵嗎"


def test_small_words_are_no_content():
    assert language.content_words("Do I get the delivery costs back?") == ["delivery", "cost", "back"]
    assert language.content_words("the a of") == []


@pytest.mark.parametrize(
    ("word", "stem"),
    [("tents", "tent"), ("batteries", "battery"), ("glass", "glass"), ("bus", "bus"), ("gas", "gas"), ("背包", "背包")],
)
def test_only_plurals_are_folded(word, stem):
    assert language.stem(word) == stem
