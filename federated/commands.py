"""The subcommands of federation: parse, call, print. `app.py` hands them to the command line.

What a subcommand needs is imported inside it, so that `--help` stays quick.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant import console
from assistant.commands.opening import JsonOption, settings_of
from federated.partner_commands import FolderArgument, partner_cli

if TYPE_CHECKING:
    from federated.coordinator import Home
    from federated.types import RoundResult

_OPTIONS: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": None}
cli = typer.Typer(help="Train one adapter with partner companies; nobody sees another's customers.", **_OPTIONS)
coordinator_cli = typer.Typer(help="The side that calls the rounds.", **_OPTIONS)
cli.add_typer(coordinator_cli, name="coordinator")
cli.add_typer(partner_cli, name="partner")

UnitOption = Annotated[
    str, typer.Option("--dp", help="Differential privacy per example, customer or partner; default: none.")
]
EpsilonOption = Annotated[float, typer.Option(help="With --dp: the most the whole run may spend.")]
DeltaOption = Annotated[float, typer.Option(help="With --dp: less than one over the number of units.")]


@cli.command()
def demo(
    context: typer.Context,
    rounds: Annotated[int, typer.Option(help="How many rounds.")] = 3,
    mode: Annotated[str, typer.Option(help="masked, robust or plain.")] = "masked",
    dp: UnitOption = "",
    epsilon: EpsilonOption = 8.0,
    question: Annotated[str, typer.Option(help="What the assistant is asked with the new adapter.")] = "",
) -> None:
    """A coordinator and three partners as processes on this machine; the shared adapter then answers. Minutes."""
    from federated.demo import run

    settings = settings_of(context)
    outcome = run(settings, rounds=rounds, mode=mode, dp=dp, target=epsilon, on_round=_print_round, tell=console.tell)
    _print_outcome(outcome)
    _require_rounds(outcome)
    if outcome["adapter"] and question:
        from assistant.commands import run as command_line

        command_line(["ask", question, "--adapter", outcome["adapter"]])


@cli.command()
def simulate(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="One training file (JSONL) that is split among the partners.")],
    task: Annotated[str, typer.Option(help="chat, classify or tag.")] = "chat",
    partners: Annotated[int, typer.Option(help="How many partners.")] = 5,
    split: Annotated[str, typer.Option(help="iid, size, label (Dirichlet) or customer.")] = "iid",
    alpha: Annotated[float, typer.Option(help="How even labels are dealt; small = much skew.")] = 0.5,
    rounds: Annotated[int, typer.Option(help="How many rounds.")] = 5,
    mode: Annotated[str, typer.Option(help="masked, robust or plain.")] = "masked",
    rate: Annotated[float, typer.Option(help="The partners' learning rate.")] = 1e-3,
    dp: UnitOption = "",
    epsilon: EpsilonOption = 8.0,
    delta: DeltaOption = 1e-5,
    clip_norm: Annotated[float, typer.Option(help="The largest norm of a partner's update.")] = 100.0,
    refactor: Annotated[int, typer.Option(help="Factorise A and B anew every so many rounds; 0 = never.")] = 0,
    combine: Annotated[str, typer.Option(help="mean (B is trained), or stack (A too; mode plain).")] = "mean",
    seed: Annotated[int, typer.Option(help="The seed.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """The same rounds in one process, on one file split among partners: for studies."""
    from federated.study import Study, run

    study = Study(
        data, task, partners, split, alpha=alpha, rounds=rounds, mode=mode, rate=rate, seed=seed,  # type: ignore[arg-type]
        dp=dp, epsilon=epsilon, delta=delta, clip_norm=clip_norm, refactor=refactor,
        combine=combine,  # type: ignore[arg-type]
    )  # fmt: skip
    found = run(study, settings_of(context), on_round=None if as_json else _print_round)
    if as_json:
        console.print_json(found)
    else:
        rows = [[name, f"{value:.4f}"] for name, value in found["measures"].items()]
        console.print_table(["held-out score", "value"], rows)
        for number, spent in enumerate(found.get("epsilon", ())):
            console.tell(f"p{number} spent epsilon {spent:.4g} per {dp} at delta {delta:g}.")


# The coordinator


@coordinator_cli.command()
def init(
    context: typer.Context,
    folder: FolderArgument,
    run: Annotated[str, typer.Option(help="The run's name; the adapter is called shared-NAME.")] = "run",
    host: Annotated[
        str, typer.Option(help="The name or address under which partners reach this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port.")] = 18000,
    listen: Annotated[
        str, typer.Option(help="This machine's own address where --host is a gateway's; 0.0.0.0 = all.")
    ] = "",
    rounds: Annotated[int, typer.Option(help="How many rounds.")] = 10,
    mode: Annotated[
        str, typer.Option(help="masked (partners hidden from the coordinator), robust or plain.")
    ] = "masked",
    quorum: Annotated[int, typer.Option(help="The fewest updates that make a round.")] = 3,
    seconds: Annotated[float, typer.Option(help="The deadline of a round.")] = 900.0,
    task: Annotated[
        str, typer.Option(help="chat, classify or tag; recommend adds up item-item sums in one round.")
    ] = "chat",
    items: Annotated[
        Path | None, typer.Option(help="Task recommend: the items' ids that all partners count, one a line.")
    ] = None,
    base: Annotated[str, typer.Option(help="The base model by name; default: the task's own.")] = "",
    rank: Annotated[int, typer.Option(help="The adapter's rank.")] = 8,
    targets: Annotated[
        str, typer.Option(help="Layers that are adapted, by comma; all = every linear one; default: two of attention.")
    ] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="A class or tag; once for each, for classify and tag.")
    ] = None,
    suite: Annotated[
        Path | None, typer.Option(help="The coordinator's own records; a worse adapter is not published.")
    ] = None,
    rate: Annotated[float, typer.Option(help="The partners' learning rate.")] = 1e-3,
    epochs: Annotated[float, typer.Option(help="Passes over a partner's data in one round.")] = 1.0,
    encoding: Annotated[str, typer.Option(help="float32, float16 or int8; masked rounds send integers.")] = "float16",
    weight: Annotated[
        list[str] | None, typer.Option(metavar="PARTNER=SHARE", help="Weighs partners; default: all alike.")
    ] = None,
    share: Annotated[float, typer.Option(help="The share of partners that is drawn for a round.")] = 1.0,
    proximal: Annotated[float, typer.Option(help="FedProx: how strongly partners stay near the shared weights.")] = 0.0,
    calibrated: Annotated[
        float, typer.Option(help="Task classify: for partners with different classes; 1 = in full, 0 = not at all.")
    ] = 0.0,
    cosine: Annotated[bool, typer.Option("--cosine", help="The learning rate falls from round to round.")] = False,
    server: Annotated[str, typer.Option(help="The server's step: plain, momentum or adam.")] = "plain",
    server_rate: Annotated[float, typer.Option(help="The rate of the server's step.")] = 1.0,
    rule: Annotated[str, typer.Option(help="Mode robust: trimmed-mean, median, multi-krum or mean.")] = "trimmed-mean",
    hostile: Annotated[int, typer.Option(help="Mode robust: how many hostile partners are withstood.")] = 1,
    refactor: Annotated[int, typer.Option(help="Factorise A and B anew every so many rounds; 0 = never.")] = 0,
    combine: Annotated[
        str, typer.Option(help="mean (B is trained), or stack (A too; mode plain, a trusted coordinator).")
    ] = "mean",
    use_in: Annotated[
        str, typer.Option(help="A collection in which the adapter answers as soon as it is published.")
    ] = "",
    clip_norm: Annotated[float, typer.Option(help="The largest norm of a partner's update.")] = 10.0,
    dp: UnitOption = "",
    epsilon: EpsilonOption = 8.0,
    delta: DeltaOption = 1e-5,
    insecure: Annotated[bool, typer.Option("--insecure", help="No TLS and no keys: on this machine only.")] = False,
) -> None:
    """Makes a coordinator's folder: its authority, its keys, the run's settings."""
    from federated.coordinator import Address, Home
    from federated.deploy import require_posix
    from federated.learning import CALIBRATED, PROXIMAL, Recipe
    from federated.local import Policy
    from federated.rounds import RunConfig
    from federated.spending import promise

    require_posix()
    more = {PROXIMAL: proximal, CALIBRATED: calibrated}
    training = {"epochs": epochs, "learning_rate": rate, **{name: value for name, value in more.items() if value}}
    config = RunConfig(
        run, rounds, mode=mode, quorum=quorum, seconds=seconds, training=training,  # type: ignore[arg-type]
        clip_norm=clip_norm, dp=promise(dp, epsilon, delta, rounds), encoding=encoding, share=share,  # type: ignore[arg-type]
        rule=rule, hostile=hostile, step=server, server_rate=server_rate, refactor=refactor, combine=combine,  # type: ignore[arg-type]
        weights=_shares(weight or ()), cosine=cosine,
    )  # fmt: skip
    usual = "q_proj,v_proj" if task == "chat" else "query,value"
    names = () if targets == "all" else tuple(name.strip() for name in (targets or usual).split(","))
    method = "lora" if combine == "stack" else "frozen-a"
    listed = _items(items) if items else label or ()
    recipe = Recipe(base, task, rank, names, tuple(listed), method=method)  # type: ignore[arg-type]
    settings, address = settings_of(context), Address(host, port, insecure, listen)
    recipe.require(settings)
    Home(folder).init(config, recipe, address, data_dir=settings.data_dir, suite=suite, use_in=use_in)
    allowed = Policy()
    if rounds > allowed.max_rounds or clip_norm > allowed.max_norm:
        console.tell(
            f"Partners decline over {allowed.max_rounds} rounds and updates above norm {allowed.max_norm:g}, unless "
            "their own partner.json allows it (max_rounds, max_norm): agree on it first."
        )
    console.tell(f"{folder} is ready. Next: federated coordinator invite {folder} PARTNER")


@coordinator_cli.command()
def invite(
    folder: FolderArgument,
    partner: Annotated[str, typer.Argument(help="The partner's name: lower-case letters, digits, hyphens.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the invitation is written; default: PARTNER.invite.json.")
    ] = None,
    days: Annotated[float, typer.Option(help="How long it is good.")] = 7.0,
) -> None:
    """Writes an invitation for a partner. It works once: send it over a channel you trust."""
    from federated.coordinator import Home

    path = out or Path(f"{partner}.invite.json")
    Home(folder).invite(partner, days=days).save(path)
    console.tell(f"Send {path} to {partner}. Whoever has it first can join as {partner}.")


@coordinator_cli.command()
def enrol(
    folder: FolderArgument,
    application: Annotated[Path, typer.Argument(help="The file the partner sent back.")],
) -> None:
    """Takes a partner in that answered its invitation."""
    from federated.coordinator import Home
    from federated.enrol import Application
    from federated.errors import BadRequest

    try:
        answer = Application.from_dict(json.loads(application.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"{application} is not a partner's answer: {error!r}.") from error
    card = Home(folder).roster.enrol(answer, now=time.time())
    console.tell(f"{card.name} is enrolled. Compare its fingerprint by telephone: {card.fingerprint}")


@coordinator_cli.command()
def revoke(folder: FolderArgument, partner: Annotated[str, typer.Argument(help="The partner.")]) -> None:
    """From the partner's next message on, nothing of it is accepted."""
    from federated.coordinator import Home

    Home(folder).roster.revoke(partner)
    console.tell(f"{partner} is revoked.")


@coordinator_cli.command()
def renew(folder: FolderArgument) -> None:
    """A new TLS certificate by the same authority, good for a year: partners have nothing to change."""
    from federated.coordinator import Home

    until = Home(folder).renew()
    console.tell(f"The certificate is good until {until:%Y-%m-%d}. Start the coordinator again to use it.")


@coordinator_cli.command(name="start")
def start_coordinator(folder: FolderArgument) -> None:
    """Starts or goes on with the run, and shows its rounds until it ends."""
    from federated import deploy
    from federated.coordinator import Home

    home = Home(folder)
    before, missing = home.outcome(), home.missing()
    if before is not None and "void" not in before and not missing:
        console.tell("The run has ended; a new one has a folder of its own.")
        _print_outcome(before)
        return
    if before is not None and missing:
        console.tell(f"The run has ended; what was published is sent to {', '.join(missing)} once more.")
    with deploy.superlink(home):
        (home.folder / "run" / "outcome.json").unlink(missing_ok=True)
        seen = len(home.rounds())
        if not home.address.insecure:
            deploy.register(home)
        console.tell(f"Listening on {home.address.at()}. Partners: {_states(home)}. Ctrl-C stops.")
        deploy.start_run(home)
        outcome = deploy.follow(home, _print_round, seen=seen)
    _print_outcome(outcome, home.missing())
    _require_rounds(outcome)


@coordinator_cli.command(name="status")
def coordinator_status(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Partners, rounds, and how the run ended."""
    from federated.coordinator import Home

    home = Home(folder)
    rounds, outcome = home.rounds(), home.outcome()
    if as_json:
        states, made = home.roster.states(), [result.to_dict() for result in rounds]
        told = {"outcome": outcome, "privacy": home.privacy(), "missing": home.missing()}
        console.print_json({"partners": states, "rounds": made, **told})
        return
    console.print_table(["partner", "state"], [[name, state] for name, state in home.roster.states().items()])
    for result in rounds:
        _print_round(result)
    if (privacy := home.privacy()) is not None:
        spent = f"; spent {privacy['spent']:.4g}" if "spent" in privacy else "; what a partner spent only it knows"
        console.tell(
            f"Promised: epsilon {privacy['epsilon']:g} per {privacy['unit']}, delta {privacy['delta']:g}{spent}."
        )
    if outcome:
        _print_outcome(outcome, home.missing())


@coordinator_cli.command()
def pack(
    folder: FolderArgument,
    out: Annotated[Path, typer.Option(help="Where the zip is written.")] = Path("audit-pack.zip"),
) -> None:
    """Writes what an auditor needs of the run: settings, rounds, outcome, public keys. No weights, no private keys."""
    from federated.coordinator import Home

    Home(folder).pack(out)
    console.tell(f"Wrote {out}.")


def _shares(wanted: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """PARTNER=SHARE, once for each. Raises BadRequest: one is not."""
    from federated.errors import BadRequest

    found = []
    for text in wanted:
        name, _, share = text.partition("=")
        try:
            found.append((name, float(share)))
        except ValueError:
            raise BadRequest(f"{text!r} is not PARTNER=SHARE.", hint="For example: --weight north=2") from None
    if len(dict(found)) < len(found):
        raise BadRequest("A partner is weighed twice.", hint="--weight PARTNER=SHARE once for each partner.")
    return tuple(found)


def _items(path: Path) -> list[str]:
    """The ids in a file, one a line. Raises BadRequest: it cannot be read."""
    from federated.errors import BadRequest

    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise BadRequest(f"{path} cannot be read: {error}.", hint="--items is a text file in UTF-8.") from error
    return [line.strip() for line in lines if line.strip()]


def _states(home: Home) -> str:
    return ", ".join(f"{name} {state}" for name, state in home.roster.states().items()) or "none"


def _print_round(result: RoundResult) -> None:
    if not result.committed:
        console.tell(f"round {result.round}: void. {result.reason}")
        return
    scores = [value for name, value in result.metrics.items() if name.endswith("/score")]
    score = f", partners' mean score {sum(scores) / len(scores):.4f}" if scores else ""
    if "pooled_score" in result.metrics:
        score = f", score {result.metrics['pooled_score']:.4f} over {result.metrics['pooled_n']:.0f} records"
    megabytes = (result.bytes_up + result.bytes_down) / 1e6
    console.tell(
        f"round {result.round}: {len(result.accepted)} updates in {result.seconds:.0f} s, {megabytes:.2f} MB{score}"
    )
    for refusal in result.refused:
        console.tell(f"  without {refusal.partner}: {refusal.reason}")


def _print_outcome(outcome: Mapping[str, Any], missing: Mapping[str, str] = MappingProxyType({})) -> None:
    """How the run ended; `missing` = who has not got what was published, and why."""
    from federated.rounds import UNMEASURED

    if outcome.get("ended"):
        console.tell(outcome["ended"])
    if outcome["adapter"]:
        console.tell(f"Published {outcome['adapter']}. Use it: adapters use {outcome['adapter']}")
        for name, why in missing.items():
            console.tell(f"  {name} has not got it: {why} `federated coordinator start` sends it again.")
    elif outcome.get("sums"):
        console.tell(f"The item-item sums of all partners are in {outcome['sums']}.")
    elif outcome.get("void"):
        console.tell(outcome["void"])
    elif UNMEASURED in outcome["objections"]:
        console.tell(f"Not published: {UNMEASURED}.")
    else:
        console.tell("Not published: the shared adapter is worse than none for " + "; ".join(outcome["objections"]))


def _require_rounds(outcome: Mapping[str, Any]) -> None:
    """Ends the command with 1 where the run stopped before its last round, for whoever started it from a script."""
    if outcome.get("void"):
        raise typer.Exit(1)
