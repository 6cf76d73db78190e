"""WNUT 2017, emerging entities in tweets and comments: span F1 of LoRA token classification beside a CRF.

Both learn from the training part alone and are judged once on the test part, whose entities the
training part hardly has: scores are low for everybody.

Source: Derczynski et al. 2017, Results of the WNUT2017 Shared Task (ACL W17-4418).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from assistant import metrics
from assistant.heldout import spans
from assistant.tuning.data import read_records
from assistant.tuning.records import Records, TagRow
from assistant.types import Report
from benchmarks.classifying import Recipe, tuned
from benchmarks.common import eval_data, provenance

RECIPE = Recipe(epochs=5, learning_rate=1e-3, batch_size=32)
Pair = tuple[float, float]


def run() -> Report:
    """`span_f1`, `crf_span_f1` and the paired difference, with bootstrap intervals over sentences."""
    folder = eval_data("wnut17")
    files = (folder / "wnut17train.conll", folder / "emerging.test.annotated")
    train = read_records(files[0], "tag")
    test = read_records(files[1], "tag", labels=train.labels)
    lora = counts(test, tuned(train, RECIPE).tag(test))
    plain = counts(test, crf(train, test))
    measures = (
        _f1("span_f1", lora),
        _f1("crf_span_f1", plain),
        metrics.difference("gain_over_crf", plain, lora),
    )
    return Report("wnut17", measures, provenance(seed=0, files=files))


def counts(test: Records, found: Sequence[Sequence[str]]) -> list[Pair]:
    """Of each sentence (2 x right spans, spans there and said): their sums make F1."""
    made = []
    for row, tags in zip(_rows(test), found, strict=True):
        gold, said = spans(row.tags), spans(tags)
        made.append((2.0 * len(gold & said), float(len(gold) + len(said))))
    return made


def crf(train: Records, test: Records) -> list[list[str]]:
    """Tags by a conditional random field over the words' forms and neighbours."""
    import tempfile

    import pycrfsuite

    trainer = pycrfsuite.Trainer(verbose=False, params={"c1": 0.1, "c2": 0.01, "max_iterations": 100})
    for row in _rows(train):
        trainer.append(list(features(row.tokens)), list(row.tags))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crf"
        trainer.train(str(path))
        tagger = pycrfsuite.Tagger()
        tagger.open(str(path))
        found = [tagger.tag(list(features(row.tokens))) for row in _rows(test)]
        tagger.close()
    return found


def features(words: Sequence[str]) -> Iterator[list[str]]:
    """What the CRF sees of each word: itself, its shape, its ends, and its neighbours' form."""
    for place, word in enumerate(words):
        made = ["bias", f"2:{word[:2].lower()}", f"-3:{word[-3:].lower()}", f"-2:{word[-2:].lower()}"]
        for step in (-2, -1, 0, 1, 2):
            near = words[place + step] if 0 <= place + step < len(words) else ""
            made += [f"{step}w:{near.lower()}", f"{step}s:{_shape(near)}"]
        yield made


def _shape(word: str) -> str:
    shape = re.sub(r"[A-Z]", "X", re.sub(r"[a-z]", "x", re.sub(r"\d", "9", word)))
    return re.sub(r"(.)\1+", r"\1", shape)


def _rows(records: Records) -> list[TagRow]:
    return [row for row in records.rows if isinstance(row, TagRow)]


def _f1(name: str, pairs: Sequence[Pair]):
    return metrics.ratio(name, [part for part, _ in pairs], [whole for _, whole in pairs])
