"""Subcommands of `privacy` that need the store: whom a text belongs to, forgetting them, what left this machine."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from assistant import console
from assistant.commands.opening import JsonOption, assistant_of, noted, settings_of, store_of
from assistant.errors import BadInput

cli = typer.Typer(help="Personal data and what training may reveal of it.", no_args_is_help=True)


@cli.command()
def find(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What they wrote: an e-mail address, an order number, a sentence.")],
    as_json: JsonOption = False,
) -> None:
    """Lists the customers in whose conversations a text stands: their ids, for `forget`."""
    if len(text.strip()) < 3:
        raise BadInput("That is too short to look for.", hint="Give at least three characters.")
    with store_of(context) as (store, settings):
        from assistant.owners import speakers

        found = speakers(store, settings.tenant, text.strip())
    if as_json:
        console.print_json([{"customer": one.customer, "conversations": one.conversations} for one in found])
    else:
        console.print_table(("customer", "conversations", "last"), [one.row() for one in found])


@cli.command()
def forget(
    context: typer.Context,
    customer: Annotated[
        str | None, typer.Argument(help="The customer's id, as `privacy find` shows it; none with --pending.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting.")] = False,
    pending: Annotated[bool, typer.Option("--pending", help="Complete the erasures that were cut short.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Deletes everything of a customer, searches for what is left, and writes a signed receipt."""
    from assistant import erase

    if (customer is None) != pending:
        raise BadInput("Name one customer, or say --pending.", hint="`confide privacy find TEXT` finds the id.")
    wanted = erase.pending(settings_of(context)) if customer is None else [customer]
    if customer and not yes:
        typer.confirm(f"Delete everything of {customer}? It cannot be undone.", abort=True, err=True)
    complete = True
    with assistant_of(context) as assistant:
        for one in wanted:
            done = erase.forget(
                one, store=assistant.store, settings=assistant.settings, index=assistant.searcher,
                tell=lambda step: None if as_json else console.tell(f"{step} ..."),
            )  # fmt: skip
            noted(assistant.store, assistant.settings, "privacy.forget", done.path.name)
            complete = complete and done.complete
            console.print_json(done.receipt) if as_json else _show(done.receipt, done.path)
    if not complete:
        raise typer.Exit(1)


def _show(receipt: dict[str, object], path: Path) -> None:
    counts = receipt["deleted"]
    assert isinstance(counts, dict)
    typer.echo(f"Deleted: {', '.join(f'{n} {name}' for name, n in counts.items())}.")
    lines = receipt["not_undone"]
    assert isinstance(lines, list)
    for line in lines:
        typer.echo(f"Not undone: {line}")
    for trace in receipt["traces"] if isinstance(receipt["traces"], list) else ():
        console.tell(f"Still there: {trace['file']} ({trace['written_as']})")
    typer.echo(f"Receipt: {path}")


@cli.command()
def receipt(
    file: Annotated[Path, typer.Argument(metavar="RECEIPT.json", help="A receipt of `forget`.")],
    public_key: Annotated[
        str | None, typer.Option(metavar="HEX", help="The holder's public key, if you know it from elsewhere.")
    ] = None,
) -> None:
    """Checks a receipt's signature; exit code 1 where it is not genuine."""
    from privacy.erasure import is_genuine

    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"The receipt {file} cannot be read: {error}.") from error
    if not isinstance(data, dict) or not is_genuine(data, public_key):
        console.tell(f"{file} is not genuine: it was changed, or signed by somebody else.")
        raise typer.Exit(1)
    typer.echo(f"{file} is genuine, signed by {data['public_key']}, ended {data.get('ended', '?')}.")


@cli.command()
def egress(context: typer.Context, as_json: JsonOption = False) -> None:
    """Lists everything that was sent to a remote engine: when, where to, how much, the digest of its redacted text."""
    from privacy.policy import Egress

    log = Egress(settings_of(context).data_dir).log()
    if as_json:
        console.print_json([dataclasses.asdict(one) for one in log])
        return
    rows = [(one.at, one.destination, one.collection, str(one.bytes), one.sha256[:16]) for one in log]
    console.print_table(("at (UTC)", "destination", "collection", "bytes", "sha256"), rows)
    typer.echo(f"{len(log)} requests, {sum(one.bytes for one in log):,} bytes")


@cli.command()
def redact(context: typer.Context) -> None:
    """Reads a text from stdin and writes it with personal data replaced by pseudonyms."""
    import sys

    from assistant.outbound import redactor

    try:
        text = sys.stdin.read()
    except UnicodeDecodeError as error:
        raise BadInput(f"The text is not UTF-8: {error}.", hint="Nothing was written.") from error
    sys.stdout.write(redactor(settings_of(context)).redact(text).text)


@cli.command()
def names(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Tagged sentences that it was not trained on.")],
    as_json: JsonOption = False,
) -> None:
    """How many names and addresses your own tagger finds (the adapter called names), for privacy.finder = "tagger"."""
    from assistant import named

    adapter, measures = named.recall(data, settings_of(context))
    if as_json:
        console.print_json({"adapter": adapter.id, "measures": [dataclasses.asdict(one) for one in measures]})
        return
    rows = [(one.name, console.measure_text(one), str(one.n)) for one in measures]
    console.print_table((adapter.id, "share (95 %)", "of"), rows)
    typer.echo("What it misses is not replaced: a name in a text that is sent or exported stays there.")
