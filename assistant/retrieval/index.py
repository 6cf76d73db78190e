"""One collection's index on disk: FAISS vectors, BM25 terms, and a manifest that vouches for both.

An `Index` never changes: a refresh builds the next one beside it and moves one pointer file, so readers
keep what they hold. Each passage has a vector of its whole text (heading path in front) and one of each of
its sentences; equal texts share a vector, known by the digest of the text, so that what was embedded once
is not embedded again. It is not the truth: that is the store, from which it can always be rebuilt.

    data_dir/indexes/<tenant>/<collection>/current            name of the version in force
                                          /<version>/manifest.json vectors.faiss units.npy offsets.npy
                                                     passages.json bm25/

With a vector server (`qdrant.py`) vectors.faiss is vectors.qdrant: the name under which the server has them.

Sources: FAISS (Douze et al. 2024, arXiv:2401.08281), bm25s (Lu 2024, arXiv:2407.03618; Lucene's variant).
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import logging
import math
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.errors import IndexMismatch
from assistant.facts import root
from assistant.language import content_words, fields, sentences
from assistant.retrieval.embedders import Embedder, Vectors
from assistant.retrieval.qdrant import VectorServer
from assistant.retrieval.vectors import QDRANT, Progress, Table, VectorTable
from assistant.types import Passage

FORMAT = 3
TERMS = 1
"""Grows when `terms` makes others of the same text: BM25 is made anew then, the vectors stay."""
WHOLE = 0.5
"""Weight of a passage's own vector beside its best sentence: of 0, 0.3, 0.5, 0.7, 1 the best on XQuAD."""
K1, B = 0.9, 0.6
"""BM25's usual 1.2 and 0.75 over words became these over roots: nDCG@10 of BM25 alone on SciFact 0.678 -> 0.683, fused
on XQuAD en 0.977 -> 0.979, zh 0.973 -> 0.974; recall@5 of the calibration companies 0.958 -> 0.967."""

LEFT_S = 3600.0
"""From what age on a writer's files that are not in force are those of a killed one."""

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """What an index was made of and with. `id` is a short digest of all of it."""

    format: int
    tenant: str
    collection: str
    embedder: str
    dimension: int
    passage_chars: int
    fusion: float
    content: str
    vectors: str
    trained_on: int
    passages: int
    units: int
    created: str
    files: dict[str, str]
    runtime: str = ""
    """What computed the vectors, several where the index grew under several; "" = before this was kept (torch)."""
    terms: int = 0
    """The `TERMS` of its BM25; 0 = before this was kept."""

    @property
    def id(self) -> str:
        """Twelve hex digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """The text of manifest.json."""
        later = {"runtime", "terms"}  # an older manifest has its id without them
        known = {name: value for name, value in dataclasses.asdict(self).items() if value or name not in later}
        return json.dumps(known, indent=1, sort_keys=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """What decides an index besides the passages. `server` has the vectors; None = FAISS has them, in the folder."""

    tenant: str
    collection: str
    passage_chars: int
    fusion: float
    server: VectorServer | None = None

    def fits(self, manifest: Manifest) -> bool:
        """Whether an index was made by this recipe."""
        made = (manifest.tenant, manifest.collection, manifest.passage_chars, manifest.fusion, manifest.terms)
        same = made == (self.tenant, self.collection, self.passage_chars, self.fusion, TERMS)
        return same and self._same_place(manifest)

    def reuses(self, manifest: Manifest, embedder: Embedder) -> bool:
        """Whether the next version may have the vectors of that one."""
        return manifest.embedder == embedder.id and self._same_place(manifest)

    def _same_place(self, manifest: Manifest) -> bool:
        return (manifest.vectors == QDRANT) == (self.server is not None)


class Index:
    """A loaded version. Safe for many readers at once."""

    def __init__(self, version: str, manifest: Manifest, parts: _Parts) -> None:
        self.version = version
        self.manifest = manifest
        self.passage_ids = parts.passage_ids
        self._vectors = parts.vectors
        self._units, self._offsets, self._bm25 = parts.units, parts.offsets, parts.bm25
        owners = np.repeat(np.arange(len(parts.passage_ids)), np.diff(parts.offsets))
        order = np.argsort(parts.units, kind="stable")
        self._by_unit, self._owner = parts.units[order], owners[order]
        self._last: tuple[list[str], npt.NDArray[np.float32] | None] = ([], None)

    def candidates(self, vector: Vectors, query_terms: Sequence[str], depth: int) -> Rows:
        """Rows of the passages worth scoring: owners of the `depth` nearest vectors, and BM25's best."""
        found: list[Rows] = []
        near = self._vectors.nearest(vector, depth)
        if len(near):
            left = np.searchsorted(self._by_unit, near, side="left")
            right = np.searchsorted(self._by_unit, near, side="right")
            found += [self._owner[a:b] for a, b in zip(left, right, strict=True)]
        lexical = self._lexical(query_terms)
        if lexical is not None:
            best = _top(lexical, depth)
            found.append(best[lexical[best] > 0])
        return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)

    def dense(self, vector: Vectors, rows: Rows) -> Scores:
        """Per row, the mean of the cosine with the whole passage and with its best sentence."""
        if not len(rows):
            return np.zeros(0)
        spans = [self._units[self._offsets[row] : self._offsets[row + 1]] for row in rows]
        starts = np.concatenate([[0], np.cumsum([len(span) for span in spans])[:-1]])
        cosines = self._vectors.cosines(np.concatenate(spans), vector)
        best = np.maximum.reduceat(cosines, starts)
        scores: Scores = (WHOLE * cosines[starts] + (1 - WHOLE) * best).astype(np.float64)
        return scores

    def bm25(self, query_terms: Sequence[str], rows: Rows) -> Scores:
        """Per row, BM25 as a share (0..1) of what a passage with every term of the query could reach.

        The share, not the rank, is what fuses well: a question in another language matches a
        number or a name at most, and then weighs little.
        """
        lexical = self._lexical(query_terms)
        most = self._reachable(query_terms)
        if lexical is None or not most:
            return np.zeros(len(rows))
        shares: Scores = lexical[rows].astype(np.float64) / most
        return shares

    def _reachable(self, query_terms: Sequence[str]) -> float:
        """The weight of all terms, but of a Chinese question's pairs mostly those that occur at all.

        Pairs that straddle two words match nothing and would shrink every share; a question in a
        language the passages are not in still weighs at least 0.4 of its terms.
        """
        weights = [self._idf(term) for term in query_terms]
        known = set() if self._bm25 is None else self._bm25.vocab_dict
        likely = [weight for weight, term in zip(weights, query_terms, strict=True) if term.isascii() or term in known]
        return max(sum(likely), 0.4 * sum(weights))

    def idf(self, word: str) -> float:
        """Lucene's inverse document frequency of a word's root over the passages; highest for an unknown one."""
        return self._idf(root(word))

    def _idf(self, term: str) -> float:
        total, having = len(self.passage_ids), 0
        if self._bm25 is not None and term in self._bm25.vocab_dict:
            token = self._bm25.vocab_dict[term]
            indptr = self._bm25.scores["indptr"]
            having = int(indptr[token + 1] - indptr[token])
        return math.log(1 + (total - having + 0.5) / (having + 0.5))

    def agreement(self, passages: Sequence[Passage], embedder: Embedder) -> float:
        """The least cosine of these passages' own vectors with what the embedder gives now; 1 for none of its own."""
        texts = {_unit_id(text): text for text in (unit_texts(passage)[0] for passage in passages)}
        known = [unit for unit in texts if unit in self._by_unit]
        if not known:
            return 1.0
        again = embedder.encode([texts[unit] for unit in known])
        cosines = np.einsum("ij,ij->i", self._vectors.rows(np.array(known, dtype=np.int64)), again)
        return float(cosines.min())

    def known(self, texts: Sequence[str]) -> dict[str, Vectors]:
        """The (d,) vectors of those of `texts` that are units of its passages; the others are left out."""
        ids = np.array([_unit_id(text) for text in texts], dtype=np.int64)
        if not len(ids) or not len(self._by_unit):
            return {}
        places = np.minimum(np.searchsorted(self._by_unit, ids), len(self._by_unit) - 1)
        there = np.flatnonzero(self._by_unit[places] == ids)
        rows = self._vectors.rows(ids[there]) if len(there) else ()
        return {texts[int(place)]: row for place, row in zip(there, rows, strict=True)}

    def table(self) -> Table:
        """Its vectors, to make the next version's from."""
        return self._vectors

    def _lexical(self, query_terms: Sequence[str]) -> npt.NDArray[np.float32] | None:
        """BM25 of every passage; that of the last query is kept, for it is asked for twice."""
        known = [] if self._bm25 is None else [term for term in query_terms if term in self._bm25.vocab_dict]
        if self._bm25 is None or not known:
            return None
        asked, scores = self._last
        if asked != known or scores is None:
            scores = self._bm25.get_scores(known)
            self._last = (known, scores)
        return scores


@dataclasses.dataclass(frozen=True, slots=True)
class _Parts:
    """`units[offsets[r]:offsets[r + 1]]` are the vector ids of row r; the first is the whole passage."""

    passage_ids: list[str]
    units: Rows
    offsets: Rows
    vectors: Table
    bm25: Any


def _top(scores: npt.NDArray[np.float32], count: int) -> Rows:
    """Places of the highest scores, the first ones of equals, in no order."""
    if len(scores) <= count:
        return np.arange(len(scores), dtype=np.int64)
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    above = np.flatnonzero(scores > least)
    return np.concatenate([above, np.flatnonzero(scores == least)[: count - len(above)]])


def terms(text: str) -> list[str]:
    """The terms BM25 counts: the roots of content words and of the parts of hyphened ones."""
    found: list[str] = []
    for word in content_words(text):
        found.append(root(word))
        if "-" in word:
            found += [root(part) for part in word.split("-") if part]
    return found


def content_digest(passages: Sequence[Passage]) -> str:
    """One digest of the passages in order: what the index must have been built from."""
    whole = hashlib.sha256()
    for passage in passages:
        whole.update(json.dumps([passage.id, passage.sha256, passage.headings], ensure_ascii=False).encode())
    return whole.hexdigest()


def build(
    root: Path,
    recipe: Recipe,
    *,
    passages: Sequence[Passage],
    embedder: Embedder,
    old: Index | None,
    progress: Progress,
) -> Index:
    """Embeds what `old` lacks, writes the next version under `root`, and puts it in force."""
    texts = [unit_texts(passage) for passage in passages]
    ids = [[_unit_id(text) for text in group] for group in texts]
    by_id = {unit: text for group, row in zip(texts, ids, strict=True) for text, unit in zip(group, row, strict=True)}
    units = np.array([unit for row in ids for unit in row], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in ids], dtype=np.int64)]).astype(np.int64)
    reusable = old if old is not None and recipe.reuses(old.manifest, embedder) else None
    vectors = _start(recipe, embedder, reusable).updated(by_id, embedder.encode, progress=progress)
    parts = _Parts([passage.id for passage in passages], units, offsets, vectors, _bm25(passages))
    draft = Manifest(
        format=FORMAT,
        tenant=recipe.tenant,
        collection=recipe.collection,
        passage_chars=recipe.passage_chars,
        fusion=recipe.fusion,
        embedder=embedder.id,
        dimension=embedder.dimension,
        content=content_digest(passages),
        vectors=vectors.kind,
        trained_on=vectors.trained_on,
        passages=len(passages),
        units=len(by_id),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        files={},
        terms=TERMS,
        runtime=", ".join(
            sorted(
                {*(reusable.manifest.runtime.split(", ") if reusable else ()), vectors.runtime, embedder.runtime} - {""}
            )
        ),
    )
    index = _write(root, draft, parts)
    vectors.settle()
    return index


def _start(recipe: Recipe, embedder: Embedder, reusable: Index | None) -> Table:
    """What the next version's vectors are made from: the server's, the last version's, or nothing yet."""
    if recipe.server is not None:
        return recipe.server.table(recipe.tenant, recipe.collection, embedder)
    return reusable.table() if reusable else VectorTable.empty(embedder.dimension)


def load(root: Path, server: VectorServer | None = None) -> Index:
    """The version in force, every file checked against the manifest before it is parsed.

    Raises:
        IndexMismatch: there is none, or a file is missing, changed or of another format; or the server lacks it.
        IndexUnavailable: the server cannot be reached.
    """
    version = current_version(root)
    folder = root / version
    try:
        manifest = Manifest(**json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
        if not version or manifest.format != FORMAT or manifest.id != version.rpartition("-")[2]:
            raise IndexMismatch(f"The index in {root} is missing, of another format, or not the one in force.")
        for name, digest in manifest.files.items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                raise IndexMismatch(f"The index file {folder / name} is damaged.")
        parts = _read(folder, manifest, server)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise IndexMismatch(f"The index in {root} cannot be read: {error}.") from error
    return Index(version, manifest, parts)


def current_version(root: Path) -> str:
    """The name of the version in force; "" where there is none."""
    try:
        name = (root / "current").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return name if name.replace("-", "").isalnum() else ""


def is_whole(root: Path) -> bool:
    """Whether every file that the manifest in force names is there; `load` checks what is in them."""
    folder = root / current_version(root)
    try:
        files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return False
    return folder != root and all((folder / name).is_file() for name in files)


def drop(root: Path) -> None:
    """Deletes all versions. Readers keep what they hold in memory."""
    (root / "current").unlink(missing_ok=True)
    shutil.rmtree(root, ignore_errors=True)


def unit_texts(passage: Passage) -> list[str]:
    """The whole passage under its heading path, then each sentence of prose where there are several."""
    whole = "\n".join(filter(None, [" > ".join(passage.headings), passage.text]))
    spans = [] if fields(passage.text) else sentences(passage.text)  # a field alone ("stock: 4") is everybody's
    return [whole, *(passage.text[start:end] for start, end in spans)] if len(spans) > 1 else [whole]


def _unit_id(text: str) -> int:
    """63 bits of the text's digest: equal texts share a vector."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "little") >> 1


def _bm25(passages: Sequence[Passage]) -> Any:
    """BM25 over heading path and text; None where no passage has a term."""
    counted = [terms(" ".join([*passage.headings, passage.text])) for passage in passages]
    if not any(counted):
        return None
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # it asks for DEBUG of its own accord
    bm25 = bm25s.BM25(k1=K1, b=B, method="lucene")
    bm25.index([row or [""] for row in counted], show_progress=False)
    return bm25


def _write(root: Path, draft: Manifest, parts: _Parts) -> Index:
    """Files, then their digests, then everything on the disk, then the pointer: a crash leaves the old one."""
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    work = root / f"tmp-{secrets.token_hex(6)}"
    work.mkdir()
    try:
        (work / _vectors_file(draft)).write_bytes(parts.vectors.to_bytes())
        np.save(work / "units.npy", parts.units, allow_pickle=False)
        np.save(work / "offsets.npy", parts.offsets, allow_pickle=False)
        (work / "passages.json").write_text(json.dumps(parts.passage_ids), encoding="utf-8")
        if parts.bm25 is not None:
            parts.bm25.save(work / "bm25", show_progress=False)
        written = sorted(path for path in work.rglob("*") if path.is_file())
        files = {path.relative_to(work).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in written}
        manifest = dataclasses.replace(draft, files=files)
        (work / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
        for path in [*work.rglob("*"), work]:
            _sync(path)
        version = f"v{secrets.token_hex(4)}-{manifest.id}"
        work.rename(root / version)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    before = current_version(root)
    pointer = root / f"current-{secrets.token_hex(4)}"
    pointer.write_text(version, encoding="ascii")
    _sync(pointer)
    pointer.replace(root / "current")
    _sync(root)
    if before:
        shutil.rmtree(root / before, ignore_errors=True)
    return Index(version, manifest, parts)


def _sweep(root: Path) -> None:
    """Removes what writers left that were killed."""
    for path in [*root.glob("tmp-*"), *root.glob("v*-*"), *root.glob("current-*")]:
        with contextlib.suppress(OSError):  # another process sweeps too
            if path.name == current_version(root) or time.time() - path.stat().st_mtime < LEFT_S:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _read(folder: Path, manifest: Manifest, server: VectorServer | None) -> _Parts:
    """The parts of a version whose files were checked. Raises ValueError where they disagree."""
    import bm25s

    parts = _Parts(
        passage_ids=json.loads((folder / "passages.json").read_text(encoding="utf-8")),
        units=np.load(folder / "units.npy", allow_pickle=False),
        offsets=np.load(folder / "offsets.npy", allow_pickle=False),
        vectors=_vectors((folder / _vectors_file(manifest)).read_bytes(), manifest, server),
        bm25=bm25s.BM25.load(folder / "bm25", show_progress=False)
        if "bm25/vocab.index.json" in manifest.files
        else None,
    )
    count = manifest.units if manifest.vectors == QDRANT else len(parts.vectors)  # a server's changes meanwhile
    sizes = (len(parts.passage_ids), len(parts.offsets) - 1, count, parts.vectors.dimension)
    if sizes != (manifest.passages, manifest.passages, manifest.units, manifest.dimension):
        raise ValueError("its parts do not fit together")
    return parts


def _vectors_file(manifest: Manifest) -> str:
    return "vectors.qdrant" if manifest.vectors == QDRANT else "vectors.faiss"


def _vectors(data: bytes, manifest: Manifest, server: VectorServer | None) -> Table:
    if manifest.vectors != QDRANT:
        return VectorTable.from_bytes(data, trained_on=manifest.trained_on)
    if server is None:
        raise ValueError("its vectors are on a server, and the setting retrieval.index_url names none")
    return server.open(data.decode())


def _sync(path: Path) -> None:
    """Waits until a file or folder is on the disk (Windows cannot sync a folder)."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
