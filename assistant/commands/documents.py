"""`ingest`, `collections` and `documents ...`: what the assistant may answer from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant import console
from assistant.commands.opening import (
    CollectionOption,
    JsonOption,
    assistant_of,
    known_collection,
    noted,
    store_of,
)
from assistant.errors import BadInput

if TYPE_CHECKING:
    from assistant.core import Assistant
    from assistant.settings import Settings
    from assistant.store import Store
    from assistant.types import Company, IngestReport

cli = typer.Typer(help="The documents of a collection.", no_args_is_help=True)


def ingest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, folders or zips.")],
    collection: CollectionOption = None,
    company: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Whose documents they are: a JSON file with names, examples and contact."),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove documents that are not among PATH any more.")] = False,
    customer: Annotated[
        str | None, typer.Option(metavar="ID", help="The customer they belong to: forgotten with them.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Reads documents into a collection; unchanged ones are skipped, changed ones replaced."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise BadInput(f"There is no {', '.join(missing)}.", hint="Nothing was read.")
    about = _company(company) if company else None
    with assistant_of(context) as assistant:
        from assistant import ingest as walk

        if customer:
            _refuse_erased(assistant.settings, customer)
        with console.progress("Reading", quiet=as_json) as progress:
            report = walk.ingest(
                paths,
                store=assistant.store,
                settings=assistant.settings,
                index=assistant.searcher,
                collection=collection or assistant.settings.collection,
                progress=progress,
                prune=prune,
            )
        if about is not None:
            _save_company(assistant.store, assistant.settings.tenant, report.collection, about)
        if customer:
            _claim(assistant, report, customer)
        noted(assistant.store, assistant.settings, "document.add", f"{report.collection}: {len(report.files)}")
    if as_json:
        import dataclasses

        console.print_json(dataclasses.asdict(report))
    else:
        console.print_ingest(report)
    if all(file.verdict == "refused" for file in report.files):
        raise typer.Exit(2)


def _refuse_erased(settings: Settings, customer: str) -> None:
    from privacy.erasure import Tombstones

    if Tombstones(settings.data_dir, settings.tenant).erased([customer]):
        raise BadInput(f"{customer} was erased: nothing old of theirs is read again.", hint="Nothing was changed.")


def _claim(assistant: Assistant, report: IngestReport, customer: str) -> None:
    """Says whose the documents are that were read, now or before."""
    from assistant.owners import Owners

    for file in report.files:
        if file.verdict in {"added", "replaced", "unchanged"}:
            Owners(assistant.store).claim(assistant.settings.tenant, report.collection, file.name, customer)


def collections(context: typer.Context, as_json: JsonOption = False) -> None:
    """Lists the collections, their sizes, languages and embedders."""
    import dataclasses

    with store_of(context) as (store, settings):
        infos = store.collections(settings.tenant)
    if as_json:
        console.print_json([dataclasses.asdict(info) for info in infos])
        return
    rows = [
        (info.name, str(info.documents), str(info.passages), " ".join(info.languages), info.embedder) for info in infos
    ]
    console.print_table(("collection", "documents", "passages", "languages", "embedder"), rows)


@cli.command("list")
def _list(context: typer.Context, collection: CollectionOption = None, as_json: JsonOption = False) -> None:
    """Lists the documents of a collection."""
    with store_of(context) as (store, settings):
        name = known_collection(store, settings, collection)
        found = store.documents(settings.tenant, name)
    if as_json:
        keys = ("id", "name", "kind", "language", "sha256")
        console.print_json([{key: getattr(document, key) for key in keys} for document in found])
        return
    rows = [(document.name, document.kind, document.language, f"{len(document.text):,}") for document in found]
    console.print_table(("document", "kind", "language", "characters"), rows)


@cli.command("remove")
def _remove(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names, as `documents list` shows them.")],
    collection: CollectionOption = None,
) -> None:
    """Removes documents; they are gone from the answers at once."""
    with assistant_of(context) as assistant:
        from assistant.ingest import remove_documents

        report = remove_documents(
            names,
            store=assistant.store,
            settings=assistant.settings,
            index=assistant.searcher,
            collection=collection,
        )
        noted(assistant.store, assistant.settings, "document.remove", f"{report.collection}: {len(report.files)}")
    typer.echo(f"Removed from {report.collection}: {', '.join(file.name for file in report.files)}")


def _save_company(store: Store, tenant: str, name: str, company: Company) -> None:
    import dataclasses

    info = store.collection(tenant, name)
    if info is not None:
        store.save_collection(dataclasses.replace(info, company=company))


def _company(file: Path) -> Company:
    from assistant.types import Company

    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        first = data.get("languages", ["en"])[0]
        names = {key.removeprefix("name_"): str(text) for key, text in data.items() if key.startswith("name_")}
        examples = {language: tuple(questions) for language, questions in data.get("examples", {}).items()}
        return Company(names={first: data["name"], **names}, examples=examples, contact=data.get("contact", ""))
    except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise BadInput(
            f"The company file {file} cannot be read: {error!r}.",
            hint='It holds {"name": "...", "name_zh": "...", "examples": {"en": ["...?"]}, "contact": "..."}.',
        ) from error
