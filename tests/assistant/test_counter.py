"""Goods in a conversation: a wish is answered with goods, a question is not, a follow-up refines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from wares import ITEMS, WORDS, events

from assistant.advisor import Advisor
from assistant.counter import Counter, Offer
from assistant.stock import Stock
from assistant.store import Store
from assistant.types import Conversation


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    store = Store.open(tmp_path)
    shelf = Stock(store, "t", "shop")
    shelf.put(ITEMS)
    shelf.save_words(WORDS)
    shelf.add(events())
    yield Counter(Advisor(store, "t"), store)
    store.close()


def shown(offer: Offer | None) -> list[str]:
    return [one.item.id for one in offer.advice.recommendations] if offer else []


def test_a_question_is_left_to_the_documents(counter: Counter):
    assert counter.offer(Conversation("1"), "shop", "Can I return boots?", "en") is None
    assert counter.offer(Conversation("1"), "empty", "recommend boots", "en") is None


def test_a_wish_is_answered_with_goods_alone_and_a_question_about_goods_with_both(counter: Counter):
    wish = counter.offer(Conversation("1"), "shop", "recommend waterproof boots", "en")
    question = counter.offer(Conversation("2"), "shop", "Do you have waterproof boots with spikes?", "en")
    assert wish is not None
    assert question is not None
    assert (wish.alone, question.alone) == (True, False)
    assert shown(wish) == shown(question)


def test_what_is_called_by_its_name_is_shown_beside_the_answer_in_stock_or_not(counter: Counter):
    offer = counter.offer(Conversation("1"), "shop", "Is the Rain Boot lighter than the Camp Stove?", "en")
    assert offer is not None
    assert not offer.alone
    assert set(shown(offer)) == {"rain-boot", "camp-stove"}
    assert counter.offer(Conversation("2"), "shop", "Can I return the Rain Boot?", "en") is None
    owner = Conversation("3", "c1")
    assert shown(counter.offer(owner, "shop", "How much is the Camp Stove?", "en")) == ["camp-stove"]


def test_cheaper_after_an_item_called_by_name_means_cheaper_ones_of_its_kind(counter: Counter):
    thread = Conversation("1")
    counter.offer(thread, "shop", "How much is the Rain Boot?", "en")
    assert shown(counter.offer(thread, "shop", "cheaper", "en")) == ["beach-sandal"]


def test_follow_ups_refine_what_was_shown(counter: Counter):
    thread = Conversation("1")
    first = shown(counter.offer(thread, "shop", "recommend boots", "en"))
    assert {"hill-boot-men", "rain-boot", "beach-sandal"} == set(first)
    price = {item.id: item.price for item in ITEMS}
    cheaper = counter.offer(thread, "shop", "cheaper than the first", "en")
    assert all(price[name] < price[first[0]] for name in shown(cheaper))
    black = counter.offer(thread, "shop", "in black", "en")
    assert set(shown(black)) <= {"beach-sandal"}


def test_the_most_of_what_was_shown_comes_first(counter: Counter):
    thread, price = Conversation("1"), {item.id: item.price for item in ITEMS}
    first = shown(counter.offer(thread, "shop", "recommend boots", "en"))
    dearest = shown(counter.offer(thread, "shop", "which of them is the most expensive?", "en"))
    assert set(dearest) == set(first)
    assert [price[name] for name in dearest] == sorted((price[name] for name in first), reverse=True)
    assert shown(counter.offer(thread, "shop", "and the cheapest?", "en")) == dearest[::-1]
    assert shown(counter.offer(thread, "shop", "and the most expensive?", "en")) == dearest


def test_more_like_one_leaves_it_out_and_keeps_the_conditions(counter: Counter):
    thread = Conversation("1")
    first = shown(counter.offer(thread, "shop", "recommend boots", "en"))
    offer = counter.offer(thread, "shop", "more like the second", "en")
    assert offer is not None
    assert first[1] not in shown(offer)
    assert set(shown(offer)) <= set(first)
    assert "Similar to" in offer.advice.recommendations[0].reasons[0].text


def test_something_else_does_not_show_the_same_again(counter: Counter):
    thread = Conversation("1")
    first = shown(counter.offer(thread, "shop", "recommend something", "en"))
    other = shown(counter.offer(thread, "shop", "show me something else", "en"))
    assert first
    assert other
    assert not set(first) & set(other)


def test_conversations_do_not_mix(counter: Counter):
    counter.offer(Conversation("1"), "shop", "recommend boots", "en")
    assert counter.offer(Conversation("2"), "shop", "cheaper", "en") is None


def test_more_goes_on_to_the_end_and_says_so(counter: Counter):
    for more, end in (("show me more", "That is all that fits."), ("换一批", "符合条件的商品都已列出。")):
        thread, seen = Conversation(more), list[str]()
        offer = counter.offer(thread, "shop", "recommend something", "en")
        while offer is not None and shown(offer):
            seen += shown(offer)
            offer = counter.offer(thread, "shop", more, "zh" if "换" in more else "en")
        assert len(seen) == len(set(seen)) == 8
        assert offer is not None
        assert offer.advice.text == end


def test_more_of_an_ordered_list_goes_on(counter: Counter):
    first = shown(counter.offer(Conversation("1"), "shop", "what is the cheapest boots or jackets", "en"))
    more = shown(counter.offer(Conversation("1"), "shop", "show me more", "en"))
    assert len(first) == 4
    assert more == ["down-jacket-women"]


def test_which_one_is_cheaper_orders_what_was_shown(counter: Counter):
    thread, price = Conversation("1"), {item.id: item.price for item in ITEMS}
    counter.offer(thread, "shop", "recommend boots", "en")
    offer = counter.offer(thread, "shop", "which one is cheaper?", "en")
    assert shown(offer) == sorted(shown(offer), key=price.__getitem__)
    assert len(shown(offer)) == 3
    assert shown(offer)[0] not in shown(counter.offer(thread, "shop", "more like the first", "en"))
    counter.offer(Conversation("2"), "shop", "Is the Rain Boot lighter than the Camp Stove?", "en")
    assert shown(counter.offer(Conversation("2"), "shop", "the cheaper one", "en")) == ["camp-stove", "rain-boot"]


def test_a_place_in_the_list_calls_its_item_by_name_and_the_list_stays(counter: Counter):
    thread = Conversation("1")
    first = shown(counter.offer(thread, "shop", "recommend boots", "en"))
    names = {item.id: item.name for item in ITEMS}
    for message, place in (("is the second one in stock?", 1), ("how much is the last one?", 2), ("第一个多少钱", 0)):
        offer = counter.offer(thread, "shop", message, "en")
        assert offer is not None
        assert (shown(offer), offer.alone) == ([first[place]], False)
        assert names[first[place]] in offer.question
    assert counter.offer(thread, "shop", "how much is the fifth one?", "en") is None


def test_an_unmet_wish_with_more_words_in_it_is_explained(counter: Counter):
    offer = counter.offer(Conversation("1"), "shop", "I have a budget of 20 and need a jacket for a long walk", "en")
    assert offer is not None
    assert (shown(offer), offer.alone) == ([], False)
    assert "price" in offer.advice.text
    assert counter.offer(Conversation("1"), "shop", "my boots have a green stain", "en") is None


@pytest.mark.parametrize(
    ("sentence", "wanted"),
    [
        ("I need waterproof boots.", True),
        ("I'm looking for sandals.", True),
        ("I need a mortgage.", False),
        ("I bought boots last week.", False),
        ("I need to return my boots.", False),
    ],
)
def test_a_sentence_is_a_wish_only_for_what_the_catalogue_names(counter: Counter, sentence: str, wanted: bool):
    assert counter.wanted("shop", sentence) is wanted
    assert not counter.wanted("empty", sentence)
