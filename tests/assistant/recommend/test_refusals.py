"""What a customer refuses is never taken for what they want, in many words of English and Chinese."""

from __future__ import annotations

from decimal import Decimal

import pytest

from assistant.goods import Item
from assistant.recommend.filters import from_text, to_text
from assistant.recommend.requests import Vocabulary
from assistant.recommend.table import Table


def item(number: int, name: str, category: str, price: int, **more: str) -> Item:
    attributes = {
        key: more.pop(key) for key in ("material", "waterproof", "contains", "season", "capacity") if key in more
    }
    return Item(str(number), name, price=Decimal(price), category=category, stock=3, attributes=attributes, **more)


SHOP = Table([item(number, *row[:3], **row[3]) for number, row in enumerate((
    ("Alder Tent", "Tents", 249, {"colour": "red", "material": "nylon", "waterproof": "yes", "brand": "Tarnhaus", "capacity": "2 persons"}),
    ("Trail Boot", "Boots", 120, {"colour": "black", "material": "leather", "size": "38-46", "waterproof": "yes", "brand": "Alda"}),
    ("Warm Sweater", "Sweaters", 80, {"colour": "blue", "material": "wool", "size": "S-XL", "season": "winter"}),
    ("Praline Box", "Chocolate", 9, {"contains": "nuts; milk"}), ("Dark Bar", "Chocolate", 5, {"contains": "soy"}),
    ("Steel Flask", "Flasks", 20, {"material": "stainless steel", "colour": "silver"}),
))])  # fmt: skip
WORDS = {
    "category": {"Tents": ["tent", "帐篷"], "Boots": ["boot", "靴子"], "Sweaters": ["sweater", "毛衣"], "Chocolate": ["巧克力"], "Flasks": ["水壶"]},
    "contains": {"nuts": ["坚果"], "milk": ["牛奶"], "soy": ["大豆"]},
}  # fmt: skip
VOCABULARY = Vocabulary(SHOP, WORDS)


def understood(request: str) -> set[object]:
    return set(VOCABULARY.understand(request).conditions)


@pytest.mark.parametrize("request_", [
    "tents, nothing over 100 euros", "a tent, I can't spend more than 100", "I don't want to spend more than 100 on a tent",
    "a tent that doesn't cost more than 100", "a tent, must not be more than 100", "never more than 100 for a tent",
    "tent not costing more than 100", "no tent over 100", "a tent for not much more than 100 euros", "tents no more than 100",
    "tents not over 100", "a tent that does not exceed 100", "tent, shouldn't be any more expensive than 100 euros",
    "tent, I cannot pay more than €100", "I'm not willing to pay more than 100 for a tent", "no tents that cost more than 100",
    "dont want to spend over 100 on a tent", "tents, over 100 is too much", "tents, more than 100 euros is not possible", "a tent, nothing above 100 please",
    "tents, none over 100", "tent <= 100", "tent ≤ 100€", "a tent below or equal to 100", "tents 100 or less", "tents 100 or under", "tents 100 and under",
    "tents 100 euros or less", "tent 100 or cheaper", "tents, max 100", "tents up to 100", "tents at most 100", "don't show me tents over 100",
    "帐篷，预算不能超过100元", "帐篷，不想超过100元", "帐篷，价格不得超过100元", "帐篷不会超过100吧", "帐篷价格不要高于100", "帐篷 别高于100", "帐篷，不超过100",
    "帐篷，不可以超过一百元", "帐篷，我不想花超过100元", "帐篷价格不应超过100", "帐篷，别买超过100元的", "帐篷，超过100元的不要", "帐篷，高于100的不考虑", "帐篷，没有超过100的", "100元以下的帐篷", "帐篷，100以内",
])  # fmt: skip
def test_an_upper_limit_stays_one_however_it_is_said(request_: str):
    assert understood(request_) == set(from_text("category = Tents; price <= 100", SHOP))


@pytest.mark.parametrize(("request_", "wanted"), [
    ("tents, nothing under 100", "price >= 100"), ("tents not less than 100", "price >= 100"), ("a tent that doesn't cost less than 100", "price >= 100"),
    ("不能低于100元的帐篷", "price >= 100"), ("帐篷，不要低于100的", "price >= 100"), ("不少于100元的帐篷", "price >= 100"), ("tents 100 or more", "price >= 100"),
    ("100元以上的不要，推荐帐篷", "price < 100"), ("推荐帐篷，100元以上不行", "price < 100"), ("推荐帐篷，100元以下的不要", "price > 100"),
    ("tents under 100", "price < 100"), ("tent < 100", "price < 100"), ("tents over 100", "price > 100"), ("tent > 100 euros", "price > 100"),
    ("tents from 100", "price >= 100"), ("tents between 100 and 300", "price >= 100; price <= 300"), ("100元以上的帐篷", "price >= 100"),
    ("帐篷 300-500元", "price >= 300; price <= 500"), ("超过100元的帐篷", "price > 100"), ("低于100元的帐篷", "price < 100"), ("tent around 100", "price >= 80; price <= 120"),
    ("why not a tent under 100", "price < 100"), ("tents 20-30 €", "price >= 20; price <= 30"),
    ("I <3 tents", ""), ("tents for 2 or more people", ""), ("a tent with at least 3 pockets", ""), ("a tent, not between 100 and 200", ""), ("a tent, not around 100", ""),
    ("帐篷，不想花300以上", ""), ("帐篷，不要300以上的", ""), ("帐篷，不要比300便宜的", ""), ("I won't pay 300 or more for a tent", ""), ("帐篷，不要100-200的", ""), ("帐篷，不要100左右的", ""),
    ("tents no cheaper than 100", "price >= 100"), ("my budget doesn't allow more than 300 for a tent", "price <= 300"), ("帐篷，300以上太贵了", "price < 300"), ("帐篷，比300便宜的", "price < 300"),
    ("tents, under 100 is too cheap", ""), ("tents without hood over 100", ""), ("no camping tents under 100", ""),
])  # fmt: skip
def test_a_limit_is_turned_only_by_its_own_negation_and_dropped_in_doubt(request_: str, wanted: str):
    said = {one for one in VOCABULARY.understand(request_).conditions if one.field == "price"}
    assert said == set(from_text(wanted, SHOP)), to_text(tuple(said))


@pytest.mark.parametrize(("request_", "wanted"), [
    ("boots without leather under 100", "category = Boots; material != leather; price < 100"),
    ("a flask under 40 that is not steel", "category = Flasks; price < 40; material != steel"),
    ("tents, not red, under 100", "category = Tents; colour != red; price < 100"),
    ("a tent that is not red under 100 euros", "category = Tents; colour != red; price < 100"),
    ("不要红色的帐篷，预算不能超过300", "category = Tents; colour != red; price <= 300"),
    ("nothing over 100 and no leather, boots please", "category = Boots; material != leather; price <= 100"),
])  # fmt: skip
def test_a_refused_thing_and_a_limit_are_two_conditions(request_: str, wanted: str):
    assert understood(request_) == set(from_text(wanted, SHOP)), to_text(VOCABULARY.understand(request_).conditions)


@pytest.mark.parametrize("request_", [
    "I am allergic to nuts, recommend a chocolate", "recommend a chocolate, I can't eat nuts", "chocolate that does not have nuts",
    "chocolate that doesn't contain nuts", "chocolate without nuts", "chocolate without traces of nuts", "chocolate without any traces of nuts",
    "nut-free chocolate", "chocolate, nut free", "chocolate free of nuts", "chocolate free from nuts", "chocolate for someone with a nut allergy", "I have a nut allergy, any chocolate?",
    "my son is severely allergic to nuts, which chocolate do you have?", "chocolate with no nuts", "chocolate, but no nuts please", "recommend a chocolate, nuts make me sick",
    "chocolate for a nut intolerant person", "chocolate, I'm intolerant to nuts", "chocolate excluding nuts", "chocolate, nuts excluded", "cant eat nuts, recommend a chocolate",
    "chocolate that hasn't got nuts", "chocolate not containing nuts", "I avoid nuts, chocolate?", "never eat nuts, recommend a chocolate", "chocolate, must not contain nuts",
    "推荐巧克力，我对坚果过敏", "坚果过敏，推荐巧克力", "推荐不含坚果的巧克力", "推荐没有坚果的巧克力", "无坚果的巧克力", "推荐巧克力，不能有坚果", "我不吃坚果，推荐巧克力", "推荐巧克力，坚果我吃不了",
    "推荐巧克力，我妈妈对坚果过敏", "可以推荐没有坚果的巧克力吗？", "推荐巧克力，不要坚果", "推荐巧克力，坚果除外", "我吃不了坚果，推荐巧克力", "除坚果以外的巧克力",
])  # fmt: skip
def test_what_one_must_not_eat_is_refused(request_: str):
    assert understood(request_) == set(from_text("category = Chocolate; contains != nuts", SHOP))


@pytest.mark.parametrize(("request_", "refused"), [
    ("I'm allergic to nuts, milk and soy", {"nuts", "milk", "soy"}), ("chocolate without nuts or milk", {"nuts", "milk"}), ("chocolate without nuts, milk or soy", {"nuts", "milk", "soy"}),
    ("no nuts, no milk", {"nuts", "milk"}), ("neither nuts nor milk", {"nuts", "milk"}), ("我对坚果和牛奶过敏", {"nuts", "milk"}), ("坚果和牛奶都不要", {"nuts", "milk"}),
    ("nut and milk allergy", {"nuts", "milk"}), ("不含坚果、牛奶的巧克力", {"nuts", "milk"}), ("allergies: nuts, milk or soy", {"nuts", "milk", "soy"}),
])  # fmt: skip
def test_a_list_of_refused_things_is_refused_to_its_end(request_: str, refused: set[str]):
    said = VOCABULARY.understand(request_).conditions
    assert {value for one in said if one.field == "contains" for value in one.values if one.test == "not"} == refused
    assert all(one.test == "not" for one in said if one.field == "contains")


@pytest.mark.parametrize("request_", [
    "don't show me red tents", "I dislike red, show me tents", "no red tents please", "tents not in red", "tents, anything but red", "tents in any colour except red", "I hate red, any tents?",
    "a tent, red is out", "tents, not red please", "tents other than red", "I don't like red, a tent please", "I would not buy red, recommend a tent", "I'm not into red, show me tents",
    "dont show me red tents", "show me tents, red excluded", "I can't stand red, recommend a tent", "please don't recommend red tents", "no tents in red", "don't show me tents in red", "a tent that isn't red",
    "红色不要，推荐帐篷", "推荐帐篷，红色的不要", "推荐帐篷，红色除外", "除红色以外的帐篷", "除了红色，其他颜色的帐篷都行", "不想买红色的帐篷", "讨厌红色，推荐帐篷", "不要红色的帐篷", "帐篷不要红色的",
    "别给我推荐红色的帐篷", "红色的帐篷不要", "推荐帐篷，我不喜欢红色", "推荐帐篷，红色我不喜欢", "推荐帐篷，别要红色", "不想看红色的帐篷", "除红色之外的帐篷", "非红色的帐篷", "推荐帐篷，红色不行", "拒绝红色，推荐帐篷", "推荐帐篷，红色就算了",
])  # fmt: skip
def test_a_refused_colour_is_refused(request_: str):
    assert understood(request_) == set(from_text("category = Tents; colour != red", SHOP))


@pytest.mark.parametrize(("request_", "wanted"), [
    ("I'd rather not have leather boots", "category = Boots; material != leather"), ("I can't wear wool, any sweaters?", "category = Sweaters; material != wool"),
    ("I am allergic to wool, recommend sweaters", "category = Sweaters; material != wool"), ("毛衣，我对羊毛过敏", "category = Sweaters; material != wool"),
    ("recommend boots, no boots with leather", "category = Boots; material != leather"), ("no boots made of leather", "category = Boots; material != leather"), ("no tents from Tarnhaus", "category = Tents; brand != Tarnhaus"),
    ("chocolate for kids allergic to nuts", "category = Chocolate; contains != nuts; name = kids"), ("巧克力，孩子过敏，不能有坚果", "category = Chocolate; contains != nuts; name = kids"),
    ("2-person tents without leather", "category = Tents; capacity = 2 persons; material != leather"), ("要红色不要黑色的帐篷", "category = Tents; colour = red; colour != black"),
    ("不是红色而是蓝色的帐篷", "category = Tents; colour = blue; colour != red"), ("a red tent, not black", "category = Tents; colour = red; colour != black"),
    ("not red, blue please, a tent", "category = Tents; colour = blue; colour != red"), ("帐篷不要红色，蓝色就好", "category = Tents; colour = blue; colour != red"),
    ("no wool, leather boots", "category = Boots; material = leather; material != wool"), ("red rather than black tents", "category = Tents; colour = red; colour != black"),
])  # fmt: skip
def test_a_negation_refuses_what_it_stands_by_and_no_more(request_: str, wanted: str):
    assert understood(request_) == set(from_text(wanted, SHOP)), to_text(VOCABULARY.understand(request_).conditions)


@pytest.mark.parametrize("request_", [
    "a tent, I am not in the mood for something red", "I never did get on with red", "tents, I don't think much of red", "red is not something I would wear", "nuts could kill me, recommend chocolate", "chocolate, careful with nuts, allergy", "wool itches, recommend a sweater", "羊毛会让我过敏，推荐毛衣",
    "羊毛穿了会痒，推荐毛衣", "对羊毛不过敏，推荐毛衣", "靴子，皮革不太喜欢", "皮革不太想要，推荐靴子", "红色和黑色都不要的帐篷", "boots, leather not wanted", "boots, leather is a no", "a tent, red doesn't suit me",
    "I'm not allergic to red", "not without red", "I wouldn't say no to red", "it doesn't have to be red", "a tent that need not be red", "red or not, a tent", "a tent, I don't mind red", "I don't have a red tent",
    "I don't want anything but red", "红色或者不红色都行的帐篷", "帐篷不一定要红色", "不需要红色的帐篷", "红色不适合我，推荐帐篷", "推荐帐篷，我无法忍受穿不出去的红色，不过", "不介意红色的帐篷",
    "不能没有红色", "我没有红色的帐篷", "红色对我来说不合适", "a tent, we cannot have anything at home that is red", "doubtful about red? not me, never red",
])  # fmt: skip
def test_what_may_be_refused_is_never_required(request_: str):
    assert not [
        one for one in understood(request_) if one.field in {"colour", "material", "contains"} and one.test == "is"
    ]


@pytest.mark.parametrize(("request_", "wanted"), [
    ("recommend a red tent", "category = Tents; colour = red"), ("don't you have red tents?", "category = Tents; colour = red"), ("haven't you got red tents", "category = Tents; colour = red"),
    ("not only red but also black tents", "category = Tents; colour = red | black"), ("a red tent that is not too heavy", "category = Tents; colour = red"), ("a not too expensive red tent", "category = Tents; colour = red"),
    ("nothing but red tents", "category = Tents; colour = red"), ("non-slip black boots", "category = Boots; colour = black"), ("I can't find a red tent", "category = Tents; colour = red"),
    ("I'm not sure which red tent to buy", "category = Tents; colour = red"), ("I don't know which tent, a red one", "category = Tents; colour = red"), ("waterproof boots that don't leak in black", "category = Boots; waterproof = yes; colour = black"),
    ("no problem, a red tent", "category = Tents; colour = red"), ("red tents, free shipping", "category = Tents; colour = red"), ("why not a red tent", "category = Tents; colour = red"),
    ("it's cold, not fun, so recommend a wool sweater", "category = Sweaters; material = wool"), ("anti-allergic wool sweater", "category = Sweaters; material = wool"),
    ("we have no tent, do you have red ones?", "category = Tents; colour = red"), ("a stainless steel flask", "category = Flasks; material = stainless steel"), ("boots free delivery", "category = Boots"),
    ("推荐特别防水的帐篷", "category = Tents; waterproof = yes"), ("有别的红色帐篷吗", "category = Tents; colour = red"), ("分别推荐红色的帐篷", "category = Tents; colour = red"), ("送给别人的红色帐篷", "category = Tents; colour = red"),
    ("级别高的防水帐篷", "category = Tents; waterproof = yes"), ("你们没有红色的帐篷吗？", "category = Tents; colour = red"), ("有没有红色的帐篷", "category = Tents; colour = red"), ("能不能推荐红色帐篷", "category = Tents; colour = red"),
    ("不漏水的红色帐篷", "category = Tents; colour = red"), ("不掉色的红色毛衣", "category = Sweaters; colour = red"), ("不扎人的羊毛毛衣", "category = Sweaters; material = wool"), ("不太贵的红色帐篷", "category = Tents; colour = red"),
    ("不锈钢水壶", "category = Flasks; material = stainless steel"), ("红色的不锈钢水壶", "category = Flasks; colour = red; material = stainless steel"), ("不知道哪款红色帐篷好", "category = Tents; colour = red"),
    ("红色不错，推荐帐篷", "category = Tents; colour = red"), ("不好意思，想要红色的帐篷", "category = Tents; colour = red"), ("非常防水的帐篷", "category = Tents; waterproof = yes"), ("是不是有红色的帐篷", "category = Tents; colour = red"),
    ("不怕冷，要红色毛衣", "category = Sweaters; colour = red"), ("性别不限，红色毛衣", "category = Sweaters; colour = red"), ("找不到红色帐篷", "category = Tents; colour = red"), ("不想要太贵的防水靴子", "category = Boots; waterproof = yes"), ("除了帐篷还要靴子", "category = Tents | Boots"), ("防过敏的羊毛毛衣", "category = Sweaters; material = wool"),
    ("a wool sweater that doesn't itch", "category = Sweaters; material = wool"), ("no thanks, show me red tents", "category = Tents; colour = red"), ("红色的帐篷，不要别的", "category = Tents; colour = red"), ("冬天不冷的毛衣", "category = Sweaters; season = winter"),
])  # fmt: skip
def test_a_negation_that_refuses_nothing_leaves_the_wish_as_it_is(request_: str, wanted: str):
    assert understood(request_) == set(from_text(wanted, SHOP)), to_text(VOCABULARY.understand(request_).conditions)


def test_a_word_in_doubt_is_unread_and_stays_for_the_ranking():
    wish = VOCABULARY.understand("tents, I am not in the mood for something red")
    assert "red" in wish.unread
    assert "red" in wish.about


def test_what_is_refused_is_also_refused_in_names_where_rows_do_not_fill_the_field():
    table = Table([
        Item("1", "Nut Nougat", category="Chocolate"), Item("2", "Plain Bar", category="Chocolate", attributes={"contains": "milk"}),
        Item("3", "Praline", category="Chocolate", attributes={"contains": "nut"}), Item("4", "Silent Bar", category="Chocolate"),
    ])  # fmt: skip
    for request in (
        "chocolate, I am allergic to nuts",
        "chocolate without nuts",
        "chocolate for someone with a nut allergy",
    ):
        said = Vocabulary(table, {}).understand(request).conditions
        assert table.allowed(said).tolist() == [False, True, False, True], to_text(said)
    bare = Table([Item("1", "Nut Nougat", category="Chocolate"), Item("2", "Plain Bar", category="Chocolate")])
    for request in (
        "chocolate, I am allergic to nuts",
        "chocolate without nuts",
        "chocolate for someone with a nut allergy",
    ):
        said = Vocabulary(bare, {}).understand(request).conditions
        assert bare.allowed(said).tolist() == [False, True], to_text(said)


@pytest.mark.parametrize(("request_", "wanted"), [
    ("推荐个不带靴子的帐篷", "category = Tents; category != Boots"), ("没有靴子的帐篷", "category = Tents; category != Boots"), ("推荐不含毛衣和靴子的帐篷", "category = Tents; category != Sweaters | Boots"),
    ("推荐个不要靴子的帐篷", "category = Tents; category != Boots"), ("不要靴子的帐篷", "category != Boots | Tents"), ("a tent without boots", "category = Tents; category != Boots"),
])  # fmt: skip
def test_goods_that_are_to_lack_others_are_wanted_themselves(request_: str, wanted: str):
    assert understood(request_) == set(from_text(wanted, SHOP)), to_text(VOCABULARY.understand(request_).conditions)


@pytest.mark.parametrize(
    "request_", ["超过100元的不要 推荐帐篷", "帐篷 超100的不要 谢谢", "帐篷 别超100", "帐篷，不能超100"]
)
def test_a_space_for_a_comma_and_a_short_word_for_over_keep_an_upper_limit_one(request_: str):
    assert understood(request_) == set(from_text("category = Tents; price <= 100", SHOP))
