"""The Desk: the queue of conversations that need a person, and the one that is open. Gradio <-> `desk.Desk`.

It looks for news by a timer; what is being typed stays as it is. Every handler asks the door again. A message is
sent with an id that was drawn when its box was emptied: sent twice it is written once.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.context import Context

from assistant.accounts import Role
from assistant.canned import Shelf
from assistant.curated import suggest
from assistant.desk import MAX_MESSAGE, OPEN, Case, Staff, State
from assistant.errors import BadInput, ConfideError
from assistant.gate import LIGHT
from assistant.language import detect
from assistant.ui import render, render_desk
from assistant.ui.front import Front
from assistant.ui.parts import hidden, html, not_allowed, visitor

NEWS_SECONDS = 3
_log = logging.getLogger(__name__)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    count: gr.Markdown
    cases: gr.Radio
    told: gr.Markdown
    head: gr.Markdown
    actions: gr.Row
    take: gr.Button
    give_back: gr.Button
    resolve: gr.Button
    suggest: gr.Button
    thread: gr.Markdown
    writing: gr.Column
    reply: gr.Textbox
    ready: gr.Dropdown
    notes: gr.Markdown
    noting: gr.Column
    note: gr.Textbox
    chosen: gr.Textbox
    seen: gr.Textbox
    message: gr.Textbox
    timer: gr.Timer
    title: gr.Dropdown
    text_en: gr.Textbox
    text_zh: gr.Textbox

    def outputs(self) -> list[Any]:
        """Every component a handler may change."""
        return list(vars(self).values())


def build(front: Front) -> None:
    """Draws the tab in the one that is open and wires it."""
    say = front.say
    tab = Context.block
    html(f'<p class="quiet">{render.safe(say("desk_hint"))}</p>')
    with gr.Row(elem_id="desk"):
        with gr.Column(elem_id="desk-queue", scale=0, min_width=280):
            count = html("", elem_id="desk-count")
            cases = gr.Radio([], label=say("desk_queue"), show_label=False, container=False, elem_id="desk-cases")
        with gr.Column(elem_id="desk-open", min_width=300):
            told = html("", elem_id="desk-told")
            head = html("", elem_id="desk-head")
            with gr.Row(elem_id="desk-actions", visible=False) as actions:
                take, give_back, resolve, offer = (
                    gr.Button(say(f"desk_{key}"), size="sm", elem_id=f"desk-{key}", scale=0, min_width=0)
                    for key in ("take", "return", "resolve", "suggest")
                )
            thread = html("", elem_id="desk-thread")
            with gr.Column(elem_id="desk-writing", visible=False) as writing:
                with gr.Row(elem_id="desk-reply-row"):
                    reply = gr.Textbox(
                        label=say("desk_reply"), placeholder=say("desk_reply"), show_label=False, container=False,
                        lines=1, max_lines=8, max_length=MAX_MESSAGE, elem_id="desk-reply", scale=1,
                    )  # fmt: skip
                    send = gr.Button(say("desk_send"), variant="primary", elem_id="desk-send", scale=0, min_width=88)
                ready = gr.Dropdown([], label=say("desk_canned_pick"), elem_id="desk-ready", allow_custom_value=True)
            with gr.Column(elem_id="desk-noting", visible=False) as noting:
                notes = html("", elem_id="desk-notes")
                with gr.Row(elem_id="desk-note-row"):
                    note = gr.Textbox(
                        label=say("desk_note"), placeholder=say("desk_note"), show_label=False, container=False,
                        max_length=MAX_MESSAGE, elem_id="desk-note", scale=1,
                    )  # fmt: skip
                    add = gr.Button(say("desk_note_add"), size="sm", elem_id="desk-note-add", scale=0, min_width=88)
    title, text_en, text_zh, save, remove = _ready_answers(front)
    parts = Parts(
        count, cases, told, head, actions, take, give_back, resolve, offer, thread, writing, reply, ready, notes,
        noting, note, hidden(), hidden(), hidden(), gr.Timer(NEWS_SECONDS, active=False), title, text_en, text_zh,
    )  # fmt: skip
    _wire(front, parts, cast(gr.Tab, tab), (send, add, save, remove))


def _ready_answers(front: Front) -> tuple[Any, ...]:
    """Where ready answers are written."""
    say = front.say
    with gr.Accordion(say("desk_canned_manage"), open=False, elem_id="desk-canned"):
        html(f'<p class="quiet">{render.safe(say("desk_canned_hint"))}</p>')
        title = gr.Dropdown([], label=say("desk_canned_title"), allow_custom_value=True, elem_id="canned-title")
        text_en = gr.Textbox(label=say("desk_canned_text_en"), lines=2, max_length=MAX_MESSAGE, elem_id="canned-en")
        text_zh = gr.Textbox(label=say("desk_canned_text_zh"), lines=2, max_length=MAX_MESSAGE, elem_id="canned-zh")
        with gr.Row():
            save = gr.Button(say("desk_canned_save"), elem_id="canned-save", scale=0)
            remove = gr.Button(say("desk_canned_remove"), elem_id="canned-remove", scale=0)
    return title, text_en, text_zh, save, remove


def _wire(front: Front, parts: Parts, tab: gr.Tab, buttons: tuple[gr.Button, ...]) -> None:
    send, add, save, remove = buttons
    handlers, outputs = _Handlers(front, parts), parts.outputs()
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}
    texts = [parts.title, parts.text_en, parts.text_zh]
    tab.select(handlers.open_desk, [parts.chosen], outputs, **light)
    parts.timer.tick(handlers.desk_news, [parts.chosen, parts.seen], outputs, **light)
    parts.cases.input(handlers.pick, [parts.cases], outputs, preprocess=False, **light)
    parts.take.click(handlers.take, [parts.chosen], outputs, **light)
    parts.give_back.click(handlers.give_back, [parts.chosen], outputs, **light)
    parts.resolve.click(handlers.resolve, [parts.chosen], outputs, **light)
    parts.suggest.click(handlers.suggest, [parts.chosen], outputs, **light)
    sending = [parts.chosen, parts.message, parts.reply]
    gr.on([parts.reply.submit, send.click], handlers.write, sending, outputs, **light)
    noting = [parts.chosen, parts.message, parts.note]
    gr.on([parts.note.submit, add.click], handlers.add_note, noting, outputs, **light)
    parts.ready.input(handlers.put_ready, [parts.chosen, parts.ready, parts.reply], outputs, preprocess=False, **light)
    parts.title.input(handlers.show_ready, [parts.title], outputs, preprocess=False, **light)
    save.click(handlers.save_ready, texts, outputs, preprocess=False, **light)
    remove.click(handlers.remove_ready, [parts.title], outputs, preprocess=False, **light)


class _Handlers:
    """What happens on each event. Every one asks the door first."""

    def __init__(self, front: Front, parts: Parts) -> None:
        self._front, self._parts = front, parts
        self._desk = front.assistant.desk
        self._shelf = Shelf(front.assistant.store, front.settings.tenant)

    def open_desk(self, chosen: str, request: gr.Request) -> Update:
        return self._inside(request, lambda me: {**self._view(me, chosen), **self._choices()})

    def desk_news(self, chosen: str, seen: str, request: gr.Request) -> Update | Any:
        def look(me: Staff) -> Update:
            view = self._view(me, chosen)
            return {} if view[self._parts.seen] == seen else view

        return self._inside(request, look, quietly=True) or gr.skip()

    def pick(self, chosen: object, request: gr.Request) -> Update:
        emptied = {self._parts.reply: "", self._parts.note: "", self._parts.message: uuid.uuid4().hex}
        return self._inside(request, lambda me: {**self._view(me, str(chosen or "")), **emptied})

    def take(self, chosen: str, request: gr.Request) -> Update:
        def act(me: Staff) -> Update:
            case = self._desk.case(chosen)
            self._desk.take(chosen, me, from_holder=case.holder if case.state is State.TAKEN else "")
            return {**self._view(me, chosen), self._parts.message: uuid.uuid4().hex}

        return self._inside(request, act, chosen)

    def give_back(self, chosen: str, request: gr.Request) -> Update:
        return self._inside(request, lambda me: self._after(me, self._desk.give_back(chosen, me)), chosen)

    def resolve(self, chosen: str, request: gr.Request) -> Update:
        return self._inside(request, lambda me: self._after(me, self._desk.resolve(chosen, me)), chosen)

    def write(self, chosen: str, message: str, text: str, request: gr.Request) -> Update:
        def act(me: Staff) -> Update:
            if not (text or "").strip():
                return {}
            self._desk.reply(chosen, me, text, client_id=f"{me.id}:{message or uuid.uuid4().hex}")
            sent = {self._parts.reply: "", self._parts.message: uuid.uuid4().hex, self._parts.ready: None}
            return {**self._view(me, chosen), **sent}

        return self._inside(request, act, chosen)

    def add_note(self, chosen: str, message: str, text: str, request: gr.Request) -> Update:
        def act(me: Staff) -> Update:
            if not (text or "").strip():
                return {}
            self._desk.note(chosen, me, text, client_id=f"{me.id}:{message or uuid.uuid4().hex}")
            return {**self._view(me, chosen), self._parts.note: "", self._parts.message: uuid.uuid4().hex}

        return self._inside(request, act, chosen)

    def suggest(self, chosen: str, request: gr.Request) -> Update:
        def act(me: Staff) -> Update:
            case = self._desk.case(chosen)
            question, answer = self._pair(case)
            store, tenant = self._front.assistant.store, self._front.settings.tenant
            suggest(store, tenant, case.collection, question, answer, "desk", conversation=chosen)
            return {self._parts.told: render.notice(self._front.say("desk_suggested"))}

        return self._inside(request, act, chosen)

    def put_ready(self, chosen: str, title: object, text: str, request: gr.Request) -> Update:
        def act(me: Staff) -> Update:
            case, found = self._desk.case(chosen), {one.title: one for one in self._shelf.all()}.get(str(title or ""))
            if found is None:
                return {}
            language = detect(self._asked(case), default=self._front.language)
            names = {"company": self._front.company(case.collection).name(language), "staff": me.name}
            filled = found.filled(language, customer=case.name, **names)
            return {self._parts.reply: f"{text.rstrip()}\n{filled}".strip(), self._parts.ready: None}

        return self._inside(request, act, chosen)

    def show_ready(self, title: object, request: gr.Request) -> Update:
        def act(_: Staff) -> Update:
            found = {one.title: one.texts for one in self._shelf.all()}.get(str(title or ""))
            if found is None:
                return {}
            return {self._parts.text_en: found.get("en", ""), self._parts.text_zh: found.get("zh", "")}

        return self._inside(request, act)

    def save_ready(self, title: object, text_en: str, text_zh: str, request: gr.Request) -> Update:
        def act(_: Staff) -> Update:
            self._shelf.save(str(title or ""), {"en": text_en or "", "zh": text_zh or ""})
            self._front.door.log(visitor(request).session, "canned.save", str(title))
            return {**self._choices(), self._parts.told: render.notice(self._front.say("desk_saved"))}

        return self._inside(request, act)

    def remove_ready(self, title: object, request: gr.Request) -> Update:
        def act(_: Staff) -> Update:
            self._shelf.remove(str(title or ""))
            self._front.door.log(visitor(request).session, "canned.remove", str(title))
            return {**self._choices(), self._parts.text_en: "", self._parts.text_zh: ""}

        return self._inside(request, act)

    def _inside(
        self, request: gr.Request, act: Callable[[Staff], Update], chosen: str = "", *, quietly: bool = False
    ) -> Update:
        """What the event does, for staff; what went wrong is told above the open conversation, shown as it is now."""
        session, told = visitor(request).session, self._parts.told
        account = self._front.door.account(session)
        if account is None or not account.role.covers(Role.STAFF):
            return {told: not_allowed(self._front, request), self._parts.timer: gr.Timer(active=False)}
        me = Staff.of_account(account.name)
        try:
            return {told: "", **act(me)} if not quietly else act(me)
        except ConfideError as error:
            return {**self._view(me, chosen), told: render.notice(f"{error.message} {error.hint}".strip(), "bad")}
        except Exception:
            _log.exception("an event of the desk failed")
            return {told: render.notice(self._front.say("broken"), "bad")}

    def _after(self, me: Staff, case: Case) -> Update:
        """The view once a conversation is given back or closed: it stays open to be read."""
        return {**self._view(me, case.conversation), self._parts.reply: ""}

    def _view(self, me: Staff, chosen: str) -> Update:
        """The queue and the open conversation, as they stand now."""
        parts, front = self._parts, self._front
        cases, (waiting, taken) = self._desk.cases(), (self._desk.count(state) for state in OPEN)
        case = next((one for one in cases if one.conversation == chosen), None) or self._closed(chosen)
        labels = [(render_desk.label(one, me.id, front.say), one.conversation) for one in cases]
        picked = chosen if any(value == chosen for _, value in labels) else None
        queue = {
            parts.count: render_desk.count(waiting, taken, front.look()),
            parts.cases: gr.update(choices=labels, value=picked, visible=bool(labels)),
            parts.timer: gr.Timer(active=True),
            parts.chosen: case.conversation if case else "",
        }
        opened = self._opened(me, case)
        seen = f"{waiting} {labels} {case} {len(self._desk.notes(chosen)) if case else 0}"
        return {**queue, **opened, parts.seen: seen}

    def _opened(self, me: Staff, case: Case | None) -> Update:
        parts, front, say = self._parts, self._front, self._front.say
        mine = case is not None and case.state is State.TAKEN and case.holder == me.id
        theirs = case is not None and case.state is State.TAKEN and not mine
        is_open = case is not None and case.state in OPEN
        offer = case is not None and any(turn.by for turn in self._desk.turns(case))
        name = say("desk_take_from", name=case.staff) if case and theirs else say("desk_take")
        return {
            parts.head: render_desk.head(case, me.id, front.look()),
            parts.actions: gr.update(visible=is_open or offer),
            parts.take: gr.update(
                value=name, visible=is_open and not mine, variant="secondary" if theirs else "primary"
            ),
            parts.give_back: gr.update(visible=mine),
            parts.resolve: gr.update(visible=mine or (is_open and not theirs)),
            parts.suggest: gr.update(visible=offer),
            parts.thread: render_desk.thread(self._desk.turns(case), front.look(case.collection)) if case else "",
            parts.writing: gr.update(visible=mine),
            parts.noting: gr.update(visible=case is not None),
            parts.notes: render_desk.notes(self._desk.notes(case.conversation), front.look()) if case else "",
        }

    def _closed(self, chosen: str) -> Case | None:
        """An open conversation that is on the queue no more: given back, closed, or deleted by its customer."""
        try:
            return self._desk.case(chosen) if chosen else None
        except ConfideError:
            return None

    def _choices(self) -> Update:
        titles = [one.title for one in self._shelf.all()]
        return {
            self._parts.ready: gr.update(choices=titles, value=None, visible=bool(titles)),
            self._parts.title: gr.update(choices=titles),
        }

    def _asked(self, case: Case) -> str:
        turns = self._desk.turns(case)
        return next((turn.message.text for turn in reversed(turns) if turn.message.role == "user"), "")

    def _pair(self, case: Case) -> tuple[str, str]:
        """The last answer of a person and the question before it. Raises BadInput."""
        turns = self._desk.turns(case)
        answered = [place for place, turn in enumerate(turns) if turn.by]
        for place in reversed(answered):
            asked = [turn.message.text for turn in turns[:place] if turn.message.role == "user"]
            if asked:
                return asked[-1], turns[place].message.text
        raise BadInput(self._front.say("desk_nothing_to_suggest"))
