"""Log lines without personal data.

Only lines that pass through the formatter: what a library prints to stderr by itself is not seen.
"""

from __future__ import annotations

import functools
import logging
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from privacy.redaction import Redactor


class RedactingFormatter(logging.Formatter):
    """Log lines of another formatter with personal data replaced, the traceback's too.

    Its key is random and lives as long as the process: lines of one run can be joined, no others.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The line that may be written."""
        line = self._inner.format(record)
        record.exc_text = None  # the inner formatter keeps the traceback there for the next handler
        return self._redactor.redact(line).text

    @functools.cached_property
    def _redactor(self) -> Redactor:
        from privacy.redaction import Redactor  # loads tables of number plans: not for every `--help`

        return Redactor(secrets.token_bytes(32))
