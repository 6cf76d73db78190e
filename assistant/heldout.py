"""What a network makes of records it was not trained on, record by record: pairs (part, whole) by measure.

The same numbers before and after a training run show what it changed, paired by record. Not the walk
evaluate, which asks the whole assistant; here only the network speaks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant import metrics
from assistant.types import Adapter, Example, Measure

if TYPE_CHECKING:
    from assistant.tuning.records import Records

Pair = tuple[float, float]
Counts = list[dict[str, Pair]]
"""For each record, in order: measure -> (part, whole)."""
_TOKENS = 4096


def judge(model: Any, task: Any, examples: Sequence[Example]) -> Counts:
    """`loss` of chat, with `preferred` of pairs; `accuracy` and `loss` of classify; `span_f1` and `accuracy` of tag."""
    from assistant.tuning import classifier
    from assistant.tuning.preference import PreferenceTask

    if isinstance(task, PreferenceTask):
        liked = {example.ids: float(margin > 0) for example, margin in task.asked(model, examples)}
        rows = zip(examples, _chat(model, task, examples), strict=True)
        return [{**row, "preferred": (liked[example.ids], 1.0)} for example, row in rows]
    if task.name == "chat":
        return list(_chat(model, task, examples))
    if task.name == "tag":
        found = classifier.taggings(model, task, examples)
        return [_tagged(task.labels, example, tags) for example, tags in zip(examples, found, strict=True)]
    odds = classifier.predictions(model, task, examples)
    return [_classified(example, row) for example, row in zip(examples, odds.tolist(), strict=True)]


def by_live(live: Adapter, test: Records, base: Any, *, max_tokens: int = 0) -> Counts:
    """What the classifier or tagger in use makes of the test records; [] where it has other labels or another base.

    `base` is the one that the records' own run takes (its `path`, `name` and `sha256`).
    """
    from assistant.tuning import classifier, networks
    from assistant.tuning.tasks import make_task

    if (live.task, live.labels, live.base_sha256) != (test.task, test.labels, base.sha256) or not len(test):
        return []
    network = classifier.load(Path(live.path), base.path, name=base.name)
    task = make_task(test, max_tokens=max_tokens, window=networks.window(network.model))
    return judge(network.model, task, task.examples(test, network.tokenizer))


def guess(task: Any, trained_on: Sequence[Example], examples: Sequence[Example]) -> Counts:
    """What a rule without any model scores: always the commonest class, or no entity at all.

    Without records it is always the first class: which one is the commonest can be a single private record's doing.
    """
    if task.name == "tag":
        return [_tagged(task.labels, example, ["O"] * sum(example.mask)) for example in examples]
    (commonest, _), *_ = Counter(example.labels[0] for example in trained_on).most_common(1) or [(0, 0)]
    return [{"accuracy": (float(example.labels[0] == commonest), 1.0)} for example in examples]


def measures(counts: Counts) -> list[Measure]:
    """The measures over all records, with bootstrap intervals."""
    return [
        metrics.ratio(name, [row[name][0] for row in counts], [row[name][1] for row in counts])
        for name in (counts[0] if counts else {})
    ]


def gains(before: Counts, after: Counts) -> list[Measure]:
    """`<measure>_gain`: after minus before, paired by record; of the measures that both sides have."""
    names = [name for name in (after[0] if after else {}) if name in before[0]]
    return [
        metrics.difference(f"{name}_gain", [row[name] for row in before], [row[name] for row in after])
        for name in names
    ]


def told(task: str, before: Counts, after: Counts) -> dict[str, list[int]]:
    """measure -> an integer of -1 to 1 a record, of what a private run may tell with noise (`privacy.released`).

    `accuracy` (classify) and `exact` (tag: every word right) with their gains; `likelier` (chat): the records whose
    answers became likelier. What is no share of records has no bound by record and is not told.
    """
    if task == "chat":
        return {"likelier": [int(b["loss"][0] > a["loss"][0]) for b, a in zip(before, after, strict=True)]}
    name = "accuracy" if task == "classify" else "exact"
    sides = [[int(row["accuracy"][0] >= row["accuracy"][1]) for row in rows] for rows in (before, after)]
    return {name: sides[1], f"{name}_gain": [a - b for b, a in zip(*sides, strict=True)]}


def spans(tags: Sequence[str]) -> frozenset[tuple[str, int, int]]:
    """(type, start, end) of the entities, by conlleval's rules: an I of another type begins a new one.

    >>> sorted(spans(["B-person", "I-person", "O", "I-place"]))
    [('person', 0, 2), ('place', 3, 4)]
    """
    found: list[tuple[str, int, int]] = []
    kind, start = "", 0
    for place, tag in enumerate([*tags, "O"]):
        here = tag[2:] if tag != "O" else ""
        if kind and (here != kind or tag.startswith("B-")):
            found.append((kind, start, place))
            kind = ""
        if here and not kind:
            kind, start = here, place
    return frozenset(found)


def _chat(model: Any, task: Any, examples: Sequence[Example]) -> Iterator[dict[str, Pair]]:
    import torch

    from assistant.tuning import precision
    from assistant.tuning.batches import physical

    order = sorted(range(len(examples)), key=lambda place: len(examples[place].ids))  # as `physical` sorts them
    losses = [0.0] * len(examples)
    places = iter(order)
    model.eval()
    with torch.inference_mode(), precision.context(model, precision.of_base(model)):
        for part in physical(examples, _TOKENS):
            for loss in task.losses(model, task.collate(part, precision.device_of(model))).tolist():
                losses[next(places)] = loss
    yield from ({"loss": (loss, 1.0)} for loss in losses)


def _classified(example: Example, odds: Sequence[float]) -> dict[str, Pair]:
    right = example.labels[0]
    hit = max(range(len(odds)), key=lambda place: odds[place]) == right
    return {"accuracy": (float(hit), 1.0), "loss": (-math.log(max(odds[right], 1e-9)), 1.0)}


def _tagged(labels: Sequence[str], example: Example, tags: Sequence[str]) -> dict[str, Pair]:
    right = [labels[tag] for tag, first in zip(example.labels, example.mask, strict=True) if first]
    gold, found = spans(right), spans(tags)
    same = sum(one == other for one, other in zip(right, tags, strict=True))
    return {
        "span_f1": (2.0 * len(gold & found), float(len(gold) + len(found))),
        "accuracy": (float(same), float(len(right))),
    }
