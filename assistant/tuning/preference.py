"""What is learned from pairs: to give the one answer rather than the other (direct preference optimisation).

    loss = -log sigmoid(beta * ((log p(chosen) - log p(rejected)) - (log r(chosen) - log r(rejected))))

p is the model that is trained, r the reference: the same model as the run finds it, asked once for every pair and
never again. A log-probability is the sum over an answer's tokens. It is a task of the one loop, like the others: a
pair is one example, with both sequences end to end, and has one loss. Not for private runs: their clipping counts on
one sequence an example.

Source: Rafailov et al., Direct Preference Optimization (arXiv:2305.18290), equation 7.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assistant.errors import BadInput
from assistant.tuning import precision
from assistant.tuning.batches import physical
from assistant.tuning.records import PairRow, Records
from assistant.tuning.tasks import MAX_TOKENS, Batch, ChatTask, collate, surprise
from assistant.types import UNNAMED, Company, Example
from assistant.types import Task as TaskName

if TYPE_CHECKING:
    import torch

BETA = 0.1
"""How dear it is to leave the reference: the paper's default."""
_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class PreferenceTask:
    """Pairs of answers. `reference` holds what `refer` noted: by a pair's ids, log r(chosen) - log r(rejected)."""

    chat: ChatTask
    beta: float = BETA
    name: TaskName = field(default="chat", init=False)
    labels: tuple[str, ...] = field(default=(), init=False)
    reference: dict[tuple[int, ...], float] = field(default_factory=dict, init=False, compare=False)

    def examples(self, records: Records, tokenizer: Any) -> tuple[Example, ...]:
        """One example a pair; `labels` is where its second sequence begins."""
        made, problems = [], []
        for row in records.rows:
            if isinstance(row, PairRow):
                good, bad = (self.chat.example(side, tokenizer) for side in (row.chosen, row.rejected))
                longest = max(len(good.ids), len(bad.ids))
                if longest > self.chat.max_tokens:
                    problems.append(f"line {row.line}: {longest} tokens")
                made.append(Example(good.ids + bad.ids, good.mask + bad.mask, (len(good.ids),), row.customer))
        if problems:
            listed = "; ".join(problems[:20])
            raise BadInput(
                f"Longer than {self.chat.max_tokens} tokens: {listed}.", hint="Shorten them, or --max-tokens."
            )
        return tuple(made)

    def sides(self, examples: Sequence[Example]) -> list[Example]:
        """The chosen answers' sequences, then the rejected ones'."""
        cuts = [(one, slice(None, one.labels[0]), slice(one.labels[0], None)) for one in examples]
        return [
            dataclasses.replace(one, ids=one.ids[cut[part]], mask=one.mask[cut[part]], labels=())
            for part in (0, 1)
            for one, *cut in cuts
        ]

    def collate(self, examples: Sequence[Example], device: str = "cpu") -> Batch:
        """2n sequences for n pairs, with what the reference makes of each, once it was asked."""
        import torch

        known = [self.reference[one.ids] for one in examples if one.ids in self.reference]
        against = torch.tensor(known, dtype=torch.float32, device=device) if len(known) == len(examples) else None
        return dataclasses.replace(collate(self.sides(examples), device), against=against)

    def losses(self, model: Any, batch: Batch) -> torch.Tensor:
        """(n,): each pair's own loss."""
        from torch.nn import functional

        if batch.against is None:
            raise ValueError("the reference was not asked: call refer first")
        return -functional.logsigmoid(self.beta * (margins(model, batch) - batch.against))

    def refer(self, model: Any, examples: Sequence[Example]) -> None:
        """Asks the model, as it is before the training, for every pair that training will be measured against."""
        self.reference.update({one.ids: margin for one, margin in self.asked(model, examples)})

    def asked(self, model: Any, examples: Sequence[Example]) -> Iterator[tuple[Example, float]]:
        """Each pair with its margin as the model stands. The model is left in evaluation mode."""
        import torch

        model.eval()
        with torch.inference_mode(), precision.context(model, precision.of_base(model)):
            for part in physical(examples, _TOKENS):
                found = margins(model, self.collate(part, precision.device_of(model)))
                yield from zip(part, found.tolist(), strict=True)


def make_task(records: Records, *, max_tokens: int = 0, company: Company = UNNAMED) -> PreferenceTask:
    """The task of pairs; `max_tokens` bounds each of their sequences, 0 = as for chat."""
    return PreferenceTask(ChatTask(max_tokens or MAX_TOKENS["chat"], company))


def margins(model: Any, batch: Batch) -> torch.Tensor:
    """(n,) log p(chosen) - log p(rejected) of 2n sequences."""
    each, where = surprise(model, batch)
    sums = each.new_zeros(len(where)).index_add(0, where.nonzero()[:, 0], each)
    chosen, rejected = sums.chunk(2)
    return rejected - chosen  # the surprise is the negative logarithm
