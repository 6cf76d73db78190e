"""Makers of hostile and broken files, small and without any tool but the libraries that read them."""

import io
import zipfile
import zlib


def pdf(contents: list[bytes], *, pages: int = 1) -> bytes:
    """A PDF whose pages take the content streams in turn."""
    first = 4 + len(contents)
    kids = b" ".join(b"%d 0 R" % (first + number) for number in range(pages))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *contents,
    ]
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>"
    objects += [page % (4 + number % len(contents)) for number in range(pages)]
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    end = (len(objects) + 1, table, len(objects) + 1, len(out))
    return (
        bytes(out)
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer <</Size %d /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % end
    )


def stream(*pieces: bytes, padding_mb: int = 0) -> bytes:
    """A compressed content stream, with so many megabytes of spaces at its end."""
    packer = zlib.compressobj(9)
    data = packer.compress(b"".join(pieces))
    blank = b" " * 2**20
    data += b"".join(packer.compress(blank) for _ in range(padding_mb)) + packer.flush()
    return b"<</Length %d/Filter/FlateDecode>>\nstream\n%s\nendstream" % (len(data), data)


def line(text: str, x: float = 72, y: float = 720, size: float = 11) -> bytes:
    """A line of text on a page."""
    return b"BT /F1 %.1f Tf %.1f %.1f Td (%s) Tj ET\n" % (size, x, y, text.encode("latin-1"))


def encrypted_pdf() -> bytes:
    """A PDF that opens with a password only."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf([stream(line("A secret."))]))))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def docx(*paragraphs: tuple[str, str], table: list[list[str]] | None = None) -> bytes:
    """A Word file of (style, text) paragraphs and a table."""
    import docx as library

    document = library.Document()
    for style, text in paragraphs:
        document.add_paragraph(text, style=style)
    if table:
        grid = document.add_table(len(table), len(table[0]))
        for row, cells in zip(grid.rows, table, strict=True):
            for cell, text in zip(row.cells, cells, strict=True):
                cell.text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def xlsx(**sheets: list[list[object]]) -> bytes:
    """A workbook of sheets by name."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def archive(members: dict[str, bytes], *, packed: bool = True) -> bytes:
    """A zip of members by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as opened:
        for name, data in members.items():
            opened.writestr(name, data)
    return out.getvalue()


def bomb_member(megabytes: int) -> bytes:
    """So many megabytes of nothing."""
    return bytes(megabytes * 2**20)


def office_bomb() -> bytes:
    """A DOCX whose only part is 300 MB of nothing."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened, opened.open("word/document.xml", "w") as part:
        for _ in range(310):
            part.write(bytes(2**20))
    return out.getvalue()
