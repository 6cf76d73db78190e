"""A run made visible: the picture of its losses, and TensorBoard's log while it goes.

Drawing and writing only; the numbers are the loop's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from assistant.tuning.loop import Progress, TrainingResult


def curves_png(result: TrainingResult, path: Path, *, title: str = "") -> None:
    """Draws the training loss, its running mean and the validation loss over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    steps = [step for step, _ in result.losses]
    losses = [loss for _, loss in result.losses]
    axes.plot(steps, losses, color="#9db4c8", linewidth=0.8, label="training, each step")
    axes.plot(steps, smooth(losses), color="#1f5f8b", linewidth=1.8, label="training, running mean")
    if result.valid_losses:
        axes.plot(*zip(*result.valid_losses, strict=True), color="#c2571a", marker="o", label="validation")
        axes.axvline(
            result.best_step, color="#c2571a", linestyle=":", linewidth=1, label=f"best: step {result.best_step}"
        )
    axes.set(xlabel="step", ylabel="loss", title=title or f"{result.tokens_per_second:.0f} tokens/s, {result.ended}")
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, format="png")


def smooth(values: list[float], *, share: float = 0.9) -> list[float]:
    """The running mean, free of the start's bias.

    >>> smooth([2.0, 2.0, 2.0])
    [2.0, 2.0, 2.0]
    """
    made, mean, weight = [], 0.0, 0.0
    for value in values:
        mean, weight = share * mean + (1 - share) * value, share * weight + (1 - share)
        made.append(round(mean / weight, 12))
    return made


@contextlib.contextmanager
def tensorboard(folder: Path, *, then: Callable[[Progress], None]) -> Iterator[Callable[[Progress], None]]:
    """An `on_progress` for `train` that writes each step where `tensorboard --logdir` finds it, then calls `then`.

    A run that goes on adds a file to the folder; TensorBoard joins them.
    """
    from tensorboard.summary import Writer

    folder.mkdir(parents=True, exist_ok=True)
    writer: Any = Writer(str(folder))

    def log(progress: Progress) -> None:
        values = {
            "loss/training": progress.loss,
            "loss/validation": progress.valid_loss,
            "learning_rate": progress.learning_rate,
            "tokens_per_second": progress.tokens_per_second,
        }
        for name, value in values.items():
            if value is not None:
                writer.add_scalar(name, value, progress.step)
        then(progress)

    try:
        yield log
    finally:
        writer.close()
