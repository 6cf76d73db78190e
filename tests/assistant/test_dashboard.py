"""The dashboard's sums are those of the answers, whenever it looks and whatever was deleted meanwhile."""

import datetime as dt
import threading

import databases
import pytest
import sqlalchemy as sa

from assistant.dashboard import Dashboard, Period
from assistant.rows import Base, ConversationRow, RatingRow
from assistant.store import STOPPED, Store, Turn
from assistant.types import CollectionInfo, Conversation, Message, Outcome

TODAY = dt.datetime(2026, 3, 10, 12)
WEEK = Period(dt.datetime(2026, 3, 4), dt.datetime(2026, 3, 11))


@pytest.fixture(params=databases.BOTH)
def store(tmp_path, request):
    opened = Store.open(tmp_path, databases.url_of(request.param))
    opened.save_collection(CollectionInfo("default", "shop", ("en",), "hashing", 0.5))
    yield opened
    opened.close()


def talk(
    store, name, *, outcome="ANSWERED", shape="quote-first", seconds=1.0, at=TODAY, collection="shop", cited=1, notes=()
):
    answer = {
        "id": name, "outcome": outcome, "text": "…", "citations": [{}] * cited,
        "receipt": {
            "shape": shape, "seconds": seconds, "usage": {"prompt_tokens": 100, "completion_tokens": 10},
            "notes": list(notes),
        },
    }  # fmt: skip
    turns = [
        Turn(f"q{name}", Message("user", f"Question {name}?"), None, at),
        Turn(f"a{name}", Message("assistant", "…"), answer, at),
    ]
    store.append_turns(Conversation(f"c{name}", f"u{name}"), tenant="default", collection=collection, turns=turns)


def test_an_answer_that_replaces_a_stopped_one_is_counted_in_its_place(store):
    dashboard = Dashboard(store, "default")
    talk(store, "1", seconds=1.0, cited=0, notes=[STOPPED])
    assert dashboard.overview("shop", WEEK).cited == 0
    talk(store, "1", seconds=3.0)
    sums = dashboard.overview("shop", WEEK)
    assert (sums.answers, sums.cited, sums.seconds_p50) == (1, 1, 3.0)


def test_the_sums_are_those_of_the_answers(store):
    talk(store, "1", seconds=1.0)
    talk(store, "2", seconds=3.0, shape="approved", at=TODAY - dt.timedelta(days=1))
    talk(store, "3", outcome="NOT_IN_KNOWLEDGE_BASE", shape="none", cited=0, seconds=9.0)
    talk(store, "4", cited=0, seconds=5.0)
    talk(store, "5", at=TODAY - dt.timedelta(days=30))
    talk(store, "6", collection="other")
    found = Dashboard(store, "default").overview("shop", WEEK)
    assert (found.answers, found.conversations, found.approved) == (4, 4, 1)
    assert found.outcomes["NOT_IN_KNOWLEDGE_BASE"] == 1
    assert found.share(Outcome.ANSWERED) == 0.75
    assert (found.cited, found.citable, found.coverage) == (2, 3, 2 / 3)
    assert (found.seconds_p50, found.seconds_p95) == (3.0, 5.0)
    assert (found.prompt_tokens, found.completion_tokens) == (400, 40)
    assert [day.answers for day in found.days] == [0, 0, 0, 0, 0, 1, 3]
    assert Dashboard(store, "default").overview("", WEEK).answers == 5
    assert Dashboard(store, "acme").overview("", WEEK).answers == 0


def test_each_answer_is_copied_once_and_goes_with_its_conversation(store):
    board = Dashboard(store, "default")
    talk(store, "1")
    assert (board.catch_up(), board.catch_up()) == (1, 0)
    talk(store, "2")
    assert board.catch_up() == 1
    store.remove_conversation("c2", "u2")
    assert board.overview("shop", WEEK).answers == 1


def test_ratings_count_by_day_and_an_empty_period_is_no_error(store):
    board = Dashboard(store, "default")
    assert board.overview("shop", WEEK).seconds_p50 is None
    talk(store, "1")
    with store.tables(Base.metadata).begin() as session:
        for number, (rating, correction) in enumerate([(1, ""), (-1, "30 days"), (-1, "")]):
            session.add(
                RatingRow(
                    answer=str(number), tenant="default", collection="shop", conversation="c1", customer="u1",
                    rating=rating, correction=correction, consent=True, changes=1, at=TODAY,
                )
            )  # fmt: skip
    found = board.overview("shop", WEEK)
    assert (found.up, found.down, found.corrections) == (1, 2, 1)
    assert (found.days[-1].up, found.days[-1].down) == (1, 2)


def test_a_period_ends_with_today_and_the_one_before_touches_it():
    last = Period.last(7)
    assert len(last.days()) == 7
    assert last.before().end == last.start
    assert last.days()[-1] == str((last.end - dt.timedelta(days=1)).date())


def test_several_may_look_at_once_and_each_answer_is_copied_once(store):
    for number in range(100):
        talk(store, str(number))
    start, added = threading.Barrier(4), []

    def look():
        start.wait()
        added.append(Dashboard(store, "default").catch_up())

    threads = [threading.Thread(target=look) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(added) == [0, 0, 0, 100]


@pytest.mark.slow
def test_what_is_being_deleted_is_neither_copied_nor_waited_for(tmp_path):
    store = Store.open(tmp_path, databases.url_of("postgresql"))
    talk(store, "1")
    talk(store, "2")
    added = []
    look = threading.Thread(target=lambda: added.append(Dashboard(store, "default").catch_up()))
    with store.tables(Base.metadata).begin() as session:
        session.execute(sa.delete(ConversationRow).where(ConversationRow.id == "c1"))
        look.start()
        look.join(5)
        assert added == [1]
    look.join()
    store.close()
