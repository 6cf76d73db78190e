"""A daemon whose starter was killed is ended by the next start, and no other process is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytest.importorskip("flwr")
from federated import deploy


def sleeper(name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", name], start_new_session=True)


def test_a_leftover_daemon_is_ended(tmp_path: Path) -> None:
    left = sleeper("flower-superlink")
    (tmp_path / "flower-superlink.pid").write_text(str(left.pid))
    deploy._end_leftover(tmp_path / "flower-superlink.pid", "flower-superlink")
    assert not psutil.pid_exists(left.pid)
    assert not (tmp_path / "flower-superlink.pid").exists()


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
