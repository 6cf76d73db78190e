"""Conversion of GGUF files: tiny ones written here, and the default model as `model_dir` made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import RopeScalingType
from tiny_gguf import reference, tokens, write_gguf
from transformers import AutoTokenizer

from assistant.engines import folder
from assistant.engines.gguf import convert
from assistant.errors import BadInput


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(reference("llama"), "llama", path)
    return path


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_converted_model_computes_what_the_original_computes(architecture: str, tmp_path: Path):
    from transformers import AutoModelForCausalLM

    net = reference(architecture)
    write_gguf(net, architecture, tmp_path / "tiny.gguf")
    convert(tmp_path / "tiny.gguf", tmp_path / "out")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    ids = torch.arange(40)[None]
    with torch.inference_mode():
        torch.testing.assert_close(again(input_ids=ids).logits, net.float()(input_ids=ids).logits, atol=1e-3, rtol=0)
    assert not hasattr(again.config, "quantization_config")
    assert again.generation_config.eos_token_id == len(tokens()) - 1


def test_progress_grows_to_the_whole(llama: Path, tmp_path: Path):
    seen: list[int] = []
    convert(llama, tmp_path / "out", progress=lambda done, of, what: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == 100


def test_mark_holds_the_hashes(llama: Path, tmp_path: Path):
    convert(llama, tmp_path / "out", name="tiny")
    mark = folder.read_mark(tmp_path / "out" / folder.MARK)
    assert mark is not None
    assert mark.name == "tiny"
    assert mark.source_sha256 == folder.sha256_of(llama)
    assert mark.weights_sha256 == folder.sha256_of(tmp_path / "out" / "model.safetensors")
    assert folder.unchanged(tmp_path / "out", mark)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_interrupted_conversion_leaves_nothing(llama: Path, tmp_path: Path, monkeypatch, error):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("assistant.engines.gguf._write_tokenizer", fail)
    with pytest.raises(error):
        convert(llama, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_killed_conversion_is_swept_by_the_next(llama: Path, tmp_path: Path):
    (tmp_path / ".out.killed.tmp").mkdir()
    (tmp_path / ".out.killed.tmp" / "model.safetensors").write_bytes(b"half")
    convert(llama, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("content", [b"", b"GGUF", b"PK\x03\x04 not this", b"GGUF" + b"\x03\0\0\0" + b"\xff" * 64])
def test_file_that_is_no_gguf_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "bad.gguf").write_bytes(content)
    with pytest.raises(BadInput, match=r"bad\.gguf"):
        convert(tmp_path / "bad.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_truncated_file_is_refused(llama: Path, tmp_path: Path):
    (tmp_path / "cut.gguf").write_bytes(llama.read_bytes()[:-5000])
    with pytest.raises(BadInput, match=r"cut\.gguf"):
        convert(tmp_path / "cut.gguf", tmp_path / "out")


@pytest.mark.parametrize(
    "scale",
    [
        lambda writer: writer.add_tensor("rope_freqs.weight", np.full(4, 8, np.float32)),
        lambda writer: writer.add_rope_scaling_factor(4.0),
        lambda writer: writer.add_rope_scaling_type(RopeScalingType.YARN),
    ],
)
def test_file_whose_scaled_positions_would_be_lost_is_refused(scale, tmp_path: Path):
    write_gguf(reference("llama"), "llama", tmp_path / "long.gguf", also=scale)
    with pytest.raises(BadInput, match=r"long\.gguf scales the positions .* safetensors"):
        convert(tmp_path / "long.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_file_that_says_it_scales_nothing_is_converted(tmp_path: Path):
    write_gguf(
        reference("llama"), "llama", tmp_path / "a.gguf", also=lambda writer: writer.add_rope_scaling_factor(1.0)
    )
    convert(tmp_path / "a.gguf", tmp_path / "out")


def test_turns_end_with_the_files_own_token_too(tmp_path: Path):
    from transformers import AutoModelForCausalLM

    from assistant.engines import hf, openvino

    end, turn_end = len(tokens()) - 1, len(tokens()) - 2
    write_gguf(reference("llama"), "llama", tmp_path / "a.gguf", also=lambda writer: writer.add_eot_token_id(turn_end))
    convert(tmp_path / "a.gguf", tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert hf._end_ids(AutoModelForCausalLM.from_pretrained(tmp_path / "out"), tokenizer) == {end, turn_end}
    assert openvino._end_ids(tmp_path / "out", tokenizer) == {end, turn_end}


def test_default_model_splits_digits_as_in_training(model_dir: Path):
    tokenizer = loaded(model_dir)
    assert tokenizer.tokenize("\n\n30 days") == ["ĊĊ", "3", "0", "Ġdays"]


def test_default_models_chat_prompt_is_the_publishers(model_dir: Path):
    tokenizer = loaded(model_dir)
    ids = tokenizer.apply_chat_template(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi 🙂"}], add_generation_prompt=True
    )["input_ids"]
    text = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi 🙂<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(ids) == text
    assert [ids[0], *tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])] == [1, 0, 2]
    assert tokenizer.eos_token == "<|im_end|>"
    assert (ids.count(1), ids.count(2)) == (3, 2)


def loaded(model_dir: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_dir / "models" / "smollm2-135m")
