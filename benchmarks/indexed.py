"""A data set as a collection of the product: a store and a searcher over a folder that goes again."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from assistant import console
from assistant.retrieval.search import Searcher
from assistant.settings import load_settings
from assistant.store import Store
from assistant.types import CollectionInfo, Document, Passage

TENANT = "benchmark"


@contextmanager
def searcher_over(collections: Mapping[str, Sequence[tuple[str, str, str]]], embedder: str) -> Iterator[Searcher]:
    """A searcher over (id, title, text) documents, each one passage named by its id."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        searcher = Searcher(store, load_settings().model_copy(update={"data_dir": Path(folder)}))
        for name, documents in collections.items():
            store.save_collection(CollectionInfo(TENANT, name, (), embedder, 0.5))
            store.change_documents(_stored(name, *document) for document in documents)
            searcher.refresh(TENANT, name, _tell)
        try:
            yield searcher
        finally:
            store.close()


def document_id(passage_id: str) -> str:
    """The data set's own id of a passage."""
    return passage_id.partition(":")[2]


def _tell(done: int, total: int) -> None:
    if done == total or done % 5120 == 0:
        console.tell(f"embedded {done} of {total} texts")


def _stored(collection: str, name: str, title: str, text: str) -> tuple[Document, list[Passage]]:
    digest = hashlib.sha256(text.encode()).hexdigest()
    identity = f"{collection}:{name}"
    document = Document(identity, TENANT, collection, name, text, digest, "text")
    headings = (title,) if title else ()
    passage = Passage(identity, identity, name, TENANT, collection, text, 0, len(text), digest, headings=headings)
    return document, [passage]
