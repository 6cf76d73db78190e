"""The vectors of many processes in one place: a Qdrant server, for the index in place of FAISS.

A set of vectors on the server belongs to one tenant's collection and one embedder, by its name: a question cannot
reach another's. A point is the digest of a text and its vector, nothing else: no word of a document is kept there. As
the digest stands for the text, a vector is never wrong, at most absent. So processes may add and take away side by
side: a version in use passes over what it does not know, and what it misses raises `IndexMismatch`, upon which it is
made anew. BM25, the manifest and which passage has which sentence stay with each process (`index.py`). It is not the
truth: that is the store.

Source: Qdrant, "Points", "Search" and "Filtering" of its documentation, as its client 1.20 speaks to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from assistant.errors import IndexMismatch, IndexUnavailable, SettingsError
from assistant.retrieval.embedders import Embedder, Vectors
from assistant.retrieval.vectors import BATCH, FLAT_LIMIT, QDRANT, Cosines, Ids, Progress

TIMEOUT_S = 10
_SPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
PAGE = 10_000
"""Ids in one message, at most."""


class VectorServer:
    """One Qdrant server, and in it the sets of one installation. Thread-safe; it is not asked before it is needed."""

    def __init__(self, client: Any, where: str, *, space: str = "confide") -> None:
        self.client = client
        self.where = where
        self._space = space

    def table(self, tenant: str, collection: str, embedder: Embedder) -> SharedTable:
        """The set of a collection under this embedder, made where there is none; those of other embedders go.

        Raises:
            IndexUnavailable: the server cannot be reached, or does not let us.
        """
        from qdrant_client import models

        name = self._prefix(tenant, collection) + hashlib.sha256(embedder.id.encode()).hexdigest()[:12]
        with self.asking():
            for other in self._of(tenant, collection):
                if other != name:
                    self.client.delete_collection(other)
            if not self.client.collection_exists(name):
                shape = models.VectorParams(size=embedder.dimension, distance=models.Distance.DOT)
                self._create(name, shape, embedder.runtime)
        return self.open(name)

    def open(self, name: str) -> SharedTable:
        """The set of this name. Raises IndexMismatch where there is none, IndexUnavailable."""
        with self.asking():
            if not self.client.collection_exists(name):
                raise IndexMismatch(f"The vector server at {self.where} has no {name}.")
            found = self.client.get_collection(name)
        runtime = str((found.config.metadata or {}).get("runtime", ""))
        return SharedTable(self, name, dimension=found.config.params.vectors.size, runtime=runtime)

    def drop(self, tenant: str, collection: str) -> None:
        """Deletes all of a collection. Raises IndexUnavailable."""
        with self.asking():
            for name in self._of(tenant, collection):
                self.client.delete_collection(name)

    def has(self, tenant: str, collection: str) -> bool:
        """Whether it has vectors of a collection. Raises IndexUnavailable."""
        with self.asking():
            return bool(self._of(tenant, collection))

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Within it, what the client raises is told as ours."""
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        try:
            yield
        except UnexpectedResponse as error:
            if error.status_code == 404:  # deleted by another process since it was opened
                raise IndexMismatch(f"The vectors are no longer at {self.where}.") from error
            hint = "Its key is in the address: http://:KEY@host:6333." if error.status_code in (401, 403) else ""
            raise IndexUnavailable(
                f"The vector server at {self.where} answered {error.status_code} {error.reason_phrase}.", hint=hint
            ) from error
        except ResponseHandlingException as error:
            raise IndexUnavailable(
                f"The vector server at {self.where} cannot be reached ({error.source}).",
                hint="Does it run? The setting retrieval.index_url says where it is.",
            ) from error

    def _create(self, name: str, shape: Any, runtime: str) -> None:
        from qdrant_client.http.exceptions import UnexpectedResponse

        try:
            self.client.create_collection(name, vectors_config=shape, metadata={"runtime": runtime})
        except UnexpectedResponse:
            if not self.client.collection_exists(name):  # where it does, another process was first
                raise

    def _prefix(self, tenant: str, collection: str) -> str:
        """No tenant or collection has a dot in its name."""
        return f"{self._space}.{tenant}.{collection}."

    def _of(self, tenant: str, collection: str) -> list[str]:
        prefix = self._prefix(tenant, collection)
        return [known.name for known in self.client.get_collections().collections if known.name.startswith(prefix)]


class SharedTable:
    """A set of vectors on the server; see `vectors.Table`. What it holds changes under all who have it open."""

    kind = QDRANT
    trained_on = 0

    def __init__(self, server: VectorServer, name: str, *, dimension: int, runtime: str) -> None:
        self._server, self._client = server, server.client
        self.name, self.dimension, self.runtime = name, dimension, runtime
        self._gone: list[int] = []
        self._exact = len(self) <= FLAT_LIMIT

    def __len__(self) -> int:
        with self._server.asking():
            return int(self._client.count(self.name).count)

    def to_bytes(self) -> bytes:
        """Its name, for `VectorServer.open`."""
        return self.name.encode()

    def nearest(self, vector: Vectors, count: int) -> Ids:
        """Ids of at most `count` rows nearest to a (d,) vector by inner product, nearest first."""
        return np.array([point.id for point in self._query(vector, count)], dtype=np.int64)

    def cosines(self, ids: Ids, vector: Vectors) -> Cosines:
        """(n,): of each of these ids with a (d,) vector; the server computes, the rows stay there.

        Raises:
            IndexMismatch: it does not have them all.
        """
        from qdrant_client import models

        wanted, places = np.unique(ids, return_inverse=True)
        found: dict[int, float] = {}
        for start in range(0, len(wanted), PAGE):
            part = wanted[start : start + PAGE].tolist()
            among = models.Filter(must=[models.HasIdCondition(has_id=part)])
            found |= {int(point.id): point.score for point in self._query(vector, len(part), among)}
        self._check(len(found), len(wanted))
        scores: Cosines = np.array([found[key] for key in wanted.tolist()], dtype=np.float32)[places]
        return scores

    def rows(self, ids: Ids) -> Vectors:
        """(n, d): the rows of these ids. Raises IndexMismatch where it does not have them all."""
        with self._server.asking():
            records = self._client.retrieve(self.name, ids=ids.tolist(), with_payload=False, with_vectors=True)
        found = {record.id: record.vector for record in records}
        self._check(len(found), len(set(ids.tolist())))
        return np.array([found[key] for key in ids.tolist()], dtype=np.float32).reshape(len(ids), self.dimension)

    def updated(
        self, texts: Mapping[int, str], encode: Callable[[Sequence[str]], Vectors], *, progress: Progress
    ) -> SharedTable:
        """Itself with at least the ids of `texts`; only those that nobody put there yet are encoded."""
        from qdrant_client import models

        have = self._ids()
        new = sorted(texts.keys() - have, key=lambda key: (len(texts[key]), key))
        progress(0, len(new))
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            rows = encode([texts[key] for key in batch]).tolist()
            with self._server.asking():
                self._client.upsert(self.name, points=models.Batch(ids=batch, vectors=rows), wait=True)
            progress(start + len(batch), len(new))
        after = SharedTable(self._server, self.name, dimension=self.dimension, runtime=self.runtime)
        after._gone = sorted(have - texts.keys())
        return after

    def settle(self) -> None:
        """Deletes what the version before had and this one has not, now that this one is in force."""
        from qdrant_client import models

        gone, self._gone = self._gone, []
        for start in range(0, len(gone), PAGE):
            with self._server.asking():
                points = models.PointIdsList(points=gone[start : start + PAGE])
                self._client.delete(self.name, points_selector=points, wait=True)

    def _query(self, vector: Vectors, count: int, among: Any = None) -> list[Any]:
        from qdrant_client import models

        if count < 1:
            return []
        exact = models.SearchParams(exact=True) if self._exact or among is not None else None
        with self._server.asking():
            found = self._client.query_points(
                self.name, query=vector.tolist(), query_filter=among, limit=count, search_params=exact,
                with_payload=False,
            )  # fmt: skip
        points: list[Any] = found.points
        return points

    def _ids(self) -> set[int]:
        found: set[int] = set()
        offset = None
        while True:
            with self._server.asking():
                page, offset = self._client.scroll(
                    self.name, limit=PAGE, offset=offset, with_payload=False, with_vectors=False
                )
            found |= {int(record.id) for record in page}
            if offset is None:
                return found

    def _check(self, found: int, wanted: int) -> None:
        if found != wanted:
            raise IndexMismatch(f"The vector server at {self._server.where} lacks {wanted - found} vectors.")


def connect(url: str) -> VectorServer:
    """The server at a URL, http(s)://[SPACE][:KEY@]host[:6333]; nothing is sent yet.

    SPACE is what this installation's sets are called there ("confide"), where several share a server.

    Raises:
        SettingsError: the package qdrant-client is not installed, or the URL is none.
    """
    try:
        from qdrant_client import QdrantClient
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"The setting retrieval.index_url needs the package {error.name}, which is not installed.",
            hint="pip install -r requirements-qdrant.txt -c constraints.txt",
        ) from error
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port or 6333
    except ValueError:
        host, port = "", 0
    if parts.scheme not in {"http", "https"} or not host:
        raise SettingsError("retrieval.index_url is not an address.", hint="For example http://127.0.0.1:6333.")
    space = parts.username or "confide"
    if not _SPACE.fullmatch(space):
        raise SettingsError(
            "The name before the key in retrieval.index_url cannot be used.", hint="Use a-z, 0-9, - and _, 63 at most."
        )
    where = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    client = QdrantClient(
        url=where, prefix=parts.path.strip("/") or None, api_key=unquote(parts.password or "") or None,
        timeout=TIMEOUT_S, check_compatibility=False,
    )  # fmt: skip
    return VectorServer(client, where, space=space)
