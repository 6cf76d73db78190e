"""The Loop tab of the staff's page: what customers' ratings taught, what waits for review, the turns and their ends.

Reviewing is the staff's; starting, concluding and rolling back the owner's. Every handler asks the door again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.context import Context

from assistant.accounts import Role
from assistant.adapters import BARE, BUILT_IN_ID
from assistant.errors import BadInput, ConfideError
from assistant.gate import LIGHT, OWNER, STAFF
from assistant.lessons import ACCEPTED, DECLINED, Lesson
from assistant.loop import LIVE, REFUSED, TRIAL, Loop, LoopTurn, Stages
from assistant.trial import Contrast
from assistant.ui import render
from assistant.ui.front import Front
from assistant.ui.parts import html, not_allowed, visitor
from assistant.ui.render import Look, safe
from privacy.types import PrivacyBudget

_POLL_S = 5.0
_DELTA, _MOST_EPSILON = 1e-5, 20
"""Of a private turn."""
_SHOWN = 12
_CHIPS = {LIVE: "added", TRIAL: "replaced", REFUSED: "refused", "failed": "refused"}
_log = logging.getLogger(__name__)
Update = dict[Any, Any]
Act = Callable[[str, str], str]


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    collection: gr.Dropdown
    stages: gr.Markdown
    waiting: gr.Markdown
    chosen: gr.Dropdown
    text: gr.Textbox
    notice: gr.Markdown
    keep: gr.Button
    end: gr.Button
    rollback: gr.Button
    trial: gr.Markdown
    turns: gr.Markdown
    timer: gr.Timer

    def outputs(self) -> list[Any]:
        """Every component a handler may change."""
        return list(vars(self).values())


def build(front: Front, loop: Loop) -> None:
    """Draws the tab in the current one and wires it."""
    say, tab = front.say, Context.block
    html(f'<p class="quiet">{safe(say("loop_hint"))}</p>')
    collection = gr.Dropdown([], label=say("which_collection"), elem_id="loop-collection")
    stages = html("", elem_id="loop-stages")
    notice = html("", elem_id="loop-notice")
    html(f"<h2>{safe(say('loop_review'))}</h2>", elem_classes="tab-title")
    waiting = html("", elem_id="loop-waiting")
    with gr.Column(elem_id="loop-card", elem_classes="card"):
        chosen = gr.Dropdown([], label=say("loop_choose"), elem_id="loop-chosen")
        text = gr.Textbox(label=say("loop_text"), lines=2, max_lines=8, max_length=4000, elem_id="loop-text")
        with gr.Row():
            accept = gr.Button(say("loop_accept"), elem_id="loop-accept", elem_classes="plain")
            examine = gr.Button(say("loop_examine"), elem_id="loop-examine", elem_classes="plain")
            decline = gr.Button(say("loop_decline"), elem_id="loop-decline", elem_classes="plain")
    html(f"<h2>{safe(say('loop_turns'))}</h2>", elem_classes="tab-title")
    with gr.Row(elem_id="loop-promise"):
        private = gr.Checkbox(False, label=say("train_private"), elem_id="loop-private")
        epsilon = gr.Number(8.0, label=say("train_epsilon"), minimum=0.1, maximum=20, elem_id="loop-epsilon")
    with gr.Row(elem_id="loop-go"):
        train = gr.Button(say("loop_train"), variant="primary", elem_id="loop-train")
        keep = gr.Button(say("loop_keep"), visible=False, elem_id="loop-keep", elem_classes="plain")
        end = gr.Button(say("loop_end"), visible=False, elem_id="loop-end", elem_classes="plain")
        rollback = gr.Button(say("loop_rollback"), visible=False, elem_id="loop-rollback", elem_classes="plain")
    trial = html("", elem_id="loop-trial")
    turns = html("", elem_id="loop-turns")
    timer = gr.Timer(_POLL_S, active=False)
    handlers = _Handlers(
        front, loop, Parts(collection, stages, waiting, chosen, text, notice, keep, end, rollback, trial, turns, timer)
    )
    outputs = handlers.parts.outputs()
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}
    staff: dict[str, Any] = {"api_visibility": "private", "concurrency_id": STAFF, "concurrency_limit": 2}
    owner: dict[str, Any] = {"api_visibility": "private", "concurrency_id": OWNER, "concurrency_limit": 1}
    gr.on([cast(gr.Tab, tab).select, collection.input], handlers.open_loop, [collection], outputs, **light)
    timer.tick(handlers.open_loop, [collection], outputs, **light)
    chosen.input(handlers.choose_lesson, [collection, chosen], outputs, **light)
    for button, handler in (
        (accept, handlers.accept_lesson), (examine, handlers.examine_lesson), (decline, handlers.decline_lesson),
    ):  # fmt: skip
        button.click(handler, [collection, chosen, text], outputs, **staff, show_progress_on=[notice])
    train.click(handlers.begin_turn, [collection, private, epsilon], outputs, **owner, show_progress_on=[notice])
    for button, turn in ((keep, handlers.keep_trial), (end, handlers.end_trial), (rollback, handlers.roll_back)):
        button.click(turn, [collection], outputs, **owner, show_progress_on=[notice])


class _Handlers:
    """What happens on each event. Every one asks the door first."""

    def __init__(self, front: Front, loop: Loop, parts: Parts) -> None:
        self._front, self._loop, self.parts = front, loop, parts

    def open_loop(self, collection: str | None, request: gr.Request) -> Update:
        def look(name: str, by: str) -> str:
            self._loop.collect(name)
            self._loop.settle(name)
            return ""

        return self._do(request, collection, look, Role.STAFF)

    def choose_lesson(self, collection: str | None, chosen: str | None, request: gr.Request) -> Update:
        found = self._do(request, collection, lambda name, by: "", Role.STAFF)
        if self.parts.chosen in found and chosen:
            lesson = self._loop.lessons.find(chosen)
            found[self.parts.text] = lesson.text
            found[self.parts.chosen] = gr.update(value=chosen)
        return found

    def accept_lesson(self, collection: str | None, chosen: str | None, text: str, request: gr.Request) -> Update:
        return self._decide(request, collection, chosen, lambda one, by: self._loop.lessons.decide(
            one, ACCEPTED, by=by, text=text or ""
        ), "lesson.accept")  # fmt: skip

    def decline_lesson(self, collection: str | None, chosen: str | None, text: str, request: gr.Request) -> Update:
        return self._decide(request, collection, chosen, lambda one, by: self._loop.lessons.decide(
            one, DECLINED, by=by
        ), "lesson.decline")  # fmt: skip

    def examine_lesson(self, collection: str | None, chosen: str | None, text: str, request: gr.Request) -> Update:
        name = self._name(collection)
        return self._decide(request, collection, chosen, lambda one, by: self._loop.examine(
            one, name, by=by, text=text or ""
        ), "lesson.exam")  # fmt: skip

    def begin_turn(self, collection: str | None, private: bool, epsilon: float, request: gr.Request) -> Update:
        def begin(name: str, by: str) -> str:
            from assistant.tuning.private import Goal

            if private and not 0 < float(epsilon or 0) <= _MOST_EPSILON:
                raise BadInput(f"Epsilon is more than 0 and at most {_MOST_EPSILON}.", hint="8 is a usual choice.")
            goal = Goal(PrivacyBudget(float(epsilon or 0), _DELTA, "customer")) if private else None
            turn = self._loop.begin(name, by=by, goal=goal)
            self._log(request, "loop.begin", str(turn.number))
            return self._front.say("loop_started")

        return self._do(request, collection, begin, Role.OWNER)

    def keep_trial(self, collection: str | None, request: gr.Request) -> Update:
        return self._conclude(request, collection, keep=True)

    def end_trial(self, collection: str | None, request: gr.Request) -> Update:
        return self._conclude(request, collection, keep=False)

    def roll_back(self, collection: str | None, request: gr.Request) -> Update:
        def back(name: str, by: str) -> str:
            turn = self._loop.rollback(name)
            self._log(request, "loop.rollback", turn.adapter)
            return self._front.say("loop_done")

        return self._do(request, collection, back, Role.OWNER)

    # Shared

    def _conclude(self, request: gr.Request, collection: str | None, *, keep: bool) -> Update:
        def conclude(name: str, by: str) -> str:
            turn = self._loop.settle(name)
            if turn is None or turn.state != TRIAL:
                raise BadInput(self._front.say("loop_no_trial"))
            self._loop.conclude(turn, keep=keep)
            self._log(request, "loop.live" if keep else "loop.end", turn.adapter)
            return self._front.say("loop_done")

        return self._do(request, collection, conclude, Role.OWNER)

    def _decide(
        self, request: gr.Request, collection: str | None, chosen: str | None, act: Callable[[str, str], None],
        action: str,
    ) -> Update:  # fmt: skip
        def decide(name: str, by: str) -> str:
            if not chosen:
                raise BadInput(self._front.say("loop_choose_first"))
            act(chosen, by)
            self._log(request, action, chosen)
            return self._front.say("loop_done")

        return self._do(request, collection, decide, Role.STAFF)

    def _do(self, request: gr.Request, collection: str | None, act: Act, role: Role) -> Update:
        """What the event does, for an account that covers the role, and the tab as it stands then."""
        front, parts = self._front, self.parts
        account = front.door.account(visitor(request).session)
        if account is None or not account.role.covers(role):
            return {parts.notice: not_allowed(front, request)}
        name = self._name(collection)
        try:
            told = act(name, account.name) if name else ""
            return {**(self._view(name) if name else {}), parts.notice: render.notice(told) if told else ""}
        except ConfideError as error:
            return {parts.notice: render.notice(f"{error.message} {error.hint}".strip(), "bad")}
        except Exception:
            _log.exception("an event of the Loop tab failed")
            return {parts.notice: render.notice(front.say("broken"), "bad")}

    def _view(self, collection: str) -> Update:
        parts, look, loop = self.parts, self._front.look(), self._loop
        now, waiting = loop.stages(collection), loop.lessons.waiting(collection)
        names = [info.name for info in self._front.collections()]
        on_trial = now.turn is not None and now.turn.state == TRIAL
        past = loop.turns(collection)
        return {
            parts.collection: gr.update(choices=names, value=collection, visible=len(names) > 1),
            parts.stages: stages(now, look),
            parts.waiting: lessons(waiting, look),
            parts.chosen: gr.update(choices=[(one.question[:80], one.id) for one in waiting], value=None),
            parts.text: "",
            parts.trial: contrasts(loop.contrasts(now.turn) if now.turn else [], look),
            parts.keep: gr.update(visible=on_trial), parts.end: gr.update(visible=on_trial),
            parts.rollback: gr.update(visible=any(turn.state == LIVE for turn in past)),
            parts.turns: turns(past, look),
            parts.timer: gr.Timer(active=now.turn is not None and not on_trial),
        }  # fmt: skip

    def _name(self, collection: str | None) -> str:
        info = self._front.collection(collection)
        return info.name if info else ""

    def _log(self, request: gr.Request, action: str, what: str) -> None:
        self._front.door.log(visitor(request).session, action, what)


def stages(now: Stages, look: Look) -> str:
    """The stages in their order, one tile each."""
    say = look.say
    turn = f"{now.turn.number}: {say(_state(now.turn.state))}" if now.turn else "–"
    live = now.live or BUILT_IN_ID
    cards = (
        ("loop_rated", str(now.rated), say("loop_rated_of", n=now.rated)),
        ("loop_waiting", str(now.waiting), say("loop_waiting_of", n=now.waiting)),
        ("loop_accepted", str(now.accepted), say("loop_accepted_of", n=now.used)),
        ("loop_exam", str(now.exam), say("loop_exam_of" if now.exam else "loop_exam_none")),
        ("loop_turn", turn, now.turn.adapter if now.turn else say("loop_turn_none")),
        ("loop_live", live.partition("@")[0], say("loop_bare") if live == BARE else live),
    )
    drawn = "".join(
        f'<div class="tile"><p class="quiet">{safe(say(key))}</p><p class="big">{safe(value)}</p>'
        f'<p class="quiet">{safe(below)}</p></div>'
        for key, value, below in cards
    )
    return f'<div class="tiles">{drawn}</div>'


def lessons(found: Sequence[Lesson], look: Look) -> str:
    """The corrections that wait."""
    if not found:
        return f'<p class="quiet">{safe(look.say("loop_review_none"))}</p>'
    rows = [(safe(one.question), safe(one.rejected[:200]), safe(one.text)) for one in found[:_SHOWN]]
    more = look.say("answers_more", n=len(found) - _SHOWN) if len(found) > _SHOWN else ""
    return render.table(look.say("loop_review_head").split("|"), rows) + f'<p class="quiet">{safe(more)}</p>'


def contrasts(found: Sequence[Contrast], look: Look) -> str:
    """What the trial shows so far; "" where none runs."""
    if not found:
        return ""
    rows = [
        (
            safe(one.live.name), *(f"{arm.value:.0%} ({arm.n})" for arm in (one.live, one.challenger)),
            f"{one.low:+.0%} … {one.high:+.0%}", f"{one.p:.2f}",
        )
        for one in found
    ]  # fmt: skip
    table = render.table(look.say("loop_trial_head").split("|"), rows)
    return f'<p class="quiet">{safe(look.say("loop_trial"))}</p>{table}'


def turns(found: Sequence[LoopTurn], look: Look) -> str:
    """The last turns, the newest first."""
    if not found:
        return f'<p class="quiet">{safe(look.say("loop_turns_none"))}</p>'
    rows = []
    for turn in found:
        chip = f'<span class="chip {_CHIPS.get(turn.state, "unchanged")}">{safe(look.say(_state(turn.state)))}</span>'
        told = [turn.note, look.say("loop_marked", n=turn.marked) if turn.marked else ""]
        rows.append(
            (str(turn.number), chip, str(turn.lessons), str(turn.pairs), safe(turn.adapter or "–"),
             f"{turn.began:%Y-%m-%d %H:%M}", safe(" · ".join(filter(None, told))))
        )  # fmt: skip
    return render.table(look.say("loop_turns_head").split("|"), rows)


def _state(state: str) -> str:
    return {TRIAL: "loop_trial_state", LIVE: "loop_live_state"}.get(state, f"loop_{state}")
