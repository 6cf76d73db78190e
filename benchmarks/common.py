"""What every benchmark shares: where its data is, what its numbers came from, how a value is bounded.

Evaluation data is not part of the project: its folder is CONFIDE_EVAL_DATA, or `../shared/data` beside
the clone. A benchmark without its data stops with exit code 2, never with a made-up number.
"""

from __future__ import annotations

import os
from pathlib import Path

from assistant.errors import BadInput
from assistant.metrics import mean, quantile, ranking, ratio, share
from assistant.provenance import provenance

__all__ = ["ROOT", "data_root", "eval_data", "mean", "provenance", "quantile", "ranking", "ratio", "share"]

ROOT = Path(__file__).resolve().parent.parent


def data_root() -> Path:
    """Where the evaluation data is looked for."""
    return Path(os.environ.get("CONFIDE_EVAL_DATA") or ROOT.parent / "shared" / "data")


def eval_data(name: str) -> Path:
    """The folder of one data set.

    Raises:
        BadInput: it is not on this machine; the message says where it is looked for.
    """
    folder = data_root() / name
    if not folder.is_dir():
        raise BadInput(
            f"The evaluation data {name!r} is not here: {folder} does not exist.",
            hint="Set CONFIDE_EVAL_DATA to the folder that holds the data sets; docs/benchmarks.md says what each is.",
        )
    return folder
