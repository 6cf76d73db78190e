from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import torch

from assistant.errors import BadInput
from assistant.tuning import lora
from assistant.tuning.loop import LoopOptions, train
from assistant.tuning.lora import LoraPlan, Method
from assistant.tuning.networks import Classifier, core
from assistant.tuning.tasks import ChatTask
from assistant.types import Example

METHODS: tuple[Method, ...] = ("lora", "rslora", "dora", "adalora", "frozen-a")
IDS = torch.tensor([[1, 5, 9, 14, 3, 2]])


def logits(net) -> torch.Tensor:
    net.eval()
    with torch.no_grad():
        return net(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits


def trained(method: Method, make=tiny.llama, **more):
    net = lora.attach(make(), LoraPlan(method, rank=4, steps=30, **more))
    data = [Example((1, 2, 3 + place, 7, 8, 9), (0, 0, 0, 1, 1, 1)) for place in range(12)]
    options = LoopOptions(epochs=10, batch_size=4, learning_rate=2e-2, precision="float32")
    result = train(net, ChatTask(), data, options)
    assert result.losses[-1][1] < result.losses[0][1]
    return net


@pytest.mark.parametrize("method", METHODS)
def test_a_fresh_adapter_changes_nothing(method: Method):
    before = logits(tiny.llama())
    net = lora.attach(tiny.llama(), LoraPlan(method, rank=4, steps=30))
    assert torch.allclose(logits(net), before, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_every_variant_is_saved_as_lora_and_comes_back_the_same(method: Method, tmp_path: Path):
    net = trained(method)
    lora.save(net, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {lora.WEIGHTS, lora.CONFIG}
    assert json.loads((tmp_path / lora.CONFIG).read_text())["peft_type"] == "LORA"
    again = lora.load(tiny.llama(), tmp_path)
    exact = {} if method != "adalora" else {"atol": 1e-5, "rtol": 1e-4}
    assert torch.allclose(logits(again), logits(net), **exact or {"atol": 0, "rtol": 0})
    assert not torch.allclose(logits(net), logits(tiny.llama()), atol=1e-3), "it learned nothing"


@pytest.mark.parametrize("method", METHODS)
def test_the_serving_engine_reads_every_variant_and_computes_the_same(method: Method, tmp_path: Path):
    from assistant.engines import adapters

    net = trained(method)
    lora.save(net, tmp_path)
    spec = adapters.read_spec(tmp_path)
    adapters.check_base(spec, ("tiny-llama",), model="tiny-llama")
    served = tiny.llama()
    host = adapters.AdapterHost(served)
    host.attach("a", spec, adapters.read_weights(tmp_path))
    host.activate("a")
    assert torch.allclose(logits(served), logits(net), atol=1e-5, rtol=1e-4)


def test_an_adapter_of_the_upper_layers_is_served_too(tmp_path: Path):
    from assistant.engines import adapters

    net = trained("lora", layers=(1,))
    lora.save(net, tmp_path)
    served = tiny.llama()
    host = adapters.AdapterHost(served)
    host.attach("a", adapters.read_spec(tmp_path), adapters.read_weights(tmp_path))
    host.activate("a")
    assert torch.equal(logits(served), logits(net))


def test_with_frozen_a_only_b_is_trained():
    net = lora.attach(tiny.llama(), LoraPlan("frozen-a", rank=4))
    assert all("lora_B" in name for name in lora.trainable(net))
    assert lora.trainable(net)


def test_with_a_head_alone_nothing_else_is_trained_and_a_chat_model_has_none(tmp_path: Path):
    net = lora.attach(Classifier(tiny.bert(), ("a", "b"), "mean"), LoraPlan("head"))
    assert list(lora.trainable(net)) == ["head.bias", "head.weight"]
    lora.save(net, tmp_path)
    again = lora.load(Classifier(tiny.bert(), ("a", "b"), "mean"), tmp_path, train=True)
    lora.hold(again, "head")
    assert list(lora.trainable(again)) == ["head.bias", "head.weight"]
    with pytest.raises(BadInput, match="head of their own"):
        lora.attach(tiny.llama(), LoraPlan("head"))


def test_the_head_and_the_embedding_are_never_targets_and_chosen_layers_are_all():
    names = lora.trainable(lora.attach(tiny.llama(), LoraPlan(rank=2)))
    assert {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in names} == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    top = lora.trainable(lora.attach(tiny.llama(layers=4), LoraPlan(rank=2, layers=(3,), targets=("q_proj",))))
    assert {name.split(".lora_")[0][-26:] for name in top} == {"layers.3.self_attn.q_proj"[-26:]} or len(top) == 2


@pytest.mark.parametrize("make", [tiny.llama, tiny.gpt2])
def test_defaults_fit_every_architecture(make, tmp_path: Path):
    net = trained("lora", make)
    lora.save(net, tmp_path)
    assert torch.equal(logits(lora.load(make(), tmp_path)), logits(net))


def test_the_upper_layers_are_a_fifth_and_at_least_one():
    assert lora.top_layers(tiny.llama(layers=10)) == (8, 9)
    assert lora.top_layers(tiny.llama(layers=2)) == (1,)


def test_targets_that_the_model_lacks_are_refused():
    with pytest.raises(BadInput, match="No layer of this model is called c_attn"):
        lora.attach(tiny.llama(), LoraPlan(targets=("c_attn",)))


def test_an_adapter_of_another_base_is_refused(tmp_path: Path):
    lora.save(trained("lora"), tmp_path)
    with pytest.raises(BadInput, match="does not fit"):
        lora.load(tiny.llama(layers=3), tmp_path)


def test_a_classifiers_head_and_labels_travel_with_its_adapter(tmp_path: Path):
    one = lora.attach(Classifier(tiny.bert(), ("a", "b", "c"), "mean", seed=1), LoraPlan(rank=2))
    assert {"head.weight", "head.bias"} <= lora.trainable(one).keys()
    lora.save(one, tmp_path)
    two = lora.load(Classifier(tiny.bert(), ("a", "b", "c"), "mean", seed=2), tmp_path).eval()
    mask = torch.ones_like(IDS)
    assert torch.equal(one.eval()(IDS, mask), two(IDS, mask))
    assert json.loads((tmp_path / lora.HEAD).read_text())["labels"] == ["a", "b", "c"]


def test_the_network_inside_is_found_through_the_wrappers():
    net = tiny.llama()
    assert core(lora.attach(net, LoraPlan(rank=2))) is net
