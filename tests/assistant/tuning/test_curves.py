from __future__ import annotations

from pathlib import Path

from assistant.tuning.curves import curves_png, smooth, tensorboard
from assistant.tuning.loop import Progress, TrainingResult


def test_the_picture_is_a_png_with_and_without_validation(tmp_path: Path):
    for valid in ((), ((2, 1.5), (4, 1.2))):
        result = TrainingResult("finished", 4, ((1, 2.0), (2, 1.8), (4, 1.1)), valid, 4, 400, 2.0, "float32")
        curves_png(result, tmp_path / "a" / "curves.png")
        assert (tmp_path / "a" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_running_mean_stays_within_the_values():
    values = [3.0, 1.0, 2.0, 5.0]
    assert smooth(values)[0] == 3.0
    assert all(min(values) <= each <= max(values) for each in smooth(values))


def test_every_step_reaches_tensorboard_and_the_next_callback(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    seen: list[Progress] = []
    with tensorboard(tmp_path, then=seen.append) as log:
        for step in (1, 2, 3):
            log(Progress(step, 3, 1.0, 1.0 / step, 1e-3, 100.0, 0.0, valid_loss=0.5 if step == 3 else None))
    read = EventAccumulator(str(tmp_path)).Reload()
    assert len(seen) == 3
    assert {"loss/training", "loss/validation"} <= set(read.Tags()["tensors"])
    assert [event.step for event in read.Tensors("loss/training")] == [1, 2, 3]
    assert [event.step for event in read.Tensors("loss/validation")] == [3]
