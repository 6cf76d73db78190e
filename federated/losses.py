"""What a partner's loss has beyond its task's own, so that what partners learn fits together.

FedProx pulls towards the weights the round began with. Calibration is for partners with different classes: while a
partner learns, each class's logit is raised by the log of its share among this partner's records, so that a class
that is rare here is not learned to be rare everywhere. The shares stay at the partner.

Sources: FedProx (arXiv:1812.06127); logit adjustment (arXiv:2007.07314) and its use in federations (FedLC,
arXiv:2209.00189). What is not here: the loop.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from federated.errors import BadRequest

if TYPE_CHECKING:
    from assistant.tuning.tasks import Batch, Task
    from assistant.types import Example

ABSENT = 0.5
"""What a class counts as that a partner has no record of."""


@dataclasses.dataclass(frozen=True)
class _Over:
    """A task that is another one but for its losses."""

    inner: Task

    @property
    def name(self) -> Any:
        """The inner task's."""
        return self.inner.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The inner task's."""
        return self.inner.labels

    def examples(self, records: Any, tokenizer: Any) -> tuple[Example, ...]:
        """The inner task's."""
        return self.inner.examples(records, tokenizer)

    def collate(self, examples: Sequence[Example], device: str = "cpu") -> Batch:
        """The inner task's."""
        return self.inner.collate(examples, device)


@dataclasses.dataclass(frozen=True)
class Proximal(_Over):
    """Losses that grow with the distance of `params` to where they are now."""

    params: Mapping[str, Any]
    strength: float
    anchors: dict[str, Any] = dataclasses.field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.anchors.update({name: value.detach().clone() for name, value in self.params.items()})

    def losses(self, model: Any, batch: Batch) -> Any:
        """The inner task's, each plus strength/2 times the squared distance."""
        distance = sum(((value - self.anchors[name]) ** 2).sum() for name, value in self.params.items())
        return self.inner.losses(model, batch) + 0.5 * self.strength * distance


@dataclasses.dataclass(frozen=True)
class Calibrated(_Over):
    """Losses of one class a text, with the logits raised by `strength` times `offsets`."""

    offsets: Sequence[float]
    strength: float

    @classmethod
    def on(cls, inner: Task, examples: Sequence[Example], strength: float) -> Calibrated:
        """Calibrated by the classes of these examples.

        Raises:
            BadRequest: the task has no one class a record.
        """
        import math

        if inner.name != "classify":
            raise BadRequest(f"Calibration is by classes, and the task {inner.name} has none.")
        counts = Counter(example.labels[0] for example in examples)
        found = [counts.get(place, 0) or ABSENT for place in range(len(inner.labels))]
        return cls(inner, [math.log(count / sum(found)) for count in found], strength)

    def losses(self, model: Any, batch: Batch) -> Any:
        """The inner task's, of raised logits."""
        import torch

        raised = self.strength * torch.tensor(self.offsets, device=batch.ids.device)
        hook = model.register_forward_hook(lambda _model, _inputs, logits: logits + raised)
        try:
            return self.inner.losses(model, batch)
        finally:
            hook.remove()
