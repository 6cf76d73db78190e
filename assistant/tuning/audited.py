"""A training that is audited: canaries among the examples, the run once with its noise and once without.

What the guesses prove is `privacy.audit`'s; the run is the loop's. The control takes the same steps through the same
machinery with the noise off, on made-up rows beside the canaries: it spends nothing of anybody. No model is kept.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from assistant.tuning import loop
from assistant.tuning import private as private_run
from assistant.tuning.batches import physical
from assistant.tuning.loop import LoopOptions
from assistant.tuning.tasks import Task
from assistant.types import Example
from privacy.audit import FEWEST, AuditReport, Flags, Scores, attack, coins
from privacy.errors import BadRequest
from privacy.types import PrivacySpend

if TYPE_CHECKING:
    from privacy.dpsgd import Private

Plan = Callable[[Sequence[Example]], PrivacySpend]
"""All examples, included canaries among them -> what their training may spend."""


def audit(
    model: Any, task: Task, examples: Sequence[Example], options: LoopOptions, *, plan: Plan, delta: float,
    canaries: Sequence[Example], steps: int = 0,
) -> AuditReport:  # fmt: skip
    """What attacks on `model`, trained with canaries, prove against the epsilon of its plan. The model stays as it is.

    `steps` > 0: so many, whatever `options` say of epochs and batches; how large those are is the plan's sample rate.

    Raises:
        BadRequest: fewer canaries than prove anything; nothing was charged or trained.
    """
    from privacy.accounting import epsilon
    from privacy.dpsgd import Private

    if len(canaries) < FEWEST:  # before `plan`, which charges
        raise BadRequest(
            f"{len(canaries)} canaries are too few to audit by.", hint=f"Take at least {FEWEST}; nothing was charged."
        )
    included = coins(len(canaries))
    inside = [canary for canary, is_in in zip(canaries, included, strict=True) if is_in]
    spend = plan([*examples, *inside])
    if steps:
        loops = steps - private_run.first_steps(model)
        options = dataclasses.replace(options, batch_size=len(examples) + len(inside), epochs=loops)
    loud = dataclasses.replace(spend, noise_multiplier=0.0)
    reader = getattr(model, "reader", None)
    with contextlib.nullcontext() if reader is None else reader.remembering():  # the copies know what it has read
        before = _scores(model, task, canaries)
        seen = [
            _attacked(model, task, [*rows, *inside], options, Private(one), canaries, included, before, delta)
            for rows, one in ((examples, spend), (made_up(task, examples, len(examples)), loud))
        ]
    claimed = epsilon([spend], delta, unit=spend.unit)
    words = (
        f"{spend.mechanism}, noise multiplier {spend.noise_multiplier:g}, {spend.steps} steps, "
        f"sample rate {spend.sample_rate:.4g}, clip norm {spend.clip_norm:g}"
    )
    return AuditReport(claimed, delta, spend.unit, words, len(canaries), seen[0], seen[1])


def made_up(task: Task, like: Sequence[Example], count: int) -> list[Example]:
    """Canaries: the lengths of real examples, tokens and classes drawn by chance, each a customer of its own."""
    chance = secrets.SystemRandom()
    tokens = sorted({token for example in like for token in example.ids})
    labels = max(1, len(task.labels))
    made = []
    for number in range(count):
        model = chance.choice(like)
        mask = model.mask if any(model.mask) else (0,) * (len(model.ids) - 1) + (1,)
        ids = tuple(chance.choice(tokens) for _ in model.ids)
        tags = tuple(on * chance.randrange(labels) for on in mask)
        classes: dict[str, tuple[int, ...]] = {"chat": (), "classify": (chance.randrange(labels),), "tag": tags}
        made.append(Example(ids, mask, labels=classes[task.name], owner=f"canary {number}"))
    return made


def _attacked(
    model: Any, task: Task, rows: Sequence[Example], options: LoopOptions, private: Private,
    canaries: Sequence[Example], included: Flags, before: Scores, delta: float,
) -> Any:  # fmt: skip
    """Trains a copy and attacks it by its losses, and by how far they fell."""
    trained = copy.deepcopy(model)
    private_run.take_common(trained, task, rows, private.spend)
    loop.train(trained, task, rows, options, private=private)
    private.close()
    return attack(_scores(trained, task, canaries), included, delta=delta, reference=before)


def _scores(model: Any, task: Task, canaries: Sequence[Example]) -> Scores:
    """(n,) minus each canary's loss."""
    import numpy as np
    import torch

    model.eval()
    device = str(next(model.parameters()).device)
    losses: dict[int, float] = {}
    with torch.inference_mode():
        for part in physical(canaries, 4096):
            for example, loss in zip(part, task.losses(model, task.collate(part, device)).tolist(), strict=True):
                losses[id(example)] = -float(loss)
    return np.array([losses[id(canary)] for canary in canaries])
