"""The walk ingest: paths -> documents -> passages -> store -> index.

The store changes in one transaction, the index is brought in line after it. Killed before the commit,
nothing has happened; killed after it, the index no longer matches the store and is rebuilt when it is
next opened. Reading is `retrieval/documents.py`, cutting `retrieval/chunking.py`.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from assistant.errors import BadInput
from assistant.registry import did_you_mean
from assistant.retrieval.chunking import split, weight
from assistant.retrieval.documents import ReadResult, SourceFile, expand, read_files
from assistant.settings import Settings
from assistant.store import Store
from assistant.types import CollectionInfo, Document, FileVerdict, IngestReport, Verdict

Progress = Callable[[str, int, int], None]
"""Called with what is going on ("read" or "index"), how much is done, and of how much."""

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
    read keeps its old one.

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
    """
    began = time.monotonic()
    name = collection or settings.collection
    tell = progress or (lambda stage, done, total: None)
    stored = {document.name: document for document in store.documents(settings.tenant, name)}
    known = {document.name: document.sha256 for document in stored.values()}
    with tempfile.TemporaryDirectory(prefix="confide-ingest-") as workdir:
        files = expand(paths, settings.ingest, Path(workdir))
        if not files:
            raise BadInput(f"There are no files in {', '.join(map(str, paths))}.", hint="Nothing was changed.")
        results = _read(files, settings, name, known=known, tell=tell)
    documents = [result.document for result in results if result.document]
    added = [(document, split(document, settings.retrieval.passage_chars)) for document in documents]
    gone = sorted(stored.keys() - {file.name for file in files}) if prune else []
    replaced = {document.name for document in documents} & stored.keys()
    kept = [document for document in stored.values() if document.name not in replaced.union(gone)]
    info: CollectionInfo | None = None
    warnings: tuple[str, ...] = ()
    if stored or added:
        info = _prepare(store, settings, name, [*kept, *documents])
        store.change_documents(added, [stored[old].id for old in (*replaced, *gone)])
        index.refresh(info.tenant, name, lambda done, total: tell("index", done, total))
        info = store.collection(info.tenant, name) or info
        warnings = _warnings([*kept, *documents], info, index)
    counts = {document.name: len(passages) for document, passages in added}
    verdicts = [_verdict(result, result.name in stored, counts) for result in results]
    verdicts += [FileVerdict(old, Verdict.REMOVED, "It is no longer among the files.") for old in gone]
    return IngestReport(
        collection=name,
        files=tuple(verdicts),
        documents=info.documents if info else 0,
        passages=info.passages if info else 0,
        seconds=time.monotonic() - began,
        warnings=warnings,
    )


def remove_documents(
    names: Iterable[str], *, store: Store, settings: Settings, index: PassageIndex, collection: str | None = None
) -> IngestReport:
    """Removes documents by name from store and index; they are gone from the answers at once.

    Raises:
        BadInput: the collection has no document of one of the names; nothing was removed.
    """
    began = time.monotonic()
    name = collection or settings.collection
    stored = {document.name: document.id for document in store.documents(settings.tenant, name)}
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
) -> list[ReadResult]:
    reading = read_files(files, tenant=settings.tenant, collection=collection, limits=settings.ingest, known=known)
    results: list[ReadResult] = []
    tell("read", 0, len(files))
    for result in reading:
        results.append(result)
        tell("read", len(results), len(files))
    return results


def _verdict(result: ReadResult, stored: bool, counts: Mapping[str, int]) -> FileVerdict:
    if result.unchanged:
        return FileVerdict(result.name, Verdict.UNCHANGED)
    if result.document is None:
        kept = " The version read before is kept." if stored else ""
        return FileVerdict(result.name, Verdict.REFUSED, result.reason + kept)
    verdict = Verdict.REPLACED if stored else Verdict.ADDED
    return FileVerdict(result.name, verdict, result.reason, counts[result.name])


def _prepare(store: Store, settings: Settings, name: str, documents: Sequence[Document]) -> CollectionInfo:
    """The collection, made or brought up to its documents' languages and the settings.

    The embedder is chosen once, from the first documents; later only the setting changes it.
    """
    from assistant.retrieval.embedders import choose_embedder
    from assistant.retrieval.search import default_threshold

    old = store.collection(settings.tenant, name)
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


def languages_of(documents: Iterable[Document]) -> tuple[str, ...]:
    """The languages of more than a tenth of the text, the most frequent first.

    A Chinese character counts as three of English, as everywhere.
    """
    sizes: Counter[str] = Counter()
    for document in documents:
        sizes[document.language] += weight(document.text)
    total = sum(sizes.values())
    return tuple(code for code, size in sizes.most_common() if code and size > _LANGUAGE_SHARE * total)


def _warnings(documents: Iterable[Document], info: CollectionInfo, index: PassageIndex) -> tuple[str, ...]:
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
