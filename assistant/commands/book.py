"""Subcommands of `privacy` that read and keep the book of what training has spent."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant import console
from assistant.commands.opening import JsonOption, settings_of
from assistant.commands.training import MethodName
from assistant.errors import BadInput


class UnitName(enum.StrEnum):
    """Whose presence is hidden."""

    example = "example"
    customer = "customer"
    partner = "partner"


class TaskName(enum.StrEnum):
    """What is learned."""

    chat = "chat"
    classify = "classify"
    tag = "tag"


def report(context: typer.Context, as_json: JsonOption = False) -> None:
    """What every data set has spent, what is left, and every charge."""
    book = _book(context)
    reports, charges = book.reports(), list(book.book().charges.values())
    if as_json:
        scopes = {scope: _finite(dataclasses.asdict(one)) for scope, one in reports.items()}
        listed = [{**_finite(dataclasses.asdict(one)), "spend": one.spend.to_dict()} for one in charges]
        console.print_json({"scopes": scopes, "charges": listed})
        return
    if not reports:
        typer.echo("Nothing is on the book: nothing was trained, and no budget is set.")
        return
    rows = [
        (scope, one.budget.unit, _number(one.spent), _number(one.budget.epsilon, "no budget"),
         "" if one.budget.epsilon == math.inf else _number(one.remaining), f"{one.budget.delta:g}")
        for scope, one in reports.items()
    ]  # fmt: skip
    console.print_table(("data", "per", "epsilon spent", "budget", "left", "delta"), rows)
    lines = [
        (str(one.id), one.at, one.spend.dataset, one.spend.mechanism, f"{one.spend.noise_multiplier:g}",
         f"{one.spend.sample_rate:.4g}", _steps(one.settled, one.spend.steps), one.purpose)
        for one in charges
    ]  # fmt: skip
    console.print_table(("charge", "at (UTC)", "data", "mechanism", "noise", "sample rate", "steps", "for"), lines)
    for scope in [scope for scope, one in reports.items() if one.spent == math.inf]:
        typer.echo(f"{scope}: infinite. It was trained on without differential privacy, or per record only.")
    for line in _in_common(book.book().shared):
        typer.echo(line)


def budget(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="A data set, or customers:everyone for all that share customers.")],
    epsilon: Annotated[float | None, typer.Option(help="The most that may be spent.")] = None,
    delta: Annotated[float, typer.Option(help="Less than one over the number of records.")] = 1e-5,
    unit: Annotated[UnitName, typer.Option(help="Whose presence is hidden.")] = UnitName.example,
    none: Annotated[bool, typer.Option("--none", help="Lift the budget; that stays in the book.")] = False,
    data: Annotated[
        Path | None, typer.Option(metavar="RECORDS", help="Its records: then it holds for them under any other name.")
    ] = None,
    task: Annotated[TaskName, typer.Option(help="What --data is for.")] = TaskName.chat,
) -> None:
    """Sets what a data set may spend; from then on the book refuses whatever would go beyond.

    A data set that was trained on is known by its records already; before its first training --data says which they
    are.
    """
    from privacy.types import PrivacyBudget

    if (epsilon is None) != none:
        raise BadInput("Say --epsilon, or --none to lift the budget.", hint="For example: --epsilon 3.")
    book = _book(context)
    if data is not None:
        from assistant.runs import members_in
        from assistant.tuning.data import read_records

        book = book.knowing(dataset, members_in(read_records(data, task.value), settings_of(context)))
    book.set_budget(dataset, None if epsilon is None else PrivacyBudget(epsilon, delta, unit.value))
    said = "has no budget any more" if epsilon is None else f"may spend epsilon {epsilon:g} per {unit} at {delta:g}"
    typer.echo(f"{dataset} {said}.")


def declare(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="A data set.")],
    population: Annotated[str, typer.Argument(help="Whose data it is; nobody is in two populations.")],
) -> None:
    """Says that a data set's customers are other people than those of the other populations."""
    _book(context).declare(dataset, population)
    typer.echo(f"{dataset} belongs to the customers called {population}.")


def plan(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="A data set, as `privacy report` calls it.")],
    records: Annotated[int, typer.Option(help="How many records, or customers, it has.")],
    batch_size: Annotated[int, typer.Option(help="Records, or customers, a step.")] = 64,
    epochs: Annotated[float, typer.Option(help="Passes over the records.")] = 3.0,
    weights: Annotated[int, typer.Option(help="Trained weights of the adapter.")] = 500_000,
    delta: Annotated[float, typer.Option(help="Less than one over the number of records.")] = 1e-5,
    unit: Annotated[UnitName, typer.Option(help="Whose presence is hidden.")] = UnitName.example,
    as_json: JsonOption = False,
) -> None:
    """What a data set can still afford: for each epsilon the noise, and how much signal is left in it."""
    from privacy.accounting import afford
    from privacy.ledger import MOST_DELTA

    wrong = {
        "--records must be at least 1": records < 1,
        "--batch-size must be at least 1": batch_size < 1,
        "--epochs must be more than 0": not 0 < epochs < math.inf,
        "--weights must be at least 1": weights < 1,
        f"--delta must be more than 0 and at most {MOST_DELTA:g}": not 0 < delta <= MOST_DELTA,
    }
    if any(wrong.values()):
        raise BadInput(f"There is no such plan: {'; '.join(what for what, is_so in wrong.items() if is_so)}.")
    spent = _book(context).book().spends(dataset, unit.value)
    batch_size = min(batch_size, records)
    steps = max(1, round(epochs * math.ceil(records / batch_size)))
    rows = afford(
        units=records, batch=batch_size, steps=steps, trainable=weights, delta=delta, unit=unit.value, spent=spent
    )
    if as_json:
        console.print_json([dataclasses.asdict(row) for row in rows])
        return
    table = [
        (f"{row.epsilon:g}", f"{row.noise_multiplier:g}", str(row.steps), f"{row.sample_rate:.4g}",
         f"{row.signal_to_noise:.4f}")
        for row in rows
    ]  # fmt: skip
    console.print_table(("epsilon", "noise", "steps", "sample rate", "signal to noise"), table)
    if not rows:
        typer.echo(f"{dataset} has spent all of these epsilons already.")


def verify(
    context: typer.Context,
    head: Annotated[str | None, typer.Option(metavar="HEX", help="A head that was kept elsewhere.")] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="EXPORT.json", help="An earlier export, kept elsewhere.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Checks the book: its chain, its signature, its place. Exit code 1 where it was interfered with."""
    from privacy.chain import verify_export
    from privacy.errors import BadRequest
    from privacy.members import Members

    problems: list[str] = []
    if against is not None:
        exported = _read(against)
        checked = verify_export(exported)
        problems, head = list(checked.problems), checked.head
    found = _book(context).verify(head=head)
    problems += found.problems
    if found.entries:
        try:
            Members.of(
                [("", "anybody")], settings_of(context).data_dir
            )  # asks for both keys that digests are made with
        except BadRequest as error:
            problems.append(error.message)
    if as_json:
        console.print_json({**dataclasses.asdict(found), "problems": problems, "ok": not problems})
    else:
        for line in (*problems, *found.notes):
            typer.echo(line)
        typer.echo(f"{found.entries} entries, head {found.head or 'none'}: {'BROKEN' if problems else 'whole'}.")
    if problems:
        raise typer.Exit(1)


def export(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: stdout.")] = None,
) -> None:
    """Writes the signed book as JSON, for an auditor, or to keep elsewhere against a roll-back."""
    data = _book(context).chain.export()
    if out is None:
        console.print_json(data)
        return
    try:
        out.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{out} cannot be written: {error.strerror}.", hint="Name a file in a folder that is there."
        ) from error
    typer.echo(f"{len(data['entries'])} entries in {out}, head {data['head']}.")


def adopt(
    context: typer.Context,
    reason: Annotated[str, typer.Argument(help="Why: it stays in the book for good.")],
) -> None:
    """Goes on with a book that was moved, restored or lost its key; never with one that was edited."""
    entry = _book(context).chain.adopt(reason)
    typer.echo(f"Adopted in entry {entry.seq}; see to it that no other copy is used.")


def conform(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A model of `models list`, or a folder with safetensors.")],
    task: Annotated[TaskName, typer.Option(help="What is learned.")] = TaskName.chat,
    unit: Annotated[UnitName, typer.Option(help="Whose presence is hidden.")] = UnitName.example,
    method: Annotated[MethodName, typer.Option(help="The kind of LoRA, or a head alone.")] = MethodName.lora,
    as_json: JsonOption = False,
) -> None:
    """Asks a small copy of a model whether training it privately would be private. Exit code 1 where not."""
    from assistant.runs import ENCODER, Plan, base_of
    from assistant.tuning.private import conform as ask

    folder = Path(model)
    if model == ENCODER and task is TaskName.chat:
        raise BadInput(f"{ENCODER} was not made to answer.", hint="Add --task classify, or --task tag.")
    if not folder.is_dir():
        plan = Plan(task.value, Path("records"), "conform", base=model)
        folder = base_of(plan, settings_of(context)).path
    checks = ask(folder, task.value, unit=unit.value, method=method.value)
    if as_json:
        console.print_json([dataclasses.asdict(check) for check in checks])
    else:
        rows = [("yes" if check.ok else "NO", check.name, check.found) for check in checks]
        console.print_table(("holds", "question", "found"), rows)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def audit(
    context: typer.Context,
    task: Annotated[TaskName, typer.Argument(help="What is learned.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Records, as `train` takes them.")],
    epsilon: Annotated[float, typer.Option(help="What the training claims.")] = 3.0,
    delta: Annotated[float, typer.Option(help="Less than one over the number of records.")] = 1e-5,
    unit: Annotated[UnitName, typer.Option(help="Whose presence is hidden.")] = UnitName.example,
    canaries: Annotated[int, typer.Option(help="Made-up records, each included with probability one half.")] = 200,
    base: Annotated[str, typer.Option(metavar="MODEL", help="Default: as for `train`.")] = "",
    adapter: Annotated[
        str, typer.Option(metavar="NAME[@VERSION]", help="Audits what this adapter claims; its card keeps the verdict.")
    ] = "",
    epochs: Annotated[float, typer.Option(help="Passes over the records; few are easy to hide in.")] = 20.0,
    batch_size: Annotated[int, typer.Option(help="Records a step.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="How far a step goes.")] = 3e-3,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="For audit.html and audit.json.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Trains on records and canaries, attacks the result, and holds what that proves against the claim.

    Nothing is put to use; what the training spends is charged. Exit code 1 where the claim does not stand, or
    where the control without noise was not caught. With --adapter it trains as that adapter was trained, with the
    noise and steps of its card; where its claim does not stand it cannot be put to use any more.
    """
    from assistant import audits
    from assistant.adapters import Shelf
    from assistant.runs import Plan
    from assistant.tuning.private import Goal
    from privacy.types import PrivacyBudget

    settings, name = settings_of(context), data.stem
    if adapter:
        one = Shelf(settings.data_dir).find(adapter)
        name = f"{one.name}-{one.version}"
        report = audits.audit_adapter(
            one, data, settings, _book(context), learning_rate=learning_rate, canaries=canaries, base=base
        )
    else:
        plan = Plan(
            task.value, data, "audit", base=base, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate
        )
        goal = Goal(PrivacyBudget(epsilon, delta, unit.value))
        report = audits.audit(plan, settings, goal, _book(context), canaries=canaries)
    about = f"Adapter {one.id}, on the records of {data.name}" if adapter else f"A training on {data.name}"
    page, _ = audits.save(report, out or settings.data_dir / "privacy" / "audits" / name, subject=about)
    if as_json:
        console.print_json(report.to_dict())
    else:
        both = (report.private, report.control)
        rows = [
            ("epsilon is at least (95 %)", *(f"{one.epsilon:.2f}" for one in both)),
            ("AUROC of membership", *(f"{one.auroc:.3f}" for one in both)),
            ("true positives at 1 % false", *(f"{one.tpr_at_1_fpr:.3f}" for one in both)),
        ]
        console.print_table((f"claimed {report.claimed_epsilon:.2f}", "private", "control without noise"), rows)
        typer.echo(f"Report: {page}")
    report.require()


COMMANDS: tuple[Callable[..., None], ...] = (report, budget, declare, plan, verify, export, adopt, conform, audit)


def _book(context: typer.Context) -> Any:
    from privacy.ledger import Ledger

    settings = settings_of(context)
    return Ledger(settings.data_dir, holder=settings.tenant)


def _in_common(shared: Mapping[str, Mapping[str, tuple[int, int]]]) -> Iterator[str]:
    """Which data sets hold the same records or customers: their spends add up."""
    for one, others in sorted(shared.items()):
        for other, (records, customers) in sorted(others.items()):
            if one < other:
                yield f"{one} and {other} have {records} records and {customers} customers in common: they add up."


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"The export {file} cannot be read: {error}.", hint="`confide privacy export` wrote it."
        ) from error


def _number(value: float, infinite: str = "infinite") -> str:
    return f"{value:.3g}" if math.isfinite(value) else infinite


def _steps(settled: int | None, charged: int) -> str:
    return f"{charged}, open" if settled is None else f"{settled} of {charged}"


def _finite(data: Any) -> Any:
    """JSON has no infinity: it is null there, and "infinite" is said in words."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    return None if isinstance(data, float) and not math.isfinite(data) else data
