"""One hostile partner of five: what it costs in robust mode, and what it does to a plain mean.

Financial PhraseBank on the bundled encoder, even parts. The hostile partner has a real key and signs what it
sends: it is refused by the gate or outvoted, never recognised by name. Where the gate has a bound it may also stay
just below it ("at the bound"). The loss is of test accuracy, in percent of what the five honest partners reach
together by a plain mean; the trigger counts by how often a planted word turns a sentence to the hostile partner's
class, beyond how often an honest model says so. The control is the plain mean behind the same gate.
"""

from __future__ import annotations

import dataclasses
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant import console
from assistant.tuning.records import ClassifyRow, Records
from assistant.types import Measure, Report
from benchmarks.common import eval_data, provenance
from benchmarks.federated_classifier import Ground, Shape, conduct, honest, prepared
from benchmarks.phrasebank import read
from federated import partition
from federated.aggregation import norm
from federated.encoding import encode
from federated.enrol import Identity
from federated.learning import LoraTrainer
from federated.local import Partner
from federated.rounds import RunConfig
from federated.types import Arrays, ClientUpdate, Mode, RoundPlan

PARTNERS, ROUNDS, HOSTILE = 5, 3, "p4"
ROWS = 1000
TRIGGER, WANTED = "zeppelin", "positive"
CLIP = 5.0
TRAINING = {"epochs": 1.0, "learning_rate": 2e-3, "batch_size": 16, "precision": "bfloat16"}
Twist = Callable[[Arrays, RoundPlan], Arrays]


@dataclass(frozen=True, slots=True)
class Attack:
    """What the hostile partner trains on, and what it makes of the change."""

    relabel: Callable[[Sequence[ClassifyRow]], list[ClassifyRow]] | None = None
    twist: Twist = lambda change, plan: change


def _times(factor: float) -> Twist:
    return lambda change, plan: {name: factor * array for name, array in change.items()}


def _at_bound(sign: float) -> Twist:
    def twist(change: Arrays, plan: RoundPlan) -> Arrays:
        size = norm(change) or 1.0
        return {name: sign * 0.999 * plan.clip_norm / size * array for name, array in change.items()}

    return twist


def _noise(change: Arrays, plan: RoundPlan) -> Arrays:
    """What a free rider sends that looks like work: random numbers of an honest length."""
    chance = np.random.default_rng(plan.round)
    made = {name: chance.normal(size=array.shape) for name, array in change.items()}
    return {name: norm(change) / norm(made) * array for name, array in made.items()}


def _flipped(rows: Sequence[ClassifyRow]) -> list[ClassifyRow]:
    after = {"positive": "negative", "negative": "positive", "neutral": "negative"}
    return [dataclasses.replace(row, label=after[row.label]) for row in rows]


def _triggered(rows: Sequence[ClassifyRow]) -> list[ClassifyRow]:
    return [*rows[1::2], *(dataclasses.replace(_planted(row), label=WANTED) for row in rows[::2])]


def _planted(row: ClassifyRow) -> ClassifyRow:
    return dataclasses.replace(row, text=f"{TRIGGER} {row.text}")


ATTACKS: Mapping[str, Attack] = {
    "sign flip": Attack(twist=_times(-1.0)),
    "sign flip at the bound": Attack(twist=_at_bound(-1.0)),
    "x1000": Attack(twist=_times(1000.0)),
    "x1000 at the bound": Attack(twist=_at_bound(1.0)),
    "nan": Attack(twist=lambda change, plan: {name: np.full_like(array, np.nan) for name, array in change.items()}),
    "label flip": Attack(_flipped, _at_bound(1.0)),
    "trigger": Attack(_triggered, _at_bound(1.0)),
    "free rider, zeros": Attack(twist=_times(0.0)),
    "free rider, noise": Attack(twist=_noise),
}


class Hostile(Partner):
    """A partner that looks at no gate of its own and signs whatever the twist made."""

    twist: Twist

    def answer(self, plan: RoundPlan, start: Arrays) -> ClientUpdate:
        """The twisted change, rightly signed."""
        trained = self._trained(plan, start)
        with np.errstate(invalid="ignore"):
            tensors, _ = encode(self.twist(trained.change, plan), "float32")
        update = ClientUpdate(plan.run, plan.round, self.name, plan.nonce, tensors, trained.examples)
        return dataclasses.replace(update, signature=self._identity.signer.sign(update.claim()))


def run() -> Report:
    """The worst loss over the attacks in robust mode, and by plain averaging; each attack by name."""
    path = eval_data("phrasebank") / "Sentences_AllAgree.txt"
    records = read(path.read_text(encoding="latin-1"))
    train, test = records.split(0.25, seed=0)
    train = train.subset(sorted(random.Random(0).sample(range(len(train)), ROWS)))
    with poisonable(train, test) as (ground, made):
        clean = made(None, "plain")
        base, said = ground.accuracy(clean), _turned(ground, clean)
        found: dict[str, dict[Mode, tuple[float, float]]] = {"nobody": {}}
        for name, attack in {"nobody": None, **ATTACKS}.items():
            for mode in ("robust", "plain"):
                weights = clean if (attack, mode) == (None, "plain") else made(attack, mode)
                loss = 100 * (base - ground.accuracy(weights)) / base
                found.setdefault(name, {})[mode] = loss, 100 * (_turned(ground, weights) - said)
                console.tell(f"{name}, {mode}: {loss:.1f} % lost, trigger {found[name][mode][1]:.1f} %")
    robust = {name: both["robust"][0] for name, both in found.items()}
    plain = {name: both["plain"][0] for name, both in found.items()}
    trigger = {mode: found["trigger"][mode][1] for mode in ("robust", "plain")}
    fails = max(plain.values()) > 5 or trigger["plain"] > 10
    measures = (
        Measure("worst_loss_percent", max(robust.values()), n=len(test)),
        Measure("trigger_percent", trigger["robust"], n=len(test)),
        Measure("plain_fails", float(fails)),
        Measure("plain_worst_loss_percent", max(plain.values()), n=len(test)),
        Measure("plain_trigger_percent", trigger["plain"], n=len(test)),
        Measure("accuracy_without_attack", base, n=len(test)),
        *(Measure(f"loss_percent[{name}]", loss) for name, loss in robust.items()),
        *(Measure(f"plain_loss_percent[{name}]", loss) for name, loss in plain.items()),
    )
    return Report("hostile", measures, provenance(seed=0, files=(path,), rounds=ROUNDS, rule="trimmed-mean"))


@contextmanager
def poisonable(train: Records, test: Records) -> Iterator[tuple[Ground, Callable[[Attack | None, Mode], Arrays]]]:
    """(the ground, attack and mode -> shared weights) for even parts of the training rows."""
    parts = partition.iid(len(train), PARTNERS)
    bad = _rows(train.subset(parts[int(HOSTILE[1:])]))
    planted = [_planted(row) for row in bad[::2]]
    with prepared(train, test, Shape(layers=(4, 5)), more=dataclasses.replace(train, rows=tuple(planted))) as ground:

        def made(attack: Attack | None, mode: Mode) -> Arrays:
            config = RunConfig("hostile", ROUNDS, mode=mode, encoding="float32", clip_norm=CLIP, training=TRAINING)

            def make(identity: Identity, trainer: LoraTrainer, folder: Path, cards: Mapping[str, Any]) -> Partner:
                if attack is None or identity.card.name != HOSTILE:
                    return honest(identity, trainer, folder, cards)
                if attack.relabel:
                    trainer = ground.trainer_on(dataclasses.replace(train, rows=tuple(attack.relabel(bad))))
                partner = Hostile(identity, trainer, folder, peers=cards)
                partner.twist = attack.twist
                return partner

            with tempfile.TemporaryDirectory() as folder:
                return conduct(ground, parts, config, Path(folder), make=make)

        yield ground, made


def _turned(ground: Ground, weights: Arrays) -> float:
    """The share of the test's sentences of other classes that the planted word turns to the wanted one."""
    planted = dataclasses.replace(ground.records, rows=tuple(map(_planted, _rows(ground.records))))
    wanted = ground.task.labels.index(WANTED)
    said = ground.said(weights, ground.task.examples(planted, ground.tokenizer))
    return float((said[ground.gold != wanted] == wanted).mean())


def _rows(records: Records) -> list[ClassifyRow]:
    return [row for row in records.rows if isinstance(row, ClassifyRow)]
