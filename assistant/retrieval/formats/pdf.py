"""PDF by pypdf: lines from where the text stands, paragraphs from the gaps, headings from size and weight.

A PDF holds no paragraphs, so they are inferred: a larger gap, an indent, a bullet or a short last line ends
one. Headers and footers that repeat on most pages are dropped. No OCR: a scanned file is refused.
"""

from __future__ import annotations

import io
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assistant.retrieval.formats.layout import MAX_HEADING_CHARS, Draft, Parsed, Refused, clean
from assistant.retrieval.formats.plain import heading_level

if TYPE_CHECKING:
    from pypdf import Configuration, PageObject, PdfReader

MAX_STREAM = 24 * 2**20
_CJK = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_BULLET = re.compile(r"^(?:[•●▪■◦‣·*\u2013\u2014-]|[\ue000-\uf8ff]|\x7f)\s+(?=\S)|^[•●▪■◦‣\ue000-\uf8ff\x7f](?=\S)")
_ITEM = re.compile(r"^(?:\(?\d{1,3}[.)]|\(?[a-z]\)|[（(]?[一二三四五六七八九十]+[)）、])\s*\S")
_HYPHEN = re.compile(r"([^\W\d_]+)-$")
_SENTENCE_END = tuple(".!?。！？:：;；")


@dataclass(slots=True)
class _Line:
    """A line of a page: its cells from left to right; `y` grows upwards, in points."""

    cells: list[str]
    x: float
    y: float
    size: float
    bold: bool
    right: float
    page: int
    closed: bool = False

    @property
    def text(self) -> str:
        return " ".join(cell.strip() for cell in self.cells).strip()


def read(data: bytes, *, name: str, max_bytes: int) -> Parsed:
    """The text of a PDF with the offset of every page.

    Raises:
        Refused: damaged, locked by a password, a bomb, or without any text (scanned).
    """
    from pypdf import apply_configuration
    from pypdf.errors import LimitReachedError

    draft = Draft(max_bytes)
    try:
        with apply_configuration(_limits()):
            reader = _open(data)
            pages = list(_pages(reader, draft, max_bytes))
    except LimitReachedError as error:
        raise Refused(
            f"A part of it unpacks to more than {MAX_STREAM // 2**20} MB, or nests too deep: refused as a bomb."
        ) from error
    _drop_running_lines(pages)
    if not any(line.text for page in pages for line in page):
        raise Refused("It has no text: it looks scanned. Run text recognition (OCR) on it first.")
    _compose(draft, pages)
    return draft.finish("pdf")


def _limits() -> Configuration:
    """pypdf's limits, lowered: text needs no large streams."""
    from pypdf import Configuration

    return Configuration(
        zlib_maximum_output_length=MAX_STREAM,
        lzw_maximum_output_length=MAX_STREAM,
        run_length_maximum_output_length=MAX_STREAM,
        brotli_maximum_output_length=MAX_STREAM,
        array_based_stream_maximum_output_length=MAX_STREAM,
        disable_legacy_handling=True,
    )


def _open(data: bytes) -> PdfReader:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, LimitReachedError, PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Refused("It is encrypted. Save it without a password.")
        if not len(reader.pages):
            raise Refused("It has no pages: it is damaged or cut short.")
    except LimitReachedError:
        raise
    except DependencyError as error:
        raise Refused("It is encrypted in a way that cannot be read here. Save it without a password.") from error
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OSError) as error:
        raise Refused("It is damaged or cut short, and cannot be opened. Save it again and retry.") from error
    return reader


def _pages(reader: PdfReader, draft: Draft, max_bytes: int) -> Iterator[list[_Line]]:
    """The lines of each page; a page that cannot be read is noted and empty."""
    from pypdf.errors import LimitReachedError, PyPdfError

    broken: list[int] = []
    size = 0
    for number, page in enumerate(reader.pages):
        lines: list[_Line] = []
        try:
            lines = _lines(page, number)
        except (LimitReachedError, MemoryError):
            raise
        except (
            PyPdfError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            IndexError,
            RecursionError,
            ArithmeticError,
        ):
            broken.append(number + 1)
        size += sum(len(line.text) for line in lines)
        if size > max_bytes:
            raise Refused(f"It holds more than {max_bytes // 2**20} MB of text. Split it into smaller files.")
        yield lines
    if broken:
        if len(broken) == len(reader.pages):
            raise Refused("None of its pages can be read: it is damaged. Save it again and retry.")
        named = ", ".join(map(str, broken[:10])) + (" ..." if len(broken) > 10 else "")
        draft.notes.append(f"{len(broken)} of {len(reader.pages)} pages are damaged and were left out: {named}.")


def _lines(page: PageObject, number: int) -> list[_Line]:
    """Text pieces in drawing order, put together to lines by their height on the page."""
    lines: list[_Line] = []

    def visit(text: str, cm: Sequence[float], tm: Sequence[float], font: Any, size: float) -> None:
        if not text.strip():
            if lines and text:
                _close(lines[-1], text)
            return
        x = tm[4] * cm[0] + tm[5] * cm[2] + cm[4]
        y = tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
        scale = math.hypot(tm[0] * cm[0] + tm[1] * cm[2], tm[0] * cm[1] + tm[1] * cm[3])
        height = round(abs(size * scale), 1) or 1.0
        bold = "bold" in str((font or {}).get("/BaseFont", "")).lower()
        for piece in text.rstrip("\n").split("\n"):
            _place(lines, _Line([piece], x, y, height, bold, x + _width(piece) * height, number))
        _close(lines[-1], text if text.endswith("\n") else "")

    page.extract_text(visitor_text=visit)
    return lines


def _close(line: _Line, text: str) -> None:
    if "\n" in text:
        line.closed = True
    elif text:
        line.cells[-1] += text


def _place(lines: list[_Line], piece: _Line) -> None:
    """Adds a piece to the last line if it stands beside it, else begins a line."""
    last = lines[-1] if lines else None
    if last is None or abs(last.y - piece.y) > 0.4 * max(last.size, piece.size) or piece.x < last.x:
        lines.append(piece)
        return
    gap = piece.x - last.right
    width = last.right - last.x
    if gap > 1.5 * piece.size + 0.12 * width:
        last.cells.append(piece.cells[0])
    else:
        space = " " if last.closed and not last.cells[-1].endswith(" ") and gap > 0 else ""
        last.cells[-1] += space + piece.cells[0]
    last.bold = last.bold and piece.bold
    last.size = max(last.size, piece.size) if len(piece.text) > 1 else last.size
    last.right, last.closed = max(piece.right, last.right), False


def _width(text: str) -> float:
    """About how wide a text is, in units of its size."""
    wide = len(_CJK.findall(text))
    return wide + 0.5 * (len(text) - wide)


def _drop_running_lines(pages: list[list[_Line]]) -> None:
    """Removes first and last lines that repeat, but for their numbers, on more than half of the pages."""
    if len(pages) < 3:
        return

    def mask(line: _Line) -> str:
        return re.sub(r"\d+", "#", line.text)

    for end in (max, min):
        seen: Counter[str] = Counter()
        edge = [end(page, key=lambda line: line.y) if page else None for page in pages]
        seen.update(mask(line) for line in edge if line)
        for page, line in zip(pages, edge, strict=True):
            if line and seen[mask(line)] > max(2, len(pages) // 2):
                page.remove(line)


@dataclass(slots=True)
class _Style:
    """The document's habits: body size and weight, usual distance of lines, heading sizes, its words."""

    size: float
    bold: bool
    leading: float
    levels: dict[tuple[float, bool], int]
    words: frozenset[str]


def _style(lines: list[_Line]) -> _Style:
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
    words = frozenset(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", " ".join(line.text for line in lines).lower()))
    return _Style(size, bold, leading, levels, words)


@dataclass(slots=True)
class _Block:
    """Lines that belong together; `level` 0 is a paragraph, above it a heading, -1 a table."""

    lines: list[_Line]
    level: int = 0


def _compose(draft: Draft, pages: list[list[_Line]]) -> None:
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


def _blocks(pages: list[list[_Line]], style: _Style) -> list[_Block]:
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


def _table_end(page: list[_Line], at: int) -> int:
    """Where a run of lines with cells ends; `at` itself where no table starts there."""
    end = at
    while end < len(page) and len(page[end].cells) > 1:
        end += 1
    return end if end > at + 1 or (end > at and len(page[at].cells) > 2) else at


def _level(line: _Line, style: _Style) -> int:
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


def _same_heading(above: _Line, below: _Line, style: _Style) -> bool:
    """Whether a heading goes on in the next line."""
    alike = above.size == below.size and above.bold == below.bold and _level(below, style) > 0
    return alike and 0 < above.y - below.y < 1.6 * above.size and not _ITEM.match(below.text)


def _breaks(lines: list[_Line], line: _Line, style: _Style) -> bool:
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
    widest = max(above.right - above.x for above in lines)
    indented = line.x > last.x + 0.8 * line.size and len(lines) > 1
    short = ended and len(lines) > 1 and last.right - last.x < 0.75 * widest
    return (indented and ended) or short


def _join(lines: list[_Line], style: _Style) -> tuple[str, list[int]]:
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
    if _CJK.match(text[-1]) and _CJK.match(piece[0]):
        return text + piece
    return f"{text} {piece}"
