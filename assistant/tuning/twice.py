"""A causal model as an encoder: it reads each text twice, and the second reading is averaged.

In a first reading a token knows only what stands before it; in the second it has seen the whole text. What two
middle layers make of it says more about tone than the last layer, which is busy with the next word. A few
dimensions of such vectors are huge whatever the text: each is set against its mean and spread over ordinary
sentences that come with the program (`ordinary.json`), never over anybody's records. What a text is about an encoder
knows better: its vector of the same text may stand beside (`Beside`). Nothing is trained here.

Sources: echo embeddings (Springer et al. 2024, arXiv:2402.15449); middle layers (Skean et al. 2025,
arXiv:2502.02013); huge dimensions (Timkey and van Schijndel 2021, arXiv:2109.04404).
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import torch
from torch import nn

from assistant.tuning import precision

BEFORE, BETWEEN = "Rewrite the sentence: ", "\nRewritten sentence: "
DEPTHS = (16 / 30, 22 / 30)
"""The layers whose outputs are read, as shares of the model's depth."""
SHARE = 0.2
"""What an encoder's vector beside has of the row's squared length."""
LENGTH = 3.0
"""How long the head's input is beside its bias' 1: clipped gradients then hold more of the text than of the bias."""


@dataclass(frozen=True, slots=True)
class Beside:
    """An encoder beside the causal model: `read` gives (n, width) for texts as the causal model's ids.

    `name` is told to whoever saves a head, which is of use only beside the same encoder.
    """

    name: str
    width: int
    read: Callable[[Sequence[tuple[int, ...]]], torch.Tensor]


class Reader(nn.Module):
    """What a network makes of texts, as rows of length one. It holds no network: that is handed to it.

    `before` and `between` are the ids around the first reading. `centre` and `spread` (layers, d) are of the
    ordinary sentences; `common` (width) is taken off the rows, which are then brought to length one again:
    what the records have in common (zeros = not known). `beside` adds its columns at the end.
    """

    centre: torch.Tensor
    spread: torch.Tensor
    common: torch.Tensor

    def __init__(
        self, config: Any, before: Sequence[int], between: Sequence[int], *, beside: Beside | None = None
    ) -> None:
        super().__init__()
        self.beside = beside
        depth, width = int(config.num_hidden_layers), int(config.hidden_size)
        self.layers = tuple(dict.fromkeys(max(1, round(depth * share)) for share in DEPTHS))
        self.before, self.between = tuple(before), tuple(between)
        self.own = len(self.layers) * width
        self.width = self.own + (beside.width if beside else 0)
        self.register_buffer("centre", torch.zeros(len(self.layers), width))
        self.register_buffer("spread", torch.ones(len(self.layers), width))
        self.register_buffer("common", torch.zeros(self.width))
        self._memory: dict[tuple[int, ...], torch.Tensor] | None = None

    def forward(self, net: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(n, width) rows of length one, of texts padded on the right."""
        lengths = attention_mask.sum(1).tolist()
        texts = [tuple(row[:length]) for row, length in zip(input_ids.tolist(), lengths, strict=True)]
        known = {} if self._memory is None else self._memory
        new = [text for text in dict.fromkeys(texts) if text not in known]
        read = dict(zip(new, self._columns(net, new), strict=True)) if new else {}
        if self._memory is not None:
            self._memory |= read
        found = torch.stack([known[text] if text in known else read[text] for text in texts]).to(self.centre.device)
        hidden = found[:, : self.own].view(len(found), *self.centre.shape)
        scaled = ((hidden - self.centre) / self.spread).flatten(1)
        rows = self._unit(torch.cat([scaled, found[:, self.own :]], dim=1))
        return self._unit(rows - self.common)

    def _columns(self, net: Any, texts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """(n, width) as the networks said it, not scaled."""
        read = self.read(net, texts).flatten(1)
        return read if self.beside is None else torch.cat([read, self.beside.read(texts).to(read.device)], dim=1)

    def read(self, net: Any, texts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """(n, layers, d) float32: the mean over each text's tokens in its second reading, by layer."""
        rows = [(*self.before, *text, *self.between, *text) for text in texts]
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        attention, second = torch.zeros_like(ids), torch.zeros_like(ids)
        for place, (row, text) in enumerate(zip(rows, texts, strict=True)):
            ids[place, : len(row)] = torch.tensor(row)
            attention[place, : len(row)] = 1
            second[place, len(row) - len(text) : len(row)] = 1
        device = next(net.parameters()).device
        was = net.training
        net.eval()
        with torch.no_grad(), precision.context(net, precision.of_reading(net)):
            out = net(input_ids=ids.to(device), attention_mask=attention.to(device), output_hidden_states=True)
        net.train(was)
        weights = second.to(device).unsqueeze(-1).float()
        found = [(out.hidden_states[layer].float() * weights).sum(1) / weights.sum(1) for layer in self.layers]
        return torch.stack(found, dim=1)

    def measure(self, net: Any, texts: Sequence[tuple[int, ...]]) -> None:
        """Takes centre and spread from texts that are nobody's."""
        rows = torch.cat([self.read(net, texts[at : at + 16]) for at in range(0, len(texts), 16)])
        self.centre.copy_(rows.mean(0))
        self.spread.copy_(rows.std(0) + 1e-6)

    @contextlib.contextmanager
    def remembering(self) -> Iterator[None]:
        """Within it each text is read once: 4 bytes a text and unit of width."""
        before = self._memory
        self._memory = {} if before is None else before
        try:
            yield
        finally:
            self._memory = before

    def _unit(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, width): each layer's part of the same length, the encoder's of its share, together of length one."""
        layers = nn.functional.normalize(rows[:, : self.own].view(len(rows), len(self.layers), -1), dim=-1)
        whole: torch.Tensor = layers.flatten(1) / math.sqrt(len(self.layers))
        if self.beside is None:
            return whole
        beside = nn.functional.normalize(rows[:, self.own :], dim=-1)
        return torch.cat([whole * math.sqrt(1 - SHARE), beside * math.sqrt(SHARE)], dim=1)


def ordinary() -> tuple[str, ...]:
    """Sentences of everyday life, shops, news and opinions, written for this program."""
    text = resources.files("assistant.tuning").joinpath("ordinary.json").read_text(encoding="utf-8")
    return tuple(json.loads(text))
