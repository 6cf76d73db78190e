"""SIGKILL on real daemons: the coordinator and a partner, in the middle of a round and between two.

One masked run of five rounds and four partners over TLS, with four kills in it. What a round lost, whether an
update was added twice, and whether anybody waited without end is read from the coordinator's checkpoint. The
shared weights must be the start plus, for each round once, the mean of what its accepted partners trained:
that is recomputed here from the partners' own folders.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from assistant import console
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks.common import provenance
from benchmarks.federated_daemons import SMALL, coordinator, partner, small_data, wait_for
from federated import deploy
from federated.aggregation import clip
from federated.coordinator import FAILED, Home
from federated.learning import weights_of
from federated.rounds import RunConfig
from federated.site import Site
from federated.types import Arrays, RoundResult
from federated.weights import load_weights

ROUNDS, NAMES, DEADLINE_S = 5, ("p0", "p1", "p2", "p3"), 120.0
_PATIENCE_S = 3 * (DEADLINE_S + 120)
"""The longest that one round may take: three attempts and a wait for partners."""
_SUM_ERROR = 1e-3
"""Masked sums are rounded to 1e-7 or so; one update too many or too few is off by a quarter."""


def run() -> Report:
    """`rounds_lost` by the worst kill, `double_adds`, `endless_waits`, and how exactly the sum was recomputed."""
    training = {"epochs": 1.0, "learning_rate": 1e-3, "batch_size": 8, "precision": "float32"}
    config = RunConfig("kills", ROUNDS, quorum=3, seconds=DEADLINE_S, training=training)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        home = coordinator(root / "hub", config, SMALL)
        sites = [partner(home, name, root / name, small_data(root / f"{name}.jsonl")) for name in NAMES]
        with contextlib.ExitStack() as daemons:
            scene = Scene(home, {site.home.name: site for site in sites}, daemons)
            scene.play()
        results, weights = committed(home)
        error = _sum_error(home, scene.trained, results, weights)
    twice = sum(len(result.accepted) != len(set(result.accepted)) for result in results)
    twice += len(results) - len({result.nonce for result in results})
    measures = (
        Measure("rounds_lost", max(scene.lost.values()), n=len(scene.lost)),
        Measure("double_adds", float(twice + (error > _SUM_ERROR))),
        Measure("endless_waits", float(scene.endless)),
        Measure("sum_error", error),
        Measure("rounds_committed", len(results)),
        *(Measure(f"rounds_lost[{name}]", lost) for name, lost in scene.lost.items()),
    )
    return Report("federated-kills", measures, provenance(seed=0, seconds=DEADLINE_S))


@dataclass
class Scene:
    """The run and what was done to it."""

    home: Home
    sites: dict[str, Site]
    daemons: contextlib.ExitStack
    lost: dict[str, float] = field(default_factory=dict)
    endless: int = 0
    down: str = ""
    """The partner that stays killed for now."""
    trained: dict[tuple[str, int], Arrays] = field(default_factory=dict)
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    starts: dict[str, contextlib.ExitStack] = field(default_factory=dict)

    def play(self) -> None:
        """The five rounds with the four kills."""
        link = self.lead()
        for name in self.sites:
            self.start(name)
        self.until(1)

        self.wait("an update of round 2 was sent", lambda: any(self.sent(name, 2) for name in NAMES))
        link = self.killed("coordinator_in_a_round", link)
        self.until(2)
        link = self.killed("coordinator_between_rounds", link)

        self.wait("a partner trains", lambda: self.trains("p3"))
        number = len(committed(self.home)[0]) + 1
        self.kill("partner_in_a_round", "p3", after=lambda: self.until(number))
        self.kill("partner_between_rounds", "p2", after=lambda: None)
        self.until(ROUNDS)
        self.wait("the run ends", lambda: self.home.outcome() is not None)
        self.lost["partner_between_rounds"] = self.void_since(number)

    def start(self, name: str) -> None:
        """A partner's node."""
        self.nodes[name] = self.own(name).enter_context(deploy.supernode(self.sites[name]))

    def own(self, name: str) -> contextlib.ExitStack:
        """Where a daemon is left again; the one before is left first, which holds the folder's lock."""
        if name in self.starts:
            self.starts.pop(name).close()
        self.starts[name] = self.daemons.enter_context(contextlib.ExitStack())
        return self.starts[name]

    def keep_up(self) -> None:
        """Starts nodes again that gave up, as `partner start` does: one that comes back from a kill is refused until
        the coordinator has noticed that it was gone."""
        for name, node in self.nodes.items():
            if node.poll() is not None and name != self.down:
                time.sleep(1.0)
                self.start(name)

    def lead(self) -> subprocess.Popen[bytes]:
        """Starts, or starts again, the coordinator, as `coordinator start` does."""
        link = self.own("coordinator").enter_context(deploy.superlink(self.home))
        deploy.register(self.home)
        deploy.start_run(self.home)
        return link

    def killed(self, name: str, link: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """The coordinator killed and started again; the lost rounds are those begun or committed that must be made again."""
        before, _ = committed(self.home)
        in_flight = any(self.sent(partner, len(before) + 1) for partner in NAMES)
        console.tell(f"{name}: SIGKILL after {len(before)} rounds{', one in flight' if in_flight else ''}")
        deploy.stop(link, hard=True)
        link = self.lead()
        self.until(len(before) + 1)
        after, _ = committed(self.home)
        kept = [result.nonce for result in after[: len(before)]] == [result.nonce for result in before]
        self.lost[name] = float(in_flight) if kept else float(len(before) + in_flight)
        return link

    def kill(self, name: str, victim: str, *, after: Callable[[], None]) -> None:
        """A partner killed, and started again when `after` has passed."""
        rounds = len(committed(self.home)[0])
        console.tell(f"{name}: SIGKILL of {victim} after {rounds} rounds")
        children = psutil.Process(self.nodes[victim].pid).children(recursive=True)
        deploy.stop(self.nodes[victim], hard=True)
        for child in children:  # what is not in the node's process group
            with contextlib.suppress(psutil.Error):
                child.send_signal(signal.SIGKILL)
        self.down = victim
        after()
        self.down = ""
        self.lost[name] = self.void_since(rounds)
        self.start(victim)

    def void_since(self, rounds: int) -> float:
        """Attempts that came to nothing after so many committed rounds."""
        made = self.home.rounds()
        return float(sum(not result.committed and result.round > rounds for result in made))

    def until(self, rounds: int) -> None:
        """Waits until so many rounds are committed."""
        self.wait(f"round {rounds}", lambda: len(committed(self.home)[0]) >= rounds)

    def wait(self, what: str, done: Callable[[], bool]) -> None:
        """Waits, notes what partners train meanwhile, counts a wait without end."""

        def watched() -> bool:
            self.note()
            self.keep_up()
            failed = self.home.folder / "run" / FAILED
            if failed.exists():
                raise RuntimeError(f"The run failed: {failed.read_text(encoding='utf-8')}")
            return done()

        if not wait_for(what, watched, _PATIENCE_S):
            self.endless += 1
            raise RuntimeError(f"The run hangs: {what} did not come in {_PATIENCE_S:.0f} seconds.")

    def trains(self, name: str) -> bool:
        """Whether a partner is at work on a round's update: the round before is over, and it has sent nothing yet."""
        number = len(committed(self.home)[0]) + 1
        return busy(self.nodes[name]) and not self.sent(name, number)

    def note(self) -> None:
        """Keeps what each partner's folder says it trained, by partner and round."""
        for name, site in self.sites.items():
            path = site.home / "run" / "trained.safetensors"
            if path.exists():
                change, about = load_weights(path)
                self.trained[name, int(about["key"].split("/")[1])] = change

    def sent(self, name: str, number: int) -> bool:
        """Whether a partner has sent its update of this round."""
        return any(entry["round"] == number for entry in self.sites[name].sent())


def committed(home: Home) -> tuple[list[RoundResult], Arrays]:
    """(committed rounds, shared weights) of the checkpoint."""
    path = home.folder / "run" / "run.safetensors"
    if not path.exists():
        return [], {}
    kept, about = load_weights(path)
    results = [RoundResult.from_dict(item) for item in about["results"]]
    weights = {name.removeprefix("weights/"): each for name, each in kept.items() if name.startswith("weights/")}
    return [result for result in results if result.committed], weights


def busy(node: subprocess.Popen[bytes]) -> bool:
    """Whether a partner's node has its client program running."""
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(node.pid).children(recursive=True)
        return any("federated.site" in " ".join(child.cmdline()) for child in found)
    return False


def _sum_error(
    home: Home, trained: dict[tuple[str, int], Arrays], results: list[RoundResult], weights: Arrays
) -> float:
    """The shared weights against the start and the accepted partners' changes, relative to all that changed."""
    _, model, _ = home.recipe.model(load_settings())
    start = weights_of(model)
    expected: dict[str, Any] = {name: array.copy() for name, array in start.items()}
    for result in results:
        for name in result.accepted:
            change = clip(trained[name, result.round], home.config.clip_norm)
            for tensor, array in change.items():
                expected[tensor] += array / len(result.accepted)
    off = sum(float(((weights[name] - expected[name]) ** 2).sum()) for name in start)
    moved = sum(float(((expected[name] - start[name]) ** 2).sum()) for name in start)
    return float(np.sqrt(off / moved))
