"""The worker process that reads files: `python -m assistant.retrieval.parsing`.

It gets a file's bytes on standard input and answers with JSON on standard output, one file after the
other. Whatever a hostile file does to a parser happens here: no secrets in the environment, limited
memory and CPU time. `documents.py` starts it, watches the clock and checks what it says.

    request   {"name": ..., "size": bytes, "max_bytes": of text, "seconds": ...} newline, then the bytes
    response  {"size": bytes} newline, then JSON: a `layout.Parsed`, or {"refused": reason}
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from assistant.retrieval.formats.layout import Parsed, Refused

READERS = {
    "pdf": "pdf:read",
    "docx": "office:read_docx",
    "xlsx": "office:read_xlsx",
    "html": "markup:read_html",
    "md": "markup:read_markdown",
    "csv": "tables:read",
    "txt": "plain:read",
}
EXTENSIONS = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".xlsx": "xlsx",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".md": "md",
    ".markdown": "md",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "txt",
    ".text": "txt",
}
NAMES = {
    "pdf": "a PDF",
    "docx": "a Word file (DOCX)",
    "xlsx": "an Excel file (XLSX)",
    "html": "an HTML page",
    "md": "Markdown",
    "csv": "a CSV table",
    "txt": "plain text",
}
SUPPORTED = "Supported are PDF, DOCX, XLSX, CSV, HTML, Markdown and plain text, alone or in a folder or a zip."
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a sound, film or WebP picture"),
    (b"BM", "a bitmap picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3", "a database"),
    (b"{\\rtf", "an RTF file"),
)


def parse(data: bytes, name: str, max_bytes: int) -> Parsed:
    """The text and layout of a file, judged by its content first and its name second.

    A file of a supported format under another format's name is read as what it is, with a note.

    Raises:
        Refused: why it cannot be read.
    """
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise Refused("The file is empty.")
    suffix = PurePosixPath(name.lower()).suffix
    named = EXTENSIONS.get(suffix, "")
    kind = sniff(data, suffix)
    module, _, function = READERS[kind].partition(":")
    reader: Callable[..., Parsed] = getattr(importlib.import_module(f"assistant.retrieval.formats.{module}"), function)
    parsed = reader(data, name=name, max_bytes=max_bytes)
    if kind != named:
        said = f"Its name ends in {suffix}" if suffix else "Its name has no ending"
        note = f"{said}, but it is {NAMES[kind]} and was read as one."
        parsed = dataclasses.replace(parsed, notes=(note, *parsed.notes))
    return parsed


def sniff(data: bytes, suffix: str) -> str:
    """The format of a file by its content; text formats, which look alike, by the name's ending.

    Raises:
        Refused: it is of no supported format, or not what its name says.
    """
    named = EXTENSIONS.get(suffix, "")
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _office_kind(data)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise Refused("It is encrypted. Save it without a password.")
        raise Refused(f"It is an old Word, Excel or PowerPoint file. Save it as DOCX or XLSX. {SUPPORTED}")
    for magic, what in _MAGIC:
        if data.startswith(magic) and (len(magic) > 2 or b"\x00" in data[:512]):
            raise Refused(f"It is {what}. {SUPPORTED}")
    if named in {"pdf", "docx", "xlsx"}:
        raise Refused(f"Its name ends in {suffix}, but it is not {NAMES[named]}: it is damaged or has the wrong name.")
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if named == "html" or head.startswith((b"<!doctype html", b"<html")):
        return "html"
    if suffix and not named:
        raise Refused(f"Files ending in {suffix} are not supported. {SUPPORTED}")
    return named or "txt"


def _office_kind(data: bytes) -> str:
    from assistant.retrieval.formats.office import check_archive

    members = set(check_archive(data))
    if "word/document.xml" in members:
        return "docx"
    if "xl/workbook.xml" in members:
        return "xlsx"
    raise Refused(f"It is an archive or an office file that is neither Word nor Excel. {SUPPORTED}")


def answer(data: bytes, name: str, max_bytes: int) -> dict[str, object]:
    """What the worker says about a file: the fields of `Parsed`, or the reason of its refusal."""
    try:
        return dataclasses.asdict(parse(data, name, max_bytes))
    except Refused as refusal:
        return {"refused": str(refusal)}
    except RecursionError:
        return {"refused": "It nests too deep to be read."}


HEADROOM = 4
"""The kernel's limit, in parts of the promised one. At its own limit a parser of C gives back half a page and says
nothing; so what was really held is judged first, here and by the parent, and the kernel is the last wall."""


def _limit(memory_mb: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows: the parent's clock still holds
        return
    size = HEADROOM * memory_mb * 2**20
    for limit, most in ((resource.RLIMIT_AS, size), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # macOS and some sandboxes refuse: the parent watches
            resource.setrlimit(limit, (most, most))


def _peak_mb() -> float:
    """The most memory this process has held; 0 where only the parent can see it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def _limit_cpu(seconds: float) -> None:
    """From here on, so many seconds of computing; the kernel ends the process after that."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime + seconds) + 2
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def serve(requests: BinaryIO, responses: BinaryIO, memory_mb: float) -> None:
    """Answers until the requests end. Raises MemoryError at a file that took more than it may."""
    while line := requests.readline():
        request = json.loads(line)
        _limit_cpu(request["seconds"])
        body = json.dumps(answer(requests.read(request["size"]), request["name"], request["max_bytes"])).encode()
        if _peak_mb() > memory_mb:
            raise MemoryError
        responses.write(json.dumps({"size": len(body)}).encode() + b"\n" + body)
        responses.flush()


def main() -> None:
    """The process: limits, then files until standard input ends. Out of memory is exit code 3."""
    arguments = argparse.ArgumentParser(prog="assistant.retrieval.parsing")
    arguments.add_argument("--memory-mb", type=int, required=True)
    memory_mb = arguments.parse_args().memory_mb
    _limit(memory_mb)
    responses = os.fdopen(os.dup(1), "wb")  # what a library prints must not mix with the answers
    os.dup2(2, 1)
    try:
        serve(sys.stdin.buffer, responses, memory_mb)
    except MemoryError:
        os._exit(3)


if __name__ == "__main__":
    main()
