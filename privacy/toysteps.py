"""Single steps on a toy of the network to be trained, taken by hand: what `conformance.py` asks its questions with.

Not the questions, and no training: every function starts from a fresh copy of the toy.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from privacy.dpsgd import PoissonBatches, Private, PrivateSteps
from privacy.types import PrivacySpend

Losses = Callable[[Any, Sequence[Any]], Any]
"""(model, examples) -> (n,) losses, one a sequence, as the loop will compute them."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is asked: a toy with its adapter attached, the losses, at least six examples, and the unit.

    `make` gives a fresh copy of the same toy each time; `hook` makes the loop's hook for a spend.
    """

    make: Callable[[], Any]
    losses: Losses
    examples: Sequence[Any]
    unit: str = "example"
    hook: Callable[[PrivacySpend], Private] = Private

    def spend(self, *, noise: float = 0.0, clip_norm: float = 1e6, steps: int = 50) -> PrivacySpend:
        """A plan that takes everybody in every step, so that what is asked is asked of known examples."""
        unit: Any = self.unit
        return PrivacySpend("dpsgd", noise, 1.0, steps, clip_norm, unit, "conformance", None)


@dataclass(frozen=True, slots=True)
class LoopBatches:
    """The loop's own batches."""

    examples: Sequence[Any]
    steps: int

    def __len__(self) -> int:
        return self.steps


def begin(setup: Setup, spend: PrivacySpend, drawn: Sequence[Any]) -> tuple[Any, PrivateSteps]:
    """A fresh toy under the hook, plain gradient descent of rate 1, and `drawn` as the batch that was drawn."""
    model, optimizer = parts_of(setup)
    net, steps, _ = setup.hook(spend)(model, optimizer, LoopBatches(list(setup.examples), spend.steps))
    net.train()
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    draw(steps, drawn)
    return net, steps


def parts_of(setup: Setup) -> tuple[Any, torch.optim.Optimizer]:
    """A toy with its trained weights away from zero: LoRA's B begins there, and half of all faults with it."""
    model = setup.make()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trained:
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=chance))
    return model, torch.optim.SGD(trained, lr=1.0)


def draw(steps: PrivateSteps, drawn: Sequence[Any]) -> None:
    """Says that these were drawn, in place of chance."""
    wanted = {id(example) for example in drawn}
    units = enumerate(steps._batches.units)
    steps._batches.current = {id(e): unit for unit, group in units for e in group if id(e) in wanted}


def take(
    setup: Setup,
    model: Any,
    steps: PrivateSteps,
    batch: Sequence[Any],
    *,
    size: int,
    spoil: tuple[set[int], float] = (set(), 1.0),
) -> None:
    """Forward, backward and gather, in parts of `size`; the losses of `spoil` are multiplied by its factor."""
    for start in range(0, len(batch), size):
        part = batch[start : start + size]
        factors = torch.tensor([spoil[1] if id(example) in spoil[0] else 1.0 for example in part])
        (setup.losses(model, part) * factors).sum().backward()
        steps.gather(part)


def clipped_sum(
    setup: Setup,
    spend: PrivacySpend,
    batch: Sequence[Any],
    *,
    size: int = 0,
    spoil: tuple[set[int], float] = (set(), 1.0),
) -> Any:
    """The clipped sum before any noise, flat, float64."""
    model, steps = begin(setup, spend, batch)
    take(setup, model, steps, batch, size=size or max(1, len(batch)), spoil=spoil)
    return torch.cat([parameter.summed_grad.double().flatten() for parameter in steps.params])


def gradient(setup: Setup, batch: Sequence[Any]) -> Any:
    """The ordinary gradient of the summed losses, without any of our machinery."""
    model, optimizer = parts_of(setup)
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    setup.losses(model, batch).sum().backward()
    parameters = optimizer.param_groups[0]["params"]
    return torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).double().flatten() for p in parameters])


def mean_gradient(setup: Setup, group: Sequence[Any]) -> Any:
    """A unit's gradient: the mean over its examples, each on its own."""
    return torch.stack([gradient(setup, [example]) for example in group]).mean(0)


def units(setup: Setup) -> list[tuple[Any, ...]]:
    """The examples by unit: one by one, or by customer."""
    batches = PoissonBatches(list(setup.examples), setup.spend(), 1)
    return list(batches.units)


def weights(steps: PrivateSteps) -> Any:
    """All trained weights, flat, float64."""
    return torch.cat([parameter.detach().double().flatten() for parameter in steps.params])


def copies(model: Any) -> Callable[[], Any]:
    """A `make` that copies a model deeply, so that no question sees another's steps."""
    return lambda: copy.deepcopy(model)
