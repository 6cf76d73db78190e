"""PDF by pypdf: text pieces to lines, by where they stand on the page; `flow.py` makes paragraphs of them.

Headers and footers that repeat on most pages are dropped. No OCR: a scanned file is refused.
"""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from assistant.retrieval.formats.flow import CJK, Line, compose
from assistant.retrieval.formats.layout import Draft, Parsed, Refused

if TYPE_CHECKING:
    from pypdf import Configuration, PageObject, PdfReader

MAX_STREAM = 24 * 2**20
# What pypdf raises on damaged objects beside its own errors.
_BROKEN = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    NotImplementedError,
    OSError,
)


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
    compose(draft, pages)
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
    except (PyPdfError, *_BROKEN) as error:
        raise Refused("It is damaged or cut short, and cannot be opened. Save it again and retry.") from error
    return reader


def _pages(reader: PdfReader, draft: Draft, max_bytes: int) -> Iterator[list[Line]]:
    """The lines of each page; a page that cannot be read is noted and empty."""
    from pypdf.errors import LimitReachedError, PyPdfError

    broken: list[int] = []
    size = 0
    for number, page in enumerate(reader.pages):
        lines: list[Line] = []
        try:
            lines = _lines(page, number)
        except (LimitReachedError, MemoryError):
            raise
        except (PyPdfError, *_BROKEN):
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


def _lines(page: PageObject, number: int) -> list[Line]:
    """Text pieces in drawing order, put together to lines by their height on the page."""
    lines: list[Line] = []
    foot, head = (float(page.mediabox.bottom + share * page.mediabox.height) for share in (0.1, 0.9))

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
            _place(lines, Line([piece], x, y, height, bold, x + _width(piece) * height, number, not foot < y < head))
        _close(lines[-1], text if text.endswith("\n") else "")

    page.extract_text(visitor_text=visit)
    return lines


def _close(line: Line, text: str) -> None:
    if "\n" in text:
        line.closed = True
    elif text:
        line.cells[-1] += text


def _place(lines: list[Line], piece: Line) -> None:
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
    wide = len(CJK.findall(text))
    return wide + 0.5 * (len(text) - wide)


def _drop_running_lines(pages: list[list[Line]]) -> None:
    """Removes lines in the margins that repeat, but for their numbers, on more than half of the pages."""
    if len(pages) < 3:
        return

    def mask(line: Line) -> str:
        return re.sub(r"\d+", "#", line.text)

    seen = Counter(key for page in pages for key in {mask(line) for line in page if line.margin})
    often = {key for key, count in seen.items() if count > max(2, len(pages) // 2)}
    for page in pages:
        page[:] = [line for line in page if not line.margin or mask(line) not in often]
