"""The command line: parse, walk, print. Nothing is decided here.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 bad input,
130 interrupted. Each file beside this one holds a few subcommands; here they are put together.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import click
import typer
import typer.core

from assistant import console
from assistant.commands import (
    accounts,
    adapters,
    asking,
    book,
    classifying,
    conversations,
    curated,
    documents,
    judging,
    keys,
    models,
    privacy,
    recommending,
    serving,
    training,
)
from assistant.errors import BadInput, ConfideError
from privacy.errors import PrivacyError

typer.core.HAS_RICH = False  # plain help, the same in a terminal, in a pipe and in the docs
INTERRUPTED = 130

cli = typer.Typer(
    name="confide",
    help="A customer-service assistant that answers from your own documents, with proof. Without a subcommand: serve.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    asking.ask, documents.ingest, documents.collections, judging.evaluate, training.train, serving.serve, serving.mcp,
    judging.doctor, recommending.recommend,
)  # fmt: skip
for _command in _COMMANDS:
    cli.command()(_command)
cli.add_typer(documents.cli, name="documents")
cli.add_typer(recommending.catalog_cli, name="catalog")
cli.add_typer(recommending.interactions_cli, name="interactions")
cli.add_typer(conversations.cli, name="conversations")
cli.add_typer(models.cli, name="models")
cli.add_typer(keys.cli, name="keys")
cli.add_typer(accounts.cli, name="accounts")
for _command in book.COMMANDS:
    privacy.cli.command()(_command)
cli.add_typer(privacy.cli, name="privacy")
cli.add_typer(adapters.cli, name="adapters")
cli.add_typer(classifying.cli, name="classifiers")
cli.add_typer(curated.cli, name="curated")


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
    except (ConfideError, PrivacyError) as error:
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
        serving.serve(context)
