"""The laws of facts: each has one spelling, and nothing is lost between a text and itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import facts


@given(st.text(min_size=1, max_size=300))
def test_a_text_supports_its_own_facts(text):
    assert facts.unsupported_facts(text, [text]) == []


@pytest.mark.parametrize(
    ("left", "right"),
    [("1,200.00 EUR", "1200"), ("30 days", "thirty days"), ("4.90", "4.9"), ("三十天", "30天"), ("两周", "2周")],
)
def test_facts_have_one_spelling(left, right):
    assert facts.facts(left) == facts.facts(right)


def test_amounts_keep_the_order_of_each_unit():
    assert facts.amounts("3 years, 20 EUR, 2 years") == {"year": ["3", "2"], "€": ["20"]}
