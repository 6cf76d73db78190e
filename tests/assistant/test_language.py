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
    ],
)
def test_languages_are_told_apart(text, code):
    assert language.detect(text) == code


def test_too_little_text_is_the_callers_guess():
    assert language.detect("12:30", default="zh") == "zh"


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


def test_small_words_are_no_content():
    assert language.content_words("Do I get the delivery costs back?") == ["delivery", "cost", "back"]
    assert language.content_words("the a of") == []


@pytest.mark.parametrize(
    ("word", "stem"),
    [("tents", "tent"), ("batteries", "battery"), ("glass", "glass"), ("bus", "bus"), ("gas", "gas"), ("背包", "背包")],
)
def test_only_plurals_are_folded(word, stem):
    assert language.stem(word) == stem
