import pytest
import tiny
import torch

from assistant.errors import BadInput
from assistant.tuning.attribution import attribute
from assistant.tuning.classifier import LoadedClassifier
from assistant.tuning.networks import Classifier


def made(pooling="mean"):
    model = Classifier(tiny.bert(), ("calm", "angry"), pooling).eval()
    with torch.no_grad():
        model.head.weight.normal_(generator=torch.Generator().manual_seed(1))
    return LoadedClassifier(tiny.tokenizer(bert=True), model)


def test_the_words_scores_add_up_to_the_difference_they_make():
    found = attribute(made(), "is the red tent open", steps=200)
    assert [each.word for each in found.words] == ["is", "the", "red", "tent", "open"]
    assert found.error < 0.05
    assert all(word.word == "is the red tent open"[word.start : word.end] for word in found.words)


def test_unknown_words_have_no_part_in_it():
    found = attribute(made(), "red zzzz tent")
    assert found.words[1].score == pytest.approx(0.0, abs=1e-6)


def test_the_label_asked_for_is_explained():
    classifier = made()
    sure = attribute(classifier, "angry tent")
    other = next(label for label in classifier.labels if label != sure.label)
    against = attribute(classifier, "angry tent", label=other)
    assert against.label == other
    assert sure.probability + against.probability == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("pooling", "text", "label", "said"),
    [
        ("tokens", "red", "", "tagger"),
        ("twice", "red", "", "twice"),
        ("mean", " ", "", "empty"),
        ("mean", "red", "furious", "furious"),
    ],
)
def test_what_cannot_be_explained_is_refused(pooling, text, label, said):
    with pytest.raises(BadInput, match=said):
        attribute(made(pooling), text, label=label)
