"""`recommend`, `catalog ...` and `interactions ...`: what there is to recommend, and recommending it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant import console
from assistant.commands.opening import CollectionOption, JsonOption, assistant_of, noted, store_of
from assistant.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assistant.goods import Advice
    from assistant.recommend.catalog import BadRow

catalog_cli = typer.Typer(help="The items that can be recommended.", no_args_is_help=True)
interactions_cli = typer.Typer(help="What customers did with the items.", no_args_is_help=True)
_SHOWN = 20


def recommend(
    context: typer.Context,
    user: Annotated[str, typer.Option("--user", metavar="CUSTOMER", help="Whose history it is for.")] = "",
    query: Annotated[str, typer.Option("--query", metavar="TEXT", help="A request, in the customer's words.")] = "",
    only: Annotated[
        str | None,
        typer.Option("--filter", metavar="FILTER", help='Instead of the request\'s: "price < 100; colour = blue".'),
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", help="How many.")] = 10,
    likely: Annotated[bool, typer.Option("--likely", help="Say how likely --user buys each; takes a while.")] = False,
    collection: CollectionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recommends items to a customer, or for a request, with reasons."""
    from assistant.advisor import Query
    from assistant.language import detect

    with assistant_of(context) as assistant:
        name = collection or assistant.settings.collection
        conditions = None if only is None else assistant.advisor.read_filter(name, only)
        language = detect(query) if query else assistant.settings.language
        advice = assistant.recommend(
            Query(user, query, conditions, n, language="zh" if language == "zh" else "en"), collection=name
        )
        chances: Sequence[float] = ()
        if likely:
            chances = assistant.advisor.likely(name, user, [one.item.id for one in advice.recommendations])
            days = assistant.advisor.propensity(name).days
            console.tell(f"likely: calibrated probability of a purchase within {days:.0f} days")
    if as_json:
        data = advice.to_dict()
        for row, chance in zip(data["recommendations"], chances, strict=False):
            row["likely"] = round(chance, 6)
        console.print_json(data)
    else:
        _print(advice, chances)


@catalog_cli.command("import")
def catalog_import(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, TSV, XLSX or JSON; a shop's export.")],
    words: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What customers call things: a JSON file, field -> value -> words."),
    ] = None,
    currency: Annotated[str, typer.Option(help="The prices' currency where the file does not say.")] = "",
    prune: Annotated[bool, typer.Option("--prune", help="Remove items that are not in FILE any more.")] = False,
    collection: CollectionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reads items; unchanged ones are skipped, changed ones replaced, bad rows listed."""
    from assistant.recommend.catalog import read_catalog
    from assistant.settings import NAME
    from assistant.stock import Changed, Stock

    _exists(file)
    if collection and not re.fullmatch(NAME, collection):
        raise BadInput(f"{collection!r} cannot name a collection.", hint="Use a-z, 0-9, - and _, 63 at most.")
    said = _words(words) if words else None
    read = read_catalog(file, currency=currency)
    if not read.items:  # a cut export, or one of another form: with --prune it would empty the shop
        _report(dataclasses.asdict(Changed()), read.bad, as_json=as_json)
        raise BadInput(f"{file.name} holds no item that can be read.", hint="Nothing was changed. Mend its rows.")
    with store_of(context) as (store, settings):
        shelf = Stock(store, settings.tenant, collection or settings.collection)
        # An item whose new row is wrong keeps its old one.
        changed = shelf.put(read.items, prune=prune, keep={one.id for one in read.bad})
        if said is not None:
            shelf.save_words(said)
        noted(store, settings, "goods.import", f"{collection or settings.collection}: {len(read.items)}")
    _report(dataclasses.asdict(changed), read.bad, as_json=as_json)
    if "price" not in read.columns:
        console.tell(f"No column of {file.name} is the price, so its items have none. Name the column price or 价格.")


@catalog_cli.command("list")
def catalog_list(context: typer.Context, collection: CollectionOption = None, as_json: JsonOption = False) -> None:
    """Lists the items of a catalogue."""
    from assistant.recommend.reasons import money
    from assistant.stock import Stock

    with store_of(context) as (store, settings):
        items = Stock(store, settings.tenant, collection or settings.collection).items()
    if as_json:
        keys = ("id", "name", "category", "stock")
        console.print_json([{**{key: getattr(one, key) for key in keys}, "price": money(one)} for one in items])
        return
    rows = [(one.id, one.name, one.category, money(one), "" if one.stock is None else str(one.stock)) for one in items]
    console.print_table(("item", "name", "category", "price", "stock"), rows)


@interactions_cli.command("import")
def interactions_import(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Who did what with which item, and when.")],
    collection: CollectionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reads interactions; known ones are skipped, bad rows listed."""
    from assistant.recommend.interactions import read_interactions
    from assistant.stock import Stock
    from privacy.erasure import Tombstones

    _exists(file)
    with store_of(context) as (store, settings):
        name = collection or settings.collection
        shelf = Stock(store, settings.tenant, name)
        items = {item.id for item in shelf.items()}
        if not items:
            raise BadInput(
                f"The collection {name!r} has no catalogue yet.", hint="`confide catalog import FILE` first."
            )
        read = read_interactions(file, items=items)
        erased = Tombstones(settings.data_dir, settings.tenant).erased(one.customer for one in read.interactions)
        kept = [one for one in read.interactions if one.customer not in erased]
        added = shelf.add(kept)
    counts = {"added": added, "known": len(kept) - added, "of unknown items": read.unknown}
    if erased:
        counts["of erased customers"] = len(read.interactions) - len(kept)
    _report(counts, read.bad, as_json=as_json)


@interactions_cli.command("forget")
def interactions_forget(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="The customer, as in the file.")],
    collection: CollectionOption = None,
) -> None:
    """Deletes everything a customer did here."""
    from assistant.stock import Stock

    with store_of(context) as (store, settings):
        gone = Stock(store, settings.tenant, collection or settings.collection).forget(customer)
        noted(store, settings, "interactions.forget", str(gone))
    typer.echo(f"Deleted {gone} interactions of {customer}.")


def _exists(file: Path) -> None:
    if not file.is_file():
        raise BadInput(f"There is no file {file}.", hint="Nothing was read.")


def _words(file: Path) -> dict[str, dict[str, list[str]]]:
    shape = 'It holds {"category": {"jackets": ["coat", "parka"]}}: field, value, words.'
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return {
            field: {value: _strings(value, spellings) for value, spellings in values.items()}
            for field, values in data.items()
        }
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise BadInput(f"The words file {file} cannot be read: {error}.", hint=shape) from error


def _strings(value: str, spellings: object) -> list[str]:
    """A value's words. Raises ValueError: a text alone would be taken letter by letter."""
    if not isinstance(spellings, list) or not all(isinstance(word, str) for word in spellings):
        raise ValueError(f"the words of {value!r} are not a list of texts")
    return spellings


def _report(counts: dict[str, int], bad: Sequence[BadRow], *, as_json: bool) -> None:
    if as_json:
        rows = [{"line": one.line, "problem": one.problem} for one in bad]
        console.print_json({**counts, "bad": rows})
        return
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()))
    for one in bad[:_SHOWN]:
        console.tell(f"line {one.line}: {one.problem}")
    if len(bad) > _SHOWN:
        console.tell(f"... and {len(bad) - _SHOWN} more bad rows; --json lists all.")


def _print(advice: Advice, chances: Sequence[float] = ()) -> None:
    from assistant.recommend.filters import to_text

    if advice.conditions:
        console.tell(f"filter: {to_text(advice.conditions)} ({advice.items} items)")
    for note in advice.notes:
        console.tell(note)
    lines = advice.text.split("\n")
    found = advice.recommendations
    typer.echo(lines[0])
    for place, (line, one) in enumerate(zip(lines[1:], found, strict=False)):
        typer.echo(f"{line}, likely {chances[place]:.2%}" if chances else line)
        for reason in one.reasons:
            typer.echo(f"     - {reason.text}")
    for line in lines[1 + len(found) :]:
        typer.echo(line)
