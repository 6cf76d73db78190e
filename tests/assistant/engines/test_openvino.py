"""The engine openvino, on the real default model: the contract, adapters that never mix, many at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("openvino_genai")
import torch
from peft import LoraConfig, get_peft_model

from assistant.engines import models, openvino
from assistant.engines.adapters import read_spec
from assistant.engines.openvino import OpenVinoEngine
from assistant.errors import AdapterUnsupported, EngineUnavailable
from assistant.settings import ModelSettings, Settings
from assistant.testing import ASK, OTHER, EngineContract, ask
from assistant.types import GenerateOptions, Message


@pytest.fixture(scope="module")
def settings(model_dir: Path) -> Settings:
    return Settings(data_dir=model_dir, model=ModelSettings(engine="openvino", dtype="float32"))


@pytest.fixture(scope="module")
def engine(settings: Settings):
    made = openvino.build(settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def adapters(settings: Settings, tmp_path_factory) -> dict[str, Path]:
    """Two LoRA adapters with random weights, saved by PEFT itself."""
    from transformers import AutoModelForCausalLM

    path, _ = models.resolve(settings)
    made = {}
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        net = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
        config = LoraConfig(
            r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
        )
        get_peft_model(net, config).save_pretrained(made.setdefault(name, tmp_path_factory.mktemp(name)))
    return made


class TestContract(EngineContract):
    """The laws of every engine."""


def test_it_knows_what_the_model_knows(engine: OpenVinoEngine):
    assert "Paris" in ask(engine, (Message("user", "What is the capital of France?"),))
    assert len(engine.model.sha256) == 64


def test_an_adapter_never_answers_for_another_whatever_is_remembered(engine: OpenVinoEngine, adapters):
    for name, path in adapters.items():
        engine.add_adapter(name, path)
    try:
        alone = {name: ask(engine, adapter=name) for name in (None, "one", "two")}
        assert len(set(alone.values())) == 3
        order = [None, "one", "two", "one", None, "two"] * 3
        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda name: ask(engine, adapter=name, conversation="same"), order))
        assert said == [alone[name] for name in order]
        assert engine.adapters() == ("one", "two")
    finally:
        for name in adapters:
            engine.remove_adapter(name)
    assert engine.adapters() == ()
    assert ask(engine) == alone[None]


def test_merged_weights_are_those_that_peft_merges(settings: Settings, adapters, tmp_path):
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    path, _ = models.resolve(settings)
    openvino._merge(path, tmp_path, adapters["one"], read_spec(adapters["one"]))
    ours = load_file(tmp_path / "model.safetensors")
    net = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    theirs = PeftModel.from_pretrained(net, adapters["one"]).merge_and_unload().state_dict()
    assert ours.keys() <= theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], atol=1e-5, rtol=1e-5)


def test_an_adapter_of_another_kind_is_refused_and_nothing_changed(engine: OpenVinoEngine, adapters, tmp_path):
    config = (adapters["one"] / "adapter_config.json").read_text()
    (tmp_path / "adapter_model.safetensors").write_bytes((adapters["one"] / "adapter_model.safetensors").read_bytes())
    (tmp_path / "adapter_config.json").write_text(config.replace('"use_dora": false', '"use_dora": true'))
    with pytest.raises(AdapterUnsupported, match="plain LoRA"):
        engine.add_adapter("dora", tmp_path)
    assert engine.adapters() == ()


def test_eight_at_once_are_the_same_as_one_after_another(engine: OpenVinoEngine):
    questions = [(*ASK[:1], Message("user", f"Count from {n} to {n + 3}.")) for n in range(8)]
    alone = [ask(engine, each) for each in questions]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda each: ask(engine, each), questions)) == alone


def test_closing_ends_what_is_under_way(settings: Settings):
    engine = openvino.build(settings)
    stream = engine.stream(OTHER, GenerateOptions(max_new_tokens=400, time_limit_s=60))
    next(iter(stream))
    threading.Timer(0.1, engine.close).start()
    with pytest.raises(EngineUnavailable):
        "".join(stream)
    with pytest.raises(EngineUnavailable, match="closed"):
        ask(engine)


def test_a_model_that_came_as_safetensors_is_left_to_hf(settings: Settings):
    path, _ = models.resolve(settings)
    named = settings.model_copy(update={"model": ModelSettings(name=str(path), engine="openvino")})
    with pytest.raises(EngineUnavailable, match="GGUF"):
        openvino.build(named)
