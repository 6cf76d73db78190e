"""Names and addresses by a tagger of one's own: found in the redactor, and its recall told."""

import dataclasses
import json
from typing import ClassVar

import pytest

from assistant import named
from assistant.errors import BadInput
from assistant.outbound import redactor
from assistant.settings import Settings
from assistant.types import Adapter

CARD = Adapter("names", 1, "", "tag", "all-MiniLM-L6-v2", "", "", 2, 4.0, (), labels=("O", "B-person", "B-address"))


class Words:
    """A network that knows three words."""

    labels = CARD.labels
    tags: ClassVar = {"anna": "B-person", "chen": "I-person", "elm": "B-address"}

    def tag(self, sentences):
        return [tuple(self.tags.get(word.lower(), "O") for word in words) for words in sentences]


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(named, "_network", lambda settings: (CARD, Words()))
    return Settings(data_dir=tmp_path, privacy={"finder": "tagger"})


def test_a_name_is_replaced_by_one_pseudonym_however_it_is_written(settings):
    text = redactor(settings).redact("I am Anna  Chen, elm street. Yours, ANNA CHEN (anna@web.de)").text
    names = [word for word in text.replace(",", " ").split() if word.startswith("<name:")]
    assert len(names) == 2
    assert names[0] == names[1]
    assert "<address:" in text
    assert "<email:" in text
    assert "nna" not in text


def test_recall_counts_a_name_as_found_only_where_all_of_it_is(settings, tmp_path):
    rows = [
        {"tokens": ["Anna", "Chen", "here"], "tags": ["B-person", "I-person", "O"]},
        {"tokens": ["Anna", "Miller"], "tags": ["B-person", "I-person"]},
        {"tokens": ["Elm", "is", "nice"], "tags": ["O", "O", "O"]},
    ]
    (tmp_path / "tagged.jsonl").write_text("\n".join(map(json.dumps, rows)))
    adapter, measures = named.recall(tmp_path / "tagged.jsonl", settings)
    told = {one.name: (one.value, one.n) for one in measures}
    assert adapter.id == "names@1"
    assert told["recall"] == told["recall[name]"] == (0.5, 2)
    assert told["precision"] == (pytest.approx(2 / 3), 3)


def test_records_without_any_name_measure_nothing(settings, tmp_path):
    (tmp_path / "tagged.jsonl").write_text(json.dumps({"tokens": ["no", "one"], "tags": ["O", "O"]}))
    with pytest.raises(BadInput, match="holds no name"):
        named.recall(tmp_path / "tagged.jsonl", settings)


def test_without_the_adapter_the_setting_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(BadInput, match="no adapter called 'names'") as told:
        redactor(Settings(data_dir=tmp_path, privacy={"finder": "tagger"}))
    assert "train tag" in told.value.hint


def test_an_adapter_that_tags_something_else_is_refused(tmp_path, monkeypatch):
    other = dataclasses.replace(CARD, labels=("O", "B-product"))
    monkeypatch.setattr(named.Shelf, "find", lambda self, name: other)
    monkeypatch.setattr(named, "verify", lambda folder: None)
    with pytest.raises(BadInput, match="does not tag"):
        named.tagger(Settings(data_dir=tmp_path))
