from __future__ import annotations

import math
from pathlib import Path

import pytest

from assistant.errors import TrainingFailed
from assistant.tuning.loop import Progress
from assistant.tuning.search import Choice, Report, search, search_png


def bowl(choice: Choice, report: Report) -> float:
    """Best at a learning rate of 1e-3 and rank 16."""
    loss = (math.log10(choice.learning_rate) + 3) ** 2 + abs(choice.rank - 16) / 16
    for step in (1, 2):
        report(Progress(step, 2, step, loss, choice.learning_rate, 1.0, 0.0, valid_loss=loss))
    return loss


def test_the_search_nears_the_best_choice_and_draws_itself(tmp_path: Path):
    found = search(bowl, 14, file=tmp_path / "s.db")
    assert len(found.trials) == 14
    assert found.best.value == min(trial.value for trial in found.trials if trial.value is not None)
    assert found.best.value < 0.2
    search_png(tmp_path / "s.db", tmp_path / "s.png")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_a_search_cut_off_goes_on_counting_and_asks_the_lost_trial_again(tmp_path: Path):
    asked: list[Choice] = []

    def judge(choice: Choice, report: Report) -> float:
        asked.append(choice)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return bowl(choice, report)

    with pytest.raises(KeyboardInterrupt):
        search(judge, 5, file=tmp_path / "s.db")
    found = search(judge, 5, file=tmp_path / "s.db")
    assert len(found.trials) == 5
    assert asked[3] == asked[2]
    assert len(asked) == 6
    again = search(judge, 5, file=tmp_path / "s.db")
    assert again == found
    assert len(asked) == 6, "a finished search asks nothing"


def test_a_trial_that_fails_does_not_end_the_search(tmp_path: Path):
    asked: list[Choice] = []

    def judge(choice: Choice, report: Report) -> float:
        asked.append(choice)
        if len(asked) in (2, 3):
            raise TrainingFailed("The loss is not finite at step 9.")
        return bowl(choice, report)

    found = search(judge, 4, file=tmp_path / "s.db")
    assert len(found.trials) == 4
    assert len(asked) == len(set(asked)) == 6


def test_a_search_whose_trials_all_fail_comes_to_an_end(tmp_path: Path):
    asked: list[Choice] = []

    def judge(choice: Choice, report: Report) -> float:
        asked.append(choice)
        raise TrainingFailed("The loss is not finite at step 9.")

    with pytest.raises(TrainingFailed):
        search(judge, 3, file=tmp_path / "s.db")
    assert len(asked) == 3


def test_a_hopeless_trial_ends_early(tmp_path: Path):
    found = search(bowl, 20, file=tmp_path / "s.db", seed=1)
    assert any(trial.value is None for trial in found.trials)
