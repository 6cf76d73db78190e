"""The same rounds in one process: for tests, and for studies with tens of partners. No Ray, no wire.

Partners train one after another. What would be a crash or a slow line over the wire is a callable
here: `unreachable(round, partner)` says who is away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from assistant.errors import ConfideError
from federated.local import Partner
from federated.masking import Disclosure
from federated.rounds import PRIVATE
from federated.types import Arrays, ClientUpdate, Refusal, RoundPlan
from privacy.errors import PrivacyError


class InProcess:
    """A wire to partners in this process (see `rounds.Wire`)."""

    def __init__(
        self, partners: Sequence[Partner], *, unreachable: Callable[[int, str], bool] = lambda round, partner: False
    ) -> None:
        self._partners = {partner.name: partner for partner in partners}
        self._unreachable = unreachable

    def partners(self) -> Sequence[str]:
        """All of them."""
        return sorted(self._partners)

    def train(self, plan: RoundPlan, start: Arrays) -> Iterable[ClientUpdate | Refusal]:
        """The updates of those that are not away, or why there is none."""
        for name in plan.partners:
            if self._unreachable(plan.round, name):
                continue
            try:
                yield self._partners[name].answer(plan, start)
            except (ConfideError, PrivacyError) as error:
                yield Refusal(name, str(error))

    def disclose(self, plan: RoundPlan, arrived: tuple[str, ...]) -> Iterable[Disclosure]:
        """The disclosures of those that arrived."""
        for name in arrived:
            with contextlib.suppress(ConfideError, PrivacyError):  # the missing disclosure voids the round
                yield self._partners[name].disclose(plan, arrived)

    def evaluate(
        self, partners: Sequence[str], weights: Arrays, training: Mapping[str, Any]
    ) -> Iterable[tuple[str, Mapping[str, float]]]:
        """Each partner's own measures."""
        for name in partners:
            yield name, self._partners[name].evaluate(weights, private=bool(training.get(PRIVATE)))

    def publish(self, notice: Mapping[str, Any], weights: Arrays) -> Iterable[tuple[str, str]]:
        """Partners of a study have no shelf."""
        return ()
