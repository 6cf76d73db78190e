"""A causal model reads each text twice: laws of the vectors, and of the head over them."""

import json

import pytest

pytest.importorskip("torch")
import tiny
import torch

from assistant.errors import BadInput
from assistant.tuning import activations, lora, networks, twice
from assistant.tuning.classifier import load, predictions
from assistant.tuning.heads import embeddings
from assistant.tuning.records import ClassifyRow, records_of
from assistant.tuning.tasks import ClassifyTask

TASK = ClassifyTask(("angry", "happy"))
TEXTS = ("red", "how long can i return boots", "is it open late")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny.save(tiny.llama(layers=3), tmp_path_factory.mktemp("base"), tiny.tokenizer())


@pytest.fixture
def head(base):
    tokenizer, model = networks.load_classifier(base, "classify", TASK.labels)
    return networks.reading_twice(tokenizer, model)


@pytest.fixture
def examples(base):
    rows = [ClassifyRow(text, "happy") for text in TEXTS]
    return TASK.examples(records_of("classify", rows, labels=TASK.labels), tiny.tokenizer())


def test_a_text_s_vector_is_of_length_one_whoever_is_read_beside_it(head, examples):
    rows = embeddings(head, TASK, examples)
    assert rows.shape == (3, head.reader.width)
    assert (rows**2).sum(1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert embeddings(head, TASK, examples[:1]) == pytest.approx(rows[:1], abs=1e-5)


def test_the_vector_is_the_mean_of_the_second_reading(head, examples):
    text, reader = examples[1].ids, head.reader
    whole = torch.tensor([[*reader.before, *text, *reader.between, *text]])
    with torch.no_grad():
        hidden = head.net(input_ids=whole, output_hidden_states=True).hidden_states
    wanted = torch.stack([hidden[layer][0, -len(text) :].mean(0) for layer in reader.layers])
    assert torch.allclose(reader.read(head.net, [text])[0], wanted, atol=1e-5)


def test_ordinary_sentences_are_centred_and_of_even_spread(head):
    tokenizer = tiny.tokenizer()
    texts = [tuple(networks.template.encode(tokenizer, text)) for text in twice.ordinary()]
    rows = (head.reader.read(head.net, texts) - head.reader.centre) / head.reader.spread
    assert torch.allclose(rows.mean(0), torch.zeros(()), atol=1e-3)
    assert torch.allclose(rows.std(0), torch.ones(()), atol=1e-2)


def test_a_text_is_read_once_while_vectors_are_kept(head, examples, monkeypatch):
    fresh, asked = embeddings(head, TASK, examples), []
    read = head.reader.read
    monkeypatch.setattr(head.reader, "read", lambda net, texts: asked.extend(texts) or read(net, texts))
    with activations.kept(head, examples):
        again = [embeddings(head, TASK, examples) for _ in range(2)]
    assert len(asked) == len(TEXTS)
    assert again[0] == pytest.approx(again[1], abs=0)
    assert again[0] == pytest.approx(fresh, abs=1e-6)


def test_a_saved_head_says_the_same_and_knows_what_the_records_had_in_common(base, head, examples, tmp_path):
    model = lora.attach(head, lora.LoraPlan("head"))
    with torch.no_grad():
        model.reader.common.copy_(torch.linspace(-0.1, 0.1, model.reader.width))
        model.head.weight.normal_()
    lora.save(model, tmp_path / "made")
    again = load(tmp_path / "made", base)
    assert again.classify(TEXTS) == pytest.approx(predictions(model, TASK, examples), abs=1e-5)
    assert lora.pooling_of(tmp_path / "made") == ("twice", networks.MINILM)


def test_the_encoder_beside_reads_the_same_text_and_has_its_share(head, examples):
    own, encoder = networks._minilm()
    task = ClassifyTask(encoder.labels)
    rows = [ClassifyRow(text, encoder.labels[0]) for text in TEXTS]
    wanted = embeddings(encoder, task, task.examples(records_of("classify", rows, labels=encoder.labels), own))
    found = embeddings(head, TASK, examples)[:, head.reader.own :]
    assert found / twice.SHARE**0.5 == pytest.approx(wanted, abs=1e-5)


def test_a_head_of_before_reads_without_the_encoder_and_another_encoder_is_refused(base, examples, tmp_path):
    tokenizer, model = networks.load_classifier(base, "classify", TASK.labels)
    model = lora.attach(networks.reading_twice(tokenizer, model, beside=""), lora.LoraPlan("head"))
    lora.save(model, tmp_path / "made")
    assert lora.pooling_of(tmp_path / "made") == ("twice", "")
    again = load(tmp_path / "made", base)
    assert again.model.reader.width == again.model.reader.own
    assert again.classify(TEXTS) == pytest.approx(predictions(model, TASK, examples), abs=1e-5)
    about = json.loads((tmp_path / "made" / lora.HEAD).read_text(encoding="utf-8"))
    (tmp_path / "made" / lora.HEAD).write_text(json.dumps(about | {"beside": "another"}), encoding="utf-8")
    with pytest.raises(BadInput, match="along with the encoder another"):
        load(tmp_path / "made", base)


def test_a_text_may_be_half_as_long_as_the_window(head):
    around = len(head.reader.before) + len(head.reader.between)
    assert 2 * networks.window(head) + around <= 256 < 2 * (networks.window(head) + 1) + around
