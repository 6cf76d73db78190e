"""The conformance suite passes what is private and catches every planted fault."""

import functools
import random
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "assistant" / "tuning"))
import tiny

from assistant.tuning import lora
from assistant.tuning.networks import Classifier
from assistant.tuning.tasks import ChatTask, ClassifyTask, TagTask
from assistant.tuning.twice import Beside
from assistant.types import Example
from privacy.conformance import QUESTIONS, conform, require
from privacy.dpsgd import PoissonBatches, Private, PrivateSteps
from privacy.errors import NotPrivate
from privacy.toysteps import Setup, copies


def chat_examples(count=8):
    chance = random.Random(2)
    made = []
    for number in range(count):
        length = 4 + 3 * number
        ids = tuple(chance.randrange(5, 100) for _ in range(length))
        made.append(Example(ids, (0,) * (length // 2) + (1,) * (length - length // 2), owner=f"c{number % 4}"))
    return made


@functools.cache
def chat_toy(net="llama", method="lora"):
    return lora.attach(getattr(tiny, net)(), lora.LoraPlan(method=method, rank=2))


def losses_of(task):
    return lambda model, examples: task.losses(model, task.collate(examples))


def chat_setup(**changes):
    made = {"make": copies(chat_toy()), "losses": losses_of(ChatTask()), "examples": chat_examples()}
    return Setup(**{**made, **changes})


def failed(setup):
    return {check.name for check in conform(setup) if not check.ok}


@pytest.mark.parametrize(("net", "method", "unit"), [("llama", "lora", "example"), ("gpt2", "lora", "customer")])
def test_our_own_training_of_chat_passes(net, method, unit):
    assert failed(chat_setup(make=copies(chat_toy(net, method)), unit=unit)) == set()


@pytest.mark.parametrize("pooling", ["mean", "tokens", "twice"])
def test_our_own_training_of_classifiers_and_taggers_passes(pooling):
    plan = lora.LoraPlan("head" if pooling == "twice" else "lora", rank=2)
    examples = chat_examples()
    classes = [Example(e.ids, e.mask, labels=(n % 3,), owner=e.owner) for n, e in enumerate(examples)]
    tags = [
        Example(e.ids, e.mask, labels=tuple(m * (n % 3) for m in e.mask), owner=e.owner) for n, e in enumerate(examples)
    ]
    task, data = (TagTask(tuple("abc")), tags) if pooling == "tokens" else (ClassifyTask(tuple("abc")), classes)
    net = tiny.llama().model if pooling == "twice" else tiny.bert()
    beside = Beside("lengths", 2, lambda texts: torch.tensor([[float(len(text)), 9.0] for text in texts]))
    toy = lora.attach(Classifier(net, tuple("abc"), pooling, around=((5, 6), (7,)), beside=beside), plan)
    assert failed(Setup(copies(toy), losses_of(task), data)) == set()


def batch_mean(model, examples):
    """The common recipe: the loss is divided by the tokens of the whole batch."""
    task = ChatTask()
    batch = task.collate(examples)
    weights = batch.mask[:, 1:].sum(1).float()
    return task.losses(model, batch) * weights / weights.sum()


def test_a_loss_averaged_over_the_batch_is_caught():
    found = failed(chat_setup(losses=batch_mean))
    assert "one unit more moves the sum by at most the clip norm" in found
    assert "gradients by example equal a loop of ones" in found


class Point:
    """An example of a network of four weights a layer: faults of the steps need no language model."""

    def __init__(self, number):
        self.owner, self.x = f"c{number % 6}", torch.randn(4, generator=torch.Generator().manual_seed(number))


def square(model, part):
    return (model(torch.stack([point.x for point in part])) ** 2).sum(1)


def small(net=None, **changes):
    made = {"make": copies(net or torch.nn.Linear(4, 40)), "losses": square, "examples": [Point(n) for n in range(12)]}
    return Setup(**{**made, **changes})


class Mixing(torch.nn.Module):
    """What one adds depends on who else is there."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(4, 4)

    def forward(self, x):
        return self.inner(x - x.mean(0))


def test_a_network_that_mixes_examples_is_caught():
    assert failed(small()) == failed(small(unit="customer")) == set()
    assert "one unit more moves the sum by at most the clip norm" in failed(small(Mixing()))
    norm = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    assert failed(small(norm))
    with pytest.raises(NotPrivate, match="nothing was trained"):
        require(small(norm))


def test_an_adapter_whose_gradients_cannot_be_told_apart_is_refused():
    question = "gradients by example equal a loop of ones"
    with pytest.raises((NotPrivate, TypeError)):
        QUESTIONS[question](chat_setup(make=copies(chat_toy(method="dora"))))


class Faulty(Private):
    """A hook with one fault, for each of the ways a set-up goes wrong."""

    steps_kind = PrivateSteps
    batches_kind = PoissonBatches

    def __call__(self, model, optimizer, batches):
        net, steps, sampled = Private.__call__(self, model, optimizer, batches)
        steps.__class__ = self.steps_kind
        sampled.__class__ = self.batches_kind
        return net, steps, sampled


class Unclipped(PrivateSteps):
    def _add_clipped(self, rows):
        for parameter, row in zip(self.params, rows, strict=True):
            parameter.summed_grad = row.sum(0) if parameter.summed_grad is None else parameter.summed_grad + row.sum(0)


class OpacusClip(PrivateSteps):
    """Opacus' own clipping: a NaN stays a NaN."""

    def _add_clipped(self, rows):
        norms = torch.stack([row.reshape(len(row), -1).norm(dim=1) for row in rows]).norm(dim=0)
        factors = (self.max_grad_norm / (norms + 1e-6)).clamp(max=1.0)
        for parameter, row in zip(self.params, rows, strict=True):
            added = torch.einsum("i,i...", factors, row)
            parameter.summed_grad = added if parameter.summed_grad is None else parameter.summed_grad + added


class HalfNoise(PrivateSteps):
    def add_noise(self):
        whole, self._spend = self._spend, type(self._spend)(*[
            value / 2 if name == "noise_multiplier" else value
            for name, value in ((f, getattr(self._spend, f)) for f in self._spend.__dataclass_fields__)
        ])  # fmt: skip
        super().add_noise()
        self._spend = whole


class ByRealSize(PrivateSteps):
    """Divides by the size of the batch, which is secret."""

    def add_noise(self):
        self.expected_batch_size = 3
        super().add_noise()


class SkipsEmpty(PrivateSteps):
    def step(self, closure=None):
        if self._gathered:
            super().step()


class TakesAll(PrivateSteps):
    def gather(self, part):
        self._batches.current |= {id(example): 0 for example in part}
        super().gather(part)


class Endless(PrivateSteps):
    def step(self, closure=None):
        self.steps_taken = 0
        super().step()


class Shuffled(PoissonBatches):
    """Fixed sizes in turn, accounted for as if they were Poisson samples."""

    def __iter__(self):
        everybody = [example for unit in self.units for example in unit]
        size = max(1, round(len(everybody) * self.sample_rate))
        for number in range(len(self)):
            yield tuple(everybody[(number * size + at) % len(everybody)] for at in range(size))


class TwiceTheRate(PoissonBatches):
    def __iter__(self):
        self.sample_rate *= 2
        yield from super().__iter__()


FAULTS = {
    "clipping": (Unclipped, None, "one unit more moves the sum by at most the clip norm"),
    "nan": (OpacusClip, None, "a loss that is not finite touches nobody else"),
    "half the noise": (HalfNoise, None, "the noise has the size that is accounted for"),
    "the real size": (ByRealSize, None, "the noise has the size that is accounted for"),
    "empty": (SkipsEmpty, None, "an empty batch is a step of noise alone"),
    "anybody": (TakesAll, None, "only drawn examples are trained on"),
    "endless": (Endless, None, "no step beyond the charged ones"),
    "shuffled": (None, Shuffled, "batches are the Poisson samples that are accounted for"),
    "twice the rate": (None, TwiceTheRate, "batches are the Poisson samples that are accounted for"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_planted_fault_is_caught(name):
    steps, batches, question = FAULTS[name]
    kinds = {"steps_kind": steps or PrivateSteps, "batches_kind": batches or PoissonBatches, "__slots__": ()}
    with pytest.raises(NotPrivate):
        QUESTIONS[question](small(hook=type("Planted", (Faulty,), kinds)))


def test_a_seeded_noise_is_caught():
    hook = lambda spend: Private(spend, entropy=random.Random(1).randbytes)  # noqa: E731
    assert failed(small(hook=hook)) == {"the noise is never drawn twice"}
