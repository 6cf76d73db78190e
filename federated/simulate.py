"""The same rounds in one process: for tests, and for studies with tens of partners. No Ray, no wire.

Partners train one after another. What would be a crash or a slow line over the wire is a callable
here: `unreachable(round, partner)` says who is away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from federated.errors import FederationError
from federated.local import Partner
from federated.masking import Disclosure
from federated.types import Arrays, ClientUpdate, RoundPlan


class InProcess:
    """A wire to partners in this process (see `rounds.Wire`)."""

    def __init__(
        self, partners: Sequence[Partner], *, unreachable: Callable[[int, str], bool] = lambda round, partner: False
    ) -> None:
        self._partners = {partner.name: partner for partner in partners}
        self._unreachable = unreachable
        self.errors: list[tuple[str, str]] = []

    def partners(self) -> Sequence[str]:
        """All of them."""
        return sorted(self._partners)

    def train(self, plan: RoundPlan, start: Arrays) -> Iterable[ClientUpdate]:
        """The updates of those that are not away and do not veto; what went wrong is in `errors`."""
        for name in plan.partners:
            if self._unreachable(plan.round, name):
                continue
            try:
                yield self._partners[name].answer(plan, start)
            except FederationError as error:
                self.errors.append((name, str(error)))

    def disclose(self, plan: RoundPlan, arrived: tuple[str, ...]) -> Iterable[Disclosure]:
        """The disclosures of those that arrived."""
        for name in arrived:
            try:
                yield self._partners[name].disclose(plan, arrived)
            except FederationError as error:
                self.errors.append((name, str(error)))

    def evaluate(self, partners: Sequence[str], weights: Arrays) -> Iterable[tuple[str, Mapping[str, float]]]:
        """Each partner's own measures."""
        for name in partners:
            yield name, self._partners[name].evaluate(weights)
