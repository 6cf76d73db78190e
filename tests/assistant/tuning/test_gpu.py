"""Training on a GPU: what the CPU gives, and what only a GPU does. Tiny networks; run with `pytest -m gpu`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import tiny
import torch

from assistant.tuning import activations, heads, loop, lora, memory, precision
from assistant.tuning.loop import LoopOptions, Progress, StopTraining, train
from assistant.tuning.networks import Classifier
from assistant.tuning.tasks import ChatTask, ClassifyTask
from assistant.types import Example
from privacy.dpsgd import Private
from privacy.types import PrivacySpend

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
GPU = "cuda"
FAST = LoopOptions(epochs=3, batch_size=4, learning_rate=1e-2, precision="float32", checkpoint_every=2)


def examples(count: int = 24) -> tuple[Example, ...]:
    chance = torch.Generator().manual_seed(0)
    made = []
    for place in range(count):
        length = 6 + place % 9
        ids = torch.randint(0, 20, (length - 3,), generator=chance).tolist()
        made.append(Example((*ids, 7, 8, 9), (0,) * (length - 3) + (1, 1, 1), owner=str(place)))
    return tuple(made)


def model(device: str, *, method: lora.Method = "lora", dtype: torch.dtype = torch.float32, layers: int = 2):
    top = tuple(range(layers // 2, layers)) if layers > 2 else ()
    plan = lora.LoraPlan(method, rank=4, steps=18, layers=top)
    return lora.attach(tiny.llama(layers=layers).to(device, dtype), plan)


def moods(count: int = 40) -> tuple[Example, ...]:
    return tuple(Example((5 + place % 2, 9, 10 + place % 7), (1, 1, 1), labels=(place % 2,)) for place in range(count))


def classifier(device: str):
    net = Classifier(tiny.bert(), ("angry", "happy"), "mean").to(device)
    return lora.attach(net, lora.LoraPlan("head", rank=1))


def weights(net) -> dict[str, torch.Tensor]:
    return {name: value.detach().float().cpu() for name, value in lora.trainable(net).items()}


def alike(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor], atol: float = 2e-3) -> bool:
    return one.keys() == two.keys() and all(torch.allclose(one[name], two[name], atol=atol) for name in one)


def stop_at(step: int):
    def stop(progress: Progress) -> None:
        if progress.step == step:
            raise StopTraining

    return stop


def test_adalora_learns_as_on_the_cpu():
    """Which directions it keeps hangs on the last bit: the losses agree, the weights need not."""
    last = [train(model(at, method="adalora"), ChatTask(), examples(), FAST).losses[-1][1] for at in ("cpu", GPU)]
    assert last[0] == pytest.approx(last[1], rel=0.1)


@pytest.mark.parametrize("method", ["lora", "rslora", "dora", "frozen-a"])
def test_in_float32_the_weights_are_the_cpus(method: lora.Method):
    made = {}
    for device in ("cpu", GPU):
        net = model(device, method=method)
        train(net, ChatTask(), examples(), FAST)
        made[device] = weights(net)
    assert alike(made["cpu"], made[GPU])


@pytest.mark.parametrize("base", [torch.float32, torch.bfloat16])
def test_by_itself_it_computes_in_bfloat16_and_learns(base: torch.dtype):
    net = model(GPU, dtype=base)
    result = train(net, ChatTask(), examples(), dataclasses.replace(FAST, precision="auto", epochs=6))
    assert result.precision == "bfloat16"
    assert result.losses[-1][1] < result.losses[0][1] - 0.5
    assert {value.dtype for value in lora.trainable(net).values()} == {torch.float32}


@pytest.mark.parametrize("more", [{}, {"averaged": 0.7}, {"patience": 3}])
def test_a_run_that_was_cut_short_goes_on(tmp_path: Path, more: dict[str, object]):
    options = dataclasses.replace(FAST, **more)
    valid = examples()[:4] if more.get("patience") else ()
    whole, cut = model(GPU), model(GPU)
    train(whole, ChatTask(), examples(), options, valid=valid)
    stopped = train(cut, ChatTask(), examples(), options, valid=valid, checkpoint=tmp_path, on_progress=stop_at(11))
    assert stopped.ended == "interrupted"
    again = model(GPU)
    train(again, ChatTask(), examples(), options, valid=valid, checkpoint=tmp_path)
    assert alike(weights(whole), weights(again), atol=1e-4)


def test_kept_activations_and_activations_computed_twice_change_nothing(tmp_path: Path):
    plain, kept, twice = (model(GPU, layers=4) for _ in range(3))
    train(plain, ChatTask(), examples(), FAST)
    with activations.kept(kept, examples(), folder=tmp_path):
        train(kept, ChatTask(), examples(), FAST)
    train(twice, ChatTask(), examples(), dataclasses.replace(FAST, checkpointing="on"))
    assert alike(weights(plain), weights(kept))
    assert alike(weights(plain), weights(twice))


@pytest.mark.parametrize("averaged", [0.0, 0.5])
def test_a_private_run_moves_by_its_clipped_gradients_and_its_noise(tmp_path: Path, averaged: float):
    spend = PrivacySpend("dpsgd", 0.5, 1.0, 50, 1.0, "example", "test")
    options = dataclasses.replace(FAST, averaged=averaged)
    net = model(GPU)
    before = weights(net)
    stopped = train(
        net, ChatTask(), examples(), options, private=Private(spend), checkpoint=tmp_path, on_progress=stop_at(13)
    )
    assert stopped.ended == "interrupted"
    again = model(GPU)
    result = train(again, ChatTask(), examples(), options, private=Private(spend), checkpoint=tmp_path)
    assert result.ended == "finished"
    assert not alike(before, weights(again), atol=1e-5)
    assert {str(value.device) for value in lora.trainable(again).values()} == {"cuda:0"}


def test_a_classifiers_head_starts_from_the_centroids_of_the_cpu_and_learns():
    task, made = ClassifyTask(("angry", "happy")), {}
    for device in ("cpu", GPU):
        net = classifier(device)
        heads.start_from_centroids(net, task, moods())
        made[device] = net.head.weight.detach().cpu()
    assert torch.allclose(made["cpu"], made[GPU], atol=1e-3)
    with activations.kept(net, moods()):
        result = train(net, task, moods(), FAST)
    assert result.losses[-1][1] < result.losses[0][1]


@pytest.mark.parametrize("private", [False, True])
def test_a_head_over_an_encoder_in_bfloat16_learns_from_kept_activations(private: bool):
    net = Classifier(tiny.bert().to(torch.bfloat16), ("angry", "happy"), "mean").to(GPU)
    net = lora.attach(net, lora.LoraPlan("head", rank=1))
    before, task = weights(net), ClassifyTask(("angry", "happy"))
    hook = Private(PrivacySpend("dpsgd", 0.5, 1.0, 50, 1.0, "example", "test")) if private else None
    with activations.kept(net, moods()):
        result = train(net, task, moods(), dataclasses.replace(FAST, precision="auto"), private=hook)
    assert result.precision == "bfloat16"
    assert not alike(before, weights(net), atol=1e-5)


def test_the_loss_without_training_is_the_cpus_and_the_memory_is_the_gpus():
    losses = [loop.evaluate(model(device), ChatTask(), examples()) for device in ("cpu", GPU)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
    assert memory.free(precision.device_of(model(GPU))) == pytest.approx(torch.cuda.mem_get_info()[0], rel=0.05)
    assert precision.device_of(model(GPU)) == "cuda:0"
