"""A question reaches the documents; a wish reaches the catalogue; a follow-up refines what was shown."""

from __future__ import annotations

import pytest
from wares import ITEMS, WORDS

from assistant.goods import Item
from assistant.recommend.intents import FollowUp, decide, follow_up, with_name
from assistant.recommend.requests import Vocabulary
from assistant.recommend.table import Table

VOCABULARY = Vocabulary(Table(ITEMS), WORDS)


@pytest.mark.parametrize(("message", "wanted"), [
    ("recommend a jacket under 100", "advise"), ("I'm looking for waterproof boots", "advise"), ("想买一双鞋", "advise"),
    ("推荐一件防水夹克", "advise"), ("something like the boots I bought", "advise"), ("can you suggest something for me?", "advise"),
    ("Do you have blue jackets?", "advise"), ("do u have waterproof boots", "advise"), ("Which jackets are waterproof?", "advise"),
    ("有没有红色的夹克？", "advise"), ("what is the cheapest jacket", "advise"), ("最便宜的鞋是哪双", "advise"),
    ("Do you have jackets with a hood for helmets?", "both"), ("What is the cheapest delivery?", "answer"),
    ("What is the cheapest way to return boots?", "answer"),
    ("Recommend boots and tell me how I can return them", "both"),
    ("Can I return boots?", "answer"), ("How do I wash a down jacket?", "answer"), ("What does the Rain Boot cost?", "both"),
    ("I'm looking for your opening hours", "answer"), ("I want to exchange my boots", "answer"), ("鞋子可以退货吗？", "answer"),
    ("Is the Rain Boot waterproof?", "both"), ("Can I return the Rain Boot?", "answer"), ("长柄勺多少钱", "both"), ("Do you sell kayaks?", "answer"), ("recommend a restaurant", "answer"),
    ("能帮我缝补夹克吗", "answer"), ("上门量夹克吗", "answer"), ("夹克声音大吗", "answer"), ("有夹克吗", "advise"), ("夹克有吗？", "advise"), ("卖夹克吗", "advise"), ("你们有上门量夹克的吗", "answer"), ("夹克防水吗", "both"), ("are the jackets waterproof?", "both"),
    ("50元以上100元以下的夹克", "advise"), ("red jackets under 100", "advise"), ("red jackets for walks under 100", "both"), ("有没有夹克盖", "both"),
    ("预算400，想要个长勺", "both"), ("I need a spoon under 20", "both"), ("预算400，想要个睡袋", "answer"), ("recommend a hotel under 100", "answer"), ("五十块钱能买到什么", "advise"), ("something under 50", "advise"), ("I want a refund of more than 50", "answer"), ("便宜点的夹克", "advise"), ("cheaper jackets", "advise"),
])  # fmt: skip
def test_what_a_message_wants(message: str, wanted: str):
    assert decide(message, VOCABULARY.understand(message)) == wanted


@pytest.mark.parametrize(("message", "wanted"), [
    ("cheaper", FollowUp("cheaper")), ("便宜一点的", FollowUp("cheaper")), ("cheaper than the second", FollowUp("cheaper", 2)),
    ("in blue", FollowUp("refine")), ("size 42 please", FollowUp("refine")), ("要红色的", FollowUp("refine")),
    ("more like the second one", FollowUp("like", 2)), ("像第二个", FollowUp("like", 2)), ("something like the last", FollowUp("like", -1)),
    ("show me something else", FollowUp("other")), ("which of them is the lightest?", FollowUp("refine")),
    ("哪个最便宜？", FollowUp("refine")), ("最便宜的是哪个", FollowUp("refine")), ("which is the cheapest delivery?", None), ("换一批", FollowUp("other")),
    ("which one is cheaper?", FollowUp("compare")), ("the cheaper one", FollowUp("compare")), ("which of them is lighter", FollowUp("compare")),
    ("哪个更便宜？", FollowUp("compare")), ("哪个便宜一点", FollowUp("compare")), ("cheaper ones", FollowUp("cheaper")), ("which is cheaper, cash or card?", FollowUp("cheaper")),
    ("is the second one in stock?", FollowUp("about", 2)), ("how much is the first one?", FollowUp("about", 1)), ("what colour is the last one", FollowUp("about", -1)),
    ("第二个有货吗", FollowUp("about", 2)), ("最后一个是什么颜色", FollowUp("about", -1)), ("第一个月多少钱", None), ("what happens at the first appointment?", None), ("Can I return the second one?", None),
    ("Can I return it?", None), ("thanks a lot", None), ("How much does it weigh?", None), ("boots under 50", None), ("长柄勺 红色吗", None),
])  # fmt: skip
def test_what_a_follow_up_does(message: str, wanted: FollowUp | None):
    assert follow_up(message, VOCABULARY.understand(message)) == wanted


@pytest.mark.parametrize("message", [
    "Is express delivery cheaper than standard?", "The shipping is too expensive, is there a cheaper option?", "运费太贵了",
    "Is it cheaper if I pick it up in the store?", "有优惠券会更便宜吗？", "What happens next?",
])  # fmt: skip
def test_after_a_list_of_goods_a_question_about_service_is_no_follow_up(message: str):
    wish = VOCABULARY.understand(message)
    assert (follow_up(message, wish), decide(message, wish)) == (None, "answer")


@pytest.mark.parametrize(("message", "turn"), [
    ("Can I see cheaper ones?", "cheaper"), ("能不能推荐便宜一点的", "cheaper"), ("怎么这么贵，有便宜点的吗", "cheaper"),
    ("next", "other"), ("show me the next ones please", "other"),
])  # fmt: skip
def test_after_a_list_of_goods_a_polite_wish_is_a_follow_up(message: str, turn: str):
    assert follow_up(message, VOCABULARY.understand(message)) == FollowUp(turn)


@pytest.mark.parametrize("message", [
    "I need help lacing my boots", "I need a spare part for my jacket", "I want to impregnate my jacket", "我想要了解一下夹克的保养方法",
])  # fmt: skip
def test_a_wish_that_says_more_than_which_goods_is_looked_up_in_the_documents_too(message: str):
    assert decide(message, VOCABULARY.understand(message)) == "both"


@pytest.mark.parametrize(("message", "wanted"), [
    ("recommend something for my cat", "advise"), ("what do you have for cats", "advise"), ("do you have anything for cats?", "advise"), ("I need a gift for a cat lover", "both"),
    ("do you recommend vaccinating my cat?", "both"), ("Is there anything I should know about cats?", "answer"), ("do you treat cats?", "answer"), ("I need a refund for the cat, is there anything I can do", "answer"),
])  # fmt: skip
def test_a_wish_for_anything_is_one_by_the_shops_own_columns_too(message: str, wanted: str):
    shop = Vocabulary(Table([Item(kind, kind, attributes={"animal": kind}) for kind in ("cat", "dog")]), {})
    assert decide(message, shop.understand(message)) == wanted


def test_what_is_pointed_to_is_called_by_its_name():
    said = {
        message: with_name(message, "X") for message in ("Is the Second one blue?", "第二个有货吗", "the first aid kit")
    }
    assert said == {
        "Is the Second one blue?": "Is X blue?",
        "第二个有货吗": "X有货吗",
        "the first aid kit": "the first aid kit",
    }
