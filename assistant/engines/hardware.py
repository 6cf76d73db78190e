"""Where a model runs and how: device, number format, threads. Measured rules, not a benchmark."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

from assistant.errors import EngineUnavailable

_M_ARENA_MAX = -8
"""Of glibc's malloc.h."""


def choose_device(wanted: str) -> str:
    """The device asked for, or the best one here.

    Raises:
        EngineUnavailable: the device asked for is not here.
    """
    import torch

    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, present in here.items() if present)
    if not here[wanted]:
        raise EngineUnavailable(f"There is no {wanted} device here.", hint='Set [model] device = "auto".')
    return wanted


def choose_dtype(wanted: str, device: str) -> str:
    """The number format asked for, or the quickest here.

    On a processor with AMX, bfloat16 reads the prompt two to three times as fast as float32 and
    writes a little faster; elsewhere it is emulated, or not known to be quicker.
    """
    import torch

    if wanted != "auto":
        return wanted
    if device == "cuda":
        # Older cards only imitate it, and slowly.
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device == "mps":
        return "bfloat16"
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return "bfloat16" if amx() else "float32"


def choose_threads() -> int:
    """Processor threads for one step: all but one, unless OMP_NUM_THREADS says otherwise.

    A step of a small model is hundreds of short parallel parts that wait for the slowest thread:
    with as many threads as processors, one busy neighbour makes it ten times slower. On two cores
    the second thread gains a fifth when the machine is idle. As many as torch would take, without asking it: it takes
    a second and 150 MB to import, and OpenVINO serves without it.
    """
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    threads = int(asked) if asked.isdigit() and int(asked) else min(cores, psutil.cpu_count(logical=False) or cores)
    return threads if threads < cores else max(1, threads - 1)


def share_memory() -> None:
    """Lets the threads of this process share two heaps, where its allocator is glibc's.

    It gives each thread one of its own, up to eight a core, and each keeps what it once needed: 50 MB of a server here.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Within it torch uses `count` threads (0: as it does). The setting is the calling thread's."""
    import torch

    before = torch.get_num_threads()
    if count in (0, before):
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
