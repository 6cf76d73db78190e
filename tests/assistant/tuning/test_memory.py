"""Activations computed twice: the same weights, only where the memory asks for it, and never in a private run."""

from __future__ import annotations

import dataclasses

import pytest
import tiny
import torch

from assistant.tuning import loop, lora, memory
from assistant.tuning.loop import LoopOptions
from assistant.tuning.tasks import ChatTask
from assistant.types import Example

OPTIONS = LoopOptions(epochs=2, batch_size=4, learning_rate=1e-2, precision="float32")
EXAMPLES = tuple(Example(tuple(range(n, n + 12)), (0,) * 8 + (1,) * 4, owner=str(n)) for n in range(12))


def trained(options: LoopOptions, *, gpt2: bool = False) -> dict[str, torch.Tensor]:
    net = lora.attach(tiny.gpt2() if gpt2 else tiny.llama(), lora.LoraPlan(rank=4, dropout=0.1))
    loop.train(net, ChatTask(), EXAMPLES, options)
    return {name: value.detach().clone() for name, value in lora.trainable(net).items()}


@pytest.mark.parametrize("gpt2", [False, True])
def test_computing_activations_twice_gives_the_same_weights(gpt2: bool):
    once = trained(dataclasses.replace(OPTIONS, checkpointing="off"), gpt2=gpt2)
    twice = trained(dataclasses.replace(OPTIONS, checkpointing="on"), gpt2=gpt2)
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_it_happens_only_where_the_activations_do_not_fit(monkeypatch):
    used: list[bool] = []
    economise = memory.economise
    monkeypatch.setattr(memory, "economise", lambda model: used.append(True) or economise(model))
    monkeypatch.setattr(memory, "free", lambda device: 10**12)
    trained(OPTIONS)
    assert not used
    monkeypatch.setattr(memory, "free", lambda device: 10**5)
    trained(OPTIONS)
    assert used


def test_a_model_is_as_it_was_after_the_run():
    net = lora.attach(tiny.llama(), lora.LoraPlan(rank=4))
    loop.train(net, ChatTask(), EXAMPLES, dataclasses.replace(OPTIONS, checkpointing="on"))
    assert not net.get_base_model().is_activation_checkpointing


def test_the_estimate_grows_with_the_tokens_and_is_of_the_right_size():
    net = tiny.llama(layers=4)
    assert memory.needed(net, 200, 4) == 2 * memory.needed(net, 100, 4)
    kept = 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    model = lora.attach(net, lora.LoraPlan(rank=4)).train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(input_ids=torch.arange(64)[None], logits_to_keep=1)
    estimate = memory.needed(model, 64, 4)
    assert 0.5 < estimate / kept < 4
