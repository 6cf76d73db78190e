"""Rows of one customer in files of rows: found, and taken out. JSON lines, JSON, CSV, TSV, and lines of a log.

A row is theirs where it says so (its `customer`, `owner`, `conversation` ... is one of their ids), or where it
holds one of the strings that are theirs alone; a name or number counts only where it is no part of a longer one. A
file is replaced whole or not touched. Databases, indexes and other binary files are not its matter.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OWNER_KEYS = frozenset({"customer", "customer_id", "owner", "conversation", "conversation_id", "session", "user_id"})
ROW_FILES = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".log", ".txt", ".err", ".out"})
_SAID = frozenset({"text", "question", "prompt", "correction", "comment", "content"})
"""Fields in which a customer's own words stand; other fields hold what many rows share."""
_SHORTEST = 24
_LETTER = r"0-9A-Za-z\u00c0-\u024f\u0370-\u052f"  # not Chinese, which is written without spaces
_GOES_ON = re.compile(rf"[{_LETTER}]")
_BEFORE = {False: re.compile(rf"[{_LETTER}]$"), True: re.compile(rf"[{_LETTER}][._+@-]?$")}
_AFTER = {False: re.compile(rf"[{_LETTER}]"), True: re.compile(rf"[._+@-]?[{_LETTER}]")}
_ESCAPE = re.compile(r"\\(?:[bfnrt]|u[0-9A-Fa-f]{4})$")  # in JSON the n of a line's end is no letter of the next word


@dataclass(frozen=True, slots=True)
class Theirs:
    """What makes a row theirs: `ids` as the whole value of an owner's field, `strings` anywhere in the row."""

    ids: frozenset[str]
    strings: tuple[str, ...] = ()

    def owns(self, row: Any) -> bool | None:
        """True where the row names them as its owner, False where it names somebody else, None where nobody."""
        fields = row.items() if isinstance(row, dict) else ()
        named = {str(value).strip() for key, value in fields if value and str(key).strip() in OWNER_KEYS} - {""}
        return bool(named & self.ids) if named else None

    def are_in(self, text: str) -> bool:
        """Whether a line holds one of their strings, as it is or escaped."""
        return any(holds(text, one) or holds(text, json.dumps(one)[1:-1]) for one in self.strings)


def is_telling(text: str) -> bool:
    """Whether a text is long enough to be one person's words; a Chinese character says what three letters do."""
    return len(text) + 2 * sum(one > "\u2e80" and one.isalpha() for one in text) >= _SHORTEST


def is_name(text: str) -> bool:
    """Whether it is one word, such as an id, an address or a number: others' may hold it."""
    return not any(map(str.isspace, text))


def holds(text: str, string: str) -> bool:
    """Whether a string stands in a text; a name only where it stands by itself."""
    at = text.find(string)
    while at >= 0 and is_name(string) and is_part(text, at, string, joined=True):
        at = text.find(string, at + 1)
    return at >= 0


def is_part(text: str, at: int, name: str, *, joined: bool) -> bool:
    """Whether the name at a place is a part of a longer one; `joined`: also one of several parts, by one of ._+@-"""
    end = at + len(name)
    before, after = text[max(0, at - 8) : at], text[end : end + 8]
    ahead = _GOES_ON.match(name) and _BEFORE[joined].search(before) and not _ESCAPE.search(before)
    dated = "@" in name and after[:1].isdigit()  # "li@qq.com2026-07-14": no address goes on by a digit
    return bool(ahead or (_GOES_ON.match(name[-1:]) and _AFTER[joined].match(after) and not dated))


def longer_names(text: str, name: str) -> set[str]:
    """The longer words of a text that a name is a part of; of an e-mail address the whole of longer addresses."""
    joined, found = "@" in name, set[str]()
    run = f"[{_LETTER}{'._+@-' if joined else ''}]*"
    at = text.find(name)
    while at >= 0:
        end = at + len(name)
        if is_part(text, at, name, joined=joined):
            before, after = re.search(f"{run}$", text[max(0, at - 64) : at]), re.match(run, text[end : end + 64])
            found.add(f"{before[0] if before else ''}{name}{after[0] if after else ''}")
        at = text.find(name, at + 1)
    return found


def is_row_file(path: Path) -> bool:
    """Whether a file's name is that of a file of rows (a rotated log's too)."""
    return any(suffix in ROW_FILES for suffix in path.suffixes[-2:])


def words_of(path: Path, theirs: Theirs) -> Iterator[str]:
    """What the customer said in the rows that name them as owner: strings to look for elsewhere."""
    for row in _rows(path):
        if theirs.owns(row):
            yield from _said(row)


def others_words(path: Path, theirs: Theirs, candidates: Sequence[str]) -> set[str]:
    """Those of the candidates that rows of other customers hold too."""
    found: set[str] = set()
    for row in _rows(path):
        if theirs.owns(row) is False:
            text = json.dumps(row, ensure_ascii=False)
            found |= {one for one in candidates if holds(text, json.dumps(one, ensure_ascii=False)[1:-1])}
    return found


def scrub(path: Path, theirs: Theirs) -> int:
    """Takes their rows out of a file and says how many; a file without any is left as it is."""
    text = _read(path)
    if text is None:
        return 0
    if ".json" in path.suffixes:
        cleaned, gone = _scrub_json(text, theirs)
    elif {".csv", ".tsv"} & set(path.suffixes):
        cleaned, gone = _scrub_table(text, theirs, "\t" if ".tsv" in path.suffixes else ",")
    else:
        cleaned, gone = _scrub_lines(text, theirs)
    if gone:
        _replace(path, cleaned)
    return gone


def _scrub_lines(text: str, theirs: Theirs) -> tuple[str, int]:
    lines = _lines(text)
    kept = [line for line in lines if not _is_theirs(_parsed(line), line, theirs)]
    return "".join(kept), len(lines) - len(kept)


def _scrub_table(text: str, theirs: Theirs, delimiter: str) -> tuple[str, int]:
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    head = rows[0] if rows else []
    kept = [
        row
        for number, row in enumerate(rows)
        if number == 0 or not _is_theirs(dict(zip(head, row, strict=False)), "\n".join(row), theirs)
    ]
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows(kept)
    return written.getvalue(), len(rows) - len(kept)


def _scrub_json(text: str, theirs: Theirs) -> tuple[str, int]:
    data = _parsed(text)
    gone = 0

    def clean(value: Any) -> Any:
        nonlocal gone
        if isinstance(value, dict):
            kept = {key: part for key, part in value.items() if not (key in theirs.ids or is_gone(part))}
            gone += len(value) - len(kept)
            return {key: clean(part) for key, part in kept.items()}
        if isinstance(value, list):
            rest = [part for part in value if not is_gone(part)]
            gone += len(value) - len(rest)
            return [clean(part) for part in rest]
        return value

    def is_gone(part: Any) -> bool:
        nested = isinstance(part, dict | list)
        if theirs.owns(part):
            return True
        leaf = part if isinstance(part, str) else ""
        flat = isinstance(part, dict) and not any(isinstance(inner, dict | list) for inner in part.values())
        return (flat or not nested) and theirs.are_in(leaf or (json.dumps(part, ensure_ascii=False) if flat else ""))

    if data is None:
        return text, 0
    cleaned = clean(data)
    return json.dumps(cleaned, ensure_ascii=False, indent=1) + "\n", gone


def _is_theirs(row: Any, line: str, theirs: Theirs) -> bool:
    named = theirs.owns(row)
    return bool(named) or (named is None and theirs.are_in(line))


def _rows(path: Path) -> Iterator[Any]:
    text = _read(path)
    if text is None:
        return
    if {".csv", ".tsv"} & set(path.suffixes):
        delimiter = "\t" if ".tsv" in path.suffixes else ","
        yield from csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    elif ".json" in path.suffixes:
        yield from _objects(_parsed(text))
    else:
        yield from filter(None, map(_parsed, _lines(text)))


def _lines(text: str) -> list[str]:
    """With their ends. Only a line feed ends a line: JSON may hold U+2028 and the like as they are."""
    return list(io.StringIO(text, newline="\n"))


def _objects(data: Any) -> Iterator[dict[str, Any]]:
    if isinstance(data, dict):
        yield data
    for part in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from _objects(part)


def _said(row: Any) -> Iterator[str]:
    """The customer's own words in a row: of a message only where it is the user's."""
    if isinstance(row, dict):
        if row.get("role") not in {"assistant", "system"}:
            for key, value in row.items():
                if key in _SAID and isinstance(value, str):
                    yield value
                elif isinstance(value, dict | list):
                    yield from _said(value)
    elif isinstance(row, list):
        for part in row:
            yield from _said(part)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read(path: Path) -> str | None:
    """A text file's content without its byte order mark; None where it is none (its bytes are still searched)."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (UnicodeDecodeError, FileNotFoundError):
        return None


def _replace(path: Path, text: str) -> None:
    """In one step, durably, with the mode and the byte order mark it had: Excel needs that."""
    marked = path.read_bytes().startswith(codecs.BOM_UTF8)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(text.encode("utf-8-sig" if marked else "utf-8"))
        file.flush()
        os.fsync(file.fileno())
    part.chmod(path.stat().st_mode & 0o777)
    part.replace(path)
