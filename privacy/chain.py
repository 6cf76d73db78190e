"""An append-only, hash-chained book in SQLite, and its witness outside the database.

Not what the entries mean (`ledger.py`). Each entry holds the hash of the one before it. Its witness, the
anchor, is a file beside the signing key: the newest entry in full, signed, and the inode of the database.
The anchor is written under the database's write lock, *before* the commit. So the book is one of three:

- its last entry is the anchor's: whole;
- the anchor's entry follows its last one: the process died in between (or one entry was taken away);
  the entry is put back, so that nothing once written is ever missing;
- anything else: edited, rolled back, forged or copied. Nothing is written to it any more.

What cannot be seen: book and anchor rolled back together, and a forger who has the signing key. Against both
there is `export`: a head kept elsewhere must still be part of the chain.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from privacy.errors import BadRequest, LedgerBusy, LedgerTampered, PrivacyError
from privacy.keys import Signer, durable_write, is_signed, load_signer, new_signer
from privacy.types import Verification

BUSY_SECONDS = 120.0
_NO_ENTRY = "0" * 64
_NOTHING = "Nothing was charged. `privacy verify` says more."
_TABLE = (
    """CREATE TABLE entries(seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
                            previous TEXT NOT NULL, hash TEXT NOT NULL) STRICT""",
    "CREATE TRIGGER no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the book is append-only'); END",
    "CREATE TRIGGER no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the book is append-only'); END",
)
_SIGNED_BY = ("opened", "adopted")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the book. `seq` counts from 1; `at` is UTC; `hash` covers all the rest."""

    seq: int
    at: str
    kind: str
    body: dict[str, Any]
    previous: str
    hash: str

    def digest(self) -> str:
        """The hash that this entry should have."""
        parts = [self.seq, self.at, self.kind, self.body, self.previous]
        return hashlib.sha256(canonical(parts)).hexdigest()


@dataclass(frozen=True, slots=True)
class _Anchor:
    entry: Entry
    place: int
    public: str


class Chain:
    """The book at `path`, its key and its anchor in the folder `keys`. Safe among processes and threads."""

    def __init__(self, path: Path, *, keys: Path, holder: str = "") -> None:
        self.path = path
        self.holder = holder
        self._key = keys / f"{path.stem}.key"
        self._anchor = keys / f"{path.stem}.head"

    def entries(self) -> list[Entry]:
        """All entries, oldest first; none where the book was never opened. Raises LedgerTampered."""
        if not self.path.exists() and not self._anchor.exists() and not self._key.exists():
            return []
        with self.writing() as writer:
            return list(writer.entries)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writer]:
        """The verified book under its write lock; what was appended is on the disk when this ends.

        Raises:
            LedgerTampered: the book and its anchor disagree; nothing was written.
            LedgerBusy: another process holds the lock for longer than `BUSY_SECONDS`.
        """
        with self._locked() as connection:
            entries, problems, _ = self._examined(connection)
            if problems:
                raise LedgerTampered(
                    f"The privacy book {self.path} cannot be trusted: {' '.join(problems.values())}",
                    hint=_NOTHING,
                )
            writer = Writer(self, connection, entries)
            before = self._anchor.read_bytes()
            try:
                yield writer
                connection.execute("COMMIT")
            except BaseException:
                # the anchor already names what is not going to be written; an interrupt can also come after the commit
                if writer.appended and connection.in_transaction:
                    durable_write(self._anchor, before)
                raise

    def verify(self, *, head: str | None = None) -> Verification:
        """Looks at everything. `head` is a hash kept elsewhere: the book must still hold it."""
        if not self.path.exists() and not self._anchor.exists() and not self._key.exists():
            lost = ("The book does not exist, yet a head of it was kept.",) if head else ()
            return Verification(0, "", lost, ("No book was opened yet.",))
        try:
            with self._locked() as connection:
                entries, problems, notes = self._examined(connection)
        except LedgerTampered as error:
            return Verification(0, "", (error.message,))
        found = list(problems.values())
        if head is not None and head not in {entry.hash for entry in entries}:
            found.append("The head that was kept elsewhere is not in the book: it was rolled back or replaced.")
        return Verification(len(entries), entries[-1].hash if entries else "", tuple(found), tuple(notes))

    def adopt(self, reason: str) -> Entry:
        """Goes on with a book that was moved, or whose key or anchor was lost; this stands in the book for good.

        Raises:
            LedgerTampered: the book was edited or rolled back: there is nothing to vouch for.
        """
        with self._locked() as connection:
            entries, problems, _ = self._examined(connection)
            if not entries or set(problems) - {"place", "anchor", "key"}:
                raise LedgerTampered(
                    f"This book cannot be adopted: {' '.join(problems.values()) or 'it is empty.'}",
                    hint="Put back its newest copy, or begin a new one in another folder and say so to your auditor.",
                )
            signer = new_signer() if "key" in problems else load_signer(self._key)
            body = {"reason": reason, "found": sorted(problems), "public_key": signer.public}
            entry = self._append(connection, entries, signer, "adopted", body)
            signer.save(self._key)
            connection.execute("COMMIT")
            return entry

    def export(self) -> dict[str, Any]:
        """Everything an auditor needs to check the book without this machine: entries, public key, signature."""
        entries = self.entries()
        if not entries:
            raise BadRequest("There is no privacy book to export yet.", hint="It begins with the first training.")
        signer = load_signer(self._key)
        rows = [dataclasses.asdict(entry) for entry in entries]
        return {
            "entries": rows,
            "head": entries[-1].hash,
            "public_key": signer.public,
            "signature": _sign(signer, rows),
        }

    # Under the lock

    @contextlib.contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            # EXTRA is FULL and the folder too: a commit outlives a power cut
            connection.execute("PRAGMA synchronous=EXTRA")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise LedgerBusy(f"Another process holds the privacy book {self.path}.", hint="Try again.") from error
            raise PrivacyError(f"The privacy book {self.path} cannot be written: {error}.", hint=_NOTHING) from error
        except sqlite3.DatabaseError as error:
            raise LedgerTampered(f"The privacy book {self.path} is damaged: {error}.", hint=_NOTHING) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.close()

    def _examined(self, connection: sqlite3.Connection) -> tuple[list[Entry], dict[str, str], list[str]]:
        """(entries, what is wrong by kind, what was put right).

        What is put right is committed on its own: the anchor vouches for one uncommitted entry at a time.
        """
        entries, problems, notes = self._examine(connection)
        if not notes:
            return entries, problems, notes
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        entries, problems, _ = self._examine(connection)
        return entries, problems, notes

    def _examine(self, connection: sqlite3.Connection) -> tuple[list[Entry], dict[str, str], list[str]]:
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in _TABLE:
                connection.execute(statement)
            if not self._key.exists():
                # anchor, then key, then commit: a key without an anchor is never the doing of a crash
                signer = new_signer()
                body = {"holder": self.holder, "ledger": secrets.token_hex(16), "public_key": signer.public}
                entries = [self._append(connection, [], signer, "opened", body)]
                signer.save(self._key)
                return entries, {}, ["The book was opened."]
        try:
            entries = _read(connection)
        except (sqlite3.Error, ValueError, TypeError) as error:
            return [], {"damaged": f"It cannot be read: {error}."}, []
        problems = _chain_problems(entries)
        anchor, anchor_problems = self._read_anchor(entries)
        problems |= anchor_problems
        notes: list[str] = []
        if anchor is not None and not problems:
            notes = self._compare(connection, entries, anchor, problems)
        return entries, problems, notes

    def _append(
        self, connection: sqlite3.Connection, entries: list[Entry], signer: Signer, kind: str, body: dict[str, Any]
    ) -> Entry:
        previous = entries[-1].hash if entries else _NO_ENTRY
        at = datetime.now(UTC).isoformat(timespec="seconds")
        entry = Entry(len(entries) + 1, at, kind, json.loads(canonical(body)), previous, "")
        entry = dataclasses.replace(entry, hash=entry.digest())
        anchor = {"entry": dataclasses.asdict(entry), "place": os.stat(self.path).st_ino, "public_key": signer.public}
        durable_write(self._anchor, canonical({**anchor, "signature": _sign(signer, anchor)}))
        _insert(connection, entry)
        entries.append(entry)
        return entry

    def _read_anchor(self, entries: list[Entry]) -> tuple[_Anchor | None, dict[str, str]]:
        try:
            public = load_signer(self._key).public
        except FileNotFoundError:
            return None, {"key": f"Its signing key {self._key} is missing."}
        except BadRequest as error:
            return None, {"key": error.message}
        try:
            stored = json.loads(self._anchor.read_bytes())
            signature = stored.pop("signature")
            anchor = _Anchor(Entry(**stored["entry"]), int(stored["place"]), stored["public_key"])
        except FileNotFoundError:
            return None, {"anchor": f"Its anchor {self._anchor} is missing."}
        except (ValueError, KeyError, TypeError, AttributeError):
            return None, {"forged": f"Its anchor {self._anchor} is damaged."}
        ours = is_signed(public, signature, canonical(stored)) and anchor.public == public
        if ours and not entries and anchor.entry.seq > 1:
            lost = f"It is empty or missing, and had {anchor.entry.seq} entries: put back a copy of {self.path}."
            return None, {"rollback": lost}
        keys = [entry.body.get("public_key") for entry in [*entries, anchor.entry] if entry.kind in _SIGNED_BY]
        if not ours or keys[-1:] != [public]:
            return None, {"forged": "Its anchor or its key is another book's."}
        return anchor, {}

    def _compare(
        self, connection: sqlite3.Connection, entries: list[Entry], anchor: _Anchor, problems: dict[str, str]
    ) -> list[str]:
        """Adds to `problems`; puts back an entry that the anchor has and the book lost. Returns remarks."""
        last, lost = entries[-1] if entries else None, anchor.entry
        if os.stat(self.path).st_ino != anchor.place:
            problems["place"] = "It is a copy, or was moved: two books of the same data would each spend the budget."
        if last is not None and last.hash == lost.hash:
            return []
        if lost.seq == len(entries) + 1 and not _chain_problems([*entries, lost]):
            if problems:
                return []
            _insert(connection, lost)
            entries.append(lost)
            return [f"Entry {lost.seq} was in the anchor only, after a crash; it was put back."]
        missing = lost.seq - len(entries)
        problems["rollback"] = (
            f"It was rolled back: its last {missing} entries are missing."
            if missing > 0
            else f"Its last entry is not the one that was signed; {-missing} entries came from elsewhere."
        )
        return []


class Writer:
    """The book under its lock: read `entries`, `append` to them."""

    def __init__(self, chain: Chain, connection: sqlite3.Connection, entries: list[Entry]) -> None:
        self.entries = entries
        self.appended = False
        self._chain = chain
        self._connection = connection

    def append(self, kind: str, body: dict[str, Any]) -> Entry:
        """Writes one entry; at most one in a transaction, for the anchor can put back one."""
        if self.appended:
            raise BadRequest("One entry a transaction.")
        signer = load_signer(self._chain._key)
        self.appended = True
        return self._chain._append(self._connection, self.entries, signer, kind, body)


def verify_export(data: dict[str, Any]) -> Verification:
    """What an auditor can check of an exported book alone: the chain and the signature."""
    try:
        entries = [Entry(**row) for row in data["entries"]]
        signed = is_signed(data["public_key"], data["signature"], canonical(data["entries"]))
        problems = [*_chain_problems(entries).values()]
        if not signed or not entries or data["head"] != entries[-1].hash:
            problems.append("The signature is not of these entries.")
        keys = [entry.body["public_key"] for entry in entries if entry.kind in _SIGNED_BY]
        if keys[-1:] != [data["public_key"]]:
            problems.append("It was signed with a key that the book does not name.")
    except (KeyError, TypeError, ValueError) as error:
        return Verification(0, "", (f"This is no exported book: {error!r}.",))
    return Verification(len(entries), entries[-1].hash if entries else "", tuple(problems))


def canonical(value: Any) -> bytes:
    """The one way a value is written for hashing and signing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _sign(signer: Signer, value: Any) -> str:
    return signer.sign(canonical(value))


def _read(connection: sqlite3.Connection) -> list[Entry]:
    rows = connection.execute("SELECT seq, at, kind, body, previous, hash FROM entries ORDER BY seq")
    return [Entry(seq, at, kind, json.loads(body), previous, digest) for seq, at, kind, body, previous, digest in rows]


def _insert(connection: sqlite3.Connection, entry: Entry) -> None:
    row = (entry.seq, entry.at, entry.kind, canonical(entry.body).decode(), entry.previous, entry.hash)
    connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", row)


def _chain_problems(entries: list[Entry]) -> dict[str, str]:
    """What is wrong with the chain alone, at the first entry where it is."""
    previous = _NO_ENTRY
    for number, entry in enumerate(entries, start=1):
        if entry.seq != number or entry.previous != previous:
            return {"edited": f"Entry {number} is missing or does not follow the one before it."}
        if entry.hash != entry.digest():
            return {"edited": f"Entry {number} was changed after it was written."}
        previous = entry.hash
    return {}
