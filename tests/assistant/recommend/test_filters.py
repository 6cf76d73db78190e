"""A condition is decided on the row's own cells, and what it refuses is never recommended."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wares import ITEMS

from assistant.errors import BadInput
from assistant.goods import Condition
from assistant.recommend.filters import Table, from_text, holds, is_true, merged, to_text

TABLE = Table(ITEMS)
CONDITIONS = st.lists(
    st.one_of(
        st.builds(Condition, st.just("price"), st.sampled_from(["<", "<=", ">", ">="]), st.integers(1, 300).map(lambda n: (str(n),))),
        st.builds(Condition, st.just("colour"), st.sampled_from(["is", "not"]), st.lists(st.sampled_from(["blue", "black", "red"]), min_size=1, max_size=2, unique=True).map(tuple)),
        st.builds(Condition, st.just("category"), st.just("is"), st.sampled_from([("jackets",), ("fuel", "kitchen")])),
    ),
    max_size=4, unique=True,
).map(tuple)  # fmt: skip


def chosen(text: str) -> set[str]:
    return {ITEMS[row].id for row in np.flatnonzero(TABLE.allowed(from_text(text, TABLE)))}


@pytest.mark.parametrize(("field", "value", "cell", "holding"), [
    ("colour", "blue", "night blue", True), ("colour", "blue", "navy", True), ("colour", "red", "coloured", False),
    ("name", "men", "Rain Jacket Women", False), ("name", "men", "Rain Jacket Men", True),
    ("material", "leather", "suede, mesh", True), ("material", "leather", "synthetic leather", False),
    ("material", "down", "polyester down to the hem", True), ("size", "43", "40-47", True), ("size", "43", "36-42", False),
    ("size", "43.5", "40-47", False), ("size", "43.5", "40-47, half sizes", True), ("size", "M", "S-XXL", True),
    ("size", "XXL", "XS-L", False), ("size", "XXL", "XS-XXL", True), ("size", "M", "S, M, L", True), ("size", "8", "7-10", True),
    ("size", "L", "183 x 55 cm", False), ("brand", "Alda", "Alda", True), ("season", "winter", "four seasons", True),
])  # fmt: skip
def test_what_a_cell_says(field: str, value: str, cell: str, holding: bool):
    assert holds(field, value, cell) is holding


@pytest.mark.parametrize(("cell", "yes"), [
    ("yes, membrane", True), ("10000 mm", True), ("IPX7", True), ("IP65", True), ("5 ATM", True), ("waterproof", True),
    ("no", False), ("no, water-repellent", False), ("IPX4", False), ("splash-proof", False), ("", False),
])  # fmt: skip
def test_only_what_keeps_water_out_is_waterproof(cell: str, yes: bool):
    assert is_true(cell) is yes


def test_conditions_choose_rows():
    assert chosen("category = jackets; price < 200; stock >= 1") == {"rain-jacket-men"}
    assert chosen("category = boots and shoes; material != leather") == {"rain-boot", "beach-sandal"}
    assert chosen("waterproof = yes; colour = blue") == {"rain-boot", "rain-jacket-men"}
    assert chosen("weight_g < 200") == {"camp-stove", "long-spoon"}
    assert chosen("name = 长柄勺") == {"long-spoon"}


@given(CONDITIONS)
def test_the_text_form_comes_back(conditions: tuple[Condition, ...]):
    assert from_text(to_text(conditions), TABLE) == conditions


@given(CONDITIONS)
def test_what_is_allowed_satisfies_each_condition_and_dropping_one_never_loses_a_row(conditions: tuple[Condition, ...]):
    allowed = TABLE.allowed(conditions)
    for condition in conditions:
        assert not (allowed & ~TABLE.mask(condition)).any()
        rest = TABLE.allowed([one for one in conditions if one is not condition])
        assert not (allowed & ~rest).any()


@given(CONDITIONS)
def test_a_relaxation_counts_what_there_would_be(conditions: tuple[Condition, ...]):
    for one in TABLE.relax(conditions):
        rest = list(conditions)
        rest.remove(one.condition)
        assert one.items == int(TABLE.allowed(rest).sum()) > 0


def test_not_is_the_opposite_of_is():
    for value in ("leather", "steel"):
        yes, no = (TABLE.mask(Condition("material", test, (value,))) for test in ("is", "not"))
        assert (yes ^ no).all()


def test_every_wrong_part_of_a_filter_is_named_at_once():
    with pytest.raises(BadInput) as told:
        from_text("colur = blue; price < cheap; jackets", TABLE)
    assert all(word in str(told.value) for word in ("colur", "colour", "cheap", "'jackets'"))


def test_a_later_bound_replaces_an_earlier_one_and_refusals_add_up():
    old = from_text("price < 200; colour != black; category = jackets", TABLE)
    new = from_text("price <= 100; colour != red", TABLE)
    assert to_text(merged(old, new)) == "colour != black; category = jackets; price <= 100; colour != red"
