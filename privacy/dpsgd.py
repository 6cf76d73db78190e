"""Differentially private steps inside somebody else's training loop. The only file that imports Opacus.

`Private(spend)` is a hook for a loop: called with (model, optimizer, batches) it gives the same three back, private.
The loop feeds each part of a batch forward, sums its losses, goes backward, calls `gather(part)`, and calls
`step()` once a batch, also when it is empty. What is private about it:

- batches are Poisson samples of the examples, or of the customers, with the spend's own rate: what is accounted
  for is what is drawn, and a batch that was not drawn cannot be trained on;
- each example's gradient, or each customer's mean over at most `per_customer` examples, is clipped to `clip_norm`;
  one that is not finite counts as zero;
- one Gaussian of `noise_multiplier * clip_norm` is added to the sum, which is divided by the *expected* size;
- there are never more steps than were charged.

No accounting (`accounting.py`), no book (`ledger.py`): charge the spend before the first step. The losses that a
loop reports are of the data itself and are not covered. Sources: Abadi et al., arXiv 1607.00133; McMahan et
al., arXiv 1710.06963 (users); the list of pitfalls in the documentation of jax_privacy.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from opacus.grad_sample.grad_sample_module import GradSampleHooks
from opacus.optimizers import DPOptimizer

from privacy.errors import BadRequest, NotPrivate
from privacy.noise import Entropy, chosen, gaussian, random_bytes
from privacy.types import PrivacySpend

# The first layer's input needs no gradient; Opacus reads the one with respect to its output, which is there.
warnings.filterwarnings("ignore", message="Full backward hook is firing")


class Example(Protocol):
    """What the loop trains on; `owner` is the customer it came from, "" = nobody's."""

    @property
    def owner(self) -> str:
        """The customer."""
        ...


class Batches(Protocol):
    """The loop's own batches: all the examples, and how many steps there are."""

    @property
    def examples(self) -> Sequence[Any]:
        """Every example of the data set."""
        ...

    def __len__(self) -> int: ...


@dataclass(slots=True)
class Private:
    """A loop's `private` hook. `entropy` is for tests; anything but the default is predictable.

    `model`'s trained weights must be in modules that Opacus can see through; `conformance.py` says whether
    they are. `close` takes the hooks off the model again.
    """

    spend: PrivacySpend
    entropy: Entropy = random_bytes
    _hooks: list[GradSampleHooks] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.spend.mechanism != "dpsgd" or self.spend.unit == "partner":
            raise BadRequest(
                f"Private steps hide an example or a customer; this is {self.spend.mechanism} per {self.spend.unit}.",
                hint="Choose the unit example, or customer.",
            )
        if not (self.spend.noise_multiplier >= 0 and 0 < self.spend.clip_norm < math.inf):
            raise BadRequest(f"A private plan has a clip norm and a noise multiplier: {self.spend}.")

    def __call__(
        self, model: Any, optimizer: torch.optim.Optimizer, batches: Batches
    ) -> tuple[Any, PrivateSteps, PoissonBatches]:
        """The model with hooks, an optimizer that clips and adds noise, Poisson batches.

        Raises:
            NotPrivate: more steps than the spend covers, or trained weights that cannot be told apart by example.
        """
        if len(batches) > self.spend.steps:
            raise NotPrivate(
                f"The loop wants {len(batches)} steps and {self.spend.steps} were charged.",
                hint="Plan for as many steps as the loop takes.",
            )
        self.close()
        sampled = PoissonBatches(tuple(batches.examples), self.spend, len(batches), entropy=self.entropy)
        try:
            self._hooks.append(GradSampleHooks(model, loss_reduction="sum", strict=True))
        except NotImplementedError as error:
            raise NotPrivate(f"This model cannot be trained privately: {error}.") from error
        return model, PrivateSteps(optimizer, self.spend, sampled, entropy=self.entropy), sampled

    def close(self) -> None:
        """Takes the hooks off; the model is an ordinary one again."""
        while self._hooks:
            hooks = self._hooks.pop()
            hooks.remove_hooks()
            for parameter in hooks._module.parameters():
                for name in ("grad_sample", "summed_grad", "_forward_counter"):
                    if hasattr(parameter, name):
                        delattr(parameter, name)


class PoissonBatches:
    """`len` batches; each takes every unit on its own with the spend's sample rate, so some are empty.

    A unit is an example, or a customer with at most `per_customer` examples drawn anew for each batch.
    Iterating again draws others.
    """

    def __init__(
        self, examples: Sequence[Any], spend: PrivacySpend, steps: int, *, entropy: Entropy = random_bytes
    ) -> None:
        self.sample_rate = spend.sample_rate
        self.units = _units(examples, spend)
        self.current: dict[int, int] = {}
        self._steps = steps
        self._cap = spend.per_customer if spend.unit == "customer" else None
        self._entropy = entropy

    @property
    def expected(self) -> float:
        """Units of a batch on average: public, unlike the size of any one batch."""
        return self.sample_rate * len(self.units)

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for _ in range(self._steps):
            batch: list[Any] = []
            self.current = {}
            for unit in chosen(len(self.units), self.sample_rate, entropy=self._entropy):
                part = self._some(self.units[unit])
                batch += part
                self.current |= {id(example): int(unit) for example in part}
            yield tuple(batch)

    def _some(self, examples: Sequence[Any]) -> Sequence[Any]:
        """At most `per_customer` of a customer's examples, at random."""
        if self._cap is None or len(examples) <= self._cap:
            return examples
        order = gaussian((len(examples),), 1.0, entropy=self._entropy).argsort()
        return [examples[place] for place in order[: self._cap]]


class PrivateSteps(DPOptimizer):  # type: ignore[misc]
    """Opacus' optimizer, fed part by part: clips by unit, adds unpredictable noise, counts its steps."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        spend: PrivacySpend,
        batches: PoissonBatches,
        *,
        entropy: Entropy = random_bytes,
    ) -> None:
        super().__init__(
            optimizer,
            noise_multiplier=spend.noise_multiplier,
            max_grad_norm=spend.clip_norm,
            expected_batch_size=max(1, round(batches.expected)),
        )
        self.steps_taken = 0
        self._spend = spend
        self._batches = batches
        self._entropy = entropy
        self._waiting: dict[int, list[Any]] = {}
        self._seen: dict[int, int] = {}
        self._gathered: set[int] = set()

    def gather(self, part: Sequence[Any]) -> None:
        """Clips and adds up what the last backward pass left, one row for each example of `part`, and forgets it.

        Raises:
            NotPrivate: an example that was not drawn for this batch, or weights without a gradient by example.
        """
        if any(id(example) not in self._batches.current or id(example) in self._gathered for example in part):
            raise NotPrivate("An example was trained on that was not drawn for this step.", hint=_FAULT)
        self._gathered |= {id(example) for example in part}
        rows = [self._rows(parameter, len(part)) for parameter in self.params]
        if self._spend.unit == "customer":
            rows = self._by_customer(rows, part)
        self._add_clipped(rows)
        for parameter in self.params:
            parameter.grad_sample = parameter.grad = None

    def step(self, closure: Any = None) -> None:
        """Adds noise to the sum, divides it by the expected size, moves the weights. Counts before it moves them.

        Raises:
            NotPrivate: all charged steps were taken, or part of the drawn batch was left out.
        """
        if self.steps_taken >= self._spend.steps:
            raise NotPrivate(f"All {self._spend.steps} charged steps are taken.", hint="Charge for more.")
        if self._gathered != set(self._batches.current):
            raise NotPrivate("A part of the drawn batch was left out of the step.", hint=_FAULT)
        self.steps_taken += 1
        self._waiting, self._seen, self._gathered = {}, {}, set()
        self._batches.current = {}
        for parameter in self.params:
            parameter.grad_sample = None
            if parameter.summed_grad is None:  # nobody was drawn: the step is noise alone
                parameter.summed_grad = torch.zeros_like(parameter)
        self.add_noise()
        self.original_optimizer.step()
        for parameter in self.params:
            parameter.summed_grad = parameter.grad = None

    def add_noise(self) -> None:
        """Sum and noise meet in float64; then they are divided by the expected size and rounded once."""
        std = self._spend.noise_multiplier * self._spend.clip_norm
        for parameter in self.params:
            noise = torch.from_numpy(gaussian(tuple(parameter.shape), std, entropy=self._entropy))
            total = parameter.summed_grad.double() + noise.to(parameter.device)
            parameter.grad = (total / self.expected_batch_size).to(parameter.dtype).view_as(parameter)

    def _rows(self, parameter: Any, count: int) -> Any:
        """(count, ...) float32: the parameter's gradient of each example."""
        rows = getattr(parameter, "grad_sample", None)
        if not isinstance(rows, torch.Tensor) or len(rows) != count:
            raise NotPrivate(
                f"A weight of shape {tuple(parameter.shape)} has no gradient by example.",
                hint="This kind of adapter cannot be trained privately; use plain LoRA.",
            )
        return rows.detach().float()

    def _by_customer(self, rows: list[Any], part: Sequence[Any]) -> list[Any]:
        """The mean gradients of the customers whose examples are now all seen; the others wait for the next part."""
        wanted: dict[int, int] = {}
        for unit in self._batches.current.values():
            wanted[unit] = wanted.get(unit, 0) + 1
        whole: list[int] = []
        for place, example in enumerate(part):
            unit = self._batches.current[id(example)]
            here = [row[place] for row in rows]
            before = self._waiting.get(unit)
            self._waiting[unit] = here if before is None else [a + b for a, b in zip(before, here, strict=True)]
            self._seen[unit] = self._seen.get(unit, 0) + 1
            if self._seen[unit] == wanted[unit]:
                whole.append(unit)
        sums = [self._waiting.pop(unit) for unit in whole]
        return [
            torch.stack([total[number] / wanted[unit] for unit, total in zip(whole, sums, strict=True)])
            if whole
            else row[:0]
            for number, row in enumerate(rows)
        ]

    def _add_clipped(self, rows: list[Any]) -> None:
        """Adds each unit's gradient, scaled to at most the clip norm over all weights together, to the sum."""
        each = [torch.linalg.vector_norm(row.flatten(1), dim=1, dtype=torch.float64) for row in rows]
        norms = torch.stack(each).norm(dim=0)
        bound = self._spend.clip_norm * (1 - 1e-6)  # rounding may not lift a row over the bound
        factors = (bound / norms.clamp(min=bound)).float()
        finite = torch.isfinite(norms)
        for parameter, row in zip(self.params, rows, strict=True):
            kept = row if bool(finite.all()) else torch.where(finite.view(-1, *[1] * (row.dim() - 1)), row, 0.0)
            added = torch.einsum("i,i...", torch.where(finite, factors, 0.0), kept)
            parameter.summed_grad = added if parameter.summed_grad is None else parameter.summed_grad + added


def private_mean(
    rows: Callable[[Sequence[Any]], torch.Tensor], examples: Sequence[Any], spend: PrivacySpend,
    *, entropy: Entropy = random_bytes,
) -> torch.Tensor:  # fmt: skip
    """(d,) the mean of the units' rows, for the price of one step of the spend: drawn, clipped and hidden like one.

    `rows` gives (n, d) for n examples. A customer counts with the mean of at most `per_customer` rows; no unit's
    is longer than 1, and one that is not finite is nothing.
    """
    drawn = PoissonBatches(tuple(examples), spend, 1, entropy=entropy)
    batch = next(iter(drawn))
    owners = [drawn.current[id(example)] for example in batch]
    place = {unit: number for number, unit in enumerate(dict.fromkeys(owners))}
    found = rows(batch if batch else tuple(examples[:1])).double()
    sums = torch.zeros(len(place), found.shape[1], dtype=torch.float64)
    if batch:
        at = torch.tensor([place[unit] for unit in owners])
        sums.index_add_(0, at, found)
        sums /= torch.bincount(at, minlength=len(place)).unsqueeze(1)
    norms = torch.linalg.vector_norm(sums, dim=1, keepdim=True)
    kept = torch.where(torch.isfinite(norms), sums / norms.clamp(min=1.0) * (1 - 1e-6), 0.0)
    noise = torch.from_numpy(gaussian((found.shape[1],), spend.noise_multiplier, entropy=entropy))
    return (kept.sum(0) + noise) / max(1, round(drawn.expected))


_FAULT = "This is a fault of the training loop."


def _units(examples: Sequence[Any], spend: PrivacySpend) -> list[tuple[Any, ...]]:
    """The examples one by one, or together by their customer; nobody's examples are one customer's: they may be."""
    known: set[int] = set()
    apart = []
    for example in examples:  # a row that is listed twice is two rows
        apart.append(copy.copy(example) if id(example) in known else example)
        known.add(id(example))
    if spend.unit == "example":
        return [(example,) for example in apart]
    mine: dict[str, list[Any]] = {}
    for example in apart:
        mine.setdefault(example.owner, []).append(example)
    return [tuple(group) for group in mine.values()]
