"""The engine openvino, on the real default model: the contract, adapters that never mix, many at once."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("openvino_genai")
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from assistant.adapters import SHIPPED
from assistant.engines import models, openvino, ov_files
from assistant.engines.base import ScoresText
from assistant.engines.openvino import OpenVinoEngine
from assistant.errors import AdapterUnsupported, BadInput, EngineError, EngineUnavailable
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
        order = [None, "one", "two", "one", None, "two"]
        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda name: ask(engine, adapter=name, conversation="same"), order))
        assert said == [alone[name] for name in order]
        assert engine.adapters() == ("one", "two")
    finally:
        for name in adapters:
            engine.remove_adapter(name)
    assert engine.adapters() == ()
    assert ask(engine) == alone[None]


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_merged_weights_compute_what_the_adapter_does(kind: str, tmp_path: Path):
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    wanted = LoraConfig(
        r=4, lora_alpha=16, target_modules=["q_proj", "down_proj"], init_lora_weights=False, use_dora=kind == "dora",
        rank_pattern={"down_proj": 2}, task_type="CAUSAL_LM",
    )  # fmt: skip
    tuned = get_peft_model(base, wanted).eval()
    tuned.save_pretrained(tmp_path / "adapter")
    ov_files.merge(tmp_path / "base", tmp_path / "merged", tmp_path / "adapter")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32).eval()
    ids = torch.arange(12)[None]
    with torch.no_grad():
        torch.testing.assert_close(merged(ids).logits, tuned(ids).logits, atol=1e-4, rtol=1e-4)


def test_an_adapter_that_does_not_fit_is_refused_and_nothing_changed(engine: OpenVinoEngine, adapters, tmp_path):
    config = (adapters["one"] / "adapter_config.json").read_text()
    (tmp_path / "adapter_model.safetensors").write_bytes((adapters["one"] / "adapter_model.safetensors").read_bytes())
    (tmp_path / "adapter_config.json").write_text(config.replace('"r": 4', '"r": 5'))
    with pytest.raises(AdapterUnsupported, match="does not fit"):
        engine.add_adapter("odd", tmp_path)
    assert engine.adapters() == ()


def test_what_breaks_while_an_adapter_is_loaded_is_told_as_the_engines_error(engine: OpenVinoEngine, monkeypatch):
    def fails(error: Exception):
        def written(*_: object) -> Path:
            raise error

        monkeypatch.setattr(ov_files, "written", written)

    fails(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(EngineUnavailable, match="No space left"):
        engine.add_adapter("mine", SHIPPED)
    fails(BadInput("Models of the kind gemma are not written."))
    with pytest.raises(AdapterUnsupported, match="gemma"):
        engine.add_adapter("mine", SHIPPED)
    assert engine.adapters() == ()


def test_how_likely_a_text_is_is_what_hf_says(engine: OpenVinoEngine, hf_engine, adapters):
    engine.add_adapter("one", adapters["one"])
    try:
        assert isinstance(engine, ScoresText)
        bare, tuned = (engine.logprobs([ASK], "Monday.", adapter=name)[0] for name in (None, "one"))
    finally:
        engine.remove_adapter("one")
    assert bare == pytest.approx(hf_engine.logprobs([ASK], "Monday.")[0], abs=0.5)
    assert abs(bare - tuned) > 0.5


def test_what_is_written_beforehand_is_not_written_at_the_first_start(settings: Settings, monkeypatch):
    openvino.write(settings, [SHIPPED])
    monkeypatch.setattr(ov_files, "_write", lambda *given: pytest.fail("it was written already"))
    made = openvino.build(settings)
    assert made._pipelines == {}
    made.add_adapter("built-in@1", SHIPPED)
    assert ask(made, (Message("user", "What is the capital of France?"),))
    made.close()


def test_how_an_answer_would_begin_is_what_hf_says(engine: OpenVinoEngine, hf_engine):
    messages = (Message("user", "What is the capital of France?"),)
    for word in ("The", "Paris"):
        exact = hf_engine.begins(messages, word, GenerateOptions())
        if exact > -3:  # of an unlikely word only a bound is known
            assert engine.begins(messages, word, GenerateOptions()) == pytest.approx(exact, abs=0.3)
        else:
            assert engine.begins(messages, word, GenerateOptions()) >= exact - 0.5
    assert engine.begins(messages, "The", GenerateOptions()) > engine.begins(messages, "zebra", GenerateOptions())


def test_a_prompt_over_the_window_has_no_beginning(engine: OpenVinoEngine):
    with pytest.raises(EngineError, match="window"):
        engine.begins((Message("user", "word " * 9000),), "The", GenerateOptions())


def test_the_folders_used_longest_ago_go(tmp_path: Path):
    for number in range(ov_files.KEPT + 2):
        (tmp_path / f"{number}").mkdir()
        os.utime(tmp_path / f"{number}", (number, number))
    ov_files._make_room(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{number}" for number in range(2, ov_files.KEPT + 2)}


def test_eight_at_once_are_the_same_as_one_after_another(engine: OpenVinoEngine):
    questions = [(*ASK[:1], Message("user", f"Count from {n} to {n + 3}.")) for n in range(8)]
    alone = [ask(engine, each) for each in questions]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda each: ask(engine, each), questions)) == alone


def test_closing_ends_what_is_under_way_and_leaves_no_complaint(settings: Settings, capfd):
    engine = openvino.build(settings)
    stream = engine.stream(OTHER, GenerateOptions(max_new_tokens=400, time_limit_s=60))
    next(iter(stream))
    threading.Timer(0.1, engine.close).start()
    with pytest.raises(EngineUnavailable):
        "".join(stream)
    with pytest.raises(EngineUnavailable, match="closed"):
        ask(engine)
    assert "leak" not in "".join(capfd.readouterr())


def test_a_model_that_came_as_safetensors_is_left_to_hf(settings: Settings):
    path, _ = models.resolve(settings)
    named = settings.model_copy(update={"model": ModelSettings(name=str(path), engine="openvino")})
    with pytest.raises(EngineUnavailable, match="GGUF"):
        openvino.build(named)


def test_no_zero_point_is_subtracted_from_a_written_models_weights(engine: OpenVinoEngine):
    import openvino

    folder = ov_files.written(engine._source)
    large = [
        node.get_output_element_type(0).get_type_name()
        for node in openvino.Core().read_model(folder / "openvino_model.xml").get_ops()
        if node.get_type_name() == "Constant" and node.get_output_size() and node.get_byte_size() > 50_000
    ]
    assert set(large) & {"u8", "i8"} == {"i8"}
    assert sorted(file.name for file in folder.glob("*_model.*")) == ["openvino_model.bin", "openvino_model.xml"]


SERVED = """
import sys
from pathlib import Path
from assistant.core import Assistant
from assistant.server import create_app
from assistant.settings import ModelSettings, Settings
from assistant.types import Conversation, Done, Outcome
settings = Settings(data_dir=Path(sys.argv[1]), model=ModelSettings(engine="openvino"))
assistant = Assistant.open(settings)
create_app(assistant, settings)
*_, done = assistant.ask(Conversation(""), "How long do I have to send something back?")
assert isinstance(done, Done) and "30 days" in done.answer.text, done
assert assistant.is_loaded and done.answer.outcome is Outcome.ANSWERED, done.answer
print(*sorted({"torch", "sklearn", "matplotlib", "optuna", "peft", "flwr", "captum", "opacus"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_pages_and_an_answer_of_a_second_start_need_no_torch(settings: Settings, engine, tmp_path: Path):
    from assistant.ingest import ingest
    from assistant.retrieval.search import Searcher
    from assistant.store import Store

    (tmp_path / "models").symlink_to((settings.data_dir / "models").resolve(), target_is_directory=True)
    (tmp_path / "returns.md").write_text("# Returns\n\nYou can send anything back within 30 days. It is free.\n")
    own, store = Settings(data_dir=tmp_path), Store.open(tmp_path)
    ingest([tmp_path / "returns.md"], store=store, settings=own, index=Searcher(store, own), collection=own.collection)
    store.close()
    done = subprocess.run([sys.executable, "-c", SERVED, tmp_path], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == ""
