"""BANKING77 among five companies, beside one company that has all of it, and beside each of the five alone.

LoRA in the uppermost layer (frozen A, B and the head trained) on the bundled encoder, masked rounds by the product's
own coordinator, partners weighed by their rows. All sides have the same start, seed, options and number of passes over
their rows, so the same gradient steps in all: a pooled run is a federation of one. All training data, all test data;
rounds, passes, rate and calibration were chosen on rows held out of the training data.

Long, so it goes on where it was: rounds and finished sides lie under benchmarks/results/federated-banking77.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from assistant import console, metrics
from assistant.tuning.records import ClassifyRow, Records
from assistant.types import Measure, Report
from benchmarks.banking77 import _data
from benchmarks.common import ROOT, provenance
from benchmarks.federated_classifier import Ground, Shape, conduct, prepared
from federated import partition
from federated.learning import CALIBRATED
from federated.partition import Parts
from federated.rounds import RunConfig

PARTNERS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained; `rows` 0 = all. All of it decides which pieces on the disk fit."""

    rows: int = 0
    layers: tuple[int, ...] = (5,)
    rounds: int = 6
    epochs: float = 2.0
    rate: float = 2e-3
    batch: int = 16
    calibrated: float = 1.0
    clip_norm: float = 100.0
    alpha: float = 0.5
    seed: int = 0


def run(plan: Plan = Plan()) -> Report:
    """Gaps in points of accuracy to the pooled run, evenly dealt and skewed by label, and over the best partner alone."""
    everything, test, files = _data()
    chance = random.Random(plan.seed)
    train = everything.subset(sorted(chance.sample(range(len(everything)), plan.rows or len(everything))))
    labels = [row.label for row in train.rows if isinstance(row, ClassifyRow)]
    splits: dict[str, Parts] = {
        "iid": partition.iid(len(train), PARTNERS, seed=plan.seed),
        "dirichlet": partition.by_label(labels, PARTNERS, alpha=plan.alpha, seed=plan.seed),
    }
    with prepared(train, test, Shape(layers=plan.layers, seed=plan.seed)) as ground:
        pooled = _right(ground, plan, "pooled", (tuple(range(len(train))),), train)
        shared = {name: _right(ground, plan, name, parts, train) for name, parts in splits.items()}
        alone = {
            name: max(
                (_right(ground, plan, f"{name}-{place}", (part,), train) for place, part in enumerate(parts)),
                key=lambda hits: hits.mean(),
            )
            for name, parts in splits.items()
        }
    gaps = {name: 100 * (pooled.mean() - hits.mean()) for name, hits in shared.items()}
    over = {name: 100 * (hits.mean() - alone[name].mean()) for name, hits in shared.items()}
    measures = (
        *(Measure(f"gap_{name}", gap, n=len(test)) for name, gap in gaps.items()),
        Measure("over_best_single", min(over.values()), n=len(test)),
        metrics.share("accuracy_pooled", pooled.tolist()),
        *(metrics.share(f"accuracy_{name}", hits.tolist()) for name, hits in shared.items()),
        *(metrics.share(f"accuracy_best_single_{name}", hits.tolist()) for name, hits in alone.items()),
        *(Measure(f"over_best_single_{name}", value, n=len(test)) for name, value in over.items()),
    )
    sizes = {name: [len(part) for part in parts] for name, parts in splits.items()}
    about = {"plan": asdict(plan), "sizes": sizes, "rows_of": len(everything)}
    return Report("federated-banking77", measures, provenance(seed=plan.seed, files=files, about=about))


def _right(ground: Ground, plan: Plan, name: str, parts: Parts, train: Records) -> np.ndarray:
    """Which of the test's texts one side gets right, from the disk where it is finished."""
    about = json.dumps(asdict(plan)) + train.sha256
    folder = ROOT / "benchmarks" / "results" / "federated-banking77" / hashlib.sha256(about.encode()).hexdigest()[:12]
    done = folder / f"{name}.json"
    if not done.is_file():
        masked = len(parts) > 1
        config = RunConfig(
            name, plan.rounds, mode="masked" if masked else "plain", encoding="float32", quorum=len(parts),
            clip_norm=plan.clip_norm, training=_training(plan), cosine=True,
            weights=tuple((f"p{place}", float(len(part))) for place, part in enumerate(parts)),
        )  # fmt: skip
        weights = conduct(ground, parts, config, folder / name)
        hits = [bool(hit) for hit in ground.said(weights) == ground.gold]
        done.write_text(json.dumps(hits), encoding="utf-8")
        console.tell(f"{name}: {np.mean(hits):.4f}")
    return np.array(json.loads(Path(done).read_text(encoding="utf-8")), dtype=bool)


def _training(plan: Plan) -> dict[str, object]:
    return {
        "epochs": plan.epochs, "learning_rate": plan.rate, "batch_size": plan.batch, "precision": "bfloat16",
        CALIBRATED: plan.calibrated,
    }  # fmt: skip
