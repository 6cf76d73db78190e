"""Whether the running assistant can do its work, part by part: the store, the indexes, the model, the disk.

Each check is cheap and real: it reads a row, the index's own list of files, the model's folder or knocks at its server,
and writes a few bytes. It mends nothing and asks no question; an installation that does not run is for `doctor.py`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assistant.errors import ConfideError

if TYPE_CHECKING:
    from assistant.core import Assistant

FREE_MB = 200
"""With less room on the disk the store may fail to write the next conversation."""
KEPT_S = 5.0
"""A finding is told again for so long: who asks often costs nothing."""
_REMOTE_S = 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part and what is wrong with it; "" where nothing is."""

    name: str
    wrong: str = ""


class Health:
    """The parts of one assistant. Thread-safe."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._lock = threading.Lock()
        self._kept: tuple[float, tuple[Part, ...]] = (float("-inf"), ())

    def parts(self) -> tuple[Part, ...]:
        """Every part, as it is now or was a few seconds ago."""
        with self._lock:
            if time.monotonic() - self._kept[0] > KEPT_S:
                found = tuple(Part(name, _problem(check, self._assistant)) for name, check in _CHECKS.items())
                self._kept = (time.monotonic(), found)
            return self._kept[1]


def _problem(check: Callable[[Assistant], None], assistant: Assistant) -> str:
    try:
        check(assistant)
    except ConfideError as error:
        return error.message
    except Exception as error:  # whatever it is, this part does not work
        return f"{type(error).__name__}: {error}"
    return ""


def _store(assistant: Assistant) -> None:
    assistant.store.collections(assistant.settings.tenant)


def _index(assistant: Assistant) -> None:
    tenant = assistant.settings.tenant
    infos = assistant.store.collections(tenant)
    broken = [info.name for info in infos if info.passages and not assistant.searcher.is_sound(tenant, info.name)]
    if broken:
        raise ConfideError(f"The index of {', '.join(broken)} is missing or incomplete.")


def _model(assistant: Assistant) -> None:
    from assistant.engines.choice import engine_name

    name, settings = engine_name(assistant.settings), assistant.settings
    if name == "remote":
        _reach_any(settings.remote.urls)
    elif name in {"hf", "openvino"} and not assistant.is_loaded:
        from assistant.engines import models

        models.resolve(settings)


def _reach_any(urls: tuple[str, ...]) -> None:
    """Raises OSError where nobody listens at any of the remote engine's addresses."""
    for number, url in enumerate(urls, start=1):
        try:
            _reach(url)
        except OSError:
            if number == len(urls):
                raise
        else:
            return


def _reach(url: str) -> None:
    """Raises OSError where nobody listens at this address; nothing is asked of it."""
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    with contextlib.closing(socket.create_connection((parts.hostname or "", port), timeout=_REMOTE_S)):
        pass


def _disk(assistant: Assistant) -> None:
    folder = assistant.settings.data_dir
    free = shutil.disk_usage(folder).free / 1e6
    if free < FREE_MB:
        raise ConfideError(f"Only {free:.0f} MB are free on the disk of the data folder.")
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".health-") as file:
        file.write(b"confide")
        file.flush()
        os.fsync(file.fileno())


_CHECKS: dict[str, Callable[[Assistant], None]] = {"store": _store, "index": _index, "model": _model, "disk": _disk}
