import numpy as np
import tiny
import torch
from sklearn.linear_model import LogisticRegression

from assistant.tuning import lora
from assistant.tuning.heads import embeddings, fit_probe, start_from_centroids
from assistant.tuning.networks import Classifier
from assistant.tuning.records import ClassifyRow, records_of
from assistant.tuning.tasks import ClassifyTask

ROWS = [
    ClassifyRow(text, label)
    for label, texts in {
        "colour": ("red tent", "blue boots", "is it red", "a blue tent"),
        "time": ("how long open", "open late", "30 days", "how long is it"),
        "mood": ("angry", "happy", "i is angry", "i is happy"),
    }.items()
    for text in texts
]


def made():
    records = records_of("classify", ROWS)
    task = ClassifyTask(records.labels)
    model = lora.attach(Classifier(tiny.bert(), records.labels, "mean"), lora.LoraPlan(rank=2))
    return model, task, task.examples(records, tiny.tokenizer(bert=True))


def test_the_head_starts_as_the_nearest_centroid_classifier():
    model, task, examples = made()
    start_from_centroids(model, task, examples)
    batch = task.collate(examples)
    with torch.no_grad():
        rows = model.embed(batch.ids, batch.attention)
        centroids = torch.stack([rows[batch.classes == each].mean(0) for each in range(3)])
        centroids = torch.nn.functional.normalize(centroids, dim=-1)
        assert torch.allclose(model.head.weight, centroids, atol=1e-5)
        nearest = (rows @ centroids.T).argmax(1)
        assert torch.equal(model(batch.ids, batch.attention).argmax(1), nearest)


def test_a_class_without_examples_gets_no_centroid():
    model, task, examples = made()
    start_from_centroids(model, task, [each for each in examples if each.labels != (1,)])
    assert torch.equal(model.head.weight[1], torch.zeros(32))
    assert model.head.weight[0].norm() > 0.99


def test_what_the_head_reads_is_of_length_one_and_knows_no_padding():
    model, task, examples = made()
    alone = [model.embed(*_inputs(task, [each])) for each in examples]
    together = model.embed(*_inputs(task, examples))
    assert torch.allclose(torch.cat(alone), together, atol=1e-5)
    assert torch.allclose(together.norm(dim=1), torch.ones(len(examples)), atol=1e-5)


def _inputs(task, examples):
    batch = task.collate(examples)
    return batch.ids, batch.attention


def test_a_probe_learns_its_own_examples():
    model, task, examples = made()
    fit_probe(model, task, examples, strength=1e4)
    batch = task.collate(examples)
    with torch.no_grad():
        assert torch.equal(model(batch.ids, batch.attention).argmax(1), batch.classes)


def test_a_probe_of_two_classes_gives_scikit_learns_probabilities():
    rows = [row for row in ROWS if row.label != "mood"]
    records = records_of("classify", rows)
    task = ClassifyTask(records.labels)
    model = Classifier(tiny.bert(), records.labels, "mean")
    examples = task.examples(records, tiny.tokenizer(bert=True))
    fit_probe(model, task, examples, strength=5.0)
    features, classes = embeddings(model, task, examples), [each.labels[0] for each in examples]
    expected = LogisticRegression(C=5.0, max_iter=300).fit(features, classes).predict_proba(features)
    with torch.no_grad():
        odds = task.predict(model, task.collate(examples)).numpy()
    assert np.allclose(odds, expected, atol=1e-5)


def test_embeddings_keep_the_order_of_the_examples():
    model, task, examples = made()
    alone = np.concatenate([embeddings(model, task, [each]) for each in examples])
    assert np.allclose(embeddings(model, task, examples), alone, atol=1e-5)
