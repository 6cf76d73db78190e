"""Which engine answers on this machine, where the settings leave it open: measured once, in seconds, and kept.

Each candidate runs in a process of its own, so that one that this processor cannot run is only out of the race, and
its memory is its own. What is kept holds for one model, one machine and one set of versions; for anything else it is as
if nothing had been measured, and `hf` answers. A candidate must not be worse, only quicker: see docs/engines.md.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from assistant.engines import hardware, models
from assistant.errors import ConfideError
from assistant.registry import resolve
from assistant.settings import Settings
from assistant.types import GenerateOptions, Message

GAIN = 1.2
"""What a candidate has to be quicker by: `hf` is exact, and does everything."""
_TIME_LIMIT_S = 180.0
_NEW = 32
_PROMPT = "A customer asks about the tent that was delivered last week, its poles and pegs, and what it costs. " * 14


def engine_name(settings: Settings) -> str:
    """The engine that `auto` means: a remote server where one is configured, else what was measured quickest here."""
    if settings.model.engine != "auto":
        return settings.model.engine
    return "remote" if settings.remote.url else chosen(settings)


@dataclass(frozen=True, slots=True)
class Trial:
    """One engine here: seconds to load it and for a short answer to a prompt of 300 tokens, MB of memory after it.

    `failed` is why there are none.
    """

    engine: str
    load_s: float = 0.0
    answer_s: float = 0.0
    memory_mb: float = 0.0
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine, what was measured, when, and a digest of what it holds for."""

    engine: str
    trials: tuple[Trial, ...]
    at: str
    about: str


def chosen(settings: Settings) -> str:
    """The engine for a model on this machine: the measured one, or `hf`."""
    found = kept(settings)
    return found.engine if found else "hf"


def kept(settings: Settings) -> Choice | None:
    """What was measured here before; None where it was not, or for something else."""
    try:
        data = json.loads(_file(settings).read_text(encoding="utf-8"))
        found = Choice(data["engine"], tuple(Trial(**trial) for trial in data["trials"]), data["at"], data["about"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if found.about == _about(settings) else None


def measure(settings: Settings) -> Choice:
    """Measures the candidates, one after another, and keeps what came out. The model must be prepared.

    Raises:
        ConfideError: there is no model, or no candidate could answer.
    """
    trials = tuple(_trial(settings, name) for name in candidates(settings))
    seconds = {trial.engine: trial.answer_s for trial in trials if not trial.failed}
    if not seconds:
        raise ConfideError(f"No engine could answer here: {trials[0].failed}", hint="`confide doctor` looks further.")
    best = min(seconds, key=lambda name: seconds[name])
    if "hf" in seconds and seconds["hf"] < GAIN * seconds[best]:
        best = "hf"
    made = Choice(best, trials, dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), _about(settings))
    part = _file(settings).with_suffix(".part")
    part.write_text(json.dumps(dataclasses.asdict(made), indent=1) + "\n", encoding="utf-8")
    part.replace(_file(settings))
    return made


def candidates(settings: Settings) -> tuple[str, ...]:
    """The engines that can serve the configured model here."""
    if hardware.choose_device(settings.model.device) != "cpu" or importlib.util.find_spec("openvino_genai") is None:
        return ("hf",)
    return ("hf", "openvino") if models.source_of(settings) is not None else ("hf",)


def _file(settings: Settings) -> Path:
    return settings.data_dir / "engine.json"


def _about(settings: Settings) -> str:
    """A digest of what the measured seconds depend on; loads nothing."""
    parts = [platform.machine(), platform.processor(), str(os.cpu_count()), settings.model.name]
    parts += [settings.model.device, settings.model.dtype, os.environ.get("OMP_NUM_THREADS", "")]
    for name in ("torch", "transformers", "openvino-genai"):
        try:
            parts.append(version(name))
        except PackageNotFoundError:
            parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _trial(settings: Settings, engine: str) -> Trial:
    folder = str(settings.data_dir.resolve())
    asked = json.dumps({"engine": engine, "data_dir": folder, "model": settings.model.model_dump()})
    ours = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "assistant.engines.choice"],
            input=asked, capture_output=True, text=True, timeout=_TIME_LIMIT_S, check=False,
            env={**os.environ, "PYTHONPATH": ours},
        )  # fmt: skip
        return Trial(engine, **json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return Trial(engine, failed=f"it took longer than {_TIME_LIMIT_S:g} s")
    except (IndexError, ValueError, TypeError):
        said = done.stderr.strip().splitlines()
        return Trial(engine, failed=f"exit code {done.returncode}: {said[-1][:200] if said else 'it said nothing'}")


def _child() -> None:
    """In a process of its own: loads the engine, answers twice, prints the second's measures."""
    import psutil

    asked = json.loads(sys.stdin.read())
    settings = Settings(data_dir=Path(asked["data_dir"]), model=asked["model"])
    began = time.perf_counter()
    engine = resolve("engines", asked["engine"])(settings)
    loaded = time.perf_counter()
    for number in range(2):  # the first warms up
        begun = time.perf_counter()
        messages = (Message("system", f"You help customer number {number}."), Message("user", _PROMPT))
        for _ in engine.stream(messages, GenerateOptions(max_new_tokens=_NEW, time_limit_s=_TIME_LIMIT_S)):
            pass
    took = time.perf_counter() - begun
    memory = psutil.Process().memory_info().rss / 1e6
    print(json.dumps({"load_s": round(loaded - began, 2), "answer_s": round(took, 3), "memory_mb": round(memory)}))


if __name__ == "__main__":
    _child()
