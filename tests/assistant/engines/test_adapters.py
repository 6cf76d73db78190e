"""Reading and judging an adapter's folder; attaching it is in test_hf.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from assistant.engines.adapters import LoraSpec, check_base, check_shapes, read_spec, read_weights
from assistant.errors import AdapterUnsupported

GOOD = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["v_proj", "q_proj"], "bias": "none"}


def adapter(folder: Path, **changes) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps(GOOD | changes))
    save_file({"a.weight": torch.zeros(4, 2)}, folder / "adapter_model.safetensors")
    return folder


def test_spec_is_what_the_config_says(tmp_path: Path):
    spec = read_spec(adapter(tmp_path, use_rslora=True, rank_pattern={"q_proj": 2}))
    assert spec == LoraSpec(rank=4, alpha=8.0, targets=("q_proj", "v_proj"), rslora=True, rank_pattern=(("q_proj", 2),))


@pytest.mark.parametrize(
    "changes",
    [
        {"peft_type": "IA3"},
        {"bias": "all"},
        {"modules_to_save": ["lm_head"]},
        {"trainable_token_indices": [1]},
        {"megatron_config": {"a": 1}, "megatron_core": "os"},
        {"r": 0},
        {"r": 100_000},
        {"r": "4"},
        {"target_modules": ".*(a+)+$"},
        {"target_modules": []},
        {"lora_alpha": None},
    ],
)
def test_config_that_is_not_a_plain_lora_is_refused(tmp_path: Path, changes):
    with pytest.raises(AdapterUnsupported):
        read_spec(adapter(tmp_path, **changes))


def test_pickled_adapter_is_never_read(tmp_path: Path):
    adapter(tmp_path)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(AdapterUnsupported, match="never read"):
        read_spec(tmp_path)


def test_folder_without_config_is_refused(tmp_path: Path):
    (adapter(tmp_path) / "adapter_config.json").unlink()
    with pytest.raises(AdapterUnsupported, match="adapter_config"):
        read_spec(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, value: float):
    save_file({"a": torch.zeros(2), "b": torch.tensor([1.0, value])}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(AdapterUnsupported, match="not finite"):
        read_weights(tmp_path)


def test_truncated_file_is_refused(tmp_path: Path):
    file = adapter(tmp_path) / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(AdapterUnsupported, match="cannot be read"):
        read_weights(tmp_path)


def test_shapes_must_match_exactly():
    weights = {"a": torch.zeros(2, 3)}
    check_shapes(weights, {"a": (2, 3)})
    for expected in ({"a": (3, 2)}, {"a": (2, 3), "b": (1,)}, {"b": (2, 3)}, {}):
        with pytest.raises(AdapterUnsupported):
            check_shapes(weights, expected)


def test_base_is_known_by_any_of_its_names():
    known = ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m")
    for name in ("", "smollm2-135m", "/srv/models/smollm2-135m/", "huggingfacetb/smollm2-135m-instruct"):
        check_base(LoraSpec(4, 8.0, ("q",), base=name), known, model="smollm2-135m")
    with pytest.raises(AdapterUnsupported, match="made for"):
        check_base(LoraSpec(4, 8.0, ("q",), base="SmolLM2-360M-Instruct"), known, model="smollm2-135m")
