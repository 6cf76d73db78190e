"""The load test's customers get answers from a real server and tell apart what they waited for."""

from __future__ import annotations

import csv
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from open_house import open_house

from assistant.keys import Keys, Role

ROOT = Path(__file__).resolve().parents[2]
# Not imported: it would change how this process waits.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("locust"), reason="pip install -r requirements-dev.txt"),
]


def chatted(url: str, key: str, folder: Path) -> dict[str, dict[str, str]]:
    command = [
        sys.executable, "-m", "locust", "-f", str(ROOT / "benchmarks" / "customers.py"), "--headless", "-H", url, "--key",
        key, "-u", "4", "-r", "4", "-t", "5s", "--think", "0.5", "--csv", str(folder / "load"), "--exit-code-on-error", "0",
    ]  # fmt: skip
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=60)
    with (folder / "load_stats.csv").open(encoding="utf-8") as file:
        return {row["Name"]: row for row in csv.DictReader(file)}


def test_customers_chat_and_what_is_refused_counts_as_failed(tmp_path: Path) -> None:
    with open_house(tmp_path / "data") as house:
        key = Keys(house.assistant.store, "default").create("load", role=Role.VISITOR, per_minute=10_000)[1]
        rows = chatted(house.url, key, tmp_path)
        refused = chatted(house.url, "ck_wrong", tmp_path)
    counts = {name: int(rows[name]["Request Count"]) for name in ("let in", "first text", "whole answer")}
    assert counts["whole answer"] >= 4
    assert counts["let in"] >= counts["first text"] >= counts["whole answer"]
    assert {row["Failure Count"] for row in rows.values()} == {"0"}
    assert 0 < int(refused["let in"]["Failure Count"]) == int(refused["let in"]["Request Count"])
