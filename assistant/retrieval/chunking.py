"""Documents to passages: spans that are found, shown and quoted. Pure.

A passage never crosses a heading, a page (unless its paragraph goes on) or a row of a table. It is filled
with whole paragraphs up to the limit; only what is longer is cut, at sentences, then at spaces, then anywhere.
A row is a passage alone, the first of a sheet like the others: a title above rows is in the path of each.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from assistant import language
from assistant.types import Document, Heading, Passage

_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_PARAGRAPH = re.compile(r"\S(?:[^\n]|\n(?!\s*\n))*")
_LABEL_CHARS = 120


def weight(text: str) -> int:
    """The length of a text in characters of English: a Chinese character says as much as three.

    >>> weight("tent"), weight("帐篷")
    (4, 6)
    """
    return len(text) + 2 * len(_WIDE.findall(text))


def split(document: Document, passage_chars: int) -> list[Passage]:
    """The passages of a document, in order, covering all that is not white space but the titles of rows.

    Args:
        document: `document.text[p.start:p.end] == p.text` holds for each passage `p` of the result.
        passage_chars: the most that a passage weighs (see `weight`).
    """
    equals: Counter[str] = Counter()
    return [_passage(document, span, equals) for span in _spans(document, passage_chars)]


def cuts(document: Document, passage_chars: int) -> list[tuple[int, int]]:
    """Where `split` would cut: the (start, end) of each passage, without the cost of making it."""
    return [(span.start, span.end) for span in _spans(document, passage_chars)]


def _spans(document: Document, passage_chars: int) -> list[_Span]:
    cutter = _Cutter(document.text, passage_chars)
    before = 0
    for start, end in document.rows:
        between = document.text[before:start].split()
        if between and not " ".join(_path(document.headings, start)).endswith(" ".join(between)):
            cutter.prose(_blocks(document, before, start))
        cutter.row(start, end)
        before = end
    cutter.prose(_blocks(document, before, len(document.text)))
    return cutter.spans


@dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph or a heading's line; `cut` says that no passage goes on from before it."""

    start: int
    end: int
    heading: bool
    cut: bool


def _blocks(document: Document, first: int, last: int) -> Iterator[_Block]:
    """Paragraphs of a part by blank lines; a heading's line is a block of its own. No white space at either end."""
    text, pages = document.text, set(document.pages)
    marks = sorted({heading.start for heading in document.headings})
    for found in _PARAGRAPH.finditer(text, first, last):
        at, end = found.span()
        inside = marks[bisect_left(marks, at) : bisect_left(marks, end)]
        while at < end:
            heading = bool(inside) and inside[0] == at
            if heading:
                inside = inside[1:]
            stop = inside[0] if inside else end
            if heading and (line := text.find("\n", at, stop)) >= 0:
                stop = line
            start, finish = _trim(text, at, stop)
            if start < finish:
                yield _Block(start, finish, heading, heading or start in pages)
            at = stop


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return start + left, start + max(left, len(piece.rstrip()))


@dataclass(frozen=True, slots=True)
class _Span:
    """A passage to be: `body` is where its text begins behind its headings; `part_of` the row's first line."""

    start: int
    end: int
    body: int
    part_of: str = ""


class _Cutter:
    """Collects spans: `_open` is the passage being filled, `_body` where it has more than headings."""

    def __init__(self, text: str, limit: int) -> None:
        self._text = text
        self._limit = limit
        self._open: tuple[int, int] | None = None
        self._body: int | None = None
        self.spans: list[_Span] = []

    def prose(self, blocks: Iterator[_Block]) -> None:
        """Fills passages with whole blocks, as many as fit."""
        for block in blocks:
            if block.cut and self._body is not None:
                self._flush()
            if block.heading:
                self._head(block.start, block.end)
            else:
                self._add(block.start, block.end)
        self._flush()

    def row(self, start: int, end: int) -> None:
        """A row of a table is a passage; the parts of a long one carry its first line."""
        count = len(self.spans)
        self._add(start, end)
        self._flush()
        parts = self.spans[count:]
        if len(parts) > 1:
            line = self._text[start:end].partition("\n")[0][:_LABEL_CHARS]
            self.spans[count + 1 :] = [dataclasses.replace(part, part_of=line) for part in parts[1:]]

    def _head(self, start: int, end: int) -> None:
        """Opens a passage with a heading, or adds it to the headings that wait for their text."""
        if self._open is not None and self._fits(self._open[0], end, self._limit // 2):
            self._open = (self._open[0], end)
            return
        self._flush()
        if self._fits(start, end, self._limit // 2):
            self._open = (start, end)
        else:
            self._add(start, end)
            self._flush()

    def _add(self, start: int, end: int) -> None:
        """Adds a paragraph to the open passage; opens the next where it does not fit, cuts it where it must."""
        if self._extend(start, end):
            return
        if self._body is not None:
            self._flush()
            if self._extend(start, end):
                return
        for left, right in language.sentences(self._text[start:end]):
            first, last = start + left, start + right
            if self._extend(first, last):
                continue
            if self._body is not None or self._fits(first, last, self._limit):
                self._flush()
            while not self._extend(first, last):
                cut = self._cut(first, last)
                self._extend(*_trim(self._text, first, cut))
                self._flush()
                first = _trim(self._text, cut, last)[0]

    def _extend(self, start: int, end: int) -> bool:
        begin = self._open[0] if self._open else start
        if not self._fits(begin, end, self._limit):
            return False
        self._open = (begin, end)
        self._body = start if self._body is None else self._body
        return True

    def _cut(self, start: int, end: int) -> int:
        """Where to cut a sentence that is too long: at a space in the second half of what fits, else there."""
        budget = self._limit - (weight(self._text[self._open[0] : start]) if self._open else 0)
        stop, used = start, 0
        while stop < end and (used := used + weight(self._text[stop])) <= budget:
            stop += 1
        spaces = [found.start() for found in re.finditer(r"\s", self._text[start:stop])]
        if spaces and spaces[-1] > (stop - start) // 2:
            return start + spaces[-1]
        while stop > start + 1 and unicodedata.combining(self._text[stop]):
            stop -= 1
        return stop

    def _fits(self, start: int, end: int, limit: int) -> bool:
        return end - start <= limit and weight(self._text[start:end]) <= limit

    def _flush(self) -> None:
        if self._open is not None:
            start, end = self._open
            self.spans.append(_Span(start, end, start if self._body is None else self._body))
        self._open, self._body = None, None


def _passage(document: Document, span: _Span, equals: Counter[str]) -> Passage:
    """A passage, whose id lasts while its text does, whatever else in its document changes. `equals` counts by text."""
    text = document.text[span.start : span.end]
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    equals[sha256] += 1
    key = "\x00".join((document.tenant, document.collection, document.name, sha256, str(equals[sha256])))
    path = _path(document.headings, span.body)
    return Passage(
        id=hashlib.sha256(key.encode()).hexdigest()[:16],
        document_id=document.id,
        document=document.name,
        tenant=document.tenant,
        collection=document.collection,
        text=text,
        start=span.start,
        end=span.end,
        sha256=sha256,
        page=bisect_right(document.pages, span.body) if document.pages else None,
        headings=(*path, span.part_of) if span.part_of else path,
        language=language.detect(text, default=document.language or "en"),
    )


def _path(headings: tuple[Heading, ...], at: int) -> tuple[str, ...]:
    """The headings in force at an offset, the topmost first."""
    path: list[Heading] = []
    for heading in headings[: bisect_right(headings, at, key=lambda heading: heading.start)]:
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
    return tuple(heading.text for heading in path)
