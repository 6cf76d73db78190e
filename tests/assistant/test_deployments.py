"""Which adapter answers: decisions, splits, the way back."""

from dataclasses import replace

import pytest
from shelves import CARD

from assistant.deployments import Deployments, slot_of
from assistant.errors import BadInput
from assistant.store import Store

SHOP = ("default", "shop")


@pytest.fixture
def two(tmp_path):
    """The same folder, opened by two processes."""
    first, second = Store.open(tmp_path), Store.open(tmp_path)
    yield Deployments(first), Deployments(second)
    first.close()
    second.close()


def test_nothing_is_live_at_first(two):
    assert two[0].current(*SHOP) is None


def test_another_process_sees_what_was_decided(two):
    two[0].put(*SHOP, "support@1", note="by hand")
    seen = two[1].current(*SHOP)
    assert (seen.adapter, seen.note) == ("support@1", "by hand")
    assert two[1].current("default", "other") is None


def test_rollback_walks_back_one_step_at_a_time_and_stops_at_the_bare_model(two):
    for adapter in ("a@1", "b@1", "c@1"):
        two[0].put(*SHOP, adapter)
    assert [two[0].rollback(*SHOP).adapter for _ in range(3)] == ["b@1", "a@1", ""]
    with pytest.raises(BadInput):
        two[0].rollback(*SHOP)
    assert two[0].current(*SHOP).adapter == ""
    assert len(two[0].history(*SHOP)) == 6


def test_rollback_after_a_new_decision_goes_to_what_was_before_it(two):
    two[0].put(*SHOP, "a@1")
    two[0].put(*SHOP, "b@1")
    two[0].rollback(*SHOP)
    two[0].put(*SHOP, "c@1")
    assert two[0].rollback(*SHOP).adapter == "a@1"


def test_there_is_no_way_back_from_nothing(two):
    with pytest.raises(BadInput, match="ever"):
        two[0].rollback(*SHOP)


def test_a_split_gives_a_conversation_the_same_arm_and_about_its_share(two):
    two[0].put(*SHOP, "old@1")
    split = two[0].split(*SHOP, "new@1", share=0.3)
    arms = [split.arm(f"conversation {number}") for number in range(2000)]
    assert arms == [two[1].current(*SHOP).arm(f"conversation {number}") for number in range(2000)]
    assert 0.26 < arms.count("new@1") / 2000 < 0.34
    assert set(arms) == {"old@1", "new@1"}


def test_another_split_shuffles_anew(two):
    first = two[0].split(*SHOP, "new@1", share=0.5)
    second = two[0].split(*SHOP, "new@1", share=0.5)
    arms = [(first.arm(str(number)), second.arm(str(number))) for number in range(400)]
    assert 120 < sum(one == other for one, other in arms) < 280


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0])
def test_a_share_that_splits_nothing_is_refused(two, share):
    with pytest.raises(BadInput):
        two[0].split(*SHOP, "new@1", share=share)


def test_classifiers_have_slots_of_their_own(two):
    intent = replace(CARD, name="intent", task="classify")
    assert (slot_of(CARD), slot_of(intent)) == ("chat", "intent")
    two[0].put(*SHOP, "support@1")
    two[0].put(*SHOP, "intent@1", slot="intent")
    assert {slot: one.adapter for slot, one in two[0].slots(*SHOP).items()} == {
        "chat": "support@1",
        "intent": "intent@1",
    }
