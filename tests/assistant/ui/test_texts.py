import string

import pytest

from assistant.errors import BadInput, Busy, EngineUnavailable
from assistant.texts import PLURALS
from assistant.ui.front import Front
from assistant.ui.parts import went_wrong
from assistant.ui.texts import LANGUAGES, NAMES, TEXTS, words


@pytest.mark.parametrize("key", TEXTS)
def test_every_text_exists_in_every_language_with_the_same_fields(key: str):
    assert set(TEXTS[key]) == set(LANGUAGES)
    fields = [{field for _, field, _, _ in string.Formatter().parse(text) if field} for text in TEXTS[key].values()]
    assert fields[0] == fields[1]


def test_every_language_has_its_own_name():
    assert set(NAMES) == set(LANGUAGES)


@pytest.mark.parametrize(
    ("language", "n", "said"), [("en", 1, "1 message"), ("en", 0, "0 messages"), ("zh", 1, "1 条消息")]
)
def test_a_word_has_the_form_that_its_number_takes(language: str, n: int, said: str):
    assert words(language)("talks_messages", n=n).strip() == said


def test_every_language_has_a_rule_for_plurals_and_every_word_its_forms():
    assert set(PLURALS) == set(LANGUAGES)
    for texts in TEXTS.values():
        for language, forms in (
            (name, spec)
            for name, text in texts.items()
            for *_, spec, _ in string.Formatter().parse(text)
            if spec and "|" in spec
        ):
            assert max(PLURALS[language](n) for n in range(200)) < len(forms.split("|"))


def test_words_fill_in_what_they_are_given():
    assert words("zh")("page", n=3) == "第 3 页"


def test_a_customer_is_told_what_went_wrong_in_the_pages_language():
    english, chinese = (Front(None, None, None, language, "/") for language in LANGUAGES)
    assert went_wrong(Busy("The assistant is busy.", wait_s=5), chinese) == "智能助手正忙，请在 5 秒后重试。"
    assert (
        went_wrong(Busy("Yours are many.", wait_s=1, theirs=True), chinese)
        == "您之前的问题仍在回答中，请在 1 秒后重试。"
    )
    assert went_wrong(Busy("The assistant is busy.", wait_s=1), english).endswith("in 1 second.")
    failed = EngineUnavailable("The engine cannot tell.", hint="hf can.")
    assert went_wrong(failed, chinese) == TEXTS["broken"]["zh"]
    assert went_wrong(failed, english) == "The engine cannot tell. hf can."
    assert went_wrong(BadInput(chinese.say("why_impossible")), chinese) == TEXTS["why_impossible"]["zh"]
