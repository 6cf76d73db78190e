"""How a classifier treats groups of people: its measures by group, and how far the groups lie apart.

The group may be any column of the data (sex, age band, language, region). A gap is not proof of
unfairness, and no gap is not proof of fairness: groups may differ in what is right, and small ones have wide
intervals. Nothing is corrected here.

Source: Hardt et al. 2016 (arXiv:1610.02413) for equal opportunity and equalised odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant import metrics
from assistant.errors import BadInput
from assistant.types import Measure

_RESAMPLES, _AT_ONCE = 2000, 50
FEW = 30
"""A group with fewer records says little: it is named in the warnings."""
_NAMES = ("accuracy", "selected", "true_positive_rate", "false_positive_rate")


@dataclass(frozen=True, slots=True)
class Fairness:
    """`groups`: name -> its measures; `gaps`: the largest difference between two groups, by measure."""

    groups: dict[str, tuple[Measure, ...]]
    gaps: tuple[Measure, ...]
    warnings: tuple[str, ...]


def by_group(
    gold: Sequence[str], found: Sequence[str], groups: Sequence[str], *, positive: str, seed: int = metrics.SEED
) -> Fairness:
    """Measures of each group with 95 % bootstrap intervals, for the label `positive`.

    `accuracy`; `selected` (said to be positive); `true_positive_rate` and `false_positive_rate`. A gap is
    resampled as a whole, within groups; since it is a maximum, noise alone makes it larger than 0.

    Raises:
        BadInput: the lists differ in length, or there are fewer than two groups.
    """
    if not len(gold) == len(found) == len(groups):
        raise BadInput(f"{len(gold)} labels, {len(found)} predictions and {len(groups)} groups do not match.")
    names = sorted(set(groups))
    if len(names) < 2:
        raise BadInput("A comparison needs two groups at least.", hint="Choose another column.")
    right, said = np.array([label == positive for label in gold]), np.array([label == positive for label in found])
    same = np.array([one == other for one, other in zip(gold, found, strict=True)])
    column = np.array(groups)
    chance = np.random.default_rng(seed)
    values = np.zeros((len(names), len(_NAMES)))
    draws = np.zeros((len(names), len(_NAMES), _RESAMPLES))
    for place, name in enumerate(names):
        rows = np.flatnonzero(column == name)
        table = np.stack(
            [same, np.ones_like(same), said, np.ones_like(same), said & right, right, said & ~right, ~right]
        )
        table = table[:, rows].astype(np.float64)
        values[place] = _shares(table.sum(1))
        alike = np.full(len(rows), 1 / len(rows))
        for first in range(0, _RESAMPLES, _AT_ONCE):  # at once they would take gigabytes for many records
            sampled = chance.multinomial(len(rows), alike, size=_AT_ONCE)
            draws[place, :, first : first + _AT_ONCE] = _shares(table @ sampled.T)
    sizes = [int((column == name).sum()) for name in names]
    return Fairness(
        {
            name: tuple(
                _bounded(measure, float(values[place, kind]), draws[place, kind], sizes[place])
                for kind, measure in enumerate(_NAMES)
            )
            for place, name in enumerate(names)
        },
        tuple(
            _bounded(
                f"{measure}_gap", float(_span(values[:, kind])), _span(draws[:, kind]), len(gold),
            )
            for kind, measure in enumerate(_NAMES)
        ),
        tuple(
            f"The group {name!r} has {size} records: its measures are uncertain."
            for name, size in zip(names, sizes, strict=True)
            if size < FEW
        ),
    )  # fmt: skip


def _shares(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(8, ...) sums, part and whole in turn -> (4, ...) shares; nan where the whole is empty."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: npt.NDArray[np.float64] = sums[0::2] / sums[1::2]
    return shares


def _span(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The largest value of the first axis minus the smallest; nan where fewer than two groups have a value."""
    there = ~np.isnan(values)
    top, bottom = np.where(there, values, -np.inf).max(axis=0), np.where(there, values, np.inf).min(axis=0)
    span: npt.NDArray[np.float64] = np.where(there.sum(axis=0) >= 2, top - bottom, np.nan)
    return span


def _bounded(name: str, value: float, draws: npt.NDArray[np.float64], n: int) -> Measure:
    if np.isnan(value) or np.isnan(draws).all():
        return Measure(name, 0.0, n=0)
    low, high = np.nanquantile(draws, (0.025, 0.975))
    return Measure(name, value, float(low), float(high), n)
