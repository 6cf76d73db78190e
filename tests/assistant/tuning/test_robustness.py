import random

from hypothesis import given
from hypothesis import strategies as st

from assistant.tuning.robustness import DISTURBANCES, robustness, typos

TEXTS = ["Where is my card?", "I am still waiting for the refund of my order", "What is the exchange rate?"]


def test_every_disturbance_is_measured_against_the_text_as_written():
    found = {each.name: each.value for each in robustness(TEXTS, TEXTS, lambda texts: texts)}
    assert found["accuracy"] == 1.0
    assert set(found) == {"accuracy", *DISTURBANCES, *(f"{name}_change" for name in DISTURBANCES)}
    assert found["upper_case_change"] == -1.0


def test_a_classifier_that_reads_letters_alone_survives_casing_and_falls_to_typos():
    def letters(texts):
        return ["".join(filter(str.isalpha, text.lower())) for text in texts]

    found = {each.name: each.value for each in robustness(TEXTS, letters(TEXTS), letters)}
    assert found["lower_case_change"] == found["upper_case_change"] == found["no_punctuation_change"] == 0.0
    assert found["typos_change"] < 0


def test_the_same_seed_disturbs_the_same():
    seen = [[], []]
    for one in seen:
        robustness(TEXTS, TEXTS, lambda texts, one=one: one.append(tuple(texts)) or texts, seed=3)
    assert seen[0] == seen[1]


def test_without_punctuation_no_two_words_become_one():
    text = "Where is my order?\nIt never came.\nI don't/won't pay 12-3, you\u2019re late!"
    words = "Where is my order It never came I don't won't pay 12 3 you\u2019re late"
    assert DISTURBANCES["no_punctuation"](text, random.Random(0)) == words


@given(st.text(max_size=200), st.integers(0, 1000))
def test_typos_change_few_letters_of_any_text(text, seed):
    slips = max(1, sum(map(str.isalpha, text)) // 20)
    assert abs(len(typos(text, random.Random(seed))) - len(text)) <= slips
