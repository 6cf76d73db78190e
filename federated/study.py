"""`federated simulate`: one file of records split among partners, the rounds in one process, beside pooled training.

For questions like: what do skewed partners cost, what does a mode cost. Not a deployment.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from federated import partition
from federated.enrol import Roster, apply, make_identity
from federated.errors import BadRequest
from federated.learning import LoraTrainer, Recipe, put_weights, weights_of
from federated.local import Partner, Policy
from federated.rounds import Coordinator, RunConfig
from federated.simulate import InProcess
from federated.types import Mode, RoundResult

if TYPE_CHECKING:
    from assistant.settings import Settings

Split = Literal["iid", "size", "label", "customer"]


@dataclass(frozen=True, slots=True)
class Study:
    """What is tried. `alpha` is for the split by label; `size` gives partner i a share of i."""

    data: Path
    task: Literal["chat", "classify", "tag"] = "chat"
    partners: int = 5
    split: Split = "iid"
    alpha: float = 0.5
    rounds: int = 5
    mode: Mode = "masked"
    rate: float = 1e-3
    rank: int = 8
    held_out: float = 0.2
    seed: int = 0


def run(study: Study, settings: Settings, *, on_round: Callable[[RoundResult], None] | None = None) -> dict[str, Any]:
    """`measures`: the held-out score (mean log-likelihood) untrained, shared, pooled; `rounds`; `sizes` of the parts.

    Pooled is one partner with all rows and as many passes over them.
    """
    from assistant.tuning import data, loop
    from assistant.tuning.records import Records
    from assistant.tuning.tasks import make_task

    records = data.read_records(study.data, study.task)
    kept, aside = records.split(study.held_out, seed=study.seed)
    if not len(aside):
        raise BadRequest(f"{study.data} is too small to keep a test from training.")
    tokenizer, model, _ = Recipe(task=study.task, rank=study.rank, labels=records.labels, seed=study.seed).model(
        settings
    )
    task = make_task(records)
    test = task.examples(aside, tokenizer)
    start = weights_of(model)

    def score(weights: Any) -> float:
        put_weights(model, weights)
        return -loop.evaluate(model, task, test)

    def conduct(parts: partition.Parts, mode: Mode, quorum: int) -> Coordinator:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            sides: list[Records] = [kept.subset(part) for part in parts]
            trainers = [LoraTrainer(model, task, task.examples(side, tokenizer)) for side in sides]
            sites, roster = _sites(root, trainers)
            training = {"epochs": 1.0, "learning_rate": study.rate}
            config = RunConfig("study", study.rounds, mode=mode, quorum=quorum, training=training, clip_norm=100.0)
            lead = Coordinator(config, root / "run", start, wire=InProcess(sites), verify=roster.verify)
            lead.go(on_round or (lambda result: None))
            return lead

    began = time.time()
    parts = _parts(study, kept)
    shared = conduct(parts, study.mode, study.partners)
    pooled = conduct((tuple(range(len(kept))),), "plain", 1)
    measures = {
        "untrained": score(start),
        "shared": score(shared.sent_weights()),
        "pooled": score(pooled.sent_weights()),
    }
    return {
        "measures": measures,
        "sizes": [len(part) for part in parts],
        "rounds": [result.to_dict() for result in shared.results],
        "seconds": time.time() - began,
    }


def _parts(study: Study, records: Any) -> partition.Parts:
    rows, count, seed = len(records), study.partners, study.seed
    if study.split == "size":
        return partition.by_size(rows, [1.0 + index for index in range(count)], seed=seed)
    if study.split == "label":
        if study.task != "classify":
            raise BadRequest("The split by label is for the task classify.")
        return partition.by_label([row.label for row in records.rows], count, alpha=study.alpha, seed=seed)
    if study.split == "customer":
        return partition.by_owner(
            [row.customer or str(index) for index, row in enumerate(records.rows)], count, seed=seed
        )
    if study.split == "iid":
        return partition.iid(rows, count, seed=seed)
    raise BadRequest(f"There is no split {study.split!r}.", hint="One of: iid, size, label, customer.")


def _sites(root: Path, trainers: list[LoraTrainer]) -> tuple[list[Partner], Roster]:
    roster, identities = Roster(root), []
    for index in range(len(trainers)):
        identity = make_identity(root / f"p{index}", f"p{index}")
        roster.enrol(apply(roster.invite(f"p{index}", address="", authority="", coordinator=""), identity), now=0.0)
        identities.append(identity)
    cards, policy = roster.cards(), Policy(min_partners=1)
    return [
        Partner(identity, trainer, root / identity.card.name / "run", peers=cards, policy=policy)
        for identity, trainer in zip(identities, trainers, strict=True)
    ], roster
