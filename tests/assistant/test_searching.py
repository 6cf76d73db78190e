"""A search: every trial on the book, one goal for all of them."""

import dataclasses
import json
import math
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
from tiny import bert, save, tokenizer

from assistant.adapters import Shelf
from assistant.charging import Privately
from assistant.errors import BadInput, TrainingFailed
from assistant.runs import Plan, Run
from assistant.searching import Tried, search, with_trials
from assistant.settings import Settings
from assistant.tuning.loop import Progress, StopTraining
from assistant.tuning.private import Goal
from assistant.tuning.search import Space
from privacy.errors import BudgetExceeded
from privacy.ledger import Ledger
from privacy.types import PrivacyBudget, PrivacySpend

SPACE = Space(ranks=(2,), epochs=(1, 2), dropouts=(0.0,))


@pytest.fixture
def plan(tmp_path):
    rows = [{"text": f"it is {mood} {number}", "label": mood} for number in range(20) for mood in ("angry", "happy")]
    (tmp_path / "moods.jsonl").write_text("\n".join(map(json.dumps, rows)))
    base = save(bert(), tmp_path / "encoder", tokenizer(bert=True))
    return Plan("classify", tmp_path / "moods.jsonl", "tiny", base=str(base), rank=2, batch_size=8, held_out=0.2)


def test_every_trial_of_a_private_search_is_charged_and_all_of_it_keeps_one_goal(plan, tmp_path):
    settings, book, told = Settings(data_dir=tmp_path / "data"), Ledger(tmp_path / "data"), []
    private = Privately(Goal(PrivacyBudget(6.0, 1e-5, "example")), book)
    best = search(plan, settings, 2, watch=told.append, private=private, space=SPACE)
    tried = [event for event in told if isinstance(event, Tried)]
    assert len(tried) == 2
    assert best.learning_rate in {one.choice.learning_rate for one in tried}
    charges = list(book.book().charges.values())
    assert [one.purpose for one in charges] == ["scores of adapter tiny-try", "adapter tiny-try"] * 2
    assert book.reports()["moods"].spent < 6
    assert Shelf(settings.data_dir).all() == []
    Run(best, settings, private=private).train()
    assert 5 < book.reports()["moods"].spent <= 6


def test_the_card_of_a_searched_adapter_tells_what_its_trials_spent(plan, tmp_path):
    settings, book = Settings(data_dir=tmp_path / "data"), Ledger(tmp_path / "data")
    trial = PrivacySpend("gaussian", 20.0, 1.0, 10, 1.0, "example", "moods")
    for purpose in ("scores of adapter tiny-try", "adapter tiny-try", "adapter tiny", "adapter other-try"):
        book.charge(trial, purpose)
    book.settle(3, steps=4)
    private = with_trials(Privately(Goal(PrivacyBudget(6.0, 1e-5, "example")), book), plan)
    run = Run(plan, settings, private=private)
    none = SimpleNamespace(name="", sha256="", labels=())
    card = run._card(SimpleNamespace(spent=(), examples=(), base=none, parent=None, audits=()), none)
    assert card.privacy == (trial, dataclasses.replace(trial, steps=4), *run._account.spends)


def test_a_search_that_was_stopped_goes_on_with_the_trial_it_was_stopped_in(plan, tmp_path):
    settings, begun = Settings(data_dir=tmp_path / "data"), []

    def stops(event):
        if isinstance(event, Progress):
            begun.append(event)
            if len(begun) == 2:
                raise StopTraining

    with pytest.raises(BadInput, match="stopped"):
        search(plan, settings, 1, watch=stops, space=SPACE)
    told = []
    best = search(plan, settings, 1, watch=told.append, space=SPACE)
    steps = [event.step for event in told if isinstance(event, Progress)]
    assert steps[0] == 3
    assert best.learning_rate == next(event for event in told if isinstance(event, Tried)).choice.learning_rate


def test_a_search_goes_on_with_another_trial_after_one_whose_loss_was_not_finite(plan, tmp_path):
    settings = Settings(data_dir=tmp_path / "data")
    hot = dataclasses.replace(plan, batch_size=64)  # a step an epoch: the checkpoint of the first is there
    space = dataclasses.replace(SPACE, epochs=(2,))
    with pytest.raises(TrainingFailed):
        search(hot, settings, 1, space=dataclasses.replace(space, learning_rate=(1e30, 1e31)))
    assert search(hot, settings, 1, space=space).learning_rate < 1


@pytest.mark.parametrize("changed", ["records", "method", "space"])
def test_a_search_is_never_answered_from_another_searchs_trials(plan, tmp_path, changed):
    settings, told = Settings(data_dir=tmp_path / "data"), []

    def trials(plan, space):
        told.clear()
        best = search(plan, settings, 1, watch=told.append, space=space)
        return best, [event for event in told if isinstance(event, Tried)]

    space = dataclasses.replace(SPACE, epochs=(1,))
    first, tried = trials(plan, space)
    assert len(tried) == 1
    assert trials(plan, space) == (first, []), "the same search is over"
    if changed == "records":
        plan.data.write_text(plan.data.read_text().replace("it is", "it was"))
    other = dataclasses.replace(plan, method="head") if changed == "method" else plan
    _, tried = trials(other, dataclasses.replace(space, ranks=(3,)) if changed == "space" else space)
    assert len(tried) == 1


def test_trials_without_privacy_are_on_the_book_as_such(plan, tmp_path):
    settings, book = Settings(data_dir=tmp_path / "data"), Ledger(tmp_path / "data")
    search(plan, settings, 2, ledger=book, space=SPACE)
    assert [one.spend.mechanism for one in book.book().charges.values()] == ["nonprivate"] * 2
    assert book.reports()["moods"].spent == math.inf
    private = Privately(Goal(PrivacyBudget(6.0, 1e-5, "example")), book)
    with pytest.raises(BudgetExceeded):
        search(plan, settings, 2, private=private, space=SPACE)


def test_a_search_that_nothing_could_judge_is_refused(plan, tmp_path):
    with pytest.raises(BadInput, match="aside"):
        search(dataclasses.replace(plan, held_out=0.0), Settings(data_dir=tmp_path / "data"), 2)
