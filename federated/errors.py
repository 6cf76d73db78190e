"""The errors of federation: each message says what happened and what to do next.

FederationError
├── BadRequest            the caller's to mend; exit code 2
│   └── PlanRefused       a coordinator's plan that cannot be followed; its text holds nothing of a partner's data
├── UpdateRefused         one partner's update does not pass the gate; the round goes on without it
├── RoundVoid             too few updates were left; nothing was aggregated, nothing was published
├── IdentityRefused       a certificate, key, invitation or signature is not one that was enrolled
├── PolicyVeto            this partner's own policy does not let the update leave
└── RunLocked             another coordinator works on this run
"""

from __future__ import annotations

from assistant.errors import ConfideError


class FederationError(ConfideError):
    """Root of the tree. `hint` is the next thing to do, a command where there is one."""


class BadRequest(FederationError):
    """A parameter is wrong, or two of them exclude each other; nothing was changed."""

    exit_code = 2


class PlanRefused(BadRequest):
    """The plan's own fault, or two sides that do not fit. The coordinator is told the text."""


class UpdateRefused(FederationError):
    """An update that must not be added."""


class RoundVoid(FederationError):
    """A round that cannot be completed as planned. `refused`: why which update was not counted, as pairs; `charged`:
    whether partners may have this attempt on their books."""

    def __init__(
        self, message: str, *, hint: str = "", refused: tuple[tuple[str, str], ...] = (), charged: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.refused = refused
        self.charged = charged


class IdentityRefused(FederationError):
    """Somebody who is not enrolled, or no longer."""


class PolicyVeto(FederationError):
    """The partner's own policy says no."""


class RunLocked(FederationError):
    """The run's folder belongs to a running coordinator."""
