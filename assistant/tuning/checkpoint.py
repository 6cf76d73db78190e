"""A run's state on disk: safetensors and JSON, no pickle; whole or not there.

Each checkpoint is a folder that gets its name only when all of it has reached the disk; the one
before is removed after. What it belongs to is written in: another run's is refused.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from assistant.errors import BadInput

_PREFIX = "step-"


def write(folder: Path, step: int, tensors: dict[str, Any], state: dict[str, Any]) -> Path:
    """Writes the checkpoint of a step and removes older ones. Returns its folder."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_PREFIX}{step:08d}"
    draft = folder / f".{path.name}.part"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, draft / "state.safetensors"
    )
    (draft / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for file in draft.iterdir():
        _sync(file)
    _sync(draft)
    if path.exists():
        shutil.rmtree(path)
    draft.rename(path)
    _sync(folder)
    for old in _all(folder):
        if old != path:
            shutil.rmtree(old)
    return path


def read(folder: Path, fingerprint: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(tensors, state) of the newest checkpoint, None where there is none.

    Raises:
        BadInput: it belongs to another run.
    """
    from safetensors.torch import load_file

    found = _all(folder)
    if not found:
        return None
    state = json.loads((found[-1] / "state.json").read_text(encoding="utf-8"))
    if state["fingerprint"] != fingerprint:
        raise BadInput(
            f"The checkpoint in {folder} belongs to a run with other data or options.",
            hint="Delete that folder to start anew, or repeat the run it belongs to.",
        )
    return load_file(found[-1] / "state.safetensors"), state


def clear(folder: Path) -> None:
    """Removes all checkpoints: the run is over."""
    for path in _all(folder):
        shutil.rmtree(path)


def _all(folder: Path) -> list[Path]:
    """Whole checkpoints, the oldest first."""
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if (path / "state.json").is_file())


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
