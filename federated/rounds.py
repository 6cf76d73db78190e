"""The coordinator's loop: plan -> collect -> gate -> aggregate -> checkpoint -> evaluate -> publish.

All of its state is one file that is replaced after each aggregate; a killed coordinator goes on
after the last round that is in it, with a new nonce, so that nothing of the broken attempt can be
added. Beside it stands who was asked to take the masks off: cut off there, a round is repeated with
the same partners only, because the difference of two sums is the update of whoever is missing. A
round below its quorum is void: it is tried again, then the run stops with a reason. What it knows
of the partners comes from the roster, never from a reply.

What is not here: the wire (`simulate.py` in one process, `deploy.py` over Flower), the partners'
training, what an adapter is. Sources: `../docs/federation.md` draws the round.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from federated import gate, masking
from federated.aggregation import ServerStep, clip, mean, norm, refactored, robust, stacked
from federated.config import BASE, CARDS
from federated.config import PRIVATE as PRIVATE
from federated.config import RunConfig as RunConfig
from federated.encoding import decode
from federated.errors import BadRequest, RoundVoid, RunLocked, UpdateRefused
from federated.local import COUNT
from federated.masking import Disclosure
from federated.spending import round_spend
from federated.types import Arrays, ClientUpdate, Refusal, RoundPlan, RoundResult, TensorSpec
from federated.weights import load_weights, save_weights, weights_sha256
from privacy.errors import BudgetExceeded
from privacy.keys import durable_write
from privacy.ledger import Ledger
from privacy.noise import gaussian
from privacy.types import PrivacyBudget

ASKED = "asked.json"
"""Who was asked to take the masks off, for which round; in the run's folder."""
WORST = -1e30
"""What a measure counts as that is no finite number."""
UNMEASURED = "nobody measured it: the coordinator has no suite, and no partner tells its own measures"
"""The objection to weights of which nothing is known."""
POOLED = "pooled_"
"""Begins the name of a measure over all partners' records."""


class Wire(Protocol):
    """The way to the partners. Replies come in any order; the iteration ends when all have answered
    or the plan's deadline has passed, and never raises for what one partner did."""

    def partners(self) -> Sequence[str]:
        """Who can be reached now."""
        ...

    def train(self, plan: RoundPlan, start: Arrays) -> Iterable[ClientUpdate | Refusal]:
        """Asks the plan's partners for their updates, or why they send none."""
        ...

    def disclose(self, plan: RoundPlan, arrived: tuple[str, ...]) -> Iterable[Disclosure]:
        """Asks those whose masked update arrived for what takes the masks off."""
        ...

    def evaluate(
        self, partners: Sequence[str], weights: Arrays, training: Mapping[str, Any]
    ) -> Iterable[tuple[str, Mapping[str, float]]]:
        """Asks partners for their own measures of shared weights (those that tell)."""
        ...

    def publish(self, notice: Mapping[str, Any], weights: Arrays) -> Iterable[tuple[str, str]]:
        """Sends everybody what was published (`publishing.Notice`); tells (partner, its adapter or why not)."""
        ...


class Coordinator:
    """One run. `start` are the weights of round 0; `verify` the roster's; `judge` the coordinator's own suite;
    `book` is charged for each sum where the run hides partners; `frozen` are the A matrices, for `refactor`."""

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        start: Arrays,
        *,
        wire: Wire,
        verify: gate.Verify,
        judge: Callable[[Arrays], Mapping[str, float]] | None = None,
        book: Ledger | None = None,
        frozen: Arrays | None = None,
    ) -> None:
        if config.refactor and not frozen:
            raise BadRequest("To factorise anew, the coordinator needs the frozen matrices.")
        if config.hides_partners and book is None:
            raise BadRequest("A run that hides partners keeps a privacy book.")
        self.config = config
        self._book = book if config.hides_partners else None
        self._folder = folder
        self._wire = wire
        self._verify = verify
        self._judge = judge
        self._specs = tuple(TensorSpec(name, start[name].shape) for name in sorted(start))
        self.weights = {name: np.asarray(array, np.float64) for name, array in start.items()}
        self.frozen = _half(frozen or {}) if config.refactor else {}
        self.step = ServerStep(config.step, config.server_rate)
        self.results: tuple[RoundResult, ...] = ()
        self.baseline: dict[str, float] = {}
        self.ended = ""
        """Why the run ended before its last round, where it did."""
        self._measured = True

    @property
    def round(self) -> int:
        """How many rounds are committed."""
        return sum(result.committed for result in self.results)

    def go(self, on_round: Callable[[RoundResult], None] = lambda result: None) -> tuple[RoundResult, ...]:
        """Runs what is left of the run; each finished attempt is told to `on_round`.

        Raises:
            RunLocked: another coordinator works on this folder.
            BadRequest: the folder is of a run with another config or another start.
            RoundVoid: a round was void in all its attempts, or the run's privacy was spent before its first round;
                the rounds before it are kept.
        """
        with self._locked():
            self._resume()
            if not self.results:
                self.baseline = self._measures(tuple(sorted(self._wire.partners())))
            if not self._measured:
                self._wire.partners()  # a coordinator that was killed has not met them yet
                on_round(self._measure_last())
            try:
                while self.round < self.config.rounds:
                    on_round(self._one_round())
            except BudgetExceeded as spent:
                self.ended = f"The run's privacy is spent after {self.round} rounds: {spent}"
                if not self.round:
                    raise RoundVoid(self.ended) from spent
        return self.results

    def _one_round(self) -> RoundResult:
        number = self.round + 1
        failed = 0
        for result in reversed(self.results):
            if result.committed:
                break
            failed += 1
        if failed >= self.config.attempts:
            raise RoundVoid(
                f"Round {number} was void {failed} times: {self.results[-1].reason}",
                hint="When the partners are back, start the run again: it goes on from here.",
            )
        began = time.time()
        plan = self._plan(number)
        start = self.sent_weights()
        charge = self._charge(plan)
        try:
            change, accepted, refused, up = self._collect(plan, start)
        except RoundVoid as void:
            refused = tuple(Refusal(*pair) for pair in void.refused)
            result = RoundResult(
                number, plan.nonce, False, (), refused, weights_sha256(self.weights),
                seconds=time.time() - began, reason=void.message,
            )  # fmt: skip
            # what partners have on their books is on this one, too: else their last round could never be had
            self._settle(charge, steps=int(void.charged))
            self._commit(result)
            return result
        step, self.step = self.step.apply(change)
        self.weights = {name: self.weights[name] + step[name] for name in self.weights}
        down = sum(array.size for array in start.values()) * 2 * len(plan.partners)
        if self.config.refactor and number % self.config.refactor == 0:
            self.weights, fresh = refactored(self.weights, self.frozen)
            # the optimiser's memory speaks of the old directions
            self.frozen, self.step = _half(fresh), ServerStep(self.config.step, self.config.server_rate)
        result = RoundResult(
            number, plan.nonce, True, accepted, refused, weights_sha256(self.weights), up, down,
            seconds=time.time() - began,
        )  # fmt: skip
        # at once: a kill in the minutes of measuring would have the sum of this round formed a second time
        self._commit(result, measured=False)
        self._settle(charge, steps=1)
        return self._measure_last()

    def _measure_last(self) -> RoundResult:
        """The last round's result with its measures."""
        last, began = self.results[-1], time.time()
        asked = last.accepted
        if self.config.share < 1 and self.round == self.config.rounds:
            asked = tuple(sorted(self._wire.partners()))  # who was not drawn has a say in what is published
        metrics = self._measures(asked)
        result = dataclasses.replace(last, metrics=metrics, seconds=last.seconds + time.time() - began)
        self._commit(result)
        return result

    def _charge(self, plan: RoundPlan) -> int | None:
        """The round's sum on the run's book, before it can be learned; a killed attempt stays on it."""
        if self._book is None or plan.dp is None:
            return None
        if self.config.run not in self._book.book().budgets:
            self._book.set_budget(self.config.run, PrivacyBudget(plan.dp.epsilon, plan.dp.delta, "partner"))
        return self._book.charge(round_spend(plan, self.config.run), f"round {plan.round}, attempt {plan.nonce[:8]}")

    def _settle(self, charge: int | None, *, steps: int) -> None:
        if self._book is not None and charge is not None:
            self._book.settle(charge, steps=steps)

    def sent_weights(self) -> Arrays:
        """The weights as they travel: rounded to fp16 (kept unrounded here), and A where it moves."""
        return {**_half(self.weights), **self.frozen}

    def _plan(self, number: int) -> RoundPlan:
        partners = sorted(self._wire.partners())
        if asked := self._asked():
            partners = sorted({*partners} & {*asked})
        elif self.config.share < 1:
            count = max(self.config.quorum, round(self.config.share * len(partners)))
            chance = np.random.default_rng([self.config.seed, number])
            partners = sorted(chance.permutation(partners)[:count].tolist())
        shares = dict(self.config.weights)
        largest = max((shares.get(name, 1.0) for name in partners), default=1.0)
        return RoundPlan(
            self.config.run, number, secrets.token_hex(16), tuple(partners), self.config.quorum,
            time.time() + self.config.seconds, self.config.mode, self.config.wire_encoding, self._specs,
            self.config.clip_norm, weights_sha256(self.sent_weights()),
            # at most 1 each, as the masks want it; the mean divides by the sum of those that arrived
            tuple(shares.get(name, 1.0) / largest for name in partners),
            self.config.training_of(number), self.config.dp,
        )  # fmt: skip

    def _collect(self, plan: RoundPlan, start: Arrays) -> tuple[Arrays, tuple[str, ...], tuple[Refusal, ...], int]:
        """The round's mean change; who was accepted; who was refused and why; bytes that came."""
        self._require_the_same(plan.partners)
        if len(plan.partners) < plan.quorum:
            raise RoundVoid(f"{len(plan.partners)} partners can be reached; the quorum is {plan.quorum}.")
        kept: dict[str, Arrays] = {}
        arrived: list[str] = []
        total: masking.Vector | None = None
        refused: list[Refusal] = []
        declined: set[str] = set()
        received = 0
        for update in self._wire.train(plan, start):
            if isinstance(update, Refusal):
                refused.append(update)
                declined.add(update.partner)
                continue
            try:
                gate.check(plan, update, verify=self._verify, now=time.time(), arrived=arrived)
            except UpdateRefused as refusal:
                refused.append(Refusal(str(update.partner)[:40], refusal.message))
                continue
            arrived.append(update.partner)
            received += update.nbytes
            if plan.mode == "masked":
                # only the sum is kept: one masked update means nothing and is not stored
                total = masking.add(total, update.tensors, plan)
            else:
                kept[update.partner] = decode(update.tensors)
        silent = set(plan.partners) - set(arrived) - {item.partner for item in refused}
        refused += [Refusal(name, "No answer before the deadline.") for name in sorted(silent)]
        reasons = tuple((item.partner, item.reason) for item in refused)
        self._require_the_same(arrived, reasons)
        if len(arrived) < plan.quorum:
            raise RoundVoid(
                f"{len(arrived)} updates were accepted; the quorum is {plan.quorum}.",
                refused=reasons,
                # masked, a partner charges when it discloses; else when it sends, whether that comes in time or not
                charged=plan.mode != "masked" and not declined >= {*plan.partners},
            )
        names = tuple(sorted(arrived))
        shares = {name: plan.weights[plan.partners.index(name)] for name in names}
        if total is not None:
            summed = self._unmasked(plan, total, names, reasons)
            return {k: v / sum(shares.values()) for k, v in summed.items()}, names, tuple(refused), received
        return self._combine([kept[name] for name in names], list(shares.values())), names, tuple(refused), received

    def _unmasked(
        self, plan: RoundPlan, total: masking.Vector, names: tuple[str, ...], reasons: tuple[tuple[str, str], ...]
    ) -> Arrays:
        """The sum without masks. Who is asked is written down first, where no noise hides a difference of two sums."""
        path, fresh = self._folder / ASKED, not (plan.hides_partners or self._asked())
        if fresh:
            durable_write(path, json.dumps({"round": plan.round, "partners": names}).encode())
        disclosures = list(self._wire.disclose(plan, names))
        try:
            summed = masking.unmask(plan, total, disclosures)
        except RoundVoid as void:
            if fresh:  # this attempt was not cut off: it is known that the sum stayed masked
                path.unlink()
            silent = {*names} - {each.partner for each in disclosures}
            reasons += tuple((name, "It did not take off its mask.") for name in sorted(silent))
            raise RoundVoid(void.message, refused=reasons, charged=True) from void
        size, most = norm(summed), masking.longest(plan, names)
        if not size <= most:
            raise RoundVoid(
                f"The sum of {len(names)} updates has the norm {size:.3g}, and clipped ones have {most:.3g} at most: "
                "one of them is no clipped update, and masks do not show which.",
                refused=reasons, charged=True,
            )  # fmt: skip
        return summed

    def _asked(self) -> tuple[str, ...]:
        """Who was asked to take off the masks in an attempt of the coming round that was cut off; () = nobody."""
        path = self._folder / ASKED
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return tuple(kept["partners"]) if kept.get("round") == self.round + 1 else ()

    def _require_the_same(self, there: Collection[str], reasons: tuple[tuple[str, str], ...] = ()) -> None:
        asked = self._asked()
        if away := sorted({*asked} - {*there}):
            raise RoundVoid(
                f"An attempt with {', '.join(asked)} was cut off when its sum may have been known already: only the "
                f"same partners can repeat the round, and {', '.join(away)} did not take part. The difference of two "
                "sums would be one partner's update.",
                refused=reasons,
            )

    def _combine(self, updates: list[Arrays], shares: list[float]) -> Arrays:
        if self.config.mode == "robust":
            return robust(updates, self.config.rule, hostile=self.config.hostile)
        if self.config.combine == "stack":
            found = stacked(self.sent_weights(), [clip(each, self.config.clip_norm) for each in updates], shares)
            return {name: found[name] - self.weights[name] for name in self.weights}
        found = mean([clip(update, self.config.clip_norm) for update in updates], shares)
        if self.config.dp is None or not self.config.hides_partners:
            return found
        # the sum's noise; n is how many updates really came, never how many were hoped for
        std = self.config.dp.noise_multiplier * self.config.clip_norm / len(updates)
        return {name: array + gaussian(array.shape, std) for name, array in found.items()}

    def _measures(self, partners: tuple[str, ...]) -> dict[str, float]:
        """The coordinator's suite as `NAME`, what partners tell of theirs as `PARTNER/NAME`; higher is better."""
        found = dict(self._judge(self.sent_weights())) if self._judge else {}
        options = {**self.config.training, PRIVATE: self.config.dp is not None}
        told = dict(self._wire.evaluate(partners, self.sent_weights(), options))
        for partner, measures in told.items():
            found |= {f"{partner}/{name}": float(value) for name, value in measures.items() if name != COUNT}
        found |= pooled(told.values())
        # a network that is broken measures as no number: that is the worst there is, not a missing measure
        return {name: value if np.isfinite(value) else WORST for name, value in found.items()}

    def objections(self) -> tuple[str, ...]:
        """What the shared weights do worse than the weights of round 0: with one, they are not published. A partner
        that is away in the last round has said what it said before."""
        told: dict[str, float] = {}
        last: Mapping[str, float] = {}
        for result in self.results:
            if result.committed:
                last = result.metrics
                told |= last
        if not any(name in self.baseline and not name.startswith(POOLED) for name in last):
            return (UNMEASURED,)
        return tuple(
            f"{name}: {self.baseline[name]:.4g} before, {value:.4g} after"
            for name, value in sorted(told.items())
            # what is pooled is of whoever answered, and those may be others than before
            if name in self.baseline and value < self.baseline[name] and not name.startswith(POOLED)
        )

    # The run's one file

    def _commit(self, result: RoundResult, *, measured: bool = True) -> None:
        earlier = self.results if self._measured else self.results[:-1]
        self.results, self._measured = (*earlier, result), measured
        weights = {f"weights/{name}": array for name, array in self.weights.items()}
        weights |= {f"first/{name}": array for name, array in self.step.first.items()}
        weights |= {f"second/{name}": array for name, array in self.step.second.items()}
        weights |= {f"frozen/{name}": array for name, array in self.frozen.items()}
        about = {
            "config": _settings(self.config), "results": [item.to_dict() for item in self.results],
            "start": self._start, "baseline": self.baseline, "measured": measured,
        }  # fmt: skip
        save_weights(self._folder / "run.safetensors", weights, about)

    def _resume(self) -> None:
        path = self._folder / "run.safetensors"
        self._start = weights_sha256(self.weights)
        if not path.exists():
            return
        kept, about = load_weights(path)
        about["config"]["training"].pop(CARDS, None)
        if about["config"] != _settings(self.config) or about["start"] != self._start:
            raise BadRequest(
                f"{self._folder} holds a run with other settings or another start.",
                hint="Use another folder, or the settings it was begun with.",
            )
        self.weights = _under("weights/", kept)
        self.frozen = _under("frozen/", kept)
        self.step = ServerStep(
            self.config.step, self.config.server_rate, first=_under("first/", kept), second=_under("second/", kept)
        )
        self.baseline, self._measured = about["baseline"], about.get("measured", True)
        self.results = tuple(RoundResult.from_dict(item) for item in about["results"])
        if self.results and not self.results[-1].committed:
            # void attempts were for the partners that were away; a new start tries anew
            last = max((i + 1 for i, item in enumerate(self.results) if item.committed), default=0)
            self.results = self.results[:last]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._folder / "run.lock", timeout=0):
                yield
        except Timeout as error:
            raise RunLocked(f"Another coordinator works on {self._folder}.") from error


def pooled(told: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The partners' measures as if all their records were in one place: means weighted by counts. No row is sent.

    >>> pooled([{"score": 1.0, "n": 1.0}, {"score": 4.0, "n": 2.0}, {"score": 9.0}])
    {'pooled_score': 3.0, 'pooled_n': 3.0}
    """
    counted = [each for each in told if each.get(COUNT, 0.0) > 0]
    total = sum(each[COUNT] for each in counted)
    names = sorted({name for each in counted for name in each} - {COUNT})
    means = {
        f"{POOLED}{name}": sum(each[name] * each[COUNT] for each in counted) / total
        for name in names
        if all(name in each for each in counted)
    }
    return {**means, f"{POOLED}{COUNT}": total} if counted else {}


def _half(weights: Arrays) -> Arrays:
    """What fp16 leaves of them."""
    return {
        name: np.asarray(array, np.float64).astype(np.float16).astype(np.float64) for name, array in weights.items()
    }


def _settings(config: RunConfig) -> dict[str, Any]:
    """What must be the same on a resume. Who takes part may change: one is revoked, another joins anew; and the base
    is compared by every partner."""
    training = {name: value for name, value in config.training.items() if name not in (BASE, CARDS)}
    return dict(json.loads(json.dumps({**dataclasses.asdict(config), "training": training})))


def _under(prefix: str, tensors: Arrays) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
