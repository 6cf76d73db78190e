"""serving: the engine openvino against transformers' `generate`, on this processor, sides in turns.

Prompts of about a thousand tokens, 64 new ones, greedy, both sides with the same number of threads; each round's
prompt is new, so that nothing is remembered of the one before. `decode_ratio`: new tokens a second after the first,
against the better of bfloat16 and float32. `throughput_ratio_8`: eight at once against eight one after another.
`lora_decode_ratio`: with an adapter of rank 16 on all linear layers (merged here, PEFT there). `second_turn_ratio`:
seconds to the first token of a conversation's second turn over those of its first. `grounded_decode_ratio`: whole
answers of the demo shop, from the question to the last token: the same walk with the engine, and with `generate` (the better
one) for just as many tokens on the same prompt. `bandwidth_share`: the bytes of weights that are read each second of decoding
over what one thread can read from memory here. `llama_cpp_ratio_8`, where there is a `llama-server` (`llama_cpp.py`): eight
at once over eight at once by llama.cpp, with the GGUF as it came or in eight bits, whichever is the quicker there.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from assistant import template
from assistant.engines import hardware, models, openvino, ov_files, quantised
from assistant.engines.base import Engine
from assistant.provenance import provenance
from assistant.settings import Settings, load_settings
from assistant.tuning import lora, networks
from assistant.types import Conversation, GenerateOptions, Measure, Message, Report
from benchmarks import llama_cpp
from benchmarks.running import QUESTIONS
from benchmarks.shop import SHOP, ingested

PROMPT, NEW, ROUNDS, AT_ONCE = 1000, 64, 3, 8
TURNS = 2
"""With llama.cpp, which takes a minute for eight."""
_WORDS = (
    "tent boots stove return delivery refund days price order store rope lamp repair zip pole free cost send".split()
)


def run() -> Report:
    """The ratios and what they are made of."""
    import torch

    settings = load_settings()
    threads = hardware.choose_threads()
    torch.set_num_threads(threads)
    path = models.prepare(settings)
    engine = openvino.build(settings)
    with tempfile.TemporaryDirectory() as folder:
        adapter = _adapter(path, Path(folder))
        engine.add_adapter("one", adapter)
        tokenizer, nets = _nets(path, adapter)
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in (*nets, "openvino", "openvino lora")}
        second: list[float] = []
        for number in range(ROUNDS + 1):  # the first round warms up
            for name, net in nets.items():
                took[name].append(_generate(net, tokenizer, _prompt(f"{name} {number}")))
            took["openvino"].append(_stream(engine, _prompt(f"openvino {number}")))
            took["openvino lora"].append(_stream(engine, _prompt(f"lora {number}"), adapter="one"))
            second.append(_second_turn(engine, number))
        best = max(("float32", "bfloat16"), key=lambda name: _rate(took[name]))
        grounded = _grounded(engine, nets[best], tokenizer)
        ahead = [_ratio_at_once(engine, nets[best], tokenizer, number) for number in range(2)]
        peers = _llama_cpp(engine, settings, path, Path(folder), threads)
        engine.close()
    ours, theirs = _rate(took["openvino"]), _rate(took[best])
    measures = (
        Measure("decode_ratio", ours / theirs, n=ROUNDS),
        Measure("lora_decode_ratio", _rate(took["openvino lora"]) / _rate(took["lora"]), n=ROUNDS),
        Measure("first_token_ratio", _first(took[best]) / _first(took["openvino"]), n=ROUNDS),
        Measure("throughput_ratio_8", statistics.median(ahead), n=len(ahead)),
        *peers,
        Measure("second_turn_ratio", statistics.median(second[1:]), n=ROUNDS),
        Measure("grounded_decode_ratio", grounded, n=len(QUESTIONS)),
        Measure("bandwidth_share", ours * _weights(settings) / _bandwidth(), n=ROUNDS),
        Measure("decode_tokens_per_second", ours, n=ROUNDS),
        *(Measure(f"decode_tokens_per_second[{name}]", _rate(took[name]), n=ROUNDS) for name in nets),
    )
    return Report("serving", measures, provenance(settings, seed=0, threads=threads, better=best))


def _nets(path: Path, adapter: Path) -> tuple[Any, dict[str, Any]]:
    """The tokenizer and the other side: the model in both number formats, and the better one for LoRA with it."""
    tokenizer, single = networks.load_chat(path, dtype="float32")
    _, half = networks.load_chat(path, dtype="bfloat16")
    _, with_lora = networks.load_chat(path, dtype=hardware.choose_dtype("auto", "cpu"))
    return tokenizer, {"float32": single, "bfloat16": half, "lora": lora.load(with_lora, adapter).eval()}


def _adapter(path: Path, folder: Path) -> Path:
    """A LoRA adapter that changes something."""
    import torch

    _, net = networks.load_chat(path)
    model = lora.attach(net, lora.LoraPlan(rank=16))
    with torch.no_grad():
        for name, value in lora.trainable(model).items():
            if "lora_B" in name:
                value.normal_(0.0, 0.002)
    lora.save(model, folder / "adapter")
    return folder / "adapter"


def _prompt(seed: str) -> tuple[Message, ...]:
    chance = random.Random(seed)
    text = " ".join(chance.choices(_WORDS, k=PROMPT - 60))
    return (Message("system", "You are a helper in a shop."), Message("user", f"{text}\n\nTell me a long story."))


def _generate(net: Any, tokenizer: Any, messages: Sequence[Message]) -> tuple[float, float]:
    """(seconds to the first token, new tokens a second after it)."""
    import torch

    ids = torch.tensor([template.prompt_ids(tokenizer, messages)])
    times = []
    for count in (1, NEW):
        began = time.perf_counter()
        with torch.inference_mode():
            net.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, min_new_tokens=count,
                do_sample=False, pad_token_id=tokenizer.eos_token_id,
            )  # fmt: skip
        times.append(time.perf_counter() - began)
    return times[0], (NEW - 1) / max(1e-9, times[1] - times[0])


def _stream(engine: Engine, messages: Sequence[Message], *, adapter: str | None = None) -> tuple[float, float]:
    """(seconds to the first piece, new tokens a second after it)."""
    began, first, text = time.perf_counter(), 0.0, []
    for piece in engine.stream(messages, GenerateOptions(max_new_tokens=NEW, time_limit_s=300, adapter=adapter)):
        first = first or time.perf_counter() - began
        text.append(piece)
    took = time.perf_counter() - began - first
    return first, (engine.count_tokens("".join(text)) - 1) / max(1e-9, took)


def _second_turn(engine: Engine, number: int) -> float:
    """Seconds to the first token of turn two over those of turn one."""
    messages = _prompt(f"turns {number}")
    first, _ = _stream(engine, messages)
    again = (*messages, Message("assistant", "Once upon a time."), Message("user", "Go on."))
    return _stream(engine, again)[0] / first


def _at_once(engine: Engine, seed: str) -> float:
    """Seconds of eight at once."""
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda each: _stream(engine, _prompt(f"{seed} {each}")), range(AT_ONCE)))
    return time.perf_counter() - began


def _ratio_at_once(engine: Engine, net: Any, tokenizer: Any, number: int) -> float:
    """New tokens a second of eight at once, over those of eight one after another by `generate`."""
    ours = _at_once(engine, f"once {number}")
    one = _generate(net, tokenizer, _prompt(f"after {number}"))
    return AT_ONCE * (one[0] + (NEW - 1) / one[1]) / ours


def _llama_cpp(engine: Engine, settings: Settings, path: Path, folder: Path, threads: int) -> tuple[Measure, ...]:
    """llama.cpp's seconds over ours, and the same by file; () where there is no server, or no GGUF."""
    program, source = llama_cpp.program(), models.source_of(settings)
    if program is None or source is None:
        return ()
    files = {source.stem.rsplit(".", 1)[-1].lower(): source, "q8_0": folder / "q8_0.gguf"}
    quantised.write(path, files["q8_0"], like=source)
    ratios: dict[str, float] = {}
    for name, file in files.items():
        with llama_cpp.serving(program, file, threads=threads, at_once=AT_ONCE, context=2 * PROMPT) as url:
            turns = []
            for number in range(TURNS):
                ours = _at_once(engine, f"ours {name} {number}")
                prompts = [_prompt(f"theirs {name} {number} {each}") for each in range(AT_ONCE)]
                turns.append(llama_cpp.seconds(url, prompts, NEW) / ours)
            ratios[name] = statistics.median(turns)
    each = [Measure(f"llama_cpp_ratio_8[{name}]", ratio, n=TURNS) for name, ratio in ratios.items()]
    return Measure("llama_cpp_ratio_8", min(ratios.values()), n=TURNS), *each


class _Watched:
    """An engine that notes what it was asked, how many tokens it gave and in how many seconds."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.location, self.model = engine.name, engine.location, engine.model
        self.count_tokens = engine.count_tokens
        self.asked: list[tuple[Sequence[Message], int, float]] = []
        self.open = 0
        self._engine = engine

    def stream(self, messages: Sequence[Message], options: GenerateOptions) -> Iterator[str]:
        """The engine's stream."""
        began, text = time.perf_counter(), []
        self.open += 1
        try:
            for piece in self._engine.stream(messages, options):
                text.append(piece)
                yield piece
        finally:
            took = time.perf_counter() - began
            self.asked.append((messages, max(1, self.count_tokens("".join(text))), took))
            self.open -= 1

    def close(self) -> None:
        """Leaves the engine as it is."""


def _grounded(engine: Engine, net: Any, tokenizer: Any) -> float:
    """Seconds of whole answers with `generate` in the engine's place over those with the engine."""
    import torch

    watched, settings = _Watched(engine), load_settings()
    with tempfile.TemporaryDirectory() as folder:
        assistant = ingested(settings, Path(folder), SHOP / "documents", "shop", engine=watched)
        ours = theirs = 0.0
        for question in QUESTIONS:
            watched.asked.clear()
            began = time.perf_counter()
            for _ in assistant.ask(Conversation(""), question, collection="shop"):
                pass
            whole = time.perf_counter() - began
            while watched.open:  # a stream that was stopped early ends with its next token
                time.sleep(0.005)
            ours, theirs = ours + whole, theirs + whole
            for messages, count, took in watched.asked:
                ids = torch.tensor([template.prompt_ids(tokenizer, messages)])
                began = time.perf_counter()
                with torch.inference_mode():
                    net.generate(
                        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count,
                        min_new_tokens=count, do_sample=False, pad_token_id=tokenizer.eos_token_id,
                    )  # fmt: skip
                theirs += time.perf_counter() - began - took
        assistant.close()
    return theirs / ours


def _weights(settings: Settings) -> float:
    """Bytes of the model as OpenVINO reads it."""
    source = ov_files.Source(
        models.prepare(settings), Path(), settings.data_dir / "models" / "openvino", models.resolve(settings)[1]
    )
    return float(sum(file.stat().st_size for file in ov_files.written(source).glob("openvino_model.bin")))


def _bandwidth() -> float:
    """Bytes that one thread reads from memory in a second: the best of five sums over 512 MB."""
    import numpy as np

    block, best = np.ones(64_000_000, dtype=np.int64), float("inf")
    for _ in range(5):
        began = time.perf_counter()
        block.max()
        best = min(best, time.perf_counter() - began)
    return block.nbytes / best


def _rate(rows: Sequence[tuple[float, float]]) -> float:
    return statistics.median(rate for _, rate in rows[1:])


def _first(rows: Sequence[tuple[float, float]]) -> float:
    return statistics.median(first for first, _ in rows[1:])
