"""retrieval-latency: a hybrid search over 100,000 passages, the question's embedding included.

The passages are synthetic: three sentences each, words drawn as in a language (the n-th word 1/n times as often). Their vectors
are random ones, because embedding them would take an hour and would not change what a search does; the questions are
embedded by the real encoder, searched by FAISS and BM25, fused, and read back from the store. Milliseconds of the whole call.
"""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from assistant.metrics import quantile
from assistant.provenance import provenance
from assistant.retrieval.embedders import Embedder, Vectors, load_embedder
from assistant.retrieval.search import Searcher
from assistant.settings import load_settings
from assistant.store import Store
from assistant.types import CollectionInfo, Document, Measure, Passage, Report

PASSAGES = int(os.environ.get("PASSAGES") or 100_000)
ASKED, WORDS = 200, 30_000


class Drawn:
    """The real encoder for questions; for everything that is indexed a vector drawn by its text."""

    def __init__(self, real: Embedder) -> None:
        self.name, self.id, self.runtime = real.name, real.id, real.runtime
        self.dimension, self.languages = real.dimension, real.languages
        self._real = real

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.encode`."""
        if len(texts) == 1:
            return self._real.encode(texts)
        seed = int.from_bytes(hashlib.sha256(texts[0].encode()).digest()[:8], "little")
        drawn = np.random.default_rng(seed).standard_normal((len(texts), self.dimension), dtype=np.float32)
        vectors: Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return vectors


def run() -> Report:
    """p50 and p95 of the search."""
    settings = load_settings()
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        store.save_collection(CollectionInfo(settings.tenant, "many", ("en",), "minilm", 0.5))
        for part in range(0, PASSAGES, 1000):
            store.change_documents([_document(settings.tenant, part, min(1000, PASSAGES - part), chance)])
        searcher = Searcher(store, settings.model_copy(update={"data_dir": Path(folder)}))
        searcher.use(Drawn(load_embedder("minilm", settings)))
        searcher.refresh(settings.tenant, "many")
        wall, work = [], []
        for number in range(ASKED + 10):
            question = " ".join(_words(chance, 9))
            began, spent = time.perf_counter(), time.process_time()
            searcher.search(settings.tenant, "many", question, 5)
            if number >= 10:
                wall.append(1000 * (time.perf_counter() - began))
                work.append(1000 * (time.process_time() - spent))
        units = searcher.index(settings.tenant, "many").manifest.units
        store.close()
    measures = (
        quantile("p95_ms", wall, 0.95),
        quantile("p50_ms", wall, 0.5),
        quantile("p95_processor_ms", work, 0.95),
        Measure("passages", float(PASSAGES), n=1),
        Measure("vectors", float(units), n=1),
    )
    return Report("retrieval-latency", measures, provenance(settings, seed=0))


def _words(chance: random.Random, count: int) -> list[str]:
    return [f"w{int(WORDS ** chance.random())}x" for _ in range(count)]


def _document(tenant: str, first: int, count: int, chance: random.Random) -> tuple[Document, list[Passage]]:
    texts = ["  ".join(" ".join(_words(chance, 16)).capitalize() + "." for _ in range(3)) for _ in range(count)]
    whole = "\n".join(texts)
    document = Document(
        f"d{first}", tenant, "many", f"{first}.txt", whole, hashlib.sha256(whole.encode()).hexdigest(), "text"
    )
    passages, at = [], 0
    for number, text in enumerate(texts):
        digest = hashlib.sha256(text.encode()).hexdigest()
        name = f"p{first + number}"
        passages.append(Passage(name, document.id, document.name, tenant, "many", text, at, at + len(text), digest))
        at += len(text) + 1
    return document, passages
