"""The promotion gate: what an adapter changed on its suite, question by question, and whether it may go live.

Pure: it compares what was judged or measured elsewhere. An adapter passes when no measure is worse: the
paired bootstrap interval of its change lies not wholly on the bad side. What must never happen at all has
no such tolerance; nor has an audit that proved more than the adapter claims.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assistant import metrics
from assistant.evaluate import CUT, LOWER_IS_BETTER, REFUSALS, Judged
from assistant.types import Measure, Outcome, Report

STRICT = ("citations_exact", "unsupported_facts", "false_claims")
"""Any change for the worse counts: a false sentence to a customer is no matter of chance."""
GAIN = "_gain"
"""Ends the name of a measure that is a change: after minus before."""
CLAIMED, AUDITED = "claimed_epsilon", "audited_epsilon"
"""The measures of an audit on an adapter's card."""
LOSSES = (*LOWER_IS_BETTER, "loss")
Pair = tuple[float, float]


def gains(before: Sequence[Judged], after: Sequence[Judged]) -> tuple[Measure, ...]:
    """`<measure>_gain` of every measure that is compared: after minus before, paired by question."""
    return tuple(
        metrics.difference(f"{name}{GAIN}", [count(row) for row in before], [count(row) for row in after])
        for name, count in _COUNTS.items()
    )


def worse(changes: Sequence[Measure]) -> list[str]:
    """What got worse, in words; [] where nothing did. Measures that are no change are not looked at."""
    found = []
    for change in changes:
        name = change.name.removesuffix(GAIN)
        if name == change.name or change.low is None or change.high is None:
            continue
        loss = name in LOSSES
        bound = change.value if name in STRICT else change.low if loss else change.high
        if bound > 0 if loss else bound < 0:
            interval = "" if name in STRICT else f" (95 %: {change.low:+.3f} to {change.high:+.3f})"
            found.append(f"{name} changed by {change.value:+.3f}{interval}")
    return found


def disproved(audits: Sequence[Report]) -> list[str]:
    """The audits that proved a larger epsilon than is claimed, in words; [] where the claim stands."""
    both = [(report.value(AUDITED), report.value(CLAIMED)) for report in audits]
    return [
        f"an audit proved an epsilon of at least {audited:.2f}, and {claimed:.2f} is claimed"
        for audited, claimed in both
        if audited > claimed
    ]


def _answerable(count: Callable[[Judged], Pair]) -> Callable[[Judged], Pair]:
    return lambda row: count(row) if row.question.answerable else (0.0, 0.0)


def _is(holds: Callable[[Judged], bool]) -> Callable[[Judged], Pair]:
    return lambda row: (float(holds(row)), 1.0)


_COUNTS: dict[str, Callable[[Judged], Pair]] = {
    f"recall@{CUT}": _answerable(_is(lambda row: row.gold_found)),
    "citations_exact": lambda row: (sum(row.citations_exact), len(row.citations_exact)),
    "refusal_recall": lambda row: (
        (0.0, 0.0) if row.question.answerable else (float(row.answer.outcome in REFUSALS), 1.0)
    ),
    "false_refusals": _answerable(_is(lambda row: row.answer.outcome in REFUSALS)),
    "answer_facts": _answerable(lambda row: (sum(row.facts_found), len(row.facts_found))),
    "false_claims": _is(lambda row: bool(row.claimed)),
    "unsupported_facts": lambda row: (len(row.unsupported), 1.0),
    "component_failures": _is(lambda row: row.answer.outcome is Outcome.COMPONENT_FAILED),
}
"""measure -> (part, whole) of one question, as `evaluate.measures` sums them up."""
