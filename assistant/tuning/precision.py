"""Which number format a step computes in, and on which device.

A base in bfloat16 is trained under autocast with its adapter in float32. A base in float32 may be
too: always on a GPU that has bfloat16, on a CPU where one measured step is faster so. It is not a
profiler.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from assistant.tuning.tasks import Task
from assistant.types import Example

_WIDE = 256
"""A narrower network gains nothing from bfloat16."""


def device_of(model: Any) -> str:
    """Where the model is, as torch names it."""
    return str(next(iter(model.parameters())).device)


def of_base(model: Any) -> str:
    """The number format of the frozen weights: "float32" or "bfloat16"."""
    from assistant.tuning.networks import core

    return str(next(iter(core(model).parameters())).dtype).removeprefix("torch.")


def choose(wanted: str, model: Any, task: Task, examples: Sequence[Example]) -> str:
    """ "float32" or "bfloat16". "auto" on a CPU that has bfloat16 units times one step of each."""
    import torch

    if of_base(model) != "float32":
        return "bfloat16"
    if wanted != "auto":
        return wanted
    if not device_of(model).startswith("cpu"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    if not amx() or sum(len(example.ids) for example in examples) < 256:
        return "float32"
    with torch.random.fork_rng():
        took = {name: _seconds(name, model, task, examples) for name in ("float32", "bfloat16")}
    return min(took, key=lambda name: took[name])


def of_reading(model: Any) -> str:
    """The format that a frozen model reads texts in once and for all: bfloat16 where it is several times as fast.

    Always the same on one machine, so that a text gets the same vector in training and in use.
    """
    import torch

    from assistant.tuning.networks import core

    if of_base(model) != "float32":
        return "bfloat16"
    if not device_of(model).startswith("cpu"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return "bfloat16" if amx() and int(core(model).config.hidden_size) >= _WIDE else "float32"


@contextlib.contextmanager
def context(model: Any, name: str) -> Iterator[None]:
    """Within it the model computes in this format."""
    import torch

    if name == "float32":
        yield
        return
    device = device_of(model).partition(":")[0]
    with torch.autocast(device, dtype=torch.bfloat16), _narrow(model):
        yield


@contextlib.contextmanager
def _narrow(model: Any) -> Iterator[None]:
    """PEFT widens what goes into an adapter to its float32; autocast would narrow it again."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    every = (layer for layer in model.modules() if isinstance(layer, BaseTunerLayer))
    layers = [layer for layer in every if hasattr(layer, "cast_input_dtype_enabled")]
    before = [layer.cast_input_dtype_enabled for layer in layers]
    for layer in layers:
        layer.cast_input_dtype_enabled = False
    try:
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer.cast_input_dtype_enabled = was


def _seconds(name: str, model: Any, task: Task, examples: Sequence[Example]) -> float:
    """The faster of two steps without an optimizer; no gradient is left behind."""
    model.train()
    best = float("inf")
    for _ in range(2):
        started = time.perf_counter()
        with context(model, name):
            losses = task.losses(model, task.collate(examples, device_of(model)))
        losses.sum().backward()  # type: ignore[no-untyped-call]
        best = min(best, time.perf_counter() - started)
        model.zero_grad(set_to_none=True)
    return best
