"""Names to classes, resolved at first use.

A plugin adds a name by an entry point of the group `confide.<kind>`; ours are listed here.
Nothing is imported until a name is asked for, so a listed class may need packages that a
user does not have. Every entry is a factory that takes the `Settings`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from typing import Any

from assistant.errors import UnknownName

BUILT_IN: dict[str, dict[str, str]] = {
    "engines": {
        "hf": "assistant.engines.hf:build",
        "openvino": "assistant.engines.openvino:build",
        "remote": "assistant.engines.remote:build",
        "echo": "assistant.engines.echo:build",
    },
    "embedders": {
        "minilm": "assistant.retrieval.embedders:minilm",
        "use-multilingual": "assistant.retrieval.embedders:use_multilingual",
        "bilingual": "assistant.retrieval.embedders:bilingual",
        "hashing": "assistant.retrieval.embedders:hashing",
    },
    "finders": {"tagger": "assistant.named:tagger"},
}


def names(kind: str) -> list[str]:
    """All names of a kind, built in and from plugins, sorted."""
    plugins = {point.name for point in entry_points(group=f"confide.{kind}")}
    return sorted(plugins | set(BUILT_IN[kind]))


def resolve(kind: str, name: str) -> Callable[..., Any]:
    """The class or factory registered under `name`.

    Raises:
        UnknownName: there is none; the message proposes the nearest.
    """
    for point in entry_points(group=f"confide.{kind}", name=name):
        loaded: Callable[..., Any] = point.load()
        return loaded
    target = BUILT_IN[kind].get(name)
    if target is None:
        raise UnknownName(f"There is no {kind.rstrip('s')} called {name!r}.", hint=did_you_mean(name, names(kind)))
    module, _, attribute = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or all of them.

    >>> did_you_mean("ech", ["echo", "hf"])
    'Did you mean "echo"?'
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f'Did you mean "{near[0]}"?'
    return f"Known: {', '.join(known)}." if known else ""
