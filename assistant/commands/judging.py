"""`evaluate` and `doctor`: is it right, is it well?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from assistant import console
from assistant.commands.opening import AdapterOption, CollectionOption, JsonOption, assistant_of, settings_of
from assistant.errors import BadInput

SHOWN = 10


def evaluate(
    context: typer.Context,
    golden: Annotated[Path, typer.Argument(metavar="GOLDEN.jsonl", help="Questions and what right answers hold.")],
    collection: CollectionOption = None,
    adapter: AdapterOption = None,
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
    for file in (save, details):
        if file and not (golden.exists() and file.exists() and file.samefile(golden)):
            console.require_writable(file)
        elif file:
            raise BadInput(f"{file} is the golden file itself.", hint="Write to another file.")
    with assistant_of(context) as assistant, console.progress("Asking", quiet=as_json) as progress:
        name = collection or assistant.settings.collection
        lost = walk.misplaced(golden, assistant.store, tenant=assistant.settings.tenant, collection=name)
        for place in lost[:SHOWN]:
            console.tell(f"Warning: {place}; it counts as not found.")
        if len(lost) > SHOWN:
            console.tell(f"Warning: and {len(lost) - SHOWN} more places that the collection {name} does not have.")
        report = walk.evaluate(
            golden, assistant, collection=collection, adapter=adapter, progress=progress, details=details
        )
    if save:
        save.write_text(json.dumps(report.to_dict(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    regressions = walk.compare(report, earlier) if earlier else []
    if earlier and walk.golden_of(earlier) not in ("", walk.golden_of(report)):
        console.tell("Warning: the earlier report is of another golden file, or of this one before it was changed.")
    if as_json:
        console.print_json(report.to_dict())
    else:
        console.print_report(report)
    for regression in regressions:
        console.tell(f"Regression: {regression}")
    if regressions:
        raise typer.Exit(1)


def doctor(
    context: typer.Context,
    settings: Annotated[bool, typer.Option("--settings", help="List all settings and their values instead.")] = False,
    measure: Annotated[bool, typer.Option("--measure", help="First measure which engine is quickest here.")] = False,
) -> None:
    """Checks the installation, says what is wrong and how to mend it."""
    from assistant import doctor as walk

    if settings:
        console.print_table(("setting", "value", "what it is"), walk.settings_table(settings_of(context)))
        return
    if measure:
        from assistant.engines import choice

        console.tell("Measuring the engines, some seconds each ...")
        choice.measure(settings_of(context))
    broken = False
    for check in walk.examine(lambda: settings_of(context)):
        broken = broken or check.state == "broken"
        typer.echo(f"{walk.MARKS[check.state]} {check.name}: {check.found}")
        if check.hint:
            typer.echo(f"    {check.hint}")
    if broken:
        raise typer.Exit(1)
