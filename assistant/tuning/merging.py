"""Adapters made into something else: merged into their base, or several into one.

Both are exact up to the number format: a merged network computes what base and adapter did, a combined
adapter the weighted sum of what each changed. It judges neither.

Sources: PEFT `merge_and_unload`, `add_weighted_adapter` ("cat").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.errors import BadInput
from assistant.tuning import lora, networks
from assistant.tuning.lora import CONFIG, WEIGHTS


def merge(base: Path, adapter: Path, target: Path, *, name: str = "", dtype: str = "bfloat16") -> None:
    """Writes the chat model with the adapter inside: a folder of safetensors as any other model's.

    The sum is made in float32 and rounded once, to `dtype`.

    Raises:
        BadInput: the adapter does not fit, or the target is not empty.
    """
    import torch

    if target.exists() and any(target.iterdir()):
        raise BadInput(f"{target} is not empty.", hint="Choose a new folder.")
    tokenizer, net = networks.load_chat(base, name=name)
    merged = lora.load(net, adapter).merge_and_unload(safe_merge=True)
    merged.to(getattr(torch, dtype)).save_pretrained(target)
    tokenizer.save_pretrained(target)


def combine(base: Path, adapters: Sequence[Path], weights: Sequence[float], target: Path, *, name: str = "") -> None:
    """Writes one adapter that changes the base by the weighted sum of what each of `adapters` changes.

    Its rank is the sum of theirs. As a folder of `lora.save`.

    Raises:
        BadInput: one of them is a DoRA or a classifier, which have no sum.
    """
    from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file, save_file

    configs = [lora._read_config(path / CONFIG, train=False) for path in adapters]
    for path, config in zip(adapters, configs, strict=True):
        if config.use_dora or (path / lora.HEAD).exists():
            raise BadInput(f"The adapter in {path} cannot be added to others.", hint="Only LoRA adapters for chat can.")
    _, net = networks.load_chat(base, name=name)
    names = [f"part{number}" for number in range(len(adapters))]
    peft = PeftModel(net, configs[0], adapter_name=names[0], autocast_adapter_dtype=False)
    for part, config in zip(names[1:], configs[1:], strict=True):
        peft.add_adapter(part, config, autocast_adapter_dtype=False)
    for part, path in zip(names, adapters, strict=True):
        set_peft_model_state_dict(peft, load_file(path / WEIGHTS), adapter_name=part)
    peft.base_model.add_weighted_adapter(names, list(weights), "combined", combination_type="cat")
    tensors = get_peft_model_state_dict(peft, adapter_name="combined", save_embedding_layers=False)
    config = peft.peft_config["combined"].to_dict()
    # PEFT put each part's own scale into its A: what is written must not be scaled once more, as rsLoRA would
    config |= {"inference_mode": True, "use_rslora": False, "base_model_name_or_path": name or base.name}
    target.mkdir(parents=True, exist_ok=True)
    save_file({key: value.detach().contiguous() for key, value in sorted(tensors.items())}, target / WEIGHTS)
    plain: dict[str, Any] = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    (target / CONFIG).write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n", encoding="utf-8")
