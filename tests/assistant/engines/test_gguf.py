"""Conversion of GGUF files: tiny ones written here, and the default model as `model_dir` made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf as gguf_package
import numpy as np
import pytest
import torch

from assistant.engines import folder
from assistant.engines.gguf import convert
from assistant.errors import BadInput

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "model.layers.": "blk.",
}  # fmt: skip
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def tokens() -> list[str]:
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    return [*bytes_to_unicode().values(), "Ġf", "ĊĊ", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def reference(architecture: str) -> Any:
    """A tiny model with random weights, in bfloat16 so that the conversion loses nothing."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        architecture, vocab_size=len(tokens()), num_key_value_heads=2, tie_word_embeddings=False, **SIZES
    )
    net = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            tensor.copy_(torch.randn_like(tensor) * (0.02 if "bias" in name else 0.2))
    return net.to(torch.bfloat16)


def write_gguf(net: Any, architecture: str, path: Path) -> None:
    """The file that llama.cpp's converter would write: its names, its order of rotary pairs."""
    writer = gguf_package.GGUFWriter(path, architecture)
    config = net.config
    writer.add_context_length(512)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(len(tokens()))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2" if architecture == "qwen2" else "smollm")
    writer.add_token_list(tokens())
    writer.add_token_types([1] * (len(tokens()) - 3) + [3] * 3)
    writer.add_token_merges(["Ġ f", "Ċ Ċ"])
    writer.add_eos_token_id(len(tokens()) - 1)
    writer.add_bos_token_id(len(tokens()) - 3)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in net.state_dict().items():
        array = tensor.float().numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        count = next((heads[key] for key in heads if key in name), None)
        if architecture == "llama" and count:
            array = array.reshape(count, 2, -1, array.shape[-1]).swapaxes(1, 2).reshape(array.shape)
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


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
