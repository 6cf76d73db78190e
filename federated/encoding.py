"""Tensors as they travel: fp32, fp16, or int8 with error feedback; and integers for masks.

What an encoding loses in one round is kept by the partner and added to its next update (error
feedback, arXiv:1901.09847), so that nothing is lost for good. Masked updates are fixed-point
integers modulo 2^32: sums of integers are exact, so masks cancel to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.errors import BadRequest
from federated.types import Arrays, Encoded, Encoding, TensorSpec

_MODULUS = 1 << 32
DTYPES: dict[Encoding, str] = {"float32": "<f4", "float16": "<f2", "int8": "|i1", "masked": "<u4"}
_HALF_MAX = float(np.finfo(np.float16).max)


def encode(update: Arrays, encoding: Encoding, residual: Arrays | None = None) -> tuple[dict[str, Encoded], Arrays]:
    """The update plus what earlier rounds lost, encoded; and what this encoding loses.

    Returns:
        The tensors to send, and the residual to hand to the next round's call.

    Raises:
        BadRequest: "masked" (see `masking.py`), which has no residual of its own.
    """
    if encoding == "masked":
        raise BadRequest("A masked update is made by masking.protect, not by encode.")
    sent: dict[str, Encoded] = {}
    lost: Arrays = {}
    for name, array in update.items():
        wanted = np.asarray(array, np.float64) + (residual[name] if residual else 0.0)
        sent[name] = _encode(wanted, encoding)
        lost[name] = wanted - _decode(sent[name])
    return sent, lost


def _encode(array: NDArray[np.float64], encoding: Encoding) -> Encoded:
    if encoding == "float32":
        return Encoded(array.astype("<f4"))
    if encoding == "float16":
        return Encoded(np.clip(array, -_HALF_MAX, _HALF_MAX).astype("<f2"))
    largest = float(np.abs(array).max(initial=0.0))
    scale = largest / 127 or 1.0
    return Encoded(np.rint(array / scale).astype("|i1"), scale)


def _decode(tensor: Encoded) -> NDArray[np.float64]:
    return tensor.data.astype(np.float64) * tensor.scale


def decode(tensors: Mapping[str, Encoded]) -> Arrays:
    """The values of an update that passed the gate. Not for masked ones."""
    return {name: _decode(tensor) for name, tensor in tensors.items()}


# One long vector of integers, for masks


def flatten(update: Arrays, specs: Sequence[TensorSpec]) -> NDArray[np.float64]:
    """All tensors as one vector (n,), in the plan's order."""
    return np.concatenate([np.ravel(update[spec.name]) for spec in specs]) if specs else np.zeros(0)


def unflatten(vector: NDArray[Any], specs: Sequence[TensorSpec]) -> dict[str, NDArray[Any]]:
    """The inverse of `flatten`; the dtype stays."""
    result: dict[str, NDArray[Any]] = {}
    start = 0
    for spec in specs:
        result[spec.name] = vector[start : start + spec.size].reshape(spec.shape)
        start += spec.size
    return result


def quantise(vector: NDArray[np.float64], bound: float, partners: int, *, noise: float = 0.0) -> NDArray[np.uint32]:
    """Fixed-point integers modulo 2^32, so fine that `partners` of them sum without a wrap.

    Args:
        vector: (n,), every |value| at most `bound` (an L2 clip at `bound` guarantees it).
        bound: the largest value of one partner.
        partners: how many are summed at most.
        noise: the most that noise may add to the sum of one number.
    """
    steps = np.rint(np.clip(vector, -bound, bound) / step_size(bound, partners, noise)).astype(np.int64)
    return wrapped(steps)


def wrapped(steps: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Integers modulo 2^32."""
    return (steps % _MODULUS).astype(np.uint32)


def dequantise(total: NDArray[np.uint32], bound: float, partners: int, *, noise: float = 0.0) -> NDArray[np.float64]:
    """The sum that integers of `quantise` with the same bound, partners and noise add up to, (n,)."""
    signed = total.astype(np.int64)
    signed[signed >= _MODULUS // 2] -= _MODULUS
    return np.asarray(signed * step_size(bound, partners, noise), np.float64)


def step_size(bound: float, partners: int, noise: float = 0.0) -> float:
    """The value of one integer step."""
    # half the modulus for each sign, shared by all partners; one step less guards the rounding
    return (bound * partners + noise) / (_MODULUS // 2 - partners - 1)
