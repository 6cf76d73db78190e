"""Adapters for elsewhere: merged into a model of their own, or several combined into one.

What a change of form costs is measured on texts: the same next-token probabilities, before and after. A merged
folder is a `model.name` like any other, and what other servers load.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant import metrics
from assistant.adapters import WEIGHTS, Shelf, check_name, sha256_of, shape_of
from assistant.engines import models
from assistant.erase import is_unknown
from assistant.errors import AdapterRefused, BadInput, UnknownName
from assistant.runs import Base, Plan, base_of
from assistant.settings import Settings
from assistant.types import Adapter, Measure
from assistant.vetting import base_of as facts_of
from assistant.vetting import verify
from privacy.erasure import Learned

_TOKENS = 512
"""Of each text so many tokens are read."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A merged model and what merging cost: perplexity both ways, agreement, the change of the logits."""

    path: Path
    measures: tuple[Measure, ...]


def merge(wanted: str, target: Path, settings: Settings, *, texts: Sequence[str], dtype: str = "bfloat16") -> Exported:
    """The adapter merged into its base in `target`, and the quality lost on `texts`.

    Raises:
        UnknownName, AdapterRefused: there is no such adapter, or it is damaged or of another base.
        BadInput: it does not chat, the folder is not empty, or there are no texts.
    """
    from assistant.tuning import merging

    if not texts:
        raise BadInput("There is no text to measure the loss on.", hint="--texts FILE, or ingest documents first.")
    adapter, base = _chat_adapter(wanted, settings)
    merging.merge(base.path, Path(adapter.path), target, name=base.name, dtype=dtype)
    return Exported(target, tuple(_lost(base, Path(adapter.path), target, texts)))


def quantise(wanted: str, target: Path, settings: Settings, *, texts: Sequence[str], kind: str = "q8_0") -> Exported:
    """The adapter merged into its base as one quantised GGUF file, and the quality lost on `texts`.

    The file is read back as a user's own GGUF would be, so the loss is that of the file.

    Raises:
        UnknownName, AdapterRefused: as `merge`.
        BadInput: as `merge`; or the base did not come as a GGUF, which gives the file its vocabulary and template.
    """
    from assistant.engines import gguf, quantised
    from assistant.tuning import merging

    if not texts:
        raise BadInput("There is no text to measure the loss on.", hint="--texts FILE, or ingest documents first.")
    adapter, base = _chat_adapter(wanted, settings)
    like = models.source_of(settings)
    if like is None:
        raise BadInput("Only an adapter of a model that came as a GGUF file can be written as one.")
    with tempfile.TemporaryDirectory() as work:
        merging.merge(base.path, Path(adapter.path), Path(work) / "merged", name=base.name, dtype="float32")
        quantised.write(Path(work) / "merged", target, like=like, kind=kind)
        gguf.convert(target, Path(work) / "again", name=base.name)
        return Exported(target, tuple(_lost(base, Path(adapter.path), Path(work) / "again", texts)))


def combine(name: str, parts: Sequence[tuple[str, float]], settings: Settings) -> Adapter:
    """One adapter that does the weighted sum of what `parts` (adapter, weight) do; nothing has judged it yet.

    Raises:
        UnknownName, AdapterRefused: as `merge`.
        BadInput: fewer than two parts, other bases, or kinds that have no sum.
    """
    from assistant.tuning import merging

    check_name(name)
    if len(parts) < 2 or not all(math.isfinite(weight) for _, weight in parts):
        raise BadInput("Name at least two adapters, each with a weight.", hint="combine both a:0.5 b:0.5.")
    found = [_chat_adapter(wanted, settings) for wanted, _ in parts]
    adapters, base = [adapter for adapter, _ in found], found[0][1]
    shelf = Shelf(settings.data_dir)
    with tempfile.TemporaryDirectory(dir=shelf.root) as folder:
        made = Path(folder) / "made"
        paths = [Path(adapter.path) for adapter in adapters]
        merging.combine(base.path, paths, [weight for _, weight in parts], made, name=base.name)
        said = " + ".join(f"{weight:g} x {adapter.id}" for adapter, (_, weight) in zip(adapters, parts, strict=True))
        spent = tuple(spend for adapter in adapters for spend in adapter.privacy)  # alike is not the same: all count
        card = dataclasses.replace(
            adapters[0], name=name, method="combined", before=None, after=None, parent=None, privacy=spent,
            examples=sum(adapter.examples for adapter in adapters),
            owners=sum(adapter.owners for adapter in adapters), data_sha256="", notes=(said,),
            audits=tuple(audit for adapter in adapters for audit in adapter.audits),
            delta=max(adapter.delta for adapter in adapters),
            created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), **shape_of(made),
        )  # fmt: skip
        _remember(made, adapters, settings)
        return shelf.save(card, lambda target: shutil.copytree(made, target, dirs_exist_ok=True))


def _remember(made: Path, adapters: Sequence[Adapter], settings: Settings) -> None:
    """Keeps whose records the parts learned from, and those that they went on from: an erasure finds the combination.

    Where that is not known of one of them nothing is kept: an erasure names the combination as unknown.
    """
    shelf, learned = Shelf(settings.data_dir), Learned(settings.data_dir, settings.tenant)
    marks: set[str] = set()
    for adapter in adapters:
        line: Adapter | None = adapter
        while line is not None:
            if is_unknown(line, learned):
                return
            marks |= learned.of(line.sha256)
            try:
                line = shelf.find(line.parent) if line.parent else None
            except (UnknownName, AdapterRefused):
                return
    learned.remember(sha256_of(made / WEIGHTS), marks)


def _chat_adapter(wanted: str, settings: Settings) -> tuple[Adapter, Base]:
    adapter = Shelf(settings.data_dir).find(wanted)
    if adapter.task != "chat":
        raise BadInput(f"{adapter.id} does not chat.", hint="Only adapters for chat are merged or combined.")
    base = base_of(Plan("chat", Path(), adapter.name), settings)
    verify(Path(adapter.path), facts_of(base.path, name=base.name, sha256=base.sha256))
    return adapter, base


def _lost(base: Base, adapter: Path, merged: Path, texts: Sequence[str]) -> list[Measure]:
    """The same next tokens by base and adapter in float32, and by what was made of them."""
    from assistant.tuning import lora, networks

    tokenizer, net = networks.load_chat(base.path, name=base.name)
    rows = [tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids[:_TOKENS] for text in texts]
    rows = [ids for ids in rows if len(ids) > 1]
    net = lora.load(net, adapter)
    before = [_log_odds(net, ids) for ids in rows]
    net = networks.load_chat(merged, dtype="bfloat16")[1]
    after = [_log_odds(net, ids) for ids in rows]
    return list(_compared(rows, before, after))


def _log_odds(net: Any, ids: Sequence[int]) -> Any:
    """(tokens - 1, vocabulary): log-probabilities of each next token."""
    import torch

    with torch.inference_mode():
        return torch.log_softmax(net(input_ids=torch.tensor([ids])).logits[0, :-1].float(), dim=-1)


def _compared(rows: Sequence[Sequence[int]], before: Sequence[Any], after: Sequence[Any]) -> Iterator[Measure]:
    import torch

    def perplexity(odds: Sequence[Any]) -> float:
        losses = [-one[torch.arange(len(ids) - 1), torch.tensor(ids[1:])] for ids, one in zip(rows, odds, strict=True)]
        return math.exp(float(torch.cat(losses).mean()))

    pairs = list(zip(before, after, strict=True))
    yield Measure("perplexity_before", perplexity(before), n=len(rows))
    yield Measure("perplexity_after", perplexity(after), n=len(rows))
    same = [bool(flag) for one, other in pairs for flag in one.argmax(-1) == other.argmax(-1)]
    yield metrics.share("same_next_token", same)
    change = max(float((one - other).abs().max()) for one, other in pairs)
    yield Measure("largest_change_of_a_log_probability", change, n=len(rows))
    divergence = [float(value) for one, other in pairs for value in (one.exp() * (one - other)).sum(-1)]
    yield metrics.mean("kl_divergence", divergence)
