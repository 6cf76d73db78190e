"""Conditions are decided on the row's own cells, with the index of words exactly as without it."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wares import ITEMS

from assistant.goods import Condition, Item
from assistant.recommend import table
from assistant.recommend.cells import holds
from assistant.recommend.filters import from_text
from assistant.recommend.lexicon import TERMS
from assistant.recommend.table import Column, Table, in_one_currency

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


def test_conditions_choose_rows():
    assert chosen("category = jackets; price < 200; stock >= 1") == {"rain-jacket-men"}
    assert chosen("category = boots and shoes; material != leather") == {"rain-boot", "beach-sandal"}
    assert chosen("waterproof = yes; colour = blue") == {"rain-boot", "rain-jacket-men"}
    assert chosen("weight_g < 200") == {"camp-stove", "long-spoon"}
    assert chosen("name = 长柄勺") == {"long-spoon"}


@settings(deadline=None)
@given(CONDITIONS)
def test_what_is_allowed_satisfies_each_condition_and_dropping_one_never_loses_a_row(conditions: tuple[Condition, ...]):
    allowed = TABLE.allowed(conditions)
    for condition in conditions:
        assert not (allowed & ~TABLE.mask(condition)).any()
        rest = TABLE.allowed([one for one in conditions if one is not condition])
        assert not (allowed & ~rest).any()


@settings(deadline=None)
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


CELLS = [item.name for item in ITEMS] + [
    "suede, mesh", "synthetic leather", "genuine leather, not faux leather", "polyester | down", "Rain-Jacket Women's / 女款雨衣",
    "男款登山靴", "人造皮手套", "真皮手套", "", "+++", "Café cup", "down to the hem", "two men tent", "dresses, knives", "wool; merino wool", "L", "yes",
]  # fmt: skip
VALUES = [
    "women",
    "men",
    "leather",
    "suede",
    "down",
    "merino",
    "kids",
    "女款",
    "皮",
    "Rain Boot",
    "+++",
    "café",
    "tent men",
    "L",
    "wool",
    "yes",
    "dress",
    "knife",
]


@pytest.mark.parametrize("field", ["name", "material", "description", "brand", "size", "lining"])
def test_the_index_of_words_answers_as_reading_every_cell_does(field: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table, "_FEW", 0)
    column = Column(CELLS)
    known = {text.casefold() for text in CELLS}
    for value in [*VALUES, *TERMS.get(field, {})]:
        read = [holds(field, value, text, whole=value.casefold() in known) for text in column.cells]
        assert column.mask(field, [value]).tolist() == read, value


def test_what_is_not_counted_can_be_had_but_not_so_many_of_it():
    shop = Table([Item("a", "A", stock=3), Item("b", "B"), Item("c", "C", stock=0)])
    kept = {text: shop.allowed(from_text(text, shop)).tolist() for text in ("stock >= 1", "stock > 0", "stock >= 2", "stock < 1")}  # fmt: skip
    assert kept == {
        "stock >= 1": [True, True, False],
        "stock > 0": [True, True, False],
        "stock >= 2": [True, False, False],
        "stock < 1": [False, False, True],
    }


def test_any_of_several_values_is_enough():
    column = Column(["red", "blue", "red", "green"])
    assert column.cells == ["red", "blue", "green"]
    assert column.mask("colour", ["red", "green"])[column.codes].tolist() == [True, False, True, True]


def test_what_requires_something_is_ready_when_all_of_it_is_done():
    lessons = Table(
        [
            Item("a", "A"),
            Item("b", "B", requires=("a",)),
            Item("c", "C", requires=("a", "b")),
            Item("d", "D", requires=("gone",)),
        ]
    )
    assert lessons.ready([]).tolist() == [True, False, False, False]
    assert lessons.ready(["a"]).tolist() == [True, True, False, False]
    assert lessons.ready(["a", "b", "gone"]).tolist() == [True, True, True, False]
    assert TABLE.ready([]).all()


def test_where_all_prices_that_say_a_currency_say_the_same_the_others_are_in_it():
    def items(*said: str) -> list[Item]:
        return [Item(str(row), "A", price=Decimal(1), currency=one) for row, one in enumerate(said)]

    assert in_one_currency(items("", "CNY", "CNY")) == items("CNY", "CNY", "CNY")
    for left in (items("", "CNY", "EUR"), items("", ""), [Item("a", "A"), *items("CNY")]):
        assert in_one_currency(left) == left
