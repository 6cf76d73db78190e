"""The chat: a thread, a composer, the visitor's conversations. Gradio <-> `Front`, nothing else.

The thread is drawn as HTML by `render.py` into two Markdown components (what is stored, and the turn in
the making), because `gr.HTML` needs eval, which our Content-Security-Policy forbids. The conversation id
travels in a hidden field and is checked against the session's cookie by every handler.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from assistant.desk import OPEN
from assistant.errors import BadInput, ConfideError
from assistant.gate import LIGHT, MODEL, Caller
from assistant.ui import render
from assistant.ui.front import Front
from assistant.ui.parts import hidden, html, visitor, went_wrong

EXAMPLES = 4
NEWS_SECONDS = 3
"""How often a page looks for what a person wrote, while one is needed."""
MAX_QUESTION = 4000
_log = logging.getLogger(__name__)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Chat:
    """The components of the page."""

    conversation: gr.Textbox
    mode: gr.Textbox
    history: gr.Radio
    nothing: gr.Markdown
    delete: gr.Button
    banner: gr.Markdown
    collection: gr.Dropdown
    thread: gr.Markdown
    live: gr.Markdown
    examples: list[gr.Button]
    editing: gr.Markdown
    question: gr.Textbox
    send: gr.Button
    stop: gr.Button
    retry: gr.Button
    edit: gr.Button
    why: gr.Button
    cancel: gr.Button
    person: gr.Button
    seen: gr.Textbox
    timer: gr.Timer
    address: gr.Column
    email: gr.Textbox
    leave: gr.Button
    told: gr.Markdown
    message: gr.Textbox
    """The id that the next message is sent with; it changes once one is being answered."""

    def outputs(self) -> list[Any]:
        """Every component a handler may change: the one list of outputs of this page."""
        fixed = [value for value in vars(self).values() if not isinstance(value, list)]
        return [*fixed, *self.examples]


def build(front: Front, blocks: gr.Blocks, *, sidebar: Callable[[], None] | None = None) -> None:
    """Draws the chat in the current Blocks and wires it. `sidebar` adds to the foot of the side bar."""
    say = front.say
    with gr.Sidebar(width=288, elem_id="side", open=True):
        html(f'<p class="brand">{render.safe(front.company_name() or say("assistant"))}</p>', elem_id="brand")
        new = gr.Button(say("new"), elem_id="new", variant="secondary")
        html(f'<p class="side-title">{render.safe(say("conversations"))}</p>')
        history = gr.Radio([], label=say("conversations"), show_label=False, container=False, elem_id="history")
        nothing = html(f'<p class="quiet">{render.safe(say("no_conversations"))}</p>')
        delete = gr.Button(say("delete"), elem_id="delete", size="sm", visible=False)
        if sidebar:
            sidebar()
    with gr.Column(elem_id="main"):
        chat = _main(front, history, nothing, delete)
    _wire(front, chat, new, blocks)


def _main(front: Front, history: gr.Radio, nothing: gr.Markdown, delete: gr.Button) -> Chat:
    say = front.say
    html(f'<p class="brand">{render.safe(front.company_name() or say("assistant"))}</p>', elem_id="brand-top")
    banner = html("", elem_id="banner", visible=False)
    # A custom value is allowed because the choices Gradio remembers do not outlive the server; `Front` checks the name.
    collection = gr.Dropdown([], label=say("collection"), visible=False, elem_id="collection", allow_custom_value=True)
    thread, live = html("", elem_id="thread"), html("", elem_id="live")
    with gr.Row(elem_id="examples"):
        examples = [gr.Button("", visible=False, elem_classes="example") for _ in range(EXAMPLES)]
    with gr.Column(visible=False, elem_id="address") as address:
        with gr.Row(elem_id="address-row"):
            email = gr.Textbox(
                label=say("email"), placeholder=say("email"), show_label=False, container=False, max_length=254,
                type="email", elem_id="email", scale=1,
            )  # fmt: skip
            leave = gr.Button(say("leave_email"), size="sm", scale=0, elem_id="leave-email")
        told = html("", elem_id="address-told")
    with gr.Column(elem_id="composer"):
        editing = html(f'<p class="quiet">{render.safe(say("editing"))}</p>', visible=False)
        with gr.Row(elem_id="ask"):
            question = gr.Textbox(
                label=say("question"), placeholder=say("placeholder"), show_label=False, container=False, lines=1,
                max_lines=6, max_length=MAX_QUESTION, elem_id="question", autofocus=True, scale=1,
            )  # fmt: skip
            send = gr.Button(say("send"), variant="primary", elem_id="send", scale=0, min_width=88)
            stop = gr.Button(say("stop"), variant="stop", elem_id="stop", scale=0, min_width=88, visible=False)
        with gr.Row(elem_id="actions"):
            retry, edit, why, cancel, person = (
                gr.Button(say(key), size="sm", visible=key == "person", elem_id=key, scale=0, min_width=0)
                for key in ("retry", "edit", "why", "cancel", "person")
            )
    return Chat(
        hidden(), hidden(), history, nothing, delete, banner, collection, thread, live, examples, editing, question,
        send, stop, retry, edit, why, cancel, person, hidden(), gr.Timer(NEWS_SECONDS, active=False), address, email,
        leave, told, hidden(),
    )  # fmt: skip


def _wire(front: Front, chat: Chat, new: gr.Button, blocks: gr.Blocks) -> None:
    handlers = _Handlers(front, chat)
    outputs, known = chat.outputs(), [chat.conversation, chat.collection]
    once = [*known, chat.message]
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}
    model: dict[str, Any] = {**light, "concurrency_id": MODEL, "concurrency_limit": None}  # `Front.ask` has the line
    asked = gr.on(
        [chat.question.submit, chat.send.click], handlers.ask, [*once, chat.mode, chat.question], outputs, **model
    )
    asking = [asked, chat.retry.click(handlers.retry, once, outputs, **model)]
    asking.append(chat.person.click(handlers.person, once, outputs, **model))
    asking += [button.click(handlers.example, [*once, button], outputs, **model) for button in chat.examples]
    stopped = chat.stop.click(None, None, None, cancels=asking, **light)
    stopped.then(handlers.show, known, outputs, **light)  # after it: what the answer came to is stored by then
    chat.edit.click(handlers.edit, known, outputs, **light)
    chat.cancel.click(handlers.show, known, outputs, **light)
    chat.why.click(handlers.why, known, outputs, **model)
    chat.history.input(
        handlers.open, [chat.history, chat.collection], outputs, cancels=asking, preprocess=False, **light
    )
    chat.delete.click(handlers.delete, known, outputs, cancels=asking, **light)
    chat.collection.input(handlers.choose, known, outputs, cancels=asking, **light)
    chat.timer.tick(handlers.news, [*known, chat.seen], outputs, **light)
    gr.on([chat.email.submit, chat.leave.click], handlers.leave_address, [*known, chat.email], outputs, **light)
    new.click(handlers.new, [chat.collection], outputs, cancels=asking, **light)
    blocks.load(handlers.load, None, outputs, **light)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Where a message is sent, and with which id of the page's."""

    conversation: str
    collection: str | None
    message: str

    @property
    def id(self) -> str:
        """The id, where it is one that this page made; else a new one."""
        return self.message if re.fullmatch(r"[0-9a-f]{32}", self.message or "") else uuid.uuid4().hex


class _Handlers:
    """What happens on each event. Every one starts from the request's session."""

    def __init__(self, front: Front, chat: Chat) -> None:
        self._front = front
        self._chat = chat

    def load(self, request: gr.Request) -> Update:
        session = visitor(request).session
        wanted = dict(request.query_params).get("c", "")
        infos = self._front.collections()
        choices = [(info.company.name(self._front.language) or info.name, info.name) for info in infos]
        if len({label for label, _ in choices}) < len(choices):
            choices = [(info.name, info.name) for info in infos]
        chosen = infos[0].name if infos else None
        update = self._view(session, self._front.own(session, wanted), chosen)
        dropdown = gr.update(choices=choices, value=update[self._chat.collection], visible=len(choices) > 1)
        return {**update, self._chat.collection: dropdown}

    def show(self, conversation: str, collection: str | None, request: gr.Request) -> Update:
        session = visitor(request).session
        return self._view(session, self._front.own(session, conversation), collection)

    def new(self, collection: str | None, request: gr.Request) -> Update:
        session = visitor(request).session
        return self._view(session, self._front.own(session, None), collection)

    def open(self, conversation: object, collection: object, request: gr.Request) -> Update:
        return self.show(str(conversation or ""), str(collection or ""), request)

    def choose(self, conversation: str, collection: str | None, request: gr.Request) -> Update:
        """Another collection: what was said about one stays with it, and a new conversation begins."""
        info = self._front.about(self._front.own(visitor(request).session, conversation), collection)
        stays = info is not None and info.name == collection
        return self.show(conversation if stays else "", collection, request)

    def delete(self, conversation: str, collection: str | None, request: gr.Request) -> Update:
        session = visitor(request).session
        self._front.delete(session, self._front.own(session, conversation))
        return self.new(collection, request)

    def edit(self, conversation: str, collection: str | None, request: gr.Request) -> Update:
        session = visitor(request).session
        conversation = self._front.own(session, conversation)
        question = self._front.last_question(session, conversation)
        chat, on = self._chat, gr.update(visible=True)
        off = gr.update(visible=False)
        fields = {chat.question: question, chat.mode: "edit", chat.editing: on, chat.cancel: on}
        return {
            **self._view(session, conversation, collection),
            **fields,
            chat.edit: off,
            chat.retry: off,
            chat.why: off,
        }

    def why(self, conversation: str, collection: str | None, request: gr.Request) -> Update:
        """The last answer's sources with what each contributed; computed now, in some seconds."""
        session = visitor(request).session
        conversation = self._front.own(session, conversation)
        update = self._view(session, conversation, collection)
        try:
            update[self._chat.thread] = self._front.explained(visitor(request), conversation, collection)
        except ConfideError as error:
            gr.Warning(render.safe(went_wrong(error, self._front)))
        return update

    def ask(
        self, conversation: str, collection: str | None, message: str, mode: str, question: str, request: gr.Request
    ) -> Iterator[Update]:
        who = visitor(request)
        asked = _Asked(self._front.own(who.session, conversation), collection, message)
        if question.strip():
            yield from self._answer(who, asked, question.strip(), again=mode == "edit")

    def person(self, conversation: str, collection: str | None, message: str, request: gr.Request) -> Iterator[Update]:
        yield from self.ask(conversation, collection, message, "", self._front.say("want_person"), request)

    def news(self, conversation: str, collection: str | None, seen: str, request: gr.Request) -> Update | Any:
        """What a person wrote since, or who has the conversation now; what is being typed stays."""
        session = visitor(request).session
        conversation = self._front.own(session, conversation)
        if self._front.seen(session, conversation) == seen:
            return gr.skip()
        view = self._view(session, conversation, collection)
        return {part: view[part] for part in (*self._person_parts(), self._chat.thread)}

    def leave_address(self, conversation: str, collection: str | None, email: str, request: gr.Request) -> Update:
        session = visitor(request).session
        conversation = self._front.own(session, conversation)
        try:
            self._front.assistant.desk.leave_address(conversation, session, email=email or "")
        except BadInput:
            return {self._chat.told: render.notice(self._front.say("address_refused"), "bad")}
        except ConfideError as error:
            return {self._chat.told: render.notice(went_wrong(error, self._front), "bad")}
        view = self._view(session, conversation, collection)
        return {part: view[part] for part in (*self._person_parts(), self._chat.thread, self._chat.email)}

    def _person_parts(self) -> tuple[Any, ...]:
        """What changes with who has the conversation."""
        chat = self._chat
        return (chat.retry, chat.edit, chat.why, chat.person, chat.seen, chat.timer, chat.address, chat.told)

    def retry(self, conversation: str, collection: str | None, message: str, request: gr.Request) -> Iterator[Update]:
        who = visitor(request)
        asked = _Asked(self._front.own(who.session, conversation), collection, message)
        question = self._front.last_question(who.session, asked.conversation)
        if question:
            yield from self._answer(who, asked, question, again=True)

    def example(
        self, conversation: str, collection: str | None, message: str, question: str, request: gr.Request
    ) -> Iterator[Update]:
        yield from self.ask(conversation, collection, message, "", question, request)

    def _answer(self, who: Caller, asked: _Asked, question: str, *, again: bool) -> Iterator[Update]:
        """Streams the turn in the making, then shows the conversation as it was stored."""
        chat, session, conversation, collection = self._chat, who.session, asked.conversation, asked.collection
        asking = self._front.ask(who, conversation, question, collection, again=again, message=asked.id)
        try:
            with contextlib.closing(asking) as parts:
                first = next(parts)
                yield {**self._busy(session, conversation, collection), chat.live: first}
                for part in parts:
                    yield {chat.live: part}
        except ConfideError as error:
            gr.Warning(render.safe(went_wrong(error, self._front)))
        except Exception:
            _log.exception("a question failed")
            gr.Warning(self._front.say("broken"))
        yield self._view(session, conversation, collection)

    def _busy(self, session: str, conversation: str, collection: str | None) -> Update:
        """The page while an answer is being made."""
        chat, off = self._chat, gr.update(visible=False)
        turns = self._front.turns(session, conversation)
        thread = render.thread(turns, self._front.look(collection or ""), conversation) if turns else ""
        hide = [chat.retry, chat.edit, chat.why, chat.cancel, chat.editing, chat.send, chat.person, *chat.examples]
        quiet = dict.fromkeys(hide, off) | {chat.timer: gr.Timer(active=False)}
        fields = {chat.conversation: conversation, chat.thread: thread, chat.question: "", chat.mode: ""}
        fields |= {chat.message: uuid.uuid4().hex}
        return {**quiet, **fields, chat.stop: gr.update(visible=True)}

    def _view(self, session: str, conversation: str, collection: str | None) -> Update:
        """The page at rest, showing a conversation and the collection that it is about."""
        chat, front = self._chat, self._front
        info = front.about(conversation, collection)
        collection = info.name if info else None
        thread, titles = front.thread(session, conversation, collection), front.titles(session)
        started = conversation in {known for _, known in titles}
        examples = [] if started else front.examples(collection, EXAMPLES)
        texts = [*examples, *[""] * (EXAMPLES - len(examples))]
        update = {
            button: gr.update(value=text, visible=bool(text)) for button, text in zip(chat.examples, texts, strict=True)
        }
        banner = front.banner(collection)
        again = started and front.may_ask_again(session, conversation)
        standing = front.standing(conversation)
        waits = standing is not None and standing.state in OPEN
        away = waits and not front.assistant.desk.hours.is_open(dt.datetime.now(dt.UTC))
        shown = {
            chat.retry: again, chat.edit: again, chat.why: again, chat.delete: started, chat.person: not waits,
            chat.address: away and not (standing and standing.reachable), chat.cancel: False, chat.editing: False,
            chat.send: True, chat.stop: False, chat.nothing: not titles,
        }  # fmt: skip
        update |= {component: gr.update(visible=visible) for component, visible in shown.items()}
        update |= {chat.conversation: conversation, chat.mode: "", chat.thread: thread, chat.live: ""}
        update |= {chat.seen: front.seen(session, conversation), chat.timer: gr.Timer(active=waits), chat.told: ""}
        update |= {chat.email: "", chat.message: uuid.uuid4().hex}
        update[chat.collection] = collection
        update[chat.banner] = gr.update(value=banner, visible=bool(banner))
        update[chat.history] = gr.update(choices=titles, value=conversation if started else None)
        return update
