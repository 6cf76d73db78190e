"""The small-machine preset: adapters in the upper layers, over kept activations of the frozen lower ones.

What comes out of the frozen layers is the same in every epoch, so it is computed when an example is
first seen and kept: later epochs pay for the upper layers alone. The adapter is an ordinary one; only
its training is cheaper. For causal models and encoders whose layers take one hidden state after
another; a model whose layers differ in what else they are given is refused by comparing outputs.

Source of the idea: freezing layers and caching their outputs, AutoFreeze (arXiv:2102.01386).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from assistant.errors import BadInput
from assistant.tuning import lora
from assistant.tuning.networks import Classifier, core
from assistant.types import Example


class FrozenLayers(nn.Module):
    """The lower layers as one: a row that was seen before comes from the store.

    `memory` holds the rows of all examples end to end; an unknown row is computed and not kept. `kind` is the number
    format of what the layers give: on a GPU autocast's norms give float32 over a base in bfloat16.
    """

    def __init__(
        self, layers: Sequence[nn.Module], examples: Sequence[Example], width: int, folder: Path | None
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.places: dict[tuple[int, ...], int] = {}
        total = 0
        for example in examples:
            if example.ids not in self.places:
                self.places[example.ids] = total
                total += len(example.ids)
        self.width = width
        self.folder = folder
        self.total = total
        self.known: Any = None
        self.memory: Any = None
        self.kind = torch.float32
        self.rows: list[tuple[int, ...]] = []

    def train(self, mode: bool = True) -> FrozenLayers:
        """Frozen layers do not drop out: their output must not change."""
        return super().train(False)

    def note(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> None:
        """Which sequences come next through the layers."""
        lengths = attention_mask.sum(1).tolist()
        self.rows = [tuple(row[:length]) for row, length in zip(input_ids.tolist(), lengths, strict=True)]

    def forward(self, hidden: torch.Tensor, *args: Any, **more: Any) -> torch.Tensor:
        """The hidden states (n, t, d) after the last frozen layer."""
        places = [self.places.get(row, -1) for row in self.rows]
        if (found := self._found(hidden, places)) is not None:
            return found
        with torch.no_grad():
            for layer in self.layers:
                hidden = cast(torch.Tensor, layer(hidden, *args, **more))
        if any(place >= 0 for place in places):
            if self.memory is None:  # of a run that goes on it may hold these rows already
                self._open(hidden.dtype)
                if (found := self._found(hidden, places)) is not None:
                    return found
            self._keep(hidden, places)
        return hidden

    def _found(self, hidden: torch.Tensor, places: Sequence[int]) -> torch.Tensor | None:
        """The rows out of the store, where all of them are in it."""
        if self.memory is None or not places or not all(place >= 0 and self.known[place] for place in places):
            return None
        out = torch.zeros(hidden.shape, dtype=self.kind, device=hidden.device)
        for row, place in enumerate(places):
            length = len(self.rows[row])
            out[row, :length] = torch.from_numpy(self.memory[place : place + length]).view(self.kind)
        return out

    def _keep(self, hidden: torch.Tensor, places: Sequence[int]) -> None:
        if hidden.dtype != self.kind:  # computed in another format than the run's
            return
        kind = torch.int16 if hidden.element_size() == 2 else torch.int32
        bits = hidden.detach().cpu().contiguous().view(kind).numpy()
        for row, place in enumerate(places):
            if place >= 0 and not self.known[place]:
                length = len(self.rows[row])
                self.memory[place : place + length] = bits[row, :length]
                self.known[place] = 1

    def _open(self, dtype: torch.dtype) -> None:
        """The store, in memory or in a file that outlives a killed run."""
        self.kind = dtype
        kind = np.int16 if dtype.itemsize == 2 else np.int32
        size = max(1, self.total)
        if self.folder is None:
            self.memory = np.zeros((size, self.width), dtype=kind)
            self.known = np.zeros(size, dtype=np.uint8)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        # a file a format: bits of one must not be read as another's by a run that goes on elsewhere
        name = str(dtype).removeprefix("torch.")
        self.memory = _mapped(self.folder / f"activations-{name}.bin", kind, (size, self.width))
        self.known = _mapped(self.folder / f"known-{name}.bin", np.uint8, (size,))


@contextlib.contextmanager
def kept(model: Any, examples: Sequence[Example], *, folder: Path | None = None) -> Iterator[None]:
    """Within it the layers under the lowest trained one are computed once per example.

    Train inside, save after. With `folder` the activations lie there while the run lasts (they are
    derived from the examples: remove them with `forget`), so that a killed run goes on bit by bit;
    without it they are in memory: 2 or 4 bytes a token and unit of width.

    Where no layer is trained (a head alone) that is all of them; of what a model reads twice the vectors are kept,
    in memory.

    Raises:
        BadInput: all layers are trained, or this architecture computes something else so.
    """
    if isinstance(model, Classifier) and model.reader is not None:
        with model.reader.remembering():
            yield
        return
    net = core(model)
    holder, name, layers = _layers(net)
    first = _lowest(model, layers)
    frozen = FrozenLayers(list(layers)[:first], examples, int(net.config.hidden_size), folder)
    body = net.base_model
    before = _outputs(body, examples[0]) if examples else None
    setattr(holder, name, nn.ModuleList([frozen, *layers[first:]]))
    hook: Any = None
    try:
        if before is not None and not _alike(before, _outputs(body, examples[0])):  # before it notes: nothing is kept
            raise BadInput("This model's layers cannot be split.", hint="Train without the small-machine preset.")
        hook = body.register_forward_pre_hook(
            lambda _body, _args, given: frozen.note(given["input_ids"], given["attention_mask"]), with_kwargs=True
        )
        yield
    finally:
        if hook is not None:
            hook.remove()
        setattr(holder, name, layers)


def forget(folder: Path) -> None:
    """Removes the activations of a run that is over."""
    for file in folder.glob("*.bin"):
        file.unlink(missing_ok=True)


def _layers(net: Any) -> tuple[Any, str, nn.ModuleList]:
    """(module that holds the layers, attribute, the layers)."""
    total = int(net.config.num_hidden_layers)
    for path, module in net.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == total:
            parent, _, name = path.rpartition(".")
            return net.get_submodule(parent), name, module
    raise BadInput("This model has no list of layers.", hint="Train without the small-machine preset.")


def _lowest(model: Any, layers: nn.ModuleList) -> int:
    trained = {id(parameter) for parameter in lora.trainable(model).values()}
    for number, layer in enumerate(layers):
        if any(id(parameter) in trained for parameter in layer.parameters()):
            if number:
                return number
            raise BadInput(
                "The lowest layer is trained too: there is nothing to keep.",
                hint="Adapt the top layers (lora.top_layers).",
            )
    return len(layers)


def _outputs(body: Any, example: Example) -> torch.Tensor:
    """The last hidden states of a shortened example, which no store keeps, in evaluation mode."""
    was = body.training
    body.eval()
    ids = torch.tensor([example.ids[:-1] or example.ids], device=next(body.parameters()).device)
    with torch.no_grad():
        out = body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    body.train(was)
    return cast(torch.Tensor, out)


def _alike(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Equal but for rounding: a product may be summed in another order when its memory lies elsewhere."""
    allowed = 1e-3 if one.dtype == torch.float32 else 2e-2
    return bool((one.float() - two.float()).norm() <= allowed * one.float().norm())


def _mapped(path: Path, kind: Any, shape: tuple[int, ...]) -> Any:
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    if not path.is_file() or path.stat().st_size != size:
        with path.open("wb") as file:
            file.truncate(size)
    return np.memmap(path, dtype=kind, mode="r+", shape=shape)
