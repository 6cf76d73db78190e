"""What tests and benchmarks of the privacy book share: attacks on it, and processes that charge to it."""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from privacy.chain import Entry, canonical
from privacy.errors import BudgetExceeded
from privacy.keys import durable_write
from privacy.ledger import Ledger
from privacy.types import PrivacySpend

Attack = Callable[[Path, random.Random], None]
"""Does something to the ledger in a folder that must be noticed."""


def spend(steps: int = 10, *, noise: float = 20.0, dataset: str = "chats", mechanism: str = "gaussian") -> PrivacySpend:
    """A spend whose epsilon is quick to compute."""
    return PrivacySpend(mechanism, noise, 1.0, steps, 1.0, "example", dataset)


def filled(folder: Path, charges: int = 4) -> Ledger:
    """A ledger with some charges, half of them settled."""
    ledger = Ledger(folder, holder="demo")
    for number in range(charges):
        charge = ledger.charge(spend(), f"run {number}")
        if number % 2:
            ledger.settle(charge, steps=5)
    return ledger


# Attacks: the database opened and changed by hand


def _open(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "privacy" / "ledger.db", isolation_level=None)
    for trigger in ("no_update", "no_delete"):
        connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    return connection


def _change(folder: Path, rng: random.Random, column: str, rehash: bool) -> None:
    connection = _open(folder)
    rows = [list(row) for row in connection.execute("SELECT * FROM entries ORDER BY seq")]
    victim = rng.choice([row for row in rows if row[2] == "charge"])
    body = json.loads(victim[3])
    if column == "body":
        body["spend"]["steps"] = 1 if body["spend"]["steps"] != 1 else 2
        victim[3] = canonical(body).decode()
    else:
        victim[1 if column == "at" else 2] = {"at": "2020-01-01T00:00:00+00:00", "kind": "note"}[column]
    previous = "0" * 64
    for row in rows:
        if rehash:
            row[4] = previous
            row[5] = Entry(row[0], row[1], row[2], json.loads(row[3]), row[4], "").digest()
        previous = row[5]
        connection.execute(
            "UPDATE entries SET at=?, kind=?, body=?, previous=?, hash=? WHERE seq=?", [*row[1:], row[0]]
        )
    connection.close()


def _delete_last(folder: Path, rng: random.Random) -> None:
    connection = _open(folder)
    connection.execute("DELETE FROM entries WHERE seq > (SELECT max(seq) FROM entries) - ?", (rng.randint(2, 4),))
    connection.close()


def _delete_middle(folder: Path, rng: random.Random) -> None:
    connection = _open(folder)
    last = connection.execute("SELECT max(seq) FROM entries").fetchone()[0]
    gone = rng.randint(2, last - 1)
    connection.execute("DELETE FROM entries WHERE seq = ?", (gone,))
    if rng.random() < 0.5:
        connection.execute("UPDATE entries SET seq = seq - 1 WHERE seq > ?", (gone,))
    connection.close()


def _insert(folder: Path, rng: random.Random) -> None:
    """A forged settlement at the end, well chained but never signed."""
    connection = _open(folder)
    seq, digest = connection.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
    body = {"charge": 2, "steps": 0}
    forged = Entry(seq + 1, "2026-01-01T00:00:00+00:00", "settle", body, digest, "")
    row = (forged.seq, forged.at, forged.kind, canonical(body).decode(), digest, forged.digest())
    connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", row)
    connection.close()


def _swap(folder: Path, rng: random.Random) -> None:
    connection = _open(folder)
    last = connection.execute("SELECT max(seq) FROM entries").fetchone()[0]
    one, two = rng.sample(range(2, last + 1), 2)
    for old, new in ((one, -1), (two, one), (-1, two)):
        connection.execute("UPDATE entries SET seq = ? WHERE seq = ?", (new, old))
    connection.close()


def _older(folder: Path, rng: random.Random, *, what: str, keep_inode: bool) -> None:
    """Copies the book, lets it go on, puts the copy back."""
    kept = folder.parent / f"{folder.name}-kept"
    shutil.copytree(folder, kept)
    ledger = Ledger(folder)
    for number in range(rng.randint(2, 3)):
        ledger.charge(spend(), f"later {number}")
    for name in {"book": ["privacy/ledger.db"], "anchor": ["keys/ledger.head"]}[what]:
        if keep_inode:
            (folder / name).write_bytes((kept / name).read_bytes())
        else:
            os.replace(kept / name, folder / name)
    shutil.rmtree(kept)


def _fork(folder: Path, rng: random.Random) -> None:
    """The whole folder copied, keys and all, and put in the place of the original."""
    copy = folder.parent / f"{folder.name}-copy"
    shutil.copytree(folder, copy)
    shutil.rmtree(folder)
    copy.rename(folder)


def _other_holder(folder: Path, rng: random.Random, *, anchor: bool) -> None:
    other = folder.parent / f"{folder.name}-other"
    filled(other, 1)
    shutil.copyfile(other / "privacy" / "ledger.db", folder / "privacy" / "ledger.db")
    if anchor:
        shutil.copyfile(other / "keys" / "ledger.head", folder / "keys" / "ledger.head")
    shutil.rmtree(other)


def _forge_anchor(folder: Path, rng: random.Random) -> None:
    path = folder / "keys" / "ledger.head"
    anchor = json.loads(path.read_bytes())
    anchor["entry"]["seq"] -= 1
    path.write_bytes(canonical(anchor))


def _flip(folder: Path, rng: random.Random) -> None:
    """A bit of a stored hash or body flips."""
    path = folder / "privacy" / "ledger.db"
    data = bytearray(path.read_bytes())
    places = [at for at in range(len(data)) if data[at : at + 9] == b'"purpose"' or data[at : at + 9] == b'"spend":{']
    data[rng.choice(places) + rng.randint(1, 8)] ^= 1 << rng.randint(0, 6)
    path.write_bytes(bytes(data))


def _remove(folder: Path, rng: random.Random, *, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).unlink()


ATTACKS: dict[str, Attack] = {
    "edit a charge": lambda f, r: _change(f, r, "body", False),
    "edit a charge and every hash": lambda f, r: _change(f, r, "body", True),
    "edit a date": lambda f, r: _change(f, r, "at", False),
    "edit a kind and every hash": lambda f, r: _change(f, r, "kind", True),
    "delete the last entries": _delete_last,
    "delete in the middle": _delete_middle,
    "forge a settlement": _insert,
    "swap two entries": _swap,
    "roll the database back": lambda f, r: _older(f, r, what="book", keep_inode=True),
    "roll the database back by renaming": lambda f, r: _older(f, r, what="book", keep_inode=False),
    "roll the anchor back": lambda f, r: _older(f, r, what="anchor", keep_inode=True),
    "copy the folder": _fork,
    "another holder's database": lambda f, r: _other_holder(f, r, anchor=False),
    "another holder's database and anchor": lambda f, r: _other_holder(f, r, anchor=True),
    "forge the anchor": _forge_anchor,
    "flip a bit": _flip,
    "remove the anchor": lambda f, r: _remove(f, r, names=("keys/ledger.head",)),
    "remove the key": lambda f, r: _remove(f, r, names=("keys/ledger.key",)),
    "remove the database": lambda f, r: _remove(f, r, names=("privacy/ledger.db",)),
    "remove database and anchor": lambda f, r: _remove(f, r, names=("privacy/ledger.db", "keys/ledger.head")),
}


# Processes


def race(folder: Path, tries: int) -> int:
    """Charges until refused; how many were taken. Run in many processes at once."""
    ledger, taken = Ledger(folder), 0
    for number in range(tries):
        try:
            ledger.charge(spend(1, noise=5.0), f"{os.getpid()} {number}")
        except BudgetExceeded:
            break
        taken += 1
    return taken


def charge_and_die(folder: Path, place: str) -> None:
    """Charges and is killed at `place`: nothing after it runs, no handler sees it."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def write(path: Path, data: bytes) -> None:
        if path.suffix == ".head" and place == "before the anchor":
            die()
        durable_write(path, data)
        if path.suffix == ".head" and place == "after the anchor":
            die()

    with ExitStack() as stack:
        stack.enter_context(patch("privacy.chain.durable_write", write))
        if place == "before the commit":
            stack.enter_context(patch("privacy.chain._insert", die))
        Ledger(folder).charge(spend(), "cut off")


INTERRUPTED = 42
"""How `charge_interrupted` ends where the interrupt got through."""


def charge_interrupted(folder: Path, when: str) -> None:
    """Charges and gets a Ctrl-C `when` ("before" or "after") the book's commit; a second one always after it."""

    class Interrupted(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if (statement, when) == ("COMMIT", "before"):
                signal.raise_signal(signal.SIGINT)
            found = super().execute(statement, *values)
            if statement == "COMMIT":
                signal.raise_signal(signal.SIGINT)
            return found

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
    with patch("privacy.chain.sqlite3.connect", functools.partial(sqlite3.connect, factory=Interrupted)):
        try:
            Ledger(folder).charge(spend(), "interrupted")
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


def train_forever(folder: Path, steps_log: Path, seed: int) -> None:
    """Plans, charges, takes steps (a byte each in `steps_log`, written as the step is taken), settles; until killed."""
    rng = random.Random(seed)
    ledger = Ledger(folder)
    log = os.open(steps_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        planned = rng.randint(1, 20)
        charge = ledger.charge(spend(planned, noise=1000.0), "a run")
        taken = 0
        for _ in range(rng.randint(0, planned)):
            os.write(log, b".")
            taken += 1
            time.sleep(rng.random() * 0.001)
        ledger.settle(charge, steps=taken)
