"""What the subcommands share: common options, and the way to the settings, the store, the assistant.

What a subcommand needs is imported inside it, so that `--help` stays quick.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.errors import BadInput

if TYPE_CHECKING:
    from assistant.core import Assistant
    from assistant.settings import Settings
    from assistant.store import Store

CollectionOption = Annotated[
    str | None, typer.Option("--collection", "-c", metavar="NAME", help="The collection; default: the settings' own.")
]
AdapterOption = Annotated[
    str | None,
    typer.Option(
        "--adapter", metavar="NAME[@VERSION]", help="An adapter, or none; default: the collection's live one."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]


def settings_of(context: typer.Context, **flags: Any) -> Settings:
    """The settings in force; `flags` are a subcommand's own."""
    from assistant.settings import load_settings

    return load_settings(**(context.obj or {}), **flags)


@contextlib.contextmanager
def assistant_of(context: typer.Context) -> Iterator[Assistant]:
    """The assistant of the data folder, closed at the end."""
    settings = settings_of(context)
    from assistant.core import Assistant

    with contextlib.closing(Assistant.open(settings)) as assistant:
        yield assistant


@contextlib.contextmanager
def store_of(context: typer.Context) -> Iterator[tuple[Store, Settings]]:
    """The store alone and the settings: quick to open."""
    settings = settings_of(context)
    from assistant.store import Store

    with contextlib.closing(Store.of(settings)) as store:
        yield store, settings


def noted(store: Store, settings: Settings, action: str, what: str = "") -> None:
    """Writes into the log of who changed what, as the page does, that the one at the console did it.

    Every command that changes what customers get, or who may do what, calls it once it is done.
    """
    from assistant.accounts import Accounts

    Accounts(store, settings.tenant).log(action, what)


def known_collection(store: Store, settings: Settings, name: str | None) -> str:
    """The name of a collection that exists. Raises BadInput, with the nearest known name."""
    from assistant.registry import did_you_mean

    name = name or settings.collection
    if store.collection(settings.tenant, name) is None:
        known = [info.name for info in store.collections(settings.tenant)]
        hint = did_you_mean(name, known) or f"`confide ingest PATH --collection {name}` makes it."
        raise BadInput(f"There is no collection {name!r}.", hint=hint)
    return name
