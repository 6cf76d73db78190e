"""A model's folder on disk: what it may hold, which weights it holds, and that they are unchanged.

Only safetensors, JSON and tokenizer text are ever read. Pickled weights and models that bring
their own Python code are refused before a library sees the folder. Not a downloader, not a loader.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.errors import BadInput, ModelNotReady

Progress = Callable[[int, int, str], None]
"""Called with how much is done, of how much, and what is being done."""

MARK = "confide-model.json"
PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.jinja", "tokenizer.model")
"""The files of a model that are fetched and read."""
TELL_CODE = ("config.json", "tokenizer_config.json", "processor_config.json")
"""The files that tell whether a model wants to run Python code of its own."""
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".msgpack", ".npz")


@dataclass(frozen=True, slots=True)
class Mark:
    """What `confide-model.json` keeps. `weights_sha256` is of the weight file, or, where there are
    several, of their sorted "sha256  name" lines. `files` maps a weight file to its
    (size in bytes, mtime in ns) when it was hashed; `source_stamp` is the same of the source."""

    name: str
    source: str
    source_sha256: str
    weights_sha256: str
    licence: str = ""
    source_stamp: tuple[int, int] = (0, 0)
    files: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def measure(path: Path, *, name: str, source: str, source_sha256: str = "", licence: str = "") -> Mark:
    """The mark of a folder, all its weights read and hashed."""
    weights = weight_files(path)
    sums = {file.name: sha256_of(file) for file in weights}
    whole = hashlib.sha256("".join(f"{sums[key]}  {key}\n" for key in sorted(sums)).encode()).hexdigest()
    return Mark(
        name=name,
        source=source,
        source_sha256=source_sha256,
        weights_sha256=next(iter(sums.values())) if len(sums) == 1 else whole,
        licence=licence,
        files={file.name: stamp(file) for file in weights},
    )


def weight_files(path: Path) -> list[Path]:
    """The safetensors of a folder, sorted. Raises ModelNotReady where there are none."""
    found = sorted(path.glob("*.safetensors"))
    if not found:
        raise ModelNotReady(f"{path} holds no *.safetensors.", hint="Convert the weights to safetensors first.")
    return found


def check_safe(path: Path) -> None:
    """Refuses a folder whose model is pickled or wants to run its own code.

    Raises:
        BadInput: says which file, and what to do.
        ModelNotReady: the folder holds no weights that can be read.
    """
    _read_json(path / "config.json")
    pickled = sorted(file.name for file in path.iterdir() if file.suffix.lower() in _PICKLED)
    if pickled and not list(path.glob("*.safetensors")):
        raise BadInput(
            f"{path} holds pickled weights ({pickled[0]}), which can run code when they are read.",
            hint="Use the model's *.safetensors; most publishers offer both.",
        )
    weight_files(path)
    check_code(path, f"in {path}")


def check_code(path: Path, shown: str) -> None:
    """Refuses a folder whose model wants to run its own code. Raises BadInput, ModelNotReady where JSON is broken."""
    if any("auto_map" in _read_json(path / name, missing={}) for name in TELL_CODE):
        raise BadInput(
            f"The model {shown} brings its own Python code (auto_map), which Confide does not run.",
            hint="Choose a model without auto_map in its config: `confide models list`.",
        )


def write_mark(file: Path, mark: Mark) -> None:
    """Writes the mark, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(json.dumps(dataclasses.asdict(mark), indent=1) + "\n", encoding="utf-8")
    part.replace(file)


def read_mark(file: Path) -> Mark | None:
    """The stored mark; None where there is none, or it cannot be read."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        files = {name: (int(size), int(time)) for name, (size, time) in data.pop("files").items()}
        size, time = data.pop("source_stamp", (0, 0))
        return Mark(files=files, source_stamp=(int(size), int(time)), **data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def unchanged(path: Path, mark: Mark) -> bool:
    """Whether the weights have the names, sizes and times they had when they were hashed."""
    return {file.name: stamp(file) for file in path.glob("*.safetensors")} == mark.files


def context_tokens(path: Path) -> int:
    """The model's window, from its config."""
    config = _read_json(path / "config.json")
    for key in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        for part in (config, config.get("text_config") or {}):
            if isinstance(part.get(key), int):
                return int(part[key])
    return 2048


def stamp(file: Path) -> tuple[int, int]:
    """(size in bytes, mtime in ns): a cheap sign that a file is what it was."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _read_json(path: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    """A JSON object. Raises ModelNotReady where it is absent (and no default given) or broken."""
    if missing is not None and not path.exists():
        return missing
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelNotReady(f"{path} is missing or not JSON, so this is not a model's folder.") from error
    if not isinstance(data, dict):
        raise ModelNotReady(f"{path} is not a JSON object.")
    return data
