"""A training run in its folder, on networks of a few thousand weights."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
from tiny import bert, llama, save, tokenizer

from assistant.adapters import Shelf
from assistant.errors import BadInput
from assistant.runs import Plan, Prepared, Run, picture
from assistant.settings import Settings
from assistant.vetting import base_of, verify

QUESTIONS = (
    "how long can i return boots",
    "is it open late",
    "is the tent red",
    "is it a blue tent",
    "can i return it",
)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return save(llama(), folder / "chat", tokenizer()), save(bert(), folder / "encoder", tokenizer(bert=True))


@pytest.fixture
def chat(tmp_path, bases):
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"{QUESTIONS[number % 5]} {number}"},
                {"role": "assistant", "content": "yes 30 days" if number % 2 else "no"},
            ],
            "customer": f"c{number // 2}",
        }
        for number in range(20)
    ]
    return plan_of(tmp_path, "chat", rows, bases[0])


@pytest.fixture
def moods(tmp_path, bases):
    rows = [{"text": f"it is {mood} {number}", "label": mood} for number in range(20) for mood in ("angry", "happy")]
    return plan_of(tmp_path, "classify", rows, bases[1])


def plan_of(tmp_path, task, rows, base):
    data = tmp_path / f"{task}.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    return Plan(task, data, "tiny", base=str(base), rank=2, epochs=2, batch_size=4, held_out=0.2)


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data")


def test_a_run_leaves_a_whole_adapter_whose_card_says_everything(chat, settings, bases):
    told = []
    adapter, result = Run(chat, settings, told.append).train()
    assert verify(Path(adapter.path), base_of(bases[0], name="chat", sha256=adapter.base_sha256)) == adapter
    assert Shelf(settings.data_dir).find("tiny") == adapter
    assert (adapter.examples, adapter.owners, adapter.rank, adapter.parent) == (16, 8, 2, None)
    assert adapter.template_sha256
    assert adapter.data_sha256
    assert [spend.mechanism for spend in adapter.privacy] == ["nonprivate"]
    assert adapter.before.suite == adapter.after.suite == "held-out"
    assert {measure.name for measure in adapter.after.measures} == {"loss", "loss_gain"}
    assert result.ended == "finished"
    assert isinstance(told[0], Prepared)
    assert (told[0].records, told[0].held_out) == (16, 4)
    assert len(told) == 1 + result.steps
    assert picture(adapter, settings).read_bytes().startswith(b"\x89PNG")
    assert list((settings.data_dir / "runs" / "tiny" / "tensorboard").glob("events.*"))
    assert "settings" not in json.dumps(adapter.after.provenance["settings"] or "")


def test_the_same_plan_gives_the_same_weights(chat, settings):
    first, second = (Run(chat, settings).train()[0] for _ in range(2))
    assert first.sha256 == second.sha256
    assert (first.version, second.version) == (1, 2)


def test_an_interrupted_run_goes_on_to_the_weights_of_an_uninterrupted_one(chat, settings):
    from assistant.tuning.loop import Progress, StopTraining

    whole = Run(chat, settings).train()[0]

    def stops(event):
        if isinstance(event, Progress) and event.step == 3:
            raise StopTraining

    made, result = Run(chat, settings, stops).train()
    assert made is None
    assert result.ended == "interrupted"
    with pytest.raises(BadInput, match="unfinished"):
        Run(chat, settings).train()
    with pytest.raises(BadInput, match="other data"):
        Run(replace(chat, rank=3), settings).train(resume=True)
    made, _ = Run(chat, settings).train(resume=True)
    assert made.sha256 == whole.sha256


def dies(event):
    """Stands for a process that is killed in its first epoch."""
    from assistant.tuning.loop import Progress

    if isinstance(event, Progress) and event.step == 2:
        raise MemoryError


def stops(event):
    from assistant.tuning.loop import Progress, StopTraining

    if isinstance(event, Progress) and event.step == 3:
        raise StopTraining


def test_a_run_that_died_before_its_first_checkpoint_leaves_no_charge_to_the_next(chat, settings):
    """The same folder, other records: they are charged for themselves."""
    from privacy.ledger import Ledger

    book = Ledger(settings.data_dir)
    with pytest.raises(MemoryError):
        Run(chat, settings, dies, book).train()
    other = chat.data.with_name("other.jsonl")
    other.write_text(chat.data.read_text().replace('"content": "', '"content": "red ').replace(': "c', ': "d'))
    Run(replace(chat, data=other), settings, ledger=book).train()
    assert [one.spend.dataset for one in book.book().charges.values()] == ["chat", "other"]
    assert book.reports()["other"].spent == math.inf


@pytest.mark.parametrize("left", ["died", "its checkpoint was deleted"])
def test_kept_activations_are_never_another_bases(chat, settings, tmp_path, left):
    """Two bases of one shape give hidden states of the same size."""
    small = replace(chat, preset="small", epochs=1)
    sibling = replace(small, base=str(save(llama(seed=1), tmp_path / "sibling", tokenizer())))
    whole = Run(sibling, replace_dir(settings, tmp_path / "other")).train()[0]
    if left == "died":
        with pytest.raises(MemoryError):
            Run(small, settings, dies).train()
    else:
        Run(small, settings, stops).train()
        shutil.rmtree(settings.data_dir / "runs" / "tiny" / "checkpoint")
    assert list((settings.data_dir / "runs" / "tiny" / "activations").glob("*.bin"))
    assert Run(sibling, settings).train()[0].sha256 == whole.sha256


@pytest.mark.parametrize("field", ["base", "parent", "method"])
def test_only_the_same_run_goes_on_from_a_checkpoint(chat, settings, tmp_path, field):
    old = Run(chat, settings).train()[0]
    begun = replace(chat, parent="tiny", name="next") if field == "parent" else replace(chat, name="next")
    changes = {"base": str(save(llama(seed=1), tmp_path / "sibling", tokenizer())), "parent": "", "method": "rslora"}
    Run(begun, settings, stops).train()
    with pytest.raises(BadInput, match=f"other data or options .*{field}"):
        Run(replace(begun, **{field: changes[field]}), settings).train(resume=True)
    made = Run(begun, settings).train(resume=True)[0]
    assert made.parent == (old.id if field == "parent" else None)


def test_a_checkpoint_that_does_not_say_whose_it_is_is_refused(chat, settings):
    Run(chat, settings, stops).train()
    state = settings.data_dir / "runs" / "tiny" / "run.json"
    state.write_text(json.dumps({"spend": json.loads(state.read_text())["spend"], "charge": None}))
    with pytest.raises(BadInput, match="earlier version"):
        Run(chat, settings).train(resume=True)


class Book:
    """A ledger that notes what it is told."""

    def __init__(self):
        self.said = []

    def charge(self, spend, purpose):
        self.said.append(("charge", spend.dataset, spend.mechanism, purpose))
        return 7

    def settle(self, charge, *, steps):
        self.said.append(("settle", charge, steps))

    def knowing(self, dataset, members):
        return self


def test_the_ledger_is_charged_once_before_the_first_step_and_settled_after(chat, settings):
    from assistant.tuning.loop import Progress, StopTraining

    book = Book()

    def stops(event):
        if isinstance(event, Progress):
            assert len(book.said) == 1
            raise StopTraining

    Run(chat, settings, stops, book).train()
    Run(chat, settings, ledger=book).train(resume=True)
    assert book.said == [("charge", "chat", "nonprivate", "adapter tiny"), ("settle", 7, 1)]


def test_a_ledger_that_refuses_stops_the_run_before_it_begins(chat, settings):
    class Empty(Book):
        def charge(self, spend, purpose):
            raise BadInput("The budget is spent.")

    with pytest.raises(BadInput, match="spent"):
        Run(chat, settings, ledger=Empty()).train()
    assert Shelf(settings.data_dir).all() == []


@pytest.mark.parametrize("rows", [slice(None), slice(12, None)], ids=["renamed", "a part of it"])
def test_the_same_records_under_another_name_have_the_same_budget(chat, settings, rows):
    from privacy.errors import BudgetExceeded
    from privacy.ledger import Ledger
    from privacy.types import PrivacyBudget

    book = Ledger(settings.data_dir)
    Run(chat, settings, ledger=book).train()
    book.set_budget(chat.data.stem, PrivacyBudget(3.0, 1e-5, "customer"))
    copied = chat.data.with_name("brand-new.jsonl")
    copied.write_text("\n".join(chat.data.read_text().splitlines()[rows]))
    with pytest.raises(BudgetExceeded, match="chat"):
        Run(replace(chat, data=copied, name="other"), settings, ledger=book).train()
    assert [one.name for one in Shelf(settings.data_dir).all()] == ["tiny"]


def test_two_runs_of_one_name_do_not_meet(chat, settings):
    from assistant.tuning.loop import Progress

    def second(event):
        if isinstance(event, Progress) and event.step == 1:
            with pytest.raises(BadInput, match="being trained"):
                Run(chat, settings).train(resume=True)

    assert Run(chat, settings, second).train()[0]


def test_bad_data_and_bad_plans_train_nothing(chat, moods, settings):
    chat.data.write_text('{"messages": []}\nnonsense\n')
    with pytest.raises(BadInput, match=r"(?s)line 1.*line 2"):
        Run(chat, settings).train()
    with pytest.raises(BadInput, match=r"epochs.*rank"):
        Run(replace(chat, epochs=0, rank=0), settings).train()
    for taken in (replace(chat, name="built-in"), replace(moods, name="chat")):
        with pytest.raises(BadInput, match="another name"):
            Run(taken, settings).train()
    assert not (settings.data_dir / "adapters").exists()


def test_records_that_stay_together_are_why_none_can_be_kept_aside(moods, settings):
    whole = [json.loads(line) | {"customer": "acme"} for line in moods.data.read_text().splitlines()]
    moods.data.write_text("\n".join(map(json.dumps, whole)))
    with pytest.raises(BadInput, match="40 of 40 records are one customer's") as caught:
        Run(moods, settings).train()
    assert "other customers" in caught.value.hint
    moods.data.write_text("\n".join(json.dumps(row | {"customer": f"c{at // 30}"}) for at, row in enumerate(whole)))
    told = []
    Run(replace(moods, epochs=1), settings, told.append).train()
    assert (told[0].records, told[0].held_out) == (30, 10)
    assert any("30 of 40 records are one customer's" in warning for warning in told[0].warnings)


def test_a_single_class_is_refused_before_it_is_charged(moods, settings):
    moods.data.write_text("\n".join(json.dumps({"text": f"it is {number}", "label": "angry"}) for number in range(16)))
    book = Book()
    with pytest.raises(BadInput, match="only one label"):
        Run(moods, settings, ledger=book).train()
    assert book.said == []


def test_what_the_base_cannot_read_is_listed_whatever_limit_is_asked_for(moods, settings, tmp_path):
    live, _ = Run(replace(moods, epochs=1), settings).train()
    long = json.dumps({"text": "it is " * 50, "label": "angry"})
    suite = tmp_path / "suite.jsonl"
    suite.write_text(long)
    for more in ({}, {"live": live}):
        with pytest.raises(BadInput, match=r"1 records are longer than 64 tokens"):
            Run(replace(moods, suite=suite, max_tokens=1000), settings, **more).train()


def test_a_run_goes_on_from_an_adapter_of_the_same_classes_only(moods, settings):
    Run(replace(moods, epochs=1), settings).train()
    moods.data.write_text(moods.data.read_text() + '\n{"text": "it is sad", "label": "sad"}')
    with pytest.raises(BadInput, match="angry, happy apart, not angry, happy, sad"):
        Run(replace(moods, parent="tiny@1"), settings).train()


def test_a_run_may_go_on_from_an_adapter_of_the_same_base_only(chat, moods, settings):
    first = Run(chat, settings).train()[0]
    second = Run(replace(chat, parent="tiny@1"), settings).train()[0]
    assert (second.parent, len(second.privacy)) == (first.id, 2)
    assert second.before.value("loss") == pytest.approx(first.after.value("loss"), rel=1e-4)
    with pytest.raises(BadInput, match="cannot go on"):
        Run(replace(moods, parent="tiny@1"), settings).train()


def test_a_classifier_is_judged_against_the_commonest_class(moods, settings):
    adapter, _ = Run(replace(moods, epochs=20, learning_rate=3e-3), settings).train()
    assert adapter.labels == ("angry", "happy")
    assert adapter.before.value("accuracy") <= 0.8
    assert adapter.after.value("accuracy") == 1.0
    assert "accuracy_gain" in {measure.name for measure in adapter.after.measures}
    verify(Path(adapter.path))


def test_a_suite_of_records_judges_instead_of_kept_ones_and_leaks_are_told(moods, settings, tmp_path):
    suite = tmp_path / "suite.jsonl"
    suite.write_text(moods.data.read_text().splitlines()[0] + '\n{"text": "so angry", "label": "angry"}\n')
    told = []
    adapter, _ = Run(replace(moods, suite=suite), settings, told.append).train()
    assert (told[0].records, told[0].held_out) == (40, 2)
    assert any("word for word" in warning for warning in told[0].warnings)
    assert adapter.after.suite == "suite"
    suite.write_text('{"text": "x", "label": "sad"}\n')
    with pytest.raises(BadInput, match="sad"):
        Run(replace(moods, suite=suite), settings).train()


def test_with_patience_records_that_stop_the_run_do_not_judge_it(moods, settings):
    told = []
    adapter, result = Run(replace(moods, patience=1, held_out=0.4), settings, told.append).train()
    assert result.valid_losses
    assert told[0].held_out < 16
    assert adapter.after.measures[0].n == told[0].held_out


def test_the_customers_an_adapter_learned_from_are_known_by_their_marks(chat, settings):
    from privacy.erasure import Learned, Marks

    adapter, _ = Run(chat, settings).train()
    marks = [Marks(settings.data_dir).of(f"c{number}") for number in range(10)]
    learned = [mark for mark in marks if Learned(settings.data_dir).from_(mark) == [adapter.sha256]]
    assert len(learned) == adapter.owners


def test_an_erased_customer_does_not_come_back_with_an_old_file(chat, settings):
    from privacy.erasure import Learned, Marks, Tombstones

    mark = Marks(settings.data_dir).of("c3")
    Tombstones(settings.data_dir).add(mark, "2026-01-01")
    told = []
    Run(chat, settings, told.append).train()
    assert told[0].records + told[0].held_out == 18
    assert "2 records are of customers who were erased: they are left out." in told[0].warnings
    assert Learned(settings.data_dir).from_(mark) == []


def test_the_small_preset_adapts_the_upper_layers_and_goes_on_to_the_same_weights(chat, settings):
    from safetensors.numpy import load_file

    from assistant.tuning.loop import Progress, StopTraining

    small = replace(chat, preset="small")
    whole = Run(small, settings).train()[0]
    names = load_file(Path(whole.path) / "adapter_model.safetensors")
    assert names
    assert all(".layers.1." in name for name in names)
    assert not list((settings.data_dir / "runs" / "tiny" / "activations").glob("*.bin"))

    def stops(event):
        if isinstance(event, Progress) and event.step == 3:
            raise StopTraining

    assert Run(small, settings, stops).train()[0] is None
    assert Run(small, settings).train(resume=True)[0].sha256 == whole.sha256


def test_over_a_base_in_four_bits_the_adapter_is_an_ordinary_one(chat, settings, tmp_path):
    pytest.importorskip("bitsandbytes", reason="four bits are an extra: pip install bitsandbytes")
    base = save(llama(width=128), tmp_path / "wide", tokenizer())  # blocks of 64 numbers share a scale
    adapter, _ = Run(replace(chat, base=str(base), four_bit=True), settings).train()
    assert verify(Path(adapter.path), base_of(base, name="wide", sha256=adapter.base_sha256)) == adapter
    assert "four bits" in " ".join(adapter.notes)


def test_four_bits_are_for_chat_adapters(moods, settings):
    with pytest.raises(BadInput, match="four bits"):
        Run(replace(moods, four_bit=True), settings).train()


def test_a_run_on_pairs_lowers_their_loss_and_goes_on_with_the_same_bytes(tmp_path, bases, settings):
    from assistant.tuning.loop import Progress, StopTraining

    rows = [
        {
            "prompt": f"{QUESTIONS[number % 5]} {number}",
            "chosen": "yes 30 days",
            "rejected": "no",
            "customer": f"c{number}",
        }
        for number in range(20)
    ]
    plan = plan_of(tmp_path, "chat", rows, bases[0])
    plan = replace(plan, preference=True, preset="small", learning_rate=1e-2, epochs=6)

    def stop(event):
        if isinstance(event, Progress) and event.step == 3:
            raise StopTraining

    assert Run(plan, settings, stop).train()[0] is None
    resumed, _ = Run(plan, settings).train(resume=True)
    whole, _ = Run(plan, replace_dir(settings, tmp_path / "other")).train()
    assert (resumed.task, resumed.sha256, resumed.owners) == ("chat", whole.sha256, 16)
    before, after = ({one.name: one.value for one in side.measures} for side in (whole.before, whole.after))
    assert before["loss"] == pytest.approx(0.693, abs=1e-3)
    assert after["loss"] < 0.6
    assert 0.0 <= before["preferred"] <= after["preferred"] <= 1.0
    with pytest.raises(BadInput, match="pair"):
        Run(replace(plan, preference=False), settings).train()


def replace_dir(settings, folder):
    return settings.model_copy(update={"data_dir": folder})
