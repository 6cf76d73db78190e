"""What the benchmarks of classifiers and taggers share: the one loop on the bundled encoder, and its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assistant.tuning import classifier, loop, lora, networks
from assistant.tuning.evaluation import Probabilities
from assistant.tuning.heads import fit_probe, start_from_centroids
from assistant.tuning.loop import LoopOptions
from assistant.tuning.records import Records
from assistant.tuning.tasks import ClassifyTask, TagTask


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the adapter is trained; chosen on held-out parts of training data.

    `few`: the head is fitted as a probe, before the training and again after it.
    """

    epochs: float = 4.0
    learning_rate: float = 1e-3
    batch_size: int = 64
    rank: int = 16
    smoothing: float = 0.1
    balanced: bool = False
    few: bool = False

    def options(self, seed: int) -> LoopOptions:
        return LoopOptions(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            precision="bfloat16",  # not "auto": a timing must not decide about numbers
            seed=seed,
        )


@dataclass(frozen=True, slots=True)
class Tuned:
    """An adapter on the bundled encoder in the trainer's hands."""

    model: Any
    tokenizer: Any
    task: Any

    def classify(self, records: Records) -> Probabilities:
        return classifier.predictions(self.model, self.task, self.task.examples(records, self.tokenizer))

    def tag(self, records: Records) -> list[tuple[str, ...]]:
        return classifier.taggings(self.model, self.task, self.task.examples(records, self.tokenizer))


def tuned(records: Records, recipe: Recipe, *, seed: int = 0) -> Tuned:
    """LoRA on the bundled encoder, trained on these records."""
    tokenizer, model = networks.load_classifier(
        networks.minilm_folder(), records.task, records.labels, name=networks.MINILM, seed=seed
    )
    task: Any
    if records.task == "classify":
        task = ClassifyTask(records.labels, balanced=recipe.balanced, smoothing=recipe.smoothing)
    else:
        task = TagTask(records.labels)
    examples = task.examples(records, tokenizer)
    model = lora.attach(model, lora.LoraPlan(rank=recipe.rank, seed=seed))
    if isinstance(task, ClassifyTask):
        (fit_probe if recipe.few else start_from_centroids)(model, task, examples)
    loop.train(model, task, examples, recipe.options(seed))
    if isinstance(task, ClassifyTask) and recipe.few:
        fit_probe(model, task, examples)
    return Tuned(model, tokenizer, task)


def numbers(records: Records) -> list[int]:
    """The class numbers of a classifier's records."""
    place = {label: number for number, label in enumerate(records.labels)}
    return [place[row.label] for row in records.rows]  # type: ignore[union-attr]


def svm(train: tuple[Sequence[str], Sequence[int]], test: Sequence[str]) -> np.ndarray:
    """Class numbers by a linear SVM over TF-IDF of words and word pairs: seconds, no pretraining."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    made = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC(C=1.0))
    return np.asarray(made.fit(list(train[0]), list(train[1])).predict(list(test)))
