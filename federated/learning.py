"""A partner's learning: the assistant's own training loop on a LoRA adapter that starts from the shared weights.

By default A is frozen and the same at every partner (drawn from the plan's seed, compared by hash),
so what is trained and sent is B, and a classifier's head. What is added to the losses (`losses.py`) goes through
the loop that exists; there is no second one. Source: FFA-LoRA (arXiv:2403.12313).
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from assistant.types import Task as TaskName
from federated.aggregation import widen
from federated.config import BASE, CARDS
from federated.errors import BadRequest, PlanRefused
from federated.local import Trained
from federated.losses import Calibrated, Proximal
from federated.spending import OwnBook
from federated.types import Arrays, RoundPlan, TensorSpec
from federated.weights import weights_sha256
from privacy.types import PrivacySpend

if TYPE_CHECKING:
    from assistant import runs
    from assistant.settings import Settings
    from assistant.tuning import loop
    from assistant.tuning.tasks import Task
    from assistant.types import Example

# torch and what stands on it is imported where it is needed: a partner's program that is half a minute in starting
# is started again by Flower

RECOMMEND = "recommend"
"""The task that adds up item-item sums instead of training an adapter: see `recommending.py`."""
PROXIMAL, CALIBRATED, FROZEN, RECIPE = "proximal", "calibrated", "frozen_sha256", "recipe"
"""Keys of a plan's `training` beside the loop's options, `BASE` and `CARDS`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """What everybody trains: the base by name, the task, and the adapter's shape. Equal at all partners.

    `labels` are the classes or tags in order; `targets` () = all linear layers of a transformer block. `method`
    "frozen-a" trains B alone; "lora" both matrices, which only a trusted coordinator can add up. For the task
    recommend `labels` are the items' ids in order, and the rest does not matter.
    """

    base: str = ""
    task: TaskName | Literal["recommend"] = "chat"
    rank: int = 8
    targets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    seed: int = 0
    method: Literal["frozen-a", "lora"] = "frozen-a"

    def __post_init__(self) -> None:
        tasks = (*get_args(TaskName), RECOMMEND)
        if self.task not in tasks:
            raise BadRequest(f"There is no task {self.task!r}.", hint=f"Known: {', '.join(tasks)}.")
        if not 1 <= self.rank <= 512:
            raise BadRequest(f"The adapter's rank is from 1 to 512, not {self.rank}.")

    @classmethod
    def of(cls, training: Mapping[str, Any]) -> Recipe:
        """The recipe in a plan's training options.

        Raises:
            BadRequest: it is not one.
        """
        try:
            made = cls(**training[RECIPE])
        except (KeyError, TypeError) as error:
            raise PlanRefused(f"The plan's recipe is not understood: {error!r}.") from error
        return dataclasses.replace(made, targets=tuple(made.targets), labels=tuple(made.labels))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**dataclasses.asdict(self), "targets": list(self.targets), "labels": list(self.labels)}

    @property
    def learns(self) -> TaskName:
        """The task of the adapter. Raises BadRequest: item-item sums are added up, and nothing is trained."""
        if self.task == "recommend":
            raise BadRequest("The task recommend trains no adapter.")
        return self.task

    def require(self, settings: Settings) -> None:
        """Passes a base that is here, and targets that are layers of it, where its weights are prepared already.

        Raises:
            UnknownName, ModelNotReady: there is no such model here.
            BadRequest: no layer has the name of a target.
        """
        from assistant import runs
        from assistant.engines import models
        from assistant.errors import ModelNotReady

        if self.task == RECOMMEND:
            return
        if self.task != "chat" and self.base in ("", runs.ENCODER):
            from assistant.tuning.networks import minilm_folder

            layers = _layers(minilm_folder())
        else:
            if self.base:
                named = settings.model.model_copy(update={"name": self.base})
                settings = settings.model_copy(update={"model": named})
                models.source_of(settings)
            try:
                layers = _layers(models.resolve(settings)[0])
            except ModelNotReady:
                return
        if odd := [name for name in self.targets if name not in layers]:
            known = ", ".join(sorted(layers))
            raise BadRequest(f"No layer of this model is called {', '.join(odd)}.", hint=f"--targets: {known}.")

    def model(self, settings: Settings) -> tuple[Any, Any, runs.Base]:
        """(tokenizer, model with the fresh shared adapter, the base), on the CPU."""
        from assistant import runs
        from assistant.tuning import lora, networks

        task = self.learns
        plan = runs.Plan(task, Path(), "federated", base=self.base)
        base = runs.base_of(plan, settings)
        if task == "chat":
            tokenizer, model = networks.load_chat(base.path, name=base.name)
        else:
            tokenizer, model = networks.load_classifier(base.path, task, self.labels, name=base.name, seed=self.seed)
        shape = lora.LoraPlan(self.method, self.rank, targets=self.targets, seed=self.seed)
        return tokenizer, lora.attach(model, shape), base


def _layers(folder: Path) -> set[str]:
    """Names of the linear layers of the blocks, by the weights in a folder: none of them is loaded."""
    from safetensors import safe_open

    found = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "numpy") as weights:
            names = [name for name in weights.keys() if re.search(r"\.\d+\..+\.weight$", name)]  # noqa: SIM118
            found |= {name.split(".")[-2] for name in names if len(weights.get_slice(name).get_shape()) == 2}
    return found


Judge = Callable[[Any], Mapping[str, float]]
"""model -> this partner's measures, higher is better."""


def weights_of(model: Any) -> Arrays:
    """What is trained, by name, as float64 arrays."""
    from assistant.tuning import lora

    return {name: value.detach().cpu().double().numpy() for name, value in lora.trainable(model).items()}


def put_weights(model: Any, weights: Arrays) -> None:
    """Overwrites what is trained, and frozen matrices A where the weights bring some.

    Raises:
        BadRequest: other names or shapes than the model's.
    """
    import torch

    from assistant.tuning import lora

    own, fixed = lora.trainable(model), _frozen(model)
    own |= {name: fixed[name] for name in weights if name in fixed}
    if {name: tuple(value.shape) for name, value in own.items()} != {n: a.shape for n, a in weights.items()}:
        raise BadRequest("The shared weights are not those of this model and adapter.")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(torch.from_numpy(np.ascontiguousarray(weights[name])))


def frozen_sha256(model: Any) -> str:
    """Of the adapter's frozen matrices: equal at all partners, or B means something else at each. They are drawn
    from the seed: of the base under them they say nothing."""
    return weights_sha256(frozen_of(model))


def frozen_of(model: Any) -> Arrays:
    """The adapter's frozen matrices by name, as float64 arrays."""
    return {name: value.detach().cpu().double().numpy().copy() for name, value in _frozen(model).items()}


def _frozen(model: Any) -> dict[str, Any]:
    return {name: value for name, value in model.named_parameters() if "lora_A" in name and not value.requires_grad}


def _options(wanted: Mapping[str, Any], number: int) -> loop.LoopOptions:
    """The loop's options for a round; each round draws its own order."""
    from assistant.tuning import loop

    known = {name: value for name, value in wanted.items() if name not in (RECIPE, CARDS, FROZEN, BASE)}
    try:
        return loop.LoopOptions(**{"warmup": 0.0, **known, "seed": int(known.get("seed", 0)) + number})
    except TypeError as error:
        raise PlanRefused(
            f"The plan's training options are not understood: {error}.",
            hint="Where it is an option of a newer Confide, update the other side.",
        ) from error


class LoraTrainer:
    """A `local.Trainer` over the training loop. The model has its adapter attached. `rank` is what a weaker
    partner trains of the shared rank: its first columns, 0 = all. `base` is the base model's hash, "" = not known."""

    def __init__(
        self,
        model: Any,
        task: Task,
        examples: Sequence[Example],
        *,
        judge: Judge | None = None,
        book: OwnBook | None = None,
        rank: int = 0,
        base: str = "",
    ) -> None:
        self._rank = rank
        self._base = base
        self._model = model
        self._task = task
        self._examples = tuple(examples)
        self._judge = judge
        self._book = book
        self._conforms = False

    def tensors(self) -> tuple[TensorSpec, ...]:
        """Name and shape of each trained tensor, by name."""
        from assistant.tuning import lora

        own = lora.trainable(self._model)
        return tuple(TensorSpec(name, tuple(own[name].shape)) for name in sorted(own))

    def train(self, start: Arrays, plan: RoundPlan) -> Trained:
        """One round: the plan's `training` are fields of `LoopOptions`, `proximal` and `calibrated`.

        Raises:
            BadRequest: another base or frozen A than the plan's, or an option that does not exist.
            BudgetExceeded: this partner's book does not cover the round; nothing was trained.
        """
        from assistant.tuning import lora

        wanted = dict(plan.training)
        proximal, calibrated = (float(wanted.pop(name, 0.0)) for name in (PROXIMAL, CALIBRATED))
        if self._base and wanted.get(BASE, self._base) != self._base:
            raise PlanRefused(
                "This partner's base model is not the coordinator's: its weights have another hash.",
                hint="Prepare the same model on both sides: `models prepare`.",
            )
        brought = set(start) & set(_frozen(self._model))
        if wanted.get(FROZEN) is not None and not brought and wanted[FROZEN] != frozen_sha256(self._model):
            raise PlanRefused(
                "This partner's frozen adapter matrices are not the coordinator's.",
                hint="The base model, torch's version or the seed differs; compare `doctor` on both sides.",
            )
        options = _options(wanted, plan.round)
        if plan.dp is not None and not plan.hides_partners:
            self._refuse_private(proximal, calibrated)
        put_weights(self._model, start)
        task = Calibrated.on(self._task, self._examples, calibrated) if calibrated else self._task
        task = Proximal(task, lora.trainable(self._model), proximal) if proximal else task
        with self._narrowed():
            spend, losses = self._learn(plan, task, options)
        now = weights_of(self._model)
        # a private run's losses and counts are of the data itself: they stay here
        told = {} if plan.dp or not losses else {"loss": float(np.mean(losses[-max(1, len(losses) // 4) :]))}
        change = {name: self._own_columns(name, now[name] - start[name]) for name in now}
        return Trained(change, 0 if plan.dp else len(self._examples), told, spend)

    def _refuse_private(self, proximal: float, calibrated: float) -> None:
        """Raises BadRequest: what a partner's own noise does not cover."""
        if proximal:
            raise PlanRefused("FedProx and differential privacy exclude each other: the pull is not clipped.")
        if calibrated:
            raise PlanRefused("Calibration and differential privacy exclude each other: a class's share is exact.")
        if self._rank:
            raise PlanRefused("A partner of a lower rank cannot train privately: noise moves the other columns.")

    def _learn(self, plan: RoundPlan, task: Task, options: loop.LoopOptions) -> tuple[PrivacySpend, list[float]]:
        """The loop, between the charge and its settlement."""
        from assistant.tuning import loop

        private = plan.dp is not None and not plan.hides_partners
        if self._book is None:
            if private:
                raise BadRequest("A partner without a privacy book cannot train privately.")
            result = loop.train(self._model, task, self._examples, options)
            return PrivacySpend.nonprivate("training"), [loss for _, loss in result.losses]
        spend = self._book.training(plan, self._examples, options)
        # for the unit partner it is the sum that is charged, when it may be learned: see `local.py`
        if private:
            self._require_conformance(spend)
        charge = None if plan.hides_partners else self._book.charge(plan, spend)
        with self._hook(spend) if private else contextlib.nullcontext() as hook:
            result = loop.train(self._model, task, self._examples, options, private=hook)
        if charge is not None:
            self._book.settle(charge, steps=result.steps if private else 1)
        return spend, [loss for _, loss in result.losses]

    def _own_columns(self, name: str, change: Any) -> Any:
        """A weaker partner's change with zeros where it does not train: linear, whatever the others' ranks."""
        if not self._rank or "lora_" not in name:
            return change
        if "lora_B" in name:
            return widen(change[:, : self._rank], change.shape[1])
        return widen(change[: self._rank].T, change.shape[0]).T

    @contextlib.contextmanager
    def _narrowed(self) -> Iterator[None]:
        """While it lasts, only the first columns of B (and rows of A) have a gradient."""
        from assistant.tuning import lora

        def only_first(name: str) -> Callable[[Any], Any]:
            def cut(gradient: Any) -> Any:
                kept = gradient.clone()
                (kept[:, self._rank :] if "lora_B" in name else kept[self._rank :]).zero_()
                return kept

            return cut

        wanted = lora.trainable(self._model) if self._rank else {}
        hooks = [value.register_hook(only_first(name)) for name, value in wanted.items() if "lora_" in name]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _require_conformance(self, spend: PrivacySpend) -> None:
        """Asks the set-up its questions on a toy, once, before anything is charged."""
        if not self._conforms:
            from assistant.tuning import lora
            from assistant.tuning.private import setup
            from privacy.conformance import require

            method = "lora" if any("lora_A" in name for name in lora.trainable(self._model)) else "frozen-a"
            require(setup(self._model, self._task, unit=spend.unit, method=method))
            self._conforms = True

    @contextlib.contextmanager
    def _hook(self, spend: PrivacySpend) -> Iterator[loop.Private]:
        """The loop's private hook; the model is an ordinary one again afterwards."""
        from privacy.dpsgd import Private

        hook = Private(spend)
        try:
            yield hook
        finally:
            hook.close()

    def evaluate(self, weights: Arrays) -> Mapping[str, float]:
        """This partner's measures of the shared weights; none without a judge."""
        if self._judge is None:
            return {}
        put_weights(self._model, weights)
        return self._judge(self._model)
