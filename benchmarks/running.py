"""A real server in a process of its own over the demo shop, for benchmarks that stand before its door."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.engines import choice
from assistant.ingest import ingest
from assistant.keys import Keys, Role
from assistant.retrieval.search import Searcher
from assistant.settings import Settings
from assistant.store import Store
from benchmarks.common import ROOT
from benchmarks.shop import SHOP

QUESTIONS = (
    "How long do I have to send something back?", "What does delivery cost?", "Can a broken tent pole be repaired?",
    "Do you ship abroad?", "Can I pay by invoice?", "Who pays for sending back a faulty item?",
    "How do I reach a person?", "Is there a warranty on boots?", "Can I change my delivery address?",
    "When is my refund paid?", "Are gift cards refundable?", "Can I collect my order in a shop?",
)  # fmt: skip
"""Asked of the demo shop; none of them is of its golden set."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. `began`: when its command was given (`time.perf_counter`)."""

    url: str
    key: str
    process: Any
    began: float

    def ask(self, question: str, *, user: str) -> tuple[float, float]:
        """(seconds to the first visible text, to the end) of one streamed answer."""
        import httpx

        body = {"model": "shop", "stream": True, "user": user, "messages": [{"role": "user", "content": question}]}
        began, first = time.perf_counter(), 0.0
        headers = {"authorization": f"Bearer {self.key}"}
        with httpx.stream("POST", f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=600) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    delta = json.loads(line[6:])["choices"][0]["delta"]
                    if delta.get("content") and not first:
                        first = time.perf_counter() - began
        return first or time.perf_counter() - began, time.perf_counter() - began

    def memory_mb(self) -> float:
        """Resident memory of the server and what it started."""
        import psutil

        whole = psutil.Process(self.process.pid)
        return float(sum(part.memory_info().rss for part in (whole, *whole.children(recursive=True))) / 1e6)


def furnished(settings: Settings, folder: Path) -> str:
    """Makes `folder` a data folder with the demo shop and the models of `settings`; a key to ask with.

    The engine is chosen as set-up does it: measured where that was not done, lest a benchmark quietly tells of `hf`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if settings.model.engine == "auto" and not settings.remote.url and choice.kept(settings) is None:
        choice.measure(settings)
    (folder / "models").symlink_to((settings.data_dir / "models").resolve(), target_is_directory=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.copy(settings.data_dir / "engine.json", folder / "engine.json")
    store = Store.open(folder)
    try:
        own = settings.model_copy(update={"data_dir": folder})
        searcher = Searcher(store, own)
        ingest([SHOP / "documents"], store=store, settings=own, index=searcher, collection="shop")
        return Keys(store, settings.tenant).create("benchmark", role=Role.VISITOR, per_minute=1_000_000)[1]
    finally:
        store.close()


@contextlib.contextmanager
def running(folder: Path, key: str, **environment: str) -> Iterator[Running]:
    """The server while it runs, once it has answered on its health page."""
    import httpx

    port = free_port()
    command = [sys.executable, str(ROOT / "app.py"), "--data-dir", str(folder), "serve", "--port", str(port)]
    began = time.perf_counter()
    env = {**os.environ, "CONFIDE_SERVER__OPEN_BROWSER": "false", "CONFIDE_COLLECTION": "shop", **environment}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{url}/healthz", timeout=30).status_code == 200:
                    break
            if process.poll() is not None:
                raise RuntimeError("the server did not start")
            time.sleep(0.02)
        yield Running(url, key, process, began)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
