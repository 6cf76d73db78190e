"""Adapters on disk: a folder each, `adapters/<name>/<version>/`, with weights, config and card.

A version is written once, whole or not at all, and never changed; only its card may gain what is
learned later (an evaluation, a note). Which adapter answers is `deployments.py`'s matter; whether a
folder can be trusted is `vetting.py`'s. Needs no torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from assistant.errors import AdapterRefused, BadInput, UnknownName
from assistant.registry import did_you_mean
from assistant.types import Adapter, Report, Task
from privacy.keys import durable_write
from privacy.types import PrivacySpend

WEIGHTS, CONFIG, CARD = "adapter_model.safetensors", "adapter_config.json", "card.json"
BARE = "none"
"""What commands call the model without any adapter; no adapter may be called so."""
BUILT_IN = "built-in"
"""What commands call the adapter that Confide brings for its default model; no other may be called so, either."""
BUILT_IN_ID = f"{BUILT_IN}@1"
SHIPPED = Path(__file__).parent / "shipped" / BUILT_IN / "1"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SEAL, _SUMS = "seal", "files"


class Shelf:
    """The adapters of a data folder, and the built-in one, which is found by its name and listed nowhere."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "adapters"

    def all(self) -> list[Adapter]:
        """Every adapter whose card can be read, by name and version."""
        return self._scan()[0]

    def broken(self) -> list[AdapterRefused]:
        """Why each of the others cannot be read."""
        return self._scan()[1]

    def find(self, wanted: str) -> Adapter:
        """The adapter `name@version`, or the newest version of `name`.

        Raises:
            UnknownName: there is none; proposes the nearest.
            AdapterRefused: its card cannot be read.
        """
        name, _, version = wanted.partition("@")
        if name == BUILT_IN and version in {"", "1"}:
            return read_card(SHIPPED)
        if _NAME.fullmatch(name) and (not version or version.isdecimal()):
            versions = [int(version)] if version else self._versions(name)[-1:]
            if versions and (self.root / name / str(versions[0])).is_dir():
                return read_card(self.root / name / str(versions[0]))
        known = [adapter.id for adapter in self.all()]
        hint = did_you_mean(wanted, [*dict.fromkeys(one.partition("@")[0] for one in known), *known])
        raise UnknownName(f"There is no adapter {wanted!r}.", hint=hint or "`python app.py train chat DATA` makes one.")

    def save(self, card: Adapter, write: Callable[[Path], object]) -> Adapter:
        """The adapter as it was kept, under the next free version; `card`'s version and path do not matter.

        `write(folder)` puts the weights and the config there; the sums are taken from the files.

        Raises:
            BadInput: the name has other letters than small ones, digits, - and _, or is taken.
        """
        check_name(card.name, card.task)
        parent = self.root / card.name
        parent.mkdir(parents=True, exist_ok=True)
        part = parent / f".{uuid.uuid4().hex}.part"
        try:
            part.mkdir()
            write(part)
            with FileLock(parent / ".lock"):
                version = self._next(card.name)
                final = parent / str(version)
                card = dataclasses.replace(card, version=version, path=str(final), sha256=sha256_of(part / WEIGHTS))
                _write_card(part, card)
                for file in part.iterdir():
                    _sync(file)
                _sync(part)
                part.rename(final)
            _sync(parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return card

    def amend(self, adapter: Adapter, **changes: Any) -> Adapter:
        """The adapter with more on its card (`before`, `after`, `notes`, `audits`); its weights are as they were.

        A change may be a function of what stands there by now: another may have written since `adapter` was read.
        """
        folder = Path(adapter.path)
        with FileLock(folder.parent / ".lock"):
            now = read_card(folder)
            told = {name: value(getattr(now, name)) if callable(value) else value for name, value in changes.items()}
            changed = dataclasses.replace(now, **told)
            _write_card(folder, changed)
        _sync(folder)
        return changed

    def _scan(self) -> tuple[list[Adapter], list[AdapterRefused]]:
        found: list[Adapter] = []
        refused: list[AdapterRefused] = []
        names = sorted(path.name for path in self.root.iterdir()) if self.root.is_dir() else []
        for name in filter(_NAME.fullmatch, names):
            for version in self._versions(name):
                try:
                    found.append(read_card(self.root / name / str(version)))
                except AdapterRefused as error:
                    refused.append(error)
        return found, refused

    def _versions(self, name: str) -> list[int]:
        folder = self.root / name
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(int(path.name) for path in found if path.name.isdecimal() and path.is_dir())

    def _next(self, name: str) -> int:
        """A version that was never given: who loaded one by its name must not find another there."""
        file = self.root / f".{name}.last"
        last = file.read_text(encoding="utf-8") if file.is_file() else ""
        version = max([*self._versions(name), int(last) if last.isdecimal() else 0], default=0) + 1
        durable_write(file, str(version).encode())
        return version


def is_built_in(adapter: str | None) -> bool:
    """Whether it is the adapter that Confide brings."""
    return adapter == BUILT_IN_ID


def check_name(name: str, task: Task = "chat") -> None:
    """Raises BadInput where no adapter for the task can be made under this name."""
    if not _NAME.fullmatch(name) or name == BARE:
        raise BadInput(
            f"An adapter cannot be called {name!r}.", hint="Small letters, digits, - and _, at most 63 of them."
        )
    if name == BUILT_IN:
        raise BadInput(f"{BUILT_IN} is the adapter that Confide brings.", hint="Choose another name.")
    if name == "chat" != task:  # a classifier is put to use under its name, those that chat under this one
        raise BadInput("An adapter called chat would take the place of those that chat.", hint="Choose another name.")


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def shape_of(folder: Path) -> dict[str, Any]:
    """`rank`, `alpha` and `targets` of a card, from the config that was written."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    targets = config["target_modules"]
    return {"rank": int(config["r"]), "alpha": float(config["lora_alpha"]), "targets": tuple(sorted(targets))}


# The card


def read_card(folder: Path) -> Adapter:
    """What the card in a folder says; only that the card itself is whole was checked.

    Raises:
        AdapterRefused: there is no card, or it was changed since it was written.
    """
    return read_sealed(folder)[0]


def read_sealed(folder: Path) -> tuple[Adapter, dict[str, str]]:
    """The card, and the SHA-256 of the other files that it vouches for. Raises as `read_card`."""
    where = folder / CARD
    hint = "Train it again, or take its folder away."
    try:
        if where.stat().st_size > 1_000_000:
            raise AdapterRefused(f"{where} is too large for a card.", hint=hint)
        data = json.loads(where.read_text(encoding="utf-8"))
        seal, sums = data.pop(_SEAL), data[_SUMS]
        if seal != _seal(data):
            raise AdapterRefused(f"{where} is not as it was written: its seal does not fit.", hint=hint)
        return card_from(data, path=folder), {str(name): str(value) for name, value in sums.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise AdapterRefused(f"{where} cannot be read as the card of an adapter: {error!r}.", hint=hint) from error


def card_to(adapter: Adapter) -> dict[str, Any]:
    """JSON-ready, without the path: where it lies is not the adapter's own; `card_from` is its inverse."""
    data = dataclasses.asdict(adapter)
    del data["path"]
    data["privacy"] = [spend.to_dict() for spend in adapter.privacy]
    return data


def card_from(data: dict[str, Any], *, path: Path) -> Adapter:
    """The adapter that `card_to` wrote. Raises ValueError, TypeError, KeyError where it is none."""
    fields = {field.name for field in dataclasses.fields(Adapter)} - {"path"}
    kept = {key: value for key, value in data.items() if key in fields}
    for key in ("targets", "labels", "notes"):
        kept[key] = tuple(str(value) for value in kept.get(key, ()))
    for key in ("before", "after"):
        kept[key] = Report.from_dict(kept[key]) if kept.get(key) else None
    kept["audits"] = tuple(Report.from_dict(report) for report in kept.get("audits", ()))
    kept["privacy"] = tuple(PrivacySpend.from_dict(spend) for spend in kept.get("privacy", ()))
    adapter = Adapter(path=str(path), **kept)
    if not _NAME.fullmatch(adapter.name) or adapter.name == BARE:
        raise ValueError(f"{adapter.name!r} is no name of an adapter")
    if not isinstance(adapter.version, int) or not isinstance(adapter.rank, int):
        raise ValueError("version and rank are not numbers")
    return adapter


def _write_card(folder: Path, adapter: Adapter) -> None:
    names = sorted(file.name for file in folder.iterdir() if file.name != CARD and not file.name.startswith("."))
    data = card_to(adapter) | {_SUMS: {name: sha256_of(folder / name) for name in names}}
    data[_SEAL] = _seal(data)
    part = folder.parent / f".{folder.name}.{CARD}.{os.getpid()}"  # beside it: a folder with a draft in it is refused
    part.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    _sync(part)
    part.replace(folder / CARD)


def _seal(data: dict[str, Any]) -> str:
    """A sum over the card's content: it finds damage, it does not keep a forger out."""
    plain = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


def _sync(path: Path) -> None:
    """What was written there survives a power cut."""
    with contextlib.suppress(PermissionError):  # Windows opens no folders
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
