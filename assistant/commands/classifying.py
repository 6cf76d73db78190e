"""`classifiers ask | judge`: classes of texts, and what the classifiers are worth."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from assistant import console
from assistant.commands.opening import JsonOption, settings_of

cli = typer.Typer(help="Classifiers at work: what a text is, and what they are worth.", no_args_is_help=True)
NamesOption = Annotated[
    list[str],
    typer.Option("--adapter", metavar="NAME[@VERSION]", help="A trained classifier; several are asked together."),
]


@cli.command("ask")
def _ask(
    context: typer.Context,
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="What a customer wrote.")],
    adapter: NamesOption,
    why: Annotated[bool, typer.Option("--why", help="Which words spoke for it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Says what texts are: the likeliest classes with their probabilities."""
    from assistant import classifiers

    verdicts = classifiers.classify(adapter, texts, settings_of(context), why=why)
    if as_json:
        console.print_json([dataclasses.asdict(verdict) for verdict in verdicts])
        return
    for verdict in verdicts:
        shown = ", ".join(f"{label} {odds:.2f}" for label, odds in verdict.classes[:3])
        typer.echo(f"{shown}  |  {verdict.text}")
        if verdict.words:
            typer.echo("    " + "  ".join(f"{word.word} {word.score:+.2f}" for word in verdict.words))


@cli.command("judge")
def _judge(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Records with the right labels, not trained on.")],
    adapter: NamesOption,
    by: Annotated[str, typer.Option(metavar="COLUMN", help="Compare the groups of this column of the file.")] = "",
    label: Annotated[str, typer.Option(metavar="LABEL", help="--by: the class that the groups are compared for.")] = "",
    disturbed: Annotated[
        bool, typer.Option("--disturbed", help="Also with typos, other casing and other words around.")
    ] = False,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Draws the confusion matrix and the calibration there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judges classifiers on records: accuracy, calibration, groups of people, disturbed texts."""
    from assistant import classifiers

    done = classifiers.judge(
        adapter, data, settings_of(context), by=by, label=label, disturbed=disturbed, pictures=pictures
    )
    if as_json:
        groups = {name: [dataclasses.asdict(one) for one in each] for name, each in done.groups.items()}
        console.print_json({**done.report.to_dict(), "groups": groups, "warnings": list(done.warnings)})
        return
    console.print_report(done.report)
    if done.groups:
        names = [one.name for one in next(iter(done.groups.values()))]
        rows = [(group, *(console.measure_text(one) for one in each)) for group, each in done.groups.items()]
        console.print_table((by, *names), rows)
    for warning in done.warnings:
        console.tell(f"Warning: {warning}")
