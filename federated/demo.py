"""`federated demo`: a real SuperLink and three partners as processes on this machine, over three small data sets.

Everything is as in a deployment but TLS and node keys, which loopback does without. The folder is
kept: the partners' manifests and the coordinator's rounds can be read in it afterwards.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from federated import deploy
from federated.coordinator import Address, Home
from federated.enrol import apply
from federated.errors import BadRequest
from federated.learning import Recipe
from federated.local import Policy
from federated.rounds import RunConfig
from federated.shipping import app_sha256
from federated.site import Site, SiteConfig
from federated.spending import promise
from federated.types import RoundResult

if TYPE_CHECKING:
    from assistant.settings import Settings

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "demo_partners"
_SECONDS = 900.0


def run(
    settings: Settings,
    *,
    rounds: int = 3,
    mode: str = "masked",
    dp: str = "",
    target: float = 8.0,
    data: Path = EXAMPLES,
    on_round: Callable[[RoundResult], None] = lambda result: None,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Runs the rounds and publishes; returns how it ended (see `Home.conduct`), and `folder`.

    `dp` is "", example, customer or partner: then the run keeps epsilon `target` at a delta of 1e-5.

    Raises:
        BadRequest: the partners' data is not here, or this is Windows.
        FederationError: a daemon did not start, or the run did not end.
    """
    files = sorted(data.glob("*.jsonl"))
    if not files:
        raise BadRequest(
            f"There is no partners' data in {data}.", hint="It comes with the source: examples/demo_partners"
        )
    deploy.require_posix()
    folder = settings.data_dir / "federated" / f"demo-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    home = Home(folder / "coordinator")
    quorum = len(files) if mode == "masked" else max(3, len(files) - 1)
    config = RunConfig(
        "demo", rounds, mode=mode, quorum=quorum, seconds=_SECONDS,  # type: ignore[arg-type]
        training={"epochs": 2.0, "learning_rate": 2e-3, "batch_size": 4}, dp=promise(dp, target, 1e-5, rounds),
    )  # fmt: skip
    recipe = Recipe(rank=8, targets=("q_proj", "v_proj"))
    home.init(config, recipe, Address(port=deploy.free_port(), insecure=True), data_dir=settings.data_dir)
    approved = app_sha256()
    sites = [_join(home, file, folder / file.stem, settings, approved) for file in files]
    with contextlib.ExitStack() as daemons:
        daemons.enter_context(deploy.superlink(home))
        for site in sites:
            daemons.enter_context(deploy.supernode(site))
        tell(f"A coordinator and {len(sites)} partners run as processes; their folders are in {folder}.")
        deploy.start_run(home)
        outcome = deploy.follow(home, on_round, seconds=_SECONDS * rounds)
    return {**outcome, "folder": str(folder)}


def _join(home: Home, data: Path, folder: Path, settings: Settings, approved: str) -> Site:
    """A partner's folder, enrolled the way a real one is."""
    invitation = home.invite(data.stem)
    site = Site(folder)
    # these shops are made up: they may tell their measures also where epsilon does not cover them
    policy = Policy(evaluates_private=True)
    identity = site.join(invitation, SiteConfig(str(data.resolve()), str(settings.data_dir.resolve()), policy))
    site.approve(approved)
    home.roster.enrol(apply(invitation, identity), now=time.time())
    return site
