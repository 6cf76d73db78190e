"""load: how many customers one machine holds; a server of its own and `customers.py` under locust, in processes apart.

So many chat at the same time, each with about thirty seconds between an answer and the next question; the stages go on
until customers wait. `customers` is the most of a stage at which the first text came within three seconds for 95 of 100
and no question was turned away or failed. The load is made on the machine that answers: locust itself takes some of it.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from assistant import console
from assistant.core import engine_name
from assistant.provenance import provenance
from assistant.settings import load_settings
from assistant.types import Measure, Report
from benchmarks.common import ROOT
from benchmarks.running import QUESTIONS, furnished, running

STAGES, SECONDS, THINK_S = (8, 16, 32, 48), 150, 30.0
WITHIN_S = 3.0
LET_IN, FIRST, WHOLE = "let in", "first text", "whole answer"
"""What `customers.py` tells apart; it cannot be imported here, for locust changes how the standard library waits."""


def run() -> Report:
    """Each stage's waits, and how many customers were too many."""
    settings = load_settings()
    measures: list[Measure] = []
    held = 0
    with tempfile.TemporaryDirectory() as folder:
        key = furnished(settings, Path(folder) / "data")
        with running(Path(folder) / "data", key) as server:
            server.ask(QUESTIONS[0], user="first")
            for users in STAGES:
                rows = _chat(server.url, key, users, Path(folder))
                measures += _measures(rows, users)
                found = {measure.name: measure.value for measure in measures}
                console.tell(f"{users} customers: first text within {found[f'p95_first[{users}]']:.2f} s for 95 of 100")
                if not (found[f"p95_first[{users}]"] <= WITHIN_S) or found[f"failed[{users}]"]:  # nan: nothing came
                    break
                held = users
    measures.append(Measure("customers", float(held), n=len(STAGES)))
    return Report("load", tuple(measures), provenance(settings, seed=0, engine=engine_name(settings)))


def _chat(url: str, key: str, users: int, folder: Path) -> dict[str, dict[str, str]]:
    """One stage; locust's rows by name."""
    script = ROOT / "benchmarks" / "customers.py"
    command = [
        sys.executable, "-m", "locust", "-f", str(script), "--headless", "--only-summary", "-H", url, "--key", key,
        "-u", str(users), "-r", str(users), "-t", f"{SECONDS}s", "--stop-timeout", "60", "--think", str(THINK_S),
        "--csv", str(folder / "load"), "--exit-code-on-error", "0",
    ]  # fmt: skip
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with (folder / "load_stats.csv").open(encoding="utf-8") as file:
        return {row["Name"]: row for row in csv.DictReader(file)}


def _measures(rows: dict[str, dict[str, str]], users: int) -> list[Measure]:
    first, whole, let_in = rows.get(FIRST, {}), rows.get(WHOLE, {}), rows.get(LET_IN, {})
    asked, answered = int(let_in.get("Request Count", 0)), int(whole.get("Request Count", 0))
    failed = int(let_in.get("Failure Count", 0)) + int(whole.get("Failure Count", 0))

    def seconds(row: dict[str, str], column: str) -> float:
        return float(row.get(column, "nan")) / 1000

    return [
        Measure(f"p50_first[{users}]", seconds(first, "50%"), n=asked),
        Measure(f"p95_first[{users}]", seconds(first, "95%"), n=asked),
        Measure(f"p95_whole[{users}]", seconds(whole, "95%"), n=asked),
        Measure(f"answers_per_minute[{users}]", 60 * answered / SECONDS, n=answered),
        Measure(f"failed[{users}]", float(failed), n=asked),
    ]
