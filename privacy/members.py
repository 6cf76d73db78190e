"""Who is in a data set, as keyed digests: so that a budget follows records and customers, not the name of a file.

A record is known by its text (case, width and spaces apart), a customer by the mark that stands for them everywhere
(`erasure.py`). Digests are kept in `privacy/members/<sha256>.bin`, beside the book that names them: sorted 64-bit
numbers under a key of this data folder, from which nobody without the key learns who is in it. Not the book
(`ledger.py`). Two different records have the same digest by chance once in 2^64 pairs: a false overlap, never a missed
one. A record that was edited is another record; a customer stays who they are.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privacy.erasure import Marks
from privacy.errors import LedgerTampered
from privacy.keys import durable_write, secret_key

Digests = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """The digests of a data set's records and customers, each sorted and without repetitions."""

    records: Digests
    customers: Digests

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]], data_dir: Path, *, tenant: str = "default") -> Members:
        """`rows`: (text, customer) of every record; "" where it is nobody's. The key is made at first use.

        Raises:
            BadRequest: one of the keys was lost.
        """
        lists = (data_dir / "privacy" / "members").glob("*.bin")
        key, marks = secret_key(data_dir / "keys" / "members.key", made=lists), Marks(data_dir, tenant)
        texts, people = set(), set()
        for text, customer in rows:
            texts.add(" ".join(unicodedata.normalize("NFKC", text).casefold().split()))
            people.add(customer)
        known = {marks.known(customer) for customer in people - {""}}
        return cls(_digests(key, "record", texts), _digests(key, "customer", known))

    def save(self, folder: Path) -> list[str]:
        """Writes both lists, each named by its SHA-256, and gives the two names: records, customers."""
        return [_save(part, folder) for part in (self.records, self.customers)]

    @classmethod
    def load(cls, folder: Path, names: Iterable[str]) -> Members:
        """What `save` wrote. Raises LedgerTampered where a list is missing or was changed."""
        records, customers = (_load(name, folder) for name in names)
        return cls(records, customers)

    def shared(self, other: Members) -> tuple[int, int]:
        """How many records, and how many customers, both have."""
        return (
            len(np.intersect1d(self.records, other.records, assume_unique=True)),
            len(np.intersect1d(self.customers, other.customers, assume_unique=True)),
        )


def _digests(key: bytes, kind: str, values: Iterable[str]) -> Digests:
    made = (hmac.new(key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256) for value in values)
    return np.unique(np.frombuffer(b"".join(one.digest()[:8] for one in made), dtype="<u8"))


def _save(digests: Digests, folder: Path) -> str:
    data = digests.astype("<u8").tobytes()
    name = hashlib.sha256(data).hexdigest()
    if not (folder / f"{name}.bin").exists():
        durable_write(folder / f"{name}.bin", data)
    return name


def _load(name: str, folder: Path) -> Digests:
    path = folder / f"{name}.bin"
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != name:
        raise LedgerTampered(
            f"{path} is missing or was changed: the privacy book cannot tell which data sets have records in common.",
            hint="Put it back from a backup; nothing was charged.",
        )
    return np.frombuffer(data, dtype="<u8")
