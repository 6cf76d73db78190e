"""A GGUF file turned once into a folder of safetensors that loads in a second.

Reading a GGUF through transformers takes tens of seconds at each start: the metadata (100,000
strings of vocabulary and merges) is parsed in pure Python for the config and again for the
weights, and the map of tensor names is rebuilt for each of the model's hundreds of submodules.
Here both are done once, and the outcome is kept. Not a quantised runtime: the weights are
unpacked to bfloat16.

Sources: transformers' GGUF support (docs/source/en/gguf.md); llama.cpp `src/llama-vocab.cpp` for
the splitting rules of the byte-level vocabularies.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from assistant.engines import folder
from assistant.engines.folder import Progress
from assistant.errors import BadInput

# Vocabularies learned with each digit apart. transformers knows the other rules; without this one
# "\n\n3" is split otherwise than in training.
_SINGLE_DIGITS = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})
_PROBE = "Order 10423:\n\n30 days,  free return (2026-01-05)!\n1. It's 12.50 €\n\n\n第3条：你好🙂"


def check(gguf: Path) -> None:
    """Raises BadInput where it is no GGUF file."""
    if not gguf.is_file():
        raise BadInput(f"There is no file {gguf}.")
    with gguf.open("rb") as opened:
        if opened.read(4) != b"GGUF":
            raise BadInput(f"{gguf} is not a GGUF file.")


def convert(gguf: Path, target: Path, *, name: str = "", progress: Progress | None = None) -> None:
    """Makes `target`: safetensors, config, tokenizer, chat template and the mark of the source.

    The folder appears whole or not at all: it is made beside `target` and renamed.

    Raises:
        BadInput: not a GGUF file, of an architecture that transformers cannot read, or with scaled positions.
    """
    report = _reporter(progress)
    check(gguf)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        report("Reading the file's hash", 2)
        _sweep(target, work)
        source = folder.sha256_of(gguf)
        _write_model(gguf, work, report)
        report("Writing the tokenizer", 85)
        _write_tokenizer(gguf, work)
        report("Hashing the weights", 95)
        mark = folder.measure(work, name=name or target.name, source=gguf.name)
        mark = dataclasses.replace(mark, source_sha256=source, source_stamp=folder.stamp(gguf))
        folder.write_mark(work / folder.MARK, mark)
        work.chmod(0o755)  # made private, as are some of its files
        for file in work.iterdir():
            file.chmod(0o644)
        if target.exists():
            shutil.rmtree(target)
        os.replace(work, target)
        report("Ready", 100)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _reporter(progress: Progress | None) -> Callable[[str, int], None]:
    """(what, percent) calls for a callback that may be absent."""

    def report(what: str, percent: int) -> None:
        if progress is not None:
            progress(percent, 100, what)

    return report


def _sweep(target: Path, work: Path) -> None:
    """Takes away what interrupted conversions left; the caller lets one run at a time."""
    for left in target.parent.glob(f".{target.name}.*.tmp"):
        if left != work:
            shutil.rmtree(left, ignore_errors=True)


def _write_model(gguf: Path, work: Path, report: Callable[[str, int], None]) -> None:
    """Weights, config and generation config into `work`."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig
    from transformers.integrations.gguf.reader import read_gguf_metadata
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
    from transformers.utils import logging

    logging.disable_progress_bar()

    with _parsed_once(), _readable(gguf):
        report("Reading the file", 5)
        metadata, tensors = read_gguf_metadata(str(gguf))
        config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
        _check_positions(gguf.name, config, metadata, tensors)
        config.dtype = torch.bfloat16
        with torch.device("meta"):
            skeleton = AutoModelForCausalLM.from_config(config)
        report("Unpacking the weights", 30)
        weights = load_gguf_checkpoint(
            str(gguf), return_tensors=True, model_to_load=skeleton, torch_dtype=torch.bfloat16
        )["tensors"]
    model = AutoModelForCausalLM.from_config(config)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    if set(missing) - tied or unexpected:
        raise BadInput(f"{gguf.name} lacks weights of its architecture: {sorted(set(missing) - tied)[:3]}.")
    model.tie_weights()
    report("Writing the weights", 60)
    model.generation_config = GenerationConfig.from_model_config(config)
    end, turn_end = config.eos_token_id, metadata.get("tokenizer.ggml.eot_token_id")
    if turn_end not in (None, end):  # Gemma's chat ends with another token than its texts
        model.generation_config.eos_token_id = [one for one in (end, turn_end) if one is not None]
    model.save_pretrained(work)


def _check_positions(name: str, config: Any, metadata: dict[str, Any], tensors: Iterable[str]) -> None:
    """Refuses a file that scales the model's positions, as that of Llama 3.1 does, where transformers lost it."""
    scaling = f"{metadata.get('general.architecture')}.rope.scaling"
    scaled = (
        any(tensor.startswith(("rope_freqs", "rope_factors")) for tensor in tensors)
        or metadata.get(f"{scaling}.type") not in (None, "none", "linear")
        or metadata.get(f"{scaling}.factor") not in (None, 0, 1)
    )
    rope = getattr(config.get_text_config(), "rope_parameters", None) or {}
    kinds = [part.get("rope_type", "default") for part in (rope, *rope.values()) if isinstance(part, dict)]
    if scaled and all(kind == "default" for kind in kinds):
        raise BadInput(
            f"{name} scales the positions of the words in a way that is lost when it is converted.",
            hint="Use the model's safetensors: `confide models pull ORG/NAME`.",
        )


def _write_tokenizer(gguf: Path, work: Path) -> None:
    """The tokenizer and the chat template into `work`, checked by reading them back."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast
    from transformers.integrations.gguf.reader import read_gguf_metadata

    metadata, _ = read_gguf_metadata(str(gguf))
    loaded = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
    backend = loaded.backend_tokenizer
    if metadata.get("tokenizer.ggml.pre") in _SINGLE_DIGITS:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    special = {
        key: getattr(loaded, key)
        for key in ("bos_token", "eos_token", "unk_token", "pad_token")
        if getattr(loaded, key)
    }
    # The plain class: one named after the architecture would rebuild its own splitting rules on loading.
    plain = PreTrainedTokenizerFast(tokenizer_object=backend, clean_up_tokenization_spaces=False, **special)
    plain.chat_template = loaded.chat_template
    plain.save_pretrained(work)
    again = AutoTokenizer.from_pretrained(work, local_files_only=True)
    if again(_PROBE)["input_ids"] != plain(_PROBE)["input_ids"] or again.decode(again(_PROBE)["input_ids"]) != _PROBE:
        raise BadInput(f"The tokenizer of {gguf.name} cannot be saved without changing it.")


@contextlib.contextmanager
def _readable(gguf: Path) -> Iterator[None]:
    """Within it, whatever the parsers raise over a damaged or unknown file is BadInput."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(
            f"{gguf.name} is damaged, or of a kind that cannot be converted: {error}",
            hint="Fetch it again, or use the model's safetensors.",
        ) from error


@contextlib.contextmanager
def _parsed_once() -> Iterator[None]:
    """Within it, one GGUF's metadata and its map of tensor names are each made once."""
    import gguf

    before: dict[str, Any] = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    for name, slow in before.items():
        setattr(gguf, name, functools.cache(slow))
    try:
        yield
    finally:
        for name, slow in before.items():
            setattr(gguf, name, slow)
