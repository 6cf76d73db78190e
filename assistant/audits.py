"""The walk audit: the records of a plan, canaries among them, trained privately, attacked, reported.

The attack is `privacy.audit`'s, the two trainings `tuning/audited.py`'s. No adapter is kept; what the private training
spent of the data stands in the book, its canaries counted as members.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.runs import Plan, assembled
from assistant.settings import Settings
from assistant.types import Example
from privacy.types import PrivacySpend

if TYPE_CHECKING:
    from assistant.tuning.private import Goal
    from privacy.audit import AuditReport
    from privacy.ledger import Ledger


def audit(plan: Plan, settings: Settings, goal: Goal, book: Ledger, *, canaries: int = 200) -> AuditReport:
    """What attacks prove against a private training of the plan; the book is charged for it.

    Raises:
        BadInput: the data is wrong, or the plan does not fit.
        BudgetExceeded: the book has not enough left.
        NotPrivate: the set-up would not keep its promise.
    """
    from assistant.tuning import audited, private
    from assistant.tuning.loop import LoopOptions

    parts = assembled(plan, settings)
    options = LoopOptions(
        epochs=plan.epochs, batch_size=plan.batch_size, learning_rate=plan.learning_rate, seed=plan.seed
    )
    charged: list[int] = []

    def spend_for(rows: Sequence[Example]) -> PrivacySpend:
        spend = private.plan(goal, book, plan.data.stem, rows, options)
        private.hook(spend, parts.model, parts.task, method=plan.method)
        charged.append(book.charge(spend, "audit"))
        return spend

    made = audited.made_up(parts.task, parts.examples, canaries)
    report = audited.audit(
        parts.model, parts.task, parts.examples, options, plan=spend_for, delta=goal.budget.delta, canaries=made
    )
    book.settle(charged[0], steps=book.book().charges[charged[0]].spend.steps)
    return report


def save(report: AuditReport, folder: Path) -> tuple[Path, Path]:
    """Writes `audit.html` for people and `audit.json` for machines into a folder."""
    from privacy.audit import as_html

    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "audit.html", folder / "audit.json"
    page.write_text(as_html(report), encoding="utf-8")
    data.write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    return page, data
