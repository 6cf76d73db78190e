"""How likely a text is as a network's answer to each of several prompts, in one batch.

Padded on the left, so that the answer stands at the end of every row and the head computes its logits only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def logprobs(net: Any, prompts: Sequence[Sequence[int]], answer: Sequence[int], *, device: str) -> list[float]:
    """Of each prompt the sum of the answer's log-probabilities, in nats. None of them may be empty."""
    import torch

    rows = [[*prompt, *answer] for prompt in prompts]
    size = (len(rows), max(map(len, rows)))
    ids, seen = torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, -len(row) :] = torch.tensor(row)
        seen[place, -len(row) :] = 1
    places = (seen.cumsum(1) - 1).clamp(min=0)
    with torch.inference_mode():
        logits = net(
            input_ids=ids.to(device), attention_mask=seen.to(device), position_ids=places.to(device),
            use_cache=False, logits_to_keep=len(answer) + 1,
        ).logits[:, :-1]  # fmt: skip
        odds = torch.log_softmax(logits.float(), dim=-1)
        said = torch.tensor(list(answer), device=odds.device).expand(len(rows), -1).unsqueeze(-1)
        return [float(each) for each in odds.gather(2, said).sum((1, 2)).cpu()]
