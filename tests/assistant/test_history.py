"""The staff's view of stored conversations: what fits is found, what is given out has no personal data, what goes is gone."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import databases
import pytest
import sqlalchemy as sa

from assistant.desk import Desk, Staff
from assistant.errors import BadInput, UnknownName
from assistant.history import History, Wanted, wanted_of
from assistant.hours import Hours
from assistant.owners import speakers
from assistant.rows import Base, ConversationRow, RatingRow, now
from assistant.store import Store, Turn
from assistant.types import Conversation, Message
from privacy.erasure import Marks
from privacy.redaction import Redactor

SECRET = "write to max.mustermann@web.de or call +49 170 1234567"


@pytest.fixture(params=databases.BOTH)
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    opened = Store.open(tmp_path, databases.url_of(request.param))
    say(opened, "c1", "anna", "How long is the warranty?", "ANSWERED")
    say(opened, "c2", "bert", SECRET, "NEEDS_HUMAN", collection="garage")
    say(opened, "c3", "anna", '=2+2 and "outcome": "NEEDS_HUMAN" 100%', "NOT_IN_KNOWLEDGE_BASE")
    with opened.tables(Base.metadata).begin() as session:
        session.add(
            RatingRow(
                answer="answer-c1", tenant="default", collection="shop", conversation="c1", customer="anna", rating=-1,
                correction="", consent=False, changes=1, at=now(),
            )
        )  # fmt: skip
    yield opened
    opened.close()


def say(store: Store, conversation: str, customer: str, text: str, outcome: str, collection: str = "shop") -> None:
    answer = {"id": f"answer-{conversation}", "outcome": outcome, "text": "Quoted."}
    turns = [
        Turn(uuid.uuid4().hex, Message("user", text), None, dt.datetime(2026, 1, 1)),
        Turn(answer["id"], Message("assistant", "Quoted."), answer, dt.datetime(2026, 1, 1)),
    ]
    store.append_turns(Conversation(conversation, customer), tenant="default", collection=collection, turns=turns)


def found(store: Store, **fields: str) -> list[str]:
    return sorted(entry.id for entry in History(store, "default").find(wanted_of(fields)))


@pytest.mark.parametrize(("fields", "ids"), [
    ({}, ["c1", "c2", "c3"]),
    ({"text": "WARRANTY"}, ["c1"]),
    ({"text": "100%"}, ["c3"]),
    ({"text": "%"}, ["c3"]),
    ({"outcome": "NEEDS_HUMAN"}, ["c2"]),
    ({"rating": "down"}, ["c1"]),
    ({"rating": "up"}, []),
    ({"customer": "anna"}, ["c1", "c3"]),
    ({"customer": "anna", "outcome": "ANSWERED"}, ["c1"]),
    ({"collection": "garage"}, ["c2"]),
    ({"since": "2999-01-01"}, []),
    ({"until": "2999-01-01"}, ["c1", "c2", "c3"]),
])  # fmt: skip
def test_every_field_narrows_the_search(store: Store, fields: dict[str, str], ids: list[str]):
    assert found(store, **fields) == ids


@pytest.mark.parametrize(("said", "text"), [("Große Übersicht", "übersicht"), ("nur ärger", "ÄRGER")])
def test_letters_of_every_alphabet_are_found_in_any_case(store: Store, said: str, text: str):
    say(store, "c4", "kim", said, "ANSWERED")
    assert found(store, text=text) == ["c4"]
    assert [one.customer for one in speakers(store, "default", text)] == ["kim"]


def test_who_left_a_text_at_the_desk_or_as_a_correction_is_found_by_it(store: Store):
    desk = Desk(store, "default", Hours.read(""))
    answer = Turn("q", Message("assistant", "I pass you on."), {"id": "q", "outcome": "NEEDS_HUMAN"}, now())
    desk.queue(Conversation("c2", "bert"), answer, collection="garage")
    desk.leave_address("c2", "bert", email="Left@web.de", name="Bertram Ö")
    with store.tables(Base.metadata).begin() as session:
        session.execute(sa.update(RatingRow).values(correction="Call 0151 23456789"))
    for text, customer in (("left@WEB.de", "bert"), ("bertram ö", "bert"), ("0151 23456789", "anna")):
        assert [(one.customer, one.conversations) for one in speakers(store, "default", text)] == [(customer, 1)]
    assert speakers(store, "other", "left@web.de") == []


def test_the_last_day_there_is_can_be_searched_to(store: Store):
    assert found(store, until="9999-12-31") == ["c1", "c2", "c3"]
    assert found(store, until=str(now().date())) == ["c1", "c2", "c3"]
    assert found(store, until=str(now().date() - dt.timedelta(days=1))) == []


def test_a_search_from_a_form_finds_more_than_any_company_has():
    assert wanted_of({}).limit >= 1_000_000


def test_everything_wrong_with_a_search_is_told_at_once():
    with pytest.raises(BadInput, match=r"since.*until.*outcome.*rating"):
        wanted_of({"since": "yesterday", "until": "1", "outcome": "GOOD", "rating": "so-so"})


def test_another_tenants_conversations_do_not_exist(store: Store):
    other = History(store, "other")
    assert other.find(Wanted()) == []
    with pytest.raises(UnknownName):
        other.read("c1")


def test_an_entry_says_what_became_of_it(store: Store):
    entry, turns = History(store, "default").read("c1")
    assert (entry.title, entry.messages, entry.outcome, entry.rating) == ("How long is the warranty?", 2, "ANSWERED", "down")  # fmt: skip
    assert [turn.message.text for turn in turns] == ["How long is the warranty?", "Quoted."]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_nothing_personal_is_given_out(store: Store, tmp_path: Path, kind: str):
    desk = Desk(store, "default", Hours.read(""))
    answer = Turn("q", Message("assistant", "I pass you on."), {"id": "q", "outcome": "NEEDS_HUMAN"}, now())
    desk.queue(Conversation("c2", "bert"), answer, collection="garage")
    desk.leave_address("c2", "bert", email="left@web.de", name="Bertram")
    desk.take("c2", Staff("eve", "Evelyn"))
    desk.reply("c2", Staff("eve", "Evelyn"), "Hello!", client_id="1")
    lines = History(store, "default").export(Wanted(), Redactor(bytes(32)), Marks(tmp_path), kind=kind)
    text = "".join(lines)
    for secret in ("mustermann", "1234567", "bert", "left@", "Bertram", "Evelyn"):
        assert secret not in text
    if kind == "jsonl":
        rows = [json.loads(line) for line in text.splitlines()]
        assert {row["conversation"] for row in rows} == {"c1", "c2", "c3"}
        assert "person" in {said["role"] for row in rows for said in row["messages"]}
    else:
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == 8
        assert any(row["text"].startswith("'=2+2") for row in rows)


def test_a_deleted_conversation_leaves_no_byte(store: Store, tmp_path: Path):
    History(store, "default").delete("c2")
    assert found(store) == ["c1", "c3"]
    if not (tmp_path / "confide.db").exists():
        pytest.skip("the files are a database server's")
    left = b"".join(path.read_bytes() for path in tmp_path.glob("confide.db*"))
    assert b"mustermann" not in left
    assert b"warranty" in left


def test_a_sweep_takes_what_is_older_and_no_more(store: Store):
    history = History(store, "default")
    with store.tables(Base.metadata).begin() as session:
        old = now() - dt.timedelta(days=31)
        session.execute(sa.update(ConversationRow).where(ConversationRow.id == "c1").values(updated=old))
    assert history.sweep(0) == 0
    assert history.sweep(32) == 0
    assert history.sweep(30) == 1
    assert found(store) == ["c2", "c3"]
    assert history.ratings("c1") == {}
