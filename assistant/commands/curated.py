"""`curated ...`: approved answers, which win over the model for their questions, and what waits for review."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from assistant import console
from assistant.commands.opening import CollectionOption, JsonOption, assistant_of, known_collection, noted, store_of

if TYPE_CHECKING:
    from assistant.curated import Approved
    from assistant.settings import Settings

cli = typer.Typer(help="Approved answers: given word for word for their questions.", no_args_is_help=True)
UntilOption = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="The last day it is given, in the time zone of desk.hours (else UTC)."),
]
SureOption = Annotated[bool, typer.Option("--sure", help="Personal data in it is the company's own.")]


@cli.command("list")
def _list(context: typer.Context, collection: CollectionOption = None, as_json: JsonOption = False) -> None:
    """Lists the approved answers, then what waits for review."""
    from assistant.curated import Curated
    from assistant.rows import now

    with store_of(context) as (store, settings):
        name = known_collection(store, settings, collection)
        curated = Curated(store, settings.tenant)
        approved, waiting = curated.all(name), curated.suggestions(name)
    if as_json:
        answers = [{**_told(one), "live": one.is_live(now())} for one in approved]
        suggested = [
            {"id": one.id, "question": one.question, "answer": one.answer, "source": one.source, "customers": one.asked}
            for one in waiting
        ]
        console.print_json({"approved": answers, "waiting": suggested})
        return
    rows = [
        (one.id, one.questions[0] if one.questions else "-", one.text, str(one.hits), one.by,
         "live" if one.is_live(now()) else "off")
        for one in approved
    ]  # fmt: skip
    console.print_table(("approved", "question", "answer", "given", "by", ""), [_short(row) for row in rows])
    if waiting:
        lines = [(one.id, one.question, one.answer or "-", one.source, str(one.asked)) for one in waiting]
        console.print_table(
            ("waiting", "question", "suggested answer", "from", "asked"), [_short(row) for row in lines]
        )


@cli.command("add")
def _add(
    context: typer.Context,
    question: Annotated[list[str], typer.Argument(help="The questions, each in quotes.")],
    answer: Annotated[str, typer.Option(help="The answer, as customers read it.")],
    collection: CollectionOption = None,
    until: UntilOption = None,
    sure: SureOption = False,
) -> None:
    """Approves an answer for one question or several."""
    from assistant.accounts import at_console
    from assistant.curated import Curated, Draft
    from assistant.outbound import Outbound

    with store_of(context) as (store, settings):
        name = known_collection(store, settings, collection)
        draft = Draft(tuple(question), answer, _end(until, settings), sure)
        made = Curated(store, settings.tenant, Outbound(settings).find).add(name, draft, by=at_console())
        noted(store, settings, "answer.approve", made.id)
    typer.echo(f"Approved: {made.id}")


@cli.command("approve")
def _approve(
    context: typer.Context,
    suggestion: Annotated[str, typer.Argument(help="Its id, as `curated list` shows it.")],
    answer: Annotated[str | None, typer.Option(help="The answer; default: the suggested one.")] = None,
    question: Annotated[str | None, typer.Option(help="The question; default: the suggested one.")] = None,
    collection: CollectionOption = None,
    until: UntilOption = None,
    sure: SureOption = False,
) -> None:
    """Approves a suggestion, as it is or as it is written here."""
    from assistant.accounts import at_console
    from assistant.curated import Curated, Draft
    from assistant.errors import UnknownName
    from assistant.outbound import Outbound

    with store_of(context) as (store, settings):
        name = known_collection(store, settings, collection)
        curated = Curated(store, settings.tenant, Outbound(settings).find)
        found = next((one for one in curated.suggestions(name, limit=10_000) if one.id == suggestion), None)
        if found is None:
            raise UnknownName(f"No suggestion {suggestion!r} waits.", hint="`confide curated list` lists them.")
        draft = Draft((question or found.question,), answer or found.answer, _end(until, settings), sure)
        made = curated.approve(suggestion, draft, by=at_console())
        noted(store, settings, "answer.approve", made.id)
    typer.echo(f"Approved: {made.id}")


@cli.command("remove")
def _remove(context: typer.Context, answer: Annotated[str, typer.Argument(help="Its id; or a suggestion's.")]) -> None:
    """Deletes an approved answer, or declines a suggestion."""
    from assistant.accounts import at_console
    from assistant.curated import Curated
    from assistant.errors import UnknownName

    with store_of(context) as (store, settings):
        curated = Curated(store, settings.tenant)
        try:
            curated.remove(answer)
            told, action = "Deleted", "answer.remove"
        except UnknownName:
            curated.decline(answer, by=at_console())
            told, action = "Declined", "answer.decline"
        noted(store, settings, action, answer)
    typer.echo(f"{told}: {answer}")


@cli.command("mine")
def _mine(
    context: typer.Context,
    collection: CollectionOption = None,
    days: Annotated[int, typer.Option(min=1, help="Conversations of the last so many days.")] = 30,
    least: Annotated[int, typer.Option(min=1, help="Customers who must have asked it.")] = 3,
) -> None:
    """Suggests answers for what often was not answered, by clustering the questions. People approve them."""
    from assistant.dashboard import Period
    from assistant.questions import Questions

    with assistant_of(context) as assistant:
        tenant = assistant.settings.tenant
        name = known_collection(assistant.store, assistant.settings, collection)
        questions = Questions(assistant.store, tenant, lambda wanted: assistant.searcher.embedder(tenant, wanted))
        n = questions.mine(name, Period.last(days), least=least)
    typer.echo(f"{n} often asked questions wait for review: `confide curated list`.")


def _told(one: Approved) -> dict[str, object]:
    return {
        "id": one.id, "questions": list(one.questions), "answer": one.text, "hits": one.hits, "by": one.by,
        "at": one.at.isoformat(timespec="seconds"), "expires": one.expires.isoformat() if one.expires else None,
    }  # fmt: skip


def _short(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cell if len(cell) <= 60 else f"{cell[:58].rstrip()} …" for cell in row)


def _end(until: datetime | None, settings: Settings) -> datetime | None:
    """The end of that day at the desk. Raises BadInput."""
    from assistant.errors import BadInput
    from assistant.hours import Hours

    try:
        return Hours.read(settings.desk.hours).end_of(until.date()) if until else None
    except OverflowError:
        raise BadInput("--until is too far away.", hint="Without it the answer is given for ever.") from None
