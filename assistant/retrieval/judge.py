"""The judge: does a sentence answer a question? A small learned cross-encoder for English and Chinese.

It reads question and sentence together, which the features of `reader.py` cannot: low-rank changes (ranks 12 to 221) to
all matrices of multilingual-e5-small's twelve layers, other norms and biases, and a head of two layers, 5.5 million
numbers in `judge.safetensors`. Its card, with the data it was trained on and its licence, is docs/judge.md. It is not a
generator, and it knows no other languages: these are read without it. Weights are safetensors; nothing is unpickled or
fetched.

Sources: SQuAD 2.0 (Rajpurkar et al. 2018, arXiv:1806.03822); DSTC9 track 1 (Kim et al. 2020, arXiv:2006.03533);
CMRC 2018 (Cui et al. 2019, arXiv:1810.07366); LoRA (Hu et al. 2021, arXiv:2106.09685).
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.errors import ModelNotReady
from assistant.retrieval import bert, e5

_LOG = logging.getLogger(__name__)

LANGUAGES = frozenset({"en", "zh"})
QUESTION_TOKENS, TEXT_TOKENS = 64, 128
BATCH_TOKENS = 4096
"""Tokens, padding with them, that are read together."""
_KINDS = ("weight", "bias")
_START, _END = 0, 2
"""<s>, </s>."""


class Judge:
    """Scores pairs on the CPU; load it once with `load_judge`."""

    def __init__(
        self, states: bert.States, head: Mapping[str, bert.Array], ids: Callable[[str], Sequence[int]]
    ) -> None:
        self._states, self._head, self._ids = states, head, ids

    def scores(self, question: str, sentences: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """(n,) logits that each (key, sentence) answers the question; above 0 is a yes. () for no sentences."""
        asked = self._ids(question)
        pairs = [pair(asked, self._ids(f"{key}: {text}" if key else text)) for key, text in sentences]
        logits = np.zeros(len(pairs), dtype=np.float32)
        for places in batches([len(ids) for ids, _ in pairs], BATCH_TOKENS):
            logits[places] = self._logits([pairs[place] for place in places])
        return logits

    def _logits(self, pairs: Sequence[tuple[list[int], int]]) -> npt.NDArray[np.float32]:
        """(n,) logits of pairs of token ids, at least one, read together."""
        ids, kinds, seen = np.zeros((3, len(pairs), max(len(row) for row, _ in pairs)), dtype=np.int64)
        for place, (row, asked) in enumerate(pairs):
            ids[place, : len(row)] = row
            kinds[place, asked : len(row)] = 1
            seen[place, : len(row)] = 1
        states = self._states(ids, kinds, seen)
        mean = (states * seen[:, :, None]).sum(1) / seen.sum(1, keepdims=True)
        both = np.concatenate([states[:, 0], mean], axis=-1)
        hidden = _gelu(both @ self._head["hidden.weight"].T + self._head["hidden.bias"])
        logits = hidden @ self._head["out.weight"].T + self._head["out.bias"]
        return logits[:, 0].astype(np.float32)


@functools.cache
def load_judge() -> Judge | None:
    """The judge over the installed wheel, loaded once in the process; None where the wheel is missing or damaged."""
    from safetensors.numpy import load

    file = e5.installed()
    try:
        base = e5.read(file) if file else None
    except ModelNotReady as error:
        _LOG.warning("%s", error)
        base = None
    if base is None:
        _LOG.warning("Without the package %s answers are read without the judge; `doctor` says more.", e5.PACKAGE)
        return None
    stored = load(resources.files("assistant.retrieval").joinpath("judge.safetensors").read_bytes())
    head = {f"{part}.{kind}": widened(stored, f"head.{part}.{kind}") for part in ("hidden", "out") for kind in _KINDS}
    return Judge(bert.build(base.config, changed(base.weights(), stored)), head, e5.Words(base).ids)


def pair(asked: Sequence[int], said: Sequence[int]) -> tuple[list[int], int]:
    """Token ids of `<s> question </s> text </s>`, and how many belong to the question."""
    asked = asked[:QUESTION_TOKENS]
    return [_START, *asked, _END, *said[:TEXT_TOKENS], _END], len(asked) + 2


def batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """The places of all lengths, those of like length together; at most so many tokens a batch, one place at least."""
    found: list[list[int]] = []
    for place in np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist():
        if found and (len(found[-1]) + 1) * lengths[found[-1][0]] <= tokens:
            found[-1].append(place)
        else:
            found.append([place])
    return found


def widened(stored: Mapping[str, Any], name: str) -> bert.Array:
    """A tensor of a file in 32 bits; one of bytes is multiplied by its rows' scales."""
    value: bert.Array = stored[name].astype(np.float32)
    if f"{name}.scale" in stored:
        value *= stored[f"{name}.scale"].astype(np.float32)[:, None]
    return value


def changed(base: Mapping[str, bert.Array], stored: Mapping[str, Any]) -> dict[str, bert.Matrix]:
    """The base's numbers with what a file has learned: replaced, or low-rank products added and the sums rounded."""
    weights: dict[str, bert.Matrix] = dict(base)
    for name in stored:
        if name.endswith(".down"):
            stem = name.removesuffix(".down")
            change = widened(stored, f"{stem}.up") @ widened(stored, name)
            weights[f"{stem}.weight"] = bert.rounded(np.array(base[f"{stem}.weight"]) + change)
        elif name in base:
            weights[name] = widened(stored, name)
    return weights


def _gelu(x: bert.Array) -> bert.Array:
    """The exact one, elementwise."""
    flat = [0.5 * value * (1 + math.erf(value / math.sqrt(2))) for value in x.ravel().tolist()]
    return np.array(flat, dtype=np.float32).reshape(x.shape)
