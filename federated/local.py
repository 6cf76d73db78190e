"""One partner's side of a round: its own data, its own keys, its own policy. Nothing else leaves.

plan -> policy -> train from the shared weights -> change -> clip -> weight -> encode or mask ->
look at it as the gate will -> manifest on this partner's disk -> sign -> `ClientUpdate`.

A round that is asked for again (the coordinator was killed) is answered from what was trained the
first time: it costs no privacy twice. What is not here: the wire, and the coordinator's half.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from federated import gate
from federated.aggregation import clip, norm
from federated.config import CARDS
from federated.encoding import encode
from federated.enrol import Card, Identity
from federated.errors import PolicyVeto, RoundVoid
from federated.masking import Disclosure, Masker
from federated.spending import OwnBook, round_spend
from federated.types import Arrays, ClientUpdate, Encoded, Mode, RoundPlan, TensorSpec
from federated.weights import load_weights, save_weights, weights_sha256
from privacy.erasure import append_line
from privacy.errors import BudgetExceeded
from privacy.keys import durable_write, is_signed
from privacy.ledger import MOST_DELTA
from privacy.types import PrivacySpend

SENT, SKIPPED, TOLD = "sent.jsonl", "skipped.jsonl", "told.jsonl"
"""In a partner's `run/`: the updates that left, the rounds that were sat out, the measures that were told."""
COUNT = "n"
"""Among a partner's measures: how many records they are of, so that all partners' can be added up."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a trainer did in one round: the change of the weights, and what may be said about it."""

    change: Arrays
    examples: int
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    spend: PrivacySpend | None = None


class Trainer(Protocol):
    """The learning itself: LoRA by the assistant's loop (`learning.py`), or a stand-in in tests."""

    def tensors(self) -> tuple[TensorSpec, ...]:
        """What is trained and therefore sent."""
        ...

    def train(self, start: Arrays, plan: RoundPlan) -> Trained:
        """Trains from the shared weights on this partner's data, by the plan's options."""
        ...

    def evaluate(self, weights: Arrays) -> Mapping[str, float]:
        """This partner's own measures of shared weights; higher is better."""
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """What this partner lets happen. Its own file, read at its own site; the plan cannot change it.

    `tensors` is a pattern that every name sent must match; `reports` the metrics that may be told;
    `coordinators` the runs' names it takes part in, () = any; `evaluates` = tells its own measures
    of the shared adapter, `evaluates_private` also in a run with differential privacy, whose epsilon does not
    cover them. `max_epsilon` is the most a run may promise to spend of its data, 0 = no limit of its own; with one,
    a run that promises nothing is vetoed.
    """

    modes: tuple[Mode, ...] = ("masked", "robust", "plain")
    tensors: str = r".*lora_(A|B)\..*|head\..*|gram"
    max_rounds: int = 100
    max_norm: float = 1e3
    min_partners: int = 2
    max_megabytes: float = 64.0
    reports: tuple[str, ...] = ("loss",)
    runs: tuple[str, ...] = ()
    evaluates: bool = True
    evaluates_private: bool = False
    max_epsilon: float = 0.0

    def check(self, plan: RoundPlan) -> None:
        """Passes a plan this partner agrees to.

        Raises:
            PolicyVeto: everything in it that it does not agree to.
        """
        odd = [spec.name for spec in plan.tensors if not re.fullmatch(self.tensors, spec.name)]
        objections = [
            (plan.mode not in self.modes, f"the mode {plan.mode}"),
            (bool(odd), f"sending {', '.join(odd[:2])}"),
            (plan.round > self.max_rounds, f"more than {self.max_rounds} rounds"),
            (not plan.clip_norm <= self.max_norm, f"updates of norm {plan.clip_norm:g}"),
            (len(plan.partners) < self.min_partners, f"fewer than {self.min_partners} partners"),
            (4e-6 * plan.size > self.max_megabytes, f"more than {self.max_megabytes:g} MB"),
            (bool(self.runs) and plan.run not in self.runs, f"the run {plan.run}"),
            (self.max_epsilon > 0 and plan.dp is None, "training without differential privacy"),
            (not _means_something(plan), f"a promise without a finite epsilon, or with a delta above {MOST_DELTA:g}"),
        ]
        vetoed = [text for against, text in objections if against]
        if vetoed:
            raise PolicyVeto(
                f"This partner's policy does not allow {'; '.join(vetoed)}.", hint="See: federated partner status"
            )


def _means_something(plan: RoundPlan) -> bool:
    """Whether what the plan promises bounds anything; the coordinator sets it."""
    return plan.dp is None or (0 < plan.dp.epsilon < math.inf and 0 < plan.dp.delta <= MOST_DELTA)


class Partner:
    """A partner in a run. `folder` is its own, for what must survive a crash; `peers` the cards it masks with;
    `data` a hash of what it would train on now."""

    def __init__(
        self,
        identity: Identity,
        trainer: Trainer,
        folder: Path,
        *,
        peers: Mapping[str, Card] | None = None,
        policy: Policy | None = None,
        book: OwnBook | None = None,
        data: Callable[[], str] = lambda: "",
    ) -> None:
        self.name = identity.card.name
        self._identity = identity
        self._trainer = trainer
        self._folder = folder
        self._peers = {name: card.check() for name, card in (peers or {}).items()}
        self.policy = policy or Policy()
        self._book = book
        self._data = data

    def answer(self, plan: RoundPlan, start: Arrays) -> ClientUpdate:
        """This partner's update for a plan, signed.

        Raises:
            PolicyVeto: its policy says no, or its privacy budget is spent; nothing was trained.
            UpdateRefused: what came out of the training would not pass the gate; nothing was sent.
        """
        self.policy.check(plan)
        if weights_sha256(start) != plan.start_sha256:
            raise RoundVoid("The weights that came are not those of the plan.")
        if plan.tensors != self._trainer.tensors():
            raise PolicyVeto("The plan asks for other tensors than this partner's model trains.")
        with self._keeping_quiet(plan):
            self._require_budget(plan)
            trained = self._trained(plan, start)
        change = clip(trained.change, plan.clip_norm)
        told = {name: float(value) for name, value in trained.metrics.items() if name in self.policy.reports}
        update = ClientUpdate(
            plan.run, plan.round, self.name, plan.nonce, self._protected(plan, change, start), trained.examples, told
        )
        update = dataclasses.replace(update, signature=self._identity.signer.sign(update.claim()))
        gate.check(plan, update, verify=self._is_mine, now=0.0)
        spend = round_spend(plan, self._dataset) if plan.hides_partners else trained.spend
        if plan.mode != "masked":
            with self._keeping_quiet(plan):
                self._charge_sum(plan)
        self._note(plan, update, norm(change), spend)
        return update

    def disclose(self, plan: RoundPlan, arrived: tuple[str, ...]) -> Disclosure:
        """The second exchange of a masked round (see `masking.py`); one list per attempt, also after a crash."""
        path = self._masks(plan)
        if not path.exists():
            raise RoundVoid("This partner sent nothing in this attempt; it has no mask to take off.")
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept.get("arrived") not in (None, sorted(arrived)):
            raise RoundVoid("This partner has answered another list of arrivals in this attempt; it answers one only.")
        disclosure = self._masker(plan, bytes.fromhex(kept["seed"])).disclose(arrived)
        if "arrived" not in kept:
            with self._keeping_quiet(plan):
                self._charge_sum(plan)  # only with this can the sum be read
        durable_write(path, json.dumps({**kept, "arrived": sorted(arrived)}).encode())
        return disclosure

    def evaluate(self, weights: Arrays, *, private: bool = False) -> Mapping[str, float]:
        """Its own measures of shared weights; nothing where its policy keeps them. `private` = in a run with
        differential privacy."""
        tells = self.policy.evaluates and (self.policy.evaluates_private or not private)
        found = self._trainer.evaluate(weights) if tells else {}
        if found:
            append_line(self._folder / TOLD, {"at": time.time(), "measures": dict(found)})
        return found

    # Privacy of the sum: the unit partner

    @property
    def _dataset(self) -> str:
        return self._book.dataset if self._book else self.name

    def _require_budget(self, plan: RoundPlan) -> None:
        if plan.hides_partners and self._book is not None:
            self._book.require(plan, round_spend(plan, self._dataset))

    def _charge_sum(self, plan: RoundPlan) -> None:
        """The noisy sum's spend on this partner's own book, before the sum can be learned."""
        if plan.hides_partners and self._book is not None:
            self._book.settle(self._book.charge(plan, round_spend(plan, self._dataset)), steps=1)

    @contextlib.contextmanager
    def _keeping_quiet(self, plan: RoundPlan) -> Iterator[None]:
        """Turns a refusal of the book into a veto without numbers: how much is spent is this partner's own business."""
        try:
            yield
        except BudgetExceeded as error:
            note_skipped(self._folder, plan, str(error))
            raise PolicyVeto("Its privacy budget is spent: it sits this round out.") from error

    def _source(self, plan: RoundPlan) -> str:
        """What may be sent for a plan must have been made of: the same records, under the same promise."""
        promised = dataclasses.asdict(plan.dp) if plan.dp else None
        return hashlib.sha256(json.dumps([promised, self._data()], sort_keys=True).encode()).hexdigest()

    def _trained(self, plan: RoundPlan, start: Arrays) -> Trained:
        """The round's training, done once: a repeated round is answered from the disk."""
        path = self._folder / "trained.safetensors"
        # who else takes part is no option of the training
        options = {name: value for name, value in plan.training.items() if name != CARDS}
        key = f"{plan.run}/{plan.round}/{plan.start_sha256}/{self._source(plan)}/{json.dumps(options, sort_keys=True)}"
        if path.exists():
            change, about = load_weights(path)
            if about["key"] == key:
                spend = PrivacySpend.from_dict(about["spend"]) if about["spend"] else None
                return Trained(change, about["examples"], about["metrics"], spend)
        trained = self._trainer.train(start, plan)
        about = {
            "key": key,
            "examples": trained.examples,
            "metrics": dict(trained.metrics),
            "spend": trained.spend.to_dict() if trained.spend else None,
        }
        save_weights(path, trained.change, about)
        return trained

    def _protected(self, plan: RoundPlan, change: Arrays, start: Arrays) -> dict[str, Encoded]:
        if plan.mode == "masked":
            masker = self._masker(plan)
            durable_write(self._masks(plan), json.dumps({"seed": masker.own_seed.hex()}).encode())
            return masker.protect(change, plan.weights[plan.partners.index(self.name)])
        # matrices that were factorised anew have other directions: what was lost in the old ones is let go
        basis = weights_sha256({name: array for name, array in start.items() if name not in change})
        basis += self._source(plan)
        return self._with_feedback(plan, change, basis)

    def _with_feedback(self, plan: RoundPlan, change: Arrays, basis: str) -> dict[str, Encoded]:
        """Encoded with what the rounds before lost; a repeated round sends the same again."""
        path = self._folder / "residual.safetensors"
        before: Arrays | None = None
        if path.exists():
            kept, about = load_weights(path)
            if (about["run"], about.get("basis")) == (plan.run, basis):
                half = "after" if about["round"] < plan.round else "before"
                before = {name: kept[f"{half}/{name}"] for name in change if f"{half}/{name}" in kept} or None
        wanted = change if before is None else {name: array + before[name] for name, array in change.items()}
        sent, lost = encode(clip(wanted, plan.clip_norm), plan.encoding)
        zeros = {name: np.zeros_like(array) for name, array in change.items()}
        both = {f"before/{name}": array for name, array in (before or zeros).items()}
        both |= {f"after/{name}": array for name, array in lost.items()}
        save_weights(path, both, {"run": plan.run, "round": plan.round, "basis": basis})
        return sent

    def _masks(self, plan: RoundPlan) -> Path:
        if not re.fullmatch(r"[0-9a-f]{8,64}", plan.nonce):
            raise PolicyVeto("The plan's nonce is not hex digits.")
        return self._folder / "masks" / f"{plan.nonce}.json"

    def _masker(self, plan: RoundPlan, seed: bytes | None = None) -> Masker:
        keys = {name: bytes.fromhex(card.masking) for name, card in self._peers.items() if name in plan.partners}
        masker = Masker(self.name, self._identity.masking, keys, plan)
        return masker if seed is None else dataclasses.replace(masker, own_seed=seed)

    def _is_mine(self, partner: str, claim: bytes, signature: str) -> bool:
        return partner == self.name and is_signed(self._identity.card.signing, signature, claim)

    def _note(self, plan: RoundPlan, update: ClientUpdate, size: float, spend: PrivacySpend | None) -> None:
        """The manifest: what is about to leave, in words and numbers, on this partner's own disk first."""
        entry: dict[str, Any] = {
            "at": time.time(),
            "run": plan.run,
            "round": plan.round,
            "nonce": plan.nonce,
            "mode": plan.mode,
            "encoding": plan.encoding,
            "tensors": len(update.tensors),
            "numbers": plan.size,
            "bytes": update.nbytes,
            "examples": update.examples,
            "norm": size,
            "metrics": dict(update.metrics),
            "spend": spend.to_dict() if spend else None,
            "epsilon": self._book.spent(plan) if self._book else None,
            "payload_sha256": update.payload_sha256(),
        }
        append_line(self._folder / SENT, entry)


def note_skipped(folder: Path, plan: RoundPlan, reason: str) -> None:
    """Writes down why a round was sat out, for this partner's own eyes."""
    entry = {"at": time.time(), "run": plan.run, "round": plan.round, "nonce": plan.nonce, "reason": reason}
    append_line(folder / SKIPPED, entry)
