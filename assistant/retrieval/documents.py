"""Files to documents: which files there are, and each one read by the worker process.

A bad file is a verdict, never an exception: the others go on. Parsing itself is in `parsing.py` and runs
in another process, which is stopped and started again when a file breaks it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO, Any

import assistant
from assistant import language
from assistant.errors import BadInput
from assistant.retrieval.archives import extract
from assistant.settings import IngestSettings
from assistant.types import Document, Heading

_JUNK = frozenset({"Thumbs.db", "desktop.ini", "__MACOSX"})
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read: its name in the collection and where its bytes are.

    `problem` is why it must not be read (an unsafe archive member), else empty.
    """

    name: str
    path: Path
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What became of a file: a document, or unchanged, or a reason why not.

    `reason` may also be a remark on a document that was read.
    """

    name: str
    document: Document | None
    unchanged: bool
    reason: str = ""


def expand(paths: Sequence[Path], limits: IngestSettings, workdir: Path) -> list[SourceFile]:
    """All files under `paths`: files as they are, folders with all below them, zips unpacked into `workdir`.

    Names are relative paths with "/", unique; hidden files are skipped.

    Raises:
        BadInput: a path does not exist.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise BadInput(f"There is no file or folder {', '.join(missing)}.", hint="Check the path.")
    found: list[SourceFile] = []
    taken: set[str] = set()
    for path in paths:
        files = _folder(path) if path.is_dir() else [SourceFile(path.name, path)]
        for file in files:
            members = [file]
            if not file.problem and file.path.suffix.lower() == ".zip":
                members = _archive(file, limits, workdir / f"archive{len(found)}", alone=file.path == path)
            for member in members:
                name = _free_name(member, path, taken)
                taken.add(name)
                found.append(SourceFile(name, member.path, member.problem))
    return found


def _folder(root: Path) -> list[SourceFile]:
    """The regular files below a folder in a stable order; a link that leaves the folder is not followed."""
    files: list[SourceFile] = []
    inside = root.resolve()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _JUNK)
        for name in sorted(names):
            path = Path(folder) / name
            if name.startswith((".", "~$")) or name in _JUNK:
                continue
            relative = path.relative_to(root).as_posix()
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                files.append(SourceFile(relative, path, "It is a link that leads out of the folder."))
            elif not path.is_file():
                files.append(SourceFile(relative, path, "It is not a regular file."))
            else:
                files.append(SourceFile(relative, path))
    return files


def _archive(file: SourceFile, limits: IngestSettings, workdir: Path, *, alone: bool) -> list[SourceFile]:
    """A zip's members; named by their path inside it, below the zip's own name where it lies in a folder."""
    prefix = "" if alone else f"{file.name}/"
    members = extract(file.path, workdir, max_file_bytes=limits.max_file_mb * 2**20)
    return [
        SourceFile(prefix + member.name if member.name else file.name, member.path, member.problem)
        for member in members
    ]


def _free_name(file: SourceFile, root: Path, taken: set[str]) -> str:
    """The file's name; where another path has given it already, with its folder's name before it."""
    candidates = [file.name, f"{root.resolve().parent.name if root.is_file() else root.resolve().name}/{file.name}"]
    stem = PurePosixPath(file.name)
    candidates += [str(stem.with_name(f"{stem.stem} ({number}){stem.suffix}")) for number in range(2, len(taken) + 3)]
    return next(name for name in candidates if name not in taken)


def read_files(
    files: Iterable[SourceFile],
    *,
    tenant: str,
    collection: str,
    limits: IngestSettings,
    known: Mapping[str, str] = _NOTHING,
) -> Iterator[ReadResult]:
    """Each file's document or verdict, in order.

    Args:
        files: what `expand` found.
        tenant: whose they are.
        collection: where they go.
        limits: size, memory and time that a file may take.
        known: name -> sha256 of what is stored; a file with the same hash is not parsed.
    """
    with _Worker(limits) as worker:
        for file in files:
            data, problem = _bytes(file, limits)
            sha256 = hashlib.sha256(data).hexdigest()
            if problem:
                yield ReadResult(file.name, None, False, problem)
            elif known.get(file.name) == sha256:
                yield ReadResult(file.name, None, True)
            else:
                answer = worker.parse(file.name, data)
                document = None
                if isinstance(answer, dict):
                    document = _document(answer, file.name, sha256, tenant=tenant, collection=collection)
                reason = answer if isinstance(answer, str) else " ".join(answer["notes"])
                yield ReadResult(file.name, document, False, reason)


def _bytes(file: SourceFile, limits: IngestSettings) -> tuple[bytes, str]:
    """The file's bytes, or why there are none."""
    if file.problem:
        return b"", file.problem
    most = limits.max_file_mb * 2**20
    too_large = f"It is larger than {limits.max_file_mb} MB (setting ingest.max_file_mb)."
    try:
        with file.path.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        return b"", f"It cannot be opened: {error.strerror or error}."
    return (b"", too_large) if len(data) > most else (data, "")


def _document(answer: dict[str, Any], name: str, sha256: str, *, tenant: str, collection: str) -> Document:
    text: str = answer["text"]
    key = "\x00".join((tenant, collection, name, sha256))
    return Document(
        id=hashlib.sha256(key.encode()).hexdigest()[:16],
        tenant=tenant,
        collection=collection,
        name=name,
        text=text,
        sha256=sha256,
        kind=answer["kind"],
        language=language.detect(_sample(text)),
        pages=tuple(answer["pages"]),
        headings=tuple(Heading(level, title, start) for level, title, start in answer["headings"]),
        rows=tuple((start, end) for start, end in answer["rows"]),
    )


def _sample(text: str, size: int = 1500) -> str:
    """The beginning, the middle and the end: enough to tell the language."""
    if len(text) <= 3 * size:
        return text
    middle = len(text) // 2
    return "\n".join((text[:size], text[middle : middle + size], text[-size:]))


class _Worker:
    """The reading process: started at the first file, ended by the clock, started again after a crash."""

    def __init__(self, limits: IngestSettings) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def parse(self, name: str, data: bytes) -> dict[str, Any] | str:
        """The worker's answer about a file, checked; a string is the reason of a refusal."""
        process = self._process or self._start()
        watch = _Watch(process, self._limits)
        watch.start()
        try:
            answer = self._exchange(process, name, data)
        except (OSError, EOFError, ValueError, KeyError, TypeError):
            return self._post_mortem(process, watch.over)
        finally:
            watch.done.set()
        if "refused" in answer:
            return str(answer["refused"])
        return answer

    def _exchange(self, process: subprocess.Popen[bytes], name: str, data: bytes) -> dict[str, Any]:
        """Raises OSError, EOFError, ValueError, KeyError, TypeError: the worker is gone or talks nonsense."""
        requests, responses = _pipes(process)
        request = {
            "name": name,
            "size": len(data),
            "max_bytes": self._limits.max_text_mb * 2**20,
            "seconds": self._limits.seconds_per_file,
        }
        requests.write(json.dumps(request).encode() + b"\n" + data)
        requests.flush()
        size = int(json.loads(responses.readline(64) or "null")["size"])
        if not 0 < size <= 16 * self._limits.max_text_mb * 2**20 + 2**20:
            raise ValueError(size)
        body = responses.read(size)
        if len(body) < size:
            raise EOFError
        answer: dict[str, Any] = json.loads(body)
        if "refused" not in answer:
            _check(answer)
        return answer

    def _post_mortem(self, process: subprocess.Popen[bytes], over: str) -> str:
        """Why the worker died, for the file that killed it."""
        try:
            code = process.wait(timeout=1)
        except subprocess.TimeoutExpired:  # it lives, and talks nonsense
            code = 0
        self._stop()
        if over == "seconds" or code == -24:  # SIGXCPU: its CPU time is spent
            seconds = f"{self._limits.seconds_per_file:g} seconds"
            return f"Reading it took longer than {seconds} (setting ingest.seconds_per_file)."
        if over == "memory" or code in {3, -9}:
            return f"Reading it needs more than {self._limits.memory_mb} MB of memory (setting ingest.memory_mb)."
        return "The reader crashed on it: it is damaged, or made to do harm."

    def _start(self) -> subprocess.Popen[bytes]:
        root = str(Path(assistant.__file__).resolve().parent.parent)
        kept = {
            name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG", "TMPDIR", "TEMP") if name in os.environ
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "assistant.retrieval.parsing", "--memory-mb", str(self._limits.memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "PYTHONPATH": root, "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"},
        )
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in _pipes(process):
            try:
                pipe.close()
            except OSError:  # what was still to be written has no reader
                continue


class _Watch(threading.Thread):
    """Ends a worker that reads too long or holds too much memory.

    The worker looks at its own peak after each file; a file that never ends is ended here. The kernel's own
    limit is the last wall: macOS, Windows and some sandboxes do not keep it.
    """

    _PAUSE = 0.02  # seconds

    def __init__(self, process: subprocess.Popen[bytes], limits: IngestSettings) -> None:
        super().__init__(daemon=True)
        self._process, self._limits = process, limits
        self.done = threading.Event()
        self.over = ""  # which limit it went over

    def run(self) -> None:
        import psutil

        end = time.monotonic() + self._limits.seconds_per_file
        try:
            worker = psutil.Process(self._process.pid)
            while not self.done.wait(self._PAUSE):
                if time.monotonic() > end:
                    self.over = "seconds"
                elif worker.memory_info().rss > self._limits.memory_mb * 2**20:
                    self.over = "memory"
                if self.over:
                    self._process.kill()
                    return
        except psutil.Error:  # it ended by itself, and its exit code says how
            return


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _check(answer: dict[str, Any]) -> None:
    """The worker reads hostile files: its answer is checked like one. Raises ValueError, KeyError, TypeError."""
    text, length = answer["text"], len(answer["text"])
    offsets = [*answer["pages"], *(start for _, _, start in answer["headings"])]
    spans = [tuple(span) for span in answer["rows"]]
    good = (
        isinstance(text, str) and isinstance(answer["kind"], str) and all(isinstance(n, str) for n in answer["notes"])
    )
    good = good and all(isinstance(at, int) and 0 <= at <= length for at in offsets)
    good = good and list(answer["pages"]) == sorted(answer["pages"])
    good = good and all(0 <= start < end <= length for start, end in spans) and spans == sorted(spans)
    if not good:
        raise ValueError("offsets")
