"""DOCX (python-docx) and XLSX (openpyxl), both zip archives of XML: guarded against bombs before they open."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from assistant.retrieval.formats.layout import Draft, Parsed, Refused
from assistant.retrieval.formats.tables import add_records

if TYPE_CHECKING:
    from docx.table import Table
    from docx.text.paragraph import Paragraph

MAX_UNPACKED = 300 * 2**20
MAX_RATIO = 200
MAX_MEMBERS = 10_000
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_WRAPPERS = [_W + name for name in "sdt sdtContent ins moveTo fldSimple smartTag customXml".split()]
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell ref=["']([A-Z]{1,3})(\d{1,7}):[A-Z]{1,3}(\d{1,7})["']""")
_LITERAL = r'((?:"[^"]*"|\\.|[ $€£¥])*)'
_FORMAT = re.compile(rf"{_LITERAL}(?=[#0])[#,]*(0*)(?:\.0+)?{_LITERAL}")
_DAMAGED = "It is damaged or cut short, and cannot be opened. Save it again and retry."

# What zipfile, zlib, lxml (XMLSyntaxError is a SyntaxError) and the readers raise on damaged members.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    SyntaxError,
    KeyError,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
)


def check_archive(data: bytes) -> list[str]:
    """The names of the members of an office file.

    Raises:
        Refused: damaged, encrypted, or it unpacks to far more than its size.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except _BROKEN as error:
        raise Refused(_DAMAGED) from error
    if any(member.flag_bits & 1 for member in members):
        raise Refused("It is encrypted. Save it without a password.")
    unpacked = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or unpacked > MAX_UNPACKED or (unpacked > 2**23 and unpacked > MAX_RATIO * len(data)):
        raise Refused(f"It unpacks to {unpacked // 2**20} MB from {len(data) / 2**20:.1f} MB: refused as a zip bomb.")
    return [member.filename for member in members]


def read_docx(data: bytes, *, name: str, max_bytes: int) -> Parsed:
    """A Word file: headings by style, lists with "- ", tables row by row, all in reading order."""
    import docx
    from docx.table import Table

    check_archive(data)
    draft = Draft(max_bytes)
    try:
        document = docx.Document(io.BytesIO(data))
        _unwrap(document.element.body)
        items: list[str] = []
        for block in document.iter_inner_content():
            if isinstance(block, Table):
                draft.block("\n".join(items))
                items.clear()
                _add_table(draft, block)
            else:
                _add_paragraph(draft, block, items)
        draft.block("\n".join(items))
    except _BROKEN as error:
        raise Refused(_DAMAGED) from error
    return draft.finish("docx")


def _unwrap(body: Any) -> None:
    """Puts what stands in content controls, tracked insertions and fields where they are: python-docx skips those.

    A control's placeholder and a table of contents are no text of the document: they go.
    """
    for wrapper in list(body.iter(*_WRAPPERS)):
        gallery = wrapper.find(f"{_W}sdtPr/{_W}docPartObj/{_W}docPartGallery")
        contents = gallery is not None and gallery.get(f"{_W}val") == "Table of Contents"
        if not contents and wrapper.find(f"{_W}sdtPr/{_W}showingPlcHdr") is None:
            for child in list(wrapper):
                wrapper.addprevious(child)
        wrapper.getparent().remove(wrapper)


def _add_paragraph(draft: Draft, paragraph: Paragraph, items: list[str]) -> None:
    style = (paragraph.style.name or "").lower() if paragraph.style is not None else ""
    text = paragraph.text.strip()
    if not text:
        return
    numbered = paragraph._p.pPr is not None and paragraph._p.pPr.numPr is not None
    level = _heading_level(style)
    if not level and (numbered or style.startswith("list")):
        items.append("- " + text)
        return
    draft.block("\n".join(items))
    items.clear()
    if level:
        draft.heading(level, text)
    else:
        draft.block(text)


def _heading_level(style: str) -> int:
    """The level a paragraph style stands for ("Heading 2", "标题 2", "Title"), 0 for body text."""
    if style in {"title", "标题"}:
        return 1
    found = re.fullmatch(r"(?:heading|überschrift|titre|título|标题)\s*(\d)", style)
    return int(found[1]) if found else 0


def _add_table(draft: Draft, table: Table) -> None:
    """A Word table; a merged cell is read once a row. Its first row names the columns where it looks so.

    The tables in its cells follow it.
    """
    rows: list[list[str]] = []
    inner: dict[Any, Table] = {}
    for row in table.rows:
        seen: list[Any] = []
        cells: list[str] = []
        for cell in row.cells:
            if cell._tc not in seen:
                seen.append(cell._tc)
                cells.append(cell.text)
                inner.update((table._tbl, table) for table in cell.tables)
        rows.append(cells)
    header = bool(rows) and len(rows[0]) > 1 and all(cell.strip() and len(cell) <= 60 for cell in rows[0])
    draft.table(rows, header=header and not any(char.isdigit() for cell in rows[0] for char in cell))
    for table in inner.values():
        _add_table(draft, table)


def read_xlsx(data: bytes, *, name: str, max_bytes: int) -> Parsed:
    """A workbook: each row of each visible sheet is a record, under the sheet's name where there are several."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    check_archive(data)
    draft = Draft(max_bytes)
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        for sheet in sheets:
            sheet.reset_dimensions()  # the size that a file declares may be wrong
            rows = _rows(sheet)
            first = next(rows, None)
            if first is None:
                continue
            if len(sheets) > 1:
                draft.heading(1, sheet.title)
            add_records(draft, _chain(first, rows))
    except (InvalidFileException, *_BROKEN) as error:
        raise Refused(_DAMAGED) from error
    return draft.finish("xlsx")


def _chain(first: list[str], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rest


def _rows(sheet: Any) -> Iterator[list[str]]:
    """The rows that hold anything, cells as the sheet shows them; one merged over rows is in each of them."""
    merged = _merged(sheet)
    held: dict[int, tuple[int, str]] = {}  # column -> the last row of the merged cell there, and its text
    for number, row in enumerate(sheet.iter_rows(), start=1):
        cells = [show(cell.value, cell.number_format if cell.value is not None else "") for cell in row]
        for column, last in merged.get(number, ()):
            if column < len(cells):
                held[column] = (last, cells[column])
        for column, (last, text) in held.items() if any(cells) else ():
            if number <= last:
                cells += [""] * (column + 1 - len(cells))
                cells[column] = cells[column] or text
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield cells


def _merged(sheet: Any) -> dict[int, list[tuple[int, int]]]:
    """row -> (column from 0, last row) of the cells merged over rows; openpyxl does not say when it streams."""
    from openpyxl.utils import column_index_from_string

    found: dict[int, list[tuple[int, int]]] = {}
    rest = b""
    with sheet._get_source() as source:
        while piece := source.read(2**20):
            rest += piece
            for column, first, last in _MERGED.findall(rest):
                if int(first) < int(last):
                    found.setdefault(int(first), []).append((column_index_from_string(column.decode()) - 1, int(last)))
            rest = rest[-100:]  # more than the beginning of an element that goes on in the next piece
    return found


def show(value: object, number_format: str = "") -> str:
    """A cell as it is shown: 249.0 with the format 0.00 is "249.00", midnight is not written.

    Thousands are not set apart.

    >>> show(249.0, "0.00"), show(0.2, "0%"), show(3.0), show(42, "00000"), show(5, '0.00 "€"')
    ('249.00', '20%', '3', '00042', '5.00 €')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, int | float):
        places = re.search(r"0\.(0+)", number_format)
        digits = len(places[1]) if places else 0
        if number_format.rstrip().endswith("%"):
            return f"{value * 100:.{digits}f}%"
        if places:
            return _dressed(f"{value:.{digits}f}", number_format)
        whole = float(value).is_integer() and abs(value) < 1e15
        return _dressed(str(int(value)) if whole else repr(value), number_format)
    return str(value)


def _dressed(number: str, number_format: str) -> str:
    """A number with the zeros in front and the words and currency signs that its format writes."""
    plain = re.sub(r"\[\$([^\]-]*)[^\]]*\]", r'"\1"', number_format.split(";")[0])
    found = _FORMAT.fullmatch(re.sub(r"\[[^\]]*\]|_.|\*.", "", plain).strip())
    if not found:
        return number
    before, zeros, after = found.groups()
    before, after = (re.sub(r'"|\\(?=.)', "", part) for part in (before, after))
    number = number.zfill(len(zeros) + number.startswith("-")) if "." not in number else number
    return f"-{before}{number[1:]}{after}" if number.startswith("-") else f"{before}{number}{after}"
