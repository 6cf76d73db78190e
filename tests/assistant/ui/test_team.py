"""Roles at the door of every staff event and download, and the Team tab, without a browser."""

from __future__ import annotations

import dataclasses
import datetime as dt
import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from live import Visitor, blocks_of, functions, served
from shelves import put
from stand_in import StandIn, make

from assistant.accounts import Accounts, Role
from assistant.desk import State
from assistant.gate import ADMIN, LIGHT, OWNER, STAFF
from assistant.rows import CannedRow, CaseRow, ConversationRow, LessonRow, SuggestionRow, TurnRow, now
from assistant.sessions import COOKIE, Sessions
from assistant.store import Turn
from assistant.types import Conversation, Message

CHANGES = {
    "add": STAFF, "remove": STAFF, "goods_record": STAFF, "forget": OWNER, "check": OWNER, "start": OWNER,
    "resume": OWNER, "use": OWNER, "rollback": OWNER, "open_team": ADMIN, "add_account": OWNER, "set_role": OWNER,
    "renew": OWNER, "remove_account": OWNER,
}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any, StandIn]]:
    assistant, app = make(tmp_path_factory.mktemp("data"), requests_per_minute=1000)
    with served(app) as url:
        yield url, app, assistant
    assistant.close()


@pytest.fixture
def enter(house):
    """A session that an account with a role opened; "" = nobody's."""

    def inside(role: Role | str) -> Visitor:
        url, app, assistant = house
        visitor = Visitor(url, app, page="manage")
        session = Sessions.open(assistant.settings.data_dir).read(visitor.client.cookies[COOKIE])
        assert session is not None
        if role:
            accounts = Accounts(assistant.store, "default")
            accounts.admit(f"{role}@example.org", Role(role))
            accounts.sign_in(session.id, f"{role}@example.org", seconds=60)
        return visitor

    return inside


def kinds(app: Any) -> dict[str, str]:
    blocks = blocks_of(app)
    return {name: blocks.fns[index].concurrency_id for name, index in functions(app, "manage").items()}


def test_what_changes_something_is_for_those_who_may(house):
    assert {name: kind for name, kind in kinds(house[1]).items() if name in CHANGES} == CHANGES


@pytest.mark.parametrize("role", ["", *Role])
def test_no_event_above_a_role_passes_the_gate(house, enter, role: str):
    visitor = enter(role)
    needed = {ADMIN: Role.VIEWER, STAFF: Role.STAFF, OWNER: Role.OWNER}
    above = [
        name for name, kind in kinds(house[1]).items()
        if kind in needed and not (role and Role(role).covers(needed[kind]))
    ]  # fmt: skip
    assert {visitor.join(name).status_code for name in above} <= {403}
    assert bool(above) is (role != "owner")


@pytest.mark.parametrize("role", ["", "viewer"])
def test_events_that_pass_the_gate_ask_for_the_role_themselves(house, enter, role: str):
    """The desk waits in no line, so the gate lets its events through: with the case's own id they must do nothing."""
    _, app, assistant = house
    talk = Conversation("c_desk", "ann")
    turn = Turn("q1", Message("user", "My SECRET order is late"), None, dt.datetime(2026, 1, 1))
    assistant.store.append_turns(talk, tenant="default", collection="shop", turns=[turn])
    assistant.desk.queue(talk, dataclasses.replace(turn, client_id="a1"), collection="shop")
    visitor, blocks, numbers = enter(role), blocks_of(app), functions(app, "manage")
    light = [name for name, kind in kinds(app).items() if kind == LIGHT and name not in {"enter", "leave"}]
    assert {"take", "write", "resolve", "give_back", "add_note", "save_ready", "suggest"} <= set(light)
    told = [visitor.call(name, *["c_desk"] * len(blocks.fns[numbers[name]].inputs)) for name in light]
    assert role or "SECRET" not in "".join(told)
    case = assistant.desk.case("c_desk")
    assert (case.state, case.holder, assistant.desk.notes("c_desk")) == ("waiting", "", [])
    assert len(assistant.store.turns("c_desk", "ann")) == 2
    with assistant.store.tables(sa.MetaData())() as session:
        assert not session.scalars(sa.select(CannedRow)).all()
        assert not session.scalars(sa.select(SuggestionRow)).all()


def test_a_viewer_neither_reads_nor_moves_the_loop(house, enter):
    """Looking at the tab collects: it would delete this lesson, whose rating is gone."""
    _, _, assistant = house
    turn = Turn("q1", Message("user", "?"), None, dt.datetime(2026, 1, 1))
    assistant.store.append_turns(Conversation("c_loop", "ann"), tenant="default", collection="shop", turns=[turn])
    lesson = LessonRow(
        id="l1", tenant="default", collection="shop", conversation="c_loop", customer="ann", kind="correction",
        question="A SECRET?", text="SECRET", rejected="", passages="[]", changes=1, state="waiting", by="", turn=None,
        at=dt.datetime(2026, 1, 1),
    )  # fmt: skip
    with assistant.store.tables(sa.MetaData()).begin() as session:
        session.add(lesson)

    def stands() -> bool:
        with assistant.store.tables(sa.MetaData())() as session:
            return session.get(LessonRow, "l1") is not None

    told = [enter("viewer").call(*event) for event in (("open_loop", None), ("choose_lesson", None, None))]
    assert ["SECRET" in one for one in told] == [False, False]
    assert ["may look, not change" in one for one in told] == [True, True]
    assert stands()
    assert "may look" not in enter("staff").call("open_loop", None)
    assert not stands()


def test_the_desk_counts_all_who_wait_and_shows_what_somebody_has(house, enter):
    _, _, assistant = house
    names, of = [f"c_{number:03d}" for number in range(202)], {"tenant": "default", "customer": "bob"}
    case = {**of, "holder": "ada", "staff": "Ada", "asked": now(), "changed": now(), "email": "", "name": "", "told": True}  # fmt: skip
    said = {"client_id": "q", "role": "user", "text": "A person", "answer": None, "at": now()}
    talks = [{**of, "id": name, "collection": "shop", "title": name, "updated": now()} for name in names]
    states = ["waiting"] * 201 + ["taken"]
    cases = [{**case, "conversation": name, "state": state} for name, state in zip(names, states, strict=True)]
    with assistant.store.tables(sa.MetaData()).begin() as session:
        session.execute(sa.insert(ConversationRow), talks)
        session.execute(sa.insert(TurnRow), [{**said, "conversation_id": name} for name in names])
        session.execute(sa.insert(CaseRow), cases)
    waiting = assistant.desk.count(State.WAITING)
    told = html.unescape(enter("staff").call("open_desk", ""))
    with assistant.store.tables(sa.MetaData()).begin() as session:
        session.execute(sa.delete(ConversationRow).where(ConversationRow.customer == "bob"))
    assert waiting > 200
    assert f"{waiting} waiting · 1 taken" in told
    assert "c_201" in told


@pytest.mark.parametrize(("role", "status"), [("", 404), ("viewer", 404), ("staff", 404), ("owner", 200)])
def test_the_log_is_given_to_the_owner_only(enter, role: str, status: int):
    assert enter(role).client.get("/receipts/log.csv").status_code == status


@pytest.mark.parametrize(("role", "passes"), [("", False), ("viewer", False), ("staff", True), ("owner", True)])
def test_uploads_are_for_those_who_may_change_documents(enter, role: str, passes: bool):
    answer = enter(role).client.post("/gradio_api/upload", files={"files": ("a.txt", b"text")})
    assert (answer.status_code == 200) is passes


def test_a_viewer_sees_the_documents_and_changes_nothing(house, enter):
    viewer = enter("viewer")
    assert "returns.md" in viewer.call("load")
    assert "not change" in html.unescape(viewer.call("stop"))
    assert viewer.client.delete("/v1/documents/x").status_code == 403


@pytest.mark.parametrize(
    ("role", "unseen"), [("viewer", "Desk|Training|Loop|Team"), ("staff", "Training|Team"), ("owner", "")]
)
def test_an_account_is_shown_the_tabs_of_its_role(house, enter, role: str, unseen: str):
    visitor = enter(role)
    assert json.dumps(unseen) in visitor.call("load")
    assert ("for the owner" in html.unescape(visitor.call("open_team"))) is (role != "owner")  # hidden is not locked


def test_an_account_is_added_with_a_password_that_is_shown_once_and_written_into_the_log(house, enter):
    owner = enter("owner")
    told = html.unescape(owner.call("add_account", "ada", "viewer"))
    assert "One-time password of ada:" in told
    again = html.unescape(owner.call("open_team"))
    assert "ada" in again
    assert "One-time password" not in again
    owner.call("set_role", "ada", "staff")
    owner.call("renew", "ada")
    owner.call("remove_account", "ada")
    log = owner.client.get("/receipts/log.csv").text.splitlines()
    assert log[0] == "at_utc,who,action,what"
    done = [line.split(",")[1:] for line in log[1:5]]
    assert done == [
        ["owner@example.org", "account.remove", "ada"],
        ["owner@example.org", "account.password", "ada"],
        ["owner@example.org", "account.role", "ada: staff"],
        ["owner@example.org", "account.add", "ada: viewer"],
    ]


def test_what_cannot_be_done_is_said(enter):
    owner = enter("owner")
    owner.call("add_account", "grace", "staff")
    assert "an account 'grace' already" in html.unescape(owner.call("add_account", "Grace ", "staff"))
    assert "cannot be a user name" in html.unescape(owner.call("add_account", "a b", "staff"))


@pytest.mark.parametrize(
    ("name", "data"),
    [("open", [None]), ("tick", [None, None]), ("choose", [None]), ("stop", [])],
)
def test_the_training_tab_tells_a_stranger_nothing(house, name, data):
    put(house[2].settings.data_dir)
    stranger = Visitor(house[0], house[1], page="manage")
    told = stranger.call(name, *data)
    assert "support@1" not in told
    assert "sign in" in re.sub(r"&#(\d+);", lambda one: chr(int(one[1])), told)


@pytest.mark.parametrize("name", ["check", "start", "resume", "use", "rollback"])
def test_the_training_tab_does_nothing_for_a_stranger(house, name):
    assert Visitor(house[0], house[1], page="manage").join(name).status_code == 403
