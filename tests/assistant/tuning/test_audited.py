"""An audited training: the control is caught, the model stays as it was, canaries look like records."""

import pytest

pytest.importorskip("torch")
import torch
from tiny import bert, llama

from assistant.tuning import lora
from assistant.tuning.audited import audit, made_up
from assistant.tuning.loop import LoopOptions
from assistant.tuning.networks import Classifier
from assistant.tuning.tasks import ClassifyTask
from assistant.tuning.twice import Reader
from assistant.types import Example
from privacy.types import PrivacySpend

LABELS = tuple("abcdefgh")


def test_canaries_have_the_lengths_and_tokens_of_records_and_are_nobody_else():
    like = [Example((7, 8, 9), (0, 1, 1), labels=(1,)), Example((7, 5), (0, 0), labels=(0,))]
    made = made_up(ClassifyTask(("a", "b")), like, 50)
    assert len({example.owner for example in made}) == 50
    assert all(set(example.ids) <= {5, 7, 8, 9} and len(example.ids) in (2, 3) for example in made)
    assert all(any(example.mask) for example in made)


def test_without_noise_the_attack_sees_more_than_with_it_and_the_model_stays():
    task, model = ClassifyTask(LABELS), lora.attach(Classifier(bert(), LABELS, "mean"), lora.LoraPlan(rank=4))
    rows = [Example(tuple(5 + (n * k) % 90 for k in range(1, 9)), (1,) * 8, labels=(n % 8,)) for n in range(30)]
    before = [value.clone() for value in model.parameters()]
    options = LoopOptions(epochs=25, batch_size=32, learning_rate=2e-2, precision="float32")

    def plan(examples):
        return PrivacySpend("dpsgd", 8.0, 32 / len(examples), 200, 1.0, "example", "toy")

    report = audit(model, task, rows, options, plan=plan, delta=1e-5, canaries=made_up(task, rows, 60))
    assert report.control.auroc > 0.7
    assert report.control.auroc > report.private.auroc
    assert report.private.epsilon <= report.claimed_epsilon
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not any(getattr(value, "grad_sample", None) is not None for value in model.parameters())


def test_a_head_that_reads_twice_is_audited_as_it_was_trained_and_reads_each_text_once(monkeypatch):
    model = Classifier(llama().model, LABELS, "twice", around=((5, 6), (7,)))
    task, model, asked = ClassifyTask(LABELS), lora.attach(model, lora.LoraPlan("head")), []
    rows = [Example((5 + n, 6, 7), (1, 1, 1), labels=(n % 8,)) for n in range(10)]
    canaries = made_up(task, rows, 20)
    read = Reader.read
    monkeypatch.setattr(Reader, "read", lambda self, net, texts: asked.extend(texts) or read(self, net, texts))
    spend = PrivacySpend("dpsgd", 8.0, 1.0, 4, 1.0, "example", "toy")
    options = LoopOptions(learning_rate=2e-2, precision="float32")
    audit(model, task, rows, options, plan=lambda examples: spend, delta=1e-5, canaries=canaries, steps=4)
    assert len(asked) <= 2 * len(rows) + len(canaries), "the records, the made-up ones of the control, the canaries"
    assert not model.reader.common.any(), "the model stays as it was"
