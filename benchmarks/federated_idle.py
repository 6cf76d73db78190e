"""A partner's client program for `federated-traffic`: everything but the learning, so that bytes are what a run costs.

It answers with random changes of the shapes that are asked for, masked, signed and sent as real ones are, and
tells a measure. Started as Flower's client program, as `federated.site` is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from federated import site
from federated.local import Partner, Trained
from federated.types import Arrays, RoundPlan, TensorSpec
from federated.weights import load_weights, save_weights

_ASKED = "asked.safetensors"


class Idle:
    """A trainer without a model. What shapes are asked for it learns from the first plan."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _ASKED

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Those of the plan."""
        shapes, _ = load_weights(self._path)
        return tuple(TensorSpec(name, array.shape) for name, array in sorted(shapes.items()))

    def train(self, start: Arrays, plan: RoundPlan) -> Trained:
        """Numbers that no compression makes shorter."""
        chance = np.random.default_rng(plan.round)
        return Trained({name: 1e-3 * chance.normal(size=array.shape) for name, array in start.items()}, 1)

    def evaluate(self, weights: Arrays) -> Mapping[str, float]:
        """One number, as a real judge tells."""
        return {"score": -1.0}


class IdleSite(site.Site):
    """A site whose partner is idle."""

    def partner(self, training: Mapping[str, Any]) -> Partner:
        """The partner as the product makes it, but for the trainer."""
        folder = self.home / "run"
        peers = self._pinned(training.get(site.CARDS, []))
        return _Noting(self.identity, Idle(folder), folder, peers=peers, policy=self.config.policy)


class _Noting(Partner):
    def answer(self, plan: RoundPlan, start: Arrays) -> Any:
        """Notes the shapes first: there is no model to ask."""
        self._folder.mkdir(parents=True, exist_ok=True)
        save_weights(self._folder / _ASKED, {name: np.zeros_like(array) for name, array in start.items()}, {})
        return super().answer(plan, start)


if __name__ == "__main__":
    site.Site = IdleSite  # type: ignore[misc]
    site.main()
