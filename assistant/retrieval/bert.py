"""BERT's layers over word vectors: on OpenVINO where it is installed, else on PyTorch. For encoders the size of MiniLM.

Weights are arrays by transformers' names. Matrices may be numbers of 8 bits (`Bytes`): OpenVINO widens them where it
multiplies, so that they stay small in memory, too, whatever the length of a text. Nothing is written to disk; with
OpenVINO neither torch nor transformers is loaded. It cuts no text and pools nothing.

Source: Devlin et al. 2019, arXiv:1810.04805 (layer norm after each half, exact GELU).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.retrieval import quick

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
GROUP = 64
"""Numbers of a row that `rounded` gives one scale: both sizes of layers are multiples of it."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """(out, in) signed bytes, (out, groups, in / groups), each group times its scale, (out, groups)."""

    numbers: npt.NDArray[np.int8]
    scales: npt.NDArray[Any]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        wide = self.numbers * self.scales.astype(np.float32)[..., None]
        return np.asarray(wide.reshape(len(wide), -1), dtype=dtype or np.float32)


def rounded(matrix: Array) -> Bytes:
    """A matrix in 8 bits, a scale for `GROUP` numbers of a row."""
    groups = matrix.reshape(len(matrix), -1, GROUP)
    scales = np.maximum(np.abs(groups).max(-1) / 127, 1e-12).astype(np.float32)
    return Bytes(np.round(groups / scales[..., None]).astype(np.int8), scales)


Matrix = Array | Bytes
States = Callable[[Ids, Ids, Ids], Array]
"""(n, t) token ids, their kinds (0, 1) and which are no padding (1) -> (n, t, d) states of the last layer."""


EXACT = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
"""By default OpenVINO would also round to 8 bits what it multiplies such matrices with."""


def build(config: Mapping[str, Any], weights: Mapping[str, Matrix]) -> States:
    """The layers with these weights; `config` has the sizes by transformers' BertConfig."""
    if importlib.util.find_spec("openvino") is None:
        return _on_torch(config, weights)
    return _on_openvino(config, weights)


def _on_openvino(config: Mapping[str, Any], weights: Mapping[str, Matrix]) -> States:
    """The word vectors are looked up here: a question touches a few rows of them."""
    words: Any = weights["embeddings.word_embeddings.weight"]
    kinds_of, places = (
        np.array(weights[f"embeddings.{kind}_embeddings.weight"]) for kind in ("token_type", "position")
    )
    infer = quick.compiled(_graph(config, weights), EXACT)

    def states(ids: Ids, kinds: Ids, seen: Ids) -> Array:
        vectors = words[ids] + kinds_of[kinds] + places[: ids.shape[1]]
        return infer([vectors, seen.astype(np.float32)])

    return states


def _graph(config: Mapping[str, Any], weights: Mapping[str, Matrix]) -> Any:
    """(n, t, d) sums of word, kind and place vectors, (n, t) which count -> (n, t, d) states."""
    import openvino
    from openvino import opset13 as op

    width, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    epsilon = float(config["layer_norm_eps"])

    def linear(x: Any, name: str) -> Any:
        return op.add(_product(x, weights[f"{name}.weight"]), op.constant(np.array(weights[f"{name}.bias"])))

    def norm(x: Any, name: str) -> Any:
        flat = op.mvn(x, op.constant(np.array([-1])), True, epsilon, "inside_sqrt")
        return op.add(
            op.multiply(flat, op.constant(np.array(weights[f"{name}.weight"]))),
            op.constant(np.array(weights[f"{name}.bias"])),
        )

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


def _product(x: Any, matrix: Matrix) -> Any:
    """x times the transposed matrix; one of bytes is widened by the multiplication itself."""
    import openvino
    from openvino import opset13 as op

    if not isinstance(matrix, Bytes):
        return op.matmul(x, openvino.op.Constant(np.ascontiguousarray(matrix), shared_memory=True), False, True)
    wide = op.multiply(op.convert(op.constant(matrix.numbers), "f32"), op.constant(matrix.scales[..., None]))
    return op.matmul(x, op.reshape(wide, op.constant(np.array([len(matrix.numbers), -1])), False), False, True)


def _on_torch(config: Mapping[str, Any], weights: Mapping[str, Matrix]) -> States:
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
