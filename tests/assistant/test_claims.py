"""The laws of claims: a text says itself, and each rule has its own reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import claims


@given(st.text(max_size=200))
def test_a_text_says_what_it_says(text):
    assert claims.objection(text, text) == ""


@given(st.text(max_size=200), st.text(max_size=200))
def test_coverage_is_a_share(sentence, evidence):
    assert 0.0 <= claims.coverage(sentence, evidence) <= 1.0


@pytest.mark.parametrize(
    ("sentence", "evidence", "reason"),
    [
        ("Yes, boots are repaired.", "Boots are repaired.", "yes or no"),
        ("Are boots repaired?", "Boots are repaired.", "question"),
        ("Boots are repaired in 3 days.", "Boots are repaired in 5 days.", "it says 3"),
        ("Boots 3 years, tents 2 years.", "Tents 3 years, boots 2 years.", "which the passage does not"),
        ("Boots are repaired at home.", "Boots are repaired.", "more than the passage"),
        ("Boots are repaired.", "Leather boots are repaired.", "does not speak of Leather boots"),
        ("Boots are not repaired.", "Boots are repaired.", "turns a no"),
        ("Boots are repaired.", "Boots are repaired if leather.", "leaves out a condition"),
        ("Boots are repaired if leather.", "Boots are repaired, leather too.", "adds a condition"),
        ("All boots are repaired.", "Boots are repaired.", "'all'"),
        ("Boots must be repaired.", "Boots are repaired.", "allows or demands"),
        ("We repair boots, you pay.", "You repair boots, we pay.", "who does what"),
    ],
)
def test_each_rule_gives_its_reason(sentence, evidence, reason):
    assert reason in claims.objection(sentence, evidence)
