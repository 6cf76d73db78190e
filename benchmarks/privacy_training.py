"""Private training measured: what attacks prove, what it costs in time and memory, what it costs in accuracy."""

from __future__ import annotations

import random
from typing import Any

from assistant.types import Example, Measure, Report
from benchmarks.common import provenance
from privacy.types import PrivacyBudget, PrivacySpend

LABELS = tuple(f"class {number}" for number in range(20))


def audit() -> Report:
    """A small encoder's LoRA and head on 400 made-up rows and 400 canaries, epsilon 3, three seeds."""
    import torch

    from assistant.tuning import lora
    from assistant.tuning.audited import audit as run
    from assistant.tuning.audited import made_up
    from assistant.tuning.loop import LoopOptions
    from assistant.tuning.networks import Classifier
    from assistant.tuning.tasks import ClassifyTask

    torch.set_num_threads(1)
    task, measures = ClassifyTask(LABELS), []
    reports = []
    for seed in range(3):
        rows = _rows(seed, 400)
        model = lora.attach(Classifier(_encoder(seed), LABELS, "mean", seed=seed), lora.LoraPlan(rank=8, seed=seed))
        options = LoopOptions(epochs=40, batch_size=64, learning_rate=5e-3, seed=seed, precision="float32")
        reports.append(
            run(model, task, rows, options, plan=_plan(options), delta=1e-5, canaries=made_up(task, rows, 400))
        )
    claimed = min(report.claimed_epsilon for report in reports)
    audited = max(report.private.epsilon for report in reports)
    control = min(report.control.epsilon for report in reports)
    measures = [
        Measure("claimed_epsilon", claimed, n=3),
        Measure("audited_epsilon", audited, n=3),
        Measure("audited_over_claimed", audited / claimed, n=3),
        Measure("control_epsilon", control, n=3),
        Measure("auroc", max(report.private.auroc for report in reports), n=3),
        Measure("control_auroc", min(report.control.auroc for report in reports), n=3),
        Measure("tpr_at_1_fpr", max(report.private.tpr_at_1_fpr for report in reports), n=3),
        Measure("control_tpr_at_1_fpr", min(report.control.tpr_at_1_fpr for report in reports), n=3),
    ]
    return Report("privacy-audit", tuple(measures), provenance(seed=0))


def _plan(options: Any) -> Any:
    from assistant.tuning.batches import Batches
    from privacy.accounting import calibrate

    def plan(rows: Any) -> PrivacySpend:
        rate, steps = options.batch_size / len(rows), len(Batches(tuple(rows), options.batch_size, options.epochs))
        noise = calibrate(PrivacyBudget(3.0, 1e-5, "example"), sample_rate=rate, steps=steps)
        return PrivacySpend("dpsgd", noise, rate, steps, 1.0, "example", "canaries")

    return plan


def _rows(seed: int, count: int) -> list[Example]:
    chance = random.Random(seed)
    made = []
    for number in range(count):
        ids = tuple(chance.randrange(1, 2000) for _ in range(chance.randint(6, 12)))
        made.append(Example(ids, (1,) * len(ids), labels=(chance.randrange(len(LABELS)),), owner=f"c{number}"))
    return made


def _encoder(seed: int) -> Any:
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=2000, hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256,
        max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    net = BertModel(config, add_pooling_layer=False)
    net.requires_grad_(False)
    return net.eval()
