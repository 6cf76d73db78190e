"""The likeliest answers to a prompt, and the one of them that the model's own draws agree with most.

Beam search finds a few answers; others are drawn from the model's own distribution, and of the beams the one is taken
whose mean ROUGE-L to the drawn ones is highest: minimum Bayes risk decoding with ROUGE-L as its utility. It needs no
reference and no training. It finds what a model mostly says instead of what it says first, and it aims at the very
measure: it is a way of measuring, not of serving. An answer costs as much as all that are drawn, and a consensus is
not a truth.

By OpenVINO, which reads a prompt once for all its answers, on the files that the engine of that name serves; where
there is a GPU by transformers on it, from the same weights (in bfloat16, where OpenVINO has eight bits).

Sources: Eikema and Aziz, Sampling-based approximations to minimum Bayes risk decoding (arXiv:2108.04718); the
organisers of DSTC11 track 5 decode with five beams, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from assistant import template
from assistant.engines import hardware, models, openvino, ov_files
from assistant.errors import BadInput
from assistant.metrics import rouge_l
from assistant.settings import Settings
from assistant.tuning import lora, networks
from assistant.types import Message

_BLOCK, _CACHED = 32, 32_768
_AT_ONCE = 12
_AT_ONCE_GPU = 1024
"""Answers that are made together there: 15 GB of keys and values of the default model at 600 tokens each."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """So many answers to a prompt: the beams of a search, the likeliest first, or drawn."""

    count: int
    drawn: bool = False
    max_new_tokens: int = 64
    seed: int = 1


class Speaker(Protocol):
    """Answers prompts, each in several ways."""

    def say(self, prompts: Mapping[int, Sequence[Message]], how: Decoding) -> Iterator[tuple[int, list[str]]]:
        """(the prompt's number, its answers), some prompts together, the shortest first."""
        ...


def speaker(settings: Settings, cache: Path, adapter: Path | None = None) -> Speaker:
    """The configured model, with an adapter or without, on the GPU or on OpenVINO (its files are written to `cache`)."""
    if hardware.choose_device("auto") == "cuda":
        return GpuSpeaker(settings, adapter)
    return OpenVinoSpeaker(settings, cache, adapter)


class GpuSpeaker:
    """The configured model by transformers' `generate` on the GPU, in bfloat16, an adapter merged in."""

    def __init__(self, settings: Settings, adapter: Path | None = None) -> None:
        tokenizer, net = networks.load_chat(models.prepare(settings), dtype=hardware.choose_dtype("auto", "cuda"))
        if adapter is not None:
            net = lora.load(net, adapter).merge_and_unload()
        self._tokenizer, self._net = tokenizer, net.to("cuda").eval()

    def say(self, prompts: Mapping[int, Sequence[Message]], how: Decoding) -> Iterator[tuple[int, list[str]]]:
        """See `Speaker`. What is drawn depends on which prompts are asked together."""
        import torch

        ids = {number: template.prompt_ids(self._tokenizer, messages) for number, messages in prompts.items()}
        order = sorted(ids, key=lambda number: len(ids[number]))
        most = max(1, _AT_ONCE_GPU // how.count)
        more = (
            {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0} if how.drawn else {"num_beams": how.count}
        )
        torch.manual_seed(how.seed)
        for start in range(0, len(order), most):
            part = [ids[number] for number in order[start : start + most]]
            longest = max(map(len, part))
            rows = torch.tensor([[0] * (longest - len(row)) + list(row) for row in part], device="cuda")
            seen = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in part], device="cuda")
            with torch.inference_mode():
                made = self._net.generate(
                    input_ids=rows, attention_mask=seen, max_new_tokens=how.max_new_tokens,
                    num_return_sequences=how.count, pad_token_id=self._tokenizer.eos_token_id, **more,
                )[:, longest:]  # fmt: skip
            texts = [str(text).strip() for text in self._tokenizer.batch_decode(made, skip_special_tokens=True)]
            for place, number in enumerate(order[start : start + most]):
                yield number, texts[place * how.count : (place + 1) * how.count]


class OpenVinoSpeaker:
    """The configured model on OpenVINO, with an adapter merged in or without; `cache` takes the files it writes.

    Raises:
        BadInput: the model did not come as a GGUF, which OpenVINO's files are made from.
    """

    def __init__(self, settings: Settings, cache: Path, adapter: Path | None = None) -> None:
        import openvino_genai

        path, like = models.prepare(settings), models.source_of(settings)
        if like is None:
            raise BadInput("These answers are drawn by OpenVINO, which takes models that came as a GGUF.")
        source = ov_files.Source(path, like, cache, models.resolve(settings)[1])
        plan = openvino_genai.SchedulerConfig()
        plan.cache_size, plan.num_kv_blocks, plan.enable_prefix_caching = 0, _CACHED // _BLOCK + 1, True
        self._tokenizer: Any = openvino._tokenizer(path)
        self._ends = openvino._end_ids(path, self._tokenizer)
        self._pipe: Any = openvino_genai.ContinuousBatchingPipeline(
            str(ov_files.written(source, adapter)), plan, "CPU", {"INFERENCE_NUM_THREADS": hardware.choose_threads()}
        )

    def say(self, prompts: Mapping[int, Sequence[Message]], how: Decoding) -> Iterator[tuple[int, list[str]]]:
        """(the prompt's number, its answers), some prompts together, the shortest first."""
        import openvino as runtime

        ids = {number: template.prompt_ids(self._tokenizer, messages) for number, messages in prompts.items()}
        order = sorted(ids, key=lambda number: len(ids[number]))
        for start in range(0, len(order), _AT_ONCE):
            part = order[start : start + _AT_ONCE]
            tensors = [runtime.Tensor(np.array([ids[number]], dtype=np.int64)) for number in part]
            found = self._pipe.generate(tensors, [self._config(how)] * len(part))
            for number, answers in zip(part, found, strict=True):
                yield number, [self._text(answer) for answer in answers.m_generation_ids]

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _config(self, how: Decoding) -> Any:
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.max_new_tokens, config.num_return_sequences = how.max_new_tokens, how.count
        config.eos_token_id = int(self._tokenizer.eos_token_id)
        config.stop_token_ids = set(self._ends)
        if how.drawn:
            config.do_sample, config.temperature, config.rng_seed = True, 1.0, how.seed
        else:
            config.num_beams = how.count
        return config


def consensus(beams: Sequence[str], drawn: Sequence[str]) -> str:
    """The beam whose mean ROUGE-L to the drawn texts is highest, the first of equals.

    >>> consensus(["It is loud.", "Guests say it is quiet."], ["It is quiet.", "Guests find it quiet.", "No."])
    'Guests say it is quiet.'
    """
    agreement = [sum(rouge_l([beam] * len(drawn), drawn)) for beam in beams]
    return beams[agreement.index(max(agreement))]
