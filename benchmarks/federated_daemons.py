"""What the federation's benchmarks on real daemons share: a coordinator and partners in folders, over TLS with node keys.

And `traffic`: the bytes of a whole run as they cross a TCP relay between the partners and the coordinator. There
partners do not learn (`federated_idle`): what is sent has the size it has whatever is in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from assistant import console
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks.common import provenance
from federated import deploy
from federated.coordinator import Address, Home
from federated.demo import EXAMPLES
from federated.enrol import apply
from federated.learning import Recipe
from federated.rounds import RunConfig
from federated.shipping import app_sha256
from federated.site import Site, SiteConfig
from privacy.keys import durable_write

SUBJECTS = {"parcel": "my parcel {} is late", "refund": "give me back my money for {}", "size": "is {} true to size"}
SMALL = Recipe(task="classify", rank=4, targets=("query", "value"), labels=tuple(sorted(SUBJECTS)))
"""A recipe on the bundled encoder: daemons are what is measured, not learning."""


def small_data(path: Path, rows: int = 24) -> Path:
    """A training file for `SMALL`."""
    goods = ("the coat", "the boots", "a tent", "the lamp", "two chairs", "a kettle", "the scarf", "a bag")
    made = [
        {"text": text.format(f"{goods[number % 8]} {number}"), "label": label}
        for number in range(rows // 3)
        for label, text in SUBJECTS.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return path


def coordinator(folder: Path, config: RunConfig, recipe: Recipe) -> Home:
    """A coordinator's folder with TLS and node keys, on a free port of this machine."""
    home = Home(folder)
    home.init(config, recipe, Address(port=deploy.free_port()), data_dir=load_settings().data_dir)
    return home


def partner(home: Home, name: str, folder: Path, data: Path, *, address: str = "") -> Site:
    """A partner's folder, invited and enrolled; `address` where it is not the coordinator's own."""
    invitation = home.invite(name)
    if address:
        invitation = dataclasses.replace(invitation, address=address)
    site = Site(folder)
    identity = site.join(invitation, SiteConfig(str(data.resolve()), str(load_settings().data_dir.resolve())))
    site.approve(app_sha256())
    home.roster.enrol(apply(invitation, identity), now=time.time())
    return site


def wait_for(what: str, done: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in that time."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            console.tell(f"waited {seconds:.0f} seconds in vain for: {what}")
            return False
        time.sleep(0.2)
    return True


class Programmed(Site):
    """A partner whose client program is another module of the benchmarks."""

    def __init__(self, home: Path, program: str) -> None:
        super().__init__(home)
        self._program = program

    def write_launcher(self) -> Path:
        """As a site's, with the other program in it."""
        folder = super().write_launcher()
        durable_write(
            folder / "flwr-clientapp", f'#!/bin/sh\nexec "{sys.executable}" -m {self._program} "$@"\n'.encode()
        )
        (folder / "flwr-clientapp").chmod(0o700)
        return folder


# Traffic

ROUNDS, PARTNERS = 10, 3


def traffic() -> Report:
    """Megabytes through the relay in a whole masked run of the default recipe, ten rounds, three partners."""
    # what `coordinator init` makes by default
    recipe = Recipe(rank=8, targets=("q_proj", "v_proj"))
    training = {"epochs": 1.0, "learning_rate": 1e-4, "batch_size": 8}
    config = RunConfig("traffic", ROUNDS, training=training)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as daemons:
        root = Path(folder)
        home = coordinator(root / "hub", config, recipe)
        relay = daemons.enter_context(relayed(home.address.port))
        files = sorted(EXAMPLES.glob("*.jsonl"))[:PARTNERS]
        made = [partner(home, file.stem, root / file.stem, file, address=relay.address) for file in files]
        sites = [Programmed(site.home, "benchmarks.federated_idle") for site in made]
        daemons.enter_context(deploy.superlink(home))
        deploy.register(home)
        for site in sites:
            daemons.enter_context(deploy.supernode(site))
        deploy.start_run(home)
        outcome = deploy.follow(home, lambda result: console.tell(f"round {result.round}: {relay.megabytes:.1f} MB"))
        results = home.rounds()
        counted = sum(result.bytes_up + result.bytes_down for result in results) / 1e6
        committed = sum(result.committed for result in results)
    measures = (
        Measure("megabytes", relay.megabytes),
        Measure("megabytes_up", relay.up / 1e6),
        Measure("megabytes_down", relay.down / 1e6),
        Measure("megabytes_of_tensors", counted),
        Measure("rounds", committed),
        Measure("fewest_accepted", min(len(result.accepted) for result in results)),
    )
    about = {"partners": PARTNERS, "mode": config.mode, "rank": recipe.rank, "targets": list(recipe.targets)}
    return Report("federated-traffic", measures, provenance(load_settings(), **about, adapter=outcome["adapter"]))


@dataclasses.dataclass(slots=True)
class Relay:
    """How many bytes went up to the coordinator and down from it, TLS and HTTP included."""

    address: str
    up: int = 0
    down: int = 0
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @property
    def megabytes(self) -> float:
        """Both directions."""
        return (self.up + self.down) / 1e6

    def count(self, size: int, *, up: bool) -> None:
        """Adds what just passed."""
        with self.lock:
            if up:
                self.up += size
            else:
                self.down += size


@contextlib.contextmanager
def relayed(port: int) -> Iterator[Relay]:
    """A TCP relay on this machine to a port of it, while the block runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    relay = Relay(f"127.0.0.1:{listener.getsockname()[1]}")
    threading.Thread(target=_listen, args=(listener, port, relay), daemon=True).start()
    try:
        yield relay
    finally:
        listener.close()


def _listen(listener: socket.socket, port: int, relay: Relay) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        try:
            far = socket.create_connection(("127.0.0.1", port))
        except OSError:
            near.close()
            continue
        threading.Thread(target=_pass_on, args=(near, far, relay), kwargs={"up": True}, daemon=True).start()
        threading.Thread(target=_pass_on, args=(far, near, relay), kwargs={"up": False}, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, relay: Relay, *, up: bool) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
            relay.count(len(data), up=up)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
