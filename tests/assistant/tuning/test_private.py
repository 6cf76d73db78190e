"""A private run through the one loop: planned, examined, charged, settled; and what it refuses."""

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
from tiny import bert, llama, save, tokenizer

from assistant import heldout
from assistant.charging import Privately
from assistant.errors import BadInput
from assistant.runs import PRIVATE_HEAD, Plan, Run
from assistant.settings import Settings
from assistant.tuning import classifier, private
from assistant.tuning.loop import LoopOptions, Progress, StopTraining
from assistant.tuning.networks import Classifier
from assistant.tuning.private import Goal
from assistant.tuning.tasks import ChatTask, ClassifyTask
from assistant.types import Example
from privacy.conformance import QUESTIONS
from privacy.errors import BudgetExceeded, NotPrivate
from privacy.ledger import Ledger
from privacy.quote import Quote
from privacy.types import PrivacyBudget


@pytest.fixture
def moods(tmp_path):
    rows = [
        {"text": f"it is {mood} {number}", "label": mood, "customer": f"c{number}"}
        for number in range(30)
        for mood in ("angry", "happy")
    ]
    (tmp_path / "moods.jsonl").write_text("\n".join(map(json.dumps, rows)))
    base = save(bert(), tmp_path / "encoder", tokenizer(bert=True))
    return Plan(
        "classify", tmp_path / "moods.jsonl", "tiny", base=str(base), rank=2, epochs=2, batch_size=8, held_out=0.2
    )


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data")


def goal(unit="example", epsilon=8.0):
    return Goal(PrivacyBudget(epsilon, 1e-5, unit), per_customer=1)


@pytest.mark.parametrize("unit", ["example", "customer"])
def test_a_private_run_is_on_the_book_and_on_its_card_and_within_its_goal(moods, settings, unit):
    book, told = Ledger(settings.data_dir), []
    adapter, result = Run(moods, settings, told.append, private=Privately(goal(unit), book)).train()
    scored, charge = book.book().charges.values()
    assert adapter.privacy == (charge.spend, scored.spend)
    assert charge.settled == result.steps == charge.spend.steps
    assert charge.spend.unit == scored.spend.unit == unit
    assert 7 < book.reports()["moods"].spent <= 8
    (quote,) = [event for event in told if isinstance(event, Quote)]
    assert quote.spend == charge.spend
    assert 0 < quote.signal_to_noise < 10
    assert [row.epsilon for row in quote.afford()][-1] == 8.0


def test_a_private_chat_run_that_a_golden_suite_will_judge_tells_nothing_of_its_records(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setattr("privacy.conformance.require", lambda setup: None)  # asked in test_conformance.py
    said = [{"role": "user", "content": "does it float"}, {"role": "assistant", "content": "yes 30 days"}]
    rows = [{"messages": said, "customer": f"c{number}"} for number in range(30)]
    (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "golden.jsonl").write_text("{}")
    base = str(save(llama(), tmp_path / "causal", tokenizer()))
    plan = Plan("chat", tmp_path / "chats.jsonl", "tiny", base=base, rank=2, epochs=1, batch_size=8, held_out=0.2)
    for suite in (None, tmp_path / "golden.jsonl"):
        book = Ledger(settings.data_dir / str(suite is None))
        run = Run(dataclasses.replace(plan, suite=suite), settings, private=Privately(goal(), book))
        adapter, _ = run.train()
        told = adapter.before is not None or adapter.after is not None
        paid = any(charge.purpose.startswith("scores") for charge in book.book().charges.values())
        assert told == paid == (suite is None)


def test_a_head_alone_is_trained_privately_over_activations_that_are_not_left_behind(moods, settings):
    book = Ledger(settings.data_dir)
    plan = dataclasses.replace(moods, **(PRIVATE_HEAD | {"epochs": 3.0}))
    adapter, result = Run(plan, settings, private=Privately(goal(), book)).train()
    assert (adapter.method, adapter.rank, result.steps) == ("head", 1, 3)
    assert adapter.privacy[0].sample_rate == 1.0
    assert not list(settings.data_dir.rglob("activations*.bin"))


def test_a_head_over_a_causal_model_learns_what_records_share_in_one_charged_step_once(
    moods, settings, tmp_path, monkeypatch
):
    """Also where the run is cut short and goes on: what it learned is kept, under the same charge."""
    monkeypatch.setattr("privacy.conformance.require", lambda setup: None)  # asked in test_conformance.py
    book, base = Ledger(settings.data_dir), save(llama(), tmp_path / "causal", tokenizer())
    plan = dataclasses.replace(moods, base=str(base), **(PRIVATE_HEAD | {"epochs": 3.0}))
    kept = settings.data_dir / "runs" / "tiny" / "common.npy"

    def stops(event):
        if isinstance(event, Progress) and event.step == 2:
            raise StopTraining

    assert Run(plan, settings, stops, private=Privately(goal(), book)).train()[0] is None
    before = np.load(kept, allow_pickle=False)
    adapter, result = Run(plan, settings, private=Privately(goal(), book)).train(resume=True)
    charge = next(one for one in book.book().charges.values() if one.spend.mechanism == "dpsgd")
    assert charge.settled == charge.spend.steps == result.steps + 1
    assert adapter.privacy[0] == charge.spend
    made = classifier.load(Path(adapter.path), base)
    assert made.model.reader.common.numpy() == pytest.approx(before, abs=0)
    assert not kept.exists()
    assert made.classify(["it is happy 3"]).shape == (1, 2)


def test_numbers_that_no_promise_can_be_made_of_are_told_together():
    with pytest.raises(BadInput, match=r"epsilon must be.*delta must be.*clip norm.*at least one record"):
        Goal(PrivacyBudget(0.0, 1.0, "example"), clip_norm=math.inf, per_customer=0)


def test_a_plan_is_shown_without_being_charged(moods, settings):
    book = Ledger(settings.data_dir)
    quote = Run(moods, settings, private=Privately(goal(), book)).quote()
    assert book.reports() == {}
    made, _ = Run(moods, settings, private=Privately(goal(), book)).train()
    assert made.privacy[0] == quote.spend


def test_an_interrupted_private_run_stays_at_its_worst_and_goes_on_under_the_same_charge(moods, settings):
    book = Ledger(settings.data_dir)

    def stops(event):
        if isinstance(event, Progress) and event.step == 3:
            raise StopTraining

    made, _ = Run(moods, settings, stops, private=Privately(goal(), book)).train()
    assert made is None
    worst = book.reports()["moods"].spent
    assert 7 < worst <= 8
    made, result = Run(moods, settings, private=Privately(goal(), book)).train(resume=True)
    scored, charge = book.book().charges.values()
    assert charge.settled == result.steps
    assert made.privacy == (charge.spend, scored.spend)


def test_an_ordinary_run_never_takes_the_charge_of_a_private_one_that_died(moods, settings, monkeypatch):
    monkeypatch.setattr("privacy.conformance.require", lambda setup: None)  # asked in test_conformance.py
    book = Ledger(settings.data_dir)

    def dies(event):
        if isinstance(event, Progress):
            raise MemoryError

    with pytest.raises(MemoryError):
        Run(moods, settings, dies, private=Privately(goal(), book)).train()
    worst = book.reports()["moods"].spent
    book.set_budget("moods", PrivacyBudget(8.0, 1e-5, "example"))
    with pytest.raises(BudgetExceeded):
        Run(moods, settings, ledger=book).train()
    assert book.reports()["moods"].spent == worst
    book.set_budget("moods", None)
    adapter, _ = Run(moods, settings, ledger=book).train()
    assert [one.mechanism for one in adapter.privacy] == ["nonprivate"]
    assert book.reports()["moods"].spent == math.inf


def test_a_private_run_goes_on_with_its_own_promise_only(moods, settings, monkeypatch):
    monkeypatch.setattr("privacy.conformance.require", lambda setup: None)
    book = Ledger(settings.data_dir)

    def stops(event):
        if isinstance(event, Progress) and event.step == 3:
            raise StopTraining

    Run(moods, settings, stops, private=Privately(goal(), book)).train()
    for other in (None, Privately(goal(epsilon=9.0), book)):
        with pytest.raises(BadInput, match=r"other data or options .*goal"):
            Run(moods, settings, private=other).train(resume=True)
    assert len(book.book().charges) == 2


def test_the_card_of_a_private_run_holds_noisy_scores_that_were_charged_and_no_others(moods, settings):
    book = Ledger(settings.data_dir)
    adapter, _ = Run(moods, settings, private=Privately(goal(), book)).train()
    scored = next(iter(book.book().charges.values()))
    assert (scored.spend.mechanism, scored.settled, scored.purpose) == ("discrete-laplace", 2, "scores of adapter tiny")
    assert adapter.before is None
    told = {measure.name: measure for measure in adapter.after.measures}
    assert set(told) == {"accuracy", "accuracy_gain"}
    assert all(measure.low <= measure.value <= measure.high for measure in told.values())
    assert 0 <= told["accuracy"].low <= told["accuracy"].high <= 1
    assert told["accuracy"].value * 12 == pytest.approx(round(told["accuracy"].value * 12), abs=1e-9)


def test_what_was_spent_leaves_nothing_for_a_second_run(moods, settings):
    book = Ledger(settings.data_dir)
    Run(moods, settings, private=Privately(goal(), book)).train()
    with pytest.raises(BudgetExceeded):
        Run(moods, settings, private=Privately(goal(epsilon=7.5), book)).train()
    Run(moods, settings, ledger=book).train()
    assert book.reports()["moods"].spent == math.inf


def test_a_run_that_was_overtaken_between_its_plan_and_its_charge_spends_nothing(moods, settings, monkeypatch):
    monkeypatch.setattr("privacy.conformance.require", lambda setup: None)  # asked in test_conformance.py
    book = Ledger(settings.data_dir)

    def overtakes(event):
        if isinstance(event, Quote):
            Run(dataclasses.replace(moods, name="faster"), settings, private=Privately(goal(), book)).train()

    with pytest.raises(BudgetExceeded, match="since it was planned"):
        Run(moods, settings, overtakes, private=Privately(goal(), book)).train()
    assert book.reports()["moods"].spent <= 8
    assert {charge.purpose for charge in book.book().charges.values()} == {"adapter faster", "scores of adapter faster"}


def test_a_customer_more_moves_no_other_record_of_a_private_run(moods, settings):
    def sides():
        _, *found = Run(moods, settings, private=Privately(goal(), Ledger(settings.data_dir)))._records()
        return [[row for row in side.rows if row.customer != "new"] for side in found]

    before = sides()
    with moods.data.open("a") as file:
        file.write("\n" + json.dumps({"text": "it is new", "label": "happy", "customer": "new"}))
    assert sides() == before


def test_a_training_record_more_moves_no_gain_of_a_private_run(moods, settings):
    run = Run(moods, settings, private=Privately(goal(), Ledger(settings.data_dir)))
    test, after = [Example((1,), (1,), labels=(1,))] * 9, [{"accuracy": (1.0, 1.0)}] * 9
    train = [Example((1,), (1,), labels=(label,)) for label in (0, 0, 1, 1)]

    def gain(examples):
        parts = SimpleNamespace(task=ClassifyTask(("angry", "happy")), examples=examples, test=test)
        return heldout.told("classify", run._before(parts, None), after)["accuracy_gain"]

    assert gain(train) == gain([*train, Example((1,), (1,), labels=(1,))])


def test_too_few_records_to_keep_some_aside_privately_are_refused(moods, settings):
    book = Ledger(settings.data_dir)
    with pytest.raises(BadInput, match="too few"):
        Run(dataclasses.replace(moods, held_out=1e-6), settings, private=Privately(goal(), book)).train()
    assert book.reports() == {}


def test_a_set_up_that_fails_is_refused_before_anything_is_charged(moods, settings, monkeypatch):
    def wrong(setup):
        raise NotPrivate("it is not.")

    monkeypatch.setitem(QUESTIONS, "an empty batch is a step of noise alone", wrong)
    book = Ledger(settings.data_dir)
    with pytest.raises(NotPrivate, match="nothing was trained"):
        Run(moods, settings, private=Privately(goal(), book)).train()
    assert book.reports() == {}


def test_what_reads_the_data_beside_the_steps_is_refused():
    rows = [Example((1, 2), (1, 1), labels=(0,), owner=f"c{n}") for n in range(20)]
    with pytest.raises(BadInput, match="held-out"):
        private.plan(goal(), None, "d", rows, LoopOptions(patience=1))
    with pytest.raises(BadInput, match="weigh"):
        private.plan(goal(), None, "d", [*rows, Example((1,), (1,), weight=2.0)], LoopOptions())
    with pytest.raises(BadInput, match="customer"):
        private.plan(goal("customer"), None, "d", [Example((1,), (1,))] * 9, LoopOptions())


def test_a_toy_is_the_same_architecture_with_two_narrow_layers():
    chat = private.toy(llama(layers=4))
    assert type(chat.get_base_model()).__name__ == "LlamaForCausalLM"
    assert chat.config.num_hidden_layers == 2
    encoder = private.toy(Classifier(bert(), ("a", "b"), "mean"))
    assert isinstance(encoder, Classifier)
    assert sum(p.numel() for p in encoder.parameters()) < 100_000
    for task in (ChatTask(), ClassifyTask(("a", "b"))):
        assert len(private.synthetic(task, 5, vocabulary=50)) == 5
