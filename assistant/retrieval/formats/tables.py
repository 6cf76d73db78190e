"""Tables of records: CSV here, and what a sheet of any kind becomes. A row is a FAQ or a product."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from assistant.retrieval.formats.layout import Draft, Parsed, Refused, clean, one_line, record
from assistant.retrieval.formats.plain import decode

MAX_COLUMNS = 500
_NUMBER = re.compile(r"[\d\s.,:/%€$£¥+-]+")


def read(data: bytes, *, name: str, max_bytes: int) -> Parsed:
    """A CSV or TSV file; the delimiter is found by looking."""
    text = decode(data)
    if not text.strip():
        raise Refused("The file is empty.")
    csv.field_size_limit(max(max_bytes, 131_072))
    delimiter = _delimiter(text, tab=name.lower().endswith(".tsv"))
    draft = Draft(max_bytes)
    try:
        add_records(draft, csv.reader(io.StringIO(text.replace("\x00", ""), newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise Refused(f"It is not a table: {error}.") from error
    return draft.finish("csv")


def add_records(draft: Draft, rows: Iterable[Sequence[str]]) -> None:
    """Appends each row of a table as a record; the first row names the columns where it can."""
    names: list[str] | None = None
    for raw in rows:
        if len(raw) > MAX_COLUMNS:
            raise Refused(f"It has more than {MAX_COLUMNS} columns.")
        cells = [clean(cell).strip() for cell in raw]
        if not any(cells):
            continue
        if names is None:
            if _is_header(cells):
                names = _unique([one_line(cell) for cell in cells])
                continue
            names = []
        draft.row(_row_text(names, cells))


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


def _is_header(cells: list[str]) -> bool:
    """Column names are short, distinct, and neither numbers nor questions."""
    filled = [cell for cell in cells if cell]
    if len(filled) < max(1, len(cells) // 2) or len(set(filled)) < len(filled):
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
