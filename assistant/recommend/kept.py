"""A fitted recommender on disk, so that a second start does not fit again: arrays in safetensors, and a manifest.

The manifest holds the key of what was fitted on (`key`, made by the caller) and the file's digest. What does not
agree, is damaged or is missing counts as nothing kept. No names of customers are written, and no objects.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from assistant.recommend.arrays import packed, under, unpacked
from assistant.recommend.blend import Blend
from assistant.recommend.candidates import Nearest
from assistant.recommend.factors import Als
from assistant.recommend.lexical import Lexical
from assistant.recommend.recommender import Recommender, scorers_for
from assistant.recommend.table import Table

FORMAT = 4
"""Grows when the arrays, the words, or the options that the scorers are fitted with, change."""
MANIFEST, MODEL = "manifest.json", "model.safetensors"
_log = logging.getLogger(__name__)


def save(model: Recommender, folder: Path, key: str) -> bool:
    """Writes a model, the manifest last. Whether it could be written."""
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(array) for name, array in _arrays(model).items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{MODEL}.{os.getpid()}"
        save_file(arrays, part)
        manifest = {"format": FORMAT, "key": key, "events": model.fitted_on, "sha256": _digest(part)}
        os.replace(part, folder / MODEL)
        part = folder / f"{MANIFEST}.{os.getpid()}"
        part.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        os.replace(part, folder / MANIFEST)
    except OSError as error:
        _log.warning("the fitted models are not kept: %s", error)
        return False
    return True


def load(table: Table, vectors: Any, folder: Path, key: str) -> Recommender | None:
    """The model that was kept under this key; None where there is none, or where it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if (manifest["format"], manifest["key"]) != (FORMAT, key):
            return None
        if _digest(folder / MODEL) != manifest["sha256"]:
            raise ValueError("its digest is not the manifest's")
        return _model(table, vectors, load_file(folder / MODEL), int(manifest["events"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        _log.warning("the kept models are fitted anew, they cannot be read: %s", error)
        return None


def _arrays(model: Recommender) -> dict[str, Any]:
    words = "\n".join(model.lexical.places)  # in the order of their numbers
    lexical = {
        "words": np.frombuffer(words.encode(), dtype=np.uint8),
        "starts": model.lexical.starts,
        "rows": model.lexical.rows,
    }
    return {
        "repeated": model.repeated,
        "liked_from": np.array([model.liked_from]),
        **packed("taken", model.taken),
        **{f"lexical/{name}": array for name, array in lexical.items()},
        **{f"blend/{name}": array for name, array in model.blend.state().items()},
        **{f"centres/{name}": one.centres for name, one in model.near.items()},
    }


def _model(table: Table, vectors: Any, arrays: dict[str, Any], events: int) -> Recommender:
    from scipy.sparse import csc_matrix

    blend = Blend(scorers_for("blend/als/items" in arrays, vectors))
    blend.restore(under("blend", arrays))
    sources = {"content": vectors, "als": next((one for one in blend.scorers if isinstance(one, Als)), None)}
    near = {}
    for name, centres in under("centres", arrays).items():
        found = sources[name]
        near[name] = Nearest(found.item_factors if isinstance(found, Als) else found, centres=centres)
    said = under("lexical", arrays)
    words = said["words"].tobytes().decode()
    places = {word: place for place, word in enumerate(words.split("\n"))} if words else {}
    lexical = Lexical(places, said["starts"], said["rows"], len(table))
    taken = unpacked("taken", arrays, csc_matrix)
    liked_from = float(arrays["liked_from"][0])
    return Recommender(table, blend, vectors, taken, arrays["repeated"], events, lexical, near, liked_from)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
