"""Shared weights on the disk and as one number: safetensors with a JSON note, written in one step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from federated.errors import FederationError
from federated.types import Arrays
from privacy.keys import durable_write


def weights_sha256(weights: Arrays) -> str:
    """sha256 over names, shapes and float32 values, in the order of the names; in hex."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name], "<f4")
        digest.update(json.dumps([name, list(array.shape)]).encode() + array.tobytes())
    return digest.hexdigest()


def save_weights(path: Path, weights: Arrays, about: Mapping[str, Any]) -> None:
    """Replaces the file in one step: after a crash it is the old one or the new one, whole."""
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(array, np.float64) for name, array in sorted(weights.items())}
    durable_write(path, save(tensors, metadata={"about": json.dumps(about)}))


def load_weights(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """What `save_weights` wrote.

    Raises:
        FederationError: the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            about: dict[str, Any] = json.loads(file.metadata()["about"])
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FederationError(f"{path} is damaged: {error}.", hint="Restore the run's folder from a backup.") from error
