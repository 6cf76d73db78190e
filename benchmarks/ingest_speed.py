"""ingest: the whole walk on a folder of mixed files against the bare embedder on the very same texts.

Synthetic files in Markdown, HTML, CSV, DOCX and plain text, written from a seed. `ratio`: seconds that the embedder alone
needs for the texts that the index embeds (whole passages and their sentences), over the seconds of reading, cutting, storing,
embedding and indexing. Each round has a data folder of its own, the two sides in turns.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path

from assistant.ingest import ingest
from assistant.provenance import provenance
from assistant.retrieval.embedders import load_embedder
from assistant.retrieval.index import unit_texts
from assistant.retrieval.search import Searcher
from assistant.settings import Settings, load_settings
from assistant.store import Store
from assistant.types import Measure, Report

FILES, ROUNDS = 60, 3
_WORDS = (
    "tent pole boots stove rope lamp order parcel delivery refund repair warranty price week month customer shop address "
    "return broken heavy light green blue winter summer river mountain path night morning cheap costly free early late"
).split()


def run() -> Report:
    """The ratio, and what it is made of."""
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder:
        documents = Path(folder) / "documents"
        _write(documents)
        rounds = [_round(settings, Path(folder) / f"data{number}", documents) for number in range(ROUNDS + 1)][1:]
    ratios = sorted(bare / whole for whole, bare, _ in rounds)
    whole = statistics.median(whole for whole, _, _ in rounds)
    measures = (
        Measure("ratio", statistics.median(ratios), low=ratios[0], high=ratios[-1], n=ROUNDS),
        Measure("passages_per_second", rounds[0][2] / whole, n=ROUNDS),
        Measure("passages", float(rounds[0][2]), n=1),
    )
    return Report("ingest", measures, provenance(settings, seed=0))


def _round(settings: Settings, data: Path, documents: Path) -> tuple[float, float, int]:
    """(seconds of the walk, of the bare embedder, passages)."""
    retrieval = settings.retrieval.model_copy(update={"embedder": "minilm"})
    own = settings.model_copy(update={"data_dir": data, "retrieval": retrieval})
    data.mkdir(parents=True)
    (data / "models").symlink_to((settings.data_dir / "models").resolve(), target_is_directory=True)
    store = Store.open(data)
    searcher = Searcher(store, own)
    embedder = load_embedder("minilm", own)
    searcher.use(embedder)
    embedder.encode(["warm"] * 8)
    began = time.perf_counter()
    ingest([documents], store=store, settings=own, index=searcher, collection="mixed")
    whole = time.perf_counter() - began
    passages = store.passages(own.tenant, "mixed")
    texts = sorted({text for passage in passages for text in unit_texts(passage)}, key=len)
    began = time.perf_counter()
    for start in range(0, len(texts), 256):
        embedder.encode(texts[start : start + 256])
    bare = time.perf_counter() - began
    store.close()
    return whole, bare, len(passages)


def _write(folder: Path) -> None:
    from docx import Document

    folder.mkdir()
    chance = random.Random(0)
    for number in range(FILES):
        paragraphs = [_paragraph(chance) for _ in range(12)]
        kind = number % 5
        if kind == 0:
            text = "\n\n".join(f"## Part {n}\n\n{paragraph}" for n, paragraph in enumerate(paragraphs))
            (folder / f"{number}.md").write_text(text, encoding="utf-8")
        elif kind == 1:
            text = "".join(f"<h2>Part {n}</h2><p>{paragraph}</p>" for n, paragraph in enumerate(paragraphs))
            (folder / f"{number}.html").write_text(f"<html><body>{text}</body></html>", encoding="utf-8")
        elif kind == 2:
            rows = "\n".join(f'{n},"{paragraph}"' for n, paragraph in enumerate(paragraphs))
            (folder / f"{number}.csv").write_text(f"number,text\n{rows}\n", encoding="utf-8")
        elif kind == 3:
            document = Document()
            for paragraph in paragraphs:
                document.add_paragraph(paragraph)
            document.save(str(folder / f"{number}.docx"))
        else:
            (folder / f"{number}.txt").write_text("\n\n".join(paragraphs), encoding="utf-8")


def _paragraph(chance: random.Random) -> str:
    """Four sentences that no other paragraph has."""
    return " ".join(" ".join(chance.choices(_WORDS, k=12)).capitalize() + "." for _ in range(4))
