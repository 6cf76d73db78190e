"""`/chat/completions`: the walk ask in OpenAI's protocol, at once or as server-sent events.

The last user message is asked; earlier ones are the conversation. System messages, sampling options and tools have no
say: what is answered comes from the documents, and is checked. Citations are annotations; what became of the
question, the cards and the signed answer id are in the field `confide`, which other clients pass over.

Source: OpenAI's API reference, "Create chat completion", as its Python client 3.54 reads it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from assistant.api.house import Caller, House, Place, TheHouse, Who
from assistant.api.models import chosen
from assistant.api.problems import ApiError
from assistant.api.replies import Confide, Message, finished, message_of
from assistant.desk import State
from assistant.errors import Busy, ConfideError
from assistant.store import before
from assistant.types import MAX_QUESTION_CHARS, Answer, AskEvent, Conversation, Delta, Done
from assistant.types import Message as Said

router = APIRouter()
HISTORY = 40
"""The last messages that a question is understood in."""
_MOST_MESSAGES = 1000
_log = logging.getLogger(__name__)
Text = Annotated[str, Field(max_length=1_000_000)]
"""Where a length is asked for, half of an emoji is refused, too."""


class Part(BaseModel):
    """A piece of a message. Only text is read."""

    type: str
    text: Text | None = None


class ChatMessage(BaseModel):
    """A message of the conversation."""

    model_config = ConfigDict(strict=True)
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | list[Part] | None = None

    def text(self) -> str:
        """The message as one text. Raises ApiError where it has something else."""
        if not isinstance(self.content, list):
            return self.content or ""
        strange = [part.type for part in self.content if part.type != "text" or part.text is None]
        if strange:
            raise ApiError(400, f"A message has a part of type {strange[0]!r}; only text is read.", param="messages")
        return "\n".join(part.text or "" for part in self.content)


class StreamOptions(BaseModel):
    """What a stream says besides the answer."""

    model_config = ConfigDict(strict=True)
    include_usage: bool | None = None


class ChatBody(BaseModel):
    """What is asked. Fields of OpenAI's protocol that are not here are passed over."""

    model_config = ConfigDict(strict=True)
    model: str = Field(default="", max_length=200)
    messages: list[ChatMessage] = Field(min_length=1, max_length=_MOST_MESSAGES)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = 1
    tools: list[Any] | None = None
    user: str | None = Field(default=None, max_length=200)
    """The customer, where a key speaks for several."""
    safety_identifier: str | None = Field(default=None, max_length=200)
    """The same, as newer clients of the protocol name it; `user` goes before it."""
    store: bool | None = True
    """False: the conversation is not kept, and its answers cannot be rated."""
    conversation: str | None = Field(default=None, max_length=80)
    """A stored conversation of this customer to go on with; its messages are the store's then."""
    message_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """The sender's own id of the message. Sent again with it, after whatever broke, it is kept and answered once."""


class CompletionUsage(BaseModel):
    """The tokens that the language model read and wrote; 0 where the answer was quoted alone."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Choice(BaseModel):
    """The answer."""

    index: int = 0
    message: Message
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class Completion(BaseModel):
    """An answer as OpenAI's clients read it, with what became of the question in `confide`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: CompletionUsage
    confide: Confide


class EventStream(StreamingResponse):
    """Server-sent events; whatever was opened for them is closed when they end, or their reader has gone."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str], opened: contextlib.AsyncExitStack) -> None:
        super().__init__(events, headers={"x-accel-buffering": "no"})
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._opened.aclose()


@router.post(
    "/chat/completions",
    summary="Ask the assistant",
    response_model=Completion,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def chat_completions(house: TheHouse, caller: Who, body: ChatBody) -> Response:
    """With `stream` the answer comes as chunks, the last of which has the annotations and `confide`."""
    asked = await run_in_threadpool(_Asked, house, caller, body)
    house.rates.count_question(caller)
    opened = contextlib.AsyncExitStack()
    try:
        if not await run_in_threadpool(asked.has_person):  # what a person reads needs no place before the model
            place = house.place(caller, asked.customer)
            opened.callback(place.leave)
            if body.stream and not place.called:
                return EventStream(asked.waited(place, opened), opened)
            await place.turn()
        events = asked.events()
        opened.push_async_callback(run_in_threadpool, events.close)
        first = await run_in_threadpool(
            next, events
        )  # what is wrong with the question is said before the answer begins
        if body.stream:
            return EventStream(asked.chunks(events, first), opened)
        answer = await run_in_threadpool(_last, events)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await opened.aclose()
        raise
    await opened.aclose()
    return JSONResponse(asked.completion(answer))


class _Asked:
    """One request: who asks what of whom."""

    def __init__(self, house: House, caller: Caller, body: ChatBody) -> None:
        if body.n not in {None, 1} or body.tools:
            what, param = ("one answer", "n") if body.n not in {None, 1} else ("no tools", "tools")
            raise ApiError(400, f"The assistant gives {what}.", code="unsupported_value", param=param)
        self.house, self.body = house, body
        self.info, self.adapter = chosen(house, caller, body.model)
        self.model = body.model or self.info.name
        self.customer = caller.customer(body.user or body.safety_identifier)
        self.question = self._question()
        self.conversation = self._conversation()
        self.created = int(time.time())

    def events(self) -> Any:
        """The walk ask: a generator of its events."""
        more = {} if self.adapter is None else {"adapter": self.adapter}
        if self.body.message_id:
            more["client_id"] = f"m:{self.body.message_id}"
        return self.house.assistant.ask(self.conversation, self.question, collection=self.info.name, **more)

    def has_person(self) -> bool:
        """Whether a person has the conversation."""
        standing = self.house.assistant.desk.standing(self.conversation.id)
        return standing is not None and standing.state is State.TAKEN

    def completion(self, answer: Answer) -> dict[str, Any]:
        """The whole answer as JSON."""
        done = Completion(
            id=f"chatcmpl-{answer.id}",
            created=self.created,
            model=self.model,
            choices=[Choice(message=message_of(answer.to_dict()))],
            usage=_usage(answer),
            confide=self._confide(answer),
        )
        return done.model_dump(mode="json")

    async def waited(self, place: Place, opened: contextlib.AsyncExitStack) -> AsyncIterator[str]:
        """How many are before it, as comments, which clients pass over; then as `chunks`."""
        try:
            async for ahead in place.positions():
                yield f": position {ahead + 1}\n\n"
            events = self.events()
            opened.push_async_callback(run_in_threadpool, events.close)
            first = await run_in_threadpool(next, events)
        except ConfideError as error:
            code = "overloaded" if isinstance(error, Busy) else "invalid_request"
            told = f"{error.message} {error.hint}".strip()
            yield _event({"error": {"message": told, "type": "server_error", "param": None, "code": code}})
            return
        async for chunk in self.chunks(events, first):
            yield chunk

    async def chunks(self, events: Iterator[AskEvent], event: AskEvent | None) -> AsyncIterator[str]:
        """The answer as server-sent events, from its first event on."""
        name = f"chatcmpl-{self.conversation.id or self.created}"
        yield self._chunk(name, {"role": "assistant", "content": ""})
        try:
            while event is not None and not isinstance(event, Done):
                if isinstance(event, Delta):
                    yield self._chunk(name, {"content": event.text})
                event = await run_in_threadpool(next, events, None)
        except Exception:  # the status has gone out already: say it in the stream, as OpenAI does
            _log.exception("a streamed answer failed")
            broken = "The assistant failed on this question. Ask again, or ask for a person."
            yield _event({"error": {"message": broken, "type": "server_error", "param": None, "code": None}})
            return
        if isinstance(event, Done):
            for line in self._end(name, event.answer):
                yield line
        yield "data: [DONE]\n\n"

    def _end(self, name: str, answer: Answer) -> Iterator[str]:
        """The last chunk, with what the whole answer has; then the usage where it was asked for."""
        message = message_of(answer.to_dict()).model_dump(mode="json")
        yield self._chunk(
            name,
            {"annotations": message["annotations"]},
            finish_reason="stop",
            confide=self._confide(answer).model_dump(mode="json"),
        )
        if self.body.stream_options and self.body.stream_options.include_usage:
            yield _event({**self._head(name), "choices": [], "usage": _usage(answer).model_dump()})

    def _chunk(self, name: str, delta: dict[str, Any], *, finish_reason: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return _event({**self._head(name), "choices": [choice], **more})

    def _head(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "chat.completion.chunk", "created": self.created, "model": self.model}

    def _confide(self, answer: Answer) -> Confide:
        return finished(self.house, answer.to_dict(), self.conversation, self.info)

    def _question(self) -> str:
        last = self.body.messages[-1]
        if last.role != "user":
            raise ApiError(400, "The last message is not the user's.", code="invalid_request", param="messages")
        question = last.text().strip()
        if not question:
            raise ApiError(400, "The question is empty.", code="invalid_request", param="messages")
        if len(question) > MAX_QUESTION_CHARS:
            many = f"The question has {len(question)} characters; at most {MAX_QUESTION_CHARS} are read."
            raise ApiError(400, many, code="context_length_exceeded", param="messages")
        return question

    def _conversation(self) -> Conversation:
        """The stored conversation that is named, or a new one with the messages of the request."""
        sessions, named = self.house.sessions, self.body.conversation
        if named is not None:
            if not sessions.owns(self.customer, named):
                raise ApiError(404, "There is no such conversation.", code="not_found", param="conversation")
            store = self.house.assistant.store
            about = store.collection_of(named)
            if about not in {"", self.info.name}:
                told = f"This conversation is about {about!r}. Send that as `model`, or begin another conversation."
                raise ApiError(400, told, code="invalid_request", param="conversation")
            turns = before(store.turns(named, self.customer), f"m:{self.body.message_id}")[-HISTORY:]
            return Conversation(named, self.customer, tuple(turn.message for turn in turns))
        earlier = [Said(one.role, one.text()) for one in self.body.messages[:-1] if one.role in {"user", "assistant"}]
        customer = "" if self.body.store is False else self.customer
        new = sessions.new_conversation(self.customer, first=self.body.message_id or "")
        return Conversation(new, customer, tuple(earlier[-HISTORY:]))


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _usage(answer: Answer) -> CompletionUsage:
    used = answer.receipt.usage
    return CompletionUsage(
        prompt_tokens=used.prompt_tokens,
        completion_tokens=used.completion_tokens,
        total_tokens=used.prompt_tokens + used.completion_tokens,
    )


def _last(events: Iterator[AskEvent]) -> Answer:
    """The answer at the end of the walk."""
    for event in events:
        if isinstance(event, Done):
            return event.answer
    raise ApiError(503, "The assistant stopped before its answer was whole. Ask again.")
