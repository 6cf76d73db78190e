"""The gate of the walk: what goes live, what does not, and what is written down. The whole walk is in tests/flows."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from shelves import CARD, put, write

from assistant.adapters import WEIGHTS, Shelf
from assistant.core import Assistant
from assistant.errors import AdapterRefused, BadInput
from assistant.finetune import judge, objections_to, promote, train
from assistant.runs import HELD_OUT, Plan
from assistant.settings import Settings
from assistant.types import CollectionInfo, Company, Measure, Report

GOOD = Report("golden", (Measure("answer_facts", 0.8), Measure("answer_facts_gain", 0.1, -0.02, 0.2, 20)))
BAD = Report("golden", (Measure("answer_facts", 0.5), Measure("answer_facts_gain", -0.2, -0.3, -0.1, 20)))
HELD = replace(GOOD, suite=HELD_OUT, measures=(Measure("loss_gain", -0.2, -0.3, -0.1, 20),))


@pytest.fixture
def assistant(tmp_path):
    opened = Assistant.open(Settings(data_dir=tmp_path, model={"engine": "echo", "name": "nowhere"}))
    yield opened
    opened.close()


def live(assistant, slot="chat"):
    now = assistant.hosting.deployments.current("default", "shop", slot)
    return now.adapter if now else None


def test_an_adapter_that_got_nothing_worse_goes_live(assistant, tmp_path):
    promote(assistant, put(tmp_path, after=GOOD))
    assert live(assistant) == "support@1"


@pytest.mark.parametrize(("after", "why"), [(None, "no suite"), (BAD, "answer_facts"), (HELD, "golden")])
def test_the_gate_says_why_and_the_previous_stays_live(assistant, tmp_path, after, why):
    promote(assistant, put(tmp_path, after=GOOD))
    with pytest.raises(AdapterRefused, match=why):
        promote(assistant, put(tmp_path, after=after))
    assert live(assistant) == "support@1"


def test_force_overrules_the_gate_and_is_on_the_card(assistant, tmp_path):
    adapter = put(tmp_path, after=BAD)
    deployed = promote(assistant, adapter, force=True)
    assert live(assistant) == adapter.id
    (note,) = Shelf(tmp_path).find("support").notes
    assert "by force" in note
    assert "answer_facts changed by -0.200" in note
    assert deployed.note == note


def test_force_lets_no_damaged_adapter_through(assistant, tmp_path):
    adapter = put(tmp_path, after=GOOD)
    file = Path(adapter.path) / WEIGHTS
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(AdapterRefused, match="SHA-256"):
        promote(assistant, adapter, force=True)
    assert live(assistant) is None


def test_a_classifier_that_beats_its_baseline_goes_live_in_its_own_slot(assistant, tmp_path):
    card = replace(CARD, name="mood", task="classify", labels=("a", "b"), after=replace(HELD, suite=HELD_OUT))
    adapter = Shelf(tmp_path).save(card, write)
    assert objections_to(adapter) == []
    promote(assistant, adapter)
    assert live(assistant, "mood") == "mood@1"
    assert live(assistant) is None


def test_a_classifier_that_is_called_chat_takes_nobodys_place(assistant, tmp_path):
    adapter = Shelf(tmp_path).amend(put(tmp_path, name="chat", after=HELD), task="classify")
    with pytest.raises(AdapterRefused, match="place"):
        promote(assistant, adapter, force=True)
    assert live(assistant) is None


def test_a_share_is_a_split_beside_what_is_live(assistant, tmp_path):
    promote(assistant, put(tmp_path, after=GOOD))
    split = promote(assistant, put(tmp_path, after=GOOD), share=0.25)
    assert (split.adapter, split.challenger, split.share) == ("support@1", "support@2", 0.25)


def test_a_golden_file_judges_chat_only(assistant, tmp_path):
    adapter = Shelf(tmp_path).save(replace(CARD, name="mood", task="tag"), write)
    with pytest.raises(BadInput, match="does not chat"):
        judge(assistant, adapter, tmp_path / "golden.jsonl")


@pytest.mark.parametrize("preference", [False, True])
@pytest.mark.parametrize(("names", "said"), [({"en": "Alder", "zh": "桤木"}, "桤木"), ({}, "本公司")])
def test_a_training_reads_the_prompts_that_its_collection_is_served(
    assistant, tmp_path, monkeypatch, preference, names, said
):
    pytest.importorskip("torch")
    from tiny import llama, save, tokenizer

    def built(*_, company, **__):
        raise BadInput(f"a prompt of {company}")

    info = CollectionInfo("default", "shop", ("en",), "hashing", 0.5, Company(names))
    assistant.store.save_collection(info)
    asked, passages = [{"role": "user", "content": "靴子多久可以退货？"}], [{"text": "靴子：30天。"}]
    row = {"messages": [*asked, {"role": "assistant", "content": "30天。"}], "passages": passages}
    if preference:
        row = {"prompt": asked, "chosen": "30天。", "rejected": "不知道。", "passages": passages}
    (tmp_path / "chat.jsonl").write_text(json.dumps(row))
    base = str(save(llama(), tmp_path / "base", tokenizer()))
    monkeypatch.setattr("assistant.prompts.build", built)
    plan = Plan("chat", tmp_path / "chat.jsonl", "own", base=base, held_out=0.0, preference=preference)
    with pytest.raises(BadInput, match=f"a prompt of {said}"):
        train(plan, assistant, collection="shop")


@pytest.fixture
def moods(tmp_path):
    """Makes plans for `mood` on a tiny encoder: the words say the label in so many of the records that train it."""
    pytest.importorskip("torch")
    from tiny import bert, save, tokenizer

    base = str(save(bert(), tmp_path / "encoder", tokenizer(bert=True)))

    def plan(right, labels=("angry", "happy")):
        rows = [
            {"text": f"it is {label} {n}", "label": label if n < right else labels[1 - place]}
            for n in range(20)
            for place, label in enumerate(labels)
        ]
        data, suite = tmp_path / f"{right}-{labels[0]}.jsonl", tmp_path / f"suite-{labels[0]}.jsonl"
        data.write_text("\n".join(map(json.dumps, rows)))
        asked = [{"text": f"it is so {label} {n}", "label": label} for n in range(20) for label in labels]
        suite.write_text("\n".join(map(json.dumps, asked)))
        return Plan("classify", data, "mood", base=base, suite=suite, rank=2, epochs=5, learning_rate=3e-3)

    return plan


def test_a_classifier_that_is_worse_than_the_live_one_does_not_replace_it(assistant, moods):
    first = train(moods(20), assistant, collection="shop")
    assert (first.kept_aside, live(assistant, "mood")) == ("", "mood@1")
    worse = train(moods(10), assistant, collection="shop")
    assert live(assistant, "mood") == "mood@1"
    assert "accuracy changed" in worse.kept_aside
    assert worse.adapter.before.value("accuracy") == first.adapter.after.value("accuracy") == 1.0
    assert worse.adapter.before.provenance["against"] == "mood@1"


def test_a_classifier_that_cannot_be_compared_with_the_live_one_is_kept_aside_without_force(assistant, moods):
    train(moods(20), assistant, collection="shop")
    other = moods(20, ("bad", "good"))
    assert "not compared with mood@1" in train(other, assistant, collection="shop").kept_aside
    assert live(assistant, "mood") == "mood@1"
    assert train(other, assistant, collection="shop", force=True).kept_aside == ""
    assert live(assistant, "mood") == "mood@3"
