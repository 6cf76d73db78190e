"""The walk recommend: filter, rank, reasons; text and cards of the same rows; a click counts at once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wares import DAY, ITEMS, WORDS, events

from assistant.advisor import Advisor, Query
from assistant.errors import BadInput
from assistant.goods import Condition, Interaction, Item
from assistant.recommend.filters import to_text
from assistant.recommend.reasons import condition
from assistant.stock import Changed, Stock
from assistant.store import Store


def encode(collection: str, said: Sequence[str]) -> Any:
    """Letters counted: texts with the same words are near each other."""
    rows = np.array(
        [[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in said], dtype=np.float32
    )
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Stock]:
    store = Store.open(tmp_path)
    shelf = Stock(store, "t", "shop")
    shelf.put(ITEMS)
    shelf.save_words(WORDS)
    shelf.add(events())
    yield shelf
    store.close()


@pytest.fixture
def advisor(shelf: Stock, tmp_path: Path) -> Iterator[Advisor]:
    store = Store.open(tmp_path)
    yield Advisor(store, "t", encode)
    store.close()


def test_items_come_back_as_they_were_put_and_a_second_import_changes_nothing(shelf: Stock):
    assert shelf.items() == list(ITEMS)
    revision = shelf.revision()
    assert shelf.put(ITEMS) == Changed(unchanged=9)
    assert shelf.revision() == revision
    assert shelf.put(ITEMS[:8], prune=True) == Changed(unchanged=8, removed=1)
    assert shelf.revision() > revision
    assert shelf.put(ITEMS[:6], prune=True, keep={ITEMS[7].id}) == Changed(unchanged=6, removed=1)


def test_interactions_are_kept_once_and_forgotten_whole(shelf: Stock):
    assert shelf.add(events()) == 0
    assert len(shelf.history("c1")) == 3
    assert shelf.forget("c1") == 3
    assert shelf.history("c1") == []
    assert shelf.size() == len(events()) - 3


def test_a_forgotten_customer_is_gone_from_the_fitted_models_too(shelf: Stock, advisor: Advisor):
    row = advisor.shop("shop").table.row["hill-boot-men"]
    assert advisor.shop("shop").model.buyers[row] == 10
    shelf.forget("c0")
    assert advisor.shop("shop").model.buyers[row] == 9
    assert advisor.shop("shop").model.fitted_on == shelf.size()


def test_another_tenant_sees_nothing(shelf: Stock, tmp_path: Path):
    other = Stock(Store.open(tmp_path), "else", "shop")
    assert (other.items(), other.interactions(), other.revision()) == ([], [], 0)


def test_what_is_shown_satisfies_the_request_and_is_in_stock(advisor: Advisor):
    advice = advisor.recommend("shop", Query(request="waterproof boots under 100"))
    assert [one.item.id for one in advice.recommendations] == ["rain-boot"]
    assert to_text(advice.conditions) == "waterproof = yes; category = boots and shoes; price < 100; stock >= 1"
    assert {reason.text for reason in advice.recommendations[0].reasons} >= {"waterproof: 10000 mm", "price: 60.00 EUR"}


def test_what_is_not_counted_is_shown_without_a_number_also_after_the_filter_was_edited(shelf: Stock, advisor: Advisor):
    rows = [Item("a", "Alder tent", stock=5), Item("b", "Birch tent"), Item("c", "Cedar tent", stock=0)]
    shelf.put([dataclasses.replace(row, category="tents") for row in rows], prune=True)
    for conditions in (None, advisor.read_filter("shop", "category = tents; stock >= 1")):
        text = advisor.recommend("shop", Query(request="tents", conditions=conditions)).text
        assert sorted(line[3:] for line in text.split("\n")[1:]) == ["Alder tent, 5 in stock", "Birch tent"]


def test_a_superlative_is_an_order_of_the_rows_and_says_so(advisor: Advisor):
    cheapest = advisor.recommend("shop", Query(request="the cheapest boots"))
    prices = [one.item.price for one in cheapest.recommendations]
    assert len(prices) > 1
    assert prices == sorted(prices)
    assert cheapest.text.startswith("Lowest price first:")
    chinese = advisor.recommend("shop", Query(request="最贵的鞋", language="zh"))
    assert [one.item.price for one in chinese.recommendations] == sorted(prices, reverse=True)


def test_an_edited_filter_is_used_as_it_is(advisor: Advisor):
    conditions = advisor.read_filter("shop", "category = jackets; price < 100")
    advice = advisor.recommend("shop", Query(request="boots", conditions=conditions))
    assert [one.item.id for one in advice.recommendations] == ["town-jacket"]


def test_an_impossible_filter_says_which_condition_to_relax(advisor: Advisor):
    advice = advisor.recommend("shop", Query(request="jackets under 20"))
    assert not advice.recommendations
    assert [(one.condition.field, one.items) for one in advice.relax] == [("category", 2), ("price", 2)]
    assert "Without “price < 20” there are 2." in advice.text


def test_an_impossible_filter_is_told_in_words_and_the_kind_of_thing_is_given_up_last(advisor: Advisor):
    said = advisor.recommend("shop", Query(request="blue jackets under 20, not leather")).text.split("\n")
    assert (
        said[0]
        == "Nothing in the catalogue fits all of this: colour: blue; category: jackets; material: not leather; price < 20; in stock."
    )
    only = advisor.recommend("shop", Query(request="jackets under 20")).text.split("\n")[1:]
    assert only == ["Without “price < 20” there are 2.", "Without “category: jackets” there are 2."]
    chinese = advisor.recommend("shop", Query(request="20元以下的夹克", language="zh")).text
    assert chinese.startswith("目录中没有同时符合以下条件的商品：类别：jackets；价格 ≤ 20；有货。")


def test_a_value_is_told_once_and_in_the_customers_words():
    told = [
        Condition("colour", "is", ("红色", "red")),
        Condition("waterproof", "is", ("yes",)),
        Condition("brand", "not", ("Alda",)),
    ]
    assert [condition(one, "zh") for one in told] == ["颜色：红色", "防水：是", "品牌：不要Alda"]
    assert [condition(one, "en") for one in told] == ["colour: red", "waterproof: yes", "brand: not Alda"]


def test_every_fact_of_the_text_is_the_rows(advisor: Advisor):
    rows = {item.name: item for item in ITEMS}
    for language, pattern in (
        ("en", r"\d+\. (.*): ([\d.]+) EUR, (\d+) in stock"),
        ("zh", r"\d+\. (.*)：([\d.]+) EUR，库存 (\d+)"),
    ):
        advice = advisor.recommend("shop", Query(customer="c0", language=language, n=9))
        lines = advice.text.split("\n")[1:]
        assert len(lines) == len(advice.recommendations)
        for line, one in zip(lines, advice.recommendations, strict=True):
            found = re.fullmatch(pattern, line)
            assert found is not None, line
            row = rows[one.item.name]
            assert found.groups() == (row.title(language), str(row.price), str(row.stock))


def test_reasons_name_the_customers_own_history_and_true_counts(advisor: Advisor):
    advisor.record("shop", "new", "hill-boot-men", "click")
    advice = advisor.recommend("shop", Query(customer="new", n=3))
    together = [reason for one in advice.recommendations for reason in one.reasons if reason.kind == "together"]
    assert together[0].item == "hill-boot-men"
    assert together[0].value == "10"


def test_what_the_customer_gave_one_star_is_no_reason(shelf: Stock, advisor: Advisor):
    shelf.add([Interaction("fan", "gas-can", "rating", DAY, 5.0)])
    for stars, told in ((1.0, False), (5.0, True)):
        shelf.add([Interaction(f"c-{stars}", "hill-boot-men", "rating", DAY, stars)])
        advice = advisor.recommend("shop", Query(customer=f"c-{stars}", n=9))
        said = [reason.item for one in advice.recommendations for reason in one.reasons]
        assert ("hill-boot-men" in said) == told
        assert "hill-boot-men" not in [one.item.id for one in advice.recommendations]


def test_a_dismissal_and_a_purchase_count_at_once(advisor: Advisor):
    first = advisor.recommend("shop", Query(customer="new", n=2)).recommendations
    advisor.record("shop", "new", first[0].item.id, "dismiss")
    advisor.record("shop", "new", "hill-boot-men", "buy")
    shown = [one.item.id for one in advisor.recommend("shop", Query(customer="new", n=9)).recommendations]
    assert first[0].item.id not in shown
    assert "hill-boot-men" not in shown


def test_what_requires_something_waits_for_it(shelf: Stock, advisor: Advisor):
    shelf.put([Item("second", "Second lesson", requires=("first",)), Item("first", "First lesson")], prune=True)
    assert [one.item.id for one in advisor.recommend("shop", Query(customer="x")).recommendations] == ["first"]
    advisor.record("shop", "x", "first", "buy")
    (second,) = advisor.recommend("shop", Query(customer="x")).recommendations
    assert second.reasons[0].text == "You have done First lesson, which it builds on"


def test_a_changed_catalogue_is_used_at_once(shelf: Stock, advisor: Advisor):
    advisor.recommend("shop", Query())
    shelf.put([Item("tent", "Tent", category="tents")])
    (first, *_) = advisor.recommend("shop", Query(request="tents", conditions=())).recommendations
    assert first.item.id == "tent"


def test_like_what_was_bought_starts_from_the_customers_own_items_of_that_kind(advisor: Advisor):
    advice = advisor.recommend("shop", Query(customer="c0", request="something like the boots I bought"))
    assert all(one.item.category == "boots and shoes" for one in advice.recommendations)
    assert advice.recommendations[0].reasons[0].text == "Similar to Hill Boot Men"


def test_a_foreign_currency_is_pointed_out(advisor: Advisor):
    assert "EUR" in advisor.recommend("shop", Query(request="boots under 100 dollars")).notes[0]


@pytest.mark.parametrize("query", [Query(n=0), Query(n=101), Query(conditions=(Condition("colur", "is", ("red",)),))])
def test_bad_input_is_refused(advisor: Advisor, query: Query):
    with pytest.raises(BadInput):
        advisor.recommend("shop", query)


def test_without_a_catalogue_the_next_command_is_named(advisor: Advisor):
    with pytest.raises(BadInput, match="catalog import"):
        advisor.recommend("nothing", Query())
    assert not advisor.has_catalogue("nothing")
    assert advisor.catalogues() == ["shop"]


def test_an_event_of_nobody_or_with_nothing_is_refused(advisor: Advisor):
    for customer, item, event in (("", "gas-can", "view"), ("c", "no-such", "view"), ("c", "gas-can", "steal")):
        with pytest.raises(BadInput):
            advisor.record("shop", customer, item, event)  # type: ignore[arg-type]
