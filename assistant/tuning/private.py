"""A private run of the loop: the plan with the least noise for a goal, a toy to examine it on, the hook.

The mathematics and the book are `privacy`'s; here they meet the loop, the tasks and LoRA. Before a private run
its set-up answers the conformance questions on a toy: the same architecture, task and kind of adapter, two layers.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from assistant.errors import BadInput
from assistant.tuning import lora
from assistant.tuning.tasks import Task
from assistant.types import Example
from privacy.ledger import MOST_DELTA
from privacy.types import PrivacyBudget, PrivacySpend

if TYPE_CHECKING:
    from assistant.tuning.loop import LoopOptions, Private
    from privacy.conformance import Check

AVERAGED = {"head": 0.25}
"""By method the share of a private run's steps, the last ones, whose weights are averaged: it costs no privacy."""
_VOCABULARY = 199
_WIDTHS = {
    "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "num_hidden_layers": 2, "vocab_size": _VOCABULARY, "max_position_embeddings": 128,
}  # fmt: skip


class Planner(Protocol):
    """The part of the privacy book that plans."""

    def plan(
        self,
        dataset: str,
        target: PrivacyBudget,
        *,
        sample_rate: float,
        steps: int,
        clip_norm: float,
        per_customer: int | None = None,
        beside: Sequence[PrivacySpend] = (),
    ) -> PrivacySpend:
        """The plan with the least noise that keeps the target and every budget."""
        ...


@dataclass(frozen=True, slots=True)
class Goal:
    """What a private run must keep: the data set's epsilon at a delta for a unit, all that was spent included.

    `clip_norm` bounds one unit's gradient; `per_customer` is how many of a customer's examples count in one
    step, for the unit customer. Raises BadInput: a number that no promise can be made of.
    """

    budget: PrivacyBudget
    clip_norm: float = 1.0
    per_customer: int = 4

    def __post_init__(self) -> None:
        wrong = {
            "epsilon must be more than 0": not 0 < self.budget.epsilon < math.inf,
            f"delta must be more than 0 and at most {MOST_DELTA:g}": not 0 < self.budget.delta <= MOST_DELTA,
            "the clip norm must be more than 0": not 0 < self.clip_norm < math.inf,
            "a customer has at least one record a step": self.per_customer < 1,
        }
        if any(wrong.values()):
            raise BadInput(f"There is no such promise: {'; '.join(what for what, is_so in wrong.items() if is_so)}.")


def plan(
    goal: Goal, book: Planner, dataset: str, examples: Sequence[Example], options: LoopOptions,
    *, beside: Sequence[PrivacySpend] = (), runs: int = 1, first: int = 0,
) -> PrivacySpend:  # fmt: skip
    """What the run will spend at most, where `runs` alike ones keep the goal together; `beside` is charged with them.

    `first`: steps that are taken before the loop's (`first_steps`).

    Raises:
        BadInput: customers are the unit and no example says whose it is.
        BudgetExceeded: the book has not enough left for so many steps.
    """
    from assistant.tuning.batches import Batches

    if options.patience:
        raise BadInput(
            "A private run cannot end by its held-out loss: that would tell about the held-out records.",
            hint="Leave --patience at 0.",
        )
    if any(example.weight != 1.0 for example in examples):
        raise BadInput("In a private run all records weigh the same.", hint="Train without --balanced.")
    unit = goal.budget.unit
    most, units = most_of_one(examples, unit), units_of(examples, unit)
    steps = first + len(Batches(tuple(examples), options.batch_size, options.epochs))
    whole = book.plan(
        dataset, goal.budget, sample_rate=min(1.0, options.batch_size / units), steps=steps * runs,
        clip_norm=goal.clip_norm, per_customer=goal.per_customer if unit == "customer" else most, beside=beside,
    )  # fmt: skip
    return dataclasses.replace(whole, steps=steps)


def most_of_one(examples: Sequence[Example], unit: str) -> int | None:
    """The most examples that one customer has; None where some do not say whose they are.

    Raises:
        BadInput: customers are the unit and some do not say whose they are.
    """
    owners = Counter(example.owner for example in examples)
    nobodys = owners[""]
    if unit == "customer" and nobodys:
        raise BadInput(
            f"{nobodys} of {len(examples)} records do not say which customer they are from: they could all be one's.",
            hint="Give every record a customer, leave out those that have none, or train with --unit example.",
        )
    return None if nobodys else max(owners.values(), default=None)


def units_of(examples: Sequence[Example], unit: str) -> int:
    """How many records or customers there are."""
    return len({example.owner for example in examples}) if unit == "customer" else len(examples)


def hook(spend: PrivacySpend, model: Any, task: Task, *, method: str = "lora") -> Private:
    """The loop's `private` hook for a spend, after its set-up answered all questions on a toy.

    Raises:
        NotPrivate: the set-up would not keep its promise.
    """
    from privacy.conformance import require
    from privacy.dpsgd import Private

    require(setup(model, task, unit=spend.unit, method=method))
    return Private(dataclasses.replace(spend, steps=spend.steps - first_steps(model)))


def first_steps(model: Any) -> int:
    """How many of a spend's steps a model takes before the loop: one where it learns what all records share."""
    return int(getattr(model, "reader", None) is not None)


def take_common(
    model: Any, task: Any, examples: Sequence[Example], spend: PrivacySpend, *, file: Path | None = None
) -> None:
    """What the records' vectors have in common, learned in one private step and taken off every vector from now on.

    Unless it is, it takes up much of the gradient's clip norm. `file` keeps it for a run that is cut short. A model
    that knows it already (its parent did), or that reads no text twice, is left as it is.
    """
    import numpy as np
    import torch

    from assistant.tuning import heads
    from privacy.dpsgd import private_mean

    if not first_steps(model) or bool(model.reader.common.any()):
        return
    if file is not None and file.is_file():
        found = torch.from_numpy(np.load(file, allow_pickle=False))
    else:
        found = private_mean(
            lambda some: torch.from_numpy(heads.embeddings(model, task, some)), examples, spend
        ).float()
        if file is not None:  # whole or not at all: a torn one could not be gone on with
            part = file.with_suffix(".part.npy")
            np.save(part, found.numpy(), allow_pickle=False)
            part.replace(file)
    model.reader.common.copy_(found)


def conform(folder: Path, name: Task | str, *, unit: str = "example", method: str = "lora") -> list[Check]:
    """The answers for the model in a folder, for a task of `chat`, `classify`, `tag`."""
    from assistant.tuning import networks
    from assistant.tuning.tasks import ChatTask, ClassifyTask, TagTask
    from privacy import conformance

    labels = ("a", "b", "c")
    task: Any = {"chat": ChatTask(), "classify": ClassifyTask(labels), "tag": TagTask(labels)}[str(name)]
    if task.name == "chat":
        model = networks.load_chat(folder)[1]
    else:
        tokenizer, model = networks.load_classifier(folder, task.name, labels)
        if method == "head" and model.pooling == "last":
            model = networks.reading_twice(tokenizer, model, measured=False)
    return conformance.conform(setup(model, task, unit=unit, method=method))


def setup(model: Any, task: Task, *, unit: str = "example", method: str = "lora") -> Any:
    """What the conformance suite asks about: a toy of the model and made-up examples of the task."""
    from privacy.toysteps import Setup, copies

    made = synthetic(task, 10, vocabulary=_VOCABULARY)
    return Setup(copies(toy(model, method)), lambda net, part: task.losses(net, task.collate(part)), made, unit)


def toy(model: Any, method: str = "lora") -> Any:
    """A network of the model's architecture with two narrow layers and a small adapter of the same kind."""
    import torch

    from assistant.tuning import twice
    from assistant.tuning.networks import Classifier, core

    config = copy.deepcopy(core(model).config)
    known = config.to_dict()
    alias = {getattr(config, "attribute_map", {}).get(name, name): value for name, value in _WIDTHS.items()}
    for name, value in alias.items():
        if name in known:
            setattr(config, name, value)
    for name in known:
        if "dropout" in name or name.endswith("pdrop"):
            setattr(config, name, 0.0)
    config.pad_token_id = config.bos_token_id = config.eos_token_id = None
    if known.get("layer_types"):
        config.layer_types = known["layer_types"][: _WIDTHS["num_hidden_layers"]]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = type(core(model))(config).float()
    if getattr(core(model), "pooler", "") is None:
        net.pooler = None  # what is never used gets no gradient
    net.requires_grad_(False)
    small: Any = net
    if isinstance(model, Classifier):
        beside = twice.Beside("toy", 2, _beside) if model.reader is not None and model.reader.beside else None
        small = Classifier(net, model.labels[:3], model.pooling, around=((5, 6), (7,)), beside=beside)
    return lora.attach(small, lora.LoraPlan(method=method, rank=2))  # type: ignore[arg-type]


def _beside(texts: Sequence[tuple[int, ...]]) -> Any:
    """An encoder's part in a toy: it is frozen, so it only makes the head's rows longer."""
    import torch

    return torch.tensor([[float(sum(text)), float(len(text) * _VOCABULARY)] for text in texts])


def synthetic(task: Task, count: int, *, vocabulary: int, seed: int = 0) -> list[Example]:
    """Made-up examples of a task, of different lengths, with a customer for every two."""
    chance = random.Random(seed)
    labels = min(3, max(1, len(task.labels)))
    made = []
    for number in range(count):
        length = 6 + 2 * (number % 8)
        ids = tuple(chance.randrange(5, vocabulary) for _ in range(length))
        mask = tuple(int(place >= length // 2) for place in range(length))
        tags = tuple(on * chance.randrange(labels) for on in mask)
        classes: dict[str, tuple[int, ...]] = {"chat": (), "classify": (chance.randrange(labels),), "tag": tags}
        made.append(Example(ids, mask, labels=classes[task.name], owner=f"customer {number // 2}"))
    return made
