"""A condition is decided on the row's own cells, and what it refuses is never recommended."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wares import ITEMS

from assistant.errors import BadInput
from assistant.goods import Condition
from assistant.recommend.filters import from_text, merged, to_text
from assistant.recommend.table import Table

TABLE = Table(ITEMS)
CONDITIONS = st.lists(
    st.one_of(
        st.builds(Condition, st.just("price"), st.sampled_from(["<", "<=", ">", ">="]), st.integers(1, 300).map(lambda n: (str(n),))),
        st.builds(Condition, st.just("colour"), st.sampled_from(["is", "not"]), st.lists(st.sampled_from(["blue", "black", "red"]), min_size=1, max_size=2, unique=True).map(tuple)),
        st.builds(Condition, st.just("category"), st.just("is"), st.sampled_from([("jackets",), ("fuel", "kitchen")])),
    ),
    max_size=4, unique=True,
).map(tuple)  # fmt: skip


@settings(deadline=None)
@given(CONDITIONS)
def test_the_text_form_comes_back(conditions: tuple[Condition, ...]):
    assert from_text(to_text(conditions), TABLE) == conditions


def test_every_wrong_part_of_a_filter_is_named_at_once():
    with pytest.raises(BadInput) as told:
        from_text("colur = blue; price < cheap; jackets", TABLE)
    assert all(word in str(told.value) for word in ("colur", "colour", "cheap", "'jackets'"))


def test_a_later_bound_replaces_an_earlier_one_and_refusals_add_up():
    old = from_text("price < 200; colour != black; category = jackets", TABLE)
    new = from_text("price <= 100; colour != red", TABLE)
    assert to_text(merged(old, new)) == "colour != black; category = jackets; price <= 100; colour != red"
