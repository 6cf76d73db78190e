"""Requests that are decoded together get what each would get alone, whatever their adapters, lengths and ends."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Regex, pre_tokenizers

from assistant.engines import batching, hf
from assistant.engines.hf import HfEngine
from assistant.errors import AdapterUnsupported, EngineError, EngineTimeout, EngineUnavailable
from assistant.settings import ModelSettings, Settings
from assistant.testing import ASK, OTHER, EngineContract, ask
from assistant.types import GenerateOptions, Message, ModelInfo

INFO = ModelInfo("tiny-llama", "0" * 64, 2048)
LONG = (*ASK, Message("assistant", "Monday, Tuesday."), Message("user", "And the months? All of them, one by one."))


def network() -> Any:
    net = tiny.llama()
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(8 if weight.dim() > 1 else 1)  # so that what it says depends on what it reads
    return net


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = tiny.tokenizer()
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s|\S"), "isolated")
    return tiny.save(network(), tmp_path_factory.mktemp("tiny-llama"), tokenizer)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three LoRA adapters with random weights, one of them DoRA."""
    made = {}
    for seed, (name, dora) in enumerate({"one": False, "two": False, "dora": True}.items()):
        net = network()
        torch.manual_seed(seed)
        config = LoraConfig(
            r=2 + seed, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False,
            task_type="CAUSAL_LM", use_dora=dora,
        )  # fmt: skip
        get_peft_model(net, config).save_pretrained(made.setdefault(name, tmp_path_factory.mktemp(name)))
    return made


def opened(folder: Path, adapters: dict[str, Path], **options: Any) -> HfEngine:
    engine = HfEngine(folder, INFO, **{"device": "cpu", "dtype": "float32", **options})
    for name, path in adapters.items():
        engine.add_adapter(name, path)
    return engine


@pytest.fixture(scope="module")
def alone(folder: Path, adapters: dict[str, Path]) -> Iterator[HfEngine]:
    """One after another: what is right."""
    engine = opened(folder, adapters)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def engine(folder: Path, adapters: dict[str, Path]) -> Iterator[HfEngine]:
    made = opened(folder, adapters, places=4)
    yield made
    made.close()


class TestContract(EngineContract):
    """On a tiny network."""


Asked = list[tuple[tuple[Message, ...], dict[str, Any]]]


def outcomes(engine: HfEngine, asked: Asked) -> list[Future[str]]:
    """What becomes of requests of which none is begun before all are there."""
    assert engine._batcher is not None
    assert engine._turn.acquire(10)
    with ThreadPoolExecutor(len(asked)) as pool:
        futures = [pool.submit(ask, engine, messages, **options) for messages, options in asked]
        while len(engine._batcher._waiting) < len(asked):
            time.sleep(0.001)
        engine._turn.release()
        wait(futures, 60)
    return futures


def all_at_once(engine: HfEngine, asked: Asked) -> list[str]:
    return [future.result() for future in outcomes(engine, asked)]


def test_rows_of_any_length_adapter_and_end_get_what_each_gets_alone(alone: HfEngine, engine: HfEngine) -> None:
    asked = [
        (messages, {"adapter": adapter, "max_new_tokens": 3 + 4 * (number % 4)})
        for number, (messages, adapter) in enumerate(
            (messages, adapter) for messages in (ASK, LONG, OTHER) for adapter in (None, "one", "two", "dora")
        )
    ]
    expected = [ask(alone, messages, **options) for messages, options in asked]
    assert len(set(expected)) > 9, "the adapters of this test say the same"
    assert all_at_once(engine, asked) == expected


def test_a_mixed_batch_is_one_step_for_all(engine: HfEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine._batcher is not None
    seen: list[tuple[str | None, ...]] = []
    step = engine._batcher._forward
    monkeypatch.setattr(
        engine._batcher,
        "_forward",
        lambda: (seen.append(tuple(row.adapter for row in engine._batcher._rows)), step())[1],
    )
    all_at_once(engine, [(ASK, {"adapter": adapter}) for adapter in (None, "one", "two")])
    assert (None, "one", "two") in seen
    assert len(seen) < 3 * 7


def test_dora_is_never_in_a_batch_with_others(engine: HfEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine._batcher is not None
    seen: list[set[str | None]] = []
    step = engine._batcher._forward
    monkeypatch.setattr(
        engine._batcher, "_forward", lambda: (seen.append({row.adapter for row in engine._batcher._rows}), step())[1]
    )
    all_at_once(engine, [(ASK, {"adapter": adapter}) for adapter in ("dora", "one", "dora", None)])
    assert all(len(names) == 1 for names in seen if "dora" in names)


def test_a_conversations_cache_comes_out_of_the_batch_whole(alone: HfEngine, engine: HfEngine) -> None:
    read: list[int] = []
    forward = engine._forward
    engine._forward = lambda kept, part: (read.append(len(part)), forward(kept, part))[1]  # type: ignore[method-assign]
    try:
        turns = [{"conversation": f"c{number}", "adapter": (None, "one", "two", "one")[number]} for number in range(4)]
        first = all_at_once(engine, [(ASK if number % 2 else LONG, turn) for number, turn in enumerate(turns)])
        read.clear()
        asked = []
        for number, (turn, text) in enumerate(zip(turns, first, strict=True)):
            before = ASK if number % 2 else LONG
            messages = (*before, Message("assistant", text), Message("user", "And the seasons?"))
            asked.append((messages, {**turn, "max_new_tokens": 12}))
        second = all_at_once(engine, asked)
        assert second == [ask(alone, messages, **{**turn, "conversation": None}) for messages, turn in asked]
        assert sum(read) < sum(len(engine._prompt_ids(messages)) for messages, _ in asked) / 2
    finally:
        del engine._forward  # type: ignore[attr-defined]


def test_an_adapter_is_changed_between_two_requests_and_not_within_one(
    engine: HfEngine, alone: HfEngine, adapters: dict[str, Path]
) -> None:
    engine.add_adapter("swapped", adapters["one"])
    stream = engine.stream(ASK, GenerateOptions(adapter="swapped", max_new_tokens=40, time_limit_s=60))
    begun = next(stream)
    with ThreadPoolExecutor(2) as pool:
        change = pool.submit(engine.add_adapter, "swapped", adapters["two"])
        while not engine._turn.contended and not change.done():
            time.sleep(0.001)
        after = pool.submit(ask, engine, ASK, adapter="swapped", max_new_tokens=40)
        assert begun + "".join(stream) == ask(alone, adapter="one", max_new_tokens=40)
        assert after.result(30) == ask(alone, adapter="two", max_new_tokens=40)
        change.result(30)
    engine.remove_adapter("swapped")
    with pytest.raises(AdapterUnsupported, match="swapped"):
        ask(engine, adapter="swapped")


@pytest.mark.slow
def test_hundreds_that_come_go_and_leave_early_never_mix(alone: HfEngine, engine: HfEngine) -> None:
    dice = random.Random(0)
    plans = [
        (dice.choice((ASK, LONG, OTHER)), dice.choice((None, "one", "two", "dora")), dice.randint(1, 40), dice.random())
        for _ in range(400)
    ]
    whole = {
        (messages, adapter): ask(alone, messages, adapter=adapter, max_new_tokens=40)
        for messages, adapter in {(messages, adapter) for messages, adapter, _, _ in plans}
    }

    def one(plan: tuple[tuple[Message, ...], str | None, int, float]) -> None:
        messages, adapter, most, chance = plan
        conversation = f"c{int(chance * 6)}" if chance < 0.5 else None
        options = GenerateOptions(max_new_tokens=most, adapter=adapter, conversation=conversation, time_limit_s=120)
        stream, said = engine.stream(messages, options), ""
        for piece in stream:
            said += piece
            if chance > 0.8 and len(said) > 8:
                stream.close()  # type: ignore[attr-defined]
        assert whole[messages, adapter].startswith(said)
        assert said or most < 4  # of a few tokens, which may all be special

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(one, plans))


def test_waiting_for_a_place_is_bounded(engine: HfEngine) -> None:
    assert engine._turn.acquire(10)
    try:
        with pytest.raises(EngineTimeout, match="busy"):
            ask(engine, time_limit_s=0.02)
    finally:
        engine._turn.release()
    assert ask(engine)


def test_a_step_that_fails_ends_all_and_leaves_no_adapter_behind(
    engine: HfEngine, alone: HfEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = ask(alone)
    with monkeypatch.context() as patch:
        layer = engine._net.model.layers[1].mlp

        def fails(*args: Any) -> None:
            if len(args[0]) > 1:  # a batch, not a prompt
                raise RuntimeError("a kernel failed")
            return type(layer).forward(layer, *args)

        patch.setattr(layer, "forward", fails)
        asked = [(ASK, {"adapter": adapter}) for adapter in (None, "one", "two")]
        failed = [type(future.exception()) for future in outcomes(engine, asked)]
    assert EngineUnavailable in failed
    assert ask(engine) == expected


def test_a_prompt_that_fails_fails_alone(engine: HfEngine, alone: HfEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = engine._forward
    long = len(engine._prompt_ids(LONG))

    def fails(kept: Any, part: list[int]) -> torch.Tensor:
        if len(part) == long:
            raise RuntimeError("a kernel failed")
        return forward(kept, part)

    monkeypatch.setattr(engine, "_forward", fails)
    good, bad = outcomes(engine, [(ASK, {"max_new_tokens": 30}), (LONG, {})])
    assert isinstance(bad.exception(), EngineUnavailable)
    assert good.result() == ask(alone, max_new_tokens=30)


def test_closing_answers_who_runs_and_refuses_who_waits(folder: Path) -> None:
    engine = HfEngine(folder, INFO, device="cpu", dtype="float32", places=2)
    expected = ask(engine, max_new_tokens=30)
    stream = engine.stream(ASK, GenerateOptions(max_new_tokens=30, time_limit_s=60))
    begun = next(stream)
    closing = threading.Thread(target=engine.close)
    closing.start()
    assert begun + "".join(stream) == expected
    closing.join(30)
    with pytest.raises(EngineError, match="closed"):
        ask(engine)


def test_a_network_without_plain_attention_is_not_batched() -> None:
    from transformers import MistralConfig

    class Net:
        config = MistralConfig(sliding_window=8, num_hidden_layers=2)

    assert not batching.plain(Net)
    assert batching.plain(tiny.llama())


def test_only_a_gpu_batches_by_itself(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(hf, "HfEngine", lambda *_, **options: made.append(options))
    monkeypatch.setattr(hf.models, "prepare", lambda settings: folder)
    monkeypatch.setattr(hf.models, "resolve", lambda settings: (folder, INFO))
    for device in ("cpu", "cuda"):
        monkeypatch.setattr(hf.hardware, "choose_device", lambda wanted, device=device: device)
        hf.build(Settings(data_dir=tmp_path, model=ModelSettings(dtype="float32")))
    assert [options["places"] for options in made] == [1, Settings().server.concurrency]


@pytest.fixture(scope="module")
def default_model(model_dir: Path) -> Iterator[HfEngine]:
    settings = Settings(data_dir=model_dir)
    path, (_, info) = hf.models.prepare(settings), hf.models.resolve(settings)
    made = HfEngine(path, info, device="cpu", dtype="float32", places=4)
    yield made
    made.close()


@pytest.mark.slow
class TestContractOnTheDefaultModel(EngineContract):
    @pytest.fixture
    def engine(self, default_model: HfEngine) -> HfEngine:
        return default_model


@pytest.fixture(scope="module")
def on_a_gpu(model_dir: Path) -> Iterator[HfEngine]:
    """The default model in float32, so that a row alone and a row in a batch agree."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    made = hf.build(Settings(data_dir=model_dir, model=ModelSettings(dtype="float32", device="cuda")))
    yield made
    made.close()


@pytest.mark.gpu
class TestOnAGpu(EngineContract):
    @pytest.fixture
    def engine(self, on_a_gpu: HfEngine) -> HfEngine:
        return on_a_gpu

    def test_it_batches(self, engine: HfEngine) -> None:
        assert engine.places == Settings().server.concurrency

    def test_mixed_adapters_do_not_leak(
        self, engine: HfEngine, folder: Path, adapters: dict[str, Path], alone: HfEngine
    ) -> None:
        batched = opened(folder, adapters, device="cuda", places=4)
        asked = [
            (messages, {"adapter": name}) for messages in (ASK, LONG, OTHER) for name in (None, "one", "two", "dora")
        ]
        assert all_at_once(batched, asked) == [ask(alone, messages, **options) for messages, options in asked]
        batched.close()

    def test_half_precision_answers(self, engine: HfEngine, model_dir: Path) -> None:
        made = hf.build(Settings(data_dir=model_dir, model=ModelSettings(device="cuda")))
        assert made.dtype == "bfloat16"
        answers = all_at_once(made, [((Message("user", "What is the capital of France?"),), {})] * 4)
        made.close()
        assert all("Paris" in answer for answer in answers)
