"""`/visitors` and `/conversations`: what a page on another site needs: a pass for its visitor, and their thread."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from assistant.api.house import Caller, House, TheHouse, Who, site_of
from assistant.api.problems import ApiError
from assistant.api.replies import Annotation, Confide, finished, message_of
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
    """A message of a stored conversation; an answer has its annotations and what became of its question."""

    role: Literal["user", "assistant"]
    content: str
    at: dt.datetime
    annotations: list[Annotation] = []
    confide: Confide | None = None


class Thread(BaseModel):
    """A stored conversation, oldest message first."""

    object: Literal["conversation"] = "conversation"
    id: str
    data: list[Turn]


@router.post("/visitors", summary="A pass for a new visitor of an allowed site", tags=["open"])
def visitors(house: TheHouse, request: Request, body: VisitorBody) -> Visitor:
    """For pages: needs no key. The site has to be listed in `server.cors_origins`, or be our own."""
    here = address(request.scope)
    house.rates.count_knock("new", here)
    nobody = Caller("", Role.VISITOR, here)
    info = house.collection(nobody, body.collection)
    token = house.sessions.new_pass(site_of(request), info.name)
    company = info.company
    examples = {language: list(questions) for language, questions in company.examples.items()}
    return Visitor(
        token=token, seconds=house.sessions.max_age, collection=info.name, company=company.names,
        contact=company.contact, examples=examples,
    )  # fmt: skip


@router.get("/conversations/{conversation}", summary="A conversation of the caller's own")
def conversation(house: TheHouse, caller: Who, conversation: str) -> Thread:
    """Somebody else's does not exist."""
    if not house.sessions.owns(caller.id, conversation):
        raise ApiError(404, "There is no such conversation.", code="not_found", param="conversation")
    return Thread(id=conversation, data=_turns(house, caller, Conversation(conversation, caller.id)))


def _turns(house: House, caller: Caller, thread: Conversation) -> list[Turn]:
    turns = house.assistant.store.turns(thread.id, caller.id)
    if not turns:
        return []
    info = house.collection(caller, house.assistant.store.collection_of(thread.id))
    rated = house.assistant.feedback.of(thread.id)
    found = []
    for turn in turns:
        said = Turn(role=turn.message.role, content=turn.message.text, at=turn.at)  # type: ignore[arg-type]
        if turn.answer:
            said.annotations = message_of(turn.answer).annotations
            said.confide = finished(house, turn.answer, thread, info, rated=rated.get(turn.answer["id"]))
        found.append(said)
    return found
