"""BERT's layers over word vectors: on OpenVINO where it is installed, else on PyTorch. For encoders the size of MiniLM.

Weights are numpy arrays by transformers' names, so that what is learned on top can be added before; nothing is written
to disk, and with OpenVINO neither torch nor transformers is loaded. It cuts no text into tokens and pools nothing.

Source: Devlin et al. 2019, arXiv:1810.04805 (layer norm after each half, exact GELU).
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.retrieval import quick

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
States = Callable[[Ids, Ids, Ids], Array]
"""(n, t) token ids, their kinds (0, 1) and which are no padding (1) -> (n, t, d) states of the last layer."""


def mapped(file: Path) -> dict[str, Array]:
    """The float32 tensors of a safetensors file by name, read from the disk where they are used.

    Raises:
        ValueError: one is of another number format.
    """
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(size))
    found: dict[str, Array] = {}
    for name, about in header.items():
        if name == "__metadata__" or about["dtype"] == "I64":  # positions, which number themselves
            continue
        if about["dtype"] != "F32":
            raise ValueError(f"{name} in {file} is {about['dtype']}, not F32")
        found[name] = np.memmap(file, np.float32, "r", 8 + size + about["data_offsets"][0], tuple(about["shape"]))
    return found


def build(folder: Path, weights: Mapping[str, Array]) -> States:
    """The layers with these weights; `folder` has the model's config.json."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if importlib.util.find_spec("openvino") is None:
        return _on_torch(config, weights)
    return _on_openvino(config, weights)


def _on_openvino(config: Mapping[str, Any], weights: Mapping[str, Array]) -> States:
    """The word vectors are looked up here: of 47 MB of them a question touches a few rows."""
    words, kinds_of = weights["embeddings.word_embeddings.weight"], weights["embeddings.token_type_embeddings.weight"]
    places = weights["embeddings.position_embeddings.weight"]
    infer = quick.compiled(_graph(config, weights), {"INFERENCE_PRECISION_HINT": "f32"})

    def states(ids: Ids, kinds: Ids, seen: Ids) -> Array:
        vectors = words[ids] + kinds_of[kinds] + places[: ids.shape[1]]
        return infer([vectors, seen.astype(np.float32)])

    return states


def _graph(config: Mapping[str, Any], weights: Mapping[str, Array]) -> Any:
    """(n, t, d) sums of word, kind and place vectors, (n, t) which count -> (n, t, d) states."""
    import openvino
    from openvino import opset13 as op

    width, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    epsilon = float(config["layer_norm_eps"])

    def linear(x: Any, name: str) -> Any:
        matrix = openvino.op.Constant(np.ascontiguousarray(weights[f"{name}.weight"]), shared_memory=True)
        return op.add(op.matmul(x, matrix, False, True), op.constant(weights[f"{name}.bias"]))

    def norm(x: Any, name: str) -> Any:
        flat = op.mvn(x, op.constant(np.array([-1])), True, epsilon, "inside_sqrt")
        return op.add(op.multiply(flat, op.constant(weights[f"{name}.weight"])), op.constant(weights[f"{name}.bias"]))

    def split(x: Any) -> Any:
        apart = op.reshape(x, op.constant(np.array([0, 0, heads, width // heads])), True)
        return op.transpose(apart, op.constant(np.array([0, 2, 1, 3])))

    vectors = op.parameter([-1, -1, width], np.float32)
    seen = op.parameter([-1, -1], np.float32)
    shade = op.multiply(op.subtract(seen, op.constant(np.float32(1))), op.constant(np.float32(1e9)))
    shade = op.unsqueeze(shade, op.constant(np.array([1, 2])))
    x = norm(vectors, "embeddings.LayerNorm")
    for number in range(int(config["num_hidden_layers"])):
        layer = f"encoder.layer.{number}"
        query, key, value = (split(linear(x, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value"))
        likeness = op.multiply(op.matmul(query, key, False, True), op.constant(np.float32((width // heads) ** -0.5)))
        read = op.matmul(op.softmax(op.add(likeness, shade), -1), value, False, False)
        read = op.reshape(
            op.transpose(read, op.constant(np.array([0, 2, 1, 3]))), op.constant(np.array([0, 0, width])), True
        )
        x = norm(op.add(x, linear(read, f"{layer}.attention.output.dense")), f"{layer}.attention.output.LayerNorm")
        inner = op.gelu(linear(x, f"{layer}.intermediate.dense"), "ERF")
        x = norm(op.add(x, linear(inner, f"{layer}.output.dense")), f"{layer}.output.LayerNorm")
    return openvino.Model([x], [vectors, seen], "bert")


def _on_torch(config: Mapping[str, Any], weights: Mapping[str, Array]) -> States:
    import torch
    from transformers import BertConfig, BertModel

    net: Any = BertModel(BertConfig(**config), add_pooling_layer=False)
    net.load_state_dict(
        {name: torch.from_numpy(np.array(value)) for name, value in weights.items() if "pooler" not in name}
    )
    net.eval()

    def states(ids: Ids, kinds: Ids, seen: Ids) -> Array:
        with torch.inference_mode():
            found = net(
                input_ids=torch.from_numpy(ids), token_type_ids=torch.from_numpy(kinds),
                attention_mask=torch.from_numpy(seen),
            )  # fmt: skip
            return np.asarray(found.last_hidden_state.numpy(), dtype=np.float32)

    return states
