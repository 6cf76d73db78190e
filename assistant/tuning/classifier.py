"""A trained classifier or tagger in use: text in, probabilities or tags out.

It is loaded from its adapter's folder and its base's; chat adapters are the engine's. `predictions`
and `taggings` serve a model that is still in the trainer's hands, for evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.errors import BadInput
from assistant.tuning import lora, networks, precision
from assistant.tuning.batches import physical
from assistant.tuning.records import ClassifyRow, TagRow, records_of
from assistant.tuning.tasks import ClassifyTask, TagTask
from assistant.types import Example
from assistant.types import Task as TaskName

Probabilities = npt.NDArray[np.float32]
_PART = 4096


class LoadedClassifier:
    """A base, its adapter and its head. Made by `load`; not for two threads at once."""

    def __init__(self, tokenizer: Any, model: networks.Classifier) -> None:
        self.labels = model.labels
        self.task = "tag" if model.pooling == "tokens" else "classify"
        self.tokenizer, self.model = tokenizer, model
        self._window = networks.window(model)

    def classify(self, texts: Sequence[str]) -> Probabilities:
        """(n, labels): how likely each class is. What is beyond the window of the base is not read."""
        rows = [ClassifyRow(text, self.labels[0]) for text in texts]
        task = ClassifyTask(self.labels, max_tokens=1_000_000)
        examples = task.examples(records_of("classify", rows, labels=self.labels), self.tokenizer)
        return predictions(self.model, task, [_cut(example, self._window) for example in examples])

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
        """A tag for each word of each sentence; "O" beyond the window of the base."""
        rows = [TagRow(tuple(words), (self.labels[0],) * len(words)) for words in sentences]
        task = TagTask(self.labels, max_tokens=1_000_000)
        examples = task.examples(records_of("tag", rows, labels=self.labels), self.tokenizer)
        found = taggings(self.model, task, [_cut(example, self._window) for example in examples])
        return [
            (*tags, *(networks.OUTSIDE,) * (len(words) - len(tags)))
            for tags, words in zip(found, sentences, strict=True)
        ]


def load(folder: Path, base: Path, *, dtype: str = "float32", name: str = "") -> LoadedClassifier:
    """The classifier of an adapter's folder that `lora.save` wrote, over its base.

    Raises:
        BadInput: the folder holds no classifier, or one for another base.
    """
    try:
        about = json.loads((folder / lora.HEAD).read_text(encoding="utf-8"))
        labels, pooling, beside = tuple(map(str, about["labels"])), str(about["pooling"]), str(about.get("beside", ""))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{folder} holds no classifier ({lora.HEAD}: {error!r}).") from error
    task: TaskName = "tag" if pooling == "tokens" else "classify"
    tokenizer, model = networks.load_classifier(base, task, labels, dtype=dtype, name=name)
    if pooling == "twice":
        model = networks.reading_twice(tokenizer, model, measured=False, beside=beside)
    return LoadedClassifier(tokenizer, lora.load(model, folder).eval())


def predictions(model: Any, task: ClassifyTask, examples: Sequence[Example]) -> Probabilities:
    """(n, labels) probabilities, in the order of the examples."""
    odds = np.zeros((len(examples), len(task.labels)), dtype=np.float32)
    for places, batch in _batches(model, task, examples):
        odds[places] = task.predict(model, batch).cpu().numpy()
    return odds


def taggings(model: Any, task: TagTask, examples: Sequence[Example]) -> list[tuple[str, ...]]:
    """The likeliest tag of each word, in the order of the examples."""
    found: list[tuple[str, ...]] = [()] * len(examples)
    for places, batch in _batches(model, task, examples):
        for place, odds in zip(places, task.predict(model, batch), strict=True):
            found[place] = tuple(task.labels[number] for number in odds.argmax(-1).tolist())
    return found


def _batches(model: Any, task: ClassifyTask | TagTask, examples: Sequence[Example]) -> Any:
    """(places, batch) of examples of like length, inside inference and the base's number format."""
    import torch

    model.eval()
    order = {id(example): place for place, example in enumerate(examples)}
    if len(order) != len(examples):  # the same object twice
        examples = [Example(e.ids, e.mask, e.labels, e.owner, e.weight) for e in examples]
        order = {id(example): place for place, example in enumerate(examples)}
    device = precision.device_of(model)
    with torch.inference_mode(), precision.context(model, precision.of_base(model)):
        for part in physical(examples, _PART):
            yield [order[id(example)] for example in part], task.collate(part, device)


def _cut(example: Example, window: int) -> Example:
    if len(example.ids) <= window:
        return example
    return Example(example.ids[:window], example.mask[:window], example.labels[:window], example.owner)
