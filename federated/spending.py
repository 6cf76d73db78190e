"""Privacy over a whole run: one calibration, a charge for each round, each side in its own book.

A partner's book is its own company's (`privacy.ledger`): the same one its other trainings are charged
to. A run of R rounds is calibrated once, for R times the steps of a round; each round charges its
part before the first step and settles it after. What a partner has spent is told to nobody: a partner
without budget says only that it sits the round out. The coordinator's book holds what the run spends
per partner, where the run promises that.

What is not here: the noise itself (`privacy.dpsgd` at a partner, `masking.py` and `rounds.py` for sums).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from federated.errors import BadRequest
from federated.types import Promise, RoundPlan
from privacy.accounting import calibrate, epsilon
from privacy.errors import BudgetExceeded
from privacy.keys import durable_write
from privacy.ledger import MOST_DELTA, Ledger
from privacy.types import PrivacyBudget, PrivacySpend, Unit

if TYPE_CHECKING:
    from assistant.tuning.loop import LoopOptions
    from assistant.types import Example

UNITS: tuple[Unit, ...] = ("example", "customer", "partner")


def promise(unit: str, target: float, delta: float, rounds: int, *, clip_norm: float = 1.0) -> Promise | None:
    """What a run of so many rounds promises; None where `unit` is "". For partners the noise is calibrated here.

    Raises:
        BadRequest: there is no such unit, or epsilon or delta is out of its range.
    """
    if not unit:
        return None
    if unit not in UNITS or not 0 < target < float("inf") or not 0 < delta <= MOST_DELTA or rounds < 1:
        raise BadRequest(
            f"A run cannot promise epsilon {target:g} at delta {delta:g} per {unit}.",
            hint=f"--dp is example, customer or partner; epsilon is above 0, delta above 0 and at most {MOST_DELTA:g}.",
        )
    noise = 0.0
    if unit == "partner":
        noise = calibrate(PrivacyBudget(target, delta, "partner"), sample_rate=1.0, steps=rounds)
    return Promise(unit, target, delta, rounds, clip_norm=clip_norm, noise_multiplier=noise)


def round_spend(plan: RoundPlan, dataset: str) -> PrivacySpend:
    """What one round's noisy sum spends of every partner: one Gaussian, whoever else takes part."""
    assert plan.dp is not None
    return PrivacySpend("gaussian", plan.dp.noise_multiplier, 1.0, 1, plan.clip_norm, "partner", dataset)


@dataclasses.dataclass(frozen=True, slots=True)
class OwnBook:
    """A partner's book in a run. `folder` keeps the run's calibration; `most` is the partner's own
    limit for epsilon, 0 = the run's promise is the limit."""

    ledger: Ledger
    dataset: str
    folder: Path
    most: float = 0.0

    def training(self, plan: RoundPlan, examples: Sequence[Example], options: LoopOptions) -> PrivacySpend:
        """What this round's training spends: a round's part of the one calibration, or an ordinary training.

        Raises:
            BudgetExceeded: nothing is left for the run.
        """
        if plan.dp is None or plan.hides_partners:
            return PrivacySpend.nonprivate(self.dataset)
        return self._calibrated(plan, plan.dp, examples, options)

    def require(self, plan: RoundPlan, spend: PrivacySpend) -> None:
        """Passes a spend after which the run's promise, the partner's limit and every budget of the book still hold.

        Raises:
            BudgetExceeded: they would not; nothing was spent.
        """
        if plan.dp is None:
            return
        goal, book = self._goal(plan.dp), self.ledger.book()
        after = epsilon([*book.spends(self.dataset, goal.unit), spend], goal.delta, unit=goal.unit)
        if after > goal.epsilon:
            raise BudgetExceeded(
                f"Round {plan.round} of {plan.run} would take {self.dataset} to epsilon {after:.3g} per {goal.unit}; "
                f"the limit of this run is {goal.epsilon:g}.",
                hint="It sits the run out. `privacy report` lists what was spent.",
            )
        for scope in book.limits(self.dataset):
            after = book.report(scope, spend).after_plan or 0.0
            if after > book.budgets[scope].epsilon:
                raise BudgetExceeded(
                    f"Round {plan.round} of {plan.run} would take {scope} to epsilon {after:.3g}; its budget is "
                    f"{book.budgets[scope].epsilon:g} per {book.budgets[scope].unit}.",
                    hint="It sits the round out. `privacy report` lists what was spent.",
                )

    def charge(self, plan: RoundPlan, spend: PrivacySpend) -> int:
        """Puts the spend on the book at its worst and gives its id, or refuses.

        Raises:
            BudgetExceeded: the run's promise, the partner's limit or a budget of the book does not cover it.
        """
        self.require(plan, spend)
        target = self._goal(plan.dp) if plan.dp else None
        return self.ledger.charge(spend, f"federation {plan.run}, round {plan.round}", target=target)

    def settle(self, charge: int, *, steps: int) -> None:
        """Lowers the charge to the steps that were taken."""
        self.ledger.settle(charge, steps=steps)

    def spent(self, plan: RoundPlan) -> float | None:
        """Epsilon of the data set so far, for the run's unit and delta; None where the run promises nothing."""
        return self.epsilon(plan.dp.delta, plan.dp.unit) if plan.dp else None

    def epsilon(self, delta: float, unit: str) -> float:
        """Epsilon of all that the data set has spent."""
        wanted = cast(Unit, unit)
        return epsilon(self.ledger.book().spends(self.dataset, wanted), delta, unit=wanted)

    def _goal(self, dp: Promise) -> PrivacyBudget:
        return PrivacyBudget(min(dp.epsilon, self.most or dp.epsilon), dp.delta, dp.unit)

    def _calibrated(
        self, plan: RoundPlan, dp: Promise, examples: Sequence[Example], options: LoopOptions
    ) -> PrivacySpend:
        """A round's part of the run's one calibration; made anew for what is left where data or options changed."""
        from assistant.tuning import private

        about = {
            "run": plan.run, "promise": dataclasses.asdict(dp), "most": self.most, "dataset": self.dataset,
            "examples": len(examples), "owners": len({example.owner for example in examples}),
            "steps": [options.epochs, options.batch_size],
        }  # fmt: skip
        path = self.folder / "calibration.json"
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if kept.get("about") == about:
            return PrivacySpend.from_dict(kept["spend"])
        rounds = dp.rounds - plan.round + 1
        goal = private.Goal(self._goal(dp), dp.clip_norm, dp.per_customer)
        spend = private.plan(goal, self.ledger, self.dataset, examples, options, runs=rounds)
        durable_write(path, json.dumps({"about": about, "spend": spend.to_dict()}).encode())
        return spend
