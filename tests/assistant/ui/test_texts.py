import string

import pytest

from assistant.texts import PLURALS
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
