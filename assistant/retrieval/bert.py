"""BERT's layers over word vectors: on OpenVINO where it is installed, else on PyTorch. For encoders the size of MiniLM.

Weights are arrays by transformers' names. Matrices may be small: numbers of 4 bits (`Blocks`), of 8 (`Bytes`), or one
with a low-rank change (`Changed`); OpenVINO widens them where it multiplies, so that they stay small in memory, too.
Nothing is written to disk; with OpenVINO neither torch nor transformers is loaded. It cuts no text and pools nothing.

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
BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", (16,))])
"""32 numbers of 4 bits: byte j has number j (low) and number j + 16 (high), each plus 8."""


class Blocks:
    """(out, in) numbers of 4 bits in `BLOCK`s along the rows; widened as rows are looked up, or whole by np.array."""

    def __init__(self, blocks: npt.NDArray[Any]) -> None:
        self.blocks = blocks
        self.shape = (blocks.shape[0], blocks.shape[1] * 32)

    def __getitem__(self, ids: Ids) -> Array:
        return _widened(self.blocks[ids])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return _widened(np.asarray(self.blocks)).astype(dtype or np.float32, copy=False)


@dataclass(frozen=True, slots=True)
class Bytes:
    """(out, in) signed bytes, each row times its scale."""

    numbers: npt.NDArray[np.int8]
    scales: npt.NDArray[Any]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return (self.numbers * self.scales.astype(np.float32)[:, None]).astype(dtype or np.float32, copy=False)


@dataclass(frozen=True, slots=True)
class Changed:
    """A matrix and a low-rank change: base (out, in) + up (out, rank) @ down (rank, in)."""

    base: Matrix
    up: Matrix
    down: Matrix

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        whole: Array = np.array(self.base) + np.array(self.up) @ np.array(self.down)
        return whole.astype(dtype or np.float32, copy=False)


Matrix = Array | Blocks | Bytes | Changed
States = Callable[[Ids, Ids, Ids], Array]
"""(n, t) token ids, their kinds (0, 1) and which are no padding (1) -> (n, t, d) states of the last layer."""


EXACT = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
"""By default OpenVINO would also round to 8 bits what it multiplies small matrices with."""


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
    """x times the transposed matrix; one of few bits is widened by the multiplication itself."""
    import openvino
    from openvino import opset13 as op

    if isinstance(matrix, Changed):
        return op.add(_product(x, matrix.base), _product(_product(x, matrix.down), matrix.up))
    if isinstance(matrix, Bytes):
        wide = op.convert(op.constant(np.ascontiguousarray(matrix.numbers)), "f32")
        wide = op.multiply(wide, op.constant(matrix.scales.astype(np.float32)[:, None]))
    elif isinstance(matrix, Blocks):
        rows, groups = matrix.blocks.shape
        numbers = _numbers(matrix.blocks)
        pairs = np.ascontiguousarray(numbers[..., 0::2] | numbers[..., 1::2] << 4)  # its order: two neighbours a byte
        packed = openvino.Tensor(
            openvino.Type.u4, openvino.Shape([rows, groups, 32])
        )  # its own memory: it outlives `pairs`
        packed.data[:] = pairs.reshape(packed.data.shape)
        wide = op.subtract(op.convert(op.constant(packed), "f32"), op.constant(np.float32(8)))
        wide = op.multiply(wide, op.constant(matrix.blocks["scale"].astype(np.float32)[..., None]))
        wide = op.reshape(wide, op.constant(np.array([rows, groups * 32])), False)
    else:
        wide = openvino.op.Constant(np.ascontiguousarray(matrix), shared_memory=True)
    return op.matmul(x, wide, False, True)


def _numbers(blocks: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """(..., 32) the numbers of blocks, each plus 8."""
    found: npt.NDArray[np.uint8] = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=-1)
    return found


def _widened(blocks: npt.NDArray[Any]) -> Array:
    """(..., n) blocks -> (..., 32 n) float32."""
    wide = (_numbers(blocks).astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[..., None]
    return np.asarray(wide.reshape(*blocks.shape[:-1], -1), dtype=np.float32)


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
