"""Ratings: only with a signed id of one's own answer, each id once; gone with the conversation and with the customer. S8."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import itsdangerous
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stand_in import StandIn, furnish

from assistant.erase import forget
from assistant.errors import BadInput, RatingRefused
from assistant.feedback import MAX_CORRECTION, Feedback, Opinion
from assistant.settings import Settings
from assistant.types import Conversation, Done

UP, DOWN = Opinion("up"), Opinion("down", "It is 60 days, says my mail to anna@example.com.", consent=True)
CUSTOMER = "customer-anna-0001"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[StandIn]:
    assistant = StandIn(Settings(data_dir=tmp_path))
    furnish(assistant)
    yield assistant
    assistant.close()


def answered(shop: StandIn, customer: str = CUSTOMER, conversation: str = "") -> tuple[str, str]:
    """(answer id, conversation id) of a question asked now."""
    thread = Conversation(conversation or f"c-{customer}-{id(object())}", customer)
    done = [event for event in shop.ask(thread, "How long can I return items?") if isinstance(event, Done)]
    return done[0].answer.id, thread.id


def ticket(shop: StandIn, customer: str = CUSTOMER, **changed: object) -> str:
    answer, conversation = answered(shop, customer)
    values = {"answer": answer, "conversation": conversation, "visitor": customer, "collection": "shop", **changed}
    return shop.feedback.ticket(values.pop("answer"), values.pop("conversation"), **values)


def test_a_rating_is_kept_and_changed_with_the_next_id(shop: StandIn):
    rating, again = shop.feedback.rate(ticket(shop), UP, visitor=CUSTOMER)
    changed, _ = shop.feedback.rate(again, DOWN, visitor=CUSTOMER)
    assert (rating.opinion, changed.opinion) == (UP, DOWN)
    assert [one.opinion for one in shop.feedback.newest("shop")] == [DOWN]


def test_an_id_counts_once(shop: StandIn):
    first = ticket(shop)
    _, second = shop.feedback.rate(first, UP, visitor=CUSTOMER)
    with pytest.raises(RatingRefused, match="before"):
        shop.feedback.rate(first, DOWN, visitor=CUSTOMER)
    shop.feedback.rate(second, DOWN, visitor=CUSTOMER)
    for used in (first, second):
        with pytest.raises(RatingRefused):
            shop.feedback.rate(used, UP, visitor=CUSTOMER)


def test_an_id_sent_by_many_at_once_counts_once(shop: StandIn):
    one = ticket(shop)

    def send(_: int) -> bool:
        try:
            shop.feedback.rate(one, UP, visitor=CUSTOMER)
        except RatingRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(24))) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"visitor": "somebody-else"},
        {"collection": "other"},
        {"conversation": "c_unknown"},
        {"answer": "0" * 32},
        {"changes": 3},
        {"changes": -1},
    ],
)
def test_what_an_id_was_not_made_for_is_refused(shop: StandIn, changed: dict):
    with pytest.raises(RatingRefused):
        shop.feedback.rate(ticket(shop, **changed), UP, visitor=CUSTOMER)
    assert shop.feedback.newest("shop") == []


def test_somebody_elses_id_is_refused(shop: StandIn):
    with pytest.raises(RatingRefused, match="somebody else"):
        shop.feedback.rate(ticket(shop), UP, visitor="customer-bob-0002")


def test_another_folders_key_signs_nothing(shop: StandIn):
    other = Feedback(shop.store, "default", b"k" * 32)
    answer, conversation = answered(shop)
    forged = other.ticket(answer, conversation, visitor=CUSTOMER, collection="shop")
    with pytest.raises(RatingRefused):
        shop.feedback.rate(forged, UP, visitor=CUSTOMER)


def test_an_id_ends_after_a_month(shop: StandIn, monkeypatch: pytest.MonkeyPatch):
    old = ticket(shop)
    later = itsdangerous.TimestampSigner.get_timestamp
    monkeypatch.setattr(itsdangerous.TimestampSigner, "get_timestamp", lambda self: later(self) + 31 * 86400)
    with pytest.raises(RatingRefused, match="too old"):
        shop.feedback.rate(old, UP, visitor=CUSTOMER)


@given(text=st.text(max_size=300), place=st.integers(0, 400), letter=st.characters())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_no_other_text_is_an_id(shop: StandIn, text: str, place: int, letter: str):
    good = shop.feedback.ticket("a" * 32, "c-1", visitor=CUSTOMER, collection="shop")
    changed = good[: place % len(good)] + letter + good[place % len(good) + 1 :]
    for forged in (text, changed, good + text, good[:-1]):
        if forged != good:
            with pytest.raises(RatingRefused):
                shop.feedback.rate(forged, UP, visitor=CUSTOMER)


def test_a_correction_has_a_limit(shop: StandIn):
    with pytest.raises(BadInput, match="longer"):
        shop.feedback.rate(ticket(shop), Opinion("down", "x" * (MAX_CORRECTION + 1)), visitor=CUSTOMER)


def test_a_deleted_conversation_takes_its_ratings_with_it(shop: StandIn):
    answer, conversation = answered(shop)
    one = shop.feedback.ticket(answer, conversation, visitor=CUSTOMER, collection="shop")
    _, again = shop.feedback.rate(one, DOWN, visitor=CUSTOMER)
    shop.store.remove_conversation(conversation, CUSTOMER)
    assert shop.feedback.newest("shop") == []
    with pytest.raises(RatingRefused, match="not kept"):
        shop.feedback.rate(again, UP, visitor=CUSTOMER)


def test_a_forgotten_customer_leaves_no_rating(shop: StandIn, tmp_path: Path):
    shop.feedback.rate(ticket(shop), DOWN, visitor=CUSTOMER)
    shop.feedback.rate(ticket(shop, "customer-bob-0002"), UP, visitor="customer-bob-0002")
    done = forget(CUSTOMER, store=shop.store, settings=shop.settings, index=shop.searcher)
    assert done.complete
    assert [one.customer for one in shop.feedback.newest("shop")] == ["customer-bob-0002"]
