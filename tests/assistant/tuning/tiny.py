"""Tiny networks and tokenizers built from a config: real architectures, no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

WORDS = "how long can i return boots 30 days yes no shop open late the a of is it tent red blue angry happy".split()
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(*, bert: bool = False) -> Any:
    special = ["<|im_start|>", "<|im_end|>", "[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(code) for code in range(32, 127)]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys([*special, *WORDS, *letters, "\n"]))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits()]
    )
    if bert:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token="<|im_end|>",
        unk_token="[UNK]",
        pad_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
    )
    fast.chat_template = TEMPLATE
    return fast


def llama(*, layers: int = 2, width: int = 32, seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=160, hidden_size=width, intermediate_size=width * 3 // 2, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    return _frozen(LlamaForCausalLM(config), "tiny-llama")


def gpt2(*, seed: int = 0) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    config = GPT2Config(vocab_size=160, n_embd=32, n_layer=2, n_head=4, n_positions=256)
    return _frozen(GPT2LMHeadModel(config), "tiny-gpt2")


def bert(*, seed: int = 0) -> BertModel:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=160, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    return _frozen(BertModel(config, add_pooling_layer=False), "tiny-bert")


def save(net: Any, folder: Path, made: Any) -> Path:
    net.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def _frozen(net: Any, name: str) -> Any:
    net.config._name_or_path = name
    net.requires_grad_(False)
    return net.eval()
