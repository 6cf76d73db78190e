"""The walk audit: the records of a plan, canaries among them, trained privately, attacked, reported.

The attack is `privacy.audit`'s, the two trainings `tuning/audited.py`'s. No adapter is kept; what the private training
spent of the data stands in the book, its canaries counted as members. For an adapter the training is as its own was,
and what was found stands on its card: the gate lets none pass whose claim was disproved.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assistant import promotion
from assistant.adapters import Shelf
from assistant.errors import BadInput
from assistant.provenance import provenance
from assistant.runs import Plan, assembled, members_in
from assistant.settings import Settings
from assistant.types import Adapter, Example, Measure, Report
from privacy.types import PrivacyBudget, PrivacySpend

if TYPE_CHECKING:
    from assistant.tuning.loop import LoopOptions
    from assistant.tuning.private import Goal
    from privacy.audit import AuditReport
    from privacy.ledger import Ledger

    Planned = Callable[[Sequence[Example], LoopOptions, int], PrivacySpend]


def audit(plan: Plan, settings: Settings, goal: Goal, book: Ledger, *, canaries: int = 200) -> AuditReport:
    """What attacks prove against a private training of the plan; the book is charged for it.

    Raises:
        BadInput: the data is wrong, or the plan does not fit.
        BudgetExceeded: the book has not enough left.
        NotPrivate: the set-up would not keep its promise.
    """
    from assistant.tuning import private

    book = _knowing(plan, settings, book)
    return _audited(
        plan, settings, book, goal.budget.delta, canaries,
        lambda rows, options, first: private.plan(goal, book, plan.data.stem, rows, options, first=first),
        target=goal.budget,
    )  # fmt: skip


def audit_adapter(
    adapter: Adapter, data: Path, settings: Settings, book: Ledger, *, learning_rate: float, canaries: int = 200,
    base: str = "",
) -> AuditReport:  # fmt: skip
    """What attacks prove against what an adapter claims: the same base, shape, noise, sample rate and steps, over
    the records and canaries. The verdict is written on its card, for good. `base`: where it is, if not by its name.

    Raises:
        BadInput: the adapter claims nothing, or the data is wrong.
        BudgetExceeded: the book has not enough left.
    """
    from assistant.tuning import private

    own = [spend for spend in adapter.privacy if spend.mechanism == "dpsgd"]
    if not own or any(spend.mechanism == "nonprivate" for spend in adapter.privacy):
        raise BadInput(f"{adapter.id} claims no epsilon: there is nothing to audit.", hint="Train it with --dp.")
    plan = Plan(
        adapter.task, data, "audit", base=base or adapter.base, rank=adapter.rank, method=adapter.method,
        learning_rate=learning_rate, batch_size=1, epochs=1,
    )  # fmt: skip
    book = _knowing(plan, settings, book)

    def as_its_own(rows: Sequence[Example], *_: object) -> PrivacySpend:
        """How many records one customer has is these records' matter, not those that the adapter learned from."""
        one, most = own[-1], private.most_of_one(rows, own[-1].unit)
        return dataclasses.replace(
            one, dataset=data.stem, per_customer=most if one.unit == "example" else one.per_customer
        )

    report = _audited(plan, settings, book, adapter.delta, canaries, as_its_own, steps=own[-1].steps)
    claimed, audited = report.claimed_epsilon, report.private.epsilon
    verdict = Report("privacy-audit", (
        Measure(promotion.CLAIMED, claimed), Measure(promotion.AUDITED, audited, n=report.canaries),
        Measure("control_epsilon", report.control.epsilon, n=report.canaries),
    ), provenance(seed=0, files=(data,)))  # fmt: skip
    shelf = Shelf(settings.data_dir)
    shelf.amend(shelf.find(adapter.id), audits=lambda audits: (*audits, verdict))
    return report


def _audited(
    plan: Plan, settings: Settings, book: Ledger, delta: float, canaries: int, planned: Planned, *, steps: int = 0,
    target: PrivacyBudget | None = None,
) -> AuditReport:  # fmt: skip
    """Charges what `planned` says for the records and the canaries among them, and attacks the training."""
    from assistant.tuning import audited, private
    from assistant.tuning.loop import LoopOptions

    parts = assembled(plan, settings)
    options = LoopOptions(
        epochs=plan.epochs, batch_size=plan.batch_size, learning_rate=plan.learning_rate, seed=plan.seed,
        averaged=private.AVERAGED.get(plan.method, 0.0),
    )  # fmt: skip
    charged: list[int] = []

    def spend_for(rows: Sequence[Example]) -> PrivacySpend:
        spend = planned(rows, options, private.first_steps(parts.model))
        private.hook(spend, parts.model, parts.task, method=plan.method)
        charged.append(book.charge(spend, "audit", target=target))
        return spend

    made = audited.made_up(parts.task, parts.examples, canaries)
    report = audited.audit(
        parts.model, parts.task, parts.examples, options, plan=spend_for, delta=delta, canaries=made, steps=steps
    )
    book.settle(charged[0], steps=book.book().charges[charged[0]].spend.steps)
    return report


def _knowing(plan: Plan, settings: Settings, book: Ledger) -> Ledger:
    """The book, which knows who is in the records."""
    from assistant.tuning.data import records_for

    records = records_for(plan.data, plan.task, settings)
    return book.knowing(plan.data.stem, members_in(records, settings))


def save(report: AuditReport, folder: Path, *, subject: str = "") -> tuple[Path, Path]:
    """Writes `audit.html` for people and `audit.json` for machines into a folder; `subject` is what was audited."""
    from privacy.audit import as_html

    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "audit.html", folder / "audit.json"
    day = dt.datetime.now(dt.UTC).date().isoformat()
    page.write_text(as_html(report, subject=subject, day=day), encoding="utf-8")
    about = {"subject": subject, "day": day, **report.to_dict()}
    data.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return page, data
