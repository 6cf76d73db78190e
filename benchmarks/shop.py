"""shop: the demo shop's golden set through the whole walk ask, on the default model.

The collection is ingested afresh into a temporary data folder, with the model prepared in the
configured one; the judge is `assistant.evaluate`, the same that judges a user's own assistant. The same questions are
asked of the bare model beside: `<measure>_gain` is what the built-in adapter changes, question by question.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from assistant import promotion
from assistant.adapters import BARE
from assistant.core import Assistant
from assistant.engines.base import Engine
from assistant.evaluate import judge_all, report_on
from assistant.ingest import ingest
from assistant.retrieval.search import Searcher
from assistant.settings import Settings, load_settings
from assistant.store import Store
from assistant.types import Measure, Report

SHOP = Path(__file__).parent.parent / "examples" / "demo_shop"


def run() -> Report:
    """The report of the 120 questions."""
    settings, golden = load_settings(), SHOP / "golden.jsonl"
    with tempfile.TemporaryDirectory() as folder:
        assistant = ingested(settings, Path(folder), SHOP / "documents", "shop")
        bare, judged = (judge_all(golden, assistant, collection="shop", adapter=name) for name in (BARE, None))
        report = report_on(judged, golden, assistant, suite="shop")
        assistant.close()
    gains = promotion.gains(bare, judged)
    facts = next(gain for gain in gains if gain.name == f"answer_facts{promotion.GAIN}")
    low = Measure(f"{facts.name}_low", facts.value if facts.low is None else facts.low, n=facts.n)
    return dataclasses.replace(report, measures=(*report.measures, *gains, low))


def ingested(
    settings: Settings, folder: Path, documents: Path, collection: str, *, engine: Engine | None = None
) -> Assistant:
    """An assistant over a fresh store of these documents; the model is the one of `settings`, or `engine`'s."""
    store = Store.open(folder)
    searcher = Searcher(store, settings.model_copy(update={"data_dir": folder}))
    ingest([documents], store=store, settings=settings, index=searcher, collection=collection)
    return Assistant(settings=settings, store=store, searcher=searcher, engine=engine)
