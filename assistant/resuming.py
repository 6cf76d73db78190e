"""What a run that was cut short left in its folder, and which run alone may go on with it.

A run is its plan, the records and the base it reads, the adapter it goes on from, and the promise it was charged for:
its identity, kept in its folder. The same run goes on from its checkpoint; another is refused. What is left of a run
that died before its first checkpoint is nobody's: it is dropped. What a checkpoint is: `tuning/checkpoint.py`.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.errors import BadInput

if TYPE_CHECKING:
    from assistant.settings import Settings
    from assistant.tuning.private import Goal
    from assistant.tuning.records import Records

CHECKPOINT, STATE, MADE, COMMON, ACTIVATIONS = "checkpoint", "run.json", "adapter", "common.npy", "activations"
_LEFT = (f"{CHECKPOINT}/step-*", STATE, f"{ACTIVATIONS}/*.bin", MADE)


def identity(
    plan: Mapping[str, Any], records: Records, *, base: str, parent: str | None, goal: Goal | None
) -> dict[str, Any]:
    """All that makes two runs of one folder the same run, JSON-ready; by content, wherever the files lie.

    `plan` are the fields of a `runs.Plan`, `base` is the SHA-256 of its weights.
    """
    said = {
        **plan,
        "data": plan["data"].stem,  # its name on the book
        "records": f"{records.sha256}, {len(records)} of them",  # those of erased customers are left out
        "base": base,
        "parent": parent,
        "suite": plan["suite"] is not None,
        "goal": goal and dataclasses.asdict(goal),
    }
    del said["name"]
    return dict(json.loads(json.dumps(said)))


def take_up(folder: Path, run: dict[str, Any]) -> None:
    """Drops what is left of a run that died before its first checkpoint; what it was charged stays on the book.

    Raises:
        BadInput: the checkpoint in the folder is another run's.
    """
    if not has_checkpoint(folder):
        for name in (STATE, COMMON):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / ACTIVATIONS, ignore_errors=True)
        return
    state = folder / STATE
    begun = json.loads(state.read_text(encoding="utf-8")).get("run") if state.is_file() else None
    if begun == run:
        return
    where, hint = folder / CHECKPOINT, "Delete that folder to start anew, or repeat the run it belongs to."
    if begun is None:
        raise BadInput(f"The checkpoint in {where} is of an earlier version: whose it is was not kept.", hint=hint)
    other = ", ".join(name for name in sorted(run.keys() | begun.keys()) if run.get(name) != begun.get(name))
    raise BadInput(f"The checkpoint in {where} belongs to a run with other data or options ({other}).", hint=hint)


def has_checkpoint(folder: Path) -> bool:
    """Whether the run in a folder was cut short and can go on."""
    return any((folder / CHECKPOINT).glob("step-*/state.json"))


def unfinished(settings: Settings) -> list[Path]:
    """The folders of runs that were cut short and can go on, by name."""
    return sorted(filter(has_checkpoint, (settings.data_dir / "runs").glob("*")))


def left_over(runs: Path) -> list[str]:
    """The runs that did not end: in their folders is something that was made of their records."""
    return sorted({path.relative_to(runs).parts[0] for what in _LEFT for path in runs.glob(f"*/{what}")})
