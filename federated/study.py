"""`federated simulate`: one file of records split among partners, the rounds in one process, beside pooled training.

For questions like: what do skewed partners cost, what does a mode cost. Not a deployment.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from federated import partition
from federated.enrol import Roster, apply, make_identity
from federated.errors import BadRequest
from federated.learning import LoraTrainer, Recipe, frozen_of, put_weights, weights_of
from federated.local import Partner, Policy
from federated.masking import THRESHOLD
from federated.rounds import Coordinator, RunConfig
from federated.simulate import InProcess
from federated.spending import OwnBook, promise
from federated.types import Mode, Promise, RoundResult
from privacy.ledger import Ledger

if TYPE_CHECKING:
    from assistant.settings import Settings

Split = Literal["iid", "size", "label", "customer"]


@dataclass(frozen=True, slots=True)
class Study:
    """What is tried. `alpha` is for the split by label; `size` gives partner i a share of i.

    `dp` is "", example, customer or partner: then the shared run (not the pooled one) keeps `epsilon` at
    `delta`. `clip_norm` bounds a partner's update; `refactor` and `combine` are the run's.
    """

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
    dp: str = ""
    epsilon: float = 8.0
    delta: float = 1e-5
    clip_norm: float = 100.0
    refactor: int = 0
    combine: Literal["mean", "stack"] = "mean"


def run(study: Study, settings: Settings, *, on_round: Callable[[RoundResult], None] | None = None) -> dict[str, Any]:
    """`measures`: the held-out score (mean log-likelihood) untrained, shared, pooled; `rounds`; `sizes` of the parts.

    Pooled is one partner with all rows and as many passes over them. With `dp`, `epsilon` is what each
    partner's own book says it spent.
    """
    from assistant.tuning import data, loop
    from assistant.tuning.records import Records
    from assistant.tuning.tasks import make_task

    records = data.read_records(study.data, study.task)
    kept, aside = records.split(study.held_out, seed=study.seed)
    if not len(aside):
        raise BadRequest(f"{study.data} is too small to keep a test from training.")
    recipe = Recipe(task=study.task, rank=study.rank, labels=records.labels, seed=study.seed, method=_method(study))
    tokenizer, model, _ = recipe.model(settings)
    task = make_task(records)
    test = task.examples(aside, tokenizer)
    start, frozen = weights_of(model), frozen_of(model)

    def score(weights: Any) -> float:
        put_weights(model, {**frozen, **weights})
        return -loop.evaluate(model, task, test)

    def conduct(parts: partition.Parts, mode: Mode, quorum: int, dp: Promise | None = None, **more: Any) -> Coordinator:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            sides: list[Records] = [kept.subset(part) for part in parts]
            books = [_book(root, index) if dp else None for index in range(len(sides))]
            trainers = [
                LoraTrainer(model, task, task.examples(side, tokenizer), book=book)
                for side, book in zip(sides, books, strict=True)
            ]
            sites, roster = enrolled(root, trainers, books, policy=Policy(min_partners=1))
            training = {"epochs": 1.0, "learning_rate": study.rate}
            config = RunConfig(
                "study",
                study.rounds,
                mode=mode,
                quorum=quorum,
                training=training,
                clip_norm=study.clip_norm,
                dp=dp,
                **more,
            )
            book = Ledger(root / "run", holder="study") if config.hides_partners else None
            lead = Coordinator(
                config, root / "run", start, wire=InProcess(sites), verify=roster.verify, book=book, frozen=frozen
            )
            lead.go(on_round or (lambda result: None))
            spent.extend(round(own.epsilon(study.delta, study.dp), 4) for own in books if own)
            return lead

    began, spent = time.time(), list[float]()
    parts = _parts(study, kept)
    shared = conduct(
        parts, study.mode, _quorum(study), promise(study.dp, study.epsilon, study.delta, study.rounds),
        refactor=study.refactor, combine=study.combine,
    )  # fmt: skip
    put_weights(model, {**frozen, **start})  # factorised anew, the frozen matrices are others
    pooled = conduct((tuple(range(len(kept))),), "plain", 1)
    measures = {
        "untrained": score(start),
        "shared": score(shared.sent_weights()),
        "pooled": score(pooled.sent_weights()),
    }
    return {
        "measures": measures,
        **({"epsilon": spent} if study.dp else {}),
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


def _quorum(study: Study) -> int:
    """All partners; with `dp` one fewer, or the first whose budget is spent would end the run."""
    least = 1 if study.mode == "plain" else THRESHOLD
    return min(study.partners, max(least, study.partners - 1)) if study.dp else study.partners


def _method(study: Study) -> Literal["lora", "frozen-a"]:
    return "lora" if study.combine == "stack" else "frozen-a"


def _book(root: Path, index: int) -> OwnBook:
    return OwnBook(Ledger(root / f"p{index}" / "book", holder=f"p{index}"), "study", root / f"p{index}" / "run")


def enrolled(
    root: Path, trainers: Sequence[LoraTrainer], books: Sequence[OwnBook | None], *, policy: Policy
) -> tuple[list[Partner], Roster]:
    """Partners p0, p1 ... with keys and folders of their own, and the roster that knows them."""
    roster, identities = Roster(root), []
    for index in range(len(trainers)):
        identity = make_identity(root / f"p{index}", f"p{index}")
        roster.enrol(apply(roster.invite(f"p{index}", address="", authority="", coordinator=""), identity), now=0.0)
        identities.append(identity)
    cards = roster.cards()
    return [
        Partner(identity, trainer, root / identity.card.name / "run", peers=cards, policy=policy, book=book)
        for identity, trainer, book in zip(identities, trainers, books, strict=True)
    ], roster
