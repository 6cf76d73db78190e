"""The judge on multilingual-e5-small: does a sentence answer a question? English and Chinese.

The product's judge (assistant/retrieval/judge.py) over another base: low-rank changes (ranks 12 to 221) to all matrices
of its twelve layers, other norms, biases and kinds, a head; 5.5 million numbers in `weights.safetensors`, kept as bytes
with a scale a row. README.md is its card. Nothing is unpickled or fetched.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assistant.retrieval import judge
from benchmarks.judge_e5 import wheel

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "weights.safetensors"
QUESTION_TOKENS, TEXT_TOKENS = 64, 128
BATCH_TOKENS = 4096
"""Tokens, padding with them, that are read together."""
_START, _END = 0, 2
"""<s>, </s>."""


class Judge(judge.Judge):
    """The same, some pairs at a time: here all sentences of a question are read, not the best eight."""

    def logits(self, pairs: Sequence[tuple[list[int], int]]) -> npt.NDArray[np.float32]:
        """(n,) logits of pairs of token ids."""
        found = np.zeros(len(pairs), dtype=np.float32)
        for places in batches([len(ids) for ids, _ in pairs], BATCH_TOKENS):
            found[places] = super().logits([pairs[place] for place in places])
        return found


@functools.cache
def load_judge() -> Judge:
    """The judge over the installed wheel, loaded once in the process.

    Raises:
        BadInput: the wheel is not installed.
    """
    base = wheel.read(wheel.installed())
    words = wheel.Words(base.pieces, base.likelihoods, base.unknown, base.alike)
    states, head = judge.learned_on(base.weights(), WEIGHTS, FOLDER)
    return Judge(states, head, lambda question, text: pair(words.ids(question), words.ids(text)))


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
