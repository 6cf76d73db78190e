"""What each partner's book says after ten private rounds, against the one calibration, on the bundled encoder."""

from __future__ import annotations

import dataclasses
import json
import random
import tempfile
from pathlib import Path

from assistant.settings import load_settings
from assistant.tuning import records
from assistant.tuning.records import ClassifyRow
from assistant.tuning.tasks import make_task
from assistant.types import Measure, Report
from benchmarks.common import provenance
from federated.learning import LoraTrainer, Recipe, weights_of
from federated.local import Policy
from federated.rounds import Coordinator, RunConfig
from federated.simulate import InProcess
from federated.spending import OwnBook, promise
from federated.study import enrolled
from privacy.accounting import epsilon
from privacy.ledger import Ledger
from privacy.types import PrivacySpend, Unit

ROUNDS = 10
SIZES = (24, 36, 60)
TARGET, DELTA = 8.0, 1e-5
LABELS = ("delivery", "payment", "return")
_WORDS = {
    "delivery": "when will my parcel arrive|the courier lost my order|can you ship it to the islands".split("|"),
    "payment": "can I pay by invoice|my card was charged twice|which currencies do you take".split("|"),
    "return": "how do I send the boots back|the refund has not come|can I return a worn coat".split("|"),
}


def run() -> Report:
    """The largest difference of a partner's booked epsilon to its calibration, over both units and all partners."""
    errors: list[float] = []
    naive: list[float] = []
    booked: list[float] = []
    units: tuple[Unit, ...] = ("example", "customer")
    for unit in units:
        with tempfile.TemporaryDirectory() as folder:
            for spent, calibrated, one_round in _books(Path(folder), unit):
                booked.append(spent)
                errors.append(abs(spent - calibrated))
                naive.append(abs(one_round - calibrated))
    measures = (
        Measure("epsilon_error", max(errors), n=len(errors)),
        Measure("epsilon_booked_most", max(booked), n=len(booked)),
        Measure("epsilon_booked_least", min(booked), n=len(booked)),
        Measure("one_round_counted_alone_error", min(naive), n=len(naive)),
    )
    return Report("federated-ledger", measures, provenance(seed=0))


def _books(root: Path, unit: Unit) -> list[tuple[float, float, float]]:
    """(booked after the run, calibrated for the run, what one round alone would look like) of each partner."""
    tokenizer, model, _ = Recipe(task="classify", rank=4, targets=("query", "value"), labels=LABELS).model(
        load_settings()
    )
    books, trainers = [], []
    for number, size in enumerate(SIZES):
        kept = records.records_of("classify", _rows(number, size), labels=LABELS)
        task = make_task(kept)
        home = root / f"p{number}"
        books.append(OwnBook(Ledger(home / "book", holder=f"p{number}"), "tickets", home / "run"))
        trainers.append(LoraTrainer(model, task, task.examples(kept, tokenizer), book=books[-1]))
    sites, roster = enrolled(root, trainers, books, policy=Policy())
    training = {"epochs": 1.0, "learning_rate": 1e-3, "batch_size": 8, "precision": "float32"}
    config = RunConfig("ledger", ROUNDS, mode="masked", training=training, dp=promise(unit, TARGET, DELTA, ROUNDS))
    lead = Coordinator(config, root / "run", weights_of(model), wire=InProcess(sites), verify=roster.verify)
    results = lead.go()
    assert all(len(result.accepted) == len(SIZES) for result in results), results
    found = []
    for number, book in enumerate(books):
        kept_plan = json.loads((root / f"p{number}" / "run" / "calibration.json").read_text(encoding="utf-8"))
        part = PrivacySpend.from_dict(kept_plan["spend"])
        whole = dataclasses.replace(part, steps=part.steps * len(results))
        spends = book.ledger.book().spends("tickets")
        calibrated = epsilon([whole], DELTA, unit=unit)
        found.append((book.epsilon(DELTA, unit), calibrated, epsilon(spends[:1], DELTA, unit=unit)))
    return found


def _rows(number: int, size: int) -> list[ClassifyRow]:
    chance = random.Random(number)
    made = []
    for line in range(size):
        label = LABELS[line % len(LABELS)]
        text = f"{chance.choice(_WORDS[label])}, order {chance.randrange(10_000)}"
        made.append(ClassifyRow(text, label, customer=f"c{line // 2}", line=line + 1))
    return made
