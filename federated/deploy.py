"""Flower's daemons for a coordinator and for a partner: which are started, how, and how they end.

A coordinator is a SuperLink and `flwr run`; a partner is a SuperNode whose client program is ours
(`site.py`). TLS and node keys always, but on loopback where the coordinator says so. Nothing phones
home: telemetry, update check and dependency installation are off.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from federated import coordinator, site
from federated.coordinator import FAILED, Home
from federated.errors import BadRequest, FederationError, RunLocked
from federated.shipping import write_app
from federated.site import Site
from federated.types import RoundResult
from privacy.keys import durable_write

_QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5",
    "HF_HUB_OFFLINE": "1",
}
_PATIENCE_S = 60.0
_AGAIN_S = 10.0
_LOOK_S = 30.0
"""How often `follow` looks whether anybody still works on the run."""
_NODE_LOG = "flower-supernode.log"


def require_posix() -> None:
    """Passes a machine whose daemons can be ended, with all that they started.

    Raises:
        BadRequest: this is Windows.
    """
    if not hasattr(os, "killpg"):
        raise BadRequest(
            "A coordinator or a partner needs Linux or macOS: on Windows its daemons could not be ended.",
            hint="Use another machine, or the Windows Subsystem for Linux.",
        )


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def superlink(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """The coordinator's SuperLink while the block runs; its log is in the folder."""
    address, folder = home.address, home.folder
    flags = ["--host", address.listen or address.host, "--port", str(address.port)]
    flags += ["--database", str(_own(folder / "flower.db")), "--disable-runtime-dependency-installation"]
    if address.insecure:
        flags.append("--insecure")
    else:
        flags += ["--ssl-ca-certfile", str(folder / "ca.pem"), "--ssl-certfile", str(folder / "server.pem")]
        flags += ["--ssl-keyfile", str(folder / "server.key"), "--enable-supernode-auth"]
    with _daemon("flower-superlink", flags, folder, {coordinator.HOME: str(folder.resolve())}) as process:
        _await_port(address.here, address.port, process)
        _write_connection(home)
        yield process


@contextlib.contextmanager
def supernode(partner: Site) -> Iterator[subprocess.Popen[bytes]]:
    """A partner's SuperNode while the block runs. It starts our client program, found first on its PATH."""
    invitation = partner.invitation
    flags = ["--superlink", invitation.address, "--port", str(free_port())]
    if invitation.authority:
        flags += ["--root-certificates", str(partner.home / "ca.pem")]
        flags += ["--auth-supernode-private-key", str(partner.home / "identity" / "node.key")]
    else:
        flags.append("--insecure")
    more = {site.HOME: str(partner.home.resolve())}
    with _daemon("flower-supernode", flags, partner.home, more, first=partner.write_launcher()) as process:
        yield process


def keep_up(partner: Site, tell: Callable[[str], None]) -> None:
    """A partner's node until Ctrl-C. One that gives up is started again; why it gave up is told once."""
    said = ""
    while True:
        with supernode(partner) as process:
            process.wait()
        why = why_ended(partner)
        if why != said:
            tell(f"{why} Trying again every {_AGAIN_S:.0f} seconds.")
        said = why
        time.sleep(_AGAIN_S)


def why_ended(partner: Site) -> str:
    """Why a partner's node gave up, in words, by the last start in its log."""
    path, address = partner.home / _NODE_LOG, partner.invitation.address
    log = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    last = log.rpartition("Starting Flower SuperNode")[2]
    if "CERTIFICATE_VERIFY_FAILED" in last and "has expired" in last:
        return f"The certificate at {address} has expired. The coordinator makes a new one: coordinator renew."
    if "CERTIFICATE_VERIFY_FAILED" in last:
        return f"What answers at {address} is not the coordinator of your invitation: another authority signed it."
    if "Failed to activate SuperNode" in last or "code: 2004" in last:
        return (
            f"The coordinator at {address} does not know this node's key (not enrolled, or not started since), "
            "or has not yet noticed that the node before it is gone: that takes up to a minute."
        )
    if "Failed to initialize the connection" in last or "Connection attempt failed" in last:
        return f"{address} cannot be reached."
    return f"The node ended; its log is {path}."


def register(home: Home) -> None:
    """Tells the SuperLink the node keys of everybody enrolled; those it knows already are left."""
    for card in home.roster.cards().values():
        path = home.folder / "nodes" / f"{card.name}.pub"
        durable_write(path, card.node.encode() + b"\n")
        done = _flwr(home, "supernode", "register", str(path), "confide")
        if done.returncode and "already" not in (done.stdout + done.stderr).lower():
            raise FederationError(f"{card.name} could not be registered: {(done.stdout + done.stderr).strip()[-300:]}")


def start_run(home: Home) -> None:
    """Starts the coordinator's app on the SuperLink; it goes on where the run's folder says.

    Raises:
        RunLocked: another coordinator works on the run.
        FederationError: Flower did not start it.
    """
    _await_predecessor(home)
    (home.folder / "run" / FAILED).unlink(missing_ok=True)
    write_app(home.folder / "app")
    done = _flwr(home, "run", str(home.folder / "app"), "confide")
    if done.returncode:
        raise FederationError(f"The run could not be started: {(done.stdout + done.stderr).strip()[-500:]}")


def _await_predecessor(home: Home) -> None:
    """Waits for the program of a coordinator that was killed: it outlives its SuperLink by some seconds, and holds
    the run's lock while it does."""
    from filelock import FileLock, Timeout

    path = home.folder / "run" / "run.lock"
    if not path.exists():
        return
    try:
        with FileLock(path, timeout=_PATIENCE_S):
            return
    except Timeout as error:
        raise RunLocked(f"Another coordinator works on {path.parent}.") from error


def follow(
    home: Home, on_round: Callable[[RoundResult], None], *, seen: int = 0, seconds: float | None = None
) -> dict[str, Any]:
    """Tells each attempt as it ends, and returns how the run ended (see `Home.conduct`).

    Raises:
        FederationError: it did not end in `seconds`, or its program is gone without a word.
    """
    end = None if seconds is None else time.monotonic() + seconds
    look, gone = time.monotonic() + _LOOK_S, ""
    while True:
        outcome = home.outcome()
        for result in (made := home.rounds())[seen:]:
            on_round(result)
        seen = len(made)
        if outcome is not None:
            return outcome
        if (home.folder / "run" / FAILED).exists():
            raise FederationError((home.folder / "run" / FAILED).read_text(encoding="utf-8"))
        if end is not None and time.monotonic() > end:
            raise FederationError(
                f"The run did not end in {seconds:.0f} seconds.", hint="Its log is flower-superlink.log in its folder."
            )
        if gone:
            raise FederationError(
                f"{gone} The run has no outcome.",
                hint="Its log is flower-superlink.log in its folder. Start it again: it goes on after the last round.",
            )
        if time.monotonic() > look:  # what it wrote in the meantime is read once more before it counts as gone
            look, gone = time.monotonic() + _LOOK_S, _why_gone(home)
        time.sleep(0.5)


def _why_gone(home: Home) -> str:
    """Why nobody works on the run any more, by the SuperLink's own list; "" = somebody does, or it is not known."""
    try:
        done = _flwr(home, "ls", "confide", "--format", "json", "--limit", "1")
        runs = json.loads(done.stdout)["runs"]
    except subprocess.TimeoutExpired:
        return ""
    except (ValueError, KeyError, TypeError):
        return "The SuperLink does not answer."
    over = bool(runs) and str(runs[0]["status"]).startswith("finished")
    return "The coordinator's program ended without a word." if over else ""


def _flwr(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [_program("flwr"), *arguments]
    return subprocess.run(
        command, env=_environment(home.folder, {}), capture_output=True, text=True, timeout=120, check=False
    )


def _write_connection(home: Home) -> None:
    address = home.address
    trust = "insecure = true" if address.insecure else f'root-certificates = "{(home.folder / "ca.pem").resolve()}"'
    text = f'[superlink]\ndefault = "confide"\n\n[superlink.confide]\naddress = "{address.at(address.here)}"\n{trust}\n'
    durable_write(home.folder / "flwr" / "config.toml", text.encode())


@contextlib.contextmanager
def _daemon(
    program: str, flags: list[str], folder: Path, more: Mapping[str, str], *, first: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    require_posix()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / f"{program}.lock"):
        _end_leftover(folder / f"{program}.pid", program)
        with _own(folder / f"{program}.log").open("ab") as log:
            process = subprocess.Popen(
                [_program(program), *flags], env=_environment(folder, more, first), stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        durable_write(folder / f"{program}.pid", str(process.pid).encode())
        try:
            with _leaving_on_sigterm():
                yield process
        finally:
            stop(process)
            (folder / f"{program}.pid").unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Holds a daemon's lock, which a starter that is killed lets go: who starts second ends nobody's daemon."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise RunLocked(
            f"{lock.parent} is started already: its {lock.stem} runs.", hint="End the other start first."
        ) from error


def _own(path: Path) -> Path:
    """A file for its owner alone, made where it is missing: Flower's database passes single updates on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    return path


@contextlib.contextmanager
def _leaving_on_sigterm() -> Iterator[None]:
    """Lets SIGTERM, which systemd and containers stop with, end the daemon too and not this process alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_leftover(path: Path, program: str) -> None:
    """Ends the daemon of a run that was killed: it would hold the port, and answer for nobody."""
    import psutil

    if not path.exists():
        return
    with contextlib.suppress(psutil.Error, ValueError, ProcessLookupError):
        left = psutil.Process(int(path.read_text(encoding="ascii")))
        if any(program in part for part in left.cmdline()):
            os.killpg(left.pid, signal.SIGKILL)
            left.wait(10)
    path.unlink(missing_ok=True)


def stop(process: subprocess.Popen[bytes], *, hard: bool = False) -> None:
    """Ends a daemon and everything it started; `hard` = SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL if hard else signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _environment(folder: Path, more: Mapping[str, str], first: Path | None = None) -> dict[str, str]:
    folders = [*([str(first.resolve())] if first else []), str(Path(sys.executable).parent)]
    path = os.pathsep.join([*folders, os.environ.get("PATH", "")])
    # Flower starts its programs in folders of its own; they find this Confide, installed or not
    here = os.pathsep.join([str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")])
    own = {"FLWR_HOME": str((folder / "flwr").resolve()), "PATH": path, "PYTHONPATH": here.rstrip(os.pathsep)}
    return {**os.environ, **_QUIET, **own, **more}


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _await_port(host: str, port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise FederationError("The SuperLink ended at once.", hint="Its log is flower-superlink.log.")
        with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
            return
        time.sleep(0.2)
    raise FederationError(f"The SuperLink does not listen on {host}:{port}.", hint="Its log is flower-superlink.log.")
