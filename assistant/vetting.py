"""Whether an adapter's folder can be trusted: read as bytes and JSON, before any framework sees it.

Everything that is wrong is listed at once. It shows that a folder is whole and was made for this
base; it does not show who made it, and not that the adapter is any good.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant import template
from assistant.adapters import CARD, CONFIG, WEIGHTS, read_sealed, sha256_of
from assistant.errors import AdapterRefused
from assistant.types import Adapter

_MAX_JSON = 1_000_000
_MAX_HEADER = 100_000_000
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
_RUNS_CODE = ("auto_mapping", "megatron_config", "layer_replication", "trainable_token_indices", "target_parameters")
_PREFIX = "base_model.model."
_SHOWN = 8
Tensor = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Base:
    """A base model as an adapter has to fit it: hashes in hex, and the shape of each of its weights."""

    name: str
    sha256: str
    template_sha256: str
    shapes: Mapping[str, tuple[int, ...]]


def base_of(folder: Path, *, name: str, sha256: str) -> Base:
    """What a model's folder says of itself; its weights are not read, only their headers.

    Raises:
        OSError, ValueError: it is not a model's folder.
    """
    shapes = {
        key: tuple(entry["shape"])
        for file in sorted(folder.glob("*.safetensors"))
        for key, entry in read_header(file).items()
    }
    return Base(name, sha256, template_sha256(folder), shapes)


def template_sha256(folder: Path) -> str:
    """The hash of a model's chat template; "" where it has none.

    Raises:
        OSError, ValueError: the tokenizer's config cannot be read.
    """
    file, config = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    if file.is_file():
        text = file.read_text(encoding="utf-8")
    elif config.is_file():
        text = json.loads(config.read_text(encoding="utf-8")).get("chat_template") or ""
    else:
        text = ""
    try:
        return template.sha256_of(text)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{config} has no chat template that can be read.") from error


def read_header(file: Path) -> dict[str, Tensor]:
    """name -> {"dtype", "shape", ...} of a safetensors file. Raises OSError, ValueError."""
    with file.open("rb") as opened:
        head = opened.read(8)
        size = struct.unpack("<Q", head)[0] if len(head) == 8 else _MAX_HEADER
        if size >= _MAX_HEADER:
            raise ValueError(f"{file.name} is not safetensors")
        header = json.loads(opened.read(size))
    if not isinstance(header, dict):
        raise ValueError(f"{file.name} is not safetensors")
    return {key: entry for key, entry in header.items() if key != "__metadata__"}


def stamp(folder: Path) -> tuple[object, ...]:
    """What is another once a file of the folder is; () where there is no folder."""
    try:
        entries = [(file.name, file.stat()) for file in sorted(folder.iterdir())]
    except OSError:
        return ()
    return tuple((name, found.st_mtime_ns, found.st_size) for name, found in entries)


def verify(folder: Path, base: Base | None = None) -> Adapter:
    """The adapter in a folder, after everything that can be checked without a model was checked.

    `base` is the model it shall run on; None checks only that the folder is whole.

    Raises:
        AdapterRefused: lists every reason.
    """
    strange = list(_strange(folder))
    if strange:
        raise _refused(folder, strange)
    adapter, sums = read_sealed(folder)
    names = {file.name for file in folder.iterdir()} - {CARD}
    problems = [
        f"{name} is not as it was written (its SHA-256 is another)"
        for name in sorted(names | sums.keys())
        if name not in names or sums.get(name) != sha256_of(folder / name)
    ]
    if adapter.sha256 != sums.get(WEIGHTS):
        problems.append("the card names another SHA-256 than its list of files")
    config = _config(folder, problems)
    problems += _config_problems(config, adapter)
    tensors = _tensors(folder / WEIGHTS, problems)
    problems += _not_finite(tensors)
    problems += _rank_problems(tensors, adapter, bool(config.get("rank_pattern")))
    if base is not None:
        problems += _base_problems(adapter, base)
        if adapter.base_sha256 == base.sha256:  # of another base no shape would fit: one reason is enough
            problems += _shape_problems(tensors, base.shapes)
    if problems:
        raise _refused(folder, problems)
    return adapter


def _refused(folder: Path, problems: list[str]) -> AdapterRefused:
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    listed = "; ".join([*problems[:_SHOWN], *more])
    return AdapterRefused(f"The adapter in {folder} is refused: {listed}.", hint="What answered before still does.")


def _strange(folder: Path) -> Iterator[str]:
    """What a folder holds that is not data, or what it lacks; nothing is opened for it."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        yield f"it cannot be listed ({error.strerror})"
        return
    for entry in entries:
        if entry.is_symlink() or not entry.is_file():
            yield f"{entry.name} is not a plain file"
        elif entry.suffix.lower() not in {".safetensors", ".json"}:
            yield f"{entry.name} is neither safetensors nor JSON, and nothing else is read"
    missing = {WEIGHTS, CONFIG, CARD} - {entry.name for entry in entries}
    yield from (f"{name} is missing" for name in sorted(missing))


def _config(folder: Path, problems: list[str]) -> dict[str, Any]:
    file = folder / CONFIG
    try:
        if file.stat().st_size > _MAX_JSON:
            raise ValueError("too large")
        data = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError("not an object")
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{CONFIG} cannot be read ({error})")
        return {}
    return data


def _config_problems(config: dict[str, Any], adapter: Adapter) -> Iterator[str]:
    if not config:
        return
    for key in _RUNS_CODE:
        if config.get(key):
            yield f"{CONFIG} has {key}, which is not hosted"
    rank = config.get("r") or config.get("init_r")
    if rank != adapter.rank:
        yield f"{CONFIG} has rank {rank}, the card {adapter.rank}"
    if config.get("lora_alpha") != adapter.alpha:
        yield f"{CONFIG} has alpha {config.get('lora_alpha')}, the card {adapter.alpha:g}"


def _tensors(file: Path, problems: list[str]) -> dict[str, Tensor]:
    """name -> dtype, shape and bytes of each tensor; {} where the file cannot be read."""
    from safetensors import SafetensorError, deserialize

    try:
        return dict(deserialize(file.read_bytes()))  # type: ignore[no-untyped-call]
    except (OSError, SafetensorError, ValueError) as error:
        problems.append(f"{WEIGHTS} cannot be read ({error})")
        return {}


def _not_finite(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    import numpy as np

    for name, tensor in tensors.items():
        kind, data = tensor["dtype"], tensor["data"]
        if kind in _FLOATS:
            finite = bool(np.isfinite(np.frombuffer(data, dtype=_FLOATS[kind])).all())
        elif kind == "BF16":  # all bits of the exponent set: infinite or not a number
            finite = bool(((np.frombuffer(data, dtype="<u2") & 0x7F80) != 0x7F80).all())
        else:
            yield f"{name} is of type {kind}, which no adapter has"
            continue
        if not finite:
            yield f"{name} holds numbers that are not finite"


def _rank_problems(tensors: Mapping[str, Tensor], adapter: Adapter, patterned: bool) -> Iterator[str]:
    if tensors and not any(".lora_A" in name for name in tensors):
        yield f"{WEIGHTS} holds no LoRA matrices"
    for name, tensor in tensors.items():
        kind, shape = _kind(name), tensor["shape"]
        if kind is None:
            continue
        rank = shape[0] if kind == "lora_A" else shape[-1]
        if len(shape) != 2 or (rank != adapter.rank and not patterned):
            yield f"{name} has shape {tuple(shape)}, and the card says rank {adapter.rank}"


def _base_problems(adapter: Adapter, base: Base) -> Iterator[str]:
    if adapter.base_sha256 != base.sha256:
        yield (
            f"it was made for {adapter.base} with weights {adapter.base_sha256[:12]}, "
            f"and the model here is {base.name} with {base.sha256[:12]}"
        )
    if adapter.template_sha256 and adapter.template_sha256 != base.template_sha256:
        yield "it was trained with another chat template than the model here has"


def _shape_problems(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    """LoRA matrices that do not fit the weight they adapt."""
    for name, tensor in tensors.items():
        kind = _kind(name)
        if kind is None or len(tensor["shape"]) != 2:
            continue
        module = name.removeprefix(_PREFIX).split(f".{kind}")[0]
        weight = _weight(module, shapes)
        if weight is None:
            yield f"{module} is no layer of the base"
            continue
        size = tensor["shape"][1] if kind == "lora_A" else tensor["shape"][0]
        side = 1 if kind == "lora_A" else 0  # a Linear keeps (out, in); GPT-2's Conv1D the other way round
        if size != weight[side] and not (weight[0] != weight[1] and size == weight[1 - side]):
            yield f"{name} has {size} columns or rows for a weight of shape {weight}"


def _weight(module: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
    """The shape of a module's weight. A task's model may wrap its base a level deeper, or less deep, than the file."""
    ending = f".{module}.weight"
    for key in (f"{module}.weight", f"{module.partition('.')[2]}.weight", *(k for k in shapes if k.endswith(ending))):
        found = shapes.get(key)
        if found is not None and len(found) == 2:
            return found
    return None


def _kind(name: str) -> str | None:
    return next((kind for kind in ("lora_A", "lora_B") if f".{kind}" in name), None)
