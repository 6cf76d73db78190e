"""shop: the demo shop's golden set through the whole walk ask, on the default model.

The collection is ingested afresh into a temporary data folder, with the model prepared in the
configured one; the judge is `assistant.evaluate`, the same that judges a user's own assistant.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from assistant.core import Assistant
from assistant.engines.base import Engine
from assistant.evaluate import evaluate
from assistant.ingest import ingest
from assistant.retrieval.search import Searcher
from assistant.settings import Settings, load_settings
from assistant.store import Store
from assistant.types import Report

SHOP = Path(__file__).parent.parent / "examples" / "demo_shop"


def run() -> Report:
    """The report of the 120 questions."""
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder:
        assistant = ingested(settings, Path(folder), SHOP / "documents", "shop")
        report = evaluate(SHOP / "golden.jsonl", assistant, collection="shop")
        assistant.close()
    return dataclasses.replace(report, suite="shop")


def ingested(
    settings: Settings, folder: Path, documents: Path, collection: str, *, engine: Engine | None = None
) -> Assistant:
    """An assistant over a fresh store of these documents; the model is the one of `settings`, or `engine`'s."""
    store = Store.open(folder)
    searcher = Searcher(store, settings.model_copy(update={"data_dir": folder}))
    ingest([documents], store=store, settings=settings, index=searcher, collection=collection)
    return Assistant(settings=settings, store=store, searcher=searcher, engine=engine)
