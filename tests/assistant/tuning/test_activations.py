from __future__ import annotations

import contextlib
import dataclasses
import random
from pathlib import Path

import pytest
import tiny
import torch

from assistant.errors import BadInput
from assistant.tuning import activations, lora
from assistant.tuning.loop import LoopOptions, StopTraining, train
from assistant.tuning.networks import Classifier
from assistant.tuning.tasks import ChatTask, ClassifyTask
from assistant.types import Example
from privacy.dpsgd import Private
from privacy.types import PrivacySpend

DATA = tuple(Example(tuple(range(1, 6 + place % 5)), (0, 0, 0) + (1,) * (2 + place % 5)) for place in range(16))
DATA = tuple(dataclasses.replace(each, ids=(place, *each.ids[1:])) for place, each in enumerate(DATA))
OPTIONS = LoopOptions(epochs=3, batch_size=4, learning_rate=1e-2, precision="float32", checkpoint_every=1)


def model():
    return lora.attach(tiny.llama(layers=4), lora.LoraPlan(rank=4, layers=(2, 3)))


def weights(net) -> list[torch.Tensor]:
    return [value.detach().clone() for value in lora.trainable(net).values()]


@pytest.mark.parametrize("stored", ["memory", "folder"])
def test_training_over_kept_activations_is_training_without_them(tmp_path: Path, stored: str):
    plain, kept = model(), model()
    train(plain, ChatTask(), DATA, OPTIONS)
    with activations.kept(kept, DATA, folder=tmp_path if stored == "folder" else None):
        train(kept, ChatTask(), DATA, OPTIONS)
    assert all(torch.allclose(one, two, atol=1e-5) for one, two in zip(weights(plain), weights(kept), strict=True))
    assert lora.trainable(plain).keys() == lora.trainable(kept).keys(), "the network is whole again"
    activations.forget(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_frozen_layers_run_once_for_each_example():
    net = model()
    calls = []
    net.get_base_model().model.layers[0].register_forward_hook(lambda _m, i, _o: calls.append(len(i[0])))
    with activations.kept(net, DATA):
        calls.clear()
        train(net, ChatTask(), DATA, OPTIONS)
    assert sum(calls) == len(DATA)


def test_a_run_cut_short_over_a_folder_goes_on_bit_by_bit(tmp_path: Path):
    def stop(progress) -> None:
        if progress.step == 6:
            raise StopTraining

    whole, cut = model(), model()
    with activations.kept(whole, DATA, folder=tmp_path / "a"):
        train(whole, ChatTask(), DATA, OPTIONS)
    with activations.kept(cut, DATA, folder=tmp_path / "b"):
        train(cut, ChatTask(), DATA, OPTIONS, checkpoint=tmp_path / "c", on_progress=stop)
    resumed = model()
    with activations.kept(resumed, DATA, folder=tmp_path / "b"):
        train(resumed, ChatTask(), DATA, OPTIONS, checkpoint=tmp_path / "c")
    assert all(torch.equal(one, two) for one, two in zip(weights(whole), weights(resumed), strict=True))


def test_an_encoder_can_be_split_too():
    def made() -> Classifier:
        return lora.attach(Classifier(tiny.bert(), ("a", "b"), "mean"), lora.LoraPlan(rank=2, layers=(1,)))

    data = [Example((1, 2, 3 + place), (1, 1, 1), (place % 2,)) for place in range(8)]
    task, plain, kept = ClassifyTask(("a", "b")), made(), made()
    for net in (plain, kept):
        core = net.net.get_base_model()
        for module in core.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # the frozen layers do not drop out when kept
    train(plain, task, data, OPTIONS)
    with activations.kept(kept, data):
        train(kept, task, data, OPTIONS)
    assert all(torch.allclose(one, two, atol=1e-5) for one, two in zip(weights(plain), weights(kept), strict=True))


def test_under_a_head_alone_all_layers_are_kept_and_private_steps_are_the_same():
    def made() -> Classifier:
        net = lora.attach(Classifier(tiny.bert(), ("a", "b"), "mean"), lora.LoraPlan("head"))
        for module in net.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        return net

    data = [Example((1, 2, 3 + place), (1, 1, 1), (place % 2,)) for place in range(8)]
    task, plain, kept = ClassifyTask(("a", "b")), made(), made()
    spend = PrivacySpend("dpsgd", 0.5, 1.0, 50, 1.0, "example", "test")
    train(plain, task, data, OPTIONS, private=Private(spend, entropy=random.Random(1).randbytes))
    with activations.kept(kept, data):
        train(kept, task, data, OPTIONS, private=Private(spend, entropy=random.Random(1).randbytes))
        assert len(kept.net.get_base_model().encoder.layer) == 1
    assert all(torch.allclose(one, two, atol=1e-5) for one, two in zip(weights(plain), weights(kept), strict=True))


def test_unknown_sequences_are_computed_and_not_kept():
    net = model()
    ids = torch.tensor([[9, 8, 7, 6]])
    with torch.no_grad():
        before = net.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        with activations.kept(net, DATA):
            inside = net.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    assert torch.equal(before, inside)


def test_an_adapter_on_the_lowest_layer_leaves_nothing_to_keep():
    net = lora.attach(tiny.llama(), lora.LoraPlan(rank=2))
    with pytest.raises(BadInput, match="nothing to keep"), activations.kept(net, DATA):
        pass


@pytest.mark.parametrize(("change", "split"), [(1e-6, True), (0.1, False)])
def test_rounding_does_not_stop_a_training_and_another_computation_does(monkeypatch, change, split):
    net = model()
    out, calls = activations._outputs, []

    def outputs(body, example):
        calls.append(example)
        return out(body, example) * (1 + change * (len(calls) > 1))

    monkeypatch.setattr(activations, "_outputs", outputs)
    reason = contextlib.nullcontext() if split else pytest.raises(BadInput, match="cannot be split")
    with reason, activations.kept(net, DATA):
        pass
    assert len(calls) == 2


@pytest.mark.parametrize("stored", ["memory", "folder"])
def test_rows_are_kept_in_the_format_that_the_layers_give(tmp_path: Path, stored: str):
    """On a GPU autocast's norms give float32 where bfloat16 went in."""

    class Widening(torch.nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden.float() * 1.7

    ids, folder = torch.tensor([[1, 2, 3]]), tmp_path if stored == "folder" else None
    hidden = torch.randn(1, 3, 4).to(torch.bfloat16)
    frozen = activations.FrozenLayers([Widening()], [Example((1, 2, 3), (1, 1, 1))], 4, folder)
    frozen.note(ids, torch.ones_like(ids))
    first, again = frozen(hidden), frozen(torch.zeros_like(hidden))
    assert again.dtype == first.dtype == torch.float32
    assert torch.equal(first, again)
    if folder is not None:  # a run that goes on
        narrow = activations.FrozenLayers([torch.nn.Identity()], [Example((1, 2, 3), (1, 1, 1))], 4, folder)
        narrow.note(ids, torch.ones_like(ids))
        assert torch.equal(narrow(hidden), hidden)  # in another format: nothing of the first is read as its
        assert torch.equal(narrow(torch.zeros_like(hidden)), hidden)
        other = activations.FrozenLayers([Widening()], [Example((1, 2, 3), (1, 1, 1))], 4, folder)
        other.note(ids, torch.ones_like(ids))
        assert torch.equal(other(torch.zeros_like(hidden)), first)
