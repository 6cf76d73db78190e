"""Items and requests as vectors: what a row is embedded by, and with which embedder. Kept on disk by digest.

Not an index: which items are near is `recommend/candidates.py`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.goods import Item
from assistant.retrieval.embedders import Embedder, choose_embedder, load_embedder
from assistant.retrieval.search import Searcher
from assistant.settings import Settings

Encode = Callable[[str, Sequence[str]], Any]
"""(collection, texts) -> (n, d) float32 unit rows. Raises ConfideError where no embedder is ready."""


def encoder(searcher: Searcher, settings: Settings, known: Callable[[str], bool]) -> Encode:
    """Texts to vectors by the collection's embedder; many texts at once are kept on disk.

    `known` says whether a collection has documents and so an embedder of its own; others take the one that
    knows English and Chinese.
    """

    def encode(collection: str, said: Sequence[str]) -> Any:
        own = known(collection)
        embedder = searcher.embedder(settings.tenant, collection) if own else _shared(settings)
        if len(said) == 1:
            return embedder.encode(said)
        folder = settings.data_dir / "recommend" / settings.tenant / collection
        return _kept(folder, embedder, said)

    return encode


@functools.cache
def _shared(settings: Settings) -> Embedder:
    name = settings.retrieval.embedder
    return load_embedder(choose_embedder(("en", "zh")) if name == "auto" else name, settings)


def _kept(folder: Path, embedder: Embedder, said: Sequence[str]) -> Any:
    """(n, d) of these texts; those of the last call are read back, by the digests of text and embedder."""
    keys = [hashlib.sha256(f"{embedder.id}\0{text}".encode()).hexdigest()[:32] for text in said]
    before: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        old = json.loads((folder / "vectors.json").read_text(encoding="utf-8"))
        before = dict(zip(old, np.load(folder / "vectors.npy", allow_pickle=False), strict=True))
    fresh = {key: text for key, text in zip(keys, said, strict=True) if key not in before}
    before.update(zip(fresh, embedder.encode(list(fresh.values())), strict=True))
    found = np.stack([before[key] for key in keys]) if keys else np.zeros((0, embedder.dimension), dtype=np.float32)
    if fresh:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "vectors.npy", found, allow_pickle=False)
        (folder / "vectors.json").write_text(json.dumps(keys), encoding="utf-8")
    return found


def described(item: Item) -> str:
    """What an item is embedded by: names, category, brand, the text and short fields of its row."""
    short = [f"{name}: {value}" for name, value in item.attributes.items() if len(value) <= 60]
    parts = [item.name, *item.names.values(), item.category, item.brand, item.colour, item.description, *short]
    return ". ".join(part for part in parts if part)
