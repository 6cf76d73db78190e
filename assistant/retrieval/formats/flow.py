"""Lines on pages to paragraphs, headings and rows: what a PDF does not say and a reader sees.

Paragraphs end at a larger gap, an indent, a bullet or a short last line; headings are larger or bolder than
the text; lines with cells side by side are rows. Reading order is the file's. Used by `pdf.py`.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass

from assistant.retrieval.formats.layout import MAX_HEADING_CHARS, Draft, clean
from assistant.retrieval.formats.plain import heading_level

CJK = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_BULLET = re.compile(r"^(?:[•●▪■◦‣·*\u2013\u2014-]|[\ue000-\uf8ff]|\x7f)\s+(?=\S)|^[•●▪■◦‣\ue000-\uf8ff\x7f](?=\S)")
_ITEM = re.compile(r"^(?:\(?\d{1,3}[.)]|\(?[a-z]\)|[（(]?[一二三四五六七八九十]+[)）、])\s*\S")
_HYPHEN = re.compile(r"([^\W\d_]+)-$")
_SENTENCE_END = tuple(".!?。！？:：;；")


@dataclass(slots=True)
class Line:
    """A line of a page: its cells from left to right; `y` grows upwards, in points. `margin`: outside the body."""

    cells: list[str]
    x: float
    y: float
    size: float
    bold: bool
    right: float
    page: int
    margin: bool
    closed: bool = False

    @property
    def text(self) -> str:
        """The whole line, cells apart by a space."""
        return " ".join(" ".join(self.cells).split())


@dataclass(slots=True)
class _Style:
    """The document's habits: body size and weight, distance of lines, right edge, heading sizes, its words."""

    size: float
    bold: bool
    leading: float
    right: float
    levels: dict[tuple[float, bool], int]
    words: frozenset[str]


def _style(lines: list[Line]) -> _Style:
    weight: Counter[tuple[float, bool]] = Counter()
    gaps: Counter[float] = Counter()
    for line in lines:
        weight[line.size, line.bold] += len(line.text)
    size, bold = weight.most_common(1)[0][0]
    for above, below in itertools.pairwise(lines):
        if above.page == below.page and 0 < above.y - below.y < 4 * size and above.size == below.size == size:
            gaps[round((above.y - below.y) / size, 1)] += 1
    # The smallest distance that is common is the one inside paragraphs.
    common = [gap for gap, count in gaps.items() if count >= max(gaps.values()) / 5]
    leading = min(common, default=1.2)
    larger = sorted((style for style in weight if style[0] > 1.12 * size), reverse=True)[:6]
    if not bold:
        larger += [style for style in weight if style[1] and 0.95 * size <= style[0] <= 1.12 * size]
    sizes = sorted({style[0] for style in larger}, reverse=True)
    levels = {style: min(6, sizes.index(style[0]) + 1) for style in larger}
    edges = sorted(line.right for line in lines if line.size == size)
    return _Style(size, bold, leading, edges[len(edges) * 9 // 10], levels, _words(lines))


def _words(lines: list[Line]) -> frozenset[str]:
    """The document's whole words: not the halves of those divided at a line's end."""
    words: set[str] = set()
    divided = False
    for line in lines:
        found = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", line.text.lower())
        ends = bool(_HYPHEN.search(line.text))
        words.update(found[int(divided) : len(found) - int(ends)])
        divided = ends
    return frozenset(words)


@dataclass(slots=True)
class _Block:
    """Lines that belong together; `level` 0 is a paragraph, above it a heading, -1 a table."""

    lines: list[Line]
    level: int = 0


def compose(draft: Draft, pages: list[list[Line]]) -> None:
    """Lines to blocks: headings, paragraphs (which may go on over a page's end), rows of tables."""
    style = _style([line for page in pages for line in page])
    started = 0
    for block in _blocks(pages, style):
        first = block.lines[0].page
        for _ in range(started, first + 1):
            draft.page()
        started = max(started, first + 1)
        if block.level > 0:
            draft.heading(block.level, " ".join(line.text for line in block.lines))
        elif block.level < 0:
            names, *rest = block.lines
            header = names.bold and bool(rest) and not any(line.bold for line in rest)
            draft.table([line.cells for line in block.lines], header=header)
        else:
            text, offsets = _join(block.lines, style)
            start = draft.block(text)
            for line, offset in zip(block.lines, offsets, strict=True):
                if line.page >= started:
                    for _ in range(started, line.page + 1):
                        draft.page_inside(start + offset)
                    started = line.page + 1
    for _ in range(started, len(pages)):
        draft.page()


def _blocks(pages: list[list[Line]], style: _Style) -> list[_Block]:
    blocks: list[_Block] = []
    for page in pages:
        at = 0
        while at < len(page):
            line = page[at]
            end, level = _table_end(page, at), _level(line, style)
            if end > at:
                blocks.append(_Block(page[at:end], -1))
            elif level:
                end = at + 1
                while end < len(page) and _same_heading(page[end - 1], page[end], style):
                    end += 1
                blocks.append(_Block(page[at:end], level))
            else:
                end = at + 1
                last = blocks[-1] if blocks and not blocks[-1].level else None
                if last and not _breaks(last.lines, line, style):
                    last.lines.append(line)
                else:
                    blocks.append(_Block([line]))
            at = end
    return blocks


def _table_end(page: list[Line], at: int) -> int:
    """Where a run of lines with cells ends; `at` itself where no table starts there."""
    end = at
    while end < len(page) and len(page[end].cells) > 1:
        end += 1
    return end if end > at + 1 or (end > at and len(page[at].cells) > 2) else at


def _level(line: Line, style: _Style) -> int:
    """The level of a heading line, 0 for body text."""
    text = line.text
    if len(text) > MAX_HEADING_CHARS or not any(char.isalpha() for char in text) or len(line.cells) > 1:
        return 0
    larger = line.size > 1.12 * style.size
    titled = larger or not text.endswith((".", ";", ",", "。", "；", "，"))
    level = style.levels.get((line.size, line.bold), 0)
    if titled and level and not _BULLET.match(text):
        return level
    if re.match(r"\d+\.\d|第.+[章节条]", text) and not style.levels:
        return heading_level(text)
    return 0


def _same_heading(above: Line, below: Line, style: _Style) -> bool:
    """Whether a heading goes on in the next line."""
    alike = above.size == below.size and above.bold == below.bold and _level(below, style) > 0
    return alike and 0 < above.y - below.y < 1.6 * above.size and not _ITEM.match(below.text)


def _breaks(lines: list[Line], line: Line, style: _Style) -> bool:
    """Whether a paragraph ends before `line`."""
    last = lines[-1]
    if _BULLET.match(line.text) or len(line.cells) > 1 or abs(last.size - line.size) > 0.15 * style.size:
        return True
    ended = last.text.endswith(_SENTENCE_END)
    if last.page != line.page or line.y > last.y:  # a new page or column
        return ended or line.text[:1].isupper()
    if _ITEM.match(line.text) and (ended or _ITEM.match(lines[0].text)):
        return True
    if last.y - line.y > (style.leading + 0.25) * style.size:
        return True
    indented = line.x > last.x + 0.8 * line.size and len(lines) > 1
    return ended and (indented or last.right < last.x + 0.75 * (style.right - last.x))


def _join(lines: list[Line], style: _Style) -> tuple[str, list[int]]:
    """The lines as one paragraph, and where in it each line starts."""
    text, offsets = "", []
    for line in lines:
        piece = clean(line.text).strip()
        if not text and (bullet := _BULLET.match(line.text)):
            piece = "- " + clean(line.text[bullet.end() :]).strip()
        text = _glue(text, piece, style.words)
        offsets.append(len(text) - len(piece))
    return text, offsets


def _glue(text: str, piece: str, words: frozenset[str]) -> str:
    """`text` going on with the next line: a divided word is made whole, Chinese needs no space."""
    if not text or not piece:
        return text + piece
    hyphen = _HYPHEN.search(text)
    follows = re.match(r"[^\W\d_]+", piece)
    if hyphen and follows and piece[0].islower():
        left, right = hyphen[1].lower(), follows[0].lower()
        compound = f"{left}-{right}" in words or (left in words and right in words and left + right not in words)
        return text + piece if compound else text[:-1] + piece
    if CJK.match(text[-1]) and CJK.match(piece[0]):
        return text + piece
    return f"{text} {piece}"
