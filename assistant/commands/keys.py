"""`keys ...`: the keys by which other programs call the API."""

from __future__ import annotations

from typing import Annotated

import typer

from assistant import console
from assistant.commands.opening import JsonOption, known_collection, noted, store_of
from assistant.keys import Keys, Role

cli = typer.Typer(help="The keys by which other programs call the API.", no_args_is_help=True)


@cli.command("create")
def _create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for, as the list shows it.")],
    role: Annotated[
        Role, typer.Option(help="visitor asks; staff also reads documents and ratings; owner changes documents.")
    ] = Role.VISITOR,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", metavar="NAME", help="The only collection; default: any.")
    ] = None,
    per_minute: Annotated[int, typer.Option(max=1_000_000_000, help="Requests a minute.")] = 60,
    per_day: Annotated[int, typer.Option(max=1_000_000_000, help="Requests a day; 0 = no limit.")] = 0,
) -> None:
    """Makes a key and prints it, this once: only its hash is kept."""
    with store_of(context) as (store, settings):
        only = known_collection(store, settings, collection) if collection else ""
        key, text = Keys(store, settings.tenant).create(
            name, role=role, collection=only, per_minute=per_minute, per_day=per_day
        )
        noted(store, settings, "key.create", f"{key.id}: {key.name}, {key.role}")
    console.tell(f"The key {key.id} ({key.name}, {key.role}). Keep it: it is not shown again.")
    typer.echo(text)


@cli.command("list")
def _list(context: typer.Context, as_json: JsonOption = False) -> None:
    """Lists the keys, without their secrets."""
    with store_of(context) as (store, settings):
        keys = Keys(store, settings.tenant).all()
    rows = [
        {
            "id": key.id,
            "name": key.name,
            "role": key.role.value,
            "collection": key.collection,
            "per_minute": key.per_minute,
            "per_day": key.per_day,
            "created": key.created.isoformat(timespec="seconds"),
            "revoked": key.revoked.isoformat(timespec="seconds") if key.revoked else None,
        }
        for key in keys
    ]
    if as_json:
        console.print_json(rows)
        return
    head = ("id", "name", "role", "collection", "per_minute", "per_day", "created", "revoked")
    console.print_table(head, [[str(row[column] or "-") for column in head] for row in rows])


@cli.command("revoke")
def _revoke(context: typer.Context, key: Annotated[str, typer.Argument(metavar="KEY", help="Its id or name.")]) -> None:
    """Takes a key back; it opens nothing from the next request on."""
    with store_of(context) as (store, settings):
        revoked = Keys(store, settings.tenant).revoke(key)
        noted(store, settings, "key.revoke", f"{revoked.id}: {revoked.name}")
    typer.echo(f"Revoked: {revoked.id} ({revoked.name})")
