"""The command line: parse, walk, print. Nothing is decided here.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 bad input,
130 interrupted. What a subcommand needs is imported inside it, so that `--help` stays quick.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
import typer.core

from assistant import console
from assistant.errors import BadInput, ConfideError

if TYPE_CHECKING:
    from assistant.core import Assistant
    from assistant.settings import Settings
    from assistant.store import Store
    from assistant.types import Answer, Company, Conversation

typer.core.HAS_RICH = False  # plain help, the same in a terminal, in a pipe and in the docs
INTERRUPTED = 130

CollectionOption = Annotated[
    str | None, typer.Option("--collection", "-c", metavar="NAME", help="The collection; default: the settings' own.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]

cli = typer.Typer(
    name="confide",
    help="A customer-service assistant that answers from your own documents, with proof. Without a subcommand: serve.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
documents_cli = typer.Typer(help="The documents of a collection.", no_args_is_help=True)
models_cli = typer.Typer(help="The language models: what there is, what fits this machine, which one answers.")
cli.add_typer(documents_cli, name="documents")
cli.add_typer(models_cli, name="models", no_args_is_help=True)


def run(arguments: Sequence[str]) -> int:
    """The exit code of one command line. Errors are told on stderr, without a traceback."""
    try:
        code = typer.main.get_command(cli).main(list(arguments), prog_name="confide", standalone_mode=False)
        if code == INTERRUPTED:
            console.tell("Interrupted.")
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show(file=sys.stderr)
        return 2
    except (KeyboardInterrupt, click.Abort):
        console.tell("Interrupted.")
        return INTERRUPTED
    except ConfideError as error:
        console.tell(f"{error.message} {error.hint}".strip())
        return error.exit_code
    except BrokenPipeError:  # `confide collections | head -1`: the reader has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        console.tell(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.")
        return 1


@cli.callback(invoke_without_command=True)
def _global(
    context: typer.Context,
    data_dir: Annotated[Path | None, typer.Option(help="The folder of everything Confide writes.")] = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The settings file; default: confide.toml.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say what goes on, and show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", help="The version, and nothing else.")] = False,
) -> None:
    if version:
        from assistant import __version__

        typer.echo(__version__)
        raise typer.Exit
    console.log(verbose=verbose)
    if settings is not None:
        if not settings.is_file():
            raise BadInput(f"There is no settings file {settings}.", hint="Mend --settings.")
        os.environ["CONFIDE_SETTINGS"] = str(settings)  # worker processes read the same file
    context.obj = {"data_dir": data_dir} if data_dir else {}
    if context.invoked_subcommand is None:
        serve(context)


# Asking


@cli.command()
def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    collection: CollectionOption = None,
    history: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help='Earlier messages, oldest first: [{"role": "user", "text": "..."}, ...]'),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Asks one question and prints the answer with its sources."""
    if not question.strip():
        raise BadInput("The question is empty.", hint='For example: ask "Can I return a tent?"')
    conversation = _conversation(history)
    with _assistant(context) as assistant:
        answer = _ask(assistant, conversation, question, collection, quiet=as_json)
    if as_json:
        console.print_json(answer.to_dict())
    else:
        console.print_sources(answer)


def _ask(
    assistant: Assistant, conversation: Conversation, question: str, collection: str | None, *, quiet: bool
) -> Answer:
    """The whole answer; its text is printed as it comes unless `quiet`."""
    from assistant.types import Delta, Done

    for event in assistant.ask(conversation, question, collection=collection):
        if isinstance(event, Delta) and not quiet:
            sys.stdout.write(event.text)
            sys.stdout.flush()
        elif isinstance(event, Done):
            return event.answer
    raise ConfideError("The assistant stopped before its answer was whole.", hint="`confide doctor` looks further.")


def _conversation(history: Path | None) -> Conversation:
    from uuid import uuid4

    from assistant.types import Conversation, Message

    if history is None:
        return Conversation(id=uuid4().hex)
    shape = 'It should be a JSON list like [{"role": "user", "text": "..."}, {"role": "assistant", "text": "..."}].'
    try:
        rows = json.loads(history.read_text(encoding="utf-8"))
        messages = tuple(Message(role=row["role"], text=row["text"]) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"The history {history} cannot be read: {error}.", hint=shape) from error
    if any(message.role not in ("user", "assistant") or not isinstance(message.text, str) for message in messages):
        raise BadInput(f"The history {history} has a message that is neither user nor assistant.", hint=shape)
    return Conversation(id=uuid4().hex, messages=messages)


# Documents


@cli.command()
def ingest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, folders or zips.")],
    collection: CollectionOption = None,
    company: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Whose documents they are: a JSON file with names, examples and contact."),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove documents that are not among PATH any more.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Reads documents into a collection; unchanged ones are skipped, changed ones replaced."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise BadInput(f"There is no {', '.join(missing)}.", hint="Nothing was read.")
    about = _company(company) if company else None
    with _assistant(context) as assistant:
        from assistant import ingest as walk

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
    if as_json:
        import dataclasses

        console.print_json(dataclasses.asdict(report))
    else:
        console.print_ingest(report)
    if all(file.verdict == "refused" for file in report.files):
        raise typer.Exit(2)


@cli.command()
def collections(context: typer.Context, as_json: JsonOption = False) -> None:
    """Lists the collections, their sizes, languages and embedders."""
    import dataclasses

    with _store(context) as (store, settings):
        infos = store.collections(settings.tenant)
    if as_json:
        console.print_json([dataclasses.asdict(info) for info in infos])
        return
    rows = [
        (info.name, str(info.documents), str(info.passages), " ".join(info.languages), info.embedder) for info in infos
    ]
    console.print_table(("collection", "documents", "passages", "languages", "embedder"), rows)


@documents_cli.command("list")
def documents_list(context: typer.Context, collection: CollectionOption = None, as_json: JsonOption = False) -> None:
    """Lists the documents of a collection."""
    with _store(context) as (store, settings):
        name = _known_collection(store, settings, collection)
        found = store.documents(settings.tenant, name)
    if as_json:
        keys = ("id", "name", "kind", "language", "sha256")
        console.print_json([{key: getattr(document, key) for key in keys} for document in found])
        return
    rows = [(document.name, document.kind, document.language, f"{len(document.text):,}") for document in found]
    console.print_table(("document", "kind", "language", "characters"), rows)


@documents_cli.command("remove")
def documents_remove(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names, as `documents list` shows them.")],
    collection: CollectionOption = None,
) -> None:
    """Removes documents; they are gone from the answers at once."""
    with _assistant(context) as assistant:
        from assistant.ingest import remove_documents

        report = remove_documents(
            names,
            store=assistant.store,
            settings=assistant.settings,
            index=assistant.searcher,
            collection=collection,
        )
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


# Models


@models_cli.command("list")
def models_list(context: typer.Context, as_json: JsonOption = False) -> None:
    """Lists the models, which of them are here, and the one this machine should take."""
    from assistant.engines import models

    listed = models.catalogue(_settings(context))
    if as_json:
        import dataclasses

        console.print_json([dataclasses.asdict(entry) for entry in listed])
        return
    rows = []
    for entry in listed:
        remarks = {"in use": entry.in_use, "recommended": entry.recommended, "here": entry.ready}
        remark = ", ".join(name for name, holds in remarks.items() if holds)
        rows.append((entry.name, entry.size, entry.licence, " ".join(entry.languages), remark))
    console.print_table(("model", "size", "licence", "languages", ""), rows)


@models_cli.command("pull")
def models_pull(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name of `models list` or a Hugging Face id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the download.")] = False,
) -> None:
    """Downloads a model after saying its size and licence, and verifies it."""
    from assistant.engines import models

    settings = _settings(context)
    console.tell(models.announce(name, settings))
    if not yes and not (sys.stdin.isatty() and typer.confirm("Download it?", err=True)):
        raise BadInput("Nothing was downloaded.", hint="Say yes, or add --yes.")
    with console.progress("Downloading") as progress:
        models.pull(name, settings, progress=lambda done, total, file: progress(file, done, total))
    typer.echo(f"{name} is ready. `confide models use {name}` answers with it.")


@models_cli.command("use")
def models_use(
    context: typer.Context, name: Annotated[str, typer.Argument(help="A model that is on this machine.")]
) -> None:
    """Writes the model into the settings file; the next start answers with it."""
    from assistant.engines import models
    from assistant.settings import settings_file

    models.use(name, _settings(context))
    typer.echo(f"{settings_file()}: model.name = {name}")


@models_cli.command("prepare")
def models_prepare(context: typer.Context) -> None:
    """Converts the model in force for quick starts, once."""
    from assistant.engines import models

    settings = _settings(context)
    with console.progress("Preparing") as progress:
        folder = models.prepare(settings, progress=lambda done, total, part: progress(part, done, total))
    typer.echo(f"{settings.model.name} is ready in {folder}")


# Judging and serving


@cli.command()
def evaluate(
    context: typer.Context,
    golden: Annotated[Path, typer.Argument(metavar="GOLDEN.jsonl", help="Questions and what right answers hold.")],
    collection: CollectionOption = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="REPORT.json", help="An earlier report; exit code 1 on a regression.")
    ] = None,
    save: Annotated[Path | None, typer.Option(metavar="REPORT.json", help="Writes the report there too.")] = None,
    details: Annotated[Path | None, typer.Option(metavar="FILE.jsonl", help="Writes one row a question.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Judges the assistant on a golden file of yours."""
    from assistant import evaluate as walk

    earlier = walk.read_report(compare) if compare else None
    with _assistant(context) as assistant, console.progress("Asking", quiet=as_json) as progress:
        report = walk.evaluate(golden, assistant, collection=collection, progress=progress, details=details)
    if save:
        save.write_text(json.dumps(report.to_dict(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    regressions = walk.compare(report, earlier) if earlier else []
    if as_json:
        console.print_json(report.to_dict())
    else:
        console.print_report(report)
    for regression in regressions:
        console.tell(f"Regression: {regression}")
    if regressions:
        raise typer.Exit(1)


@cli.command()
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
) -> None:
    """Serves the page and the API, by default on http://127.0.0.1:7860."""
    flags: dict[str, Any] = {"host": host, "port": port, "open_browser": False if no_browser else None}
    settings = _settings(context, server={name: value for name, value in flags.items() if value is not None})
    from assistant.server import serve as walk

    walk(settings)


@cli.command()
def doctor(
    context: typer.Context,
    settings: Annotated[bool, typer.Option("--settings", help="List all settings and their values instead.")] = False,
) -> None:
    """Checks the installation, says what is wrong and how to mend it."""
    from assistant import doctor as walk

    if settings:
        console.print_table(("setting", "value", "what it is"), walk.settings_table(_settings(context)))
        return
    broken = False
    for check in walk.examine(lambda: _settings(context)):
        broken = broken or check.state == "broken"
        typer.echo(f"{walk.MARKS[check.state]} {check.name}: {check.found}")
        if check.hint:
            typer.echo(f"    {check.hint}")
    if broken:
        raise typer.Exit(1)


# Opening


def _settings(context: typer.Context, **flags: Any) -> Settings:
    from assistant.settings import load_settings

    return load_settings(**(context.obj or {}), **flags)


@contextlib.contextmanager
def _assistant(context: typer.Context) -> Iterator[Assistant]:
    settings = _settings(context)
    from assistant.core import Assistant

    with contextlib.closing(Assistant.open(settings)) as assistant:
        yield assistant


@contextlib.contextmanager
def _store(context: typer.Context) -> Iterator[tuple[Store, Settings]]:
    settings = _settings(context)
    from assistant.store import Store

    with contextlib.closing(Store.open(settings.data_dir)) as store:
        yield store, settings


def _known_collection(store: Store, settings: Settings, name: str | None) -> str:
    from assistant.registry import did_you_mean

    name = name or settings.collection
    if store.collection(settings.tenant, name) is None:
        known = [info.name for info in store.collections(settings.tenant)]
        hint = did_you_mean(name, known) or f"`confide ingest PATH --collection {name}` makes it."
        raise BadInput(f"There is no collection {name!r}.", hint=hint)
    return name
