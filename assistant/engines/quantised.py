"""A model of safetensors written as one quantised GGUF file, for servers that run those (llama.cpp, Ollama, OpenVINO).

Vocabulary, template and shape come from the GGUF that the base was made from; only the weights are new. So it works for
models that came as GGUF, of the architectures below. Reading one is `gguf.py`.

Source: the file format (ggml `docs/gguf.md`); llama.cpp's `conversion` for the order of the rows of q and k.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assistant.errors import BadInput

KINDS = {"q8_0": 8.5, "q5_1": 6.0, "q4_1": 5.0, "q4_0": 4.5}
"""Name of the format -> bits a weight."""
_ROTARY_ROWS = {"llama": True, "qwen2": False}
"""Architecture -> whether its file keeps the two halves of each head's rows in turns."""
_FREQUENCIES = "rope_freqs.weight"
"""How a file scales the positions: no weight of the model."""


def write(model: Path, target: Path, *, like: Path, kind: str = "q8_0") -> None:
    """Writes `target` from the safetensors in `model`; everything but the weights is as in `like`.

    Matrices are quantised to `kind`, vectors kept in float32. The file appears whole or not at all.

    Raises:
        BadInput: there is no such format, the file exists, or the model is none that `like` can stand for.
    """
    import gguf

    if kind not in KINDS:
        raise BadInput(f"There is no format {kind!r}.", hint=f"Known: {', '.join(KINDS)}.")
    if target.exists():
        raise BadInput(f"{target} exists already.", hint="Choose another name.")
    reader = gguf.GGUFReader(like)
    architecture = str(_value(reader, "general.architecture"))
    if architecture not in _ROTARY_ROWS:
        raise BadInput(f"Models of the kind {architecture} are not written as GGUF here.")
    wanted = gguf.GGMLQuantizationType[kind.upper()]
    part = target.with_name(f".{target.name}.part")
    writer = gguf.GGUFWriter(part, architecture)
    try:
        for name, field in reader.fields.items():
            if not name.startswith(("GGUF.", "general.architecture", "general.file_type")):
                inner = field.types[-1] if len(field.types) > 1 else None
                writer.add_key_value(name, field.contents(), field.types[0], inner)
        writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind.upper()}"])
        for name, tensor in _tensors(model, reader, architecture):
            if tensor.ndim == 2:
                writer.add_tensor(name, gguf.quants.quantize(tensor, wanted), raw_dtype=wanted)
            else:
                writer.add_tensor(name, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _tensors(model: Path, reader: Any, architecture: str) -> Iterator[tuple[str, Any]]:
    """(name in the file, float32 array) of each tensor of `reader`, from the folder."""
    import gguf
    from safetensors.torch import load_file

    weights: dict[str, Any] = {}
    for file in sorted(model.glob("*.safetensors")):
        weights |= load_file(file)
    blocks, heads = (int(_value(reader, f"{architecture}.{key}")) for key in ("block_count", "attention.head_count"))
    few = int(_value(reader, f"{architecture}.attention.head_count_kv") or heads)
    names = gguf.get_tensor_name_map({text: arch for arch, text in gguf.MODEL_ARCH_NAMES.items()}[architecture], blocks)
    found = {names.get_name(name, try_suffixes=(".weight", ".bias")): name for name in weights}
    others = {*found, "output.weight", _FREQUENCIES}
    missing = [tensor.name for tensor in reader.tensors if tensor.name not in others]
    if missing:
        raise BadInput(f"The model has no {missing[0]}: it is not what {architecture} needs.")
    for tensor in reader.tensors:
        if tensor.name == _FREQUENCIES:
            yield tensor.name, tensor.data
            continue
        source = found.get(tensor.name, "model.embed_tokens.weight")  # tied: the head is the embedding
        array = weights[source].float().numpy()
        if array.shape != tuple(reversed([int(size) for size in tensor.shape])):
            raise BadInput(f"{source} has another shape than {tensor.name}.")
        if _ROTARY_ROWS[architecture] and source.endswith(("q_proj.weight", "k_proj.weight")):
            array = _in_turns(array, heads if "q_proj" in source else few)
        yield tensor.name, array


def _in_turns(rows: Any, heads: int) -> Any:
    """Each head's rows with those of its second half between those of its first."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _value(reader: Any, name: str) -> Any:
    field = reader.get_field(name)
    return None if field is None else field.contents()
