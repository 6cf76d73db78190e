"""The model's own verdict: its scale, when it is asked for, and that the built-in adapter has learned it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import verdict
from assistant.adapters import BUILT_IN, SHIPPED, Shelf
from assistant.engines import models
from assistant.engines.base import TellsFirst
from assistant.engines.echo import EchoEngine
from assistant.errors import BadInput, EngineUnavailable
from assistant.hosting import Hosting
from assistant.settings import Settings
from assistant.store import Store
from assistant.types import GenerateOptions, Message, ModelInfo, Passage
from assistant.vetting import base_of, verify

PASSAGES = (
    "Returns\n\nUnused items can be returned within 30 days of delivery. Worn shoes cannot be returned.",
    "How long does delivery take?\nTwo to three working days within the country.",
)


def asked(question: str, languages=("en", "en"), spoken="en") -> verdict.Asked:
    passages = [
        Passage(str(number), "d", "faq.md", "t", "c", text, 0, len(text), "", language=language)
        for number, (text, language) in enumerate(zip(PASSAGES, languages, strict=True))
    ]
    return verdict.Asked([Message("user", question)], passages, "Northwind", spoken)


@given(st.floats(-700, 0), st.floats(-700, 0))
def test_log_odds_grow_with_the_likelihood_and_stay_within_their_limits(one: float, other: float):
    low, high = sorted((one, other))
    assert -verdict.LIMIT <= verdict.odds(low) <= verdict.odds(high) <= verdict.LIMIT


@given(st.floats(0.01, 0.99))
def test_within_the_limits_they_are_the_log_odds(likely: float):
    assert verdict.odds(math.log(likely)) == pytest.approx(math.log(likely / (1 - likely)))


def test_an_engine_that_cannot_tell_says_so():
    with pytest.raises(EngineUnavailable, match="cannot tell"):
        verdict.unanswered(EchoEngine(), asked("How long?"), adapter="built-in@1")


def test_without_the_built_in_adapter_there_is_no_verdict(tmp_path):
    store = Store.open(tmp_path)
    hosting = Hosting(Settings(data_dir=tmp_path), store)
    assert verdict.of_built_in(hosting, EchoEngine(), asked("How long?")) is None
    store.close()


@pytest.mark.parametrize(
    ("known", "languages", "spoken", "reads"),
    [
        (("en",), ("en", "en"), "en", True),
        (("en",), ("en", "zh"), "en", False),
        (("en",), ("en", "en"), "zh", False),
        ((), ("en", "zh"), "de", True),
    ],
)
def test_a_model_gives_no_verdict_on_what_it_cannot_read(known, languages, spoken, reads):
    model = ModelInfo("m", "", 2048, known)
    assert verdict.knows_languages(model, asked("How long?", languages, spoken)) is reads


def test_the_shelf_finds_the_built_in_adapter_and_gives_its_name_to_no_other(tmp_path):
    shelf = Shelf(tmp_path)
    card = shelf.find(BUILT_IN)
    assert card.path == str(SHIPPED)
    assert card.id == "built-in@1"
    assert shelf.find("built-in@1") == card
    assert shelf.all() == []
    with pytest.raises(BadInput, match="built-in"):
        shelf.save(card, lambda folder: None)


def test_the_built_in_adapter_is_whole_and_made_for_the_default_model(model_dir):
    settings = Settings(data_dir=model_dir)
    folder, info = models.resolve(settings)
    card = verify(SHIPPED, base_of(folder, name=info.name, sha256=info.sha256))
    assert card.task == "chat"
    assert card.notes


@pytest.mark.parametrize("name", ["hf", "openvino"])
def test_the_default_model_tells_what_passages_answer_from_what_they_do_not(name: str, request, model_dir):
    if name == "openvino":
        pytest.importorskip("openvino_genai")
        from assistant.engines import openvino

        engine = openvino.build(Settings(data_dir=model_dir))
    else:
        from assistant.engines import hf

        engine = hf.build(Settings(data_dir=model_dir))
    assert isinstance(engine, TellsFirst)
    engine.add_adapter("built-in@1", SHIPPED)
    told = {
        question: verdict.unanswered(engine, asked(question), adapter="built-in@1")
        for question in ("How many days do I have to send it back?", "Do you sell gift cards?")
    }
    engine.close()
    answered, unanswered = told.values()
    assert answered < 0 < unanswered
    assert unanswered - answered > 2


def test_what_was_read_for_the_verdict_is_not_read_again_for_the_answer(exact_engine, monkeypatch):
    read = []
    forward = type(exact_engine)._forward
    monkeypatch.setattr(
        type(exact_engine), "_forward", lambda self, kept, part: read.append(len(part)) or forward(self, kept, part)
    )
    messages = (Message("user", "Passages: tents are mended. Question: are tents mended?"),)
    options = GenerateOptions(max_new_tokens=3, conversation="c")
    likely = exact_engine.begins(messages, "Yes", options)
    assert likely < 0
    before = len(read)
    list(exact_engine.stream(messages, options))
    assert max(read[:before]) > 10
    assert max(read[before:]) == 1
    assert exact_engine.begins(messages, "Yes", GenerateOptions()) == pytest.approx(likely, abs=0.02)


@pytest.fixture
def exact_engine(model_dir):
    from assistant.engines import hf

    engine = hf.build(Settings(data_dir=model_dir, model={"dtype": "float32"}))
    yield engine
    engine.close()
