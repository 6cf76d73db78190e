"""Merged and combined adapters compute what they should, on a tiny network."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch
from tiny import llama, save, tokenizer

from assistant.errors import BadInput
from assistant.tuning import lora, merging, networks

IDS = torch.tensor([[5, 6, 7, 8, 9]])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save(llama(), tmp_path_factory.mktemp("base") / "tiny", tokenizer())


def adapter(base: Path, folder: Path, *, seed: int, **plan) -> Path:
    """One whose B is not zero."""
    model = lora.attach(networks.load_chat(base)[1], lora.LoraPlan(seed=seed, **plan))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in lora.trainable(model).items():
            if "lora_B" in name:
                value.normal_(0, 0.3, generator=generator)
    lora.save(model, folder)
    return folder


def logits(base: Path, folder: Path | None = None) -> torch.Tensor:
    net = networks.load_chat(base)[1]
    with torch.inference_mode():
        return (net if folder is None else lora.load(net, folder))(input_ids=IDS).logits


def change(net, folder: Path) -> dict[str, torch.Tensor]:
    """Weight by weight what an adapter changes."""
    before = {name: value.clone() for name, value in net.named_parameters()}
    merged = lora.load(net, folder).merge_and_unload()
    return {name: value.detach() - before[name] for name, value in merged.named_parameters() if name in before}


@pytest.mark.parametrize("method", ["lora", "rslora", "dora"])
def test_a_merged_model_computes_what_base_and_adapter_did(base, tmp_path, method):
    one = adapter(base, tmp_path / "a", seed=1, rank=2, method=method)
    merging.merge(base, one, tmp_path / "merged", dtype="float32")
    assert torch.allclose(logits(tmp_path / "merged"), logits(base, one), atol=1e-5)
    assert not torch.allclose(logits(base), logits(base, one), atol=1e-2)


def test_a_folder_that_is_not_empty_is_not_written_to(base, tmp_path):
    one = adapter(base, tmp_path / "a", seed=1, rank=2)
    with pytest.raises(BadInput, match="not empty"):
        merging.merge(base, one, one)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.5, 0.5), (2.0, -1.0)])
def test_a_combination_changes_the_weighted_sum_of_what_its_parts_change(base, tmp_path, weights):
    parts = [adapter(base, tmp_path / "a", seed=1, rank=2), adapter(base, tmp_path / "b", seed=2, rank=3, alpha=9.0)]
    merging.combine(base, parts, weights, tmp_path / "both")
    both, *each = [change(networks.load_chat(base)[1], folder) for folder in (tmp_path / "both", *parts)]
    for name, value in both.items():
        wanted = sum(weight * one[name] for weight, one in zip(weights, each, strict=True))
        assert torch.allclose(value, wanted, atol=1e-5), name


@pytest.mark.parametrize("methods", [("rslora", "rslora"), ("rslora", "lora"), ("lora", "rslora")])
def test_a_combination_is_the_sum_however_its_parts_scale_what_they_learned(base, tmp_path, methods):
    parts = [adapter(base, tmp_path / f"{seed}", seed=seed, rank=4, method=one) for seed, one in enumerate(methods)]
    merging.combine(base, parts, (0.5, 0.5), tmp_path / "both")
    both, *each = [change(networks.load_chat(base)[1], folder) for folder in (tmp_path / "both", *parts)]
    for name, value in both.items():
        assert torch.allclose(value, sum(0.5 * one[name] for one in each), atol=1e-5), name


def test_what_has_no_sum_is_refused(base, tmp_path):
    parts = [
        adapter(base, tmp_path / "a", seed=1, rank=2, method="dora"),
        adapter(base, tmp_path / "b", seed=2, rank=2),
    ]
    with pytest.raises(BadInput, match="cannot be added"):
        merging.combine(base, parts, (0.5, 0.5), tmp_path / "both")
