"""What the Training tab does with what it is told, without a browser and without a training."""

from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
from shelves import CARD, write

from assistant.hosting import Hosting
from assistant.settings import Settings
from assistant.store import Store
from assistant.trainer import Trainer
from assistant.ui import train
from assistant.ui.render import Look
from assistant.ui.texts import words

LOOK = Look(words("en"))


@pytest.fixture
def tab(tmp_path, monkeypatch):
    """The tab's handlers for an owner; what a handler gives is by the names of the parts."""
    monkeypatch.setattr(train, "visitor", lambda request: SimpleNamespace(session="ada"))
    settings, store = Settings(data_dir=tmp_path), Store.open(tmp_path)
    assistant = SimpleNamespace(settings=settings, hosting=Hosting(settings, store))
    front = SimpleNamespace(
        door=SimpleNamespace(may=lambda *_: True, log=lambda *_: None), say=LOOK.say, look=lambda: LOOK,
        settings=settings, assistant=assistant, collections=list,
    )  # fmt: skip
    parts = SimpleNamespace(**{field.name: field.name for field in fields(train.Parts)})
    yield train._Handlers(front, parts, Trainer(assistant)), assistant.hosting
    store.close()


def test_records_of_another_training_are_not_laid_over_those_of_a_run_that_can_go_on(tab, tmp_path):
    handlers, _ = tab
    run, upload = tmp_path / "runs" / "support", tmp_path / "uploads" / "january.jsonl"
    for file, text in (
        (run / "checkpoint" / "step-1" / "state.json", "{}"),
        (run / "records" / "january.jsonl", "old"),
    ):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    upload.parent.mkdir()
    upload.write_text("new")
    told = handlers.start(
        "shop", "chat", str(upload), None, "support", 3, 16, False, False, 3.0, 1e-5, "customer", 64, None
    )
    assert "can go on" in told["checked"]
    assert (run / "records" / "january.jsonl").read_text() == "old"
    assert not (run / "plan.json").exists()


def test_a_classifier_that_is_taken_back_to_nothing_is_said_to_be_switched_off(tab):
    handlers, hosting = tab
    adapter = hosting.shelf.save(replace(CARD, name="mood", task="classify", labels=("a", "b")), write)
    hosting.deployments.put("default", "shop", adapter.id, slot="mood")
    assert "mood is switched off" in handlers.rollback("shop", adapter.id, None)["notice"]
