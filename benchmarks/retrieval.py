"""scifact and xquad: rankings by the product's own index and search, nDCG@10 by trec_eval.

Each document of a set is one passage of a collection. `ndcg@10_bm25`, `_dense` and `_fused` differ in
the dense share alone; fused goes through `Searcher.search` as a customer's question would, at the
share in force. The shares in `search.py` were chosen on these same sets: one number an embedder, so the
gain of fusing is slightly flattered. dstc11-selection is in `dstc11.py`.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from assistant.retrieval.index import terms
from assistant.retrieval.search import Searcher, scored
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks.common import eval_data, mean, provenance, ranking
from benchmarks.dstc11 import selection as dstc11_selection
from benchmarks.indexed import TENANT, document_id, searcher_over

__all__ = ["dstc11_selection", "scifact", "xquad"]

K = 10


@dataclass(frozen=True, slots=True)
class Set:
    """A retrieval set: (id, title, text) of documents, id -> question, id -> document -> grade."""

    documents: list[tuple[str, str, str]]
    questions: dict[str, str]
    relevant: dict[str, dict[str, int]]


def scifact() -> Report:
    """English claims to abstracts, with the English embedder. `ndcg@10` is the best of the three."""
    data = read(eval_data("scifact"))
    with searcher_over({"scifact": data.documents}, "minilm") as searcher:
        measures = compare(searcher, "scifact", data, "")
        made_with = _made_with(searcher, "scifact")
    best = max(measures, key=lambda measure: measure.value)
    head = dataclasses.replace(best, name="ndcg@10")
    return Report("scifact", (head, *measures), provenance(load_settings(), best=best.name, **made_with))


def xquad() -> Report:
    """Questions to paragraphs within and across languages, with the multilingual embedder. `ndcg@10_*` is fused."""
    folder = eval_data("xquad")
    sets = {language: read(folder / language) for language in ("en", "zh")}
    measures: list[Measure] = []
    with searcher_over({name: data.documents for name, data in sets.items()}, "use-multilingual") as searcher:
        for asked, searched in (("en", "en"), ("zh", "zh"), ("zh", "en")):
            name = f"_{asked}" if asked == searched else f"_{asked}_{searched}"
            data = dataclasses.replace(sets[searched], questions=sets[asked].questions)
            rows = compare(searcher, searched, data, name)
            measures += [dataclasses.replace(rows[-1], name=f"ndcg@10{name}"), *rows]
        made_with = _made_with(searcher, "zh")
    return Report("xquad", tuple(measures), provenance(load_settings(), **made_with))


def compare(searcher: Searcher, collection: str, data: Set, suffix: str) -> list[Measure]:
    """nDCG@10 of BM25 alone, of vectors alone, and of what `search` gives, in this order."""
    index = searcher.index(TENANT, collection)
    vectors = searcher.embedder(TENANT, collection).encode(list(data.questions.values()))
    runs: dict[str, dict[str, dict[str, float]]] = {"bm25": {}, "dense": {}, "fused": {}}
    for (question, text), vector in zip(data.questions.items(), vectors, strict=True):
        for kind, weight in (("bm25", 0.0), ("dense", 1.0)):
            rows, scores = scored(index, vector[None, :], [terms(text)], weight=weight)
            best = sorted(zip(scores.tolist(), rows.tolist(), strict=True), key=lambda pair: -pair[0])[:K]
            runs[kind][question] = {document_id(index.passage_ids[row]): score for score, row in best}
        hits = searcher.search(TENANT, collection, text, K)
        runs["fused"][question] = {document_id(hit.passage.id): hit.score for hit in hits}
    return [
        mean(f"ndcg@10{suffix}_{kind}", ranking(data.relevant, run, ["ndcg_cut_10"])["ndcg_cut_10"])
        for kind, run in runs.items()
    ]


def read(folder: Path) -> Set:
    """A set in BEIR's layout."""
    documents = _lines(folder / "corpus.jsonl")
    relevant: dict[str, dict[str, int]] = {}
    with (folder / "qrels.tsv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            relevant.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return Set(
        documents=[(row["_id"], row["title"], row["text"]) for row in documents],
        questions={row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl") if row["_id"] in relevant},
        relevant=relevant,
    )


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _made_with(searcher: Searcher, collection: str) -> dict[str, str | float]:
    manifest = searcher.index(TENANT, collection).manifest
    return {"embedder": manifest.embedder, "dense_share": manifest.fusion, "index_content": manifest.content}
