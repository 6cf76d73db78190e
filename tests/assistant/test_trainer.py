"""The background training: one at a time, watched, stopped, gone on with."""

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psutil
import pytest

pytest.importorskip("torch")
import torch
from tiny import llama, save, tokenizer

from assistant.core import Assistant
from assistant.engines import hardware
from assistant.errors import BadInput
from assistant.line import Asker
from assistant.runs import Plan
from assistant.settings import Settings
from assistant.trainer import NICE, Trainer, _step_back
from assistant.tuning.loop import Progress


@pytest.fixture
def assistant(tmp_path):
    opened = Assistant.open(Settings(data_dir=tmp_path / "data", model={"engine": "echo"}))
    yield opened
    opened.close()


@pytest.fixture
def plan(tmp_path):
    base = save(llama(), tmp_path / "base", tokenizer())
    rows = [
        {"messages": [{"role": "user", "content": f"is it {n}"}, {"role": "assistant", "content": "yes"}]}
        for n in range(20)
    ]
    data = tmp_path / "chat.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    return Plan("chat", data, "tiny", base=str(base), rank=2, epochs=3, batch_size=2)


def test_a_training_runs_to_its_end_and_tells_how_it_stands(assistant, plan):
    trainer = Trainer(assistant)
    assert not trainer.state.is_running
    trainer.start(plan, collection="shop")
    state = trainer.wait(120)
    assert state.phase == "done", state.error
    assert state.trained.adapter.id == "tiny@1"
    assert "golden" in state.trained.kept_aside
    assert [step for step, _ in state.losses] == list(range(1, state.progress.steps + 1))
    assert state.prepared.records == 18


def test_a_training_goes_behind_the_chat_and_leaves_it_room(assistant, monkeypatch):
    """Nothing is trained: in a thread of its own, for a thread cannot take its priority back."""
    monkeypatch.setattr(hardware, "choose_threads", lambda: 6)
    step = Progress(1, 2, 1.0, 1.0, 0.1, 1.0, 1.0)
    trainer, waited, threads = Trainer(assistant), [], []
    monkeypatch.setattr(assistant.line, "give_way", lambda: waited.append(True))

    def train():
        me, before = threading.get_native_id(), torch.get_num_threads()
        _step_back()
        if sys.platform == "linux":
            assert os.getpriority(os.PRIO_PROCESS, me) >= NICE
            assert psutil.Process(me).ionice().ioclass == psutil.IOPRIO_CLASS_IDLE
        with assistant.line.join(Asker("anna")):
            trainer._watch(step)
            threads.append(torch.get_num_threads())
        trainer._watch(step)
        threads.append(torch.get_num_threads())
        torch.set_num_threads(before)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(train).result()
    assert threads == [3, 6]
    assert len(waited) == 2
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < NICE


def test_only_one_trains_at_a_time(assistant, plan):
    trainer, go = Trainer(assistant), threading.Event()
    watch = trainer._watch
    trainer._watch = lambda event: (go.wait(60), watch(event))
    trainer.start(plan, collection="shop")
    assert trainer.state.is_running
    with pytest.raises(BadInput, match="under way"):
        trainer.start(plan, collection="shop")
    go.set()
    assert trainer.wait(120).phase == "done"


def test_a_stopped_training_can_go_on_after_a_restart(assistant, plan):
    trainer = Trainer(assistant)
    watch = trainer._watch

    def stops(event):
        trainer.stop()
        watch(event)

    trainer._watch = stops
    trainer.start(plan, collection="shop")
    assert trainer.wait(120).phase == "interrupted"
    again = Trainer(assistant)
    assert again.unfinished() == [plan]
    again.start(plan, collection="shop", resume=True)
    assert again.wait(120).phase == "done"
    assert again.unfinished() == []


@pytest.fixture
def cut_short(assistant, plan):
    """A trainer after a restart, with a run for the collection shop that can go on."""
    state = assistant.settings.data_dir / "runs" / plan.name / "checkpoint" / "step-1" / "state.json"
    state.parent.mkdir(parents=True)
    state.write_text("{}")
    Trainer(assistant)._remember(plan, None, "shop")
    return Trainer(assistant)


def test_another_training_of_its_name_leaves_an_unfinished_run_as_it_is(cut_short, plan):
    with pytest.raises(BadInput, match="can go on"):
        cut_short.start(replace(plan, data=plan.data.with_name("february.jsonl"), epochs=1), collection="shop")
    assert not cut_short.state.is_running
    assert cut_short.unfinished() == [plan]


@pytest.mark.parametrize("earlier", [False, True])
def test_a_run_goes_on_for_the_collection_that_it_was_begun_for(assistant, cut_short, plan, monkeypatch, earlier):
    kept, asked = assistant.settings.data_dir / "runs" / plan.name / "plan.json", []
    if earlier:  # which kept no collection
        kept.write_text(
            json.dumps({key: one for key, one in json.loads(kept.read_text()).items() if key != "collection"})
        )
    monkeypatch.setattr("assistant.finetune.train", lambda *_, collection, **__: asked.append(collection))
    cut_short.start(cut_short.unfinished()[0], collection="first", resume=True)
    cut_short.wait(60)
    assert asked == ["first" if earlier else "shop"]


def test_a_failure_is_a_sentence(assistant, plan):
    plan.data.write_text("nonsense\n")
    trainer = Trainer(assistant)
    trainer.start(plan, collection="shop")
    state = trainer.wait(120)
    assert state.phase == "failed"
    assert "line 1" in state.error
