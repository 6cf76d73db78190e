"""A model fetched from the Hugging Face hub, each file checked against what the hub says of it.

The only module of the assistant that goes to the network by itself, and only when a user asks for
a download. Only safetensors, JSON and tokenizer files are fetched. Not a cache: the files go where
the model is loaded from, and an interrupted download goes on where it stopped.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from assistant.engines import folder
from assistant.engines.catalogue import find
from assistant.engines.folder import Progress
from assistant.errors import BadInput, ModelNotReady
from assistant.settings import Settings


@dataclass(frozen=True, slots=True)
class _Remote:
    """A model as the hub describes it: commit, licence, and (size in bytes, sha256 or "") a file."""

    commit: str
    licence: str
    files: dict[str, tuple[int, str]]

    @property
    def size(self) -> int:
        return sum(size for size, _ in self.files.values())


def announce(name: str, settings: Settings) -> str:
    """What a pull would bring: where from, how large, under which licence.

    Raises:
        ModelNotReady: not in the catalogue, and the hub cannot be asked.
    """
    entry = find(name)
    if entry is not None and entry.wheel is not None:
        return f"{entry.name} came with Confide (licence {entry.licence}): nothing to download, it is converted once."
    if entry is not None:
        size, licence, source = entry.size_mb * 1_000_000, entry.licence, entry.source
    else:
        remote = _describe(name)
        size, licence, source = remote.size, remote.licence, name
    where = settings.data_dir / "models"
    return f"{source} from the Hugging Face hub: about {size / 1e9:.1f} GB, licence {licence}, into {where}."


def pull_into(path: Path, *, hub_id: str, name: str, progress: Progress | None = None) -> None:
    """Makes `path` a verified copy of the hub's model; whole or not at all.

    Raises:
        ModelNotReady: no connection, no such model, or a file that is not what the hub says.
        BadInput: no safetensors, or a model that brings its own code.
    """
    remote = _describe(hub_id)
    if not any(file.endswith(".safetensors") for file in remote.files):
        raise BadInput(f"{hub_id} offers no safetensors.", hint="Choose another: `confide models list`.")
    part = path.with_name(f".{path.name}.part")
    try:
        _check_code(hub_id, remote, path.parent)
    except BadInput:
        shutil.rmtree(part, ignore_errors=True)
        raise
    missing = remote.size - sum(file.stat().st_size for file in part.rglob("*") if file.is_file())
    free = shutil.disk_usage(path.parent).free
    if missing > free:
        raise ModelNotReady(
            f"{hub_id} needs {missing / 1e9:.1f} GB more and {path.parent} has {free / 1e9:.1f} GB free."
        )
    _download(hub_id, remote, part, list(remote.files), progress)
    _verify(part, remote, hub_id)
    folder.check_safe(part)
    shutil.rmtree(part / ".cache", ignore_errors=True)
    measured = folder.measure(part, name=name, source=f"{hub_id}@{remote.commit}", licence=remote.licence)
    folder.write_mark(part / folder.MARK, measured)
    if path.exists():
        shutil.rmtree(path)
    os.replace(part, path)


def _describe(hub_id: str) -> _Remote:
    with _clear_errors(hub_id):
        info = _hub().HfApi().model_info(hub_id, files_metadata=True)
    card = info.card_data.to_dict() if info.card_data else {}
    files = {
        file.rfilename: (int(file.size or 0), str(file.lfs.sha256) if file.lfs else "")
        for file in info.siblings or ()
        if "/" not in file.rfilename and any(fnmatch(file.rfilename, pattern) for pattern in folder.PATTERNS)
    }
    if {"model.safetensors", "model.safetensors.index.json"} & files.keys():  # some offer the same weights twice
        files = {name: file for name, file in files.items() if not fnmatch(name, "consolidated*.safetensors")}
    return _Remote(commit=str(info.sha), licence=str(card.get("license", "not stated")), files=files)


def _check_code(hub_id: str, remote: _Remote, beside: Path) -> None:
    """Refuses a model that brings its own code before its gigabytes are fetched."""
    told = [name for name in folder.TELL_CODE if name in remote.files]
    with tempfile.TemporaryDirectory(prefix=".configs.", dir=beside) as work:
        _download(hub_id, remote, Path(work), told, None)
        folder.check_code(Path(work), hub_id)


def _download(hub_id: str, remote: _Remote, part: Path, names: list[str], progress: Progress | None) -> None:
    with _clear_errors(hub_id):
        _hub().snapshot_download(
            hub_id,
            revision=remote.commit,
            local_dir=part,
            allow_patterns=names,
            tqdm_class=_bar(progress, remote.size),
        )


def _verify(part: Path, remote: _Remote, hub_id: str) -> None:
    """Each file has the size, and the hash where the hub states one."""
    for name, (size, sha256) in remote.files.items():
        file = part / name
        good = file.is_file() and file.stat().st_size == size and (not sha256 or folder.sha256_of(file) == sha256)
        if not good:
            file.unlink(missing_ok=True)
            raise ModelNotReady(
                f"{name} of {hub_id} is not what the hub says it is; it was thrown away.", hint="Pull it again."
            )


def _hub() -> Any:
    """The client, which reports nothing about its use."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub

    return huggingface_hub


@contextmanager
def _clear_errors(hub_id: str) -> Iterator[None]:
    """The client's many errors as ours."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise BadInput(f"{hub_id!r} is not the id of a model on the hub.", hint="Ids look like org/name.") from error
    except errors.GatedRepoError as error:
        raise ModelNotReady(
            f"The publisher of {hub_id} asks for your consent first.",
            hint="Accept it on the model's page, or choose another.",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelNotReady(
            f"The hub has no public model {hub_id}.", hint="`confide models list` lists some."
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelNotReady(
            f"{hub_id} cannot be fetched: HF_HUB_OFFLINE is set here.", hint="Unset it for the download."
        ) from error
    except (httpx2.HTTPError, errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise ModelNotReady(
                f"{hub_id} cannot be fetched: the disk is full.", hint="Make room, then pull it again: it goes on."
            ) from error
        raise ModelNotReady(
            f"{hub_id} cannot be fetched: {type(error).__name__}.",
            hint="Check the connection and the proxy. On a machine without network, copy the model's folder to it "
            "and set [model] name to its path.",
        ) from error


def _bar(progress: Progress | None, total: int) -> Any:
    """A tqdm class that draws nothing and reports bytes to `progress`."""
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    class Quiet(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **{**options, "file": io.StringIO(), "disable": False})

        def update(self, n: float | None = 1) -> bool | None:
            moved: bool | None = super().update(n)
            if progress is not None and self.unit == "B":
                progress(min(int(self.n), total), total, "")
            return moved

    return Quiet
