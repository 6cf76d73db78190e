"""Topics gather what was asked alike; one customer counts once; drift is nothing where nothing changed."""

import datetime as dt

import numpy as np
import pytest

from assistant.curated import Curated, Draft
from assistant.dashboard import Period
from assistant.questions import Questions, clusters, moved
from assistant.retrieval.embedders import HashingEmbedder
from assistant.rows import now
from assistant.store import Store, Turn
from assistant.types import CollectionInfo, Conversation, Message


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path)
    opened.save_collection(CollectionInfo("default", "shop", ("en",), "hashing", 0.5))
    yield opened
    opened.close()


@pytest.fixture
def questions(store):
    return Questions(store, "default", lambda collection: HashingEmbedder())


def ask(store, customer, text, *, outcome="NOT_IN_KNOWLEDGE_BASE", days=0, human="", shape="none"):
    at = now() - dt.timedelta(days=days)
    name = f"c-{customer}-{text}-{days}"
    answer = {"id": name, "outcome": outcome, "citations": [], "receipt": {"shape": shape}}
    turns = [Turn("1", Message("user", text), None, at), Turn("2", Message("assistant", "…"), answer, at)]
    turns += [Turn("3", Message("assistant", human), None, at, by="ada")] if human else []
    store.append_turns(Conversation(name, customer), tenant="default", collection="shop", turns=turns)


def test_what_is_refused_is_gathered_by_topic_and_a_customer_counts_once(store, questions):
    for customer in ("a", "b", "c"):
        ask(store, customer, "Do you rent out kayaks?")
    for day in range(5):
        ask(store, "d", "Is there a climbing wall?", days=day)
    ask(store, "e", "How long can I return boots?", outcome="ANSWERED", shape="quotes")
    (topic,) = questions.lacking("shop", Period.last(7))
    assert (topic.name, topic.customers) == ("Do you rent out kayaks?", 3)
    assert len(questions.lacking("shop", Period.last(7), least=1)) == 2


def test_mining_suggests_with_the_colleagues_answer_and_twice_mined_is_once_suggested(store, questions):
    for customer in ("a", "b"):
        ask(store, customer, "Do you rent out kayaks?")
    ask(store, "c", "Do you rent out the kayaks?", human="Yes, from May on.")
    assert questions.mine("shop", Period.last(7)) == questions.mine("shop", Period.last(7)) == 1
    (waiting,) = Curated(store, "default").suggestions("shop")
    assert (waiting.question, waiting.answer) == ("Do you rent out the kayaks?", "Yes, from May on.")
    assert (waiting.asked, waiting.source) == (3, "mined")


def test_what_was_declined_or_has_an_approved_answer_is_not_suggested_again(store, questions):
    curated = Curated(store, "default")
    for customer in ("a", "b", "c"):
        for text in ("Do you rent out kayaks?", "Is there a climbing wall?"):
            ask(store, customer, text)
    assert questions.mine("shop", Period.last(7)) == 2
    for one in curated.suggestions("shop"):
        if "kayaks" in one.question:
            curated.decline(one.id, by="ada")
        else:
            curated.approve(one.id, Draft((one.question,), "In the Lakeside store."), by="ada")
    assert questions.mine("shop", Period.last(7)) == 0
    assert not curated.suggestions("shop")


def test_nothing_asked_has_no_topic_and_no_drift(questions):
    assert questions.lacking("shop", Period.last(7)) == []
    assert questions.drift("shop", Period.last(7)) is None


def rows(rng, n, shift=0.0):
    made = rng.normal(size=(n, 16))
    made[:, 0] += shift
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def test_drift_is_around_zero_for_the_same_questions_and_above_it_for_others():
    rng = np.random.default_rng(3)
    still = [moved(rows(rng, 60), rows(rng, 80)) for _ in range(10)]
    assert sum(one.low <= 0 <= one.high for one in still) >= 8
    assert abs(np.mean([one.value for one in still])) < 0.01
    changed = moved(rows(rng, 60), rows(rng, 80, shift=4.0))
    assert changed.low > 0.05


def test_every_row_is_in_one_cluster():
    rng = np.random.default_rng(3)
    found = clusters(np.vstack([rows(rng, 5, shift=30), -rows(rng, 4, shift=30)]))
    assert sorted(map(len, found)) == [4, 5]
    assert sorted(n for members in found for n in members) == list(range(9))
