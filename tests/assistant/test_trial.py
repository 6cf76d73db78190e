"""The statistics of a split, on conversations whose fate is known."""

import datetime as dt

import pytest

from assistant.deployments import Deployments
from assistant.store import Store, Turn
from assistant.trial import contrasts
from assistant.types import Conversation, Message


@pytest.fixture
def store(tmp_path):
    store = Store.open(tmp_path)
    yield store
    store.close()


def answered(store, conversation, *outcomes, notes=()):
    asked = Turn(f"{conversation}-q", Message("user", "q"), None, dt.datetime(2026, 1, 1))
    store.append_turns(Conversation(conversation, "anna"), tenant="default", collection="shop", turns=[asked])
    for number, outcome in enumerate(outcomes):
        answer = {"outcome": outcome, "receipt": {"notes": list(notes)}}
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        turn = Turn(f"{conversation}-{number}", Message("assistant", "t"), answer, now)
        store.append_turns(Conversation(conversation, "anna"), tenant="default", collection="shop", turns=[turn])


def test_arms_are_told_apart_by_conversation_and_a_real_difference_is_seen(store):
    split = Deployments(store).split("default", "shop", "new@1", share=0.5)
    for number in range(80):
        name = f"c{number}"
        answered(store, name, "ANSWERED", "ANSWERED" if split.arm(name) == "new@1" else "NEEDS_HUMAN")
    found = {one.live.name: one for one in contrasts(store, split)}
    wins = found["all_answered"]
    assert (wins.live.value, wins.challenger.value) == (0.0, 1.0)
    assert wins.live.n + wins.challenger.n == 80
    assert wins.p < 1e-6
    assert wins.low > 0.8
    assert found["person_needed"].high < -0.8
    assert found["component_failed"].p == 1.0
    assert found["component_failed"].low < 0 < found["component_failed"].high


def test_what_was_before_the_split_or_in_another_collection_does_not_count(store):
    answered(store, "before", "ANSWERED")
    split = Deployments(store).split("default", "shop", "new@1", share=0.5)
    assert all(one.live.n + one.challenger.n == 0 for one in contrasts(store, split))
    assert all((one.low, one.high) == (-1.0, 1.0) for one in contrasts(store, split))


def test_chance_is_called_chance(store):
    split = Deployments(store).split("default", "shop", "new@1", share=0.5)
    for number in range(60):
        answered(store, f"c{number}", "ANSWERED" if number % 2 else "NOT_IN_KNOWLEDGE_BASE")
    wins = contrasts(store, split)[0]
    assert wins.p > 0.05
    assert wins.low < 0 < wins.high


def test_dropped_sentences_and_stops_are_read_from_the_notes(store):
    split = Deployments(store).split("default", "shop", "new@1", share=0.5)
    answered(store, "a", "ANSWERED", notes=["dropped a sentence of the model: x"])
    answered(store, "b", "ANSWERED", notes=["stopped before its end"])
    found = {one.live.name: one for one in contrasts(store, split)}
    for name in ("sentence_dropped", "stopped_by_customer"):
        sides = (found[name].live, found[name].challenger)
        assert sum(side.value * side.n for side in sides) == 1
