"""The desk: who has a conversation, and that every message is written once, to whom it was meant."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import databases
import pytest
import sqlalchemy as sa

from assistant.desk import Desk, Staff, State
from assistant.errors import BadInput, CaseRefused, UnknownName
from assistant.hours import Hours
from assistant.store import Store, Turn
from assistant.types import Conversation, Message

ANNA, BOB = Staff("anna", "Anna"), Staff("bob", "Bob")
THREAD = Conversation("c1", "customer-1")


@pytest.fixture(params=databases.BOTH)
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    opened = Store.open(tmp_path, databases.url_of(request.param))
    yield opened
    opened.close()


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store, "default", Hours.read(""))


def said(text: str, client_id: str = "") -> Turn:
    return Turn(client_id or uuid.uuid4().hex, Message("user", text), None, dt.datetime(2026, 1, 1))


def wants_person(desk: Desk, thread: Conversation = THREAD) -> None:
    desk.receive(thread, said("I want a person"), collection="shop")
    desk.queue(thread, Turn(uuid.uuid4().hex, Message("assistant", "I pass you on."), {"id": "a"}, dt.datetime(2026, 1, 1)), collection="shop")  # fmt: skip


def texts(desk: Desk) -> list[tuple[str, str]]:
    return [(turn.by or turn.message.role, turn.message.text) for turn in desk.turns(desk.case("c1"))]


def test_a_conversation_that_needs_a_person_waits_with_its_topic_and_last_message(desk: Desk):
    wants_person(desk)
    case = desk.cases()[0]
    assert (case.state, case.topic, case.last, case.holder) == (State.WAITING, "I want a person", "I pass you on.", "")
    assert desk.standing("c1").state is State.WAITING
    assert desk.standing("c2") is None


def test_while_somebody_has_it_messages_go_to_them_and_then_to_the_assistant_again(desk: Desk):
    wants_person(desk)
    assert desk.receive(THREAD, said("still waiting"), collection="shop") == ""
    desk.take("c1", ANNA)
    assert desk.receive(THREAD, said("hello Anna"), collection="shop") == "Anna"
    desk.reply("c1", ANNA, "Hello!", client_id="1")
    desk.give_back("c1", ANNA)
    assert desk.receive(THREAD, said("and now?"), collection="shop") == ""
    assert texts(desk)[-3:] == [("user", "hello Anna"), ("Anna", "Hello!"), ("user", "and now?")]


def test_only_one_takes_it_and_the_other_is_told_who_has_it(desk: Desk):
    wants_person(desk)
    got, told = [], []
    start = threading.Barrier(8)

    def take(number: int) -> None:
        start.wait()
        try:
            got.append(desk.take("c1", Staff(f"id{number}", f"Name{number}")).holder)
        except CaseRefused as error:
            told.append(error.message)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(got) == 1
    assert told == [f"Name{got[0][2:]} has this conversation."] * 7


def test_a_colleague_may_take_over_from_who_has_it_but_not_by_accident(desk: Desk):
    wants_person(desk)
    desk.take("c1", ANNA)
    with pytest.raises(CaseRefused):
        desk.take("c1", BOB)
    assert desk.take("c1", BOB, from_holder="anna").staff == "Bob"
    with pytest.raises(CaseRefused, match="Bob has"):
        desk.reply("c1", ANNA, "late", client_id="1")
    with pytest.raises(CaseRefused):
        desk.take("c1", Staff("eve", "Eve"), from_holder="anna")


def test_sent_again_is_written_once_whatever_happened_in_between(desk: Desk):
    wants_person(desk)
    desk.take("c1", ANNA)
    assert desk.take("c1", ANNA).holder == "anna"
    for _ in range(2):
        assert desk.receive(THREAD, said("hello", "m1"), collection="shop") == "Anna"
        desk.reply("c1", ANNA, "Hello!", client_id="1")
        desk.note("c1", ANNA, "knows us", client_id="n1")
    desk.give_back("c1", ANNA)
    desk.give_back("c1", ANNA)
    desk.reply("c1", ANNA, "Hello!", client_id="1")
    assert desk.receive(THREAD, said("hello", "m1"), collection="shop") == "Anna"
    assert [text for _, text in texts(desk)].count("hello") == 1
    assert [text for _, text in texts(desk)].count("Hello!") == 1
    assert [note.text for note in desk.notes("c1")] == ["knows us"]


def test_nobody_writes_in_a_conversation_that_is_not_theirs(desk: Desk):
    wants_person(desk)
    with pytest.raises(CaseRefused, match="Nobody has"):
        desk.reply("c1", ANNA, "Hello", client_id="1")
    desk.resolve("c1", ANNA)
    with pytest.raises(CaseRefused, match="assistant has"):
        desk.reply("c1", ANNA, "Hello", client_id="1")
    with pytest.raises(UnknownName):
        desk.reply("c9", ANNA, "Hello", client_id="1")
    assert desk.cases() == []


def test_what_no_database_keeps_is_left_out_of_messages_notes_and_names(desk: Desk):
    wants_person(desk)
    desk.leave_address("c1", "customer-1", email="kim@shop.example", name="K\x00im")
    desk.take("c1", ANNA)
    desk.reply("c1", ANNA, "All\x00 good", client_id="1")
    desk.note("c1", ANNA, "Half an emoji \ud83d", client_id="1")
    assert texts(desk)[-1] == ("Anna", "All good")
    assert (desk.case("c1").name, desk.notes("c1")[0].text) == ("Kim", "Half an emoji ?")


def test_a_message_to_a_conversation_that_is_deleted_at_that_moment_is_refused(desk: Desk, store: Store):
    wants_person(desk)
    desk.take("c1", ANNA)
    look, desk.turns = desk.turns, lambda case: look(case) if store.remove_conversation("c1", "customer-1") else []
    with pytest.raises(UnknownName):
        desk.reply("c1", ANNA, "Here I am", client_id="1")
    assert store.conversations("default", "customer-1") == []


def test_asking_again_queues_it_again(desk: Desk):
    wants_person(desk)
    desk.take("c1", ANNA)
    desk.resolve("c1", ANNA)
    wants_person(desk)
    assert desk.case("c1").state is State.WAITING
    assert [case.conversation for case in desk.untold()] == ["c1"]
    desk.mark_told("c1")
    assert desk.untold() == []


def test_notes_are_no_part_of_what_the_customer_reads(desk: Desk, store: Store):
    wants_person(desk)
    desk.note("c1", ANNA, "difficult", client_id="1")
    assert "difficult" not in str(store.turns("c1", "customer-1"))


def test_an_address_can_be_left_while_one_waits_and_goes_with_the_conversation(desk: Desk, store: Store):
    with pytest.raises(BadInput, match="does not wait"):
        desk.leave_address("c1", "customer-1", email="max@web.de")
    wants_person(desk)
    with pytest.raises(BadInput, match="not an e-mail"):
        desk.leave_address("c1", "customer-1", email="max at web")
    with pytest.raises(BadInput, match="does not wait"):
        desk.leave_address("c1", "somebody-else", email="max@web.de")
    desk.leave_address("c1", "customer-1", email=" max@web.de ", name="Max")
    assert (desk.case("c1").email, desk.case("c1").name) == ("max@web.de", "Max")
    desk.note("c1", ANNA, "x", client_id="1")
    store.remove_conversation("c1", "customer-1")
    assert desk.cases() == []
    assert desk.notes("c1") == []


def test_however_many_wait_who_has_a_conversation_sees_it_and_all_are_counted(desk: Desk):
    for number in range(1, 6):
        wants_person(desk, Conversation(f"c{number}", f"customer-{number}"))
    desk.take("c4", ANNA)
    desk.take("c5", BOB)
    assert [case.conversation for case in desk.cases(limit=2)] == ["c1", "c2", "c4", "c5"]
    desk.receive(Conversation("c4", "customer-4"), said("Anna?"), collection="shop")
    assert [case.conversation for case in desk.cases(limit=1)] == ["c1", "c4"]  # the latest news
    assert [desk.count(state) for state in State] == [3, 2, 0, 0]


def test_one_collections_queue_is_cut_among_its_own(desk: Desk):
    wants_person(desk)
    other = Conversation("c2", "customer-2")
    turns = [said("A person, please"), Turn("a2", Message("assistant", "Yes."), {"id": "b"}, dt.datetime(2026, 1, 1))]
    desk.receive(other, turns[0], collection="other")
    desk.queue(other, turns[1], collection="other")
    assert [case.conversation for case in desk.cases(collection="other", limit=1)] == ["c2"]
    assert [case.conversation for case in desk.cases(limit=1)] == ["c1"]


def test_of_several_processes_on_one_database_one_at_a_time_tells_the_staff(desk: Desk, store: Store):
    other = Desk(store, "default", Hours.read(""))
    with store.tables(sa.MetaData())() as session:
        is_file = session.get_bind().dialect.name == "sqlite"
    with desk.telling() as mine, other.telling() as theirs:
        assert (mine, theirs) == (True, is_file)  # a file has one server
    with other.telling() as now, Desk(store, "acme", Hours.read("")).telling() as elsewhere:
        assert now
        assert elsewhere
