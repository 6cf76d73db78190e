"""One training run in its folder `runs/<name>/`: records -> an adapter with its card, judged on held-out records.

A run that was cut short goes on from its checkpoint. It knows no collection and puts nothing to use: that is
the walk `finetune.py`; how a step is made is `tuning/loop.py`'s.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from assistant import heldout, resuming, scores, template
from assistant.adapters import CONFIG, WEIGHTS, Shelf, check_name, sha256_of
from assistant.charging import Charging, Ledger, Privately
from assistant.engines import hardware, models
from assistant.errors import BadInput
from assistant.provenance import provenance
from assistant.settings import Settings
from assistant.tuning.records import Records
from assistant.types import UNNAMED, Adapter, Company, Example, Measure, Report, Task
from assistant.vetting import verify
from privacy.erasure import Learned
from privacy.members import Members
from privacy.types import PrivacySpend

if TYPE_CHECKING:
    from assistant.tuning.loop import LoopOptions, TrainingResult
    from assistant.tuning.lora import LoraPlan
    from privacy.quote import Quote

HELD_OUT = "held-out"
"""The suite of records that were kept from training."""
ENCODER = "all-MiniLM-L6-v2"
"""The base of classifiers and taggers where none is named: the bundled encoder."""
PRIVATE_HEAD: dict[str, Any] = {"method": "head", "epochs": 80.0, "batch_size": 4096, "learning_rate": 0.01}
"""Of a plan: how a classifier is trained privately where nobody says otherwise. Measured by `dp-utility`."""
PAIRS_LEARNING_RATE = 5e-5
"""A pair of answers moves the model further than an answer does: smaller steps than for answers."""
_FOUR_BIT = "Trained and judged on held-out records over the base in four bits; it answers over the whole base."
_PAIRS = "Trained on pairs of answers, to give the one rather than the other."


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained, on what, how, and what judges it.

    `base` "" = the model in force for chat, the bundled encoder otherwise. `suite` is a golden file for
    chat, a file of records for the others; without one `held_out` of the records are kept from training.
    `preference`: the data are pairs, and chat learns to give the one answer rather than the other (DPO).
    `parent` is an adapter to go on from. `preset` "small" is for small machines. `patience` > 0 ends the
    run when held-out loss no longer falls. `four_bit` trains over the base in four bits (QLoRA).
    `singly` draws each customer's side by itself (`Records.split`), as a private run always does.
    """

    task: Task
    data: Path
    name: str
    base: str = ""
    suite: Path | None = None
    parent: str = ""
    preset: str = ""
    method: str = "lora"
    rank: int = 16
    epochs: float = 3.0
    learning_rate: float = 3e-4
    batch_size: int = 8
    patience: int = 0
    max_tokens: int = 0
    held_out: float = 0.1
    balanced: bool = False
    four_bit: bool = False
    seed: int = 0
    preference: bool = False
    singly: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data was read: what is in it and what is doubtful about it. Training comes next."""

    records: int
    held_out: int
    statistics: dict[str, float]
    counts: dict[str, int]
    warnings: tuple[str, ...]


Watch = Callable[[Any], None]
"""Called with `Prepared`, with the `Quote` of a private run before it is charged, then with the loop's `Progress`
after each step, in which it may raise `StopTraining`."""


@dataclass(frozen=True, slots=True)
class Base:
    """Where a base is and what it is called."""

    path: Path
    name: str
    sha256: str


@dataclass(slots=True)
class Run:
    """One run. `train` does it; a second process, or a second run of this name, is refused."""

    plan: Plan
    settings: Settings
    watch: Watch = field(default=lambda event: None)
    ledger: Ledger | None = None
    private: Privately | None = None
    live: Adapter | None = None  # the classifier or tagger that it would replace: what it is compared with
    company: Company = UNNAMED  # for the prompts of records that name none
    _account: Charging = field(init=False)
    _by_live: heldout.Counts = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if self.plan.four_bit and self.private is not None:
            raise BadInput("A private training needs the base in full.", hint="Leave out --four-bit, or --dp.")
        if self.plan.preference and self.private is not None:
            raise BadInput("Pairs cannot be learned from privately.", hint="Leave out --dp, or train on their answers.")
        spend = PrivacySpend.nonprivate(self.plan.data.stem)
        self._account = Charging(f"adapter {self.plan.name}", spend, self.private, self.ledger)

    @property
    def folder(self) -> Path:
        """Where the run keeps its checkpoint."""
        return self.settings.data_dir / "runs" / self.plan.name

    def train(self, *, resume: bool = False) -> tuple[Adapter | None, TrainingResult]:
        """(the adapter as it was kept, what the loop did); no adapter where the run was interrupted.

        Raises:
            BadInput: the data is wrong (every line is listed), or the plan does not fit; nothing was trained.
            TrainingFailed: the loss is not finite.
        """
        from assistant.tuning.curves import curves_png

        _check(self.plan)
        with self._alone(resume):
            records, kept, valid, test = self._records()
            self._account.know(members_in(records, self.settings))
            if self.live is not None:  # before the run's own network comes: two at once need twice the memory
                base = base_of(self.plan, self.settings)
                self._by_live = heldout.by_live(self.live, test, base, max_tokens=self.plan.max_tokens)
            parts = _Parts.assemble(self.plan, self.settings, (kept, valid, test), self.company)
            goal = self.private.goal if self.private else None
            said = dataclasses.asdict(self.plan)
            run = resuming.identity(said, records, base=parts.base.sha256, parent=parts.parent, goal=goal)
            resuming.take_up(self.folder, run)
            before = self._before(parts, records)
            if self.plan.task == "classify" and not self.plan.parent and self.private is None:
                from assistant.tuning import heads

                heads.start_from_centroids(parts.model, parts.task, parts.examples)
            result = self._loop(parts, run)
            if result.ended == "interrupted":
                return None, result
            after = heldout.judge(parts.model, parts.task, parts.test) if parts.test else []
            adapter = self._keep(self._judged(self._card(parts, records), parts, before, after), parts)
            curves_png(result, picture(adapter, self.settings), title=adapter.id)
            return adapter, result

    def _judged(self, card: Adapter, parts: _Parts, before: heldout.Counts, after: heldout.Counts) -> Adapter:
        """The card with the measures; where the records are private only noisy scores of them, as charged."""
        score = self._account.score
        if score is None and self.private is not None and self.plan.task == "chat":
            return card  # its golden suite will judge it; what the records that were kept aside say was not charged
        if score is None:
            told = [*heldout.measures(after), *heldout.gains(before, after)]
            return dataclasses.replace(
                card, before=self._report(heldout.measures(before), "before"), after=self._report(told, "after")
            )
        told = scores.told(score, self.plan.task, parts.test, before=before, after=after)
        return dataclasses.replace(card, after=self._report(told, "after"))

    @contextlib.contextmanager
    def _alone(self, resume: bool) -> Iterator[None]:
        check_name(self.plan.name, self.plan.task)
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise BadInput(
                f"{self.plan.name!r} is being trained.", hint="Wait for it, or choose another name."
            ) from None
        try:
            if not resume and resuming.has_checkpoint(self.folder):
                raise BadInput(
                    f"An unfinished run is in {self.folder}.", hint="--resume goes on; delete that folder to drop it."
                )
            yield
        finally:
            lock.release()

    def _records(self) -> tuple[Records, Records, Records, Records]:
        """(all, to train on, to watch the training by, to judge by); the last two never seen in training."""
        from assistant.tuning.data import read_records, records_for
        from assistant.tuning.records import crowded, leaks

        plan = self.plan
        records = records_for(plan.data, plan.task, self.settings, pairs=plan.preference)
        if plan.task != "chat" and len(records.labels) < 2:
            raise BadInput(f"{plan.data} has only one label: nothing to tell apart.", hint="Add records of others.")
        none = records.subset(())
        kept, aside = records.split(plan.held_out, seed=plan.seed, singly=plan.singly or self.private is not None)
        valid, test = aside.split(0.5, seed=plan.seed) if plan.patience else (none, aside)
        together = crowded(records, plan.held_out)
        if plan.suite is not None and plan.task != "chat":
            test = read_records(plan.suite, plan.task, labels=records.labels)
            kept, valid, together = (kept, aside, together) if plan.patience else (records, none, ())
        if not len(kept) or (plan.held_out and not len(test)):
            why = " ".join((f"{plan.data} has too few records to keep some from training.", *together))
            raise BadInput(why, hint="Add records of other customers." if together else "Add more records.")
        warnings = (*records.warnings, *together, *leaks(kept, test))
        self.watch(Prepared(len(kept), len(test), records.statistics(), records.counts(), warnings))
        return records, kept, valid, test

    def _before(self, parts: _Parts, records: Records) -> heldout.Counts:
        """How the test records fare without this run: by what is live, by the base, or by what stands for it."""
        if not parts.test or self._by_live:
            return self._by_live
        if self.plan.task == "chat" or self.plan.parent:
            return heldout.judge(parts.model, parts.task, parts.test)
        return heldout.guess(parts.task, () if self.private else parts.examples, parts.test)

    def _loop(self, parts: _Parts, run: dict[str, Any]) -> TrainingResult:
        from assistant.tuning import loop, private
        from assistant.tuning.curves import tensorboard

        common = self.folder / resuming.COMMON
        wrap = self._account.begin(
            self.folder / resuming.STATE, lambda: self._quote(parts),
            lambda spend: private.hook(spend, parts.model, parts.task, method=self.plan.method), run=run,
        )  # fmt: skip
        with self._lower_layers_once(parts), tensorboard(self.folder / "tensorboard", then=self.watch) as watch:
            if wrap is not None:
                private.take_common(parts.model, parts.task, parts.examples, self._account.spend, file=common)
            result = loop.train(
                parts.model, parts.task, parts.examples, self._options(), valid=parts.valid,
                checkpoint=self.folder / resuming.CHECKPOINT, on_progress=watch, private=wrap, identity=json.dumps(run),
            )  # fmt: skip
        if result.ended != "interrupted":
            self._account.end(self.folder / resuming.STATE, steps=result.steps + private.first_steps(parts.model))
            common.unlink(missing_ok=True)
        return result

    @contextlib.contextmanager
    def _lower_layers_once(self, parts: _Parts) -> Iterator[None]:
        """What the frozen layers make of a record, computed once and kept: with the small preset, and for a head."""
        if self.plan.method != "head" and (self.plan.preset != "small" or self.private is not None):
            yield
            return
        from assistant.tuning import activations

        folder = self.folder / resuming.ACTIVATIONS
        whole = parts.task.sides(parts.examples) if self.plan.preference else parts.examples
        with activations.kept(parts.model, whole, folder=folder):
            yield
        if not resuming.has_checkpoint(self.folder):  # over, not interrupted
            activations.forget(folder)

    def quote(self) -> Quote:
        """What the private run would spend; nothing is charged or trained.

        Raises:
            BadInput: the data is wrong, or the plan does not fit.
            BudgetExceeded: the book has not enough left.
        """
        _check(self.plan)
        records, *sides = self._records()
        self._account.know(members_in(records, self.settings))
        return self._quote(_Parts.assemble(self.plan, self.settings, (sides[0], sides[1], sides[2]), self.company))

    def _quote(self, parts: _Parts) -> Quote:
        """A suite of its own is judged as it is; records that were kept aside are the data set's."""
        test = parts.test if self.plan.suite is None else ()
        quoted = self._account.quote(parts, self._options(), task=self.plan.task, test=test)
        self.watch(quoted)
        return quoted

    def _options(self) -> LoopOptions:
        from assistant.tuning.loop import LoopOptions
        from assistant.tuning.private import AVERAGED

        plan = self.plan
        return LoopOptions(
            epochs=plan.epochs, batch_size=plan.batch_size, learning_rate=plan.learning_rate,
            averaged=AVERAGED.get(plan.method, 0.0) if self.private else 0.0,
            patience=plan.patience, seed=plan.seed, precision="float32" if plan.preference else "auto",
        )  # fmt: skip  # pairs: small differences of large sums, so the reference and the training round alike

    def _report(self, measures: list[Measure], side: str) -> Report | None:
        if not measures:
            return None
        files = (self.plan.data, *([self.plan.suite] if self.plan.suite else []))
        suite = self.plan.suite.stem if self.plan.suite and self.plan.task != "chat" else HELD_OUT
        against = self.live.id if self.live and self._by_live else None
        return Report(suite, tuple(measures), provenance(seed=self.plan.seed, files=files, side=side, against=against))

    def _card(self, parts: _Parts, records: Records) -> Adapter:
        return Adapter(
            name=self.plan.name, version=0, path="", task=self.plan.task, base=parts.base.name,
            base_sha256=parts.base.sha256, sha256="", rank=0, alpha=0.0, targets=(), method=self.plan.method,
            template_sha256=template.template_sha256(parts.tokenizer) if self.plan.task == "chat" else "",
            labels=records.labels, examples=len(parts.examples),
            owners=len({example.owner for example in parts.examples} - {""}), data_sha256=records.sha256,
            parent=parts.parent, privacy=(*parts.spent, *self._account.choosing, *self._account.spends),
            created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            delta=self._account.delta, audits=parts.audits,
            notes=(*([_FOUR_BIT] if self.plan.four_bit else []), *([_PAIRS] if self.plan.preference else [])),
        )  # fmt: skip

    def _keep(self, card: Adapter, parts: _Parts) -> Adapter:
        """The adapter on the shelf; the shape on its card is read from what was written."""
        from assistant.tuning import lora

        draft = self.folder / resuming.MADE
        shutil.rmtree(draft, ignore_errors=True)
        lora.save(parts.model, draft)
        owners = {example.owner for example in parts.examples}
        Learned(self.settings.data_dir, self.settings.tenant).remember(sha256_of(draft / WEIGHTS), owners)
        config = json.loads((draft / CONFIG).read_text(encoding="utf-8"))
        card = dataclasses.replace(
            card, rank=int(config["r"]), alpha=float(config["lora_alpha"]), targets=tuple(config["target_modules"])
        )
        shelf = Shelf(self.settings.data_dir)
        kept = shelf.save(card, lambda folder: shutil.copytree(draft, folder, dirs_exist_ok=True))
        shutil.rmtree(draft, ignore_errors=True)
        return kept


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the loop works on. `spent` and `audits` are those of the adapter that was gone on from."""

    model: Any
    tokenizer: Any
    task: Any
    base: Base
    examples: tuple[Example, ...]
    valid: tuple[Example, ...]
    test: tuple[Example, ...]
    parent: str | None
    spent: tuple[PrivacySpend, ...]
    audits: tuple[Report, ...]

    @classmethod
    def assemble(
        cls, plan: Plan, settings: Settings, sides: tuple[Records, Records, Records], company: Company = UNNAMED
    ) -> _Parts:
        """The network with a fresh adapter, or the parent's, and the records as ids."""
        from assistant.tuning import lora, networks, preference
        from assistant.tuning.tasks import make_task

        base = base_of(plan, settings)
        device = hardware.choose_device(settings.model.device)
        dtype = "float32" if device == "cpu" else hardware.choose_dtype(settings.model.dtype, device)
        kept, parent = sides[0], _parent(plan, settings, base)
        if plan.task == "chat":
            four_bit = device if plan.four_bit else ""
            tokenizer, model = networks.load_chat(base.path, dtype=dtype, name=base.name, four_bit=four_bit)
        else:
            tokenizer, model = networks.load_classifier(
                base.path, plan.task, kept.labels, dtype=dtype, name=base.name, seed=plan.seed
            )
            if model.pooling == "last" and _reads_twice(plan, parent):
                beside = None if parent is None else lora.pooling_of(Path(parent.path))[1]
                model = networks.reading_twice(tokenizer, model, seed=plan.seed, beside=beside)
        if not plan.four_bit:
            model = model.to(device)
        window = networks.window(model)
        task: Any = make_task(kept, max_tokens=plan.max_tokens, company=company, balanced=plan.balanced, window=window)
        if plan.preference:
            task = preference.make_task(kept, max_tokens=plan.max_tokens, company=company)
        train, valid, test = (task.examples(side, tokenizer) if len(side) else () for side in sides)
        if parent is None:
            model = lora.attach(model, _lora_plan(plan, model, len(train)))
        else:
            model = lora.load(model, Path(parent.path), train=True)
            lora.hold(model, plan.method)
        if plan.preference:
            task.refer(model, (*train, *valid, *test))
        return cls(
            model, tokenizer, task, base, train, valid, test,
            parent=parent.id if parent else None, spent=parent.privacy if parent else (),
            audits=parent.audits if parent else (),
        )  # fmt: skip


def members_in(records: Records, settings: Settings) -> Members:
    """Who is in the records, as the book keeps it."""
    from assistant.tuning.records import members_of

    return Members.of(members_of(records), settings.data_dir, tenant=settings.tenant)


def picture(adapter: Adapter, settings: Settings) -> Path:
    """Where the losses of an adapter's training are drawn (PNG), if it was trained here."""
    return settings.data_dir / "runs" / adapter.name / f"curves-{adapter.version}.png"


def assembled(plan: Plan, settings: Settings) -> _Parts:
    """The network with a fresh adapter and all the records as examples to train on; nothing is kept from training.

    Raises:
        BadInput: the data is wrong, or the plan does not fit.
    """
    from assistant.tuning.data import records_for

    _check(plan)
    records = records_for(plan.data, plan.task, settings)
    if not len(records):
        raise BadInput(f"All records of {plan.data} are of customers who were erased.", hint="Take newer records.")
    none = records.subset(())
    return _Parts.assemble(plan, settings, (records, none, none))


def _check(plan: Plan) -> None:
    """Raises BadInput: everything about a plan that no run could follow."""
    wrong = {
        "epochs must be more than 0": not 0 < plan.epochs < math.inf,
        "rank must be between 1 and 512": not 1 <= plan.rank <= 512,
        "the learning rate must be more than 0": not 0 < plan.learning_rate < math.inf,
        "the batch size must be at least 1": plan.batch_size < 1,
        "the held-out share must be at least 0 and less than 1": not 0 <= plan.held_out < 1,
        "patience must not be negative": plan.patience < 0,
        "four bits are for chat adapters": plan.four_bit and plan.task != "chat",
        "pairs are for chat adapters": plan.preference and plan.task != "chat",
    }
    if any(wrong.values()):
        raise BadInput(f"{'; '.join(what for what, is_so in wrong.items() if is_so)}.", hint="Nothing was trained.")


def base_of(plan: Plan, settings: Settings) -> Base:
    """The base of a plan, prepared.

    Raises:
        UnknownName, ModelNotReady: there is no such model here.
    """
    if plan.task != "chat" and plan.base in ("", ENCODER):
        from assistant.tuning.networks import minilm_folder

        path = minilm_folder()
        return Base(path, ENCODER, sha256_of(path / "model.safetensors"))
    if plan.base:
        settings = settings.model_copy(update={"model": settings.model.model_copy(update={"name": plan.base})})
    path = models.prepare(settings)
    info = models.resolve(settings)[1]
    return Base(path, info.name, info.sha256)


def _parent(plan: Plan, settings: Settings, base: Base) -> Adapter | None:
    if not plan.parent:
        return None
    parent = Shelf(settings.data_dir).find(plan.parent)
    verify(Path(parent.path))
    if (parent.task, parent.base_sha256) != (plan.task, base.sha256):
        raise BadInput(f"{parent.id} is for {parent.task} on {parent.base}: this run cannot go on from it.")
    return parent


def _reads_twice(plan: Plan, parent: Adapter | None) -> bool:
    """Whether a classifier over a causal model is a head alone, which reads each text twice."""
    from assistant.tuning.lora import pooling_of

    if parent is None:
        return plan.method == "head"
    twice = pooling_of(Path(parent.path))[0] == "twice"
    if twice and plan.method != "head":
        raise BadInput(f"{parent.id} is a head alone.", hint="Go on with --method head.")
    return twice


def _lora_plan(plan: Plan, model: Any, examples: int) -> LoraPlan:
    from assistant.tuning.lora import LoraPlan, top_layers

    steps = max(1, round(plan.epochs * examples / plan.batch_size))
    layers = top_layers(model) if plan.preset == "small" else ()
    return LoraPlan(method=plan.method, rank=plan.rank, layers=layers, steps=steps, seed=plan.seed)  # type: ignore[arg-type]
