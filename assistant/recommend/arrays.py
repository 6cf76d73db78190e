"""Sparse matrices as plain named arrays and back: the form in which fitted numbers are kept on disk. No objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = dict[str, Any]
"""name -> numpy array."""


def packed(name: str, matrix: Any) -> Arrays:
    """A CSR or CSC matrix as four arrays."""
    return {
        f"{name}.data": matrix.data,
        f"{name}.indices": matrix.indices,
        f"{name}.indptr": matrix.indptr,
        f"{name}.shape": np.array(matrix.shape, dtype=np.int64),
    }


def unpacked(name: str, arrays: Mapping[str, Any], kind: Any) -> Any:
    """The matrix of `packed`; `kind` is scipy's class that it was."""
    parts = (arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
    return kind(parts, shape=tuple(int(size) for size in arrays[f"{name}.shape"]))


def under(name: str, arrays: Mapping[str, Any]) -> Arrays:
    """The arrays whose names begin with `name` and a slash, without it.

    >>> under("ease", {"ease/place": 1, "als/items": 2})
    {'place': 1}
    """
    start = f"{name}/"
    return {key.removeprefix(start): value for key, value in arrays.items() if key.startswith(start)}
