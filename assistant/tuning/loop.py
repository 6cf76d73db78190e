"""The one training loop: every task, every adapter, private or not, one company or many.

It takes batches of any size as they come (Poisson sampling gives empty ones), splits each to what
the memory holds, and steps once a batch. On the CPU the same seed gives the same weights bit by
bit, also when the run was killed in between and goes on from its checkpoint. It does not know
where examples come from, what a card is, or what epsilon means.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from assistant.errors import BadInput, TrainingFailed
from assistant.tuning import checkpoint as disk
from assistant.tuning import lora, memory, precision
from assistant.tuning.batches import Batches, physical
from assistant.tuning.tasks import Task
from assistant.types import Example

Ended = Literal["finished", "early", "interrupted"]


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How a run goes.

    `batch_size` is the sequences of one step; `part_tokens` the most tokens (with padding) that go
    through the network at once, gradients accumulate over the parts. The learning rate rises over
    the first `warmup` of the steps and falls along a cosine. With `averaged` > 0 it stays up, and the
    run ends with the mean of the weights over that share of its steps, the last ones: in it noise
    cancels out. With `patience` > 0 and validation data the run ends after so many evaluations
    without a better loss. `evaluate_every` and `checkpoint_every` count steps; 0 = once an epoch.
    `precision` "auto" takes bfloat16 on a GPU, and on a CPU where it measures faster.
    `checkpointing` "auto" computes activations twice where they would not fit the free memory.
    """

    epochs: float = 3.0
    batch_size: int = 8
    learning_rate: float = 3e-4
    warmup: float = 0.06
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    averaged: float = 0.0
    patience: int = 0
    evaluate_every: int = 0
    checkpoint_every: int = 0
    part_tokens: int = 2048
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpointing: Literal["auto", "on", "off"] = "auto"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands, after each step. `loss` is the mean over the step's sequences."""

    step: int
    steps: int
    epoch: float
    loss: float
    learning_rate: float
    tokens_per_second: float
    seconds_left: float
    valid_loss: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a run did. `losses` and `valid_losses` are (step, loss); steps count from 1.

    `best_step` is where the weights that the model has now come from. The losses of a private run
    are of the data itself: they are for the data's holder only.
    """

    ended: Ended
    steps: int
    losses: tuple[tuple[int, float], ...]
    valid_losses: tuple[tuple[int, float], ...]
    best_step: int
    tokens: int
    seconds: float
    precision: str

    @property
    def tokens_per_second(self) -> float:
        """Real tokens trained on, without padding, a second."""
        return self.tokens / self.seconds if self.seconds else 0.0


class StopTraining(Exception):
    """Raised by `on_progress` to end a run as an interrupt does: with a checkpoint."""


class PrivateOptimizer(Protocol):
    """What `private` returns for an optimizer. `gather` comes after each part's backward pass of
    the SUM of its sequences' losses, `step` once a batch, after no part at all when it is empty."""

    def gather(self, part: Sequence[Example]) -> None:
        """Clips and adds up the gradients of each sequence of the part, and forgets them."""
        ...

    def step(self) -> None:
        """Adds noise and moves the weights."""
        ...


Private = Callable[[Any, Any, Batches], tuple[Any, PrivateOptimizer, Iterable[Sequence[Example]]]]
"""(model, optimizer, batches) -> the same three, private. The batches have a length."""


def train(
    model: Any,
    task: Task,
    examples: Sequence[Example],
    options: LoopOptions,
    *,
    valid: Sequence[Example] = (),
    checkpoint: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    private: Private | None = None,
    identity: str = "",
) -> TrainingResult:
    """Trains what `lora.trainable(model)` lists, in place, on the device the model is on.

    With `checkpoint` (a folder of this run's own) a run that was cut short goes on where it was, if
    `identity`, what the loop cannot see of it, is the same too; the folder is emptied at the end.
    Ctrl-C and `StopTraining` write a checkpoint and return.

    Raises:
        BadInput: nothing to train on, or the checkpoint is another run's.
        TrainingFailed: the loss is not finite, or the weights do not move.
    """
    if not examples:
        raise BadInput("There is nothing to train on.")
    run = _Run(model, task, tuple(examples), options, tuple(valid), identity)
    run.prepare(private)
    if checkpoint is not None:
        run.resume(checkpoint)
    with _seeded(run), _interruptible() as interrupted:
        return run.go(checkpoint, on_progress, interrupted)


def evaluate(model: Any, task: Task, examples: Sequence[Example], *, part_tokens: int = 4096) -> float:
    """The mean loss over sequences, without training. The model is left in evaluation mode."""
    import torch

    model.eval()
    total, device = 0.0, precision.device_of(model)
    with torch.inference_mode(), precision.context(model, precision.of_base(model)):
        for part in physical(examples, part_tokens):
            total += float(task.losses(model, task.collate(part, device)).sum())
    return total / max(1, len(examples))


@dataclass(slots=True)
class _Run:
    """A run's moving parts; `step` steps are done."""

    model: Any
    task: Task
    examples: tuple[Example, ...]
    options: LoopOptions
    valid: tuple[Example, ...]
    identity: str = ""
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)
    valid_losses: list[tuple[int, float]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    mean: dict[str, Any] = field(default_factory=dict)
    format: str = "float32"
    rng: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    batches: Any = None
    inner: Any = None
    outer: Any = None
    net: Any = None
    private: bool = False
    economises: bool = False

    def prepare(self, private: Private | None) -> None:
        """The optimizer and the batches, wrapped where the run is private."""
        import torch

        options = self.options
        self.params = lora.trainable(self.model)
        if not self.params:
            raise BadInput("The model has no adapter to train.", hint="Attach one with lora.attach.")
        self.batches = Batches(self.examples, options.batch_size, options.epochs, options.seed)
        self.inner = self.outer = torch.optim.AdamW(
            list(self.params.values()), lr=options.learning_rate, weight_decay=options.weight_decay, fused=True
        )
        self.net, self.private = self.model, private is not None
        self.fingerprint = self._fingerprint()
        first = physical(next(iter(self.batches)), options.part_tokens)[0]
        self.format = precision.choose(options.precision, self.model, self.task, first)
        self.economises = private is None and self._is_short() and memory.economise(self.model)
        if private is not None:
            self.net, self.outer, self.batches = private(self.model, self.inner, self.batches)

    def _is_short(self) -> bool:
        """Whether the largest part's activations are too much for the free memory."""
        wanted = self.options.checkpointing
        if wanted != "auto":
            return wanted == "on"
        longest = max(len(example.ids) for example in self.examples)
        tokens = max(self.options.part_tokens, longest)
        size = memory.needed(self.model, tokens, 2 if self.format == "bfloat16" else 4)
        return size > memory.SHARE * memory.free(precision.device_of(self.model))

    def go(
        self, checkpoint: Path | None, on_progress: Callable[[Progress], None] | None, interrupted: Callable[[], bool]
    ) -> TrainingResult:
        """Steps until the end, an interrupt or a loss that no longer falls."""
        started, before, trained = time.monotonic(), self.seconds, self.tokens
        ended: Ended = "finished"
        every = self.options.checkpoint_every or self._per_epoch
        for batch in itertools.islice(iter(self.batches), self.step, None):
            loss = self._one_step(batch)
            self.seconds = before + time.monotonic() - started
            if not math.isnan(loss):
                self.losses.append((self.step, loss))
            judged = self._judge() if self._is_due(self.options.evaluate_every) else None
            stop = interrupted()
            try:
                if on_progress is not None:
                    rate = (self.tokens - trained) / max(1e-9, self.seconds - before)
                    on_progress(self._progress(loss, judged, rate))
            except StopTraining:
                stop = True
            if stop and self.step < len(self.batches):
                ended = "interrupted"
                break
            if checkpoint is not None and self.step % every == 0:
                self.save(checkpoint)
            if self._is_hopeless():
                ended = "early"
                break
        if checkpoint is not None:
            self.save(checkpoint) if ended == "interrupted" else disk.clear(checkpoint)
        return self._result(ended)

    def _one_step(self, batch: Sequence[Example]) -> float:
        """Parts forward and back, then one step. The mean loss, nan for an empty batch."""
        import torch

        falls = not self.options.averaged
        rate = self.options.learning_rate * _factor(self.step, len(self.batches), self.options.warmup, falls=falls)
        for group in self.inner.param_groups:
            group["lr"] = rate
        first = self._snapshot() if self.step == 0 else {}
        self.net.train()
        total, device = 0.0, precision.device_of(self.model)
        for part in physical(batch, self.options.part_tokens):
            made = self.task.collate(part, device)
            with precision.context(self.model, self.format):
                losses = self.task.losses(self.net, made)
            if self.private:
                losses.sum().backward()  # type: ignore[no-untyped-call]
                self.outer.gather(part)
            else:
                (losses.sum() / len(batch)).backward()  # type: ignore[no-untyped-call]
            total += float(losses.detach().sum())
            self.tokens += made.tokens
        if not self.private and not math.isfinite(total):  # a private step goes on: that it fails would tell who is in
            raise TrainingFailed(
                f"The loss is not finite at step {self.step + 1}.", hint="Train with a lower learning rate."
            )
        if not self.private:
            if (penalty := lora.penalty(self.model)) is not None:
                penalty.backward()
            torch.nn.utils.clip_grad_norm_(list(self.params.values()), self.options.clip_norm)
        self.outer.step()
        lora.after_step(self.model, self.step)
        self.inner.zero_grad(set_to_none=True)
        self.step += 1
        self._take_mean()
        if first and batch and all(torch.equal(first[name], self.params[name]) for name in first):
            raise TrainingFailed("The adapter's weights do not move.", hint="This is a fault of the program.")
        return total / len(batch) if batch else math.nan

    def _take_mean(self) -> None:
        """The mean of the weights over the last share of the steps, so far."""
        taken = self.step - math.floor(len(self.batches) * (1 - self.options.averaged))
        if taken > 0:
            for name, value in self._snapshot().items():
                before = self.mean.get(name, value)
                self.mean[name] = before + (value - before) / taken

    def _judge(self) -> float | None:
        """The loss on the validation data; the best weights so far are kept."""
        if not self.valid:
            return None
        loss = evaluate(self.net, self.task, self.valid, part_tokens=2 * self.options.part_tokens)
        if all(loss < before for _, before in self.valid_losses):
            self.best = self._snapshot()
        self.valid_losses.append((self.step, loss))
        return loss

    def _is_hopeless(self) -> bool:
        patience, values = self.options.patience, [loss for _, loss in self.valid_losses]
        return 0 < patience < len(values) and min(values[:-patience]) <= min(values[-patience:])

    def _result(self, ended: Ended) -> TrainingResult:
        """Takes the mean weights, or the best ones, unless the run is to go on."""
        import torch

        best_step = self.step
        if self.best and ended != "interrupted":
            best_step = min(self.valid_losses, key=lambda each: each[1])[0]
            with torch.no_grad():
                for name, value in self.best.items():
                    self.params[name].copy_(value)
        if self.mean and ended == "finished":
            best_step = self.step
            with torch.no_grad():
                for name, value in self.mean.items():
                    self.params[name].copy_(value)
        self.model.eval()
        if self.economises:
            memory.spend(self.model)
        return TrainingResult(
            ended, self.step, tuple(self.losses), tuple(self.valid_losses), best_step,
            self.tokens, self.seconds, self.format,
        )  # fmt: skip

    @property
    def _per_epoch(self) -> int:
        return max(1, math.ceil(len(self.examples) / self.options.batch_size))

    def _is_due(self, every: int) -> bool:
        return self.step % (every or self._per_epoch) == 0 or self.step == len(self.batches)

    def _snapshot(self) -> dict[str, Any]:
        return {name: value.detach().clone() for name, value in self.params.items()}

    def _progress(self, loss: float, judged: float | None, rate: float) -> Progress:
        left = (len(self.batches) - self.step) * self.seconds / self.step
        return Progress(
            self.step, len(self.batches), self.step / self._per_epoch, loss,
            float(self.inner.param_groups[0]["lr"]), rate, left, judged,
        )  # fmt: skip

    # The checkpoint

    def save(self, folder: Path) -> None:
        """Everything the rest of the run depends on."""
        import torch

        tensors = {f"weights/{name}": value for name, value in self.params.items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        tensors |= {f"mean/{name}": value for name, value in self.mean.items()}
        tensors |= {f"more/{name}": value for name, value in lora.more_state(self.model).items()}
        for name, value in self.params.items():
            tensors |= {f"optimizer/{name}/{key}": part for key, part in self.inner.state[value].items()}
        tensors["rng/cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["rng/cuda"] = torch.cuda.get_rng_state()
        state = {
            "fingerprint": self.fingerprint, "step": self.step, "tokens": self.tokens, "seconds": self.seconds,
            "losses": self.losses, "valid_losses": self.valid_losses, "format": self.format,
        }  # fmt: skip
        disk.write(folder, self.step, tensors, state)

    def resume(self, folder: Path) -> None:
        """Takes up the newest checkpoint, where there is one."""
        import torch

        found = disk.read(folder, self.fingerprint)
        if found is None:
            return
        tensors, state = found
        with torch.no_grad():
            for name, value in self.params.items():
                value.copy_(tensors[f"weights/{name}"])
        for name, value in self.params.items():
            head = f"optimizer/{name}/"
            parts = {key.removeprefix(head): part for key, part in tensors.items() if key.startswith(head)}
            self.inner.state[value] = {
                key: part if key == "step" and value.device.type == "cpu" else part.to(value.device)
                for key, part in parts.items()
            }
        on = precision.device_of(self.model)
        self.best, self.mean = _under("best/", tensors, on), _under("mean/", tensors, on)
        lora.take_more_state(self.model, _under("more/", tensors))
        self.rng = _under("rng/", tensors)
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.losses = [(int(step), float(loss)) for step, loss in state["losses"]]
        self.valid_losses = [(int(step), float(loss)) for step, loss in state["valid_losses"]]
        self.format = state["format"]

    def _fingerprint(self) -> str:
        """Of all that makes two runs the same run."""
        about = {
            "task": self.task.name,
            "identity": self.identity,
            "options": asdict(self.options),
            "weights": [(name, list(value.shape)) for name, value in self.params.items()],
            "private": self.private,
            "examples": hashlib.sha256(repr((self.examples, self.valid)).encode()).hexdigest(),
        }
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _factor(step: int, steps: int, warmup: float, *, falls: bool = True) -> float:
    """The share of the learning rate at a step: up in a line, down along a cosine to a tenth where it `falls`."""
    rising = max(1, round(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    if not falls:
        return 1.0
    way = (step - rising) / max(1, steps - rising)
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * way))


def _under(prefix: str, tensors: dict[str, Any], device: str = "cpu") -> dict[str, Any]:
    return {name.removeprefix(prefix): value.to(device) for name, value in tensors.items() if name.startswith(prefix)}


@contextlib.contextmanager
def _seeded(run: _Run) -> Iterator[None]:
    """The run's own random numbers; the caller's go on after it as if nothing had been drawn."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(run.options.seed)
        if run.rng:
            torch.set_rng_state(run.rng["cpu"])
            if "cuda" in run.rng:
                torch.cuda.set_rng_state(run.rng["cuda"])
        yield


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Ctrl-C is noted and answered between two steps; pressed again it stops at once."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
