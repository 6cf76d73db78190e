"""`/visitors` and `/conversations`: what a page on another site needs: a pass for its visitor, and their thread."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from assistant.api.house import Caller, House, Onlooker, TheHouse, Who, site_of
from assistant.api.problems import ApiError
from assistant.api.replies import Annotation, Confide, finished, message_of
from assistant.desk import MAX_NAME
from assistant.gate import address
from assistant.keys import Role
from assistant.types import Conversation

router = APIRouter()


class VisitorBody(BaseModel):
    """Which collection the page is about; "" = the settings' own."""

    model_config = ConfigDict(extra="forbid", strict=True)
    collection: str = Field(default="", max_length=63)


class Visitor(BaseModel):
    """A new visitor's pass, good on the site that asked for it, and what a chat with them shows first."""

    object: Literal["visitor"] = "visitor"
    token: str
    seconds: int
    collection: str
    company: dict[str, str]
    contact: str
    examples: dict[str, list[str]]


class Turn(BaseModel):
    """A message of a stored conversation; an answer has its annotations and what became of its question.

    `number` grows in the order of messages. `id` is the sender's (`message_id`), or that of the answer. `by` is the
    person who wrote it; "" = the assistant, or the customer. `answer` is the signed id by which a person's message is
    rated, as `confide.answer` of an answer is.
    """

    number: int
    id: str
    role: Literal["user", "assistant"]
    by: str
    content: str
    at: dt.datetime
    annotations: list[Annotation] = []
    confide: Confide | None = None
    answer: str = ""
    rating: Literal["up", "down"] | None = None


class Thread(BaseModel):
    """A stored conversation, oldest message first.

    `desk` is where it stands with people: it waits for one, `person` has it (taken), or had it (returned to the
    assistant, resolved); "" = it never needed one. `reachable`: the customer left an address.
    """

    object: Literal["conversation"] = "conversation"
    id: str
    desk: Literal["", "waiting", "taken", "returned", "resolved"]
    person: str
    reachable: bool
    open: bool
    data: list[Turn]


class AddressBody(BaseModel):
    """Where a customer can be reached who waits for a person."""

    model_config = ConfigDict(extra="forbid", strict=True)
    email: str = Field(max_length=254)
    name: str = Field(default="", max_length=MAX_NAME)
    user: str | None = Field(default=None, max_length=200)
    """The customer, as in the question, where a key speaks for several."""


class Kept(BaseModel):
    """The address is kept with the conversation, and goes with it."""

    object: Literal["address"] = "address"
    reachable: bool = True


@router.post("/visitors", summary="A pass for a new visitor of an allowed site", tags=["open"])
def visitors(house: TheHouse, request: Request, body: VisitorBody) -> Visitor:
    """For pages: needs no key. The site has to be listed in `server.cors_origins`, or be our own.

    Sent with a good pass (`Authorization: Bearer ...`), it gives the same visitor a fresh one, so that the term runs
    from their last visit.
    """
    here = address(request.scope)
    house.rates.count_knock("new", here)
    nobody = Caller("", Role.VISITOR, here)
    info = house.collection(nobody, body.collection)
    held = request.headers.get("authorization", "").removeprefix("Bearer ")
    known = house.sessions.read_pass(held, site_of(request))
    same = known if known and known.collection == info.name else None
    token = house.sessions.new_pass(site_of(request), info.name, known=same)
    company = info.company
    examples = {language: list(questions) for language, questions in company.examples.items()}
    return Visitor(
        token=token, seconds=house.sessions.max_age, collection=info.name, company=company.names,
        contact=company.contact, examples=examples,
    )  # fmt: skip


@router.get("/conversations/{conversation}", summary="A conversation of the caller's own")
def conversation(
    house: TheHouse,
    caller: Onlooker,
    conversation: str,
    after: Annotated[int, Query(ge=0, le=2**62, description="Only what is newer than the message of this number.")] = 0,
    user: Annotated[str, Query(max_length=200, description="The customer, where a key speaks for several.")] = "",
) -> Thread:
    """Somebody else's does not exist. Asked again with `after` it says what is new, for next to nothing."""
    thread = _own(house, caller, conversation, user)
    desk = house.assistant.desk
    standing = desk.standing(conversation)
    return Thread(
        id=conversation,
        desk=standing.state.value if standing else "",
        person=standing.staff if standing else "",
        reachable=bool(standing and standing.reachable),
        open=desk.hours.is_open(dt.datetime.now(dt.UTC)),
        data=_turns(house, caller, thread, after),
    )


@router.post("/conversations/{conversation}/address", summary="Where a customer can be reached who waits for a person")
def address_of(house: TheHouse, caller: Who, conversation: str, body: AddressBody) -> Kept:
    """It is for the staff of the desk, and is deleted with the conversation."""
    thread = _own(house, caller, conversation, body.user)
    house.assistant.desk.leave_address(conversation, thread.customer, email=body.email, name=body.name)
    return Kept()


def _own(house: House, caller: Caller, conversation: str, user: str | None) -> Conversation:
    """A conversation of the caller's, or of the user whom a key names. Raises ApiError (404)."""
    customer = caller.customer(user)
    if not house.sessions.owns(customer, conversation):
        raise ApiError(404, "There is no such conversation.", code="not_found", param="conversation")
    return Conversation(conversation, customer)


def _turns(house: House, caller: Caller, thread: Conversation, after: int) -> list[Turn]:
    turns = house.assistant.store.turns(thread.id, thread.customer, after=after)
    if not turns:
        return []
    info = house.collection(caller, house.assistant.store.collection_of(thread.id))
    rated = house.assistant.feedback.of(thread.id)
    found = []
    for turn in turns:
        said = Turn(
            number=turn.number, id=turn.client_id.removeprefix("m:"), role=turn.message.role, by=turn.by,  # type: ignore[arg-type]
            content=turn.message.text, at=turn.at,
        )  # fmt: skip
        if turn.answer:
            said.annotations = message_of(turn.answer).annotations
            said.confide = finished(house, turn.answer, thread, info, rated=rated.get(turn.answer["id"]))
        elif turn.by:
            opinion = rated.get(turn.answer_id)
            said.rating = opinion.opinion.rating if opinion else None
            said.answer = house.assistant.feedback.ticket(
                turn.answer_id, thread.id, visitor=thread.customer, collection=info.name,
                changes=opinion.changes if opinion else 0,
            )  # fmt: skip
        found.append(said)
    return found
