"""Laws of the judge's tuning: what is shown, what is learned, what is written; a few steps on the real base."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load

from assistant.errors import BadInput
from assistant.retrieval import e5, judge
from assistant.retrieval.judge import load_judge
from benchmarks import tune_judge
from benchmarks.tune_judge import WEIGHTS, Asked, Learner, figures, in_bytes, learn, loss_of, merged, questions, shown

COMPANY = """! Quillshop | pens and paper | en
@ delivery.md | Delivery
Pens are sent by letter post for 2 pounds. Paper is sent by courier for 6 pounds and arrives within three days.
+ what does it cost to post a pen? #1
+zh 纸要几天送到？ #2
- can a neighbour take in the courier's parcel?
"""
ASKED = [
    Asked("a", "en", "What does posting a pen cost?", [("Post", "Pens go for 2 pounds."), ("", "We open at nine.")], [True, False]),
    Asked("b", "zh", "几点开门？", [("邮寄", "钢笔邮寄两元。"), ("门店", "每天九点开门。")], [False, True]),
    Asked("b", "en", "Do you engrave pens?", [("Post", "Pens go for 2 pounds."), ("", "We open at nine.")], [False, False]),
]  # fmt: skip


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return load(WEIGHTS.read_bytes())


@pytest.fixture
def learner(stored: dict[str, Any]) -> Learner:
    file = e5.installed()
    if file is None:
        pytest.skip(f"needs the package {e5.PACKAGE}")
    torch.manual_seed(1)
    return Learner(e5.read(file), stored)


def test_the_best_sentences_are_shown_and_one_that_answers_is_never_left_out() -> None:
    assert shown([False, True, False], 2) == [0, 1]
    assert shown([False, False, False, True, True], 2) == [0, 3]
    assert shown([False] * 3, 2) == [0, 1]
    assert shown([True], 6) == [0]


def test_a_loss_falls_as_what_answers_rises_and_everything_else_sinks() -> None:
    gold, none = torch.tensor([False, True]), torch.tensor([False, False])
    assert (
        loss_of(torch.tensor([-3.0, 3.0]), gold)
        < loss_of(torch.zeros(2), gold)
        < loss_of(torch.tensor([3.0, -3.0]), gold)
    )
    assert (
        loss_of(torch.tensor([-3.0, -3.0]), none)
        < loss_of(torch.zeros(2), none)
        < loss_of(torch.tensor([-3.0, 3.0]), none)
    )


def test_a_matrix_of_bytes_is_within_half_a_step_of_its_rows_scale() -> None:
    matrix = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32) * np.array(
        [[0.0], [1e-3], [1], [9], [80]], np.float32
    )
    made, scale = in_bytes(matrix)
    wide = judge.widened({"m": made, "m.scale": scale}, "m")
    assert made.dtype == np.int8
    assert (np.abs(wide - matrix) <= 0.51 * scale.astype(np.float32)[:, None]).all()


def test_changes_are_summed_and_cut_to_the_ranks_of_before(stored: dict[str, Any]) -> None:
    stem = "encoder.layer.11.output.dense"
    before = judge.widened(stored, f"{stem}.up") @ judge.widened(stored, f"{stem}.down")
    change = np.outer(np.linspace(-1, 1, before.shape[0]), np.linspace(1, 2, before.shape[1])).astype(np.float32)
    made = merged(
        stored, {stem: change}, {"head.out.bias": np.array([0.5], np.float32), "unknown": np.zeros(1, np.float32)}
    )
    after = judge.widened(made, f"{stem}.up") @ judge.widened(made, f"{stem}.down")
    assert np.linalg.norm(after - before - change) < 0.05 * np.linalg.norm(change)
    assert {name: (value.shape, value.dtype) for name, value in made.items()} == {
        name: (value.shape, value.dtype) for name, value in stored.items()
    }
    assert made["head.out.bias"].tolist() == [0.5]
    untouched = [name for name in stored if not name.startswith((stem, "head.out.bias"))]
    assert all(np.array_equal(made[name], stored[name]) for name in untouched)


def test_it_begins_as_the_judge_of_the_product(learner: Learner) -> None:
    known = load_judge()
    assert known is not None
    for asked in ASKED:
        with torch.no_grad():
            logits = learner.logits(learner.pairs(asked, [1, 0]))
        assert np.allclose(logits.numpy(), known.scores(asked.text, asked.sentences)[::-1], atol=0.35)  # bfloat16


def test_what_is_learned_is_what_the_written_file_says(
    learner: Learner, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def verdicts(one: Learner) -> np.ndarray[Any, Any]:
        with torch.no_grad():
            return np.concatenate([one.logits(one.pairs(asked, [0, 1])).numpy() for asked in ASKED])

    before = verdicts(learner)
    monkeypatch.setattr(tune_judge, "RATE", 2e-3)
    ticks = itertools.count()
    monkeypatch.setattr(tune_judge, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    steps, tokens = learn(learner, ASKED, 12)
    after, (changes, instead) = verdicts(learner), learner.learned()
    assert steps == 11
    assert tokens > steps
    assert np.abs(after - before).max() > 0.5
    assert {int(stem.split(".")[2]) for stem in changes} == set(range(12 - tune_judge.LAYERS, 12))
    assert set(instead) <= set(stored), "every number has a place in the file"
    file = e5.installed()
    assert file is not None
    again = verdicts(Learner(e5.read(file), merged(stored, changes, instead)))
    assert np.abs(again - after).mean() < 0.2 * np.abs(after - before).mean() + 0.1


def test_the_rate_ends_where_the_time_does_and_ctrl_c_keeps_what_was_learned(
    learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert learn(learner, ASKED, 0.0) == (0, 0)

    def pairs(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(learner, "pairs", pairs)
    assert learn(learner, ASKED, 60.0) == (0, 0)


def test_a_companys_questions_are_searched_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tune_judge, "TARGET", tmp_path / "kept")
    path = tmp_path / "quill.txt"
    path.write_text(COMPANY, encoding="utf-8")
    found = questions(path)
    assert [(each.language, any(each.gold)) for each in found] == [("en", True), ("zh", True), ("en", False)]
    assert found[0].sentences[found[0].gold.index(True)] == ("Delivery", "Pens are sent by letter post for 2 pounds.")
    monkeypatch.setattr(tune_judge.calibrate, "searched", None)
    again = questions(path)
    assert [json.dumps(each.sentences) for each in again] == [json.dumps(each.sentences) for each in found]
    path.write_text(COMPANY.replace("2 pounds", "3 pounds"), encoding="utf-8")
    with pytest.raises(TypeError):
        questions(path)


def test_plain_questions_are_asked_alone_and_have_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(tune_judge, "_found", lambda name, its: seen.append((name, its)) or [])
    assert tune_judge.plain_questions() == []
    assert [name for name, _ in seen] == list(tune_judge.calibrate.NAMES)
    for _, its in seen:
        assert its.rows
        assert all(row["answerable"] and row["gold"] and row["history"] == [] for row in its.rows)
        assert its.documents.is_dir()


def test_figures_tell_apart_rank_and_refuse_what_lies_under_the_products_share() -> None:
    class Fixed:
        """Each sentence's verdict is the number it says."""

        def pairs(self, asked: Asked, places: Sequence[int]) -> list[float]:
            return [float(asked.sentences[place][1]) for place in places]

        def logits(self, pairs: Sequence[float]) -> torch.Tensor:
            return torch.tensor(pairs)

    def asked(*verdicts: float, gold: int | None) -> Asked:
        said = [("", str(verdict)) for verdict in verdicts]
        return Asked("a", "en", "?", said, [place == gold for place in range(len(said))])

    aside = [asked(2, 5, gold=1), asked(4, 1, gold=1), asked(3, gold=None), asked(-3, 0, gold=None)]
    plain = [asked(4.5, gold=0), asked(1, 9, gold=0), asked(3, gold=0), asked(0, gold=0)]
    found = {each.name: (each.value, each.n) for each in figures(Fixed(), aside, plain, "now")}  # type: ignore[arg-type]
    assert found == {"gold_first_en_now": (0.5, 2), "auroc_en_now": (1.0, 4), "plain_refused_en_now": (0.5, 4)}
    assert not [each for each in figures(Fixed(), aside, [], "now") if "plain" in each.name]  # type: ignore[arg-type]


@pytest.mark.parametrize("minutes", ["soon", "nan", "inf", "0", "-3"])
def test_a_time_that_is_none_is_told_before_anything_is_read(monkeypatch: pytest.MonkeyPatch, minutes: str) -> None:
    monkeypatch.setenv("TUNE_MINUTES", minutes)
    monkeypatch.setattr(tune_judge, "questions", None)
    with pytest.raises(BadInput, match=minutes):
        tune_judge.run()


def test_a_run_leaves_the_products_file_and_judges_the_one_it_writes(
    learner: Learner, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("tushu", "quill"):
        (tmp_path / f"{name}.txt").write_text(COMPANY, encoding="utf-8")
    before = WEIGHTS.read_bytes()
    monkeypatch.setattr(tune_judge, "COMPANIES", tmp_path)
    monkeypatch.setattr(tune_judge, "TARGET", tmp_path / "kept")
    monkeypatch.setattr(tune_judge, "plain_questions", lambda: ASKED[:2])
    monkeypatch.setenv("TUNE_MINUTES", "0.03")
    judged: list[Learner] = []
    real = tune_judge.figures
    monkeypatch.setattr(tune_judge, "figures", lambda one, *rest: judged.append(one) or real(one, *rest))
    measures = {each.name: each.value for each in tune_judge.run().measures}
    assert measures["questions"] == 3, "the company kept aside is not learned from"
    assert measures["steps"] > 0
    assert {f"auroc_en_{when}" for when in ("before", "after")} <= set(measures)
    assert {f"plain_refused_en_{when}" for when in ("before", "after")} <= set(measures)
    assert WEIGHTS.read_bytes() == before
    assert judged[0] is not judged[1], "what is written is rounded and cut: it is read again"
    made = load((tmp_path / "kept" / WEIGHTS.name).read_bytes())
    assert set(made) == set(stored)
    assert not np.array_equal(made["head.out.weight"], stored["head.out.weight"])
    assert not list((tmp_path / "kept").glob("*.part"))
