"""What a partner's loss has beyond its task's: logits raised by how common a class is at this partner."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from assistant.tuning.tasks import Batch, ClassifyTask, collate
from assistant.types import Example
from federated.config import RunConfig
from federated.errors import BadRequest
from federated.losses import ABSENT, Calibrated

LABELS = ("a", "b", "c")
EXAMPLES = [Example((1, 2), (1, 1), (place,)) for place in (0, 0, 0, 1)]


class Fixed(torch.nn.Module):
    """The same logits for every text."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor([0.5, 1.0, -1.0]))

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return self.logits.expand(len(input_ids), -1)


def losses(strength: float, model: Fixed | None = None) -> Any:
    task: Any = ClassifyTask(LABELS)
    batch: Batch = collate(EXAMPLES)
    return (Calibrated.on(task, EXAMPLES, strength) if strength else task).losses(model or Fixed(), batch)


def test_the_loss_is_that_of_logits_raised_by_the_classes_shares() -> None:
    counts = np.array([3.0, 1.0, ABSENT])
    raised = np.array([0.5, 1.0, -1.0]) + np.log(counts / counts.sum())
    odds = np.exp(raised) / np.exp(raised).sum()
    expected = [-np.log(odds[place]) for place in (0, 0, 0, 1)]
    assert np.allclose(losses(1.0).detach().numpy(), expected, atol=1e-6)


def test_a_class_that_is_absent_here_is_pushed_down_less() -> None:
    pushed = []
    for strength in (0.0, 1.0):
        model = Fixed()
        losses(strength, model).sum().backward()
        pushed.append(float(model.logits.grad[2]))
    assert 0 < pushed[1] < pushed[0]


def test_the_model_answers_as_before_afterwards() -> None:
    model = Fixed()
    before = losses(0.0, model)
    losses(1.0, model)
    assert torch.equal(losses(0.0, model), before)


def test_a_task_without_classes_is_not_calibrated() -> None:
    from assistant.tuning.tasks import ChatTask

    with pytest.raises(BadRequest, match="chat"):
        Calibrated.on(ChatTask(), EXAMPLES, 1.0)


def test_a_rate_on_the_cosine_falls_from_the_whole_to_almost_nothing() -> None:
    config = RunConfig("run", 4, cosine=True, training={"learning_rate": 1.0, "epochs": 2.0})
    rates = [config.training_of(number)["learning_rate"] for number in (1, 2, 3, 4)]
    assert np.allclose(rates, [1.0, 0.854, 0.5, 0.146], atol=1e-3)
    assert RunConfig("run", 4, training={"learning_rate": 1.0}).training_of(3)["learning_rate"] == 1.0
    with pytest.raises(BadRequest, match="learning_rate"):
        RunConfig("run", 4, cosine=True)
