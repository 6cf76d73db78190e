"""`/desk`: the queue of conversations that need a person, for staff: take one, write in it, give it back, close it.

What is written has its sender's id: sent again it is written once. Who has a conversation already is told with 409.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from assistant.api.house import Caller, House, Onlooker, TheHouse, Who
from assistant.api.problems import ApiError
from assistant.desk import MAX_MESSAGE, Case, State

router = APIRouter()
_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class CaseLine(BaseModel):
    """A conversation at the desk: since when it waits, who has it, what was said last. Times are UTC."""

    object: Literal["case"] = "case"
    conversation: str
    collection: str
    state: Literal["waiting", "taken", "returned", "resolved"]
    person: str
    mine: bool
    topic: str
    last: str
    last_role: str
    asked: dt.datetime
    email: str
    name: str


class Queue(BaseModel):
    """Those that wait first, the longest waiting on top; then those that somebody has."""

    object: Literal["list"] = "list"
    data: list[CaseLine]


class DeskTurn(BaseModel):
    """A message; `by` is the person who wrote it, "" = the assistant, or the customer."""

    number: int
    role: str
    by: str
    content: str
    outcome: str
    at: dt.datetime


class NoteLine(BaseModel):
    """What one of the staff noted."""

    by: str
    text: str
    at: dt.datetime


class DeskThread(BaseModel):
    """A conversation as the staff see it."""

    object: Literal["case.thread"] = "case.thread"
    case: CaseLine
    data: list[DeskTurn]
    notes: list[NoteLine]


class TakeBody(BaseModel):
    """Whom it is taken from: "" = the queue."""

    model_config = ConfigDict(extra="forbid", strict=True)
    from_person: str = Field(default="", max_length=200)


class WriteBody(BaseModel):
    """A message to the customer, or a note; `id` is the sender's own."""

    model_config = ConfigDict(extra="forbid", strict=True)
    id: _Id
    text: str = Field(min_length=1, max_length=MAX_MESSAGE)


@router.get("/desk", summary="The conversations that need a person, or have one")
def queue(house: TheHouse, caller: Onlooker) -> Queue:
    """For staff: those that somebody has, and the 200 that wait longest."""
    house.staff(caller)
    cases = house.assistant.desk.cases(collection=caller.collection)
    return Queue(data=[_line(house, caller, case) for case in cases])


@router.get("/desk/{conversation}", summary="One of them, with notes")
def thread(house: TheHouse, caller: Onlooker, conversation: str) -> DeskThread:
    """For staff."""
    house.staff(caller)
    return _thread(house, caller, _case(house, caller, conversation))


@router.post("/desk/{conversation}/take", summary="Take a conversation over")
def take(house: TheHouse, caller: Who, conversation: str, body: TakeBody) -> DeskThread:
    """One person has a conversation (409 says who); from then on the customer's messages are theirs.

    `from_person` takes it from a colleague who has it now.
    """
    staff, case = house.staff(caller), _case(house, caller, conversation)
    holder = case.holder if body.from_person and body.from_person == case.staff else ""
    return _thread(house, caller, house.assistant.desk.take(conversation, staff, from_holder=holder))


@router.post("/desk/{conversation}/return", summary="Give a conversation back to the assistant")
def give_back(house: TheHouse, caller: Who, conversation: str) -> DeskThread:
    """The assistant answers again."""
    staff = house.staff(caller)
    _case(house, caller, conversation)
    return _thread(house, caller, house.assistant.desk.give_back(conversation, staff))


@router.post("/desk/{conversation}/resolve", summary="Close the matter")
def resolve(house: TheHouse, caller: Who, conversation: str) -> DeskThread:
    """The assistant answers again where the customer goes on."""
    staff = house.staff(caller)
    _case(house, caller, conversation)
    return _thread(house, caller, house.assistant.desk.resolve(conversation, staff))


@router.post("/desk/{conversation}/messages", summary="Write to the customer")
def write(house: TheHouse, caller: Who, conversation: str, body: WriteBody) -> DeskThread:
    """By who has the conversation. With the same `id` it is written once."""
    staff = house.staff(caller)
    _case(house, caller, conversation)
    house.assistant.desk.reply(conversation, staff, body.text, client_id=f"{staff.id}:{body.id}")
    return _thread(house, caller, house.assistant.desk.case(conversation))


@router.post("/desk/{conversation}/notes", summary="Write a note for the staff")
def note(house: TheHouse, caller: Who, conversation: str, body: WriteBody) -> DeskThread:
    """Customers never see it. With the same `id` it is written once."""
    staff = house.staff(caller)
    _case(house, caller, conversation)
    house.assistant.desk.note(conversation, staff, body.text, client_id=f"{staff.id}:{body.id}")
    return _thread(house, caller, house.assistant.desk.case(conversation))


def _case(house: House, caller: Caller, conversation: str) -> Case:
    """A case that this caller may see. Raises UnknownName, ApiError (404)."""
    case = house.assistant.desk.case(conversation)
    if caller.collection not in {"", case.collection}:
        raise ApiError(404, "This conversation is not at the desk.", code="not_found", param="conversation")
    return case


def _line(house: House, caller: Caller, case: Case) -> CaseLine:
    account = house.door.account(caller.id) if caller.key is None else None
    me = caller.id if caller.key is not None else account.name if account else ""
    return CaseLine(
        conversation=case.conversation, collection=case.collection, state=case.state.value, person=case.staff,
        mine=case.state is State.TAKEN and case.holder == me, topic=case.topic, last=case.last,
        last_role=case.last_role, asked=case.asked, email=case.email, name=case.name,
    )  # fmt: skip


def _thread(house: House, caller: Caller, case: Case) -> DeskThread:
    turns = [
        DeskTurn(
            number=turn.number, role=turn.message.role, by=turn.by, content=turn.message.text,
            outcome=turn.answer["outcome"] if turn.answer else "", at=turn.at,
        )
        for turn in house.assistant.desk.turns(case)
    ]  # fmt: skip
    notes = [NoteLine(by=one.staff, text=one.text, at=one.at) for one in house.assistant.desk.notes(case.conversation)]
    return DeskThread(case=_line(house, caller, case), data=turns, notes=notes)
