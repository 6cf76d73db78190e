import re
import string

import pytest

from assistant import texts


@pytest.mark.parametrize("key", texts.keys())
def test_every_text_is_there_in_every_language_with_the_same_values(key):
    spellings = texts.table()[key]
    assert set(spellings) == set(texts.LANGUAGES)
    wanted = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in spellings.values()]
    assert all(names == wanted[0] for names in wanted)


@pytest.mark.parametrize("key", texts.keys())
def test_chinese_is_chinese_and_english_is_not(key):
    spellings = texts.table()[key]
    has_words = re.search(r"[a-z]", re.sub(r"\{.*?\}", "", spellings["en"]))  # else fields and signs only
    assert bool(has_words) == bool(re.search(r"[\u4e00-\u9fff]", spellings["zh"]))
    assert not re.search(r"[\u4e00-\u9fff]", spellings["en"])


def test_a_language_without_texts_gets_english():
    assert texts.say("thanks", "fr") == texts.say("thanks", "en")


def test_values_are_filled_in():
    assert "Ridgeline" in texts.say("refusal", "en", company="Ridgeline")


def test_the_table_is_a_copy():
    texts.table()["thanks"]["en"] = "changed"
    assert texts.say("thanks", "en") != "changed"
