"""Where a number comes from: code, versions, machine, settings, seed, files. Secrets never.

Not a measurement. Everything here is read from this machine; nothing is sent anywhere.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from assistant.settings import Settings

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("torch", "transformers", "sentence-transformers", "faiss-cpu", "bm25s", "numpy", "peft", "openai")


def provenance(
    settings: Settings | None = None, *, seed: int = 0, files: Iterable[Path] = (), **more: Any
) -> dict[str, Any]:
    """JSON-ready; `files` are named and hashed, `more` is taken over as it is."""
    shown = settings.model_dump(mode="json", exclude={"data_dir"}) if settings else None
    return {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "git": git_hash(),
        "versions": versions(),
        "machine": machine(),
        "settings": shown,
        "seed": seed,
        "adapter": None,
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        **more,
    }


def git_hash() -> str:
    """The commit of the code, with "+changes" where files differ from it; "" outside a clone."""
    commit = _git("rev-parse", "HEAD")
    return f"{commit}+changes" if commit and _git("status", "--porcelain", "--untracked-files=no") else commit


def versions() -> dict[str, str]:
    """Python's and the packages' that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """Processor, cores, memory and accelerator, without the machine's name."""
    import psutil

    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
    }
    torch = sys.modules.get("torch")  # asked only where it is loaded anyway
    if torch is not None and torch.cuda.is_available():
        facts["accelerator"] = torch.cuda.get_device_name(0)
    return facts


def processor() -> str:
    """The processor's name, as well as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
