"""dstc11-selection: which FAQs and review sentences a customer's turn asks for.

Restricted to the turns that need knowledge. The place is found in the dialogue by its name, in code; its
snippets are scored by the product's index; and a selection is made in two ways, both cross-validated over
whole dialogues: a threshold on the search's score (`f1_threshold`), and a classifier of snippets trained
on the other dialogues (`f1`). The dev half is small and its places recur between folds. The organisers' 0.837
is a cross-encoder trained on 28,000 turns and measured on the whole validation set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.retrieval.index import terms
from assistant.retrieval.search import Searcher
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks.common import eval_data, provenance, ratio
from benchmarks.indexed import TENANT, document_id, searcher_over

EMBEDDER = "use-multilingual"
REFERENCE = {"organisers_precision": 0.795, "organisers_recall": 0.884, "organisers_f1": 0.837}
FOLDS = 5
_KINDS = (
    "restaurant hotel guesthouse bedandbreakfast cafe house lodge bar pizzeria bistro city centre brasserie".split()
)
_NOT_NAMES = {"cambridge", "city", "golden", "royal", "rice", "india", "curry", "good", "bridge", "pizza", "worth"}


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that needs knowledge: the dialogue up to it, the ids of the snippets that answer it."""

    texts: tuple[str, ...]
    gold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Turn and snippet, one row each: features (n, f), whether it answers, its turn and its dialogue."""

    features: np.ndarray
    products: np.ndarray
    answers: np.ndarray
    turn: np.ndarray
    dialogue: np.ndarray


def selection() -> Report:
    """Precision, recall and f1 of the snippets chosen, micro-averaged; intervals by turns."""
    folder = eval_data("dstc11_dev")
    snippets, places = read_knowledge(folder)
    turns = read_turns(folder)
    found = [mentioned(turn.texts, places) for turn in turns]
    with searcher_over({"dstc11": [(name, "", text) for name, text in snippets.items()]}, EMBEDDER) as searcher:
        pairs = make_pairs(searcher, turns, found, snippets)
    simple = cross_validated(pairs, _by_score)
    learned = cross_validated(pairs, _by_classifier)
    measures = [
        *_measures(learned, pairs, turns, ""),
        *_measures(simple, pairs, turns, "_threshold"),
        _place_f1(turns, found),
    ]
    return Report("dstc11-selection", tuple(measures), provenance(load_settings(), embedder=EMBEDDER, **REFERENCE))


# The data


def read_knowledge(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Snippet id -> text, and place ("hotel/3") -> its name."""
    snippets: dict[str, str] = {}
    places: dict[str, str] = {}
    for domain, entities in json.loads((folder / "knowledge.json").read_text(encoding="utf-8")).items():
        for entity, known in entities.items():
            place = f"{domain}/{entity}"
            places[place] = known["name"]
            for number, faq in known["faqs"].items():
                snippets[f"{place}/faq/{number}"] = f"{faq['question']} {faq['answer']}"
            for number, review in known["reviews"].items():
                for sentence, text in review["sentences"].items():
                    snippets[f"{place}/review/{number}/{sentence}"] = text
    return snippets, places


def read_turns(folder: Path) -> list[Turn]:
    """The turns that need knowledge."""
    logs = json.loads((folder / "logs.json").read_text(encoding="utf-8"))
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return [
        Turn(tuple(turn["text"] for turn in log), frozenset(map(_snippet_id, label["knowledge"])))
        for log, label in zip(logs, labels, strict=True)
        if label["target"]
    ]


def _snippet_id(entry: Mapping[str, Any]) -> str:
    parts = [entry["domain"], entry["entity_id"], entry["doc_type"], entry["doc_id"]]
    return "/".join(str(part) for part in parts + ([entry["sent_id"]] if entry["doc_type"] == "review" else []))


# The place


def mentioned(texts: Iterable[str], places: Mapping[str, str]) -> set[str]:
    """The places named in the latest turn that names any."""
    aliases: dict[tuple[str, ...], set[str]] = {}
    for place, name in places.items():
        for alias in _aliases(name):
            aliases.setdefault(alias, set()).add(place)
    longest = max(map(len, aliases))
    for text in reversed(list(texts)):
        tokens, at, named = _tokens(text), 0, set()
        while at < len(tokens):
            spans = (tuple(tokens[at : at + size]) for size in range(longest, 0, -1))
            alias = next((span for span in spans if span in aliases), None)
            named |= aliases[alias] if alias else set()
            at += len(alias) if alias else 1
        if named:
            return named
    return set()


def _tokens(text: str) -> list[str]:
    text = text.lower().replace("&", " and ").replace("'", "")
    text = re.sub(r"\bb and b\b|\bbnb\b|\bbed and breakfast\b", "bedandbreakfast", text)
    text = re.sub(r"guest ?houses?", "guesthouse", text).replace("center", "centre").replace("saint", "st")
    return re.findall(r"[a-z0-9]+", text)


def _aliases(name: str) -> set[tuple[str, ...]]:
    """The name, without its article, and without the words that say what kind of place it is."""
    tokens = _tokens(name)
    short = tokens[1:] if tokens[0] in {"the", "restaurant"} and len(tokens) > 1 else tokens
    found = {tuple(tokens), tuple(short)}
    while len(short) > 1 and short[-1] in _KINDS:
        short = short[:-1]
        found.add(tuple(short))
    if "and" in short[1:]:
        found.add(tuple(short[: short.index("and", 1)]))
    return {alias for alias in found if len("".join(alias)) > 3 and alias[0] not in _NOT_NAMES | set(_KINDS)} | {
        tuple(tokens)
    }


# Pairs of turn and snippet


def make_pairs(searcher: Searcher, turns: list[Turn], found: list[set[str]], snippets: Mapping[str, str]) -> Pairs:
    """Every snippet of the places found, with the index's scores for the last turn and the last two."""
    index, embedder = searcher.index(TENANT, "dstc11"), searcher.embedder(TENANT, "dstc11")
    names = [document_id(passage) for passage in index.passage_ids]
    texts = embedder.encode([snippets[name] for name in names])
    last = embedder.encode([turn.texts[-1] for turn in turns])
    two = embedder.encode([" ".join(turn.texts[-2:]) for turn in turns])
    of_place: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        of_place.setdefault("/".join(name.split("/")[:2]), []).append(row)
    dialogues: dict[str, int] = {}
    columns: list[tuple[np.ndarray, ...]] = []
    for number, (turn, places) in enumerate(zip(turns, found, strict=True)):
        dialogue = dialogues.setdefault(turn.texts[0], len(dialogues))
        rows = np.array([row for place in sorted(places) for row in of_place[place]], dtype=np.int64)
        if not len(rows):
            continue
        dense, bm25 = index.dense(last[number], rows), index.bm25(terms(turn.texts[-1]), rows)
        fused = index.manifest.fusion * dense + (1 - index.manifest.fusion) * bm25
        scores = [
            _relative(values)
            for values in (fused, dense, bm25, index.dense(two[number], rows), texts[rows] @ last[number])
        ]
        kind = [[names[row].split("/")[2] == "faq", len(snippets[names[row]]), len(rows), len(places)] for row in rows]
        answers = np.array([names[row] in turn.gold for row in rows])
        same = np.ones(len(rows), dtype=np.int64)
        columns.append(
            (
                np.hstack([*scores, np.array(kind, dtype=float)]),
                last[number] * texts[rows],
                answers,
                number * same,
                dialogue * same,
            )
        )
    return Pairs(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _relative(scores: np.ndarray) -> np.ndarray:
    """(n, 4): standing among the turn's snippets, the score, its distance to the best, its rank."""
    standing = (scores - scores.mean()) / (scores.std() + 1e-6)
    return np.stack([standing, scores, scores.max() - scores, np.argsort(np.argsort(-scores))], axis=1)


# The choice

Choice = Callable[[Pairs, np.ndarray, np.ndarray], np.ndarray]


def cross_validated(pairs: Pairs, choose: Choice) -> np.ndarray:
    """Which pairs are chosen, each by a choice fitted on other dialogues."""
    from sklearn.model_selection import GroupKFold

    chosen = np.zeros(len(pairs.answers), dtype=bool)
    for train, test in GroupKFold(FOLDS).split(pairs.features, groups=pairs.dialogue):
        chosen[test] = choose(pairs, train, test)
    return chosen


def _by_score(pairs: Pairs, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """A threshold on the standing of the fused score."""
    standing = pairs.features[:, 0]
    return standing[test] >= _threshold(standing[train], pairs.answers[train])


def _by_classifier(pairs: Pairs, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """A logistic regression over the products of the vectors, and trees over it and the scores.

    What the trees and the threshold learn from is predicted within the training dialogues by folds,
    so that no step sees a label it is judged on.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    wide = np.hstack([pairs.products, pairs.features]).astype(np.float32)
    answers, groups = pairs.answers[train], pairs.dialogue[train]
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=200))
    trees = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.06, random_state=0)
    within = {"groups": groups, "cv": GroupKFold(3), "method": "predict_proba"}
    inner = cross_val_predict(linear, wide[train], answers, **within)[:, 1]
    outer = linear.fit(wide[train], answers).predict_proba(wide[test])[:, 1]
    train_rows = np.column_stack([pairs.features[train], inner])
    likely = cross_val_predict(trees, train_rows, answers, **within)[:, 1]
    threshold = _threshold(likely, answers)
    trees.fit(train_rows, answers)
    judged = trees.predict_proba(np.column_stack([pairs.features[test], outer]))[:, 1]
    return np.asarray(judged >= threshold)


def _threshold(scores: np.ndarray, answers: np.ndarray) -> float:
    """The score from which on the f1 is highest."""
    order = np.argsort(-scores)
    right = np.cumsum(answers[order])
    f1 = 2 * right / (np.arange(1, len(order) + 1) + answers.sum())
    return float(scores[order[int(np.argmax(f1))]])


# The measures


def _measures(chosen: np.ndarray, pairs: Pairs, turns: list[Turn], suffix: str) -> list[Measure]:
    predicted = np.bincount(pairs.turn, weights=chosen, minlength=len(turns))
    right = np.bincount(pairs.turn, weights=chosen & pairs.answers, minlength=len(turns))
    gold = np.array([len(turn.gold) for turn in turns], dtype=float)
    return [
        ratio(f"f1{suffix}", list(2 * right), list(predicted + gold)),
        ratio(f"precision{suffix}", list(right), list(predicted)),
        ratio(f"recall{suffix}", list(right), list(gold)),
    ]


def _place_f1(turns: list[Turn], found: list[set[str]]) -> Measure:
    gold = [{"/".join(name.split("/")[:2]) for name in turn.gold} for turn in turns]
    both = [2.0 * len(one & other) for one, other in zip(gold, found, strict=True)]
    return ratio("f1_place", both, [float(len(one) + len(other)) for one, other in zip(gold, found, strict=True)])
