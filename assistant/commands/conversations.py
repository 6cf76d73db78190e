"""`conversations ...`: the stored conversations: found, shown, given out without personal data, deleted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant import console
from assistant.commands.opening import JsonOption, noted, store_of
from assistant.history import Entry, Format, History, Wanted, wanted_of

cli = typer.Typer(help="The stored conversations of customers.", no_args_is_help=True)
TextOption = Annotated[str, typer.Option(help="Stands in a message, in any letter case.")]
CollectionOption = Annotated[str, typer.Option("--collection", "-c", metavar="NAME", help="About this collection.")]
OutcomeOption = Annotated[
    str, typer.Option(help="With such an answer: ANSWERED, NOT_IN_KNOWLEDGE_BASE, NEEDS_HUMAN, COMPONENT_FAILED.")
]
RatingOption = Annotated[str, typer.Option(help="Rated so: up, down.")]
SinceOption = Annotated[str, typer.Option(metavar="DAY", help="Written in on this day (UTC) or later: 2026-12-31.")]
UntilOption = Annotated[str, typer.Option(metavar="DAY", help="Written in on this day (UTC) or earlier.")]
CustomerOption = Annotated[str, typer.Option(metavar="ID", help="Of this customer.")]


@cli.command("list")
def _list(
    context: typer.Context,
    text: TextOption = "",
    collection: CollectionOption = "",
    outcome: OutcomeOption = "",
    rating: RatingOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    customer: CustomerOption = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="The most that are listed.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Lists the conversations that fit, the newest first."""
    wanted = _wanted(text, collection, outcome, rating, since, until, customer, limit)
    with store_of(context) as (store, settings):
        rows = [_row(entry) for entry in History(store, settings.tenant).find(wanted)]
    if as_json:
        console.print_json(rows)
        return
    head = ("id", "updated", "collection", "messages", "outcome", "rating", "title")
    console.print_table(head, [[str(row[column] or "-") for column in head] for row in rows])


@cli.command("show")
def _show(
    context: typer.Context,
    conversation: Annotated[str, typer.Argument(metavar="ID", help="As the list has it.")],
    as_json: JsonOption = False,
) -> None:
    """Shows one conversation, word for word."""
    with store_of(context) as (store, settings):
        entry, turns = History(store, settings.tenant).read(conversation)
    said = [
        {"at": turn.at.isoformat(timespec="seconds"), "who": turn.by or turn.message.role, "text": turn.message.text}
        for turn in turns
    ]
    if as_json:
        console.print_json({**_row(entry), "customer": entry.customer, "said": said})
        return
    for one in said:
        typer.echo(f"{one['at']}  {one['who']}\n{one['text']}\n")


@cli.command("export")
def _export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Ends with .jsonl or .csv.")],
    text: TextOption = "",
    collection: CollectionOption = "",
    outcome: OutcomeOption = "",
    rating: RatingOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    customer: CustomerOption = "",
) -> None:
    """Writes the conversations that fit to a file, personal data replaced."""
    from assistant.errors import BadInput
    from assistant.outbound import redactor
    from privacy.erasure import Marks
    from privacy.keys import durable_write

    kinds: dict[str, Format] = {".jsonl": "jsonl", ".csv": "csv"}
    if file.suffix not in kinds:
        raise BadInput(f"{file} is neither .jsonl nor .csv.", hint="For example: conversations export talks.jsonl.")
    if file.is_dir() or not file.parent.is_dir():
        raise BadInput(f"{file} is a folder, or its folder does not exist.", hint="Name a file in a folder there is.")
    wanted = _wanted(text, collection, outcome, rating, since, until, customer, 1_000_000)
    with store_of(context) as (store, settings):
        marks = Marks(settings.data_dir, settings.tenant)
        lines = History(store, settings.tenant).export(wanted, redactor(settings), marks, kind=kinds[file.suffix])
        durable_write(file, "".join(lines).encode())
        noted(store, settings, "conversations.export", file.suffix[1:])
    console.tell(f"Written: {file}. Names and what a text tells in words may still be in it.")


@cli.command("delete")
def _delete(
    context: typer.Context, conversation: Annotated[str, typer.Argument(metavar="ID", help="As the list has it.")]
) -> None:
    """Deletes one conversation with its ratings and notes. A whole customer: `privacy forget`."""
    with store_of(context) as (store, settings):
        History(store, settings.tenant).delete(conversation)
        noted(store, settings, "conversations.delete")
    typer.echo(f"Deleted: {conversation}")


@cli.command("sweep")
def _sweep(
    context: typer.Context,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Older than this; default: privacy.keep_days.")
    ] = None,
) -> None:
    """Deletes the conversations that nobody wrote in for so many days; a running server does it every day."""
    with store_of(context) as (store, settings):
        gone = History(store, settings.tenant).sweep(days or settings.privacy.keep_days)
        noted(store, settings, "conversations.sweep", str(gone))
    typer.echo(f"Deleted: {gone}")


def _wanted(
    text: str, collection: str, outcome: str, rating: str, since: str, until: str, customer: str, limit: int
) -> Wanted:
    fields = {"text": text, "collection": collection, "outcome": outcome.upper(), "rating": rating,
              "since": since, "until": until, "customer": customer}  # fmt: skip
    return replace(wanted_of(fields), limit=limit)


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id, "updated": entry.updated.isoformat(timespec="seconds"), "collection": entry.collection,
        "messages": entry.messages, "outcome": entry.outcome, "rating": entry.rating, "title": entry.title,
    }  # fmt: skip
