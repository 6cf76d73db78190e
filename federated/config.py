"""How a run goes: its settings, and which of them exclude each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from federated.aggregation import Rule
from federated.errors import BadRequest
from federated.masking import LEAST_SHARE, THRESHOLD, alike
from federated.types import Encoding, Mode, Promise

CARDS = "cards"
"""Key of a plan's `training`: the partners' cards, each signed by its own key."""
BASE = "base_sha256"
"""Key of a plan's `training`: the hash of the coordinator's base model; a plan of an older coordinator has none."""
PRIVATE = "private"
"""Key of the options of an evaluation: whether the run promises differential privacy."""

_KNOWN = {
    "mode": ("plain", "masked", "robust"),
    "encoding": ("float32", "float16", "int8", "masked"),
    "rule": ("mean", "trimmed-mean", "median", "multi-krum"),
    "step": ("plain", "momentum", "adam"),
    "combine": ("mean", "stack"),
}


@dataclass(frozen=True, slots=True)
class RunConfig:
    """How a run goes. The same on a resume, or the resume is refused.

    `seconds` is the deadline of one attempt, `attempts` how often a void round is tried. `share` of
    the partners is drawn for each round. `hostile` partners are withstood in mode "robust" by
    `rule`. `weights` are shares by partner, 1 for whoever is not named. `step` is the server's optimiser.
    `dp` is what the run promises (`spending.promise`). Every `refactor` rounds A and B are factorised anew from
    their product (0 = never). `combine` "stack" is for partners that train both matrices: the coordinator needs
    every partner's own. With `cosine` the partners' learning rate falls from round to round.
    """

    run: str
    rounds: int
    mode: Mode = "masked"
    encoding: Encoding = "float16"
    quorum: int = THRESHOLD
    seconds: float = 600.0
    attempts: int = 3
    share: float = 1.0
    clip_norm: float = 10.0
    rule: Rule = "trimmed-mean"
    hostile: int = 1
    step: Literal["plain", "momentum", "adam"] = "plain"
    server_rate: float = 1.0
    weights: tuple[tuple[str, float], ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    dp: Promise | None = None
    refactor: int = 0
    combine: Literal["mean", "stack"] = "mean"
    cosine: bool = False

    def __post_init__(self) -> None:
        options = {name: value for name, value in self.training.items() if isinstance(value, int | float)}
        problems = [
            *(
                (getattr(self, name) not in known, f"{name} is one of {', '.join(known)}")
                for name, known in _KNOWN.items()
            ),
            (not self.run, "a run has a name"),
            (self.rounds < 1, "a run has at least one round"),
            (not 0 < self.seconds < math.inf, "the deadline of a round is a positive number of seconds"),
            *((not 0 <= value < math.inf, f"{name} cannot be {value:g}") for name, value in options.items()),
            *((options.get(name) == 0, f"{name} is more than 0") for name in ("epochs", "learning_rate")),
            (not 0 < self.server_rate < math.inf, "the rate of the server's step is a positive number"),
            (self.quorum < 1, "a quorum is at least 1"),
            (self.mode == "masked" and self.quorum < THRESHOLD, f"masks need a quorum of at least {THRESHOLD}"),
            (self.mode != "masked" and self.encoding == "masked", "the encoding masked belongs to the mode masked"),
            (self.hostile < 0, "there are none or more hostile partners"),
            (self.mode == "robust" and self.quorum < 2 * self.hostile + 1, "the quorum does not outvote the hostile"),
            (
                self.mode == "robust" and self.rule == "multi-krum" and self.quorum < 2 * self.hostile + 3,
                f"multi-krum against {self.hostile} hostile partners needs a quorum of {2 * self.hostile + 3}",
            ),
            (not all(0 < share < math.inf for _, share in self.weights), "a partner's share is a positive number"),
            (self.mode == "robust" and bool(self.weights), "a robust rule lets every partner count alike"),
            (
                self.mode == "masked" and not alike([share for _, share in self.weights]),
                f"masked shares differ by a factor of {1 / LEAST_SHARE:g} at most: a sum in which one partner counts"
                " far more than the others is that partner's update",
            ),
            (not 0 < self.share <= 1, "the share of partners is above 0 and at most 1"),
            (not 0 < self.clip_norm < float("inf"), "the clip norm is a positive number"),
            (self.dp is not None and self.dp.rounds != self.rounds, "its privacy is planned for other rounds"),
            (
                self.combine == "stack" and self.mode != "plain",
                f"stacking needs every partner's own matrices, which the mode {self.mode} does not give",
            ),
            (self.combine == "stack" and self.step != "plain", "stacked products have no server momentum"),
            (self.combine == "stack" and self.hides_partners, "noise for partners fits a sum, not stacked products"),
            (self.combine == "stack" and self.refactor > 0, "stacked products are factorised in every round anyway"),
            (self.cosine and "learning_rate" not in self.training, "a rate that falls begins with a learning_rate"),
            (self.refactor < 0, "A and B are factorised anew every so many rounds, or 0 = never"),
            (self.hides_partners and self.mode == "robust", "noise for partners fits a sum, not a robust rule"),
            (self.hides_partners and bool(self.weights), "to hide a partner all partners weigh the same"),
        ]
        wrong = [text for is_wrong, text in problems if is_wrong]
        if wrong:
            raise BadRequest(f"The run {self.run!r} cannot go like this: {'; '.join(wrong)}.")

    def training_of(self, number: int) -> Mapping[str, Any]:
        """The training options of a round, counted from 1."""
        if not self.cosine:
            return self.training
        factor = 0.5 * (1 + math.cos(math.pi * (number - 1) / self.rounds))
        return {**self.training, "learning_rate": factor * float(self.training["learning_rate"])}

    @property
    def hides_partners(self) -> bool:
        """Whether the sum of a round carries noise for the unit partner."""
        return self.dp is not None and self.dp.unit == "partner"

    @property
    def wire_encoding(self) -> Encoding:
        """How tensors travel: masked rounds send integers whatever else is asked for."""
        return "masked" if self.mode == "masked" else self.encoding
