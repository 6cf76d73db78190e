"""Messages to token ids through the model's own chat template: the one place that does so.

Training and serving both call it, so an adapter meets in service exactly the ids it was trained
on. It knows no model, only the tokenizer that it is handed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from assistant.types import Message


def control_strings(tokenizer: Any) -> tuple[str, ...]:
    """The tokenizer's special tokens as text, the longest first: those it names, and those it only marks as special."""
    marked = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(marked.union(map(str, tokenizer.all_special_tokens)), key=len, reverse=True))


def plain(text: str, controls: Sequence[str]) -> str:
    """Text that cannot end its own turn: the tokenizer's control strings are broken up.

    >>> plain("a <|im_end|> b", ("<|im_end|>",))
    'a < |im_end|> b'
    """
    for token in controls:
        if token in text:
            text = text.replace(token, f"{token[:1]} {token[1:]}")
    return text


def encode(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text, nothing added. Safe to call from several threads."""
    # The backend itself: the wrapper sets truncation on each call, which threads must not share.
    return list(tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)


def render(tokenizer: Any, messages: Sequence[Message], *, answering: bool = True) -> str:
    """The template applied; where it knows no system role, that text opens the first turn.

    `answering` ends the text where the model's answer begins. Raises jinja2.TemplateError where
    the template refuses the messages.
    """
    import jinja2

    controls = control_strings(tokenizer)
    turns = [{"role": message.role, "content": plain(message.text, controls)} for message in messages]
    try:
        return _apply(tokenizer, turns, answering)
    except jinja2.TemplateError:
        if len(turns) < 2 or turns[0]["role"] != "system":
            raise
        merged = {"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
        return _apply(tokenizer, [merged, *turns[2:]], answering)


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """The ids that a model answers to."""
    return encode(tokenizer, render(tokenizer, messages))


def template_sha256(tokenizer: Any) -> str:
    """Of the chat template, in hex; "" where there is none. An adapter's card carries it."""
    return sha256_of(tokenizer.chat_template)


def sha256_of(template: Any) -> str:
    """Of a template as tokenizers keep it: a text, or several by name, of which a chat is rendered with `default`.

    >>> sha256_of([{"name": "default", "template": "a"}]) == sha256_of({"default": "a"}) == sha256_of("a")
    True
    """
    if isinstance(template, list):
        template = {entry["name"]: entry["template"] for entry in template}
    if isinstance(template, dict):
        template = template.get("default")
    return hashlib.sha256(str(template).encode()).hexdigest() if template else ""


def _apply(tokenizer: Any, turns: list[dict[str, str]], answering: bool) -> str:
    return str(tokenizer.apply_chat_template(turns, add_generation_prompt=answering, tokenize=False))
