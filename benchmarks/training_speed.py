"""training-speed: how fast a chat adapter is trained on this processor, against a plain loop.

`tokens_ratio`: our loop over a bare PyTorch + PEFT loop with the same adapter (all linear layers), base in the
same number format, same batches; steps alternate in one process, the best of each counts, in processor time on
one thread (a busy neighbour lengthens the clock's time, not this one). `memory_ratio`:
peak memory of each in a process of its own, the model included. `preset_ratio`: the small-machine preset (the
upper fifth of the layers over kept activations, three epochs, the first of which computes them) over our loop
on all layers.
"""

from __future__ import annotations

import functools
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assistant.engines import hardware, models
from assistant.errors import BadInput
from assistant.settings import load_settings
from assistant.tuning import activations, loop, lora, networks
from assistant.tuning.tasks import ChatTask, collate
from assistant.types import Example, Measure, Report
from benchmarks.common import ROOT, provenance

SEED = 20_240_229
SEQUENCES, LENGTH, ANSWER = 4, 256, 40
ROUNDS, EPOCHS = 3, 3
TASK = ChatTask()


def run() -> Report:
    """The ratios, and what they are made of (tokens a second, megabytes)."""
    import torch

    torch.set_num_threads(1)
    batch = _batch()
    bare, ours = _bare(batch), _ours(batch)
    took: dict[str, list[float]] = {"bare": [], "ours": [], "first": [], "kept": []}
    for each in (bare, ours):
        each()  # the first step of a process allocates
    upper = _model(top=True)
    fresh = [_batch(number) for number in range(1, ROUNDS + 2)]
    with activations.kept(upper, [example for each in fresh for example in each]):
        _step(upper, fresh[-1])  # allocates
        for new in fresh[:ROUNDS]:
            took["bare"].append(_seconds(bare))
            took["ours"].append(_seconds(ours))
            took["first"].append(_seconds(functools.partial(_step, upper, new)))
            took["kept"].append(_seconds(functools.partial(_step, upper, new)))
    best = {name: min(times) for name, times in took.items()}
    preset = (best["first"] + (EPOCHS - 1) * best["kept"]) / EPOCHS
    peak = {name: _peak_mb(name) for name in ("bare", "ours")}
    tokens = SEQUENCES * LENGTH
    measures = (
        Measure("tokens_ratio", best["bare"] / best["ours"], n=ROUNDS),
        Measure("memory_ratio", peak["ours"] / peak["bare"]),
        Measure("preset_ratio", best["ours"] / preset, n=ROUNDS),
        Measure("tokens_per_second_bare", tokens / best["bare"]),
        Measure("tokens_per_second", tokens / best["ours"]),
        Measure("tokens_per_second_preset", tokens / preset),
        Measure("tokens_per_second_kept", tokens / best["kept"]),
        Measure("peak_mb_bare", peak["bare"]),
        Measure("peak_mb", peak["ours"]),
    )
    return Report("training-speed", measures, provenance(load_settings(), seed=SEED))


def peak(name: str) -> None:
    """Two steps in this process, then its peak memory in megabytes on stdout."""
    batch = _batch()
    step = _bare(batch) if name == "bare" else _ours(batch)
    for _ in range(2):
        step()
    print(_high_water())


def _high_water() -> float:
    """This process's peak resident memory in megabytes. (`getrusage` would count the parent's before exec.)"""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise BadInput("The peak memory of a process is read on Linux only.")


def _batch(number: int = 0) -> tuple[Example, ...]:
    chance = random.Random(SEED + number)
    mask = (0,) * (LENGTH - ANSWER) + (1,) * ANSWER
    return tuple(Example(tuple(chance.choices(range(1000, 40_000), k=LENGTH)), mask) for _ in range(SEQUENCES))


def _model(*, top: bool = False) -> Any:
    settings = load_settings()
    _, net = networks.load_chat(models.prepare(settings), dtype=hardware.choose_dtype("auto", "cpu"))
    return lora.attach(net, lora.LoraPlan(layers=lora.top_layers(net) if top else ()))


def _bare(batch: tuple[Example, ...]) -> Callable[[], None]:
    """A step as the tutorials write it."""
    import torch

    model = _model().train()
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-4)
    made = collate(batch)
    labels = made.ids.masked_fill(made.mask == 0, -100)
    half = next(model.parameters()).dtype == torch.bfloat16

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss = model(input_ids=made.ids, attention_mask=made.attention, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _ours(batch: tuple[Example, ...]) -> Callable[[], None]:
    model = _model()
    return lambda: _step(model, batch)


def _step(model: Any, batch: tuple[Example, ...]) -> None:
    """A run of one step."""
    options = loop.LoopOptions(epochs=1, batch_size=SEQUENCES, learning_rate=1e-4, part_tokens=SEQUENCES * LENGTH)
    loop.train(model, TASK, batch, options)


def _seconds(step: Callable[[], None]) -> float:
    started = time.process_time()
    step()
    return time.process_time() - started


def _peak_mb(name: str) -> float:
    code = f"from benchmarks.training_speed import peak; peak({name!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])
