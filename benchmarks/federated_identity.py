"""Who gets in, on real daemons over TLS: five kinds of stranger, and honest partners as the control.

A coordinator with an expired certificate and one under another authority (the partner must not talk to them),
a key that was never registered, one that was revoked, and an enrolled partner that sends an update again.
"Accepted" is read from the SuperLink's own table of nodes and from the rounds, never from a message. A refusal
counts only where the attempt was seen: each case has its control.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from assistant import console
from assistant.types import Measure, Report
from benchmarks.common import provenance
from benchmarks.federated_daemons import SMALL, Programmed, coordinator, partner, small_data, wait_for
from federated import deploy
from federated.coordinator import Home
from federated.rounds import RunConfig
from federated.site import Site
from privacy.keys import durable_write

_TRAINING = {"epochs": 1.0, "learning_rate": 1e-3, "batch_size": 8, "precision": "float32"}
_CONNECT_S = 60.0
REFUSED_TLS = "CERTIFICATE_VERIFY_FAILED"


def run() -> Report:
    """How many of the five were accepted; what was seen of each, by name."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = small_data(root / "data.jsonl")
        found = {"expired_certificate": expired(root, data), "wrong_authority": impostor(root, data)}
        more, honest = strangers(root, data)
    found |= more
    measures = (
        Measure("accepted", sum(found.values()), n=len(found)),
        *(Measure(name, float(accepted)) for name, accepted in found.items()),
        Measure("honest_accepted", honest),
    )
    return Report("federated-identity", measures, provenance(seed=0))


def expired(root: Path, data: Path) -> bool:
    """Whether a partner connects to its own coordinator after the certificate ran out; before, it must."""
    home = coordinator(root / "late", _config(1), SMALL)
    site = partner(home, "late", root / "late-partner", data)
    with deploy.superlink(home):
        deploy.register(home)
        with deploy.supernode(site):
            _must("the partner connects while the certificate is good", lambda: bool(activations(home)))
    before = activations(home)
    expire(home)
    return _is_let_in(home, site, before)


def impostor(root: Path, data: Path) -> bool:
    """Whether a partner connects to a coordinator whose authority is not the one of its invitation."""
    home, other = (coordinator(root / name, _config(1), SMALL) for name in ("true", "false"))
    site = partner(home, "north", root / "misled", data)
    # the impostor knows the partner's key, and its address is where the partner is led to
    durable_write(other.folder / "roster.json", (home.folder / "roster.json").read_bytes())
    invitation = dataclasses.replace(site.invitation, address=f"127.0.0.1:{other.address.port}")
    invitation.save(site.home / "invitation.json")
    with deploy.superlink(other):
        deploy.register(other)
    return _is_let_in(other, site, {})


def _is_let_in(home: Home, site: Site, before: dict[str, str]) -> bool:
    with deploy.superlink(home), deploy.supernode(site):
        _must(
            "the partner tries",
            lambda: activations(home) != before or REFUSED_TLS in log(site),
        )
        return activations(home) != before


def strangers(root: Path, data: Path) -> tuple[dict[str, bool], int]:
    """(what became of each: accepted?, how often an honest partner was accepted), in one run of three rounds."""
    home = coordinator(root / "hub", _config(3), SMALL)
    honest = [partner(home, name, root / name, data) for name in ("north", "south")]
    replaying = Programmed(partner(home, "again", root / "again", data).home, "benchmarks.federated_replayer")
    revoked = partner(home, "former", root / "former", data)
    unknown = partner(home, "unknown", root / "unknown", data)
    _strike(home, "unknown")  # it has an invitation and the authority, its key was never enrolled
    with contextlib.ExitStack() as daemons:
        daemons.enter_context(deploy.superlink(home))
        deploy.register(home)
        home.roster.revoke("former")  # known to Flower, and connected; the roster decides
        for site in (*honest, replaying, revoked, unknown):
            daemons.enter_context(deploy.supernode(site))
        wanted = {key(site) for site in (*honest, replaying, revoked)}
        _must("the nodes connect", lambda: activations(home).keys() >= wanted and "Exit Code" in log(unknown))
        deploy.start_run(home)
        deploy.follow(home, lambda result: console.tell(f"round {result.round}: {result.accepted} {result.refused}"))
        online = activations(home)
    rounds = home.rounds()
    accepted = [name for result in rounds for name in result.accepted]
    found = {
        "unregistered_key": key(unknown) in online or "unknown" in accepted,
        "revoked_key": "former" in accepted or bool(revoked.sent()),
        "replayed_update": any("again" in result.accepted for result in rounds[1:]),
    }
    refusals = [item.reason for result in rounds[1:] for item in result.refused if item.partner == "again"]
    console.tell(f"of the replayed: {refusals}")
    return found, sum(name in ("north", "south") for name in accepted)


def expire(home: Home) -> None:
    """The coordinator's certificate as it was, by its own authority, but run out yesterday."""
    old = x509.load_pem_x509_certificate((home.folder / "server.pem").read_bytes())
    authority = serialization.load_pem_private_key((home.folder / "ca.key").read_bytes(), None)
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now - dt.timedelta(days=1))
    )
    for extension in old.extensions:
        made = made.add_extension(extension.value, critical=extension.critical)
    signed = made.sign(authority, hashes.SHA384())  # type: ignore[arg-type]
    durable_write(home.folder / "server.pem", signed.public_bytes(serialization.Encoding.PEM))


def activations(home: Home) -> dict[str, str]:
    """Node key -> when the SuperLink last let it in, of those it ever did; read from its own table."""
    path = home.folder / "flower.db"
    if not path.exists():
        return {}
    with contextlib.closing(sqlite3.connect(path)) as database:
        rows = database.execute("select public_key, last_activated_at from node where last_activated_at is not null")
        return {bytes(public).hex(): str(at) for public, at in rows}


def key(site: Site) -> str:
    """A partner's node key as that table has it."""
    public = serialization.load_ssh_public_key(site.identity.card.node.encode())
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).hex()


def log(site: Site) -> str:
    """What a partner's node said."""
    path = site.home / "flower-supernode.log"
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _strike(home: Home, name: str) -> None:
    path = home.folder / "roster.json"
    entries = json.loads(path.read_text(encoding="utf-8"))
    entries.pop(name)
    durable_write(path, json.dumps(entries).encode())


def _config(rounds: int) -> RunConfig:
    return RunConfig("identity", rounds, mode="plain", encoding="float32", quorum=2, seconds=120.0, training=_TRAINING)


def _must(what: str, done: Callable[[], bool]) -> None:
    if not wait_for(what, done, _CONNECT_S):
        raise RuntimeError(f"The benchmark cannot judge: {what} did not come true.")
