"""Requests in English and Chinese become the conditions that were meant, by the catalogue's own words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wares import ITEMS, WORDS

from assistant.recommend.filters import from_text, to_text
from assistant.recommend.requests import Vocabulary
from assistant.recommend.table import Table

TABLE = Table(ITEMS)
VOCABULARY = Vocabulary(TABLE, WORDS)


@pytest.mark.parametrize(("request_", "wanted"), [
    ("waterproof boots under 100", "waterproof = yes; category = boots and shoes; price < 100"),
    ("a jacket, not down, in blue", "category = jackets; colour = blue; material != down"),
    ("boots without leather, size 43", "category = boots and shoes; material != leather; size = 43"),
    ("leather-free boots", "category = boots and shoes; material != leather"),
    ("anything but black jackets, 50 to 100 euros", "category = jackets; colour != black; price >= 50; price <= 100"),
    ("neither red nor black jackets", "category = jackets; colour != red | black"),
    ("shoes but no sandals", "category = boots and shoes; name != sandal"),
    ("jackets by Borea, at most 150", "category = jackets; brand = Borea; price <= 150"),
    ("a stove under 200 g for around 50 euros", "weight_g < 200; price >= 40; price <= 60"),
    ("men's jacket in XXL that is in stock", "name = men; category = jackets; stock >= 1; size = XXL"),
    ("jacket in M or L", "category = jackets; size = M | L"),
    ("come down to the shop", ""),
    ("100元以下的防水鞋", "waterproof = yes; category = boots and shoes; price <= 100"),
    ("想要夹克，不要羽绒和皮革的", "category = jackets; material != down | leather"),
    ("一百五十欧以内的蓝色夹克", "colour = blue; category = jackets; price <= 150"),
    ("除了黑色，其他颜色的夹克都行", "category = jackets; colour != black"),
    ("43码的男款鞋，不要凉鞋", "name = men; category = boots and shoes; name != 凉鞋; size = 43"),
    ("重量200克以下", "weight_g <= 200"),
    ("有没有红色的夹克", "colour = red; category = jackets"),
])  # fmt: skip
def test_a_request_becomes_its_conditions(request_: str, wanted: str):
    said = VOCABULARY.understand(request_).conditions
    assert set(said) == set(from_text(wanted, TABLE)), to_text(said)


def test_pointing_to_what_was_bought_is_noticed():
    assert VOCABULARY.understand("something like the boots I bought").like_own
    assert VOCABULARY.understand("类似我买过的鞋").like_own
    assert not VOCABULARY.understand("boots").like_own


def test_what_a_thing_is_used_with_is_not_what_is_wanted():
    assert to_text(VOCABULARY.understand("boots for my jacket").conditions) == "category = boots and shoes"
    assert VOCABULARY.understand("to go with my jacket").conditions == ()


def test_the_currency_that_was_named_is_told():
    assert VOCABULARY.understand("boots under 50 dollars").currency == "USD"
    assert VOCABULARY.understand("boots under 50").currency == ""


@settings(deadline=None)
@given(st.text(max_size=120))
def test_any_text_is_understood_without_an_error_and_only_as_conditions_of_this_catalogue(text: str):
    said = VOCABULARY.understand(text).conditions
    assert from_text(to_text(said), TABLE) is not None
    assert {one.field for one in said} <= set(TABLE.fields)


@pytest.mark.parametrize(("request_", "wanted"), [
    ("do you have tents for four?", "category = tents; capacity = 4 persons"),
    ("a tent for 2 under 300", "category = tents; price < 300; capacity = 2 persons"),
    ("tents for four weeks", "category = tents"),
    ("bottles for two", "category = bottles"),
    ("a 3-person tent for two", "category = tents; capacity = 3 persons"),
])  # fmt: skip
def test_for_so_many_means_persons_where_the_goods_come_for_persons(request_: str, wanted: str):
    items = [replace(ITEMS[0], id=name, name=name, category=kind, attributes={"capacity": capacity}) for name, kind, capacity in (
        ("Kestrel", "tents", "2 persons"), ("Lodge", "tents", "4 persons"), ("Steel Bottle", "bottles", "1 l"))]  # fmt: skip
    words = {"category": {"tents": ["tent"], "bottles": ["bottle"]}}
    table = Table(items)
    assert Vocabulary(table, words).understand(request_).conditions == from_text(wanted, table)


@pytest.mark.parametrize(("request_", "wanted"), [
    ("预算三百，推荐夹克", "category = jackets; price <= 300"), ("不超过三百的夹克", "category = jackets; price <= 300"),
    ("低于三百五的夹克", "category = jackets; price < 350"), ("预算一百到两百，想要夹克", "category = jackets; price >= 100; price <= 200"),
    ("夹克，一百五以内", "category = jackets; price <= 150"), ("夹克，一百零五以内", "category = jackets; price <= 105"),
    ("1万元以下的夹克", "category = jackets; price <= 10000"), ("两万五千元以内的夹克", "category = jackets; price <= 25000"),
    ("夹克，1万5以内", "category = jackets; price <= 15000"), ("至少保修三天的夹克", "category = jackets"), ("夹克，最多十件", "category = jackets"),
    ("预算100天蓝色夹克", "category = jackets; colour = light blue; price <= 100"),
])  # fmt: skip
def test_a_spoken_chinese_budget_is_the_number_that_was_said(request_: str, wanted: str):
    said = VOCABULARY.understand(request_).conditions
    assert set(said) == set(from_text(wanted, TABLE)), to_text(said)
