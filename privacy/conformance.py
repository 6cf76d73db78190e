"""Does a training set-up keep what differential privacy assumes of it? Eleven questions, asked of a small copy.

The common recipes break silently: the code runs, the loss falls, the epsilon on the report is wrong. So before a
private training the same steps are taken on a toy of the same architecture, task and adapter, and the
training is refused when an answer is wrong. What it cannot see: what a larger model does that its toy does not,
and what is done with the data outside the loop.

Source of the list: "Common pitfalls in DP training", documentation of google-deepmind/jax_privacy. Its public and
private metadata, and auxiliary information (losses), are matters of what is published, not of the steps.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from privacy.dpsgd import PoissonBatches
from privacy.errors import NotPrivate
from privacy.toysteps import (
    LoopBatches,
    Setup,
    begin,
    clipped_sum,
    gradient,
    mean_gradient,
    parts_of,
    take,
    units,
    weights,
)  # fmt: skip

_TOLERANCE = 1e-3
_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer. `found` is a sentence with the numbers in it."""

    name: str
    ok: bool
    found: str


def conform(setup: Setup) -> list[Check]:
    """The answers to all questions, in order. Seconds on a toy."""
    answers = []
    for name, ask in QUESTIONS.items():
        try:
            answers.append(Check(name, True, ask(setup)))
        except (NotPrivate, RuntimeError, ValueError, TypeError) as error:
            answers.append(Check(name, False, getattr(error, "message", "") or str(error)))
    return answers


def require(setup: Setup) -> list[Check]:
    """The answers, where all are right.

    Raises:
        NotPrivate: which are not, and why; nothing should be trained.
    """
    answers = conform(setup)
    wrong = [answer for answer in answers if not answer.ok]
    if wrong:
        listed = "\n".join(f"  {answer.name}: {answer.found}" for answer in wrong)
        raise NotPrivate(
            f"This training would not be as private as it says; nothing was trained:\n{listed}",
            hint="Use plain LoRA on a model without batch normalisation or dropout.",
        )
    return answers


# Questions


def _alone(setup: Setup) -> str:
    batch = list(setup.examples)
    model, steps = begin(setup, setup.spend(), batch)
    setup.losses(model, batch).sum().backward()
    together = [steps._rows(parameter, len(batch)).double() for parameter in steps.params]
    worst = 0.0
    for place, example in enumerate(batch):
        single = gradient(setup, [example])
        ours = torch.cat([row[place].flatten() for row in together])
        worst = max(worst, float((ours - single).norm() / single.norm().clamp(min=1e-12)))
    _must(
        worst <= _TOLERANCE,
        f"in a batch an example's gradient differs by {worst:.2g} of its norm from its own: examples are not apart.",
    )
    return f"They differ by at most {worst:.1e} of their norm."


def _sensitivity(setup: Setup) -> str:
    """The planted fault it must find: a loss that is averaged over the batch or its tokens."""
    groups = units(setup)
    gradients = [mean_gradient(setup, group) for group in groups]
    norms = sorted(float(each.norm()) for each in gradients)
    worst = 0.0
    for bound in (norms[0] / 2, norms[len(norms) // 2], norms[-1] * 2):
        spend = setup.spend(clip_norm=bound)
        everybody = clipped_sum(setup, spend, [example for group in groups for example in group])
        for leave in range(len(groups)):
            rest = [example for place, group in enumerate(groups) if place != leave for example in group]
            moved = everybody - clipped_sum(setup, spend, rest)
            worst = max(worst, float(moved.norm()) / bound)
            own = gradients[leave] * min(1.0, bound / float(gradients[leave].norm()))
            off = float((moved - own).norm()) / bound
            _must(
                float(moved.norm()) <= bound * (1 + _TOLERANCE) and off <= 5 * _TOLERANCE,
                f"one {setup.unit} moved the sum by {float(moved.norm()) / bound:.3f} x the clip norm, and "
                f"{off:.3f} x of that is not its own gradient: the loss of one depends on the others.",
            )
    return f"At most {worst:.4f} x the clip norm."


def _parts(setup: Setup) -> str:
    spend = setup.spend(clip_norm=0.5)
    batch = list(setup.examples)
    whole = clipped_sum(setup, spend, batch)
    cut = clipped_sum(setup, spend, batch, size=1)
    off = float((whole - cut).norm() / whole.norm().clamp(min=1e-12))
    _must(off <= _TOLERANCE, f"cut into parts the sum differs by {off:.2g} of its norm.")
    return f"Cut into single examples the sum differs by {off:.1e} of its norm."


def _empty(setup: Setup) -> str:
    _, steps = begin(setup, setup.spend(noise=1.0, clip_norm=1.0), [])
    before = weights(steps)
    steps.step()
    moved = weights(steps) - before
    _must(bool(torch.isfinite(moved).all()) and bool((moved != 0).all()), "an empty batch does not move every weight.")
    _must(steps.steps_taken == 1, "an empty batch is not counted as a step.")
    return "It moves every weight and is counted."


def _not_finite(setup: Setup) -> str:
    spend = setup.spend(clip_norm=0.5)
    batch = list(setup.examples)
    bad = units(setup)[0]
    bad_ids = {id(example) for example in bad}
    good = [example for example in batch if id(example) not in bad_ids]
    for factor in (math.nan, math.inf):
        with_bad = clipped_sum(setup, spend, batch, spoil=(bad_ids, factor))
        without = clipped_sum(setup, spend, good)
        off = float((with_bad - without).norm() / without.norm().clamp(min=1e-12))
        _must(off <= _TOLERANCE, f"one loss of {factor} changes the sum of the others by {off:.2g} of its norm.")
    return "It counts as zero; the sum of the others stays."


def _noise(setup: Setup) -> str:
    spend = setup.spend(noise=1.5, clip_norm=0.7)
    _, steps = begin(setup, spend, [])
    expected = spend.noise_multiplier * spend.clip_norm / steps.expected_batch_size
    moves: list[torch.Tensor] = []
    while sum(len(move) for move in moves) < 20_000 and steps.steps_taken < spend.steps:
        before = weights(steps)
        steps.step()
        moves.append(weights(steps) - before)
    measured = torch.cat(moves)
    ratio = float(measured.std()) / expected
    bound = 5 / math.sqrt(2 * len(measured)) + 1e-3
    _must(abs(ratio - 1) <= bound, f"it has {ratio:.3f} x the standard deviation that is accounted for.")
    return f"{ratio:.4f} x the accounted one, over {len(measured)} draws."


def _fresh(setup: Setup) -> str:
    """A restart from the same weights, seed and examples: neither noise nor batches may come again."""
    moved = []
    for _ in range(2):
        torch.manual_seed(0)
        _, steps = begin(setup, setup.spend(noise=1.0, clip_norm=1.0), [])
        for _ in range(2):
            before = weights(steps)
            steps.step()
            moved.append(weights(steps) - before)
    same = any(bool((a == b).float().mean() > 0.5) for at, a in enumerate(moved) for b in moved[at + 1 :])
    _must(not same, "the same noise came twice: it is drawn from a seed.")
    return "Two restarts of two steps drew four different noises."


def _sampler(setup: Setup) -> str:
    spend = dataclasses.replace(setup.spend(steps=_DRAWS), sample_rate=0.25)
    hook = setup.hook(spend)
    _, _, batches = hook(*parts_of(setup), LoopBatches(list(setup.examples), _DRAWS))
    try:
        _must(isinstance(batches, PoissonBatches), "the batches are not Poisson samples.")
        members = {id(example): place for place, group in enumerate(batches.units) for example in group}
        drawn = torch.zeros(_DRAWS, len(batches.units))
        for row, batch in enumerate(batches):
            for example in batch:
                drawn[row, members[id(example)]] = 1
    finally:
        hook.close()
    rate, total = spend.sample_rate, drawn.numel()
    off = abs(float(drawn.mean()) - rate) / math.sqrt(rate * (1 - rate) / total)
    spread = float(drawn.sum(1).var()) / (rate * (1 - rate) * drawn.shape[1])
    _must(len(batches) == _DRAWS, f"{len(batches)} batches where {_DRAWS} were planned.")
    _must(off <= 5, f"units are drawn with a rate of {float(drawn.mean()):.3f} instead of {rate}.")
    _must(0.5 <= spread <= 1.8, f"the sizes of batches vary {spread:.2f} x as much as those of Poisson samples.")
    alike, by_chance = float((drawn[1:] == drawn[:-1]).double().mean()), rate**2 + (1 - rate) ** 2
    limit = 5 * math.sqrt(by_chance * (1 - by_chance) / total)
    _must(
        abs(alike - by_chance) <= limit, f"batches in a row agree on {alike:.3f} of the units, by chance {by_chance}."
    )
    return f"A rate of {float(drawn.mean()):.3f} for {rate}; sizes vary {spread:.2f} x as they should."


def _only_drawn(setup: Setup) -> str:
    batch = list(setup.examples)
    model, steps = begin(setup, setup.spend(), batch[:-1])
    setup.losses(model, batch[-1:]).sum().backward()
    try:
        steps.gather(batch[-1:])
    except NotPrivate:
        pass
    else:
        raise NotPrivate("an example that was not drawn was trained on.")
    try:
        steps.step()
    except NotPrivate:
        return "Others are refused, and so is a step that leaves drawn ones out."
    raise NotPrivate("a step was taken that left drawn examples out.")


def _charged(setup: Setup) -> str:
    _, steps = begin(setup, setup.spend(steps=1), [])
    steps.step()
    before = weights(steps)
    try:
        steps.step()
    except NotPrivate:
        _must(bool((weights(steps) == before).all()), "weights moved in a step that was refused.")
        return "The step after the last charged one is refused before the weights move."
    raise NotPrivate("a step was taken that nobody charged for.")


def _moved(setup: Setup) -> str:
    spend = setup.spend(clip_norm=1.0)
    batch = list(setup.examples)
    model, steps = begin(setup, spend, batch)
    frozen = {name: value.detach().clone() for name, value in model.named_parameters() if not value.requires_grad}
    before = weights(steps)
    take(setup, model, steps, batch, size=len(batch))
    steps.step()
    parameters = list(steps.params)
    moved = (weights(steps) - before).split([parameter.numel() for parameter in parameters])
    still = sum(not bool(part.any()) for part in moved)
    _must(still == 0, f"{still} of {len(parameters)} trained tensors did not move.")
    changed = [name for name, value in frozen.items() if not torch.equal(dict(model.named_parameters())[name], value)]
    _must(not changed, f"frozen weights changed: {', '.join(changed[:3])}.")
    return f"All {len(parameters)} trained tensors moved without noise; no other did."


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotPrivate(otherwise[:1].upper() + otherwise[1:])


QUESTIONS: dict[str, Callable[[Setup], str]] = {
    "gradients by example equal a loop of ones": _alone,
    "one unit more moves the sum by at most the clip norm": _sensitivity,
    "parts of a batch add up to the batch": _parts,
    "an empty batch is a step of noise alone": _empty,
    "a loss that is not finite touches nobody else": _not_finite,
    "the noise has the size that is accounted for": _noise,
    "the noise is never drawn twice": _fresh,
    "batches are the Poisson samples that are accounted for": _sampler,
    "only drawn examples are trained on": _only_drawn,
    "no step beyond the charged ones": _charged,
    "the trained weights move and the others do not": _moved,
}
