"""What leaves for a remote engine: forbidden per collection, redacted, written down first. (S10; OWASP LLM02:2025)"""

import hashlib
import json

import pytest

from assistant.core import Assistant
from assistant.engines.echo import EchoEngine
from assistant.ingest import ingest
from assistant.outbound import Outbound, redactor
from assistant.retrieval.search import Searcher
from assistant.settings import load_settings
from assistant.store import Store
from assistant.types import Conversation, Done
from privacy.policy import Egress

POLICY = "# Repairs\n\nBroken tent poles are repaired for 15 EUR in every store.\n"


class Remote(EchoEngine):
    """Says it is elsewhere, and keeps what it was sent."""

    location = "remote"

    def __init__(self):
        super().__init__(script=["Broken tent poles are repaired in every store."])
        self.sent = []

    def stream(self, messages, options):
        self.sent.append(messages)
        return super().stream(messages, options)


@pytest.fixture
def make(tmp_path):
    made = []

    def build(engine, **privacy):
        (tmp_path / "policy.md").write_text(POLICY)
        settings = load_settings(
            data_dir=tmp_path / "data",
            model={"engine": "echo"},
            remote={"url": "https://user:secret@llm.example/v1?key=secret"},
            retrieval={"embedder": "hashing", "threshold": 0.05},
            privacy=privacy,
        )
        store = Store.open(settings.data_dir)
        searcher = Searcher(store, settings)
        ingest([tmp_path / "policy.md"], store=store, settings=settings, index=searcher)
        made.append(Assistant(settings=settings, store=store, searcher=searcher, engine=engine))
        return made[-1]

    yield build
    for assistant in made:
        assistant.close()


def ask(assistant, question):
    for event in assistant.ask(Conversation("c1"), question):
        if isinstance(event, Done):
            return event.answer
    raise AssertionError("no answer")


QUESTION = "Are broken tent poles repaired? Write to max@web.de or 0151 23456789"


def test_every_sending_is_on_the_log_without_its_text(make):
    engine = Remote()
    assistant = make(engine)
    ask(assistant, QUESTION)
    data_dir = assistant.settings.data_dir
    (gone,) = Egress(data_dir).log()
    sent = json.dumps([[one.role, one.text] for one in engine.sent[0]], ensure_ascii=False)
    assert gone.collection == "shop"
    assert gone.bytes == len(sent.encode())
    assert gone.sha256 == hashlib.sha256(redactor(assistant.settings).redact(sent).encode()).hexdigest()
    raw = (data_dir / "privacy" / "egress.jsonl").read_text()
    assert not any(secret in raw for secret in ("tent", "max@", "web.de", "secret"))


def test_the_customers_personal_data_does_not_leave(make):
    engine = Remote()
    ask(make(engine), QUESTION)
    said = "\n".join(one.text for one in engine.sent[0])
    assert "<email:" in said
    assert "<phone:" in said
    assert "web.de" not in said
    assert "23456789" not in said


@pytest.mark.parametrize("local_only", [("shop",), ("*",)])
def test_a_collection_that_must_stay_is_answered_with_quotes_and_says_so(make, local_only):
    engine = Remote()
    assistant = make(engine, local_only=local_only)
    answer = ask(assistant, QUESTION)
    assert engine.sent == []
    assert Egress(assistant.settings.data_dir).log() == []
    assert "repaired for 15 EUR" in answer.text
    assert any("does not leave this machine" in note for note in answer.receipt.notes)


def test_other_collections_still_may_leave(make):
    engine = Remote()
    ask(make(engine, local_only=("other",)), QUESTION)
    assert len(engine.sent) == 1


def test_nothing_is_sent_that_cannot_be_written_down(make):
    engine = Remote()
    assistant = make(engine)
    (assistant.settings.data_dir / "privacy").mkdir(exist_ok=True)
    (assistant.settings.data_dir / "privacy" / "egress.jsonl").mkdir()
    answer = ask(assistant, QUESTION)
    assert engine.sent == []
    assert "repaired for 15 EUR" in answer.text
    assert answer.receipt.failed_component == "engine"


def test_a_local_engine_leaves_no_log(make):
    assistant = make(EchoEngine(script=["."]))
    ask(assistant, QUESTION)
    assert not (assistant.settings.data_dir / "privacy" / "egress.jsonl").exists()


def test_the_destination_is_logged_without_credentials(make):
    engine = Remote()
    engine.name = "remote"
    assistant = make(engine)
    Outbound(assistant.settings).record(engine, "shop", [])
    assert Egress(assistant.settings.data_dir).log()[0].destination == "https://llm.example/v1"
