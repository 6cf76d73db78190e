"""The walk search: a few settings tried on a data set, every trial charged, the plan with the best of them.

How choices are made is `tuning/search.py`'s, a trial is a run like any other (`runs.py`) whose adapter is thrown away:
only its value stays. So the book knows every trial. With privacy all trials and the training after them share one goal,
and what tells the trials apart are the noisy scores that each of them paid for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.adapters import Shelf
from assistant.charging import Ledger, Privately
from assistant.errors import BadInput, TrainingFailed
from assistant.resuming import CHECKPOINT, identity
from assistant.runs import Plan, Run, Watch, base_of
from assistant.settings import Settings
from assistant.types import UNNAMED, Adapter, Company

if TYPE_CHECKING:
    from assistant.tuning.search import Choice, Report, Space

MOST = 100
_TRIAL = "-try"
_LOSSES = {"chat": ("loss", False), "classify": ("loss", False), "tag": ("span_f1", True)}
_SHARES = {"chat": "likelier", "classify": "accuracy", "tag": "exact"}


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial that ended. The smaller its value, the better: a loss, or the share of records that it got wrong."""

    number: int
    choice: Choice
    value: float

    def line(self) -> str:
        """For people."""
        one = self.choice
        return (
            f"Trial {self.number}: learning rate {one.learning_rate:.2g}, rank {one.rank}, {one.epochs} passes: "
            f"{self.value:.3f} (smaller is better)."
        )


def search(
    plan: Plan, settings: Settings, trials: int, *, watch: Watch = lambda event: None, ledger: Ledger | None = None,
    private: Privately | None = None, space: Space | None = None, company: Company = UNNAMED,
) -> Plan:  # fmt: skip
    """The plan with the best of `trials` choices of learning rate, rank and passes. Cut short, it goes on when asked
    again; with other records or options it begins anew.

    Raises:
        BadInput: the data is wrong, nothing is kept aside to judge by, or the search was stopped.
        TrainingFailed: as many trials failed as were to be made.
        BudgetExceeded: the book has not enough left for all trials and the training after them.
    """
    from assistant.tuning import search as asking

    if not 1 <= trials <= MOST or plan.held_out <= 0:
        raise BadInput(
            "A search has 1 to 100 trials, and records that are kept aside to judge them.",
            hint="For example --search 6 --held-out 0.2.",
        )
    space = space or _space(plan, asking.Space)
    file = f"search-{_fingerprint(plan, settings, space, private)}.db"
    folder = settings.data_dir / "runs" / f"{plan.name}{_TRIAL}"
    number = 0

    def judge(choice: Choice, report: Report) -> float:
        nonlocal number
        number += 1
        trial = dataclasses.replace(_with(plan, choice), name=f"{plan.name}{_TRIAL}", seed=plan.seed + 1, suite=None)
        # this trial, those after it, and the training itself share what is left of the goal
        left = None if private is None else dataclasses.replace(private, runs=max(1, trials - number + 2))
        try:
            made, _ = Run(trial, settings, watch, ledger, left, company=company).train(resume=True)
        except TrainingFailed:  # the next trial has another choice: it cannot go on from this one's checkpoint
            shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
            raise
        if made is None:
            raise BadInput("The search was stopped.", hint="The same command goes on with it.")
        shutil.rmtree(Path(made.path))
        value = _value(made, private=private is not None)
        watch(Tried(number, choice, value))
        return value

    found = asking.search(judge, trials, file=folder / file, space=space, seed=plan.seed)
    return _with(plan, found.best.choice)


def with_trials(private: Privately, plan: Plan) -> Privately:
    """The same for the plan that was found: the spends of its trials, as they are on the book, go on its card."""
    purposes = {f"adapter {plan.name}{_TRIAL}", f"scores of adapter {plan.name}{_TRIAL}"}
    spends = [one.counted for one in private.book.book().charges.values() if one.purpose in purposes]
    return dataclasses.replace(private, choosing=tuple(one for one in spends if one.dataset == plan.data.stem))


def _fingerprint(plan: Plan, settings: Settings, space: Space, private: Privately | None) -> str:
    """Of all that makes two searches of one name the same search: another one's trials say nothing about this one."""
    from assistant.tuning.data import records_for

    searched = dataclasses.replace(plan, learning_rate=0.0, rank=0, epochs=0.0, suite=None)  # by the space, or by none
    run = identity(
        dataclasses.asdict(searched), records_for(plan.data, plan.task, settings, pairs=plan.preference),
        base=base_of(plan, settings).sha256, goal=private.goal if private else None,
        parent=Shelf(settings.data_dir).find(plan.parent).id if plan.parent else None,
    )  # fmt: skip
    said = json.dumps([run, dataclasses.asdict(space)], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _space(plan: Plan, make: type[Space]) -> Space:
    """What is searched where nobody says; a head alone wants larger steps and more of them, and has no rank."""
    if plan.method == "head":
        return make(learning_rate=(5e-3, 5e-2), ranks=(plan.rank,), epochs=(20, 40, 80), dropouts=(0.0,))
    return make(dropouts=(0.0,))


def _with(plan: Plan, choice: Choice) -> Plan:
    return dataclasses.replace(plan, learning_rate=choice.learning_rate, rank=choice.rank, epochs=float(choice.epochs))


def _value(made: Adapter, *, private: bool) -> float:
    assert made.after is not None
    if private:
        return 1 - made.after.value(_SHARES[made.task])
    name, larger_is_better = _LOSSES[made.task]
    value = made.after.value(name)
    return 1 - value if larger_is_better else value
