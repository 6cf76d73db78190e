"""The Answers tab of the staff's page: review what is suggested, write, edit, switch off and delete approved answers.

One editor for all three: a suggestion, an approved answer, a new one. Every handler asks the door again.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.context import Context

from assistant.accounts import Role
from assistant.curated import MAX_ANSWER, Approved, Curated, Draft, Suggestion
from assistant.dashboard import Period
from assistant.errors import BadInput, ConfideError
from assistant.gate import LIGHT, STAFF
from assistant.questions import Questions
from assistant.rows import now
from assistant.ui import render
from assistant.ui.front import Front
from assistant.ui.parts import html, not_allowed, visitor
from assistant.ui.render import Look, safe

_EXCERPT, _QUESTIONS, _MINED_DAYS = 140, 3, 30
_log = logging.getLogger(__name__)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The components of the tab. `chosen` is "s:ID" of a suggestion, "a:ID" of an approved answer, "" for a new one."""

    collection: gr.Dropdown
    notice: gr.Markdown
    waiting: gr.Markdown
    approved: gr.Markdown
    chosen: gr.Dropdown
    questions: gr.Textbox
    answer: gr.Textbox
    until: gr.Textbox
    sure: gr.Checkbox

    def outputs(self) -> list[Any]:
        """Every component a handler may change."""
        return list(vars(self).values())


def build(front: Front) -> None:
    """Draws the tab in the current one and wires it."""
    say, tab = front.say, Context.block
    html(f'<p class="quiet">{safe(say("answers_hint"))}</p>')
    collection = gr.Dropdown([], label=say("which_collection"), elem_id="answers-collection")
    html(f"<h2>{safe(say('answers_waiting'))}</h2>", elem_classes="tab-title")
    waiting = html("", elem_id="answers-waiting")
    mine = gr.Button(say("answers_mine"), elem_id="answers-mine", elem_classes="plain")
    with gr.Column(elem_id="answers-card", elem_classes="card"):
        chosen = gr.Dropdown(
            [(say("answers_new"), "")], value="", label=say("answers_choose"), elem_id="answers-chosen"
        )
        questions = gr.Textbox(label=say("answers_questions"), lines=2, max_lines=6, elem_id="answers-questions")
        answer = gr.Textbox(
            label=say("answers_answer"), lines=3, max_lines=12, max_length=MAX_ANSWER, elem_id="answers-answer"
        )
        zone = front.assistant.desk.hours.zone.key
        until = gr.Textbox(label=say("answers_until", zone=zone), max_length=10, elem_id="answers-until")
        sure = gr.Checkbox(False, label=say("answers_sure"), elem_id="answers-sure")
        with gr.Row(elem_id="answers-go"):
            approve = gr.Button(say("answers_approve"), variant="primary", elem_id="answers-approve")
            decline = gr.Button(say("answers_decline"), elem_id="answers-decline", elem_classes="plain")
            switch = gr.Button(say("answers_switch"), elem_id="answers-switch", elem_classes="plain")
            remove = gr.Button(say("answers_remove"), variant="stop", elem_id="answers-remove")
    notice = html("", elem_id="answers-notice")
    html(f"<h2>{safe(say('answers_approved'))}</h2>", elem_classes="tab-title")
    approved = html("", elem_id="answers-approved")
    handlers = _Handlers(front, Parts(collection, notice, waiting, approved, chosen, questions, answer, until, sure))
    outputs = handlers.parts.outputs()
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}
    staff: dict[str, Any] = {"api_visibility": "private", "concurrency_id": STAFF, "concurrency_limit": 2}
    cast(gr.Tab, tab).select(handlers.open_answers, [collection], outputs, **light)
    collection.input(handlers.open_answers, [collection], outputs, **light)
    chosen.input(handlers.choose_answer, [collection, chosen], outputs, **light)
    draft = [collection, chosen, questions, answer, until, sure]
    approve.click(handlers.approve_answer, draft, outputs, **staff, show_progress_on=[notice])
    for button, handler in (
        (decline, handlers.decline_answer), (switch, handlers.switch_answer), (remove, handlers.remove_answer),
    ):  # fmt: skip
        button.click(handler, [collection, chosen], outputs, **staff, show_progress_on=[notice])
    mine.click(handlers.mine_answers, [collection], outputs, **staff, show_progress_on=[notice])


class _Handlers:
    """What happens on each event. Every one asks the door first."""

    def __init__(self, front: Front, parts: Parts) -> None:
        self._front, self.parts = front, parts

    @property
    def _curated(self) -> Curated:
        return self._front.assistant.approvals.curated

    def open_answers(self, collection: str | None, request: gr.Request) -> Update:
        return self._do(request, collection, lambda name, by: "", role=Role.VIEWER)

    def choose_answer(self, collection: str | None, chosen: str, request: gr.Request) -> Update:
        parts = self.parts
        found = self._do(request, collection, lambda name, by: "", role=Role.VIEWER)
        if parts.chosen in found:
            one = self._found(found[parts.collection]["value"], chosen)
            if one is not None:
                asked = one.questions if isinstance(one, Approved) else (one.question,)
                until = one.expires if isinstance(one, Approved) else None
                found[parts.chosen] = gr.update(choices=found[parts.chosen]["choices"], value=chosen)
                found[parts.questions] = "\n".join(asked)
                found[parts.answer] = one.text if isinstance(one, Approved) else one.answer
                found[parts.until] = str(self._front.assistant.desk.hours.last_day(until)) if until else ""
        return found

    def approve_answer(
        self, collection: str | None, chosen: str, questions: str, answer: str, until: str, sure: bool,
        request: gr.Request,
    ) -> Update:  # fmt: skip
        def approve(name: str, by: str) -> str:
            draft = Draft(tuple((questions or "").splitlines()), answer or "", self._until(until), bool(sure))
            kind, _, identity = (chosen or "").partition(":")
            if kind == "s":
                made = self._curated.approve(identity, draft, by=by)
            elif kind == "a":
                made = self._curated.edit(identity, draft, by=by)
            else:
                made = self._curated.add(name, draft, by=by)
            self._log(request, "answer.approve", made.id)
            return self._front.say("answers_done")

        return self._do(request, collection, approve)

    def decline_answer(self, collection: str | None, chosen: str, request: gr.Request) -> Update:
        def decline(name: str, by: str) -> str:
            identity = self._one(chosen, "s")
            self._curated.decline(identity, by=by)
            self._log(request, "answer.decline", identity)
            return self._front.say("answers_declined")

        return self._do(request, collection, decline)

    def switch_answer(self, collection: str | None, chosen: str, request: gr.Request) -> Update:
        def switch(name: str, by: str) -> str:
            identity = self._one(chosen, "a")
            on = not self._curated.find(identity).enabled
            self._curated.switch(identity, on, by=by)
            self._log(request, "answer.on" if on else "answer.off", identity)
            return self._front.say("answers_switched_on" if on else "answers_switched_off")

        return self._do(request, collection, switch)

    def remove_answer(self, collection: str | None, chosen: str, request: gr.Request) -> Update:
        def remove(name: str, by: str) -> str:
            identity = self._one(chosen, "a")
            self._curated.remove(identity)
            self._log(request, "answer.remove", identity)
            return self._front.say("answers_removed")

        return self._do(request, collection, remove)

    def mine_answers(self, collection: str | None, request: gr.Request) -> Update:
        def mine(name: str, by: str) -> str:
            assistant = self._front.assistant
            tenant = assistant.settings.tenant
            questions = Questions(assistant.store, tenant, lambda wanted: assistant.searcher.embedder(tenant, wanted))
            return self._front.say("answers_mined", n=questions.mine(name, Period.last(_MINED_DAYS)))

        return self._do(request, collection, mine)

    # Shared

    def _do(
        self, request: gr.Request, collection: str | None, act: Callable[[str, str], str], role: Role = Role.STAFF
    ) -> Update:
        """What the event does, for an account that covers the role, and the tab as it stands then."""
        front, parts = self._front, self.parts
        account = front.door.account(visitor(request).session)
        if account is None or not account.role.covers(role):
            return {parts.notice: not_allowed(front, request)}
        info = front.collection(collection)
        if info is None:
            return {parts.notice: render.notice(front.say("answers_no_collection"), "bad")}
        try:
            told = act(info.name, account.name)
        except ConfideError as error:
            return {parts.notice: render.notice(f"{error.message} {error.hint}".strip(), "bad")}
        except Exception:
            _log.exception("an event of the Answers tab failed")
            return {parts.notice: render.notice(front.say("broken"), "bad")}
        return {**self._view(info.name), parts.notice: render.notice(told) if told else ""}

    def _view(self, collection: str) -> Update:
        front, parts, look = self._front, self.parts, self._front.look()
        waiting, approved = self._curated.suggestions(collection), self._curated.all(collection)
        choices = [(front.say("answers_new"), "")]
        choices += [(f"? {one.question[:80]}", f"s:{one.id}") for one in waiting]
        choices += [
            (f"✓ {one.questions[0][:80] if one.questions else one.text[:80]}", f"a:{one.id}") for one in approved
        ]
        names = [info.name for info in front.collections()]
        return {
            parts.collection: gr.update(choices=names, value=collection, visible=len(names) > 1),
            parts.waiting: suggestions(waiting, look),
            parts.approved: answers(approved, look),
            parts.chosen: gr.update(choices=choices, value=""),
            parts.questions: "", parts.answer: "", parts.until: "", parts.sure: False,
        }  # fmt: skip

    def _found(self, collection: str, chosen: str) -> Approved | Suggestion | None:
        kind, _, identity = (chosen or "").partition(":")
        if kind == "s":
            return next((one for one in self._curated.suggestions(collection) if one.id == identity), None)
        return next((one for one in self._curated.all(collection) if one.id == identity), None)

    def _one(self, chosen: str, kind: str) -> str:
        """The id of what is chosen. Raises BadInput."""
        found, _, identity = (chosen or "").partition(":")
        if found != kind:
            raise BadInput(self._front.say("answers_choose_first"))
        return identity

    def _until(self, text: str) -> dt.datetime | None:
        """The end of that day at the desk; None where nothing is said. Raises BadInput."""
        if not (text or "").strip():
            return None
        try:
            return self._front.assistant.desk.hours.end_of(dt.date.fromisoformat(text.strip()))
        except (ValueError, OverflowError):
            raise BadInput(self._front.say("answers_bad_date", text=text.strip())) from None

    def _log(self, request: gr.Request, action: str, what: str) -> None:
        self._front.door.log(visitor(request).session, action, what)


def suggestions(found: list[Suggestion], look: Look) -> str:
    """The table of what waits for review."""
    if not found:
        return f'<p class="quiet">{safe(look.say("answers_none_waiting"))}</p>'
    rows = [
        (safe(one.question), safe(_short(one.answer)), safe(look.say(f"source_{one.source}")), str(one.asked))
        for one in found
    ]
    return render.table(look.say("answers_waiting_head").split("|"), rows)


def answers(found: list[Approved], look: Look) -> str:
    """The table of the approved answers, the most given first."""
    if not found:
        return f'<p class="quiet">{safe(look.say("answers_none"))}</p>'
    return render.table(look.say("answers_head").split("|"), [_row(one, look) for one in found])


def _row(one: Approved, look: Look) -> tuple[str, ...]:
    asked = "<br>".join(safe(question) for question in one.questions[:_QUESTIONS])
    if len(one.questions) > _QUESTIONS:
        asked += f'<br><span class="quiet">{safe(look.say("answers_more", n=len(one.questions) - _QUESTIONS))}</span>'
    kind, key = ("added", "answers_live") if one.is_live(now()) else ("unchanged", "answers_off")
    if one.enabled and kind == "unchanged":
        key = "answers_expired"
    chip = f'<span class="chip {kind}">{safe(look.say(key))}</span>'
    return asked, safe(_short(one.text)), f"{one.hits:,}", f"{safe(one.by)}<br>{one.at:%Y-%m-%d}", chip


def _short(text: str) -> str:
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT].rstrip()} …"
