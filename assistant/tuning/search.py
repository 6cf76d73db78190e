"""The search for hyper-parameters: Optuna over a few that matter, resumable, with its picture.

It knows how to ask and to remember; what one trial trains and how it is judged is the caller's. Trials
are kept in a SQLite file beside the run: started again with the same file it goes on counting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.errors import BadInput, TrainingFailed
from assistant.tuning.loop import Progress

Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Choice:
    """One trial's hyper-parameters."""

    learning_rate: float
    rank: int
    epochs: int
    dropout: float


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched: bounds of the learning rate (on a logarithmic scale), and the values of the others."""

    learning_rate: tuple[float, float] = (1e-4, 3e-3)
    ranks: tuple[int, ...] = (8, 16, 32)
    epochs: tuple[int, ...] = (2, 3, 4)
    dropouts: tuple[float, ...] = (0.0, 0.05)


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that ended: its choice and its value; None = it was stopped for being hopeless."""

    number: int
    choice: Choice
    value: float | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """All trials, in order, and the best of them (the smallest value)."""

    trials: tuple[Trial, ...]
    best: Trial


def search(
    judge: Callable[[Choice, Report], float], trials: int, *, file: Path, space: Space | None = None, seed: int = 0
) -> SearchResult:
    """The best of `trials` in all, those in `file` included.

    `judge` trains with a choice and returns its loss, smaller is better; it hands its progress to the
    report it is given, which ends a hopeless trial early. A trial that was stopped or cut off by a
    crash is asked again: its checkpoint is for the same choice. One that failed is not: the next has another.

    Raises:
        BadInput: no trial came to its end.
        TrainingFailed: as many trials failed as were to be made.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a trial that failed is a warning, with a traceback
    space = space or Space()
    study = _study(file, seed)
    for each in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.enqueue_trial(each.params)
        study.tell(each.number, state=optuna.trial.TrialState.FAIL)

    def ask(trial: Any) -> float:
        choice = _choose(trial, space)
        try:
            return judge(choice, _reporter(trial))
        except (optuna.TrialPruned, TrainingFailed):
            raise
        except BaseException:
            study.enqueue_trial(trial.params)
            raise

    failed = 0
    while len(_ended(study)) < trials:
        try:
            study.optimize(ask, n_trials=1)
        except TrainingFailed:
            failed += 1
            if failed >= trials:
                raise
    return _result(study)


def search_png(file: Path, path: Path) -> None:
    """Draws the trials of a search: the value over each hyper-parameter, the best marked."""
    from matplotlib.figure import Figure

    found = _result(_study(file, 0))
    done = [trial for trial in found.trials if trial.value is not None]
    figure = Figure(figsize=(10, 3), layout="constrained")
    for axes, name in zip(
        figure.subplots(1, 4, sharey=True), ("learning_rate", "rank", "epochs", "dropout"), strict=True
    ):
        axes.scatter([getattr(t.choice, name) for t in done], [t.value for t in done], color="#1f5f8b", s=18)
        axes.scatter([getattr(found.best.choice, name)], [found.best.value], color="#c2571a", s=60, marker="*")
        axes.set_xlabel(name.replace("_", " "))
        if name == "learning_rate":
            axes.set_xscale("log")
            axes.set_ylabel("loss")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, format="png")


def _study(file: Path, seed: int) -> Any:
    import optuna

    file.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{file}",
        study_name="search",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
    )
    # a search that goes on must not draw the same choices again
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=5)
    return study


def _choose(trial: Any, space: Space) -> Choice:
    return Choice(
        learning_rate=trial.suggest_float("learning_rate", *space.learning_rate, log=True),
        rank=trial.suggest_categorical("rank", space.ranks),
        epochs=trial.suggest_categorical("epochs", space.epochs),
        dropout=trial.suggest_categorical("dropout", space.dropouts),
    )


def _reporter(trial: Any) -> Report:
    """Validation losses are compared with other trials' at the same place; the worse half ends there."""
    import optuna

    judged = 0

    def report(progress: Progress) -> None:
        nonlocal judged
        if progress.valid_loss is not None:
            judged += 1
            trial.report(progress.valid_loss, judged)
            if trial.should_prune():
                raise optuna.TrialPruned

    return report


def _ended(study: Any) -> list[Any]:
    import optuna

    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return list(study.get_trials(states=states))


def _result(study: Any) -> SearchResult:
    import optuna

    complete = optuna.trial.TrialState.COMPLETE
    trials = tuple(
        Trial(each.number, Choice(**each.params), each.value if each.state is complete else None)
        for each in _ended(study)
    )
    finished = [trial for trial in trials if trial.value is not None]
    if not finished:
        raise BadInput("No trial of the search came to its end.", hint="Start it again: it goes on where it was.")
    return SearchResult(trials, min(finished, key=lambda trial: trial.value or 0.0))
