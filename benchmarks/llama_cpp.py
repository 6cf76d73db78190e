"""llama.cpp's own server over the default model, as a peer of the engine `openvino`; where there is one to start.

`llama-server` is looked for on the path, or where LLAMA_SERVER says. No wheel on the index uses this processor's
matrix units, so it is built: `cmake -B build -DGGML_NATIVE=ON && cmake --build build --target llama-server`. Where it
crashes over weights that are rearranged for this processor (with AMX one did), it is asked to leave them as they are.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from assistant.types import Message
from benchmarks.running import free_port


def program() -> str | None:
    """The server's file; None where there is none."""
    return os.environ.get("LLAMA_SERVER") or shutil.which("llama-server")


@contextlib.contextmanager
def serving(file: str, model: Path, *, threads: int, at_once: int, context: int) -> Iterator[str]:
    """The address of a server that computes `at_once` answers together, each with `context` tokens at most."""
    port = free_port()
    command = [
        file, "--model", str(model), "--host", "127.0.0.1", "--port", str(port), "--offline",
        "--threads", str(threads), "--parallel", str(at_once), "--ctx-size", str(at_once * context),
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    process = _started(command, url) or _started([*command, "--no-repack"], url)
    if process is None:
        raise RuntimeError(f"{file} did not start with {model}")
    try:
        yield url
    finally:
        process.kill()
        process.wait()


def _started(command: Sequence[str], url: str) -> subprocess.Popen[bytes] | None:
    """The process, once it is ready; None where it ended, or was not ready in two minutes."""
    import httpx

    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=10).status_code == 200:
                return process
        time.sleep(0.1)
    process.kill()
    return None


def seconds(url: str, prompts: Sequence[Sequence[Message]], new: int) -> float:
    """Until all prompts, sent at once, have `new` tokens each."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(prompts)) as pool:
        list(pool.map(lambda prompt: _answer(url, prompt, new), prompts))
    return time.perf_counter() - began


def _answer(url: str, prompt: Sequence[Message], new: int) -> None:
    import httpx

    body = {
        "messages": [{"role": message.role, "content": message.text} for message in prompt],
        "max_tokens": new, "ignore_eos": True, "temperature": 0.0,
    }  # fmt: skip
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=600)
    answer.raise_for_status()
    made = answer.json()["usage"]["completion_tokens"]
    if made != new:
        raise RuntimeError(f"the server made {made} tokens where {new} were asked for")
