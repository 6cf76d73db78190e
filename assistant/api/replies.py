"""An answer as the API says it: the message with its annotations, and what became of the question.

Made from `Answer.to_dict`, so that an answer read back from the store looks as it did when it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from assistant.api.house import House
from assistant.feedback import Rating
from assistant.types import CollectionInfo, Conversation, Outcome


class Source(BaseModel):
    """The stored passage that a part of the answer quotes: `quote` is byte for byte its text from `start` to `end`."""

    passage_id: str
    document: str
    page: int | None
    headings: list[str]
    start: int
    end: int
    quote: str


class UrlCitation(BaseModel):
    """Where a part of the answer comes from. `start_index` and `end_index` delimit that part."""

    start_index: int
    end_index: int
    title: str
    url: str
    confide: Source


class Annotation(BaseModel):
    """A citation as OpenAI's clients read it."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class Message(BaseModel):
    """The assistant's message."""

    role: Literal["assistant"] = "assistant"
    content: str
    annotations: list[Annotation]
    refusal: None = None


class Confide(BaseModel):
    """What became of the question. `conversation` continues it, `answer` (signed) rates it; "" = not kept.

    `person` has the conversation and answers in the assistant's place; "" = the assistant answers. `turn` is the
    answer's id in the conversation. Not `sure`: the quotes may be no answer, as its text says.
    """

    outcome: Outcome
    conversation: str
    answer: str
    rating: Literal["up", "down"] | None
    contact: str
    failed: str | None
    advice: dict[str, Any] | None
    engine: str
    adapter: str | None
    language: str
    support: float
    seconds: float
    sure: bool = True
    person: str = ""
    turn: str = ""


def message_of(answer: Mapping[str, Any]) -> Message:
    """The message of an answer's JSON object."""
    headings = {hit["passage_id"]: hit["headings"] for hit in answer["hits"]}
    return Message(
        content=answer["text"],
        annotations=[_annotation(one, headings.get(one["passage_id"], [])) for one in answer["citations"]],
    )


def finished(
    house: House,
    answer: Mapping[str, Any],
    conversation: Conversation,
    info: CollectionInfo,
    *,
    rated: Rating | None = None,
) -> Confide:
    """What became of the question, of an answer's JSON object; `rated` is what was thought of it so far."""
    receipt, person = answer["receipt"], answer.get("by", "")
    kept, asks_person = bool(conversation.customer), answer["outcome"] == Outcome.NEEDS_HUMAN
    ticket = house.assistant.feedback.ticket(
        answer["id"],
        conversation.id,
        visitor=conversation.customer,
        collection=info.name,
        changes=rated.changes if rated else 0,
    )
    return Confide(
        outcome=answer["outcome"],
        conversation=conversation.id if kept else "",
        answer=ticket if kept and not person else "",
        rating=rated.opinion.rating if rated else None,
        contact=info.company.contact if asks_person and not person else "",
        failed=receipt["failed_component"],
        advice=answer["advice"],
        engine=answer["engine"],
        adapter=answer["adapter"],
        language=receipt["language"],
        support=receipt["support"],
        seconds=answer["seconds"],
        person=person,
        sure=receipt.get("sure", True),
        turn=answer["id"] if kept and not person else "",
    )


def _annotation(citation: Mapping[str, Any], headings: list[str]) -> Annotation:
    source = Source(**{name: citation[name] for name in Source.model_fields if name != "headings"}, headings=headings)
    place = UrlCitation(
        start_index=citation["answer_start"],
        end_index=citation["answer_end"],
        title=citation["document"],
        url=f"confide:passage/{citation['passage_id']}",
        confide=source,
    )
    return Annotation(url_citation=place)
