"""Stand-ins for a federation in tests: a trainer whose optimum is known, partners with real keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from federated.enrol import Application, Card, Identity, Roster, apply, make_identity
from federated.local import Partner, Policy, Trained
from federated.types import Arrays, RoundPlan, TensorSpec
from privacy.types import PrivacySpend

SHAPES = {"a.lora_B.weight": (6, 3), "b.lora_B.weight": (4, 3)}


def start() -> Arrays:
    return {name: np.zeros(shape) for name, shape in SHAPES.items()}


class Quadratic:
    """Moves half of the way to this partner's own optimum; counts how often it trained."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.target = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
        self.trained = 0

    def tensors(self) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(name, SHAPES[name]) for name in sorted(SHAPES))

    def train(self, start: Arrays, plan: RoundPlan) -> Trained:
        self.trained += 1
        change = {name: 0.5 * (self.target[name] - start[name]) for name in start}
        return Trained(change, 10, {"loss": self._loss(start), "secret": 1.0}, PrivacySpend.nonprivate("mine"))

    def evaluate(self, weights: Arrays) -> Mapping[str, float]:
        return {"closeness": -self._loss(weights)}

    def _loss(self, weights: Arrays) -> float:
        return float(sum(((weights[name] - self.target[name]) ** 2).sum() for name in weights))


def identities(folder: Path, count: int) -> tuple[list[Identity], Roster]:
    """Partners p0, p1 ... with keys, enrolled by invitation."""
    roster, made = Roster(folder / "coordinator"), []
    for number in range(count):
        name = f"p{number}"
        identity = make_identity(folder / name, name)
        invitation = roster.invite(name, address="", authority="", coordinator="")
        roster.enrol(Application.from_dict(apply(invitation, identity).to_dict()), now=0.0)
        made.append(identity)
    return made, roster


def partners(folder: Path, count: int, policy: Policy | None = None) -> tuple[list[Partner], list[Quadratic], Roster]:
    made, roster = identities(folder, count)
    cards: dict[str, Card] = roster.cards()
    trainers = [Quadratic(number) for number in range(count)]
    return (
        [
            Partner(identity, trainer, folder / identity.card.name / "run", peers=cards, policy=policy)
            for identity, trainer in zip(made, trainers, strict=True)
        ],
        trainers,
        roster,
    )
