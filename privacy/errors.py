"""The errors of privacy: each message says what happened and what to do next.

PrivacyError
├── BadRequest               the caller's to mend; exit code 2
├── BudgetExceeded           the book refuses; nothing was spent, nothing was changed
├── LedgerTampered           the book was edited, rolled back or copied; nothing is charged to it
├── LedgerBusy               another process holds the book for too long
├── NotFinite                numbers that are NaN or infinite where privacy needs them bounded
├── NotPrivate               a training set-up that would not keep its promise; nothing was trained
└── AuditFailed              an attack sees more than the claimed epsilon allows
"""

from __future__ import annotations


class PrivacyError(Exception):
    """Root of the tree. `hint` is the next thing to do, a command where there is one."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message} {hint}".strip())


class BadRequest(PrivacyError):
    """A parameter is out of its range; nothing was changed."""

    exit_code = 2


class BudgetExceeded(PrivacyError):
    """The budget does not cover this."""


class LedgerTampered(PrivacyError):
    """The book and its witnesses disagree."""


class LedgerBusy(PrivacyError):
    """The book could not be opened for writing in time."""


class NotFinite(PrivacyError):
    """A number is NaN or infinite."""


class NotPrivate(PrivacyError):
    """The training would not be as private as it says."""


class AuditFailed(PrivacyError):
    """The audit found more than was claimed."""
