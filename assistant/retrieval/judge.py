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

from assistant.retrieval import bert, e5

_LOG = logging.getLogger(__name__)

LANGUAGES = frozenset({"en", "zh"})
QUESTION_TOKENS, TEXT_TOKENS = 64, 128
BATCH_TOKENS = 4096
"""Tokens, padding with them, that are read together."""
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
    """The judge over the installed wheel, loaded once in the process; None where the wheel is not installed.

    Raises:
        ModelNotReady: the wheel's file is of another kind.
    """
    from safetensors.numpy import load

    file = e5.installed()
    if file is None:
        _LOG.warning("The package %s is not installed: answers are read without the judge. See doctor.", e5.PACKAGE)
        return None
    base = e5.read(file)
    learned = matrices(load(resources.files("assistant.retrieval").joinpath("judge.safetensors").read_bytes()))
    head = {name.removeprefix("head."): np.array(value) for name, value in learned.items() if name.startswith("head.")}
    words = e5.Words(base.pieces, base.likelihoods, base.unknown, base.alike)
    return Judge(bert.build(base.config, changed(base.weights(), learned)), head, words.ids)


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


def matrices(stored: Mapping[str, Any]) -> dict[str, bert.Matrix]:
    """What a file has: matrices of bytes with their rows' scales, all else as 32-bit floats."""
    return {
        name: bert.Bytes(value, stored[f"{name}.scale"]) if f"{name}.scale" in stored else value.astype(np.float32)
        for name, value in stored.items()
        if not name.endswith(".scale")
    }


def changed(base: Mapping[str, bert.Matrix], learned: Mapping[str, bert.Matrix]) -> dict[str, bert.Matrix]:
    """The base's numbers with what was learned: low-rank products are added, other numbers replaced."""
    weights = dict(base)
    for name, value in learned.items():
        if name.endswith(".down"):
            stem = name.removesuffix(".down")
            weights[f"{stem}.weight"] = bert.Changed(base[f"{stem}.weight"], learned[f"{stem}.up"], value)
        elif name in base:
            weights[name] = value
    return weights


def _gelu(x: bert.Array) -> bert.Array:
    """The exact one, elementwise."""
    flat = [0.5 * value * (1 + math.erf(value / math.sqrt(2))) for value in x.ravel().tolist()]
    return np.array(flat, dtype=np.float32).reshape(x.shape)
