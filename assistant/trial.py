"""What a split between two adapters shows so far: conversations by arm, and whether the difference is chance.

Read from the answers in the store; a conversation is the unit, since it is what was drawn. Not the
ratings of customers, and no judgement of what was said: what became of the questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant import metrics
from assistant.deployments import Deployment
from assistant.store import STOPPED, Store
from assistant.types import Measure, Outcome

Answers = Sequence[Mapping[str, Any]]
"""The JSON objects of a conversation's answers, oldest first."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """One measure of both arms. `low`, `high` bound challenger minus live at 95 %; `p` is Fisher's exact test's."""

    live: Measure
    challenger: Measure
    low: float
    high: float
    p: float


def contrasts(store: Store, deployment: Deployment) -> list[Contrast]:
    """Every measure of a split since it began; shares of conversations."""
    arms: dict[bool, dict[str, list[Mapping[str, Any]]]] = {False: {}, True: {}}
    for conversation, answer in store.answers(deployment.tenant, deployment.collection, deployment.at):
        is_challenger = deployment.arm(conversation) == deployment.challenger
        arms[is_challenger].setdefault(conversation, []).append(answer)
    return [
        _contrast(name, [holds(one) for one in arms[False].values()], [holds(one) for one in arms[True].values()])
        for name, holds in _MEASURES.items()
    ]


def _contrast(name: str, live: list[bool], challenger: list[bool]) -> Contrast:
    from scipy.stats import fisher_exact

    one, other = metrics.share(name, live), metrics.share(name, challenger)
    table = [[sum(flags), len(flags) - sum(flags)] for flags in (challenger, live)]
    low, high = _newcombe(one, other)
    return Contrast(one, other, low, high, float(fisher_exact(table).pvalue))


def _newcombe(one: Measure, other: Measure) -> tuple[float, float]:
    """The interval of other minus one, from both Wilson intervals (Newcombe 1998, method 10)."""
    if not (one.n and other.n) or one.low is None or one.high is None or other.low is None or other.high is None:
        return -1.0, 1.0
    change = other.value - one.value
    down = math.hypot(other.value - other.low, one.high - one.value)
    up = math.hypot(other.high - other.value, one.value - one.low)
    return change - down, change + up


def _outcomes(answers: Answers) -> set[str]:
    return {str(answer["outcome"]) for answer in answers}


def _noted(answers: Answers, word: str) -> bool:
    return any(word in note for answer in answers for note in answer["receipt"]["notes"])


_MEASURES: dict[str, Callable[[Answers], bool]] = {
    "all_answered": lambda answers: _outcomes(answers) == {Outcome.ANSWERED.value},
    "person_needed": lambda answers: Outcome.NEEDS_HUMAN.value in _outcomes(answers),
    "component_failed": lambda answers: Outcome.COMPONENT_FAILED.value in _outcomes(answers),
    "sentence_dropped": lambda answers: _noted(answers, "dropped a sentence"),
    "stopped_by_customer": lambda answers: _noted(answers, STOPPED),
}
"""measure -> whether it holds of a conversation."""
