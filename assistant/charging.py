"""What a run spends of its records' privacy, from the quote to the settlement: the hinge between a run and the book.

A private run is planned for its goal, shown, and charged, with what telling its scores costs, before its first step;
an ordinary one is written down too. The arithmetic and the book are `privacy`'s, the training `tuning`'s.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from assistant import scores
from assistant.types import Example, Task
from privacy.errors import PrivacyError
from privacy.members import Members
from privacy.types import DELTA, PrivacySpend

if TYPE_CHECKING:
    from assistant.tuning.loop import LoopOptions, Private
    from assistant.tuning.private import Goal
    from privacy.ledger import Ledger as PrivacyBook
    from privacy.quote import Quote


class Ledger(Protocol):
    """The book of what the data has spent, as `privacy.ledger` keeps it: charged before, settled after."""

    def charge(self, spend: PrivacySpend, purpose: str) -> int:
        """Puts the worst cost of a plan on the book and gives its id, or refuses."""
        ...

    def settle(self, charge: int, *, steps: int) -> None:
        """Lowers a charge to the steps that were taken."""
        ...

    def knowing(self, dataset: str, members: Members) -> Ledger:
        """The same book, which knows who is in the data set."""
        ...


@dataclass(frozen=True, slots=True)
class Privately:
    """A private run: its goal, and the book that plans for it and is charged.

    `runs`: how many like it, itself included, have to share what is left of the goal (a search's trials).
    `choosing`: what choosing its settings has spent (the same trials, once they ended); it is on the book already.
    """

    goal: Goal
    book: PrivacyBook
    runs: int = 1
    choosing: tuple[PrivacySpend, ...] = ()


@dataclass(slots=True)
class Charging:
    """One run's account: `spend` is its training's, `score` what telling its scores spends (None = not told)."""

    purpose: str
    spend: PrivacySpend
    private: Privately | None = None
    ledger: Ledger | None = None
    score: PrivacySpend | None = field(default=None, init=False)

    @property
    def book(self) -> Ledger | None:
        """What is charged."""
        return self.private.book if self.private else self.ledger

    @property
    def spends(self) -> tuple[PrivacySpend, ...]:
        """All that the run spends."""
        return (self.spend,) if self.score is None else (self.spend, self.score)

    @property
    def choosing(self) -> tuple[PrivacySpend, ...]:
        """What choosing the run's settings has spent: its adapter was made by that too."""
        return self.private.choosing if self.private else ()

    @property
    def delta(self) -> float:
        """The one that the run's epsilon is claimed at."""
        return self.private.goal.budget.delta if self.private else DELTA

    def know(self, members: Members) -> None:
        """The book learns who is in the data: another name for the same records is no new budget."""
        name = self.spend.dataset
        if self.ledger is not None:
            self.ledger = self.ledger.knowing(name, members)
        if self.private is not None:
            self.private = dataclasses.replace(self.private, book=self.private.book.knowing(name, members))

    def quote(self, parts: Any, options: LoopOptions, *, task: Task, test: Sequence[Example] = ()) -> Quote:
        """The plan of a private run; telling the scores of `test` is paid before the training gets what is left.

        Raises:
            BudgetExceeded: the book has not enough left.
        """
        from assistant.tuning import lora, private
        from privacy.quote import Quote

        assert self.private is not None
        goal, book, name = self.private.goal, self.private.book, self.spend.dataset
        self.score = scores.price(task, test, goal.budget, name) if test else None
        runs = self.private.runs
        beside = tuple(dataclasses.replace(one, steps=one.steps * runs) for one in self.spends[1:])
        first = private.first_steps(parts.model)
        self.spend = private.plan(goal, book, name, parts.examples, options, beside=beside, runs=runs, first=first)
        weights = sum(value.numel() for value in lora.trainable(parts.model).values())
        units = private.units_of(parts.examples, goal.budget.unit)
        return Quote(self.spend, goal.budget, units, weights, (*book.book().spends(name, goal.budget.unit), *beside))

    def begin(
        self, file: Path, plan: Callable[[], Quote], hook: Callable[[PrivacySpend], Private], *, run: dict[str, Any]
    ) -> Private | None:
        """Charges the run, once: one that goes on was charged when it began, as `file` says; `run` is kept there too.
        The loop's hook."""
        state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if state:
            self.spend = PrivacySpend.from_dict(state["spend"])
            self.score = PrivacySpend.from_dict(state["score"]) if state.get("score") else None
        elif self.private is not None:
            plan()
        wrap = hook(self.spend) if self.private is not None else None
        if not state:
            file.write_text(json.dumps({**self._charged(), "run": run}), encoding="utf-8")
        return wrap

    def end(self, file: Path, *, steps: int) -> None:
        """Settles what was charged: the steps that were taken."""
        state = json.loads(file.read_text(encoding="utf-8"))
        if self.book is not None and state["charge"] is not None:
            self.book.settle(state["charge"], steps=steps if self.private else 1)
            if self.score is not None:
                self.book.settle(state["told"], steps=self.score.steps)
        file.unlink(missing_ok=True)

    def _charged(self) -> dict[str, Any]:
        book, kept = self.book, {"spend": self.spend.to_dict()}
        if book is None:
            return {**kept, "charge": None}
        told = None
        if self.score is not None:
            told = self._charge(self.score, f"scores of {self.purpose}", beside=(self.spend,))
        try:
            charge = self._charge(self.spend, self.purpose)
        except PrivacyError:
            if told is not None:
                book.settle(told, steps=0)  # nothing will be trained, so nothing will be told
            raise
        return {**kept, "charge": charge, "told": told, "score": self.score.to_dict() if self.score else None}

    def _charge(self, spend: PrivacySpend, purpose: str, *, beside: Sequence[PrivacySpend] = ()) -> int:
        """A private run's goal is held under the book's lock: another run may have been charged since the plan."""
        if self.private is not None:
            return self.private.book.charge(spend, purpose, target=self.private.goal.budget, beside=beside)
        assert self.ledger is not None
        return self.ledger.charge(spend, purpose)
