"""`train`: an adapter from a file of records, judged, and live where it passes the gate."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from assistant import console
from assistant.commands.opening import CollectionOption, JsonOption, assistant_of, noted
from assistant.errors import BadInput

if TYPE_CHECKING:
    from assistant.finetune import Trained, Watch
    from assistant.runs import Plan
    from assistant.settings import Settings
    from assistant.types import Task
    from privacy.quote import Quote


class TaskName(enum.StrEnum):
    """What is learned."""

    chat = "chat"
    preference = "preference"
    classify = "classify"
    tag = "tag"


class MethodName(enum.StrEnum):
    """The kind of LoRA."""

    lora = "lora"
    rslora = "rslora"
    dora = "dora"
    adalora = "adalora"
    frozen_a = "frozen-a"
    head = "head"


class PresetName(enum.StrEnum):
    """How much machine it takes."""

    small = "small"


class UnitName(enum.StrEnum):
    """Whose presence is hidden."""

    example = "example"
    customer = "customer"


def train(
    context: typer.Context,
    task: Annotated[
        TaskName,
        typer.Argument(help="What is learned: answers, the better one of two, classes of texts, or entities in them."),
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Records: JSONL, CSV (classify) or CoNLL (tag).")],
    out: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call the adapter; default: the file's.")
    ] = None,
    base: Annotated[
        str, typer.Option(metavar="MODEL", help="Default: the model in force for chat, the bundled encoder else.")
    ] = "",
    suite: Annotated[
        Path | None,
        typer.Option(metavar="GOLDEN", help="What judges it: a golden file for chat, else records not trained on."),
    ] = None,
    collection: CollectionOption = None,
    preset: Annotated[
        PresetName | None, typer.Option(help="small: adapts the upper layers only, for small machines.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the records. [default: 3; with head 40]")] = None,
    rank: Annotated[int, typer.Option(help="The adapter's size.")] = 16,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="How far a step goes. [default: 0.0003; for preference 0.00005; with head 0.02]"),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Records a step; customers with --unit customer. [default: 8; with head 4096]")
    ] = None,
    method: Annotated[
        MethodName | None,
        typer.Option(help="The kind of LoRA, or a head alone. [default: lora; for classify --dp head]"),
    ] = None,
    patience: Annotated[
        int, typer.Option(help="Stop after so many epochs without a better held-out loss; 0 = never.")
    ] = 0,
    held_out: Annotated[float, typer.Option(help="The share of records that is kept from training.")] = 0.1,
    max_tokens: Annotated[int, typer.Option(help="The longest record; 0 = the task's own limit.")] = 0,
    balanced: Annotated[bool, typer.Option("--balanced", help="classify: rare classes weigh more.")] = False,
    four_bit: Annotated[
        bool, typer.Option("--four-bit", help="chat: over the base in four bits (QLoRA); needs bitsandbytes.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides what is drawn.")] = 0,
    parent: Annotated[str, typer.Option("--from", metavar="NAME[@VERSION]", help="Go on from this adapter.")] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an unfinished run, by the same options.")
    ] = False,
    dp: Annotated[
        bool, typer.Option("--dp", help="Train with differential privacy: clipped, noised, charged to the book.")
    ] = False,
    epsilon: Annotated[
        float, typer.Option(help="--dp: what the data may have spent after this run, all before it included.")
    ] = 8.0,
    delta: Annotated[float, typer.Option(help="--dp: less than one over the number of records.")] = 1e-5,
    unit: Annotated[
        UnitName, typer.Option(help="--dp: whose presence is hidden, a record's or a customer's.")
    ] = UnitName.example,
    clip_norm: Annotated[float, typer.Option(help="--dp: the most that one unit moves a step.")] = 1.0,
    per_customer: Annotated[
        int, typer.Option(help="--dp --unit customer: at most so many of a customer's records a step.")
    ] = 4,
    quote: Annotated[
        bool, typer.Option("--quote", help="--dp: show what it would spend and what the data can afford, and stop.")
    ] = False,
    search: Annotated[
        int, typer.Option(help="Try so many settings first and train with the best; every trial is charged.")
    ] = 0,
    aside: Annotated[bool, typer.Option("--aside", help="Do not put it to use.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Put it to use whatever the suite says; its card tells so.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Trains an adapter on your records; it goes live where nothing in its suite got worse.

    Everything wrong with the records is listed at once, by line, and nothing is trained then. Ctrl-C stops
    between two steps and keeps a checkpoint.
    """
    from assistant import finetune
    from assistant.runs import PAIRS_LEARNING_RATE, PRIVATE_HEAD, Plan

    said = {
        "method": method and method.value,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
    }
    alone = method is MethodName.head or (dp and task is TaskName.classify and method is None and not parent)
    how = (PRIVATE_HEAD if alone else {}) | {name: value for name, value in said.items() if value is not None}
    pairs = task is TaskName.preference
    if pairs:
        how = {"learning_rate": PAIRS_LEARNING_RATE} | how
    plan = Plan(
        task=cast("Task", "chat" if pairs else task.value), data=data, name=out or _name_of(data), base=base,
        suite=suite, parent=parent, preference=pairs, preset=preset.value if preset else "", rank=rank,
        patience=patience, max_tokens=max_tokens, held_out=held_out,
        balanced=balanced, four_bit=four_bit, seed=seed,
    )  # fmt: skip
    plan = dataclasses.replace(plan, **how)
    with assistant_of(context) as assistant, _watching(quiet=as_json) as watch:
        from privacy.ledger import Ledger

        book = Ledger(assistant.settings.data_dir, holder=assistant.settings.tenant)
        private, company = None, finetune.company_of(assistant, collection)
        if quote and not dp:
            raise BadInput("Only a private training has a quote.", hint="Add --dp.")
        if dp:
            from assistant.charging import Privately
            from assistant.tuning.private import Goal
            from privacy.types import PrivacyBudget

            private = Privately(Goal(PrivacyBudget(epsilon, delta, unit.value), clip_norm, per_customer), book)
        if quote:
            from assistant.runs import Run

            Run(plan, assistant.settings, watch, private=private, company=company).quote()
            return
        if search:
            from assistant import searching

            plan = searching.search(
                plan, assistant.settings, search, watch=watch, ledger=book, private=private, company=company
            )
            private = private and searching.with_trials(private, plan)
        noted(assistant.store, assistant.settings, "training.start", plan.name)
        done = finetune.train(
            plan, assistant, collection=collection, watch=watch, resume=resume, use=not aside, force=force,
            ledger=book, private=private,
        )  # fmt: skip
        _show(plan, done, assistant.settings, as_json=as_json)
    if done.adapter is None:
        from assistant.commands import INTERRUPTED

        raise typer.Exit(INTERRUPTED)


def _name_of(data: Path) -> str:
    """A name that a folder can have, from the file's."""
    import re

    return re.sub(r"[^a-z0-9_-]+", "-", data.stem.lower()).strip("-_") or "adapter"


@contextlib.contextmanager
def _watching(*, quiet: bool) -> Iterator[Watch]:
    """Shows what the walk tells: what is doubtful about the data, a bar while it trains and is judged."""
    from assistant.finetune import Judging
    from assistant.runs import Prepared
    from assistant.searching import Tried
    from assistant.tuning.loop import Progress
    from privacy.quote import Quote

    told: list[int] = [0]
    with console.progress("Training", quiet=quiet) as bar:

        def watch(event: Any) -> None:
            if isinstance(event, Prepared):
                _tell_data(event, quiet=quiet)
            elif isinstance(event, Quote):
                _tell_quote(event, quiet=quiet)
            elif isinstance(event, Tried):
                console.tell(event.line())
            elif isinstance(event, Judging):
                bar(f"done, asking the suite {event.what}", event.done, event.total)
            elif isinstance(event, Progress):
                bar(_line(event), event.step, event.steps)
                tenth = event.step * 10 // event.steps
                if not quiet and not sys.stderr.isatty() and tenth > told[0]:
                    console.tell(f"step {event.step} of {event.steps}: {_line(event)}")
                    told[0] = tenth

        yield watch


def _tell_quote(quote: Quote, *, quiet: bool) -> None:
    """The plan, before anything is spent; and what else the data set can afford."""
    spend = quote.spend
    console.tell(
        f"Private per {spend.unit}: noise {spend.noise_multiplier:g}, {spend.steps} steps, a sample rate of "
        f"{spend.sample_rate:.4g}, clip norm {spend.clip_norm:g}, signal to noise {quote.signal_to_noise:.4f}."
    )
    if quiet:
        return
    console.tell(f"What {spend.dataset} can afford at delta {quote.goal.delta:g}, by as many steps:")
    for row in quote.afford():
        console.tell(
            f"  epsilon {row.epsilon:g}: noise {row.noise_multiplier:g}, signal to noise {row.signal_to_noise:.4f}"
        )


def _line(event: Any) -> str:
    held_out = "" if event.valid_loss is None else f", held out {event.valid_loss:.3f}"
    minutes, seconds = divmod(round(event.seconds_left), 60)
    return f"loss {event.loss:.3f}{held_out}, {event.tokens_per_second:.0f} tokens/s, {minutes}:{seconds:02d} left"


def _tell_data(event: Any, *, quiet: bool) -> None:
    for warning in event.warnings:
        console.tell(f"Warning: {warning}")
    if not quiet:
        counts = ", ".join(
            f"{name} {number}" for name, number in sorted(event.counts.items(), key=lambda one: -one[1])[:12]
        )
        console.tell(
            f"{event.records} records to train on, {event.held_out} to judge by{f': {counts}' if counts else ''}."
        )


def _show(plan: Plan, done: Trained, settings: Settings, *, as_json: bool) -> None:
    from assistant.adapters import card_to
    from assistant.deployments import slot_of
    from assistant.runs import picture

    result = done.result
    if as_json:
        console.print_json(
            {
                "adapter": done.adapter.id if done.adapter else None,
                "live": not done.kept_aside,
                "kept_aside": done.kept_aside,
                "card": card_to(done.adapter) if done.adapter else None,
                "training": {**dataclasses.asdict(result), "tokens_per_second": result.tokens_per_second},
            }
        )
        return
    typer.echo(f"{result.steps} steps, {result.tokens_per_second:.0f} tokens/s, {result.seconds:.0f} s.")
    if done.adapter is None:
        typer.echo(f"Interrupted. The same command with --resume goes on; --out {plan.name}.")
        return
    console.print_before_after(done.adapter)
    typer.echo(f"Curves: {picture(done.adapter, settings)}")
    if done.kept_aside:
        typer.echo(f"{done.adapter.id} is kept aside: {done.kept_aside}")
    else:
        slot = "" if done.adapter.task == "chat" else f" --slot {slot_of(done.adapter)}"
        typer.echo(f"{done.adapter.id} is live. `confide adapters rollback{slot}` takes it back.")
