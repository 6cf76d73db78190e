"""Tiny models with random weights, and the GGUF files that llama.cpp's converter would write of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf as gguf_package
import numpy as np
import torch

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


def write_gguf(net: Any, architecture: str, path: Path, *, also: Callable[[Any], None] = lambda writer: None) -> None:
    """The file that llama.cpp's converter would write: its names, its order of rotary pairs. `also` adds to it."""
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
    also(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
