"""An approved answer wins for its questions, whole and cited; for every other question it does not exist."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from assistant.core import Assistant
from assistant.curated import Draft
from assistant.engines.echo import EchoEngine
from assistant.errors import BadInput
from assistant.ingest import ingest
from assistant.retrieval.embedders import HashingEmbedder
from assistant.retrieval.search import Searcher
from assistant.rows import now
from assistant.settings import load_settings
from assistant.store import Store
from assistant.types import CollectionInfo, Conversation, Done, Message, Outcome

POLICY = "# Returns\n\nUnused boots can be returned within 30 days of delivery. Tents are repaired for 15 EUR.\n"
TEXT = "Boots: 60 days for members.\nEverybody else: 30 days — unworn, in the box."
QUESTION = "How long can I return boots?"
ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "benchmarks/calibration/same_questions.jsonl").read_text().splitlines()
]


class Alike(HashingEmbedder):
    """Finds any two texts alike: the rules alone must tell them apart."""

    name = "minilm"
    id = "alike@1"
    encoded = 0

    def encode(self, texts):
        Alike.encoded += len(texts)
        return np.ones((len(texts), 1), dtype=np.float32)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("house")
    (tmp_path / "policy.md").write_text(POLICY)
    settings = load_settings(
        data_dir=tmp_path / "data", model={"engine": "echo"}, retrieval={"embedder": "hashing", "threshold": 0.05}
    )
    store = Store.open(settings.data_dir)
    searcher = Searcher(store, settings)
    ingest([tmp_path / "policy.md"], store=store, settings=settings, index=searcher, collection="shop")
    made = Assistant(settings=settings, store=store, searcher=searcher, engine=EchoEngine(script=["."]))
    yield made
    made.close()


@pytest.fixture
def assistant(house):
    yield house
    for approved in house.approvals.curated.all("shop"):
        house.approvals.curated.remove(approved.id)


@pytest.fixture
def alike(assistant, monkeypatch):
    monkeypatch.setattr(assistant.approvals, "_embedder", lambda collection: Alike())
    return assistant


def ask(assistant, question, *, customer="", history=()):
    conversation = Conversation(f"c-{customer}" if customer else "", customer, tuple(history))
    event = list(assistant.ask(conversation, question))[-1]
    assert isinstance(event, Done)
    return event.answer


def approve(assistant, *questions, text=TEXT, **draft):
    return assistant.approvals.curated.add("shop", Draft(questions, text, **draft), by="ada")


def test_it_wins_over_the_model_and_cites_itself_byte_for_byte(assistant):
    approve(assistant, QUESTION)
    answer = ask(assistant, "how long can I return boots")
    (citation,) = answer.citations
    passage = assistant.store.passage("default", citation.passage_id)
    document = assistant.store.document(passage.document_id)
    assert answer.outcome is Outcome.ANSWERED
    assert answer.text == citation.quote == passage.text[citation.start : citation.end] == document.text == TEXT
    assert (answer.receipt.shape, answer.receipt.usage.completion_tokens) == ("approved", 0)
    assert "approved this answer" in answer.receipt.notes[0]
    assert "ada" not in answer.receipt.notes[0]


def test_what_is_approved_is_looked_through_as_the_settings_want_it(tmp_path):
    settings = load_settings(data_dir=tmp_path, privacy={"order_formats": ["KF-####-@@"]})
    store = Store.open(tmp_path)
    store.save_collection(CollectionInfo("default", "shop", ("en",), "hashing", 0.5))
    assistant = Assistant(settings=settings, store=store, searcher=Searcher(store, settings))
    with pytest.raises(BadInput, match="KF-1001-XY"):
        approve(assistant, QUESTION, text="Your parcel KF-1001-XY is on its way.")
    assistant.close()


def test_it_never_wins_for_a_question_that_it_was_not_approved_for(alike):
    rows = ROWS[::6]
    for number, row in enumerate(rows):
        alike.approvals.curated.add("shop", Draft((row["question"],), f"Text {number}.", sure=True), by="ada")
    for number, row in enumerate(rows):
        for text in row["other"]:
            assert alike.approvals.match("shop", text) is None, text
        right = [match.answer.text for text in row["same"] if (match := alike.approvals.match("shop", text))]
        assert set(right) <= {f"Text {number}."}


def test_its_text_is_never_found_by_searching(assistant):
    approve(assistant, "Do you sell zeppelins?", text="Zeppelins are repaired for 15 EUR within 30 days.")
    assistant.searcher.refresh("default", "shop")
    hits = assistant.searcher.search("default", "shop", "What does it cost when zeppelins are repaired?", 10)
    assert all("Zeppelin" not in hit.passage.text for hit in hits)


@pytest.mark.parametrize("message", ["I want to talk to a person", "Hello!", "谢谢"])
def test_a_person_is_reached_and_a_greeting_greeted_whatever_is_approved(assistant, message):
    approve(assistant, message)
    assert ask(assistant, message).text != TEXT


def test_what_is_about_the_customers_own_order_goes_to_a_person_unless_it_is_approved_word_for_word(alike):
    approve(alike, "Where is my parcel?")
    assert ask(alike, "Where is my parcel?").text == TEXT
    assert ask(alike, "Where is my parcel 44112?").outcome is Outcome.NEEDS_HUMAN


def test_switched_off_expired_edited_and_removed_count_at_the_next_question(assistant):
    curated = assistant.approvals.curated
    made = approve(assistant, QUESTION)
    curated.switch(made.id, False, by="ada")
    assert ask(assistant, QUESTION).text != TEXT
    curated.switch(made.id, True, by="ada")
    assert ask(assistant, QUESTION).text == TEXT
    curated.edit(made.id, Draft((QUESTION,), TEXT, now() - dt.timedelta(seconds=1)), by="ada")
    assert ask(assistant, QUESTION).text != TEXT
    curated.edit(made.id, Draft(("Boots?",), "New.", now() + dt.timedelta(days=1)), by="ada")
    assert ask(assistant, QUESTION).text != "New."
    assert ask(assistant, "boots").text == "New."
    curated.remove(made.id)
    assert ask(assistant, "boots").text != "New."


def test_customers_are_counted_and_trials_are_not(assistant):
    made = approve(assistant, QUESTION)
    ask(assistant, QUESTION)
    ask(assistant, QUESTION, customer="one")
    found = assistant.approvals.curated.find(made.id)
    assert found.hits == 1
    assert found.last_hit is not None


def test_a_follow_up_is_matched_as_what_it_means(assistant):
    approve(assistant, "And if they are worn?")
    history = (Message("user", "Can I return pans?"), Message("assistant", "Yes."))
    assert ask(assistant, "And if they are worn?", history=history).text != TEXT


def test_one_collections_answers_are_not_anothers(assistant):
    approve(assistant, QUESTION)
    assert assistant.approvals.match("shop", QUESTION)
    assert assistant.approvals.match("other", QUESTION) is None


def test_approved_questions_are_embedded_once(alike):
    approve(alike, QUESTION, "Boots: until when?")
    Alike.encoded = 0
    for _ in range(3):
        alike.approvals.match("shop", "Tents?")
    assert Alike.encoded == 2 + 3


def test_a_broken_matcher_costs_no_answer(assistant, monkeypatch):
    approve(assistant, QUESTION)
    monkeypatch.setattr(assistant.approvals, "match", lambda *_: 1 / 0)
    answer = ask(assistant, QUESTION)
    assert answer.outcome is Outcome.ANSWERED
    assert "approved answers: ZeroDivisionError" in answer.receipt.notes
