"""What the benchmarks of federated classifiers share: the bundled encoder, partners in one process, a run that goes on.

The frozen lower layers are computed once per text (`activations.kept`), so a round costs the upper layers only.
Partners train one after another with the product's own coordinator, gate, masks and rules between them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.tuning import activations, classifier, lora, networks
from assistant.tuning.heads import start_from_centroids
from assistant.tuning.records import ClassifyRow, Records, records_of
from assistant.tuning.tasks import ClassifyTask
from assistant.types import Example
from benchmarks.classifying import numbers
from federated.enrol import Identity, Roster, apply, make_identity
from federated.learning import LoraTrainer, put_weights, weights_of
from federated.local import Partner, Policy
from federated.partition import Parts
from federated.rounds import Coordinator, RunConfig
from federated.simulate import InProcess
from federated.types import Arrays

MakePartner = Callable[[Identity, LoraTrainer, Path, Mapping[str, Any]], Partner]


@dataclass(frozen=True, slots=True)
class Shape:
    """The adapter: frozen A of this rank in the layers named, B and the head trained."""

    rank: int = 16
    layers: tuple[int, ...] = (3, 4, 5)
    smoothing: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Ground:
    """The model under a fresh adapter, its training examples, its test (`records` and `test`)."""

    model: Any
    tokenizer: Any
    task: Any
    examples: tuple[Example, ...]
    records: Records
    test: tuple[Example, ...]
    gold: np.ndarray
    start: Arrays

    def trainer(self, places: Sequence[int]) -> LoraTrainer:
        """A partner's trainer on these rows."""
        return LoraTrainer(self.model, self.task, [self.examples[place] for place in places])

    def trainer_on(self, records: Records) -> LoraTrainer:
        """A trainer on other rows, a hostile partner's."""
        return LoraTrainer(self.model, self.task, self.task.examples(records, self.tokenizer))

    def said(self, weights: Arrays, examples: Sequence[Example] | None = None) -> np.ndarray:
        """The class numbers that shared weights give the test's texts, or others."""
        put_weights(self.model, weights)
        return classifier.predictions(self.model, self.task, examples or self.test).argmax(1)

    def accuracy(self, weights: Arrays) -> float:
        """On the test."""
        return float((self.said(weights) == self.gold).mean())


@contextlib.contextmanager
def prepared(train: Records, test: Records, shape: Shape, *, more: Records | None = None) -> Iterator[Ground]:
    """The ground while the block runs; `more` are texts that are trained on too, by whoever likes."""
    tokenizer, model = networks.load_classifier(
        networks.minilm_folder(), "classify", train.labels, name=networks.MINILM, seed=shape.seed
    )
    task = ClassifyTask(train.labels, smoothing=shape.smoothing)
    examples, held = task.examples(train, tokenizer), task.examples(test, tokenizer)
    model = lora.attach(model, lora.LoraPlan("frozen-a", shape.rank, layers=shape.layers, seed=shape.seed))
    start_from_names(model, task, tokenizer)
    known = (*examples, *(task.examples(more, tokenizer) if more else ()))
    with activations.kept(model, known):
        gold = np.array(numbers(test))
        yield Ground(model, tokenizer, task, examples, test, held, gold, weights_of(model))


def start_from_names(model: Any, task: ClassifyTask, tokenizer: Any) -> None:
    """Sets the head to what the encoder makes of the classes' own names: nobody's data, the same for everybody."""
    named = tuple(ClassifyRow(label.replace("_", " ").rstrip("?"), label) for label in task.labels)
    start_from_centroids(model, task, task.examples(records_of("classify", named, labels=task.labels), tokenizer))


def conduct(
    ground: Ground, parts: Parts, config: RunConfig, folder: Path, *, make: MakePartner | None = None
) -> Arrays:
    """The shared weights after the run's rounds; a run that was cut off goes on after its last round."""
    roster, identities = Roster(folder), []
    for number in range(len(parts)):
        identity = make_identity(folder / f"p{number}", f"p{number}")
        if identity.card.name not in roster.cards():
            invitation = roster.invite(identity.card.name, address="", authority="", coordinator="")
            roster.enrol(apply(invitation, identity), now=0.0)
        identities.append(identity)
    cards = roster.cards()
    partners = [
        (make or honest)(identity, ground.trainer(part), folder / identity.card.name / "run", cards)
        for identity, part in zip(identities, parts, strict=True)
    ]
    lead = Coordinator(config, folder / "run", ground.start, wire=InProcess(partners), verify=roster.verify)
    lead.go()
    return lead.sent_weights()


def honest(identity: Identity, trainer: LoraTrainer, folder: Path, cards: Mapping[str, Any]) -> Partner:
    """A partner as the product makes it."""
    return Partner(identity, trainer, folder, peers=cards, policy=Policy(min_partners=1))
