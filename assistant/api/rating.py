"""`/feedback`: what customers think of answers. An answer is rated with the signed id that came with it, by whom it was
given to; staff read what was said, without personal data.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from assistant.api.house import House, TheHouse, Who
from assistant.feedback import MAX_CORRECTION, Opinion, Rating
from assistant.keys import Role
from assistant.outbound import redactor
from assistant.store import Turn

router = APIRouter()


class FeedbackBody(BaseModel):
    """An opinion on an answer."""

    model_config = ConfigDict(extra="forbid", strict=True)
    answer: str = Field(max_length=1000)
    """`confide.answer` of the reply, or of the last rating of it."""
    rating: Literal["up", "down"]
    correction: str = Field(default="", max_length=MAX_CORRECTION)
    consent: bool = False
    """Whether the question, the answer and the correction may be trained on."""
    user: str | None = Field(default=None, max_length=200)
    """The customer, as in the question, where a key speaks for several."""


class Rated(BaseModel):
    """The opinion was kept; `answer` changes it."""

    object: Literal["feedback"] = "feedback"
    rating: Literal["up", "down"]
    consent: bool
    answer: str


class RatingLine(BaseModel):
    """A rating with what it is about, personal data replaced."""

    object: Literal["feedback"] = "feedback"
    id: str
    at: dt.datetime
    rating: Literal["up", "down"]
    consent: bool
    question: str
    answer: str
    correction: str
    adapter: str | None


class Ratings(BaseModel):
    """The last ratings of a collection, newest first."""

    object: Literal["list"] = "list"
    data: list[RatingLine]


@router.post("/feedback", summary="Rate an answer")
def feedback(house: TheHouse, caller: Who, body: FeedbackBody) -> Rated:
    """Once with each id; the reply has the next, to change it. Forged, used and others' ids are refused (403)."""
    opinion = Opinion(body.rating, body.correction, body.consent)
    _, again = house.assistant.feedback.rate(body.answer, opinion, visitor=caller.customer(body.user))
    return Rated(rating=body.rating, consent=body.consent, answer=again)


@router.get("/feedback", summary="The last ratings of a collection")
def ratings(
    house: TheHouse,
    caller: Who,
    collection: Annotated[str, Query(max_length=63, description="Empty = the settings' own.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Ratings:
    """For staff."""
    caller.need(Role.STAFF)
    info = house.collection(caller, collection)
    return Ratings(data=[_line(house, one) for one in house.assistant.feedback.newest(info.name, limit=limit)])


def _line(house: House, rating: Rating) -> RatingLine:
    turns = house.assistant.store.turns(rating.conversation, rating.customer)
    place = next((n for n, turn in enumerate(turns) if turn.answer_id == rating.answer), None)
    clean = redactor(house.assistant.settings)
    answered = turns[place] if place is not None else None
    question = turns[place - 1].message.text if place else ""
    return RatingLine(
        id=rating.answer,
        at=rating.at,
        rating=rating.opinion.rating,
        consent=rating.opinion.consent,
        question=clean.redact(question).text,
        answer=clean.redact(answered.message.text).text if answered else "",
        correction=clean.redact(rating.opinion.correction).text,
        adapter=_adapter(answered),
    )


def _adapter(turn: Turn | None) -> str | None:
    return turn.answer["adapter"] if turn and turn.answer else None
