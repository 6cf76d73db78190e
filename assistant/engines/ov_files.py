"""A model written once as OpenVINO reads it: eight-bit weights, with an adapter merged in where one is asked for.

The folders are a cache: each can be made again from the safetensors, and those not used for longest go. It loads
nothing to answer with: that is `openvino.py`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from assistant.engines import adapters as lora
from assistant.engines import quantised
from assistant.errors import AdapterUnsupported
from assistant.types import ModelInfo

KEPT = 8
"""Folders that are kept; each is as large as the model in eight bits."""
_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class Source:
    """The model's safetensors, the GGUF they came from, and where what is written goes."""

    path: Path
    like: Path
    cache: Path
    info: ModelInfo


def written(source: Source, adapter: Path | None = None) -> Path:
    """The folder of the model (with the adapter merged in) as OpenVINO reads it, made where it is missing.

    Raises:
        AdapterUnsupported: the adapter does not fit the model.
    """
    about = [version("openvino-genai"), source.info.sha256, "signed"]
    if adapter is not None:
        about.append(hashlib.sha256((adapter / _WEIGHTS).read_bytes()).hexdigest())
        about.append(repr(lora.read_spec(adapter)))
    target = source.cache / hashlib.sha256(" ".join(about).encode()).hexdigest()[:16]
    source.cache.mkdir(parents=True, exist_ok=True)
    with FileLock(source.cache / ".lock"):
        if not target.is_dir():
            _write(source, target, adapter)
        os.utime(target)
        _make_room(source.cache)
    return target


def merge(path: Path, target: Path, adapter: Path) -> None:
    """Writes the model in `path` into `target` with what the adapter adds to its weights, in float32.

    Raises:
        AdapterUnsupported: it does not fit.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    spec, weights = lora.read_spec(adapter), lora.read_weights(adapter)
    net = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    host = lora.AdapterHost(net)
    host.attach("merged", spec, weights)
    try:
        host.merged("merged").save_pretrained(target)
    except ValueError as error:  # numbers that overflow when they are added
        raise AdapterUnsupported(f"The adapter in {adapter} cannot be merged: {error}") from error


def signed(folder: Path) -> None:
    """Makes the weights of a written model signed bytes, the numbers the same.

    The reader of GGUF writes them unsigned and subtracts 128 as they are used; that costs a seventh of a token's time.
    """
    import numpy as np
    import openvino
    from openvino import opset13 as op

    file, work = folder / "openvino_model.xml", folder / "signed.xml"
    model = openvino.Core().read_model(file)
    for node in [node for node in model.get_ops() if node.get_type_name() == "Subtract"]:
        bytes_, zero = (_bytes(node.input_value(place)) for place in (0, 1))
        if bytes_ is None or zero is None or not (zero == 128).all():
            continue
        weights = op.convert(op.constant((bytes_ ^ 128).view(np.int8)), node.get_output_element_type(0).get_type_name())
        for user in node.output(0).get_target_inputs():
            user.replace_source_output(weights.output(0))
    model.validate_nodes_and_infer_types()
    openvino.save_model(model, work, compress_to_fp16=False)
    del model  # it holds the file that is replaced
    for made in (work, work.with_suffix(".bin")):
        os.replace(made, file.with_suffix(made.suffix))


def _bytes(value: Any) -> Any:
    """The array behind a value that is made of unsigned bytes, else None."""
    node = value.get_node()
    inner = node.input_value(0).get_node() if node.get_type_name() == "Convert" else node
    if inner.get_type_name() != "Constant" or inner.get_output_element_type(0).get_type_name() != "u8":
        return None
    return inner.get_data()


def _write(source: Source, target: Path, adapter: Path | None) -> None:
    """Makes `target`, whole or not at all."""
    import openvino_genai

    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        weights = source.path
        if adapter is not None:
            weights = work / "merged"
            merge(source.path, weights, adapter)
        made = work / "made"
        made.mkdir()
        file = made / "model.gguf"
        quantised.write(weights, file, like=source.like)
        openvino_genai.LLMPipeline(str(file), "CPU", enable_save_ov_model=True)
        file.unlink()
        signed(made)
        os.replace(made, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _make_room(cache: Path) -> None:
    """The folders that were used longest ago go; a system that will not give one up keeps it."""
    folders = [path for path in cache.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for path in sorted(folders, key=lambda path: -path.stat().st_mtime)[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
