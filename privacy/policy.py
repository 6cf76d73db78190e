"""May this leave this machine, and what has: a switch per collection and a log of every departure.

The log says when, where to, of which collection, how many bytes, and the SHA-256 of the redacted text; never the
text. A line is on the disk before the first byte is sent; where it cannot be written nothing is sent.
It does not watch the network: whoever sends asks here first.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from privacy.erasure import append_line, read_lines
from privacy.redaction import Redacted

EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Departure:
    """One sending. `at` is UTC; `bytes` of what was sent; `sha256` of its redacted text, in hex."""

    at: str
    destination: str
    collection: str
    bytes: int
    sha256: str


class Egress:
    """The switch and the log of a data folder. Safe among threads and processes."""

    def __init__(self, data_dir: Path, local_only: Iterable[str] = ()) -> None:
        """`local_only`: collections of which nothing may leave; `*` = none of any."""
        self._path = data_dir / "privacy" / "egress.jsonl"
        self._local_only = frozenset(local_only)

    def allows(self, collection: str) -> bool:
        """Whether questions and passages of a collection may be sent away."""
        return not self._local_only & {collection, EVERYTHING}

    def record(self, destination: str, collection: str, *, size: int, text: Redacted) -> Departure:
        """Writes down what is about to be sent. Raises OSError: it could not, so do not send."""
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        gone = Departure(at, destination, collection, size, hashlib.sha256(text.encode()).hexdigest())
        append_line(self._path, {name: getattr(gone, name) for name in Departure.__slots__})
        return gone

    def log(self) -> list[Departure]:
        """Everything that was sent, oldest first."""
        names = set(Departure.__slots__)
        return [Departure(**row) for row in read_lines(self._path) if row.keys() == names]
