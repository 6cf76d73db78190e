"""Questions to passages: dense and BM25 scores fused, over the index of one tenant's collection.

Tenants and collections are kept apart by structure: each has an index of its own, so a filter cannot be
forgotten, and every hit is read back from the store under its tenant. It does not judge whether a
passage answers the question: that is `reader.py`.
"""

from __future__ import annotations

import functools
import logging
import re
import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from assistant import language
from assistant.errors import BadInput, IndexMismatch, UnknownName
from assistant.registry import did_you_mean
from assistant.retrieval import index as indexes
from assistant.retrieval import lookup, qdrant
from assistant.retrieval.calibration import calibration
from assistant.retrieval.embedders import (
    LANGUAGES,
    Embedder,
    Reranker,
    Vectors,
    choose_embedder,
    load_embedder,
    load_reranker,
)
from assistant.retrieval.index import Index, Rows, Scores
from assistant.retrieval.vectors import Progress
from assistant.settings import Settings
from assistant.store import Store
from assistant.types import CollectionInfo, FoundBy, Hit

_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
DEPTH = 300
"""Vectors looked at per question, before exact scores."""

AGREEMENT, AGREEMENT_ON = 0.99, 16
"""Least cosine between two runtimes' vectors of a passage, and on how many: below it the index is made anew."""

DENSE_WEIGHT = {"minilm": 0.4, "use-multilingual": 0.4, "bilingual": 0.5, "hashing": 0.2}
"""Share of the dense score in the fused one; the rest is BM25's. nDCG@10 dense / BM25 / fused at these shares:
SciFact with minilm 0.705 / 0.678 / 0.739; XQuAD with use-multilingual en 0.924 / 0.966 / 0.977, zh 0.912 / 0.963 /
0.972, zh to en 0.857 / 0.126 / 0.863. Fusing ranks (RRF) was worse everywhere, and ruinous across languages (0.303): it
cannot tell a lexical list that found nothing. So auto fuses; `off` searches vectors alone.
"""
_OTHER_WEIGHT = 0.4


class Searcher:
    """Finds passages. One writer and many readers a collection at once; loads models once."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._root = settings.data_dir / "indexes"
        self._lock = threading.Lock()
        self._writers: dict[tuple[str, str], threading.RLock] = {}
        self._indexes: dict[tuple[str, str], Index] = {}
        self._marks: dict[tuple[str, str], str] = {}
        self._embedders: dict[str, Embedder] = {}
        self._reranker: Reranker | None = None
        url = settings.retrieval.index_url.get_secret_value()
        self._server = qdrant.connect(url) if url else None

    def refresh(self, tenant: str, collection: str, progress: Progress | None = None) -> str:
        """Brings the index up to the store and returns its manifest id. Embeds only texts that are new.

        `progress(done, total)` counts the texts to embed.

        Raises:
            UnknownName: there is no such collection.
        """
        info = self._info(tenant, collection)
        with self._writer(tenant, collection):
            old = self._loaded(tenant, collection)
            passages = self._store.passages(tenant, collection)
            if old is not None and self._fits(old, info) and old.manifest.content == indexes.content_digest(passages):
                return old.manifest.id
            fresh = indexes.build(
                self._folder(tenant, collection),
                self._recipe(info),
                passages=passages,
                embedder=self._embedder(info),
                old=old,
                progress=progress or (lambda done, total: None),
            )
            self._indexes[tenant, collection] = fresh
            return fresh.manifest.id

    def search(
        self, tenant: str, collection: str, query: str, k: int | None = None, *, variants: Sequence[str] = ()
    ) -> tuple[Hit, ...]:
        """The `k` best passages (settings `top_k` where None), best first; () for a blank question.

        `variants` are further formulations of the question; a passage's score is the mean over all.

        Raises:
            UnknownName: there is no such collection.
        """
        info = self._info(tenant, collection)
        queries = [
            text for text in (unicodedata.normalize("NFKC", text).strip() for text in (query, *variants)) if text
        ]
        if language.is_han(query):  # vectors tell the scripts apart, and documents may be in either
            queries += [plain for text in queries if (plain := language.simplified(text)) != text]
        k = self._settings.retrieval.top_k if k is None else k
        if not queries or k < 1:
            return ()
        vectors, words = self._embedder(info).encode(queries), [indexes.terms(text) for text in queries]
        index = self._current(info)
        try:
            rows, scores = scored(index, vectors, words)
        except IndexMismatch as error:  # another process changed what the vector server has
            _LOG.warning("%s The index of %s/%s is made anew.", error.message, info.tenant, info.name)
            index = self._renewed(info)
            rows, scores = scored(index, vectors, words)
        order = np.argsort(-scores, kind="stable")
        wanted = k if not self._settings.retrieval.reranker else 4 * k
        found_by: FoundBy = "fused" if index.manifest.fusion < 1 else "dense"
        best = [(index.passage_ids[int(rows[place])], float(scores[place])) for place in order]
        hits = self._stored(info, best, wanted, found_by)
        return self._reranked(queries[0], hits)[:k]

    def with_name(self, info: CollectionInfo, questions: Sequence[str]) -> str:
        """The last of a conversation's questions with the name of the record that it is about; see `lookup.with_name`.

        "" where it leans on none, and where the index fails: the search for the answer will say so.
        """
        find = functools.cache(lambda text: [hit.passage for hit in self.search(info.tenant, info.name, text)])
        try:
            return lookup.with_name(questions, find)
        except Exception:
            _LOG.warning("no record of the conversation was looked for", exc_info=True)
            return ""

    def _stored(
        self, info: CollectionInfo, best: Sequence[tuple[str, float]], wanted: int, found_by: FoundBy
    ) -> list[Hit]:
        """The first `wanted` of (passage id, score) that are still in the store, mostly in one query."""
        hits: list[Hit] = []
        start = 0
        while len(hits) < wanted and start < len(best):  # again only where passages went since the last refresh
            batch = best[start : start + wanted]
            found = self._store.passages_by_id(info.tenant, [passage_id for passage_id, _ in batch])
            hits += [
                Hit(found[passage_id], score, found_by)
                for passage_id, score in batch
                if passage_id in found and found[passage_id].collection == info.name
            ]
            start += wanted
        return hits[:wanted]

    def is_sound(self, tenant: str, collection: str) -> bool:
        """Whether the index on disk is whole, by its manifest; no file is read to its end. Raises IndexUnavailable."""
        there = self._server is None or self._server.has(tenant, collection)
        return there and indexes.is_whole(self._folder(tenant, collection))

    def drop(self, tenant: str, collection: str) -> None:
        """Deletes the index from memory and disk, whether or not the collection still exists."""
        with self._writer(tenant, collection):
            self._indexes.pop((tenant, collection), None)
            indexes.drop(self._folder(tenant, collection))
            if self._server is not None:
                self._server.drop(tenant, collection)

    def manifest(self, tenant: str, collection: str) -> str:
        """The id of the manifest in force: a short digest of everything the index was made from."""
        return self._current(self._info(tenant, collection)).manifest.id

    def embedder(self, tenant: str, collection: str) -> Embedder:
        """The collection's embedder, loaded once and shared."""
        return self._embedder(self._info(tenant, collection))

    def use(self, embedder: Embedder) -> None:
        """Takes this embedder wherever one of its name is asked for, in place of loading it."""
        with self._lock:
            self._embedders[embedder.name] = embedder

    def idf(self, tenant: str, collection: str) -> Callable[[str], float]:
        """How rare a term is among the collection's passages, as BM25 weighs it; terms as in `content_words`."""
        return self._current(self._info(tenant, collection)).idf

    def known(self, tenant: str, collection: str) -> Callable[[Sequence[str]], Mapping[str, Vectors]]:
        """Of texts the vectors that the collection's index has already: whole passages and their sentences."""
        return self._current(self._info(tenant, collection)).known

    def index(self, tenant: str, collection: str) -> Index:
        """The index in force, for measuring; `search` is what answers."""
        return self._current(self._info(tenant, collection))

    def embedder_languages(self, name: str) -> tuple[str, ...]:
        """The languages an embedder knows; () = all, or not known. Loads nothing."""
        return LANGUAGES.get(name, ())

    def _info(self, tenant: str, collection: str) -> CollectionInfo:
        info = self._store.collection(tenant, collection, counted=False)
        if info is None:
            known = [other.name for other in self._store.collections(tenant)]
            hint = did_you_mean(collection, known) or "There is none yet: `confide ingest PATH` makes one."
            raise UnknownName(f"There is no collection called {collection!r}.", hint=hint)
        return info

    def _current(self, info: CollectionInfo) -> Index:
        """The index in force; loaded when another process moved the pointer, rebuilt when it is no good."""
        key = (info.tenant, info.name)
        held = self._indexes.get(key)
        mark = self._store.mark(*key)
        same = self._marks.get(key, "") == mark
        if held is not None and same and held.version == indexes.current_version(self._folder(*key)):
            return held
        writer = self._writer(*key)
        if held is None or not self._fits(held, info):
            writer.acquire()
        elif not writer.acquire(blocking=False):
            return held  # another thread brings it in line, and may have much to embed
        try:
            held = self._loaded(*key)
            good = held is not None and self._fits(held, info)
            if held is not None and good and not self._agrees(held, info):
                good = False
                self.drop(*key)
            if not good or held.manifest.content != indexes.content_digest(self._store.passages(*key)):  # type: ignore[union-attr]
                _LOG.warning("The index of %s/%s is missing, damaged or out of date: rebuilding it.", *key)
                self.refresh(*key)
            self._marks[key] = mark
            return self._indexes[key]
        finally:
            writer.release()

    def _renewed(self, info: CollectionInfo) -> Index:
        """The index built again from the store and what the vector server has of it."""
        key = (info.tenant, info.name)
        with self._writer(*key):
            self._indexes.pop(key, None)
            indexes.drop(self._folder(*key))
            self.refresh(*key)
            return self._indexes[key]

    def _loaded(self, tenant: str, collection: str) -> Index | None:
        """The version on disk, in memory; None where there is none or it is damaged. Under the writer's lock."""
        key, folder = (tenant, collection), self._folder(tenant, collection)
        version = indexes.current_version(folder)
        held = self._indexes.get(key)
        if held is not None and held.version == version:
            return held
        self._indexes.pop(key, None)
        if not version:
            return None
        try:
            self._indexes[key] = indexes.load(folder, self._server)
        except IndexMismatch as error:
            _LOG.warning("%s It is rebuilt from the store.", error.message)
        return self._indexes.get(key)

    def _fits(self, index: Index, info: CollectionInfo) -> bool:
        return self._recipe(info).fits(index.manifest) and index.manifest.embedder == self._embedder(info).id

    def _agrees(self, index: Index, info: CollectionInfo) -> bool:
        """Whether vectors that another runtime made are those of this one, as some passages show; it is logged."""
        made, asked = index.manifest.runtime or "torch", self._embedder(info).runtime
        if made == asked:
            return True
        some = list(self._store.passages_by_id(info.tenant, index.passage_ids[:AGREEMENT_ON]).values())
        least = index.agreement(some, self._embedder(info))
        _LOG.warning(
            "The index of %s/%s was made by %s and is asked by %s: the least cosine of their vectors is %.5f (of %d).",
            info.tenant, info.name, made, asked, least, len(some),
        )  # fmt: skip
        return least >= AGREEMENT

    def _recipe(self, info: CollectionInfo) -> indexes.Recipe:
        retrieval, name = self._settings.retrieval, _embedder_name(info)
        weight = 1.0 if retrieval.fusion == "off" else DENSE_WEIGHT.get(name, _OTHER_WEIGHT)
        return indexes.Recipe(info.tenant, info.name, retrieval.passage_chars, weight, self._server)

    def _embedder(self, info: CollectionInfo) -> Embedder:
        name = _embedder_name(info)
        with self._lock:
            if name not in self._embedders:
                self._embedders[name] = load_embedder(name, self._settings)
            return self._embedders[name]

    def _reranked(self, query: str, hits: list[Hit]) -> tuple[Hit, ...]:
        name = self._settings.retrieval.reranker
        if not name or not hits:
            return tuple(hits)
        with self._lock:
            if self._reranker is None:
                self._reranker = load_reranker(name, self._settings)
        scores = self._reranker(query, [hit.passage.text for hit in hits])
        again = [Hit(hit.passage, score, "rerank") for hit, score in zip(hits, scores, strict=True)]
        return tuple(sorted(again, key=lambda hit: -hit.score))

    def _writer(self, tenant: str, collection: str) -> threading.RLock:
        with self._lock:
            return self._writers.setdefault((tenant, collection), threading.RLock())

    def _folder(self, tenant: str, collection: str) -> Path:
        for name in (tenant, collection):
            if not _NAME.fullmatch(name):
                raise BadInput(f"{name!r} cannot name a collection.", hint="Use a-z, 0-9, - and _, 63 at most.")
        return self._root / tenant / collection


def default_threshold(embedder_name: str) -> float:
    """The least support that counts as an answer, as calibrated for the embedder (or the nearest kind of it)."""
    threshold: float = calibration(embedder_name)["threshold"]
    return threshold


def sure_support(info: CollectionInfo) -> float:
    """The support from which an answer need not say that it may not be one; never under the threshold."""
    return max(info.threshold, float(calibration(_embedder_name(info))["sure"]))


def _embedder_name(info: CollectionInfo) -> str:
    return info.embedder if info.embedder not in {"", "auto"} else choose_embedder(info.languages)


def scored(
    index: Index, vectors: Vectors, queries: Sequence[Sequence[str]], *, weight: float | None = None
) -> tuple[Rows, Scores]:
    """Rows with a positive score and their scores, meant over the formulations of the question.

    `vectors` (m, d) and the terms `queries` belong together. `weight` is the dense share; None = the
    manifest's.
    """
    weight = index.manifest.fusion if weight is None else weight
    asked = list(zip(vectors, queries, strict=True))
    rows = np.unique(np.concatenate([index.candidates(vector, words, DEPTH) for vector, words in asked]))
    fused = [weight * index.dense(vector, rows) + (1 - weight) * index.bm25(words, rows) for vector, words in asked]
    scores: Scores = np.mean(fused, axis=0)
    keep = scores > 0
    return rows[keep], scores[keep]
