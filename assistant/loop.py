"""The loop: lessons -> data -> a training under the ledger -> the gate -> live in a share -> live for all, or back.

It strings the walks together and keeps where each turn stands; it trains, judges and measures nothing itself. A turn is
a row that is written before each step and can be taken up again by `settle`, wherever the process died:

    prepared   its lessons are bound to it          -> the files are written (again), the training starts
    training   the trainer has it                   -> it goes on from its checkpoint, or its adapter is found;
                                                       with [loop] preferences its pairs come next, from that adapter
    trial      a share of the customers gets it     -> `conclude` puts it live or takes it back
    live, refused, returned, failed, empty          the ends

A lesson whose consent is withdrawn is deleted at once; adapters of turns that used it are marked on their cards.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from assistant import exam, finetune, trial
from assistant.adapters import sha256_of
from assistant.core import Assistant
from assistant.errors import AdapterRefused, BadInput
from assistant.lessons import ACCEPTED, EXAMINED, WAITING, Collected, Lessons
from assistant.resuming import unfinished
from assistant.rows import Base, LessonRow, LoopTurnRow, now
from assistant.runs import PAIRS_LEARNING_RATE, Plan
from assistant.trainer import Trainer, read_goal, write_goal
from assistant.trial import Contrast

if TYPE_CHECKING:
    from assistant.tuning.private import Goal
    from assistant.types import Adapter

PREPARED, TRAINING, TRIAL = "prepared", "training", "trial"
LIVE, REFUSED, RETURNED, FAILED, EMPTY = "live", "refused", "returned", "failed", "empty"
OPEN = (PREPARED, TRAINING, TRIAL)
EXAM = "exam.jsonl"
"""The golden file that judges a collection's turns, in its folder; without one an adapter is only kept aside."""
EVERY_S = 600.0
"""How often the schedule looks."""
_log = logging.getLogger(__name__)
_WITHDRAWN = "that their customers withdrew or changed since"


@dataclass(frozen=True, slots=True)
class LoopTurn:
    """A turn and where it stands. `note` says why it ended as it did; times are UTC without a zone."""

    number: int
    collection: str
    state: str
    lessons: int
    pairs: int
    marked: int
    adapter: str
    note: str
    by: str
    began: dt.datetime
    ended: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Stages:
    """How much stands at each stage of a collection's loop. `turn` is the open one, `live` the adapter for all."""

    rated: int
    waiting: int
    accepted: int
    used: int
    exam: int
    turn: LoopTurn | None
    live: str


class Loop:
    """The loop of a running assistant. Thread-safe; one process at a time trains (the data folder's lock)."""

    def __init__(self, assistant: Assistant, trainer: Trainer) -> None:
        self._assistant, self._trainer = assistant, trainer
        self._tenant = assistant.settings.tenant
        self._sessions = assistant.store.tables(Base.metadata)
        self.lessons = Lessons(assistant.store, assistant.settings)
        self._lock = threading.RLock()

    def folder(self, collection: str) -> Path:
        """Where a collection's training files and exam are."""
        return self._assistant.settings.data_dir / "loop" / self._tenant / collection

    def suite(self, collection: str) -> Path | None:
        """The golden file that judges the turns; None where there is none."""
        file = self.folder(collection) / EXAM
        return file if file.is_file() else None

    def turns(self, collection: str, *, limit: int = 10) -> list[LoopTurn]:
        """The last turns, the newest first."""
        wanted = sa.select(LoopTurnRow).where(*self._where(collection)).order_by(LoopTurnRow.number.desc())
        with self._sessions() as session:
            return [_value(row) for row in session.scalars(wanted.limit(limit))]

    def stages(self, collection: str) -> Stages:
        """How much stands at each stage."""
        counts, suite = self.lessons.counts(collection), self.suite(collection)
        questions = len(suite.read_text(encoding="utf-8").splitlines()) if suite else 0
        live = self._assistant.hosting.deployments.current(self._tenant, collection)
        return Stages(
            self.lessons.consented(collection), counts.get(WAITING, 0), counts.get(ACCEPTED, 0), counts.get("used", 0),
            questions, self._open(collection), live.adapter if live else "",
        )  # fmt: skip

    def tick(self, collection: str) -> None:
        """What a schedule does: takes the open turn further, and starts one where the settings say it is time."""
        settings = self._assistant.settings.loop
        self.collect(collection)
        if self.settle(collection) is not None or not settings.every_days:
            return
        last = next(iter(self.turns(collection, limit=1)), None)
        if last is None or now() - last.began >= dt.timedelta(days=settings.every_days):
            with contextlib.suppress(BadInput):  # not enough was learned yet
                self.begin(collection, by="schedule", least=settings.least)

    def keep_turning(self, stop: threading.Event) -> None:
        """Ticks every collection until it is told to stop."""
        while not stop.wait(EVERY_S):
            for info in self._assistant.store.collections(self._tenant):
                try:
                    self.tick(info.name)
                except Exception:  # the next collection, and the next time, are not to blame
                    _log.exception("the loop of %s failed", info.name)

    def collect(self, collection: str) -> Collected:
        """Brings the lessons in line with the ratings; adapters that learned from withdrawn ones are marked."""
        with self._lock:
            try:
                return self.lessons.collect(collection)
            finally:  # what was withdrawn goes also where nothing new can be redacted
                exam.keep(self.folder(collection) / EXAM, self.lessons.standing(collection, EXAMINED))
                for turn in self.turns(collection, limit=1000):
                    self._mark(turn)
                    self._clear(turn)

    def examine(self, lesson: str, collection: str, *, by: str, text: str = "") -> None:
        """Keeps a lesson for the exam instead of the training.

        Raises:
            UnknownName: there is no such lesson.
            BadInput: no document proves its answer, so that nothing could be judged by it; or it was decided about.
        """
        with self._lock:
            known = self.lessons.undecided(lesson)
            answer = text.strip() or known.text
            hits = self._assistant.searcher.search(self._tenant, collection, known.question, 20)
            row = exam.row_of(lesson, known.question, answer, [hit.passage for hit in hits])
            exam.add(self.folder(collection) / EXAM, row)
            self.lessons.decide(lesson, EXAMINED, by=by, text=answer)

    def begin(
        self, collection: str, *, by: str, least: int = 1, plan: Plan | None = None, goal: Goal | None = None
    ) -> LoopTurn:
        """Starts a turn in the background with all lessons so far; `settle` takes it further once it is trained.

        `plan` says how to train; its name, data and suite are the loop's own. With a `goal` it is private, also where
        it is taken up again; pairs are not learned from then.

        Raises:
            BadInput: a turn is open, the trainer is busy, or fewer than `least` lessons are new.
        """
        with self._lock:
            self.settle(collection)
            if self._open(collection) is not None:
                raise BadInput("A turn of the loop is under way.", hint="Wait for its end, or conclude its trial.")
            if self._trainer.state.is_running:
                raise BadInput("A training is under way.", hint="Wait for its end, or stop it.")
            self.collect(collection)
            with self._sessions.begin() as session:
                row = LoopTurnRow(
                    tenant=self._tenant, collection=collection, state=PREPARED, lessons=0, pairs=0, marked=0,
                    adapter="", note="", by=by, began=now(), ended=None,
                )  # fmt: skip
                session.add(row)
                session.flush()
                asked = exam.asks(self.folder(collection) / EXAM)
                new = self.lessons.take(session, collection, row.number, asked=asked)
                if new < least:
                    told = f"{new} lessons are new, {least} are needed."
                    raise BadInput(told, hint="Accept more corrections, or wait for more ratings.")
                number = row.number
                self.folder(collection).mkdir(parents=True, exist_ok=True)
                write_goal(self._goal(collection, number), goal)
            return self._train(number, plan)

    def settle(self, collection: str) -> LoopTurn | None:
        """Takes the open turn as far as it can go now; None where there is none. Safe to call at any time."""
        with self._lock:
            turn = self._open(collection)
            if turn is None or (turn.state == TRAINING and self._trainer.state.is_running):
                return turn
            if turn.state == PREPARED:
                return self._train(turn.number, None)
            return self._judged(turn) if turn.state == TRAINING else turn

    def wait(self, collection: str) -> LoopTurn | None:
        """`settle`, after the training has ended, and that of the pairs where there is one."""
        self._trainer.wait()
        turn = self.settle(collection)
        while turn is not None and turn.state == TRAINING and self._trainer.state.is_running:
            self._trainer.wait()
            turn = self.settle(collection)
        return turn

    def contrasts(self, turn: LoopTurn) -> list[Contrast]:
        """What the trial of a turn shows so far; [] where none runs."""
        now_live = self._assistant.hosting.deployments.current(self._tenant, turn.collection)
        if turn.state != TRIAL or now_live is None or now_live.challenger != turn.adapter:
            return []
        return trial.contrasts(self._assistant.store, now_live)

    def conclude(self, turn: LoopTurn, *, keep: bool) -> LoopTurn:
        """Ends a trial: its adapter answers everybody, or nobody.

        Raises:
            BadInput: no trial of this turn runs.
            AdapterRefused: the gate or an audit objects by now.
        """
        with self._lock:
            if turn.state != TRIAL:
                raise BadInput("No trial of this turn runs.", hint="Reload the page.")
            if keep:
                adapter = self._assistant.hosting.shelf.find(turn.adapter)
                finetune.promote(self._assistant, adapter, collection=turn.collection)
                return self._change(turn, state=LIVE, ended=now())
            self._withdraw(turn)
            return self._change(turn, state=RETURNED, note="the trial was ended", ended=now())

    def rollback(self, collection: str) -> LoopTurn:
        """What answered before the last live turn answers again; where another took its place, that one stays.

        Raises:
            BadInput: no turn is live.
        """
        with self._lock:
            last = next((turn for turn in self.turns(collection, limit=1000) if turn.state == LIVE), None)
            if last is None:
                raise BadInput("No turn of the loop is live.", hint="There is nothing to take back.")
            note = "rolled back" if self._withdraw(last) else "another had taken its place"
            return self._change(last, state=RETURNED, note=note, ended=now())

    # Inside

    def _train(self, number: int, plan: Plan | None) -> LoopTurn:
        """Writes the turn's files and starts, or goes on with, its training."""
        turn = self._find(number)
        if not self.lessons.used(turn.collection, number):
            return self._change(turn, state=EMPTY, note="all its lessons were withdrawn", ended=now())
        folder = self.folder(turn.collection)
        data, pairs = self.lessons.write(turn.collection, number, folder, asked=exam.asks(folder / EXAM))
        lines = len(pairs.read_bytes().splitlines())
        turn = self._change(turn, state=TRAINING, lessons=self.lessons.used(turn.collection, number), pairs=lines)
        name, suite = self._name(turn), self.suite(turn.collection)
        begun = self._trainer.state.plan
        if plan is None and begun is not None and begun.name == name and not begun.preference:
            plan = begun
        plan = plan or Plan("chat", data, name, preset="small", held_out=0.0)
        plan = dataclasses.replace(plan, data=data, name=name, suite=suite)
        last = not self._prefers(turn)
        if not last and (first := self._made_of(turn, data)) is not None:
            plan = dataclasses.replace(
                plan, data=pairs, preference=True, parent=first.id, learning_rate=PAIRS_LEARNING_RATE
            )
            last = True
        self._trainer.start(
            plan if last else dataclasses.replace(plan, suite=None), collection=turn.collection,
            resume=self._has_checkpoint(name), share=self._assistant.settings.loop.share, use=last,
            goal=read_goal(self._goal(turn.collection, number)),
        )  # fmt: skip
        return turn

    def _judged(self, turn: LoopTurn) -> LoopTurn:
        """What became of a training that ended, also one that a dead process ended."""
        made = self._made(turn)
        state = self._trainer.state
        mine = state.plan is not None and state.plan.name == self._name(turn)
        if made is None:
            if mine and state.phase in ("failed", "interrupted"):
                return self._change(turn, state=FAILED, note=state.error or state.phase, ended=now())
            return self._train(turn.number, None)  # the process died before there was an adapter
        live = self._assistant.hosting.deployments.current(self._tenant, turn.collection)
        if live is not None and live.challenger == made.id:
            return self._change(turn, state=TRIAL, adapter=made.id)
        if live is not None and live.adapter == made.id:
            return self._change(turn, state=LIVE, adapter=made.id, ended=now())
        note = state.trained.kept_aside if mine and state.trained else ""
        if not note:  # it was made, not promoted: the gate is asked again
            try:
                share = self._assistant.settings.loop.share
                finetune.promote(self._assistant, made, collection=turn.collection, share=share)
                return self._judged(turn)
            except AdapterRefused as error:
                note = error.message
        return self._change(turn, state=REFUSED, adapter=made.id, note=note, ended=now())

    def _withdraw(self, turn: LoopTurn) -> bool:
        """Goes back to what answered before the turn's adapter, its trial included; False where it answers nobody."""
        deployments, went_back = self._assistant.hosting.deployments, False
        live = deployments.current(self._tenant, turn.collection)
        while live is not None and turn.adapter in (live.adapter, live.challenger):
            live, went_back = deployments.rollback(self._tenant, turn.collection), True
        return went_back

    def _made(self, turn: LoopTurn) -> Adapter | None:
        """The adapter that this turn ends with: trained on exactly its file, or that of its pairs."""
        kind = "-pairs" if self._prefers(turn) else ""
        return self._made_of(turn, self.folder(turn.collection) / f"turn-{turn.number}{kind}.jsonl")

    def _prefers(self, turn: LoopTurn) -> bool:
        if not self._assistant.settings.loop.preferences or not turn.pairs:
            return False
        return read_goal(self._goal(turn.collection, turn.number)) is None

    def _goal(self, collection: str, number: int) -> Path:
        """Where a turn's promise is kept."""
        return self.folder(collection) / f"turn-{number}-goal.json"

    def _made_of(self, turn: LoopTurn, data: Path) -> Adapter | None:
        digest = sha256_of(data) if data.is_file() else ""
        named = [one for one in self._assistant.hosting.shelf.all() if one.name == self._name(turn)]
        return next((one for one in reversed(named) if one.data_sha256 == digest), None)

    def _mark(self, turn: LoopTurn) -> None:
        """The cards of a turn's adapters say how many of its lessons were withdrawn since."""
        gone = turn.lessons - self.lessons.used(turn.collection, turn.number)
        if gone <= turn.marked or not turn.adapter:
            return
        shelf = self._assistant.hosting.shelf
        note = f"learned from {gone} {'lesson' if gone == 1 else 'lessons'} {_WITHDRAWN}: train it again without them"
        for adapter in shelf.all():
            if adapter.name == self._name(turn):
                shelf.amend(adapter, notes=lambda notes: (*(one for one in notes if _WITHDRAWN not in one), note))
        self._change(turn, marked=gone)

    def _clear(self, turn: LoopTurn) -> None:
        """The files of a turn that ended go where one of their lessons is gone: words that nobody may keep."""
        if turn.state not in (PREPARED, TRAINING) and turn.lessons > self.lessons.used(turn.collection, turn.number):
            for file in self.lessons.files(self.folder(turn.collection), turn.number):
                file.unlink(missing_ok=True)

    def _has_checkpoint(self, name: str) -> bool:
        return any(folder.name == name for folder in unfinished(self._assistant.settings))

    def _name(self, turn: LoopTurn) -> str:
        return f"loop-{turn.collection}-{turn.number}"[:63]

    def _open(self, collection: str) -> LoopTurn | None:
        return next((turn for turn in self.turns(collection, limit=1000) if turn.state in OPEN), None)

    def _find(self, number: int) -> LoopTurn:
        with self._sessions() as session:
            return _value(session.get_one(LoopTurnRow, number))

    def _change(self, turn: LoopTurn, **fields: object) -> LoopTurn:
        with self._sessions.begin() as session:
            session.execute(sa.update(LoopTurnRow).where(LoopTurnRow.number == turn.number).values(**fields))
            if fields.get("state") in (FAILED, EMPTY):  # its lessons are free for the next turn
                freed = sa.update(LessonRow).where(LessonRow.turn == turn.number)
                session.execute(freed.values(turn=None))
        return self._find(turn.number)

    def _where(self, collection: str) -> tuple[sa.ColumnElement[bool], ...]:
        return LoopTurnRow.tenant == self._tenant, LoopTurnRow.collection == collection


def _value(row: LoopTurnRow) -> LoopTurn:
    return LoopTurn(**{field.name: getattr(row, field.name) for field in dataclasses.fields(LoopTurn)})
