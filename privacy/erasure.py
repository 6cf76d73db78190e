"""Forgetting a customer, the parts that know no store: marks, tombstones, the journal, traces, the signed receipt.

A mark stands for a customer's id: a keyed hash, so that a list of erased customers does not name them. A
tombstone keeps an erased customer from coming back with an old import. The journal lets an erasure that was killed
be finished: what to look for is found only once, before anything is deleted. The receipt is signed (Ed25519) and can
be checked by anybody with the public key. What is deleted where is the walk's matter (`assistant/erase.py`).
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import hashlib
import hmac
import itertools
import json
import mmap
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privacy.errors import BadRequest
from privacy.keys import durable_write, is_signed, load_signer, new_signer, secret_key
from privacy.scrub import is_name, is_part

_PREFIX = "cust"


class Marks:
    """The marks of a tenant's customers in a data folder; the key is made at first use."""

    def __init__(self, data_dir: Path, tenant: str = "default") -> None:
        self._data_dir, self._tenant = data_dir, tenant

    @functools.cached_property
    def _key(self) -> bytes:
        """Raises BadRequest where it was lost: under another one nobody who was erased would be known again."""
        kept = self._data_dir / "privacy"
        learned = (file for file in kept.glob("learned/*.json") if file.stat().st_size > len("[]"))
        made = itertools.chain(kept.glob("erased.jsonl"), learned)
        return secret_key(self._data_dir / "keys" / "erasure.key", made=made)

    def of(self, customer: str) -> str:
        """What stands for a customer where their id must not: in tombstones, training rows, receipts."""
        name = f"{self._tenant}\0{customer}".encode("utf-8", "surrogatepass")
        return _PREFIX + hmac.new(self._key, name, hashlib.sha256).hexdigest()[:32]

    def known(self, customer: str) -> str:
        """The mark of a customer who is named by their id, or by their mark already."""
        return customer if _is_mark(customer) else self.of(customer)


class Tombstones:
    """Who was erased, by mark. Append-only; safe among processes."""

    def __init__(self, data_dir: Path, tenant: str = "default") -> None:
        self._path = data_dir / "privacy" / "erased.jsonl"
        self._data_dir, self._tenant = data_dir, tenant

    def add(self, mark: str, at: str) -> None:
        """Writes it down, durably; a second time is a no-op."""
        if mark not in self.marks():
            append_line(self._path, {"at": at, "mark": mark})

    def marks(self) -> frozenset[str]:
        """The marks of all who were erased."""
        return frozenset(row["mark"] for row in read_lines(self._path))

    def erased(self, customers: Iterable[str]) -> set[str]:
        """Those of the customers (ids or marks) who were erased: nothing old of theirs may be imported."""
        marks = self.marks()
        if not marks:
            return set()
        known = Marks(self._data_dir, self._tenant)
        return {one for one in set(customers) - {""} if one in marks or known.of(one) in marks}


class Learned:
    """Whose records each adapter was trained on, by mark: `privacy/learned/<sha256 of its weights>.json`."""

    def __init__(self, data_dir: Path, tenant: str = "default") -> None:
        self._folder = data_dir / "privacy" / "learned"
        self._data_dir, self._tenant = data_dir, tenant

    def remember(self, weights_sha256: str, customers: Iterable[str]) -> None:
        """Keeps the marks of those whose records the weights learned from; marks stay marks. Call before they serve."""
        marks = Marks(self._data_dir, self._tenant)
        found = {marks.known(one) for one in set(customers) - {""}}
        durable_write(self._folder / f"{weights_sha256}.json", json.dumps(sorted(found)).encode())

    def knows(self, weights_sha256: str) -> bool:
        """Whether it was kept whose records the weights learned from."""
        return (self._folder / f"{weights_sha256}.json").is_file()

    def of(self, weights_sha256: str) -> frozenset[str]:
        """The marks of those whose records the weights learned from; none where that was not kept."""
        file = self._folder / f"{weights_sha256}.json"
        return frozenset(json.loads(file.read_text(encoding="ascii"))) if file.is_file() else frozenset()

    def from_(self, mark: str) -> list[str]:
        """The weights (by SHA-256) that learned from a customer's records."""
        files = sorted(self._folder.glob("*.json"))
        return [file.stem for file in files if mark in json.loads(file.read_text(encoding="ascii"))]


def _is_mark(text: str) -> bool:
    return re.fullmatch(f"{_PREFIX}[0-9a-f]{{32}}", text) is not None


@dataclass(frozen=True, slots=True)
class Journal:
    """An erasure that was begun: whom, since when, what to look for. It names the customer, so it goes at the end."""

    path: Path
    customer: str
    began: str
    needles: tuple[str, ...]
    facts: dict[str, Any]

    def save(self) -> None:
        """Durably."""
        data = {**dataclasses.asdict(self), "path": None}
        durable_write(self.path, json.dumps(data, ensure_ascii=True).encode())

    def close(self) -> None:
        """Overwrites and removes it: the erasure is complete."""
        drafts = self.path.parent.glob(f".{self.path.name}.*")  # of a write that was killed
        for draft in drafts:
            draft.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            with self.path.open("r+b") as file:
                file.write(b"\0" * self.path.stat().st_size)
                file.flush()
                os.fsync(file.fileno())
            self.path.unlink()


def journal_path(data_dir: Path, mark: str) -> Path:
    """Where the journal of a customer's erasure is while it is not complete."""
    return data_dir / "privacy" / "erasing" / f"{mark}.json"


def open_journals(data_dir: Path) -> list[Journal]:
    """The erasures that were begun and not completed. Raises BadRequest where one cannot be read."""
    found = []
    for path in sorted((data_dir / "privacy" / "erasing").glob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="ascii"))
            found.append(Journal(**{**data, "path": path, "needles": tuple(data["needles"])}))
        except (ValueError, TypeError, KeyError) as error:
            raise BadRequest(
                f"{path} is damaged.", hint="Delete it and forget the customer again, by their id."
            ) from error
    return found


# Traces


@dataclass(frozen=True, slots=True)
class Trace:
    """A file that still holds one of the needles, how it is written there, and where the first one is (bytes)."""

    path: str
    encoding: str
    offset: int


def spellings(text: str) -> dict[str, bytes]:
    """How a text may stand in a file: encoding -> bytes. Base64 at each of its three alignments."""
    plain = text.encode("utf-8", "surrogatepass")
    found = {
        "utf-8": plain,
        "utf-16-le": text.encode("utf-16-le", "surrogatepass"),
        "utf-16-be": text.encode("utf-16-be", "surrogatepass"),
        "json": json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"),
        "json-ascii": json.dumps(text)[1:-1].encode(),
        "json-upper": "".join(c if c.isascii() else f"\\u{ord(c):04X}" for c in text if ord(c) < 0x10000).encode(),
    }
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + plain)
        first = -(-shift * 8 // 6)  # characters that also hold bits of what stands before
        last = (shift + len(plain)) * 8 // 6
        found[f"base64+{shift}"] = coded[first:last]
        found[f"base64url+{shift}"] = coded[first:last].translate(bytes.maketrans(b"+/", b"-_"))
    distinct: dict[bytes, str] = {}
    for name, spelling in found.items():
        if len(spelling) >= (6 if name.startswith("base64") else 4):  # shorter ones stand anywhere by chance
            distinct.setdefault(spelling, name)
    return {name: spelling for spelling, name in distinct.items()}


def traces(
    root: Path, needles: Iterable[str | bytes], *, skip: Iterable[Path] = (),
    longer: Callable[[str], Collection[str]] | None = None,
) -> Iterator[Trace]:  # fmt: skip
    """Where any of the needles still stands in any file under a folder, names of files included.

    Every byte of every file is read, whatever it holds; a compressed file is not unpacked. `bytes` are
    looked for as they are. With `longer`, which knows the names of others that hold a name, a needle of one word is a
    name: as a part of a longer one it is another's.
    """
    wanted: dict[bytes, _Wanted] = {}
    for needle in needles:
        coded = {"bytes": needle} if isinstance(needle, bytes) else spellings(needle)
        name = needle if longer is not None and isinstance(needle, str) and is_name(needle) else ""
        wanted.update({spelling: _Wanted(spelling, encoding, name) for encoding, spelling in coded.items()})
    known = functools.cache(longer or (lambda name: ()))
    skipped = set(skip)
    for path in sorted(root.rglob("*")):
        if skipped.intersection((path, *path.parents)):
            continue
        name = str(path.relative_to(root))
        written = (os.fsencode(name), os.fsencode(name.removesuffix(path.suffix)))
        if any(one.place_in(each, known) >= 0 for one in wanted.values() for each in written):
            yield Trace(name, "file name", 0)
        if path.is_file() and not path.is_symlink() and path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                for one in wanted.values():
                    if (offset := one.place_in(content, known)) >= 0:
                        yield Trace(name, one.encoding, offset)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A spelling to look for; `name` is what it spells, where a part of a longer name does not count."""

    spelling: bytes
    encoding: str
    name: str

    def place_in(self, content: bytes | mmap.mmap, longer: Callable[[str], Collection[str]]) -> int:
        """Where it stands first; -1 = nowhere."""
        at = content.find(self.spelling)
        while at >= 0 and self.name and self._is_part(content, at, longer):
            at = content.find(self.spelling, at + 1)
        return at

    def _is_part(self, content: bytes | mmap.mmap, at: int, longer: Callable[[str], Collection[str]]) -> bool:
        coding = self.encoding if self.encoding.startswith("utf-16") else "utf-8"
        end = at + len(self.spelling)
        first = at % 2 if coding != "utf-8" else 0
        before = content[max(first, at - 32) : at].decode(coding, "ignore")
        after = content[end : end + 32].decode(coding, "ignore")
        # In a database the columns stand side by side, in base64 the neighbours are not to be read.
        blind = self.encoding.startswith("base64") or (coding == "utf-8" and content.find(b"\0", 0, 512) >= 0)
        said = f"{before}{self.name}{after}"
        if not blind and is_part(said, len(before), self.name, joined="@" in self.name):
            return True
        return any(self._is_within(content, at, other.encode(coding, "surrogatepass")) for other in longer(self.name))

    def _is_within(self, content: bytes | mmap.mmap, at: int, other: bytes) -> bool:
        starts = (at - one.start() for one in re.finditer(re.escape(self.spelling), other))
        return any(start >= 0 and content[start : start + len(other)] == other for start in starts)


# Receipts


def sign_receipt(body: Mapping[str, Any], key: Path) -> dict[str, Any]:
    """The body with the holder's public key and signature; the key is made at first use."""
    try:
        signer = load_signer(key)
    except FileNotFoundError:
        signer = new_signer()
        signer.save(key)
    signed = {**body, "public_key": signer.public}
    return {**signed, "signature": signer.sign(_canonical(signed))}


def is_genuine(receipt: Mapping[str, Any], public_key: str | None = None) -> bool:
    """Whether a receipt is as it was signed, by the holder of `public_key` where that is known from elsewhere."""
    body = {name: value for name, value in receipt.items() if name != "signature"}
    public, signature = str(body.get("public_key", "")), str(receipt.get("signature", ""))
    return public == (public_key or public) and is_signed(public, signature, _canonical(body))


def _canonical(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


# Files of lines


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Adds a JSON line, durably; lines of several processes do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(row, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass") + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab+", buffering=0) as file:
        if size := file.seek(0, os.SEEK_END):
            file.seek(size - 1)
            line = line if file.read(1) == b"\n" else b"\n" + line  # a power cut in the middle of a line
        file.write(line)
        os.fsync(descriptor)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file, torn ones left out; [] where there is no file."""
    found: list[dict[str, Any]] = []
    if path.is_file():
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict):
                    found.append(row)
    return found
