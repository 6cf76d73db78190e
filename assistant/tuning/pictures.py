"""Evaluations as PNG files: the confusion matrix and how confidence compares with accuracy.

Drawing only; the numbers are `evaluation.py`'s. No window is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.tuning.evaluation import Bin

_NAMED = 40
"""With more classes than this the names of the most confused ones alone are shown."""


def confusion_png(table: npt.NDArray[np.int_], labels: Sequence[str], path: Path) -> None:
    """Draws (classes, classes) counts, each row as shares of its class.

    With many classes only the rows and columns that mistakes concentrate on are drawn.
    """
    if len(labels) > _NAMED:
        wrong = table.sum(1) + table.sum(0) - 2 * table.diagonal()
        kept = np.sort(np.argsort(-wrong, kind="stable")[:_NAMED])
        table, labels = table[np.ix_(kept, kept)], [labels[place] for place in kept]
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    side = 2.5 + 0.28 * len(labels)
    figure, axes = _figure(side + 1, side)
    shown = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_xlabel("predicted")
    axes.set_ylabel("right")
    figure.colorbar(shown, ax=axes, shrink=0.8, label="share of the class")
    if len(labels) <= 12:
        for row, column in np.ndindex(shares.shape):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, int(table[row, column]), ha="center", va="center", color=colour, fontsize=8)
    figure.savefig(path, dpi=120)


def reliability_png(bins: Sequence[Bin], path: Path) -> None:
    """Draws accuracy over confidence; on the diagonal the two agree. Larger points are more predictions."""
    figure, axes = _figure(4.5, 4.5)
    most = max((each.n for each in bins), default=1)
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    axes.scatter(
        [each.confidence for each in bins], [each.accuracy for each in bins],
        s=[20 + 180 * each.n / most for each in bins], alpha=0.7,
    )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    figure.savefig(path, dpi=120)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """(figure, axes) without pyplot, whose state outlives its callers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()
