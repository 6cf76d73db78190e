"""Small adapters for a small base, made without any framework, and what spoils them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from assistant.adapters import CONFIG, WEIGHTS, Shelf
from assistant.types import Adapter
from assistant.vetting import Base

BASE = Base("tiny", "b" * 64, "c" * 64, {"model.layers.0.self_attn.q_proj.weight": (6, 8), "norm.weight": (6,)})
CARD = Adapter(
    name="support", version=0, path="", task="chat", base="tiny", base_sha256=BASE.sha256, sha256="", rank=2,
    alpha=4.0, targets=("q_proj",), template_sha256=BASE.template_sha256,
)  # fmt: skip
_MODULE = "base_model.model.model.layers.0.self_attn.q_proj"


def write(folder: Path, *, rank: int = 2, columns: int = 8, value: float = 0.5, module: str = _MODULE) -> None:
    """A LoRA adapter as PEFT names things."""
    tensors = {
        f"{module}.lora_A.weight": np.full((rank, columns), 0.25, np.float32),
        f"{module}.lora_B.weight": np.full((6, rank), value, np.float32),
    }
    save_file(tensors, folder / WEIGHTS)
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 4.0, "target_modules": ["q_proj"], "bias": "none"}
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")


def put(data_dir: Path, **fields: object) -> Adapter:
    """One more version of `support` on the shelf."""
    from dataclasses import replace

    return Shelf(data_dir).save(replace(CARD, **fields), write)  # type: ignore[arg-type]
