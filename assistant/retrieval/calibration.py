"""The coefficients of the reader and the thresholds of refusal, by embedder: data, fitted elsewhere.

`python -m benchmarks calibrate` makes `calibration.json` from the calibration companies, which
are not the exam. An embedder without a row gets the default's.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any


@functools.cache
def _table() -> dict[str, Any]:
    text = resources.files("assistant.retrieval").joinpath("calibration.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def calibration(embedder: str) -> dict[str, Any]:
    """The fitted numbers: `threshold` and `sure` (supports), and the reader's models, without the judge (`plain`) and,
    where it was fitted, with it (`judged`).

    Each has `unit`, `field` and `support`; `judged` may have `read`: support by the chat model's verdict too. A model
    is `{"weights": [...], "bias": float}`, in the order of the reader's feature names.
    """
    table = _table()
    found: dict[str, Any] = table["embedders"].get(embedder) or table["embedders"][table["default"]]
    return found
