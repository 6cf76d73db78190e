"""The judge on multilingual-e5-small: does a sentence answer a question? English and Chinese.

As assistant/retrieval/judge.py, over another base: low-rank changes (ranks 12 to 221) to all matrices of its twelve
layers, other norms, biases and kinds, a head; 5.5 million numbers in `weights.safetensors`, kept as bytes with a scale
a row. README.md is its card. Nothing is unpickled or fetched.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.retrieval import bert
from benchmarks.judge_e5 import wheel

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "weights.safetensors"
QUESTION_TOKENS, TEXT_TOKENS = 64, 128
BATCH_TOKENS = 4096
"""Tokens, padding with them, that are read together."""
_START, _PAD, _END = 0, 1, 2
"""<s>, <pad>, </s>."""


class Judge:
    """Scores pairs on the CPU; load it once with `load_judge`."""

    def __init__(self, file: Path) -> None:
        from safetensors.numpy import load_file

        base = wheel.read(file)
        learned = widened(load_file(WEIGHTS))
        self._words = wheel.Words(base.pieces, base.likelihoods, base.unknown, base.alike)
        self._states = bert.build(FOLDER, changed(base.weights(), learned))
        self._head = {name[5:]: value for name, value in learned.items() if name.startswith("head.")}

    def scores(self, question: str, sentences: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """(n,) logits that each (key, sentence) answers the question; above 0 is a yes. () for no sentences."""
        asked = self._words.ids(question)[:QUESTION_TOKENS]
        pairs = [pair(asked, self._words.ids(f"{key}: {text}" if key else text)) for key, text in sentences]
        logits = np.zeros(len(pairs), dtype=np.float32)
        for places in batches([len(ids) for ids, _ in pairs], BATCH_TOKENS):
            logits[places] = self._logits([pairs[place] for place in places])
        return logits

    def _logits(self, pairs: Sequence[tuple[list[int], int]]) -> bert.Array:
        ids, kinds, seen = padded(pairs)
        states = self._states(ids, kinds, seen)
        mean = (states * seen[:, :, None]).sum(1) / seen.sum(1, keepdims=True)
        both = np.concatenate([states[:, 0], mean], axis=-1)
        hidden = _gelu(both @ self._head["hidden.weight"].T + self._head["hidden.bias"])
        logits = hidden @ self._head["out.weight"].T + self._head["out.bias"]
        return logits[:, 0].astype(np.float32)


@functools.cache
def load_judge() -> Judge:
    """The judge over the installed wheel, loaded once in the process.

    Raises:
        BadInput: the wheel is not installed.
    """
    return Judge(wheel.installed())


def pair(asked: Sequence[int], said: Sequence[int]) -> tuple[list[int], int]:
    """Token ids of `<s> question </s> text </s>`, and how many belong to the question."""
    return [_START, *asked, _END, *said[:TEXT_TOKENS], _END], len(asked) + 2


def padded(pairs: Sequence[tuple[list[int], int]]) -> tuple[bert.Ids, bert.Ids, bert.Ids]:
    """Pairs as one batch: ids, kinds (0 the question's, 1 the text's) and which are no padding."""
    ids, kinds, seen = np.zeros((3, len(pairs), max(len(row) for row, _ in pairs)), dtype=np.int64)
    ids[:] = _PAD
    for place, (row, asked) in enumerate(pairs):
        ids[place, : len(row)] = row
        kinds[place, asked : len(row)] = 1
        seen[place, : len(row)] = 1
    return ids, kinds, seen


def batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """The places of all lengths, those of like length together; at most so many tokens a batch, one place at least."""
    found: list[list[int]] = []
    for place in np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable").tolist():
        if found and (len(found[-1]) + 1) * lengths[found[-1][0]] <= tokens:
            found[-1].append(place)
        else:
            found.append([place])
    return found


def widened(stored: Mapping[str, Any]) -> dict[str, bert.Array]:
    """Everything as 32-bit floats; a matrix of bytes is multiplied by its rows' scales."""
    weights = {name: value.astype(np.float32) for name, value in stored.items() if not name.endswith(".scale")}
    for name in weights:
        if f"{name}.scale" in stored:
            weights[name] *= stored[f"{name}.scale"].astype(np.float32)[:, None]
    return weights


def changed(base: Mapping[str, bert.Array], learned: Mapping[str, bert.Array]) -> dict[str, bert.Array]:
    """The base's numbers with what was learned: low-rank products are added as they are, other numbers replaced."""
    weights = dict(base)
    for name, value in learned.items():
        if name.endswith(".down"):
            stem = name.removesuffix(".down")
            weights[f"{stem}.weight"] = base[f"{stem}.weight"] + learned[f"{stem}.up"] @ value
        elif name in base:
            weights[name] = value
    return weights


def _gelu(x: bert.Array) -> bert.Array:
    """The exact one, elementwise."""
    flat = [0.5 * value * (1 + math.erf(value / math.sqrt(2))) for value in x.ravel().tolist()]
    return np.array(flat, dtype=np.float32).reshape(x.shape)
