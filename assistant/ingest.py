"""The walk ingest: paths -> documents -> passages -> store -> index.

One process at a time writes to a data folder. Documents go into the store in one transaction, or where
they are very large in several of whole documents; the index is brought in line after the last. Killed
before that, the index in force goes on serving what is unchanged and the next run does what is left; the
index is rebuilt when it is next opened and does not match the store. Reading is `retrieval/documents.py`,
cutting `retrieval/chunking.py`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from filelock import FileLock, Timeout

from assistant.errors import BadInput, StoreBusy
from assistant.registry import did_you_mean
from assistant.retrieval.chunking import cuts, split, weight
from assistant.retrieval.documents import ReadResult, SourceFile, expand, read_files
from assistant.settings import Settings
from assistant.store import Store
from assistant.types import CollectionInfo, Document, FileVerdict, IngestReport, Passage, Verdict

Progress = Callable[[str, int, int], None]
"""Called with what is going on ("read" or "index"), how much is done, and of how much."""

BATCH_CHARS = 20_000_000
"""Text that is kept in memory before it is written: more is written in several transactions."""
WAIT_S = 10.0
"""How long a second writer waits for the first."""
_LANGUAGE_SHARE = 0.1


class PassageIndex(Protocol):
    """What ingest needs of the index: `retrieval.search.Searcher` has it."""

    def refresh(self, tenant: str, collection: str, progress: Callable[[int, int], None] | None = None) -> str:
        """Brings the index in line with the store, at once for every reader."""
        ...

    def embedder_languages(self, name: str) -> tuple[str, ...]:
        """The languages an embedder knows; () = all, or not known."""
        ...


def ingest(
    paths: Sequence[Path],
    *,
    store: Store,
    settings: Settings,
    index: PassageIndex,
    collection: str | None = None,
    prune: bool = False,
    progress: Progress | None = None,
) -> IngestReport:
    """Reads files, folders and zips into a collection; a bad file is a verdict and the others go on.

    Unchanged documents are skipped, changed ones replaced. A document whose new version cannot be
    read keeps its old one, and so do those of an archive that cannot be opened.

    Args:
        paths: what to read; a document's name is its path below them.
        store: where documents and passages go.
        settings: limits, passage size, embedder.
        index: brought in line at the end.
        collection: its name (the setting `collection` where None); made at the first ingest.
        prune: also remove the collection's documents that are not among `paths`.
        progress: see `Progress`.

    Raises:
        BadInput: a path does not exist, or there is nothing to read.
        StoreBusy: another process is writing to this data folder.
    """
    began = time.monotonic()
    name = collection or settings.collection
    tell = progress or (lambda stage, done, total: None)
    with _writing(settings), tempfile.TemporaryDirectory(prefix="confide-ingest-") as workdir:
        files = expand(paths, settings.ingest, Path(workdir))
        if not files:
            raise BadInput(f"There are no files in {', '.join(map(str, paths))}.", hint="Nothing was changed.")
        intake = _Intake(store, settings, name)
        verdicts = [intake.take(result) for result in _read(files, settings, name, known=intake.known, tell=tell)]
        verdicts += intake.cut_again(name for name in intake.known if name not in {file.name for file in files})
        gone = _gone(intake.known, files, given=set(paths)) if prune else []
        warnings = intake.finish(gone, index, tell)
    info = store.collection(settings.tenant, name)
    verdicts = [verdict for verdict in verdicts if verdict.name not in gone]
    verdicts += [FileVerdict(old, Verdict.REMOVED, "It is no longer among the files.") for old in gone]
    return IngestReport(
        collection=name,
        files=tuple(verdicts),
        documents=info.documents if info else 0,
        passages=info.passages if info else 0,
        seconds=time.monotonic() - began,
        warnings=warnings,
    )


def _gone(known: Iterable[str], files: Sequence[SourceFile], *, given: set[Path]) -> list[str]:
    """The stored documents that are not among the files; what a refused archive holds is not known, so it stays."""
    refused = [file for file in files if file.problem]
    if any(file.path in given for file in refused):  # an archive given alone is not in its documents' names
        return []
    closed = {PurePosixPath(file.name).name for file in refused}
    missing = set(known) - {file.name for file in files}
    return sorted(name for name in missing if closed.isdisjoint(PurePosixPath(name).parts[:-1]))


@contextlib.contextmanager
def _writing(settings: Settings) -> Iterator[None]:
    """Only one process writes; the system lets go of the lock however it ends."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.data_dir / "ingest.lock", timeout=WAIT_S)
    try:
        lock.acquire()
    except Timeout:
        raise StoreBusy(
            f"Another process is changing the documents of {settings.data_dir.resolve()}.",
            hint="Nothing was changed. Wait until it has finished, then run this again.",
        ) from None
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class _Outline:
    """What is known of a document without its text. `stale`: its passages are not what would be cut today."""

    id: str
    name: str
    sha256: str
    language: str
    weight: int
    stale: bool = False


class _Intake:
    """Documents on their way into the store."""

    def __init__(self, store: Store, settings: Settings, collection: str) -> None:
        self._store, self._settings, self._collection = store, settings, collection
        self._chars = settings.retrieval.passage_chars
        self._before = store.collection(settings.tenant, collection)
        cut = store.cuts(settings.tenant, collection)
        self._stored = {
            document.name: _outline(document, stale=cut.get(document.id, []) != cuts(document, self._chars))
            for document in store.each_document(settings.tenant, collection)
        }
        self._after = dict(self._stored)
        self.known = {outline.name: outline.sha256 for outline in self._stored.values()}
        self._waiting: list[tuple[Document, list[Passage]]] = []

    def take(self, result: ReadResult) -> FileVerdict:
        """Takes in what was read of a file, or says why not."""
        stored = self._stored.get(result.name)
        if result.unchanged:
            again = self.cut_again([result.name])
            return again[0] if again else FileVerdict(result.name, Verdict.UNCHANGED)
        if result.document is None:
            kept = " The version read before is kept." if stored else ""
            return FileVerdict(result.name, Verdict.REFUSED, result.reason + kept)
        verdict = Verdict.REPLACED if stored else Verdict.ADDED
        return FileVerdict(result.name, verdict, result.reason, self._add(result.document))

    def cut_again(self, names: Iterable[str]) -> list[FileVerdict]:
        """Cuts those of the stored documents anew that were cut by other settings."""
        verdicts = []
        for name in names:
            document = self._store.document(self._stored[name].id) if self._stored[name].stale else None
            if document is not None:
                reason = "It is unchanged, but passages are cut differently now."
                verdicts.append(FileVerdict(name, Verdict.REPLACED, reason, self._add(document)))
        return verdicts

    def finish(self, gone: Sequence[str], index: PassageIndex, tell: Progress) -> tuple[str, ...]:
        """Writes what waits, removes what is gone, brings the collection and the index in line; the warnings."""
        for name in gone:
            del self._after[name]
        if not self._stored and not self._after:
            return ()
        info = _prepare(self._store, self._settings, self._collection, self._before, self._after.values())
        self._write([self._stored[name].id for name in gone])
        index.refresh(info.tenant, info.name, lambda done, total: tell("index", done, total))
        return _warnings(self._after.values(), info, index)

    def _add(self, document: Document) -> int:
        passages = split(document, self._chars)
        self._after[document.name] = _outline(document)
        self._waiting.append((document, passages))
        if sum(len(document.text) for document, _ in self._waiting) >= BATCH_CHARS:
            self._write()
        return len(passages)

    def _write(self, gone: Iterable[str] = ()) -> None:
        replaced = [self._stored[document.name].id for document, _ in self._waiting if document.name in self._stored]
        self._store.change_documents(self._waiting, [*replaced, *gone])
        self._waiting = []


def _outline(document: Document, *, stale: bool = False) -> _Outline:
    size = weight(document.text)
    return _Outline(document.id, document.name, document.sha256, document.language, size, stale)


def remove_documents(
    names: Iterable[str], *, store: Store, settings: Settings, index: PassageIndex, collection: str | None = None
) -> IngestReport:
    """Removes documents by name from store and index; they are gone from the answers at once.

    Raises:
        BadInput: the collection has no document of one of the names; nothing was removed.
        StoreBusy: another process is writing to this data folder.
    """
    began = time.monotonic()
    name = collection or settings.collection
    with _writing(settings):
        stored = {document.name: document.id for document in store.each_document(settings.tenant, name)}
        wanted = list(dict.fromkeys(names))
        if unknown := [document for document in wanted if document not in stored]:
            hint = did_you_mean(unknown[0], stored)
            raise BadInput(f"The collection {name} has no document {', '.join(unknown)}.", hint=hint)
        store.change_documents((), [stored[document] for document in wanted])
        info = store.collection(settings.tenant, name)
        if info is not None:
            index.refresh(settings.tenant, name)
    return IngestReport(
        collection=name,
        files=tuple(FileVerdict(document, Verdict.REMOVED) for document in wanted),
        documents=info.documents if info else 0,
        passages=info.passages if info else 0,
        seconds=time.monotonic() - began,
    )


def _read(
    files: Sequence[SourceFile], settings: Settings, collection: str, *, known: Mapping[str, str], tell: Progress
) -> Iterator[ReadResult]:
    reading = read_files(files, tenant=settings.tenant, collection=collection, limits=settings.ingest, known=known)
    tell("read", 0, len(files))
    for number, result in enumerate(reading, start=1):
        yield result
        tell("read", number, len(files))


def _prepare(
    store: Store, settings: Settings, name: str, old: CollectionInfo | None, documents: Iterable[_Outline]
) -> CollectionInfo:
    """The collection, made or brought up to its documents' languages and the settings.

    The embedder is chosen once, from the first documents; later only the setting changes it.
    """
    from assistant.retrieval.embedders import choose_embedder
    from assistant.retrieval.search import default_threshold

    languages = languages_of(documents) or (old.languages if old else ())
    embedder = settings.retrieval.embedder
    if embedder == "auto":
        embedder = old.embedder if old and old.documents else choose_embedder(languages)
    threshold = settings.retrieval.threshold
    if threshold is None:
        same = old is not None and old.documents > 0 and old.embedder == embedder
        threshold = old.threshold if old and same else default_threshold(embedder)
    info = CollectionInfo(settings.tenant, name, languages, embedder, threshold)
    if old is not None:
        info = dataclasses.replace(old, languages=languages, embedder=embedder, threshold=threshold)
    store.save_collection(info)
    return info


def languages_of(documents: Iterable[_Outline]) -> tuple[str, ...]:
    """The languages of more than a tenth of the text, the most frequent first.

    A Chinese character counts as three of English, as everywhere.
    """
    sizes: Counter[str] = Counter()
    for document in documents:
        sizes[document.language] += document.weight
    total = sum(sizes.values())
    return tuple(code for code, size in sizes.most_common() if code and size > _LANGUAGE_SHARE * total)


def _warnings(documents: Iterable[_Outline], info: CollectionInfo, index: PassageIndex) -> tuple[str, ...]:
    """One sentence for each language that the collection's embedder does not know."""
    known = index.embedder_languages(info.embedder)
    foreign: dict[str, list[str]] = {}
    for document in documents:
        if known and document.language and document.language not in known:
            foreign.setdefault(document.language, []).append(document.name)
    return tuple(
        f"The embedder {info.embedder} does not know the language {code} of {_some(names)}: questions will find "
        f"little there. Choose one that does (setting retrieval.embedder{_better(code, index)}) and ingest again."
        for code, names in sorted(foreign.items())
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _better(code: str, index: PassageIndex) -> str:
    return ", use-multilingual for example" if code in index.embedder_languages("use-multilingual") else ""
