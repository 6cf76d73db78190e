"""A quantised file is read back as nearly the model it was made from, and keeps the vocabulary of its pattern."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_gguf
import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer

from assistant.engines import gguf, quantised
from assistant.errors import BadInput


@pytest.fixture(params=["llama", "qwen2"])
def pattern(request, tmp_path: Path, monkeypatch) -> tuple[Path, Path]:
    """(a folder of safetensors, the GGUF it was made from)."""
    monkeypatch.setitem(tiny_gguf.SIZES, "intermediate_size", 64)  # whole blocks of 32
    path = tmp_path / "pattern.gguf"
    tiny_gguf.write_gguf(tiny_gguf.reference(request.param), request.param, path)
    gguf.convert(path, tmp_path / "model")
    return tmp_path / "model", path


def logits(folder: Path) -> torch.Tensor:
    net = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return net(input_ids=torch.arange(40)[None]).logits


def test_the_finer_the_format_the_nearer_the_model(pattern, tmp_path):
    model, like = pattern
    right, errors = logits(model), {}
    for kind in ("q8_0", "q4_0"):
        quantised.write(model, tmp_path / f"{kind}.gguf", like=like, kind=kind)
        gguf.convert(tmp_path / f"{kind}.gguf", tmp_path / kind)
        errors[kind] = float((logits(tmp_path / kind) - right).norm() / right.norm())
    assert errors["q8_0"] < 0.03
    assert errors["q8_0"] < errors["q4_0"] < 0.5
    assert (tmp_path / "q4_0.gguf").stat().st_size < (tmp_path / "q8_0.gguf").stat().st_size


def test_vocabulary_and_template_stay(pattern, tmp_path):
    model, like = pattern
    quantised.write(model, tmp_path / "new.gguf", like=like)
    gguf.convert(tmp_path / "new.gguf", tmp_path / "again")
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (model, tmp_path / "again"))
    assert before.get_vocab() == after.get_vocab()
    assert before.chat_template == after.chat_template
    assert before.eos_token == after.eos_token


def test_what_cannot_be_written_says_why_and_leaves_no_file(pattern, tmp_path):
    model, like = pattern
    with pytest.raises(BadInput, match="no format 'q3'"):
        quantised.write(model, tmp_path / "new.gguf", like=like, kind="q3")
    with pytest.raises(BadInput, match="exists already"):
        quantised.write(model, like, like=like)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="has no"):
        quantised.write(tmp_path / "empty", tmp_path / "new.gguf", like=like)
    assert not list(tmp_path.glob("*new.gguf*"))


def test_what_scales_the_positions_is_taken_from_the_pattern(pattern, tmp_path, request):
    model, _ = pattern
    architecture, factors = request.node.callspec.params["pattern"], np.arange(1, 5, dtype=np.float32)
    like = tmp_path / "long.gguf"
    tiny_gguf.write_gguf(
        tiny_gguf.reference(architecture), architecture, like,
        also=lambda writer: writer.add_tensor("rope_freqs.weight", factors),
    )  # fmt: skip
    quantised.write(model, tmp_path / "new.gguf", like=like)
    kept = {tensor.name: tensor.data for tensor in GGUFReader(tmp_path / "new.gguf").tensors}
    assert kept["rope_freqs.weight"].tolist() == factors.tolist()
