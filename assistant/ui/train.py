"""The Training tab of the staff's page: choose records, see what is wrong with them, start, watch, stop, compare,
put to use, roll back.

Every handler asks the door again whether its session is inside. Uploaded records are kept with their run, since
a run that was cut short goes on from them; the uploads themselves are deleted.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import gradio as gr
from gradio.context import Context

from assistant import finetune
from assistant.accounts import Role
from assistant.adapters import BARE, check_name
from assistant.deployments import CHAT, slot_of
from assistant.errors import BadInput, ConfideError
from assistant.gate import LIGHT, OWNER
from assistant.runs import PRIVATE_HEAD, Plan, picture
from assistant.trainer import Trainer
from assistant.types import Task
from assistant.ui import render, render_train
from assistant.ui.front import Front
from assistant.ui.parts import forget_uploads, html, not_allowed, visitor
from privacy.errors import PrivacyError
from privacy.types import PrivacyBudget, Unit

if TYPE_CHECKING:
    from assistant.tuning.private import Goal

_POLL_S = 2.0
_PRIVATE_RATE = 1e-3
"""The learning rate of private trainings from the page: noise wants larger steps."""
_log = logging.getLogger(__name__)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    collection: gr.Dropdown
    task: gr.Radio
    data: gr.File
    suite: gr.File
    checked: gr.Markdown
    name: gr.Textbox
    epochs: gr.Slider
    rank: gr.Slider
    small: gr.Checkbox
    private: gr.Checkbox
    terms: gr.Row
    quoted: gr.Markdown
    stop: gr.Button
    resume: gr.Button
    state: gr.Markdown
    timer: gr.Timer
    table: gr.Markdown
    chosen: gr.Dropdown
    measures: gr.Markdown
    force: gr.Checkbox
    notice: gr.Markdown

    def outputs(self) -> list[Any]:
        """Every component a handler may change."""
        return list(vars(self).values())


def build(front: Front, trainer: Trainer) -> None:
    """Draws the tab in the one that is open and wires it."""
    say = front.say
    tab = Context.block
    html(f'<p class="quiet">{render.safe(say("train_hint"))}</p>')
    with gr.Column(elem_id="train-card"):
        with gr.Row():
            collection = gr.Dropdown([], label=say("which_collection"), elem_id="train-collection")
            tasks = [(say(f"train_{task}"), task) for task in get_args(Task)]
            task = gr.Radio(tasks, value="chat", label=say("train_task"), elem_id="train-task")
        with gr.Row(elem_id="train-files"):
            data = gr.File(label=say("train_data"), type="filepath", height=130, elem_id="train-records")
            suite = gr.File(label=say("train_suite"), type="filepath", height=130, elem_id="train-suite")
        html(f'<p class="quiet">{render.safe(say("train_exam_hint"))}</p>')
        check = gr.Button(say("train_check"), elem_id="train-check")
        checked = html("", elem_id="train-checked")
        with gr.Row(elem_id="train-options"):
            name = gr.Textbox("support", label=say("train_name"), max_length=63, elem_id="train-name")
            epochs = gr.Slider(1, 10, 3, step=1, label=say("train_epochs"), buttons=[])
            rank = gr.Slider(2, 64, 16, step=2, label=say("train_rank"), buttons=[])
        small = gr.Checkbox(False, label=say("train_small"))
        private = gr.Checkbox(False, label=say("train_private"), elem_id="train-private")
        with gr.Row(visible=False, elem_id="train-terms") as terms:
            epsilon = gr.Number(3.0, label=say("train_epsilon"), minimum=0.1, maximum=20, elem_id="train-epsilon")
            delta = gr.Number(1e-5, label=say("train_delta"), minimum=1e-9, maximum=0.01, elem_id="train-delta")
            units = [(say(f"unit_{unit}"), unit) for unit in ("customer", "example")]
            unit = gr.Radio(units, value="customer", label=say("train_unit"), elem_id="train-unit")
            batch = gr.Number(64, label=say("train_batch"), minimum=1, maximum=4096, precision=0, elem_id="train-batch")
        quoted = html("", elem_id="train-quoted")
        with gr.Row(elem_id="train-go"):
            start = gr.Button(say("train_start"), variant="primary", elem_id="train-start")
            stop = gr.Button(say("train_stop"), variant="stop", visible=False, elem_id="train-stop")
            resume = gr.Button("", visible=False, elem_id="train-resume")
    state = html("", elem_id="train-state")
    html(f"<h2>{render.safe(say('adapters_title'))}</h2>", elem_id="adapters-title")
    notice = html("", elem_id="train-notice")
    table = html("", elem_id="adapters")
    chosen = gr.Dropdown([], label=say("adapter"), elem_id="adapter")
    measures = html("", elem_id="measures")
    with gr.Row(elem_id="adapter-go"):
        use = gr.Button(say("use"), variant="primary", elem_id="use")
        rollback = gr.Button(say("rollback"), elem_id="rollback")
    force = gr.Checkbox(False, label=say("use_force"), elem_id="force")
    timer = gr.Timer(_POLL_S, active=False)
    parts = Parts(
        collection, task, data, suite, checked, name, epochs, rank, small, private, terms, quoted, stop, resume, state,
        timer, table, chosen, measures, force, notice,
    )  # fmt: skip
    handlers = _Handlers(front, parts, trainer)
    outputs = parts.outputs()
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}
    owner: dict[str, Any] = {"api_visibility": "private", "concurrency_id": OWNER, "concurrency_limit": 1}
    cast(gr.Tab, tab).select(handlers.open, [collection], outputs, **light)
    collection.input(handlers.open, [collection], outputs, **light)
    timer.tick(handlers.tick, [collection, chosen], outputs, **light)
    chosen.input(handlers.choose, [chosen], outputs, **light)
    stop.click(handlers.stop, None, outputs, **light)  # must not wait behind a start
    check.click(handlers.check, [task, data], outputs, **owner, show_progress_on=[checked])
    private.input(handlers.choose_private, [private], outputs, **light)
    options = [collection, task, data, suite, name, epochs, rank, small, private, epsilon, delta, unit, batch]
    start.click(handlers.start, options, outputs, **owner, show_progress="hidden")
    resume.click(handlers.resume, [collection], outputs, **owner, show_progress="hidden")
    use.click(handlers.use, [collection, chosen, force], outputs, **owner, show_progress_on=[table])
    rollback.click(handlers.rollback, [collection, chosen], outputs, **owner, show_progress_on=[table])


class _Handlers:
    """What happens on each event. Every one asks the door first."""

    def __init__(self, front: Front, parts: Parts, trainer: Trainer) -> None:
        self._front = front
        self._parts = parts
        self._trainer = trainer
        self._told: dict[str, tuple[Plan, Goal]] = {}

    def open(self, collection: str | None, request: gr.Request) -> Update:
        return self._inside(request, lambda: self._view(collection))

    def tick(self, collection: str | None, chosen: str | None, request: gr.Request) -> Update:
        def look() -> Update:
            if self._trainer.state.is_running:
                return self._running()
            made = self._trainer.state.trained
            return self._view(collection, made.adapter.id if made and made.adapter else chosen)

        return self._inside(request, look)

    def choose(self, chosen: str | None, request: gr.Request) -> Update:
        return self._inside(request, lambda: {self._parts.measures: self._measures(chosen)})

    def check(self, task: str, data: str | None, request: gr.Request) -> Update:
        def look() -> Update:
            from assistant.tuning.data import read_records

            if not data:
                raise BadInput(self._front.say("train_no_data"))
            records = read_records(Path(data), cast(Task, task))
            found = render_train.data(records.statistics(), records.counts(), records.warnings, self._front.look())
            return {self._parts.checked: found}

        return self._decide(request, look, told=self._parts.checked)

    def choose_private(self, private: bool, request: gr.Request) -> Update:
        shown = {self._parts.terms: gr.update(visible=private), self._parts.quoted: ""}
        return self._inside(request, lambda: shown)

    def start(
        self, collection: str, task: str, data: str | None, suite: str | None, name: str, epochs: float, rank: int,
        small: bool, private: bool, epsilon: float, delta: float, unit: str, batch: int, request: gr.Request,
    ) -> Update:  # fmt: skip
        files = [Path(file) for file in (data, suite) if file]

        def begin() -> Update:
            if not data:
                raise BadInput(self._front.say("train_no_data"))
            check_name(name, cast(Task, task))
            if self._trainer.state.is_running:
                return self._running()
            if self._trainer.holds(name):  # before its records are written over
                raise BadInput(self._front.say("train_unfinished", name=name))
            plan = Plan(
                cast(Task, task), Path(data), name, suite=Path(suite) if suite else None, epochs=epochs,
                rank=int(rank), preset="small" if small else "",
            )  # fmt: skip
            goal = None
            if private:
                from assistant.tuning.private import Goal

                goal = Goal(PrivacyBudget(float(epsilon), float(delta), cast(Unit, unit)))
                plan = dataclasses.replace(plan, batch_size=int(batch), learning_rate=_PRIVATE_RATE)
                if plan.task == "classify":
                    rate = PRIVATE_HEAD["learning_rate"]
                    plan = dataclasses.replace(plan, method=PRIVATE_HEAD["method"], learning_rate=rate)
                if (told := self._first_told(plan, goal, visitor(request).session)) is not None:
                    return told
            kept = {
                what: self._keep(Path(file), name, what) for file, what in ((data, "records"), (suite, "exam")) if file
            }
            plan = dataclasses.replace(plan, data=kept["records"], suite=kept.get("exam"))
            self._trainer.start(plan, collection=collection, goal=goal)
            forget_uploads(files, self._front.settings.data_dir / "uploads")
            emptied = {self._parts.data: None, self._parts.suite: None, self._parts.checked: "", self._parts.quoted: ""}
            return {**self._running(), **emptied}

        return self._decide(request, begin, "training.start", name, told=self._parts.checked)

    def _first_told(self, plan: Plan, goal: Goal, session: str) -> Update | None:
        """What a private training would spend, before it may: None where this session was shown this very plan."""
        if self._told.get(session) == (plan, goal):
            del self._told[session]
            return None
        quote = self._trainer.quote(plan, goal)
        self._told[session] = (plan, goal)
        return {self._parts.quoted: render_train.quote(quote, self._front.look()), self._parts.checked: ""}

    def resume(self, collection: str, request: gr.Request) -> Update:
        def begin() -> Update:
            plans = self._trainer.unfinished()
            if plans and not self._trainer.state.is_running:
                self._trainer.start(plans[0], collection=collection, resume=True)
            return self._running()

        return self._decide(request, begin, "training.resume")

    def stop(self, request: gr.Request) -> Update:
        def end() -> Update:
            self._trainer.stop()
            return self._running()

        return self._decide(request, end, "training.stop")

    def use(self, collection: str, chosen: str | None, force: bool, request: gr.Request) -> Update:
        def put() -> Update:
            if not chosen:
                return {}
            assistant = self._front.assistant
            finetune.promote(assistant, assistant.hosting.shelf.find(chosen), collection=collection, force=force)
            said = render.notice(self._front.say("used", adapter=chosen))
            return {**self._view(collection, chosen), self._parts.notice: said, self._parts.force: False}

        return self._decide(request, put, "adapter.use", f"{collection}: {chosen}", told=self._parts.notice)

    def rollback(self, collection: str, chosen: str | None, request: gr.Request) -> Update:
        def back() -> Update:
            hosting, tenant = self._front.assistant.hosting, self._front.settings.tenant
            now = hosting.deployments.rollback(tenant, collection, self._slot(chosen))
            name = {"": "built-in", BARE: self._front.say("bare_model")}.get(now.adapter, now.adapter)
            off = now.slot != CHAT and not now.adapter
            said = render.notice(self._front.say("switched_off" if off else "used", adapter=now.slot if off else name))
            return {**self._view(collection, chosen), self._parts.notice: said}

        return self._decide(request, back, "adapter.rollback", collection, told=self._parts.notice)

    def _slot(self, chosen: str | None) -> str:
        return slot_of(self._front.assistant.hosting.shelf.find(chosen)) if chosen else CHAT

    def _decide(
        self, request: gr.Request, act: Callable[[], Update], action: str = "", what: str = "", told: Any = None
    ) -> Update:
        """The same for the owner; the log says what was done where it was."""

        def logged() -> Update:
            update = act()
            if action:
                self._front.door.log(visitor(request).session, action, what)
            return update

        return self._inside(request, logged, told, Role.OWNER)

    def _inside(
        self, request: gr.Request, act: Callable[[], Update], told: Any = None, role: Role = Role.VIEWER
    ) -> Update:
        """What the event does, for an account that covers the role; an error is told where the eye is."""
        where = told or self._parts.notice
        if not self._front.door.may(visitor(request).session, role):
            return {where: not_allowed(self._front, request), self._parts.timer: gr.Timer(active=False)}
        try:
            return act()
        except (ConfideError, PrivacyError) as error:
            lines = f"{error.message}\n{error.hint}".splitlines()
            return {where: "".join(render.notice(line.strip(), "bad") for line in lines if line.strip())}
        except Exception:
            _log.exception("an event of the Training tab failed")
            return {where: render.notice(self._front.say("broken"), "bad")}

    def _keep(self, file: Path, name: str, what: str) -> Path:
        """A copy that outlives the upload, beside the run that reads it; its name is the data set's on the book."""
        folder = self._front.settings.data_dir / "runs" / name / what
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(file, folder / file.name))

    def _running(self) -> Update:
        """How the training stands, and nothing else: what was typed meanwhile stays."""
        parts, now = self._parts, self._trainer.state
        return {
            parts.state: render_train.state(now, self._front.look()),
            parts.stop: gr.update(visible=now.is_running),
            parts.resume: gr.update(visible=False),
            parts.timer: gr.Timer(active=True),
        }

    def _view(self, collection: str | None, chosen: str | None = None) -> Update:
        """The whole tab."""
        front, parts = self._front, self._parts
        names = [info.name for info in front.collections()] or [front.settings.collection]
        name = collection if collection in names else names[0]
        hosting = front.assistant.hosting
        found, live = hosting.shelf.all(), hosting.deployments.slots(front.settings.tenant, name)
        ids = [one.id for one in sorted(found, key=lambda one: one.created, reverse=True)]
        chosen = chosen if chosen in ids else (ids[0] if ids else None)
        plans = [] if self._trainer.state.is_running else self._trainer.unfinished()
        label = front.say("train_resume", name=plans[0].name) if plans else ""
        return {
            **self._running(),
            parts.collection: gr.update(choices=names, value=name),
            parts.resume: gr.update(visible=bool(plans), value=label),
            parts.timer: gr.Timer(active=self._trainer.state.is_running),
            parts.table: render_train.adapters(found, live, front.look()),
            parts.chosen: gr.update(choices=ids, value=chosen),
            parts.measures: self._measures(chosen),
            parts.notice: "",
        }

    def _measures(self, chosen: str | None) -> str:
        if not chosen:
            return ""
        adapter = self._front.assistant.hosting.shelf.find(chosen)
        drawn = picture(adapter, self._front.settings)
        return render_train.before_after(adapter, self._front.look(), drawn.read_bytes() if drawn.is_file() else b"")
