"""Auto takes the quickest engine that was measured here, and `hf` where nothing was, or for something else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from assistant.engines import choice
from assistant.engines.choice import Trial
from assistant.errors import ConfideError
from assistant.settings import ModelSettings, Settings


def measured(monkeypatch: pytest.MonkeyPatch, settings: Settings, **seconds: float) -> choice.Choice:
    """`choice.measure` with these seconds an answer; 0 = the engine failed."""

    def trial(settings: Settings, engine: str) -> Trial:
        took = seconds[engine]
        return Trial(engine, 1.0, took, 500.0) if took else Trial(engine, failed="exit code -4")

    monkeypatch.setattr(choice, "candidates", lambda settings: tuple(seconds))
    monkeypatch.setattr(choice, "_trial", trial)
    return choice.measure(settings)


@pytest.mark.parametrize(
    ("seconds", "engine"),
    [
        ({"hf": 3.0, "openvino": 1.0}, "openvino"),
        ({"hf": 1.1, "openvino": 1.0}, "hf"),
        ({"hf": 1.0, "openvino": 2.0}, "hf"),
        ({"hf": 3.0, "openvino": 0.0}, "hf"),
        ({"hf": 0.0, "openvino": 3.0}, "openvino"),
    ],
)
def test_the_quickest_is_chosen_where_it_is_clearly_quicker(tmp_path: Path, monkeypatch, seconds, engine: str):
    settings = Settings(data_dir=tmp_path)
    assert choice.chosen(settings) == "hf"
    made = measured(monkeypatch, settings, **seconds)
    assert made.engine == engine == choice.chosen(settings)
    assert choice.kept(settings) == made


def test_what_was_measured_for_another_model_or_damaged_counts_for_nothing(tmp_path: Path, monkeypatch):
    settings = Settings(data_dir=tmp_path)
    made = measured(monkeypatch, settings, hf=3.0, openvino=1.0)
    other = settings.model_copy(update={"model": ModelSettings(name="qwen2.5-0.5b")})
    assert choice.kept(other) is None
    (tmp_path / "engine.json").write_text(json.dumps({**dataclasses.asdict(made), "trials": [{"seconds": 1}]}))
    assert choice.chosen(settings) == "hf"


def test_no_engine_that_answers_is_an_error_and_keeps_nothing(tmp_path: Path, monkeypatch):
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(ConfideError, match="exit code -4"):
        measured(monkeypatch, settings, hf=0.0)
    assert choice.kept(settings) is None


def test_a_trial_runs_in_a_process_of_its_own_and_a_broken_one_is_only_out_of_the_race(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    works = choice._trial(settings, "echo")
    assert works.memory_mb > 0
    assert not works.failed
    assert "nothing-like-it" in choice._trial(settings, "nothing-like-it").failed
