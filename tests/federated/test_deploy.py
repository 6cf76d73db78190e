"""Daemons: one whose starter was killed is ended by the next start; a stranger's is refused, and it is told why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

pytest.importorskip("flwr")
from federated import deploy
from federated.coordinator import Address, Home
from federated.enrol import Invitation
from federated.errors import BadRequest, FederationError, RunLocked
from federated.learning import Recipe
from federated.rounds import RunConfig
from federated.site import Site, SiteConfig


def sleeper(name: str) -> subprocess.Popen[bytes]:
    program = "import time; print(flush=True); time.sleep(60)"
    made = subprocess.Popen([sys.executable, "-c", program, name], start_new_session=True, stdout=subprocess.PIPE)
    assert made.stdout is not None
    made.stdout.readline()  # until it has its own command line
    return made


def test_a_leftover_daemon_is_ended(tmp_path: Path) -> None:
    left = sleeper("flower-superlink")
    (tmp_path / "flower-superlink.pid").write_text(str(left.pid))
    deploy._end_leftover(tmp_path / "flower-superlink.pid", "flower-superlink")
    assert not psutil.pid_exists(left.pid)
    assert not (tmp_path / "flower-superlink.pid").exists()


def test_flowers_database_and_logs_which_hold_single_updates_are_for_their_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "hub")
    home.init(RunConfig("run", 2), Recipe(), Address(), data_dir=tmp_path)
    program = tmp_path / "flower-superlink"
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    program.chmod(0o700)
    monkeypatch.setattr(deploy, "_program", lambda name: str(program))
    monkeypatch.setattr(deploy, "_await_port", lambda *asked: None)
    (home.folder / "flower.db").touch(mode=0o644)  # of an older version
    with deploy.superlink(home):
        files = [home.folder / name for name in ("flower.db", "flower-superlink.log")]
        assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o600]


def test_a_second_start_ends_nobody_elses_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "flower-superlink"
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    program.chmod(0o700)
    monkeypatch.setattr(deploy, "_program", lambda name: str(program))
    with deploy._daemon("flower-superlink", [], tmp_path, {}) as first:
        with (
            pytest.raises(RunLocked, match="started already"),
            deploy._daemon("flower-superlink", [], tmp_path, {}),
        ):
            pass
        assert first.poll() is None


def test_another_process_that_has_the_number_now_is_left_alone(tmp_path: Path) -> None:
    other = sleeper("something-else")
    try:
        (tmp_path / "flower-superlink.pid").write_text(str(other.pid))
        deploy._end_leftover(tmp_path / "flower-superlink.pid", "flower-superlink")
        assert other.poll() is None
    finally:
        other.kill()


@pytest.mark.parametrize("text", ["", "not a number", "999999999"])
def test_a_number_of_nobody_is_no_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.pid").write_text(text)
    deploy._end_leftover(tmp_path / "x.pid", "x")


STARTER = """
import sys
from pathlib import Path
from federated import deploy

folder = Path(sys.argv[1])
deploy._program = lambda name: str(folder / name)
with deploy._daemon("flower-sleeper", [], folder, {}) as process:
    print(process.pid, flush=True)
    process.wait(60)
"""


def test_sigterm_ends_the_daemon_too(tmp_path: Path) -> None:
    program = tmp_path / "flower-sleeper"
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    program.chmod(0o700)
    # In a process of its own: the signal must not find the process that runs the tests.
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as starter:
        assert starter.stdout is not None
        daemon = int(starter.stdout.readline())
        starter.send_signal(signal.SIGTERM)
        assert starter.wait(60) == 128 + signal.SIGTERM
    assert not psutil.pid_exists(daemon)


def test_a_machine_that_could_not_end_a_daemon_starts_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "killpg")  # as on Windows
    with (
        pytest.raises(BadRequest, match="Linux or macOS"),
        deploy._daemon("flower-superlink", [], tmp_path / "hub", {}),
    ):
        pass
    assert not (tmp_path / "hub").exists()


LOGS = {
    "cannot be reached": "Connection attempt failed, retrying in 0.4 seconds\nExit Code: 305\n"
    "Failed to initialize the connection to the SuperLink.\n[Errno 111] Connection refused",
    "has expired": "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)",
    "another authority": "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate signature failure",
    "does not know this node's key": "Exit Code: 305\nFailed to initialize the connection to the SuperLink.\n"
    "[code: 2004] Failed to activate SuperNode.",
    "its log is": "",
}


@pytest.mark.parametrize("said", LOGS)
def test_a_node_that_gave_up_says_why_by_its_last_start(tmp_path: Path, said: str) -> None:
    Invitation("north", "hub.example.com:18000", "", "", "", 0.0).save(tmp_path / "invitation.json")
    before = f"Starting Flower SuperNode\n{LOGS['has expired']}\n"
    (tmp_path / "flower-supernode.log").write_text(f"{before}INFO: Starting Flower SuperNode\n{LOGS[said]}\n")
    assert said in deploy.why_ended(Site(tmp_path))


def test_a_node_whose_key_nobody_enrolled_is_refused_by_the_daemon(tmp_path: Path) -> None:
    home = Home(tmp_path / "hub")
    home.init(RunConfig("spring", 1), Recipe(), Address(port=deploy.free_port()), data_dir=tmp_path)
    data = tmp_path / "own.jsonl"
    data.write_text("{}\n")
    stranger = Site(tmp_path / "stranger")
    stranger.join(home.invite("stranger"), SiteConfig(str(data)))
    with deploy.superlink(home), deploy.supernode(stranger) as node:
        node.wait(120)
    assert "does not know this node's key" in deploy.why_ended(stranger)


def runs(status: str) -> str:
    return json.dumps({"success": True, "runs": [{"run-id": "1", "status": status}]})


GONE = {
    "ended without a word": runs("finished:failed"),
    "does not answer": "",
    "did not end in 0 seconds": runs("running"),
}


@pytest.mark.parametrize("said", GONE)
def test_whoever_follows_a_run_learns_that_nobody_works_on_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setattr(deploy, "_LOOK_S", 0.0)
    monkeypatch.setattr(deploy, "_flwr", lambda *_: subprocess.CompletedProcess([], 0, GONE[said], ""))
    seconds = 0.3 if said.startswith("did not") else None
    with pytest.raises(FederationError, match=said):
        deploy.follow(Home(tmp_path), lambda result: None, seconds=seconds)


def test_a_start_waits_until_the_program_of_the_killed_coordinator_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy, "_flwr", lambda *_: subprocess.CompletedProcess([], 0, "", ""))
    (tmp_path / "run").mkdir()
    held = FileLock(tmp_path / "run" / "run.lock", thread_local=False)
    held.acquire()
    threading.Timer(0.3, held.release).start()
    deploy.start_run(Home(tmp_path))
    assert not held.is_locked
    with held:
        monkeypatch.setattr(deploy, "_PATIENCE_S", 0.1)
        with pytest.raises(RunLocked):
            deploy.start_run(Home(tmp_path))


def test_a_partners_program_starts_without_what_takes_long_to_import() -> None:
    asked = (
        "import sys, federated.site, federated.client_app; print({'torch', 'transformers', 'sklearn'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
