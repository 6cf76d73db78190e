"""`adapters ...`: what was trained, which of it answers, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
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
    from assistant.deployments import Deployment

cli = typer.Typer(help="The adapters: what was trained, which of it answers, the way back.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="As `adapters list` shows it.")]
SlotOption = Annotated[str, typer.Option("--slot", help="chat, or the name of a classifier.")]


@cli.command("list")
def _list(context: typer.Context, collection: CollectionOption = None, as_json: JsonOption = False) -> None:
    """Lists the adapters and which of them is live in a collection."""
    from assistant.adapters import BUILT_IN, Shelf, card_to
    from assistant.deployments import Deployments

    with store_of(context) as (store, settings):
        live = Deployments(store).slots(settings.tenant, collection or settings.collection)
        shelf = Shelf(settings.data_dir)
    found = [*shelf.all(), shelf.find(BUILT_IN)]
    remarks = {adapter.id: _remark(adapter.id, live) for adapter in found}
    if as_json:
        console.print_json([{**card_to(one), "id": one.id, "use": remarks[one.id]} for one in found])
    else:
        rows = [
            (one.id, one.task, one.base, str(one.rank), str(one.examples), one.created[:10], remarks[one.id])
            for one in found
        ]
        console.print_table(("adapter", "task", "base", "rank", "records", "made", ""), rows)
    for refusal in shelf.broken():
        console.tell(f"Warning: {refusal.message}")


def _remark(adapter: str, live: dict[str, Deployment]) -> str:
    from assistant.adapters import BUILT_IN_ID
    from assistant.deployments import CHAT

    if adapter == BUILT_IN_ID and CHAT not in live:
        return "live"
    for slot, deployment in live.items():
        if deployment.share and adapter == deployment.challenger:
            return f"answers {deployment.share:.0%}"
        if adapter == (deployment.adapter or (BUILT_IN_ID if slot == CHAT else "")):
            return f"answers {1 - deployment.share:.0%}" if deployment.share else "live"
    return ""


@cli.command("show")
def _show(context: typer.Context, name: NameArgument, as_json: JsonOption = False) -> None:
    """Shows an adapter's card, after reading its folder again."""
    from assistant import spent
    from assistant.adapters import Shelf, card_to
    from assistant.runs import picture
    from assistant.vetting import verify

    with store_of(context) as (_, settings):
        adapter = verify(Path(Shelf(settings.data_dir).find(name).path))
    if as_json:
        console.print_json({**card_to(adapter), "id": adapter.id, "path": adapter.path})
        return
    drawn = picture(adapter, settings)
    curves = str(drawn) if drawn.is_file() else ""
    rows = [
        ("adapter", adapter.id), ("task", adapter.task), ("base", f"{adapter.base} {adapter.base_sha256[:12]}"),
        ("made", adapter.created), ("method", f"{adapter.method}, rank {adapter.rank}, alpha {adapter.alpha:g}"),
        ("layers", _layers(adapter.targets)), ("labels", ", ".join(adapter.labels)),
        ("records", f"{adapter.examples}, of {adapter.owners} customers"), ("data", adapter.data_sha256[:12]),
        ("went on from", adapter.parent or ""), ("privacy", console.privacy_of(adapter)),
        ("spent", spent.short(adapter)),
        ("weights", adapter.sha256[:12]), ("folder", adapter.path), ("curves", curves),
        *(("note", note) for note in adapter.notes),
    ]  # fmt: skip
    console.print_table(("", ""), [row for row in rows if row[1]])
    console.print_before_after(adapter)


def _layers(targets: Sequence[str]) -> str:
    """Which layers an adapter changes, in a line, also where each is named in full."""
    kinds = ", ".join(dict.fromkeys(target.rsplit(".", 1)[-1] for target in targets))
    numbers = sorted({int(part) for target in targets for part in target.split(".") if part.isdecimal()})
    return f"{kinds} of layers {numbers[0]} to {numbers[-1]}" if numbers else kinds


@cli.command("use")
def _use(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="An adapter, none for the bare model, or built-in.")
    ],
    collection: CollectionOption = None,
    suite: Annotated[
        Path | None, typer.Option(metavar="GOLDEN.jsonl", help="Judges it first, without and with it.")
    ] = None,
    share: Annotated[float, typer.Option(help="Answers only this share of the conversations, for a comparison.")] = 0.0,
    slot: SlotOption = "chat",
    force: Annotated[bool, typer.Option("--force", help="Whatever the suite says; its card tells so.")] = False,
) -> None:
    """Puts an adapter to use; a running server answers its next question with it."""
    from assistant import finetune
    from assistant.adapters import BARE, BUILT_IN
    from assistant.finetune import Judging

    with assistant_of(context) as assistant:
        chosen = known_collection(assistant.store, assistant.settings, collection)
        if name in {BARE, BUILT_IN}:
            if suite is not None:
                raise BadInput("Only adapters that were trained here are judged.", hint="Leave out --suite.")
            now = _use_untrained(assistant, chosen, name, slot=slot, share=share)
            noted(assistant.store, assistant.settings, "adapter.use", f"{chosen}: {name}")
            typer.echo(_told(now))
            return
        adapter = assistant.hosting.shelf.find(name)
        if suite is not None:
            with console.progress("Judging") as bar:

                def watch(event: Judging) -> None:
                    bar(event.what, event.done, event.total)

                adapter = finetune.judge(assistant, adapter, suite, collection=chosen, watch=watch)
            console.print_before_after(adapter)
        finetune.promote(assistant, adapter, collection=chosen, force=force, share=share)
        noted(assistant.store, assistant.settings, "adapter.use", f"{chosen}: {adapter.id}")
    part = f"{share:.0%} of the conversations" if share else "every conversation"
    typer.echo(f"{chosen}: {adapter.id} answers {part}.")


def _use_untrained(assistant: Assistant, collection: str, name: str, *, slot: str, share: float) -> Deployment:
    """Puts the bare model or the built-in adapter to use; in a classifier's slot either switches it off."""
    from assistant.adapters import BARE, BUILT_IN_ID

    deployments, tenant = assistant.hosting.deployments, assistant.settings.tenant
    if slot != "chat":
        if share:
            raise BadInput("A classifier is switched off for every conversation.", hint="Leave out --share.")
        return deployments.put(tenant, collection, "", slot=slot)
    if share:
        return deployments.split(tenant, collection, BARE if name == BARE else BUILT_IN_ID, share=share)
    return deployments.put(tenant, collection, BARE if name == BARE else "")


def _told(now: Deployment) -> str:
    """Who answers, in a sentence."""
    if now.slot != "chat" and not now.adapter and not now.share:
        return f"{now.collection}: {now.slot} is switched off."
    names = {"": "the built-in adapter, where it fits the model,", "none": "the bare model"}
    if now.share:
        who = names.get(now.challenger, now.challenger)
        return f"{now.collection}: {who} answers {now.share:.0%} of the conversations."
    return f"{now.collection}: {names.get(now.adapter, now.adapter)} answers."


@cli.command("rollback")
def _rollback(context: typer.Context, collection: CollectionOption = None, slot: SlotOption = "chat") -> None:
    """Goes back to what answered before."""
    from assistant.deployments import Deployments

    with store_of(context) as (store, settings):
        name = known_collection(store, settings, collection)
        now = Deployments(store).rollback(settings.tenant, name, slot)
        noted(store, settings, "adapter.rollback", f"{name}: {slot}")
    typer.echo(_told(now))


@cli.command("history")
def _history(context: typer.Context, collection: CollectionOption = None, as_json: JsonOption = False) -> None:
    """Lists who was put to use when, the newest first."""
    from assistant.deployments import Deployments

    with store_of(context) as (store, settings):
        found = Deployments(store).history(settings.tenant, known_collection(store, settings, collection))
    rows = [
        (
            f"{one.at:%Y-%m-%d %H:%M}", one.slot, one.adapter or ("built-in" if one.slot == "chat" else "none"),
            one.challenger, f"{one.share:.0%}", one.note,
        )
        for one in found
    ]  # fmt: skip
    keys = ("at", "slot", "adapter", "challenger", "share", "note")
    if as_json:
        console.print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        console.print_table(keys, rows)


@cli.command("compare")
def _compare(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Adapters whose cards are compared.")
    ] = None,
    collection: CollectionOption = None,
    slot: SlotOption = "chat",
    as_json: JsonOption = False,
) -> None:
    """Compares adapters by their cards, or, without names, the two that share a collection's conversations."""
    if names:
        _compare_cards(context, names, as_json=as_json)
        return
    from assistant import trial
    from assistant.deployments import Deployments

    with store_of(context) as (store, settings):
        name = known_collection(store, settings, collection)
        split = Deployments(store).current(settings.tenant, name, slot)
        if split is None or not split.share:
            raise BadInput(f"No two adapters share {name}.", hint="`confide adapters use NAME --share 0.2` splits it.")
        found = trial.contrasts(store, split)
    if as_json:
        import dataclasses

        arms = {"live": split.adapter or "built-in", "challenger": split.challenger, "share": split.share}
        console.print_json({**arms, "measures": [dataclasses.asdict(one) for one in found]})
        return
    rows = [
        (
            one.live.name, f"{one.live.value:.1%} of {one.live.n}", f"{one.challenger.value:.1%} of {one.challenger.n}",
            f"{one.low:+.1%} to {one.high:+.1%}", f"{one.p:.3f}",
        )
        for one in found
    ]  # fmt: skip
    columns = ("conversations with", split.adapter or "built-in", split.challenger, "difference, 95 %", "p")
    console.print_table(columns, rows)


def _compare_cards(context: typer.Context, names: list[str], *, as_json: bool) -> None:
    from assistant.adapters import Shelf

    with store_of(context) as (_, settings):
        found = [Shelf(settings.data_dir).find(name) for name in names]
    values = {one.id: {m.name: m for m in (one.after.measures if one.after else ())} for one in found}
    measures = list(dict.fromkeys(name for one in values.values() for name in one))
    if as_json:
        console.print_json({key: {name: m.value for name, m in one.items()} for key, one in values.items()})
        return
    rows = [[name, *(console.measure_text(values[one.id].get(name)) for one in found)] for name in measures]
    suites = [f"{one.id} ({one.after.suite if one.after else 'not judged'})" for one in found]
    console.print_table(("measure", *suites), rows)


@cli.command("export")
def _export(
    context: typer.Context,
    name: NameArgument,
    target: Annotated[
        Path,
        typer.Argument(metavar="TARGET", help="A new folder, or with --quantised a file; `model.name` can name it."),
    ],
    quantised: Annotated[
        str, typer.Option(metavar="FORMAT", help="One GGUF file for other servers: q8_0, q5_1, q4_1 or q4_0.")
    ] = "",
    texts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text a line, to measure the loss on; default: the documents.")
    ] = None,
    collection: CollectionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Merges an adapter into its base, quantised on request, and prints the quality lost by it."""
    from assistant import export

    with store_of(context) as (store, settings):
        if texts is not None:
            lines = [line for line in texts.read_text(encoding="utf-8").splitlines() if line.strip()]
        else:
            lines = [one.text for one in store.passages(settings.tenant, collection or settings.collection)[:20]]
        if quantised:
            done = export.quantise(name, target, settings, texts=lines, kind=quantised)
        else:
            done = export.merge(name, target, settings, texts=lines)
    if as_json:
        import dataclasses

        console.print_json({"path": str(done.path), "measures": [dataclasses.asdict(one) for one in done.measures]})
        return
    rows = [(one.name, console.measure_text(one)) for one in done.measures]
    console.print_table(("merged against base and adapter", ""), rows)
    typer.echo(f"{target} is a model: `confide models use {target}` answers with it.")


@cli.command("combine")
def _combine(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the combination.")],
    parts: Annotated[list[str], typer.Argument(metavar="NAME[@VERSION]:WEIGHT...", help="For example polite:0.5.")],
) -> None:
    """Combines adapters of one base into one: the weighted sum of what each of them changes."""
    from assistant import export

    with store_of(context) as (_, settings):
        made = export.combine(name, [_weighted(part) for part in parts], settings)
    typer.echo(f"{made.id}: {made.notes[0]}, rank {made.rank}. No suite has judged it yet.")


def _weighted(part: str) -> tuple[str, float]:
    wanted, _, weight = part.rpartition(":")
    try:
        return wanted, float(weight)
    except ValueError:
        raise BadInput(f"{part!r} is no adapter with a weight.", hint="For example polite@2:0.5.") from None
