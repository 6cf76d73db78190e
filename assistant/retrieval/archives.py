"""Zip archives, unpacked so that no member can harm: file names on disk are ours, sizes are counted.

Refused, each member for itself: paths that leave the archive, links, archives inside, encrypted or damaged
members, bombs. Not for DOCX and XLSX, which are read in memory by the worker (`formats/office.py`).
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MAX_MEMBERS = 10_000
MAX_TOTAL_BYTES = 2 * 2**30
MAX_RATIO = 200
_NESTED = (".zip", ".7z", ".rar", ".gz", ".tgz", ".bz2", ".xz", ".tar")


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive: its name inside, where it was unpacked to, and why not.

    An empty `name` stands for the archive as a whole.
    """

    name: str
    path: Path
    problem: str = ""


def extract(archive: Path, workdir: Path, *, max_file_bytes: int) -> list[Member]:
    """Unpacks a zip into `workdir`; hidden members and folders are skipped."""
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir() and not _is_hidden(_name(entry))]
            problem = _whole(entries, archive.stat().st_size)
            if problem:
                return [Member("", archive, problem)]
            workdir.mkdir(parents=True, exist_ok=True)
            return [
                _member(opened, entry, workdir / f"{number:05d}{_suffix(entry)}", max_file_bytes)
                for number, entry in enumerate(entries)
            ]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return [Member("", archive, "The archive is damaged or cut short, and cannot be opened.")]


def _whole(entries: list[zipfile.ZipInfo], size: int) -> str:
    """Why the archive as a whole is refused, from what its directory says."""
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_MEMBERS:
        return f"The archive has more than {MAX_MEMBERS} files."
    if total > MAX_TOTAL_BYTES or (total > 64 * 2**20 and total > MAX_RATIO * size):
        return f"The archive unpacks to {total // 2**20} MB from {size / 2**20:.1f} MB: refused as a zip bomb."
    return "" if entries else "The archive is empty."


def _member(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, max_file_bytes: int) -> Member:
    name = _name(entry)
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
        safe = "/".join(part for part in parts if part not in {"..", "/"}) or "unnamed"
        return Member(safe, target, f"Its name inside the archive is unsafe: {name!r}.")
    problem = _refusal(entry, name, max_file_bytes)
    if not problem:
        problem = _copy(opened, entry, target, max_file_bytes)
    return Member(name, target, problem)


def _refusal(entry: zipfile.ZipInfo, name: str, max_file_bytes: int) -> str:
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "It is a link inside an archive."
    if entry.flag_bits & 1:
        return "It is encrypted. Make the archive without a password."
    if name.lower().endswith(_NESTED):
        return "It is an archive inside an archive. Unpack it first."
    if entry.file_size > max_file_bytes:
        return f"It is larger than {max_file_bytes // 2**20} MB (setting ingest.max_file_mb)."
    if entry.file_size > 2**20 and entry.file_size > MAX_RATIO * max(1, entry.compress_size):
        return f"It unpacks to {entry.file_size / 2**20:.0f} MB from almost nothing: refused as a zip bomb."
    return ""


def _copy(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, max_file_bytes: int) -> str:
    """Writes a member's bytes; the size that the directory declares is not believed."""
    written = 0
    try:
        with opened.open(entry) as source, target.open("xb") as sink:
            while piece := source.read(2**16):
                written += len(piece)
                if written > max_file_bytes:
                    return "It unpacks to more than its archive says: refused as a zip bomb."
                sink.write(piece)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error):
        return "It is damaged inside the archive."
    return ""


def _name(entry: zipfile.ZipInfo) -> str:
    """The member's path with "/"; names of old Chinese archives, marked as no Unicode, are mended."""
    name = entry.orig_filename
    if not entry.flag_bits & 0x800 and not name.isascii():
        for encoding in ("utf-8", "gb18030"):
            try:
                name = name.encode("cp437").decode(encoding)
                break
            except UnicodeError:
                continue
    return name.split("\x00")[0].replace("\\", "/")


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any((part.startswith(".") and part != "..") or part in {"__MACOSX", "Thumbs.db"} for part in parts)


def _suffix(entry: zipfile.ZipInfo) -> str:
    suffix = PurePosixPath(_name(entry)).suffix
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 10 else ""
