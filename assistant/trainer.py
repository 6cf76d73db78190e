"""One training at a time in the background of a running assistant, and how it stands.

The page looks at `state`; the chat goes on answering meanwhile and goes first: this thread has a lower priority, waits
between two steps while somebody is being answered, and then takes half of its processor threads. It is the walk
`finetune.py` in a thread, nothing else; the command line needs none of this.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assistant import finetune
from assistant.charging import Privately
from assistant.core import Assistant
from assistant.engines import hardware
from assistant.errors import BadInput, ConfideError
from assistant.finetune import Judging, Trained
from assistant.resuming import unfinished
from assistant.runs import Plan, Prepared, Run
from privacy.errors import PrivacyError
from privacy.types import PrivacyBudget

if TYPE_CHECKING:
    from assistant.tuning.loop import Progress
    from assistant.tuning.private import Goal
    from privacy.ledger import Ledger
    from privacy.quote import Quote

Phase = Literal["idle", "preparing", "training", "judging", "done", "interrupted", "failed"]
NICE = 10
"""How far behind the chat's threads a training's are; 19 would let a busy chat stop it altogether."""
_PLAN, _GOAL, _COLLECTION = "plan.json", "goal.json", "collection"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """How the last training stands. `losses` are (step, loss); `error` says why it failed."""

    phase: Phase = "idle"
    plan: Plan | None = None
    prepared: Prepared | None = None
    progress: Progress | None = None
    losses: tuple[tuple[int, float], ...] = ()
    judging: Judging | None = None
    trained: Trained | None = None
    error: str = ""

    @property
    def is_running(self) -> bool:
        """Whether a training is under way."""
        return self.phase in ("preparing", "training", "judging")


class Trainer:
    """The background training of one assistant. Thread-safe."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.state = State()

    def quote(self, plan: Plan, goal: Goal) -> Quote:
        """What a private training would spend; nothing is charged.

        Raises:
            BadInput: the records are wrong, or a training is under way.
            BudgetExceeded: the book has not enough left.
        """
        if self.state.is_running:
            raise BadInput("A training is under way.", hint="Wait for its end, or stop it.")
        return Run(plan, self._assistant.settings, private=Privately(goal, self._book())).quote()

    def start(
        self, plan: Plan, *, collection: str, resume: bool = False, force: bool = False, goal: Goal | None = None,
        share: float = 0.0, use: bool = True,
    ) -> None:  # fmt: skip
        """Begins in the background; `state` tells the rest. With a `goal` it is private; one that goes on has its own,
        and its collection. `share` of the conversations get what passes the gate (0 = all), nobody does without `use`.

        Raises:
            BadInput: a training is under way, or an unfinished one has this name.
        """
        with self._lock:
            if self.state.is_running:
                raise BadInput("A training is under way.", hint="Wait for its end, or stop it.")
            if not resume and self.holds(plan.name):  # before its plan is written over
                told = f"The training {plan.name} was cut short and can go on."
                raise BadInput(told, hint="Choose another name, or go on with it.")
            self._stop.clear()
            self.state = State("preparing", plan)
            if resume:
                goal, collection = self._goal(plan), self._kept(plan.name).get(_COLLECTION) or collection
            options = {"collection": collection, "resume": resume, "force": force, "share": share, "use": use}
            self._thread = threading.Thread(target=self._run, args=(plan, goal, options), name="training", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the training after the step that runs, with a checkpoint; a suite is asked to its end."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> State:
        """The state once the training has ended, or after so many seconds."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self.state

    def unfinished(self) -> list[Plan]:
        """The plans of runs that were cut short and can go on."""
        found = []
        for folder in unfinished(self._assistant.settings):
            try:
                data = self._kept(folder.name)
                data.pop(_COLLECTION, None)
                suite = Path(data["suite"]) if data["suite"] else None
                found.append(Plan(**{**data, "data": Path(data["data"]), "suite": suite}))
            except (OSError, ValueError, TypeError, KeyError):  # begun from the command line: it goes on there
                continue
        return found

    def holds(self, name: str) -> bool:
        """Whether a run of this name was cut short and can go on."""
        return any(folder.name == name for folder in unfinished(self._assistant.settings))

    def _run(self, plan: Plan, goal: Goal | None, options: dict[str, Any]) -> None:
        _step_back()
        try:
            self._remember(plan, goal, options["collection"])
            book = self._book()
            private = Privately(goal, book) if goal else None
            with hardware.threads(hardware.choose_threads()):
                trained = finetune.train(
                    plan, self._assistant, watch=self._watch, ledger=book, private=private, **options
                )
            self._change(phase="done" if trained.adapter else "interrupted", trained=trained)
        except (ConfideError, PrivacyError) as error:
            self._change(phase="failed", error=f"{error.message} {error.hint}".strip())
        except Exception as error:
            _log.exception("a training failed")
            self._change(phase="failed", error=f"{type(error).__name__}: {error}")

    def _book(self) -> Ledger:
        """What the records have spent is on the same book as the command line's."""
        from privacy.ledger import Ledger

        return Ledger(self._assistant.settings.data_dir, holder=self._assistant.settings.tenant)

    def _remember(self, plan: Plan, goal: Goal | None, collection: str) -> None:
        """Keeps the plan beside the run's checkpoint, so that it can go on after a restart, for the same collection."""
        folder = self._assistant.settings.data_dir / "runs" / plan.name
        folder.mkdir(parents=True, exist_ok=True)
        kept = {**dataclasses.asdict(plan), _COLLECTION: collection}
        (folder / _PLAN).write_text(json.dumps(kept, default=str), encoding="utf-8")
        write_goal(folder / _GOAL, goal)

    def _kept(self, name: str) -> dict[str, Any]:
        """What `_remember` kept of a run's plan; {} where it was begun from the command line."""
        file = self._assistant.settings.data_dir / "runs" / name / _PLAN
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}

    def _goal(self, plan: Plan) -> Goal | None:
        """What an unfinished run promised when it began."""
        return read_goal(self._assistant.settings.data_dir / "runs" / plan.name / _GOAL)

    def _watch(self, event: Any) -> None:
        from assistant.tuning.loop import Progress, StopTraining

        if isinstance(event, Prepared):
            self._change(phase="training", prepared=event)
        elif isinstance(event, Judging):
            self._change(phase="judging", judging=event)
        elif isinstance(event, Progress):
            losses = self.state.losses if event.loss != event.loss else (*self.state.losses, (event.step, event.loss))
            self._change(progress=event, losses=losses)
            if self._stop.is_set():
                raise StopTraining
            self._give_way()

    def _give_way(self) -> None:
        """Between two steps: waits a little while somebody is being answered, and leaves the chat half of the cores."""
        import torch

        self._assistant.line.give_way()
        most = hardware.choose_threads()
        torch.set_num_threads(max(1, most // 2) if self._assistant.line.is_busy else most)  # of this thread alone

    def _change(self, **fields: Any) -> None:
        with self._lock:
            self.state = dataclasses.replace(self.state, **fields)


def write_goal(file: Path, goal: Goal | None) -> None:
    """Keeps what a training promises; None = nothing."""
    file.write_text(json.dumps(dataclasses.asdict(goal) if goal else None), encoding="utf-8")


def read_goal(file: Path) -> Goal | None:
    """What `write_goal` kept; None where nothing was promised."""
    from assistant.tuning.private import Goal

    kept = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    return Goal(**{**kept, "budget": PrivacyBudget(**kept["budget"])}) if kept else None


def _step_back() -> None:
    """Where both want the processor or the disk, the chat's threads go first; this thread and those it starts wait."""
    if sys.platform == "linux":
        import psutil

        me = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, me, NICE)
        with contextlib.suppress(OSError, psutil.Error):
            psutil.Process(me).ionice(psutil.IOPRIO_CLASS_IDLE)
