import string

import pytest

from assistant.ui.texts import LANGUAGES, NAMES, TEXTS, words


@pytest.mark.parametrize("key", TEXTS)
def test_every_text_exists_in_every_language_with_the_same_fields(key: str):
    assert set(TEXTS[key]) == set(LANGUAGES)
    fields = [{field for _, field, _, _ in string.Formatter().parse(text) if field} for text in TEXTS[key].values()]
    assert fields[0] == fields[1]


def test_every_language_has_its_own_name():
    assert set(NAMES) == set(LANGUAGES)


def test_words_fill_in_what_they_are_given():
    assert words("zh")("page", n=3) == "第 3 页"
