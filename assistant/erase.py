"""The walk forget: a customer's id -> everything of theirs deleted, searched for, and a signed receipt.

    journal -> tombstone -> documents and index -> rows -> files -> database compacted -> adapters marked -> search
    -> receipt

Every step can be done twice: an erasure that was killed is completed by running it again. It deletes; it does not
untrain: adapters that learned from the customer are marked, and the receipt says what bounds what they may
know. What lies outside the data folder (backups, exports, a remote engine's logs) is not reached, and it says that too.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from assistant.adapters import Shelf
from assistant.errors import BadInput
from assistant.owners import CustomerRows, Owners
from assistant.resuming import left_over
from assistant.settings import Settings
from assistant.store import Store
from assistant.types import Adapter
from privacy.accounting import epsilon
from privacy.erasure import (
    Journal,
    Learned,
    Marks,
    Tombstones,
    journal_path,
    open_journals,
    read_lines,
    sign_receipt,
    traces,
)
from privacy.keys import durable_write
from privacy.recognise import find
from privacy.scrub import Theirs, holds, is_row_file, is_telling, others_words, scrub, words_of

DISPOSABLE = ("uploads", "cache", "tmp")
"""Folders of copies that are made again when they are needed: emptied whole, whoever's they are."""
_NOT_ROWS = ("models", "indexes", "adapters", "keys", "privacy", *DISPOSABLE)
_SHORTEST_ID = 8
_CODE = re.compile(r"(?=.*\d)(?=.*[^\W\d_])\S{5,}")  # a shorter id that is no plain word and no plain number
_DELTA = 1e-5
Tell = Callable[[str], None]


class Index(Protocol):
    """What erasing needs of the index: `retrieval.search.Searcher` has it."""

    def drop(self, tenant: str, collection: str) -> None:
        """Deletes the index from memory and disk."""
        ...

    def refresh(self, tenant: str, collection: str) -> str:
        """Brings the index in line with the store."""
        ...


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The end of the walk. `complete` is False where traces are left; `receipt` is what was signed and kept."""

    receipt: dict[str, Any]
    path: Path

    @property
    def complete(self) -> bool:
        """Whether nothing of the customer was found any more."""
        return not self.receipt["traces"]


def forget(
    customer: str, *, store: Store, settings: Settings, index: Index, tell: Tell = lambda step: None
) -> Forgotten:
    """Deletes everything of a customer from the data folder and signs what was done.

    Raises:
        BadInput: the id is empty, or nothing of such a customer is here.
        StoreBusy: another process uses the database all the time; what was deleted stays deleted, run it again.
    """
    if not customer.strip():
        raise BadInput("Whom to forget? The id is empty.", hint="`confide privacy find TEXT` finds a customer's id.")
    return _Erasure(customer, store, settings, index, tell).run()


def pending(settings: Settings) -> list[str]:
    """The customers of this company whose erasure was begun and not completed."""
    begun, marks = open_journals(settings.data_dir), Marks(settings.data_dir, settings.tenant)
    return [one.customer for one in begun if one.path.stem == marks.of(one.customer)]


class _Erasure:
    def __init__(self, customer: str, store: Store, settings: Settings, index: Index, tell: Tell) -> None:
        self._customer, self._store, self._settings = customer, store, settings
        self._index, self._tell = index, tell
        self._root = settings.data_dir
        self._tenant = settings.tenant
        self._mark = Marks(self._root, self._tenant).of(customer)
        self._database = CustomerRows(store, self._tenant, frozenset({customer, self._mark}))

    def run(self) -> Forgotten:
        folder = journal_path(self._root, self._mark).parent
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            return self._run()

    def _run(self) -> Forgotten:
        journal = self._journal()
        Tombstones(self._root, self._tenant).add(self._mark, journal.began)
        counts = dict(journal.facts["counts"])
        theirs = Theirs(frozenset(journal.facts["ids"]), journal.needles)
        steps: tuple[tuple[str, Callable[[], int]], ...] = (
            ("documents", lambda: self._documents(journal)),
            ("rows", lambda: self._database.delete(journal.facts["conversations"])),
            ("lines", lambda: sum(scrub(path, theirs) for path in self._row_files())),
            ("copies", self._copies),
        )
        for name, step in steps:
            self._tell(name)
            counts[name] = counts.get(name, 0) + step()
        self._tell("database")
        self._database.compact()
        self._tell("adapters")
        adapters = [self._marked(adapter, journal.began) for adapter in self._learned()]
        self._tell("search")
        skip = (self._root / "models", journal.path)
        found = traces(self._root, journal.needles, skip=skip, longer=self._database.longer)
        left = {one.path: one.encoding for one in found}
        return self._close(journal, counts, adapters, left)

    # What there is

    def _journal(self) -> Journal:
        """The erasure that was begun, or a new one: what to look for is gathered before anything is deleted."""
        path = journal_path(self._root, self._mark)
        known = next((one for one in open_journals(self._root) if one.path == path), None)
        if known is not None:
            return known
        self._tell("gather")
        conversations = self._database.conversations()
        documents = Owners(self._store).documents(self._tenant, self._customer)
        ids = {self._customer, self._mark, *conversations}
        files = list(self._row_files())
        said = [*self._database.said(conversations), *self._texts(documents)]
        theirs = Theirs(frozenset(ids))
        written = [text for path in files for text in words_of(path, theirs)]
        if not (conversations or documents or written or self._database.rows() or self._adapters()):
            raise BadInput(f"There is nothing of a customer {self._customer!r}.", hint="Is the id right?")
        long = {one for one in ids if len(one) >= _SHORTEST_ID} - {self._mark}
        codes = set(filter(_CODE.fullmatch, ids)) - long - {self._mark}
        strings = self._own(self._strings([*said, *written]) | codes, documents, files, theirs)
        needles = (*sorted(strings - long), *sorted(long))
        facts = {"ids": sorted(ids), "conversations": conversations, "documents": documents, "counts": {}}
        began = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        journal = Journal(path, self._customer, began, needles, facts)
        journal.save()
        return journal

    def _strings(self, said: Iterable[str]) -> set[str]:
        """What to look for: whole sayings, their lines, and the personal data in them."""
        found: set[str] = set()
        for text in said:
            found |= {part.strip() for part in (text, *text.splitlines()) if is_telling(part.strip())}
            for one in find(text):
                written = text[one.start : one.end]
                found |= {written, one.value}
                if one.kind == "phone":
                    found |= {re.sub(r"\D", "", number) for number in (written, one.value)}
        return found

    def _own(self, strings: set[str], documents: list[Any], files: list[Path], theirs: Theirs) -> set[str]:
        """Those strings that nobody else has: not the company's documents, not other customers."""
        shared: set[str] = set()
        mine = {tuple(one) for one in documents}
        for info in self._store.collections(self._tenant):
            for document in self._store.documents(self._tenant, info.name):
                if (info.name, document.name) not in mine:
                    shared |= {one for one in strings if holds(document.text, one)}
        for text in self._database.said_by_others():
            shared |= {one for one in strings - shared if holds(text, one)}
        for path in files:
            shared |= others_words(path, theirs, sorted(strings - shared))
        return strings - shared

    def _texts(self, documents: list[tuple[str, str]]) -> Iterator[str]:
        wanted = set(documents)
        for collection in sorted({collection for collection, _ in documents}):
            for document in self._store.documents(self._tenant, collection):
                if (collection, document.name) in wanted:
                    yield document.text

    def _row_files(self) -> Iterator[Path]:
        for path in sorted(self._root.rglob("*")):
            if is_row_file(path) and path.relative_to(self._root).parts[0] not in _NOT_ROWS and path.is_file():
                yield path

    def _adapters(self) -> list[str]:
        return Learned(self._root, self._tenant).from_(self._mark)

    # What is done

    def _documents(self, journal: Journal) -> int:
        """Their documents, passages and vectors; the index is made anew from what is left."""
        wanted = {tuple(one) for one in journal.facts["documents"]}
        removed = 0
        for collection in sorted({collection for collection, _ in wanted}):
            stored = self._store.documents(self._tenant, collection)
            ids = [one.id for one in stored if (collection, one.name) in wanted]
            self._store.change_documents((), ids)
            removed += len(ids)
            self._index.drop(self._tenant, collection)
            if self._store.collection(self._tenant, collection) is not None:
                self._index.refresh(self._tenant, collection)
        return removed

    def _copies(self) -> int:
        """Uploads and caches, whole."""
        files = [path for name in DISPOSABLE for path in (self._root / name).rglob("*") if path.is_file()]
        for name in DISPOSABLE:
            for path in (self._root / name).glob("*"):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        return len(files)

    def _learned(self) -> list[Adapter]:
        """The adapters that were trained on the customer's records, and those that went on from them."""
        direct, found = set(self._adapters()), list[Adapter]()
        for adapter in sorted(Shelf(self._root).all(), key=lambda one: one.created):
            if adapter.sha256 in direct or adapter.parent in {one.id for one in found}:
                found.append(adapter)
        return found

    def _marked(self, adapter: Adapter, began: str) -> dict[str, Any]:
        """The adapter's card says so; what bounds it goes into the receipt."""
        note = f"learned from records of a customer who was erased on {began[:10]}: train it again without them"
        if note not in adapter.notes:
            Shelf(self._root).amend(adapter, notes=lambda notes: (*notes, note))
        bound = epsilon(adapter.privacy, _DELTA, unit="customer") if adapter.privacy else math.inf
        return {"adapter": adapter.id, "epsilon": bound if math.isfinite(bound) else None, "delta": _DELTA}

    def _close(
        self, journal: Journal, counts: dict[str, int], adapters: list[dict[str, Any]], left: dict[str, str]
    ) -> Forgotten:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        body = {
            "what": "erasure of a customer", "customer": self._mark, "tenant": self._tenant, "began": journal.began,
            "ended": now, "deleted": counts, "searched_for": len(journal.needles),
            "traces": [{"file": file, "written_as": encoding} for file, encoding in left.items()],
            "adapters": adapters, "not_undone": [
                *_not_undone(adapters, self._sent(journal), left), *self._unlooked(journal), *self._unknown(),
            ],
        }  # fmt: skip
        receipt = sign_receipt(body, self._root / "keys" / "erasure-signing.key")
        stamp = now.replace(":", "").replace("+0000", "Z")
        path = self._root / "privacy" / "receipts" / f"{stamp}-{self._mark}.json"
        durable_write(path, json.dumps(receipt, ensure_ascii=False, indent=1).encode())
        journal.close()
        return Forgotten(receipt, path)

    def _unlooked(self, journal: Journal) -> Iterator[str]:
        if self._customer not in journal.needles:
            yield "Texts were not searched for the id itself: it is short, or a word or number that others use too."

    def _unknown(self) -> Iterator[str]:
        """What may have learned from the customer without anybody having written it down."""
        learned = Learned(self._root, self._tenant)
        for adapter in Shelf(self._root).all():
            if is_unknown(adapter, learned):
                yield f"Whose records the adapter {adapter.id} learned from is not known here."
        for folder in left_over(self._root / "runs"):
            yield f"The unfinished training run {folder} may have read this customer's records: delete its folder."

    def _sent(self, journal: Journal) -> int:
        """How many requests went to a remote engine before the erasure, whosever they were."""
        return sum(
            str(row.get("at", "")) < journal.began for row in read_lines(self._root / "privacy" / "egress.jsonl")
        )


def is_unknown(adapter: Adapter, learned: Learned) -> bool:
    """Whether it learned from customers and nobody wrote down from whom; old cards of combinations count none."""
    return bool(adapter.owners or adapter.method == "combined") and not learned.knows(adapter.sha256)


def _not_undone(adapters: list[dict[str, Any]], sent: int, left: dict[str, str]) -> Iterator[str]:
    """What cannot be undone, in plain words."""
    for one in adapters:
        bound = (
            f"a customer changes what it learned by at most epsilon {one['epsilon']:.2f} (delta {one['delta']:g})"
            if one["epsilon"] is not None
            else "no epsilon bounds what it may have kept: it was trained without differential privacy"
        )
        yield f"The adapter {one['adapter']} was trained on this customer's records and is not untrained; {bound}."
    if sent:
        yield f"A remote engine got {sent} requests of all customers, redacted: what it keeps is not known here."
    if left:
        yield f"{len(left)} files still hold something of this customer and are not ours to change: see traces."
    yield "Backups, exports and copies outside the data folder are not reached."
