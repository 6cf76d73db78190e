"""Requests in English and Chinese become the conditions that were meant, by the catalogue's own words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wares import ITEMS, WORDS

from assistant.goods import Item
from assistant.recommend.filters import from_text, to_text
from assistant.recommend.orders import Order
from assistant.recommend.reasons import field_name
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
    ("夾克，300塊以內", "category = jackets; price <= 300"), ("預算一萬五，想要天藍色夾克", "category = jackets; colour = light blue; price <= 15000"),
])  # fmt: skip
def test_a_spoken_chinese_budget_is_the_number_that_was_said(request_: str, wanted: str):
    said = VOCABULARY.understand(request_).conditions
    assert set(said) == set(from_text(wanted, TABLE)), to_text(said)


@pytest.mark.parametrize(("request_", "wanted"), [
    ("recommend a black tea", "category = Tea"), ("推荐绿茶", "category = Tea"), ("which teas are available?", "category = Tea"), ("any tea in stock?", "category = Tea"),
    ("the cheapest tea", "category = Tea"), ("tea, not green", "category = Tea; name != green"),
])  # fmt: skip
def test_nothing_is_asked_of_a_field_that_no_row_fills(request_: str, wanted: str):
    table = Table([Item("1", "Longjing green tea", category="Tea"), Item("2", "Assam black tea", category="Tea")])
    wish = Vocabulary(table, {"category": {"Tea": ["茶"]}}).understand(request_)
    assert (set(wish.conditions), wish.order) == (set(from_text(wanted, table)), None)


@pytest.mark.parametrize(("request_", "rows"), [
    ("recommend a black tea", [0, 1]), ("a black mug", [2]), ("tea, not green", [1]), ("something black", [2]), ("推荐绿茶", [0, 1]),
])  # fmt: skip
def test_a_colour_in_names_of_rows_without_one_is_no_condition_on_the_column(request_: str, rows: list[int]):
    table = Table([
        Item("1", "Longjing green tea", names={"zh": "龙井绿茶"}, category="Tea"), Item("2", "Assam black tea", category="Tea"),
        Item("3", "Mug", category="Mugs", colour="black"), Item("4", "Cup", category="Mugs", colour="green"),
    ])  # fmt: skip
    conditions = Vocabulary(table, {"category": {"Tea": ["茶"]}}).understand(request_).conditions
    assert table.allowed(conditions).nonzero()[0].tolist() == rows, to_text(conditions)


@pytest.mark.parametrize(("request_", "wanted"), [
    ("boots size 40-42", "category = boots and shoes; size = 40 | 41 | 42"), ("boots 40-42", "category = boots and shoes; size = 40 | 41 | 42"), ("sizes 40 to 42, boots", "category = boots and shoes; size = 40 | 41 | 42"),
    ("尺码40-42的鞋", "category = boots and shoes; size = 40 | 41 | 42"), ("40到42码的鞋", "category = boots and shoes; size = 40 | 41 | 42"), ("鞋，40-42", "category = boots and shoes; size = 40 | 41 | 42"),
    ("EU 40-42 boots", "category = boots and shoes; size = 40 | 41 | 42"), ("boots in size between 40 and 42", "category = boots and shoes; size = 40 | 41 | 42"), ("boots size 40-42 under 100", "category = boots and shoes; size = 40 | 41 | 42; price < 100"),
    ("boots 40-42 euros", "category = boots and shoes; price >= 40; price <= 42"), ("boots between 40 and 42", "category = boots and shoes; price >= 40; price <= 42"), ("boots, budget 40-42", "category = boots and shoes; price >= 40; price <= 42"),
    ("boots 40-100", "category = boots and shoes; price >= 40; price <= 100"), ("boots €40-42", "category = boots and shoes; price >= 40; price <= 42"), ("jackets 50-80", "category = jackets; price >= 50; price <= 80"), ("鞋，40-42元", "category = boots and shoes; price >= 40; price <= 42"),
    ("jackets for kids aged 8-10", "category = jackets; name = kids"), ("jackets for ages 3-5 under 20", "category = jackets; price < 20"), ("jackets, ages 3 to 5", "category = jackets"), ("8-10岁的夹克", "category = jackets"),
    ("jackets for kids 8-10", "category = jackets; name = kids"), ("夹克，年龄8-10", "category = jackets"), ("jackets for 8-10 years", "category = jackets"), ("boots size 43", "category = boots and shoes; size = 43"),
    ("鞋，12月5号前要", "category = boots and shoes"), ("鞋，5号电池", "category = boots and shoes"), ("鞋，43号", "category = boots and shoes; size = 43"), ("boots, not size 43", "category = boots and shoes"), ("boots, not size 40-42", "category = boots and shoes"), ("鞋，不要43码的", "category = boots and shoes"), ("43码的鞋", "category = boots and shoes; size = 43"),
    ("鞋，十二月二十五号要", "category = boots and shoes"), ("鞋，43号的", "category = boots and shoes; size = 43"), ("鞋，15号前送到", "category = boots and shoes"),
    ("jackets 50 or less", "category = jackets; price <= 50"), ("jackets 100 or under", "category = jackets; price <= 100"), ("jackets 50 and under", "category = jackets; price <= 50"), ("jackets < 100", "category = jackets; price < 100"),
    ("jackets 50 or below", "category = jackets; price <= 50"), ("jackets 50 or more", "category = jackets; price >= 50"), ("jackets 50 max", "category = jackets; price <= 50"), ("jackets 50 tops", "category = jackets; price <= 50"), ("jackets for 2 or less people", "category = jackets"),
])  # fmt: skip
def test_a_number_is_a_size_an_age_a_date_or_a_price_by_what_stands_beside_it(request_: str, wanted: str):
    said = VOCABULARY.understand(request_).conditions
    assert set(said) == set(from_text(wanted, TABLE)), to_text(said)


def goods(*rows: tuple[str, dict[str, str]]) -> Table:
    """A catalogue of these categories and attributes."""
    return Table([Item(str(row), f"Thing {row}", category=kind, attributes=more) for row, (kind, more) in enumerate(rows)])  # fmt: skip


@pytest.mark.parametrize(("request_", "category"), [
    ("I need a dress", "dresses"), ("any dresses?", "dresses"), ("a watch", "watches"), ("lunch box", "lunch boxes"), ("a brush", "brushes"),
    ("do you sell a mattress", "mattresses"), ("a knife", "knives"), ("a shelf", "shelves"), ("gloves", "gloves"), ("one glove", "gloves"),
])  # fmt: skip
def test_a_plural_in_es_is_its_singulars_word(request_: str, category: str):
    kinds = ("dresses", "watches", "lunch boxes", "brushes", "mattresses", "knives", "shelves", "gloves")
    wish = Vocabulary(goods(*((kind, {}) for kind in kinds)), {}).understand(request_)
    assert (to_text(wish.conditions), wish.unread) == (f"category = {category}", ())


FOODS = goods(
    ("dry food", {"animal": "dog", "grain free": "yes", "vegan": "no"}), ("wet food", {"animal": "cat", "grain free": "no"}), ("food", {"animal": "rabbit"}),
    ("toys for dogs", {}), ("beds for dogs", {}), ("green tea", {}), ("rose gold", {}), ("yellow gold", {}), ("black tea", {"vegan": "yes", "note": "none"}),
)  # fmt: skip


@pytest.mark.parametrize(("request_", "wanted"), [
    ("dog food", "animal = dog; category = dry food | wet food | food"), ("dry food", "category = dry food"), ("a tea", "category = green tea | black tea"),
    ("food, not dry food", "category = wet food | food; category != dry food"), ("dog food, dry food only", "animal = dog; category = dry food"),
    ("toys for dogs", "category = toys for dogs"), ("something for dogs", "animal = dog"), ("in gold", ""),
    ("cat food", "animal = cat; category = snack | food"),
])  # fmt: skip
def test_what_several_categories_end_with_means_all_of_them_but_the_shops_own_words_win(request_: str, wanted: str):
    words = {"category": {"snack": ["food"]}} if "snack" in wanted else {}
    said = Vocabulary(FOODS, words).understand(request_).conditions
    assert set(said) == set(from_text(wanted, FOODS)), to_text(said)


@pytest.mark.parametrize(("request_", "wanted"), [
    ("grain free dry food", "category = dry food; grain free = yes"), ("dry food, not grain-free", "category = dry food; grain free != yes"),
    ("vegan green tea", "category = green tea; vegan = yes"), ("a note on green tea", "category = green tea"),
])  # fmt: skip
def test_a_column_of_yes_and_no_is_asked_for_by_its_name(request_: str, wanted: str):
    said = Vocabulary(FOODS, {}).understand(request_).conditions
    assert set(said) == set(from_text(wanted, FOODS)), to_text(said)


def test_a_contraction_says_no_more_than_its_words():
    assert VOCABULARY.understand(
        "a jacket that's not red, I can't wear it, what's on offer, don't you think"
    ).unread == ("wear", "think")


@pytest.mark.parametrize(("field", "name"), [
    ("weight_g", "weight (g)"), ("age_group", "age group"), ("target_group", "target group"), ("serving_grams", "serving grams"), ("colour", "colour"),
])  # fmt: skip
def test_only_a_unit_at_the_end_of_a_field_is_put_in_brackets(field: str, name: str):
    assert field_name(field, "en") == name


@pytest.mark.parametrize(("request_", "wanted"), [
    ("两三百的夹克", "price >= 200; price <= 300"), ("夹克，三五百左右", "price >= 300; price <= 500"), ("预算两三百，夹克", "price >= 200; price <= 300"), ("夹克，两三百以内", "price <= 300"),
    ("夹克，不超过三四百", "price <= 400"), ("两到三百的夹克", "price >= 200; price <= 300"), ("五百多的夹克", "price >= 500; price <= 600"), ("150多块的夹克", "price >= 150; price <= 160"),
    ("几十块的夹克", "price >= 10; price <= 100"), ("百来块的夹克", "price >= 80; price <= 120"), ("夹克 1k以内", "price <= 1000"), ("预算1.2k 夹克", "price <= 1200"), ("1-2k的夹克", "price >= 1000; price <= 2000"),
    ("夹克 500内", "price <= 500"), ("夹克 500封顶", "price <= 500"), ("夹克 别超500", "price <= 500"), ("100块能买到的夹克", "price <= 100"), ("预算五百左右的夹克", "price >= 400; price <= 600"),
    ("jackets under 1k", "price < 1000"), ("jackets, 1.5k max", "price <= 1500"), ("jackets between 1k and 2k", "price >= 1000; price <= 2000"),
    ("夹克 4k", ""), ("三五个夹克", ""), ("几十个夹克", ""), ("夹克，500内衣", ""), ("多大的夹克", ""), ("七八十年代的夹克", ""), ("jackets for 5k", ""),
])  # fmt: skip
def test_a_spoken_range_or_limit_is_the_numbers_that_were_meant(request_: str, wanted: str):
    said = VOCABULARY.understand(request_).conditions
    assert set(said) == set(from_text(f"category = jackets; {wanted}", TABLE)), to_text(said)


BRANDS = Table([
    Item(str(row), f"Filter {row}", category="filters", brand=brand, colour=colour) for row, (brand, colour) in enumerate((
        ("EHEIM 伊罕", "green"), ("Eheim", "red"), ("森森（SUNSUN）", "black"), ("Chihiros千红", "black"), ("德国Sera", "black"), ("Red 红", "red")))
])  # fmt: skip


@pytest.mark.parametrize(("request_", "rows"), [
    ("EHEIM filters", [0, 1]), ("伊罕的filters", [0]), ("filters，不要SUNSUN的", [0, 1, 3, 4, 5]), ("filters，不要森森的", [0, 1, 3, 4, 5]), ("千红的filters", [3]),
    ("Sera filters", [4]), ("德国的filters", [0, 1, 2, 3, 4, 5]), ("filters, not by Eheim", [2, 3, 4, 5]),
])  # fmt: skip
def test_a_brand_in_two_scripts_is_known_by_either_half(request_: str, rows: list[int]):
    said = Vocabulary(BRANDS, {}).understand(request_).conditions
    assert BRANDS.allowed(said).nonzero()[0].tolist() == rows, to_text(said)


FISH = Table([
    Item("1", "半月斗鱼 红", colour="red", attributes={"适用": "淡水"}), Item("2", "半月斗鱼", colour="blue", attributes={"适用": "淡水"}),
    Item("3", "斗鱼粮", attributes={"适用": "斗鱼"}), Item("4", "Hot Dog Toy", attributes={"适用": "cat"}), Item("5", "Dog Bed", attributes={"适用": "dog"}), Item("6", "Leash", attributes={"适用": "dog"}),
])  # fmt: skip


@pytest.mark.parametrize(("request_", "rows"), [("红色的斗鱼", [0]), ("斗鱼", [0, 1, 2]), ("不要斗鱼", [3, 4, 5]), ("dog", [4, 5])])  # fmt: skip
def test_a_word_that_most_things_have_as_their_name_is_no_condition_on_the_column_of_a_few(
    request_: str, rows: list[int]
):
    said = Vocabulary(FISH, {}).understand(request_).conditions
    assert FISH.allowed(said).nonzero()[0].tolist() == rows, to_text(said)


@pytest.mark.parametrize(("request_", "ordered"), [
    ("有没有便宜点的夹克", True), ("便宜的夹克", True), ("do you have cheaper jackets?", True), ("a cheap red jacket", True), ("less expensive jackets", True),
    ("not too cheap jackets", False), ("不要便宜的夹克", False), ("不太便宜的夹克", False), ("jackets cheaper than 100", False), ("cheaper delivery for jackets", False), ("夹克能便宜点吗", False), ("cheaper", False), ("便宜点的", False),
])  # fmt: skip
def test_cheaper_goods_of_a_kind_come_the_cheapest_first(request_: str, ordered: bool):
    wish = VOCABULARY.understand(request_)
    assert (wish.order == Order("price")) is ordered
    assert not ordered or wish.unread == ()


def test_a_letter_that_makes_another_word_of_a_known_one_is_unread():
    said = ("有没有夹克盖", "夹克盖吗", "有没有夹克吗", "蓝色的夹克")
    assert [VOCABULARY.understand(one).unread for one in said] == [("盖",), ("盖",), (), ()]
