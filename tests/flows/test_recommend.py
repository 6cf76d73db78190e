"""The walk recommend inside the walk ask: a wish, its follow-ups and a question in one stored conversation."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from wares import ITEMS, WORDS, events

from assistant import core
from assistant.advisor import Query
from assistant.core import Assistant
from assistant.ingest import ingest
from assistant.settings import ModelSettings, RetrievalSettings, Settings
from assistant.stock import Stock
from assistant.types import Answer, Conversation, Done, Message, Outcome


@pytest.fixture
def assistant(tmp_path: Path) -> Iterator[Assistant]:
    settings = Settings(
        data_dir=tmp_path / "data", model=ModelSettings(engine="echo"), retrieval=RetrievalSettings(embedder="hashing")
    )
    made = Assistant.open(settings)
    (tmp_path / "returns.md").write_text("# Returns\n\nYou can return boots within 30 days of delivery.\n")
    ingest([tmp_path / "returns.md"], store=made.store, settings=settings, index=made.searcher, collection="shop")
    shelf = Stock(made.store, settings.tenant, "shop")
    shelf.put(ITEMS)
    shelf.save_words(WORDS)
    shelf.add(events())
    yield made
    made.close()


def ask(assistant: Assistant, question: str, thread: Conversation) -> Answer:
    turns = tuple(turn.message for turn in assistant.store.turns(thread.id, thread.customer))
    for event in assistant.ask(Conversation(thread.id, thread.customer, turns), question):
        if isinstance(event, Done):
            return event.answer
    raise AssertionError("no answer")


def never_sure(assistant: Assistant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is answered, and nothing is supported enough to be sure."""
    info = assistant.store.collection(assistant.settings.tenant, "shop")
    assert info is not None
    assistant.store.save_collection(dataclasses.replace(info, threshold=0.0))
    monkeypatch.setattr(core, "sure_support", lambda info: 2.0)


def test_a_wish_its_follow_up_and_a_question_in_one_conversation(assistant: Assistant):
    thread = Conversation("c", "visitor")
    wish = ask(assistant, "recommend waterproof boots", thread)
    assert wish.outcome is Outcome.ANSWERED
    assert wish.advice is not None
    assert wish.text == wish.advice.text
    shown = [one.item for one in wish.advice.recommendations]
    assert {item.id for item in shown} == {"hill-boot-men", "rain-boot"}
    assistant.counter._shown.clear()  # as after a restart: what was shown is in the store
    cheaper = ask(assistant, "cheaper than 100", thread)
    assert cheaper.advice is not None
    assert [one.item.id for one in cheaper.advice.recommendations] == ["rain-boot"]
    question = ask(assistant, "Can I return boots?", thread)
    assert question.advice is None
    assert "30 days" in question.text


def test_goods_stand_in_for_a_refusal_and_it_says_so(assistant: Assistant):
    answer = ask(assistant, "Do you have waterproof boots with spikes?", Conversation("c", "visitor"))
    assert answer.outcome is Outcome.NOT_IN_KNOWLEDGE_BASE
    assert answer.advice is not None
    head, *lines = answer.text.split("\n")
    assert head.startswith("I could not find an answer to this")
    assert lines == answer.advice.text.split("\n")[1:]


def test_the_row_of_what_is_called_by_name_stands_above_quotes_that_are_not_sure(assistant: Assistant, monkeypatch):
    never_sure(assistant, monkeypatch)
    answer = ask(assistant, "How much is the Rain Boot?", Conversation("c", "visitor"))
    row, warning, *_ = answer.text.split("\n\n")
    assert row.split("\n")[1:] == ["1. Rain Boot: 60.00 EUR, 5 in stock"]
    assert warning.startswith("I am not sure")
    assert not answer.receipt.sure


def test_goods_that_fit_stand_above_quotes_that_are_not_sure(assistant: Assistant, monkeypatch):
    never_sure(assistant, monkeypatch)
    answer = ask(assistant, "Do you have waterproof boots with spikes?", Conversation("c", "visitor"))
    goods, warning, *_ = answer.text.split("\n\n")
    assert goods.split("\n")[0] == "In the catalogue:"
    assert answer.advice is not None
    assert goods.split("\n")[1:] == answer.advice.text.split("\n")[1:]
    assert warning.startswith("I am not sure")


def test_a_wish_for_what_is_not_there_is_told_so_and_not_that_the_documents_are_silent(assistant: Assistant):
    answer = ask(assistant, "I need a hooded jacket for my grandmother under 20", Conversation("c", "visitor"))
    assert answer.outcome is Outcome.NOT_IN_KNOWLEDGE_BASE
    assert answer.text.startswith("Nothing in the catalogue fits all of this")
    assert answer.advice is not None
    assert answer.text == answer.advice.text


def test_an_item_of_the_list_is_searched_for_by_its_name(assistant: Assistant):
    thread = Conversation("c", "visitor")
    wish = ask(assistant, "recommend boots", thread)
    assert wish.advice is not None
    second = wish.advice.recommendations[1].item
    answer = ask(assistant, "is the second one in stock?", thread)
    assert answer.receipt.query == f"is {second.name} in stock?"
    assert f"1. {second.name}: {second.price} EUR, 5 in stock" in answer.text


def test_the_asked_field_of_a_named_product_in_the_documents_needs_no_warning(
    assistant: Assistant, tmp_path: Path, monkeypatch
):
    (tmp_path / "goods.csv").write_text("name,price,colour\nRain Boot,60.00 EUR,blue\nTall Boot,70.00 EUR,red\n")
    places = {"store": assistant.store, "settings": assistant.settings, "index": assistant.searcher}
    ingest([tmp_path / "goods.csv"], **places, collection="shop")
    never_sure(assistant, monkeypatch)
    assert ask(assistant, "How much is the Rain Boot?", Conversation("c", "visitor")).receipt.sure
    assert not ask(assistant, "Is the Rain Boot made for children?", Conversation("d", "visitor")).receipt.sure


def test_what_was_shown_is_kept_with_the_turn(assistant: Assistant):
    answer = ask(assistant, "推荐防水的鞋", Conversation("c", "visitor"))
    stored = assistant.store.turns("c", "visitor")[-1].answer
    assert stored is not None
    assert answer.advice is not None
    assert stored == json.loads(json.dumps(answer.to_dict()))
    assert stored["advice"]["recommendations"][0]["item"]["price"] == str(answer.advice.recommendations[0].item.price)
    assert answer.text.startswith("为您推荐：")


def test_without_a_catalogue_nothing_changes(assistant: Assistant, tmp_path: Path):
    Stock(assistant.store, assistant.settings.tenant, "shop").put([], prune=True)
    answer = ask(assistant, "recommend waterproof boots", Conversation("c", "visitor", (Message("user", "hi"),)))
    assert answer.advice is None


def test_the_same_walk_from_code(assistant: Assistant):
    assert assistant.recommend(Query(customer="c0", n=2)).recommendations
