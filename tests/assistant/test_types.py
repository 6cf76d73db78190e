import dataclasses
import json

import pytest

from assistant.types import (
    Answer,
    Citation,
    Company,
    Conversation,
    Hit,
    Measure,
    Message,
    Outcome,
    Passage,
    Receipt,
    Report,
    Usage,
)

PASSAGE = Passage(
    id="p",
    document_id="d",
    document="a.md",
    tenant="t",
    collection="c",
    text="Ships today.",
    start=0,
    end=12,
    sha256="0",
    page=2,
)
RECEIPT = Receipt(
    engine="echo", model="m", model_sha256="", adapter=None, index_manifest="x", embedder="hashing", shape="quotes", query="q",
    language="en", support=0.5, threshold=0.4, usage=Usage(), seconds=0.1,
)  # fmt: skip
CITATION = Citation(passage_id="p", document="a.md", start=0, end=12, quote="Ships today.", page=2)
ANSWER = Answer("i", Outcome.ANSWERED, "Ships today.", (CITATION,), (Hit(PASSAGE, 1.0, "fused"),), RECEIPT)


def test_a_longer_conversation_is_a_new_one():
    one = Conversation("c")
    two = one.with_message(Message("user", "Hello"))
    assert one.messages == ()
    assert two.messages == (Message("user", "Hello"),)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.id = "d"


def test_an_answer_is_one_json_object_with_the_fixed_keys():
    shown = json.loads(json.dumps(ANSWER.to_dict()))
    assert {"outcome", "text", "citations", "hits", "engine", "model", "adapter", "receipt", "seconds"} <= set(shown)
    assert {"document", "passage_id", "start", "end", "page", "quote"} <= set(shown["citations"][0])
    assert shown["outcome"] == "ANSWERED"


def test_a_report_survives_json():
    report = Report("s", (Measure("a", 0.5, 0.4, 0.6, 10), Measure("b", 1.0)), {"git": "x"})
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert report.value("a") == 0.5
    with pytest.raises(KeyError):
        report.value("c")


def test_a_company_has_a_name_in_every_language_or_none():
    assert Company(names={"en": "Shop"}).name("zh") == "Shop"
    assert Company(names={"en": "Shop", "zh": "店"}).name("zh") == "店"
    assert Company().name("en") == ""
