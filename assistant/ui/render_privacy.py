"""The Privacy tab's gauges, history, log and receipt as HTML. Pure; as `render.py`, nothing from outside is markup."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from assistant.owners import Speaker
from assistant.ui.render import Look, notice, safe, table
from privacy.ledger import CUSTOMERS, EVERYONE, Charge
from privacy.policy import Departure
from privacy.types import PrivacyReport

SHOWN = 20
"""The last entries of a history that are shown."""


def gauges(reports: Mapping[str, PrivacyReport], look: Look) -> str:
    """What each data set has spent of its budget, as bars; and of what is not covered."""
    if not reports:
        return f'<p class="quiet">{safe(look.say("privacy_no_spend"))}</p>'
    return "".join(_gauge(name, report, look) for name, report in reports.items())


def _gauge(scope: str, report: PrivacyReport, look: Look) -> str:
    say, budget = look.say, report.budget
    limited = math.isfinite(budget.epsilon)
    share = min(1.0, report.spent / budget.epsilon) if limited and budget.epsilon else float(report.spent > 0)
    over = not math.isfinite(report.spent) or report.spent > budget.epsilon
    spent = f"{report.spent:.2f}" if math.isfinite(report.spent) else "∞"
    if over and not math.isfinite(report.spent):
        line = say("privacy_infinite", unit=say(f"unit_{budget.unit}"))
    elif limited:
        line = say("privacy_spent", spent=spent, budget=f"{budget.epsilon:g}", left=f"{report.remaining:.2f}")
    else:
        line = say("privacy_no_budget", spent=spent)
    detail = say("privacy_per", unit=say(f"unit_{budget.unit}"), delta=f"{budget.delta:g}")
    return (
        f'<div class="gauge{" over" if over else ""}"><h4>{safe(_name(scope, look))}</h4>'
        f'<svg class="bar"><rect class="rail" width="100%" height="8" rx="4"></rect>'
        f'<rect class="done" width="{100 * share:.0f}%" height="8" rx="4"></rect></svg>'
        f'<p class="doing-text">{safe(line)} <span class="quiet">{safe(detail)}</span></p></div>'
    )


def _name(scope: str, look: Look) -> str:
    if not scope.startswith(CUSTOMERS):
        return scope
    population = scope.removeprefix(CUSTOMERS)
    return look.say("privacy_everyone") if population == EVERYONE else look.say("privacy_people", name=population)


def history(charges: Sequence[Charge], look: Look) -> str:
    """The last charges, the newest first."""
    say = look.say
    if not charges:
        return ""
    rows = [
        (
            safe(one.at[:16].replace("T", " ")),
            safe(one.spend.dataset),
            safe(one.purpose),
            safe(say("privacy_nonprivate") if one.spend.mechanism == "nonprivate" else one.spend.mechanism),
            safe(f"{one.spend.noise_multiplier:.2f}" if one.spend.noise_multiplier else "–"),
            safe(f"{one.counted.steps:,}" + ("" if one.settled is not None else f" {say('privacy_open')}")),
        )
        for one in sorted(charges, key=lambda one: -one.id)[:SHOWN]
    ]
    return table(say("privacy_history_head").split("|"), rows)


def departures(log: Sequence[Departure], local_only: Sequence[str], look: Look) -> str:
    """What went to a remote engine, the newest first, and what must not."""
    say = look.say
    kept = f'<p class="quiet">{safe(say("egress_local", names=", ".join(local_only)))}</p>' if local_only else ""
    if not log:
        return f'{kept}<p class="quiet">{safe(say("egress_none"))}</p>'
    sums = say("egress_sum", n=f"{len(log):,}", bytes=f"{sum(one.bytes for one in log):,}")
    rows = [
        (
            safe(one.at[:19].replace("T", " ")),
            safe(one.destination),
            safe(one.collection),
            f"{one.bytes:,}",
            safe(one.sha256[:12]),
        )
        for one in reversed(log[-SHOWN:])
    ]
    return f'{kept}<p class="quiet">{safe(sums)}</p>{table(say("egress_head").split("|"), rows)}'


def speakers(found: Sequence[Speaker], look: Look) -> str:
    """Who wrote a text."""
    if not found:
        return notice(look.say("find_nobody"), "bad")
    return table(look.say("find_head").split("|"), [tuple(map(safe, one.row())) for one in found[:SHOWN]])


def receipt(data: Mapping[str, Any], name: str, look: Look) -> str:
    """What an erasure did, what it could not undo, and the receipt to take away."""
    say = look.say
    counts = data["deleted"]
    done = say(
        "forgot", rows=counts["rows"], documents=counts["documents"], lines=counts["lines"], copies=counts["copies"],
        strings=data["searched_for"],
    )  # fmt: skip
    left = "".join(notice(say("forgot_trace", file=one["file"]), "bad") for one in data["traces"])
    lines = "".join(f"<li>{safe(line)}</li>" for line in data["not_undone"])
    undone = f'<p class="doing-text">{safe(say("not_undone"))}</p><ul class="problems">{lines}</ul>'
    return f"{notice(done)}{left}{undone}{_link(name, look)}"


def receipts(names: Sequence[str], look: Look) -> str:
    """The receipts that were kept, the newest first."""
    return "".join(_link(name, look) for name in sorted(names, reverse=True)[:SHOWN])


def _link(name: str, look: Look) -> str:
    label = look.say("receipt_of", when=name.partition("-cust")[0])
    return f'<p class="doing-text"><a class="nav" href="./receipts/{name}">{safe(label)}</a></p>'
