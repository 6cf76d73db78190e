"""Tables of records: CSV here, and what a sheet of any kind becomes. A row is a FAQ or a product."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from assistant.retrieval.formats.layout import Draft, Parsed, Refused, clean, is_draft, one_line, record
from assistant.retrieval.formats.plain import decode

MAX_COLUMNS = 500
LOOKED_AT = 8
"""Rows at the top of a table that show where its header is."""
_SAID = re.compile(r'"?sep=([,;\t|])"?\r?\n', re.I)
"""The line in which Excel names the delimiter."""
_ENDS = (".", "!", "?", ":", ";", "。", "！", "？", "：", "；")
_NUMBER = re.compile(r"[\d\s.,:/%€$£¥+-]+")


def read(data: bytes, *, name: str, max_bytes: int) -> Parsed:
    """A CSV or TSV file; the delimiter is found by looking."""
    text = decode(data)
    if not text.strip():
        raise Refused("The file is empty.")
    csv.field_size_limit(max(max_bytes, 131_072))
    said = _SAID.match(text)
    text = text[said.end() :] if said else text
    delimiter = said[1] if said else _delimiter(text, tab=name.lower().endswith(".tsv"))
    draft = Draft(max_bytes)
    try:
        add_records(draft, csv.reader(io.StringIO(text.replace("\x00", ""), newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise Refused(f"It is not a table: {error}.") from error
    return draft.finish("csv")


def add_records(draft: Draft, rows: Iterable[Sequence[str]]) -> None:
    """Appends each row of a table as a record; the first row names the columns where it can.

    A line above is the heading of all rows, further ones ("All prices with tax") and a sentence are text.
    """
    cleaned = _cleaned(rows)
    top = list(itertools.islice(cleaned, LOOKED_AT))
    titles = _titles(top)
    for place, line in enumerate("".join(cells) for cells in top[:titles]):
        if place or line.endswith(_ENDS):
            draft.block(line)
        else:
            draft.heading(2, line)  # below the sheet's name
    top = top[titles:]
    names: list[str] = []
    if top and _is_header(top[0], top[1:]):
        names = _unique([one_line(cell) for cell in top.pop(0)])
    drafts = 0
    for cells in itertools.chain(top, cleaned):
        if names and is_draft(dict(zip(names, cells, strict=False))):
            drafts += 1
        else:
            draft.row(_row_text(names, cells))
    if drafts:
        draft.notes.append(f"Left out were its rows that are drafts: {drafts}.")


def _cleaned(rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """The rows that hold anything. Raises Refused for one of too many columns."""
    for raw in rows:
        if len(raw) > MAX_COLUMNS:
            raise Refused(f"It has more than {MAX_COLUMNS} columns.")
        cells = [clean(cell).strip() for cell in raw]
        if any(cells):
            yield cells


def _titles(top: Sequence[list[str]]) -> int:
    """How many rows of one cell stand above the header: the widest of these rows, with a wide one below it.

    In a table of one column a row is wider only by chance, by a comma in its text.
    """
    filled = [sum(map(bool, cells)) for cells in top]
    at = next((place for place, width in enumerate(filled) if width > 1), 0)
    below = filled[at + 1 : at + 2]
    return at if below and below[0] > 1 and filled[at] == max(filled) and _is_header(top[at], top[at + 1 :]) else 0


def _row_text(names: list[str], cells: list[str]) -> str:
    if names:
        padded = [*names, *("" for _ in cells[len(names) :])]
        named = {name: cell for name, cell in zip(padded, cells, strict=False) if name}
        loose = [cell for name, cell in zip(padded, cells, strict=False) if cell and not name]
        return "\n".join(filter(None, [record(named), *loose]))
    filled = [cell for cell in cells if cell]
    if len(filled) == 2 and filled[0].endswith(("?", "？")):
        return "\n".join(filled)
    return " | ".join(one_line(cell) for cell in filled)


def _is_header(cells: list[str], below: Sequence[list[str]]) -> bool:
    """Column names are short, and neither numbers nor questions; one of two columns is in no row below."""
    filled = [cell for cell in cells if cell]
    shared = {cell for cell in filled if filled.count(cell) > 1}
    if len(filled) < max(1, len(cells) // 2) or (shared and not below) or any(shared & set(row) for row in below):
        return False
    return not any(len(cell) > 60 or _NUMBER.fullmatch(cell) or cell.endswith(("?", "？", "。")) for cell in filled)


def _unique(names: list[str]) -> list[str]:
    return [name if name not in names[:place] else "" for place, name in enumerate(names)]


def _delimiter(text: str, *, tab: bool) -> str:
    """By csv.Sniffer; where it cannot tell, the candidate that splits the first lines most evenly."""
    sample = text[:16_384]
    try:
        found = csv.Sniffer().sniff(sample, delimiters=",;\t|").delimiter
    except csv.Error:
        found = "\t" if tab else ","
    counts: dict[str, tuple[float, int]] = {}
    for candidate in dict.fromkeys([found, "\t" if tab else ",", ",", ";", "\t", "|"]):
        try:
            widths = [len(row) for row in csv.reader(io.StringIO(sample, newline=""), delimiter=candidate) if row][:20]
        except csv.Error:
            continue
        usual = max(set(widths), key=widths.count, default=1)
        counts[candidate] = (widths.count(usual) / max(1, len(widths)) if usual > 1 else 0.0, usual)
    # The sniffer takes a comma inside prose for a delimiter; evenness over quoted rows is the better judge.
    return max(counts, key=lambda candidate: counts[candidate], default=found)
