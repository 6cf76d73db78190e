"""Answers of a model that is still in the trainer's hands, many at once: for before and after.

Greedy, in batches of like length; serving has its own loop in the engine. Not a chat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from assistant import template
from assistant.tuning import precision
from assistant.types import Message


def answers(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[Message]],
    *,
    max_new_tokens: int = 80,
    batch_size: int = 16,
) -> Iterator[tuple[int, str]]:
    """(place of the prompt, answer), a batch after the other, the shortest prompts first."""
    import torch

    model.eval()
    ids = [template.prompt_ids(tokenizer, messages) for messages in prompts]
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    device = precision.device_of(model)
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        longest = max(len(ids[place]) for place in places)
        padded = torch.zeros((len(places), longest), dtype=torch.long)
        attention = torch.zeros_like(padded)
        for row, place in enumerate(places):
            padded[row, longest - len(ids[place]) :] = torch.tensor(ids[place])
            attention[row, longest - len(ids[place]) :] = 1
        with torch.inference_mode(), precision.context(model, precision.of_base(model)):
            made = model.generate(
                input_ids=padded.to(device), attention_mask=attention.to(device), max_new_tokens=max_new_tokens,
                do_sample=False, pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
            )  # fmt: skip
        for place, row in zip(places, made[:, longest:], strict=True):
            yield place, str(tokenizer.decode(row, skip_special_tokens=True)).strip()
