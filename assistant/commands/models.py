"""`models ...`: the language models there are, here and in use."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from assistant import console
from assistant.commands.opening import JsonOption, settings_of
from assistant.errors import BadInput, ModelNotReady

cli = typer.Typer(
    help="The language models: what there is, what fits this machine, which one answers.", no_args_is_help=True
)


@cli.command("list")
def _list(context: typer.Context, as_json: JsonOption = False) -> None:
    """Lists the models, which of them are here, and the one this machine should take."""
    from assistant.engines import models

    listed = models.catalogue(settings_of(context))
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


@cli.command("pull")
def _pull(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name of `models list` or a Hugging Face id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the download.")] = False,
) -> None:
    """Downloads a model after saying its size and licence, and verifies it."""
    from assistant.engines import models

    settings = settings_of(context)
    console.tell(models.announce(name, settings))
    if not yes and not (sys.stdin.isatty() and typer.confirm("Download it?", err=True)):
        raise BadInput("Nothing was downloaded.", hint="Say yes, or add --yes.")
    with console.progress("Downloading") as progress:
        models.pull(name, settings, progress=lambda done, total, file: progress(file, done, total))
    typer.echo(f"{name} is ready. `confide models use {name}` answers with it.")


@cli.command("use")
def _use(context: typer.Context, name: Annotated[str, typer.Argument(help="A model that is on this machine.")]) -> None:
    """Writes the model into the settings file; the next start answers with it."""
    from assistant.engines import models
    from assistant.settings import settings_file

    try:
        models.use(name, settings_of(context))
    except ModelNotReady as error:  # named here, it is the caller's to mend
        raise BadInput(error.message, hint=error.hint) from error
    typer.echo(f"{settings_file()}: model.name = {name}")


@cli.command("prepare")
def _prepare(context: typer.Context) -> None:
    """Converts the model in force for quick starts, once."""
    from assistant.engines import choice, models

    settings = settings_of(context)
    with console.progress("Preparing") as progress:
        folder = models.prepare(settings, progress=lambda done, total, part: progress(part, done, total))
    typer.echo(f"{settings.model.name} is ready in {folder}")
    if settings.model.engine == "auto" and not settings.remote.url and choice.kept(settings) is None:
        console.tell("Measuring which engine is quickest here, once ...")
        typer.echo(f"engine: {choice.measure(settings).engine}")
    if settings.model.engine in {"auto", "openvino"} and choice.chosen(settings) == "openvino":
        from assistant.adapters import SHIPPED, read_card
        from assistant.engines import openvino

        fits = read_card(SHIPPED).base_sha256 == models.resolve(settings)[1].sha256
        openvino.write(settings, [SHIPPED] if fits else [])
