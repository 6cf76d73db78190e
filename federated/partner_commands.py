"""The subcommands of a partner: join, start, status, approve, leave. `commands.py` puts them beside the coordinator's.

What a subcommand needs is imported inside it, so that `--help` stays quick.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from assistant import console
from assistant.commands.opening import CollectionOption, JsonOption, settings_of

partner_cli = typer.Typer(help="The side that has data.", no_args_is_help=True, rich_markup_mode=None)
FolderArgument = Annotated[Path, typer.Argument(help="The folder of this coordinator or partner.")]


@partner_cli.command()
def join(
    context: typer.Context,
    invitation: Annotated[Path, typer.Argument(help="The coordinator's file.")],
    folder: FolderArgument,
    data: Annotated[Path, typer.Option(help="Your own training file (JSONL). It never leaves this machine.")],
    masked_only: Annotated[bool, typer.Option("--masked-only", help="Take part in masked rounds only.")] = False,
    keep_measures: Annotated[
        bool, typer.Option("--keep-measures", help="Tell nothing about your own measures.")
    ] = False,
    tell_measures: Annotated[
        bool, typer.Option("--tell-measures", help="Tell them also in a run with --dp: no epsilon covers them.")
    ] = False,
    max_epsilon: Annotated[
        float, typer.Option(help="The most your data may have spent after a round; 0 = the run's promise.")
    ] = 0.0,
    use_in: Annotated[
        str, typer.Option(help="A collection of yours in which a published adapter answers at once.")
    ] = "",
    rank: Annotated[int, typer.Option(help="A weaker machine trains only so much of the shared rank; 0 = all.")] = 0,
) -> None:
    """Makes this partner's folder and keys, and the answer to send back to the coordinator."""
    from federated.deploy import require_posix
    from federated.enrol import Invitation, apply
    from federated.local import Policy
    from federated.shipping import app_sha256
    from federated.site import Site, SiteConfig
    from privacy.keys import durable_write

    require_posix()
    policy = Policy(
        modes=("masked",) if masked_only else ("masked", "robust", "plain"), evaluates=not keep_measures,
        evaluates_private=tell_measures, max_epsilon=max_epsilon,
    )  # fmt: skip
    settings, site = settings_of(context), Site(folder)
    home = str(settings.data_dir.resolve())
    config = SiteConfig(str(data.resolve()), home, policy, book=home, use_in=use_in, rank=rank)
    identity = site.join(Invitation.load(invitation), config)
    site.approve(app_sha256())
    path = folder / "application.json"
    durable_write(path, json.dumps(apply(site.invitation, identity).to_dict(), indent=1).encode())
    console.tell(f"Send {path} to the coordinator. Your fingerprint: {identity.card.fingerprint}")
    console.tell(f"Then: federated partner start {folder}")


@partner_cli.command(name="start")
def start_partner(folder: FolderArgument) -> None:
    """Waits for rounds and answers them, until Ctrl-C."""
    from federated import deploy
    from federated.site import Site

    site = Site(folder)
    console.tell(f"{site.identity.card.name} waits for {site.invitation.address}. Ctrl-C stops.")
    deploy.keep_up(site, console.tell)


@partner_cli.command(name="status")
def partner_status(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Policy, approved app code, and every update and measure that was ever sent."""
    from federated.site import Site

    site = Site(folder)
    site.require()
    sent, told = site.sent(), site.told()
    if as_json:
        about = {"config": site.config.to_dict(), "approved": list(site.approved()), "sent": sent}
        console.print_json({**about, "told": told, "skipped": site.skipped()})
        return
    if site.left:
        console.tell(f"{site.invitation.partner} has left: its keys are deleted. What was sent stays listed.")
    else:
        console.tell(f"{site.identity.card.name}, fingerprint {site.identity.card.fingerprint}")
    console.tell(f"Approved app code: {', '.join(site.approved()) or 'none'}")
    rows = [
        [
            entry["run"],
            str(entry["round"]),
            entry["mode"],
            str(entry["numbers"]),
            str(entry["bytes"]),
            f"{entry['norm']:.3g}",
            "" if entry.get("epsilon") is None else f"{entry['epsilon']:.4g}",
        ]
        for entry in sent
    ]
    console.print_table(["run", "round", "mode", "numbers sent", "bytes", "norm", "epsilon spent"], rows)
    if told:
        last = ", ".join(f"{name} {value:.4g}" for name, value in sorted(told[-1]["measures"].items()))
        console.tell(f"Told its own measures of the shared adapter, times: {len(told)}. The last ones: {last}")
    for entry in site.skipped():
        console.tell(f"Sat out round {entry['round']} of {entry['run']}: {entry['reason']}")


@partner_cli.command()
def personalise(
    context: typer.Context,
    folder: FolderArgument,
    collection: CollectionOption = None,
    suite: Annotated[
        Path | None, typer.Option(metavar="GOLDEN.jsonl", help="chat: judges it; nothing goes live without.")
    ] = None,
    epochs: Annotated[float, typer.Option(help="Passes over your records.")] = 3.0,
    learning_rate: Annotated[float, typer.Option(help="The highest learning rate.")] = 3e-4,
    dp: Annotated[str, typer.Option("--dp", help="With differential privacy per example or customer.")] = "",
    epsilon: Annotated[float, typer.Option(help="--dp: what the data may have spent after it.")] = 8.0,
    delta: Annotated[float, typer.Option(help="--dp: less than one over the number of records.")] = 1e-5,
    aside: Annotated[bool, typer.Option("--aside", help="Do not put it to use.")] = False,
) -> None:
    """Trains your own adapter on top of the shared one, on your records alone. Nothing of it leaves."""
    import contextlib

    from assistant.core import Assistant
    from federated import publishing
    from federated.errors import BadRequest
    from federated.site import Site
    from privacy.types import PrivacyBudget

    if dp not in ("", "example", "customer"):
        raise BadRequest(f"A partner's own training hides an example or a customer, not {dp!r}.")
    site = Site(folder)
    budget = PrivacyBudget(epsilon, delta, dp) if dp else None  # type: ignore[arg-type]
    options = publishing.Personal(epochs, learning_rate, collection, suite, aside, budget)
    settings = settings_of(context).model_copy(update={"data_dir": Path(site.config.data_dir)})
    with contextlib.closing(Assistant.open(settings)) as assistant:
        done = publishing.personalise(site, assistant, options)
    if done.adapter is None:
        raise typer.Exit(130)
    console.print_before_after(done.adapter)
    console.tell(
        f"{done.adapter.id} is on your shelf. {f'Not in use: {done.kept_aside}' if done.kept_aside else 'In use.'}"
    )


@partner_cli.command()
def approve(
    folder: FolderArgument,
    sha256: Annotated[str, typer.Argument(help="The hash of app code that may run here.")],
) -> None:
    """Lets app code of this hash run at this site."""
    from federated.errors import BadRequest
    from federated.site import Site

    if len(sha256) != 64 or any(letter not in "0123456789abcdef" for letter in sha256.lower()):
        raise BadRequest(f"{sha256!r} is not a sha256 in hex.")
    site = Site(folder)
    site.require()
    site.approve(sha256)
    console.tell("Approved.")


@partner_cli.command()
def leave(folder: FolderArgument) -> None:
    """Ends this partner's part: no app code may run here any more, and its keys are deleted."""
    from federated.site import Site

    Site(folder).leave()
    console.tell("Left. What was sent stays listed in run/sent.jsonl; ask the coordinator to revoke you.")
