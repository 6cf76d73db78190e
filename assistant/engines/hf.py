"""The engine that runs a model on this machine: transformers, with LoRA adapters by PEFT.

It decodes in its own loop, one request at a time in the order they came: so that closing the
generator stops within a token, a time limit holds inside the prompt too, and the keys and values
of a conversation stay for its next turn. On a GPU several are decoded together (`batching.py`), with
the same promises; for more users than one card holds run vLLM and the engine `remote`.

Sources: transformers `docs/source/en/cache_explanation.md`; PEFT `LoraModel`.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assistant import template
from assistant.engines import adapters as lora
from assistant.engines import batching, hardware, models, scoring
from assistant.engines.batching import Batcher, Request
from assistant.engines.kv import Kept, KvStore, common_prefix
from assistant.engines.streaming import Detokenizer, StopFilter, TurnLock
from assistant.errors import AdapterUnsupported, EngineError, EngineTimeout, EngineUnavailable
from assistant.registry import did_you_mean
from assistant.settings import Settings
from assistant.types import GenerateOptions, Message, ModelInfo

if TYPE_CHECKING:
    import torch

_CHUNK = 512  # tokens of the prompt read between two looks at the clock
_PATIENCE_S = 600.0  # how long loading an adapter waits for the request that runs


class HfEngine:
    """A causal language model in this process. Made by `build`."""

    name = "hf"
    location: Literal["local", "remote"] = "local"

    def __init__(
        self, path: Path, info: ModelInfo, *, device: str, dtype: str, aliases: tuple[str, ...] = (), places: int = 1
    ) -> None:
        """Loads the model in `path`.

        `device` and `dtype` are torch's names (see `hardware.py`); `aliases` are other names by
        which an adapter may call this base; `places` requests are decoded together.

        Raises:
            EngineUnavailable: the model cannot be loaded, or cannot chat.
        """
        self.model = info
        self.device = device
        self.dtype = dtype
        self._base_names = (*aliases, info.name, path.name)
        try:
            self._tokenizer, self._net = _load(path, device=device, dtype=dtype)
        except Exception as error:  # whichever library failed, the model cannot be loaded
            raise _unavailable(error, f"The model in {path} cannot be loaded") from error
        if not self._tokenizer.chat_template:
            raise EngineUnavailable(
                f"{info.name} has no chat template: it was not trained to answer.",
                hint="Choose an -Instruct model: `confide models list`.",
            )
        self._threads = hardware.choose_threads() if device == "cpu" else 0
        self._ends = _end_ids(self._net, self._tokenizer)
        self._controls = template.control_strings(self._tokenizer)
        self._host = lora.AdapterHost(self._net)
        self._kv = KvStore()
        self._turn = TurnLock()
        self._closed = False
        self.places = places if batching.plain(self._net) else 1
        self._batcher = Batcher(self._parts(), self.places) if self.places > 1 else None

    def count_tokens(self, text: str) -> int:
        """Tokens of a text by the model's own tokenizer. Safe to call from several threads."""
        return len(template.encode(self._tokenizer, template.plain(text, self._controls)))

    def stream(self, messages: Sequence[Message], options: GenerateOptions) -> Iterator[str]:
        """The answer, piece by piece; whole characters only, never a part of a stop string."""
        self._check_open()
        self._check_adapter(options.adapter)
        ids = self._prompt_ids(messages)
        room = self.model.context_tokens - len(ids)
        if room < 1:
            raise EngineError(
                f"The prompt has {len(ids)} tokens; the window of {self.model.name} is {self.model.context_tokens}.",
                hint="Ask with fewer or shorter passages ([retrieval] top_k, passage_chars).",
            )
        limit = min(options.max_new_tokens, room)
        if self._batcher is not None:
            yield from self._batched(self._batcher, ids, options, limit)
            return
        if not self._turn.acquire(options.time_limit_s):
            raise EngineTimeout(f"Other questions kept the model busy for {options.time_limit_s:g} s.")
        try:
            deadline = time.monotonic() + options.time_limit_s
            yield from self._shown(self._tokens(ids, options, limit, deadline), options.stop)
        finally:
            self._turn.release()

    def logprobs(self, prompts: Sequence[Sequence[Message]], text: str, *, adapter: str | None = None) -> list[float]:
        """Of each prompt the log-probability of `text` as its answer, in nats; one batch."""
        self._check_open()
        self._check_adapter(adapter)
        answer = template.encode(self._tokenizer, template.plain(text, self._controls))
        rows = [self._prompt_ids(messages) for messages in prompts]
        if not answer or max(map(len, rows), default=0) + len(answer) > self.model.context_tokens:
            raise EngineError(f"The text is empty, or longer than the window of {self.model.name} with its prompt.")
        if not self._turn.acquire(_PATIENCE_S):
            raise EngineTimeout("Other questions kept the model busy.")
        try:
            self._host.activate(adapter)
            with hardware.threads(self._threads):
                return scoring.logprobs(self._net, rows, answer, device=self.device)
        except Exception as error:
            raise self._failed(error) from error
        finally:
            self._turn.release()

    def begins(self, messages: Sequence[Message], word: str, options: GenerateOptions) -> float:
        """The log-probability that the answer begins with the first token of `word`.

        What was read is kept for the conversation, so that its answer does not read it again.
        """
        import torch

        self._check_open()
        self._check_adapter(options.adapter)
        first = template.encode(self._tokenizer, word)[0]
        ids = self._prompt_ids(messages)
        key = None if options.conversation is None else (options.conversation, options.adapter)
        if not self._turn.acquire(options.time_limit_s):
            raise EngineTimeout(f"Other questions kept the model busy for {options.time_limit_s:g} s.")
        try:
            self._check_open()
            self._host.activate(options.adapter)
            kept = self._resume(self._kv.take(key) if key else None, ids)
            with torch.inference_mode(), hardware.threads(self._threads):
                logits = self._read(kept, ids[len(kept.ids) :], time.monotonic() + options.time_limit_s)
                told = float(torch.log_softmax(logits.float(), dim=-1)[first])
            if key is not None and not self._closed:
                self._kv.put(key, kept)
            return told
        except EngineError:
            raise
        except Exception as error:
            raise self._failed(error) from error
        finally:
            self._turn.release()

    def close(self) -> None:
        """Frees the model, after the request that runs. The engine cannot be used after."""
        if self._closed:
            return
        self._closed = True
        if self._batcher is not None:
            self._batcher.close()
        waited = self._turn.acquire(_PATIENCE_S)
        self._batcher = None
        self._kv.clear()
        self._net = None
        self._host = lora.AdapterHost(None)
        _free_memory()
        if waited:
            self._turn.release()

    # Adapters

    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that are loaded, sorted."""
        return self._host.names

    def add_adapter(self, name: str, path: Path) -> None:
        """Loads a LoRA adapter from its folder; one of the same name is replaced between two requests.

        Raises:
            AdapterUnsupported: unsafe, broken, or made for another model. Nothing was changed.
            EngineUnavailable: there is no memory for it.
        """
        spec = lora.read_spec(path)
        lora.check_base(spec, self._base_names, model=self.model.name)
        weights = lora.read_weights(path)
        self._between_requests(lambda host: host.attach(name, spec, weights), name)

    def remove_adapter(self, name: str) -> None:
        """Unloads an adapter. Raises AdapterUnsupported where there is none of this name."""
        self._check_adapter(name)
        self._between_requests(lambda host: host.detach(name), name)

    def _between_requests(self, change: Callable[[lora.AdapterHost], None], name: str) -> None:
        if not self._turn.acquire(_PATIENCE_S):
            raise EngineTimeout("The running request did not end.")
        try:
            self._check_open()
            change(self._host)
            self._kv.forget_adapter(name)
        except EngineError:
            raise
        except Exception as error:  # the card is full, say
            raise self._failed(error) from error
        finally:
            self._turn.release()

    def _check_adapter(self, name: str | None) -> None:
        if name is not None and name not in self.adapters():
            raise AdapterUnsupported(
                f"No adapter {name!r} is loaded.", hint=did_you_mean(name, self.adapters()) or "None is loaded."
            )

    def _check_open(self) -> None:
        if self._closed:
            raise EngineUnavailable("The engine is closed.", hint="Restart Confide.")

    # Text to ids

    def _prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The prompt as training makes it too."""
        import jinja2

        try:
            return template.prompt_ids(self._tokenizer, messages)
        except jinja2.TemplateError as error:
            raise _unavailable(error, f"The chat template of {self.model.name} failed") from error

    # Ids to text

    def _shown(self, tokens: Iterator[int], stop: Sequence[str]) -> Iterator[str]:
        """Pieces of text until an end token, a stop string or the cap."""
        text = Detokenizer(lambda part: str(self._tokenizer.decode(part, skip_special_tokens=True)))
        stops = StopFilter(stop)
        for token in tokens:
            if shown := stops.feed(text.push(token)):
                yield shown
            if stops.stopped:
                return
        if shown := stops.feed(text.flush()) + stops.flush():
            yield shown

    def _batched(self, batcher: Batcher, ids: list[int], options: GenerateOptions, limit: int) -> Iterator[str]:
        key = None if options.conversation is None else (options.conversation, options.adapter)
        request = Request(ids, limit, options.adapter, key, options.temperature, options.time_limit_s)
        with contextlib.closing(batcher.tokens(request)) as tokens:
            yield from self._shown(tokens, options.stop)

    def _parts(self) -> batching.Parts:
        return batching.Parts(
            net=self._net, host=self._host, kv=self._kv, turn=self._turn, ends=self._ends, device=self.device,
            resume=self._resume, read=lambda kept, part: self._forward(kept, part), failed=self._failed,
        )  # fmt: skip

    def _tokens(self, ids: list[int], options: GenerateOptions, limit: int, deadline: float) -> Iterator[int]:
        """New token ids, without the end token. Keeps the conversation's cache however it ends."""
        key = None if options.conversation is None else (options.conversation, options.adapter)
        try:
            self._check_open()
            self._host.activate(options.adapter)
            kept = self._resume(self._kv.take(key) if key else None, ids)
        except EngineError:
            raise
        except Exception as error:
            raise self._failed(error) from error
        try:
            pending = ids[len(kept.ids) :]
            for _ in range(limit):
                token = self._next(kept, pending, options.temperature, deadline)
                if token in self._ends:
                    return
                yield token
                pending = [token]
        except EngineError:
            raise
        except Exception as error:
            key = None  # the cache may hold half a step
            raise self._failed(error) from error
        finally:
            if key is not None and not self._closed:
                self._kv.put(key, kept)

    def _resume(self, kept: Kept | None, ids: list[int]) -> Kept:
        """A cache that holds a true prefix of `ids`, at least one token short of it."""
        from transformers import DynamicCache

        if kept is not None:
            same = min(common_prefix(kept.ids, ids), len(ids) - 1)
            if same == len(kept.ids):
                return kept
            if same and _can_crop(kept.cache):
                kept.cache.crop(same - len(kept.ids))
                return Kept(kept.cache, kept.ids[:same])
        return Kept(DynamicCache(config=self._net.config))

    def _next(self, kept: Kept, pending: list[int], temperature: float, deadline: float) -> int:
        """Reads `pending` into the cache and chooses the next token."""
        import torch

        with torch.inference_mode(), hardware.threads(self._threads):
            logits = self._read(kept, pending, deadline)
            if temperature <= 0:
                return int(logits.argmax())
            weights = torch.softmax(logits.float() / temperature, dim=-1)
            return int(torch.multinomial(weights, 1))

    def _read(self, kept: Kept, pending: list[int], deadline: float) -> torch.Tensor:
        """Logits (vocabulary,) after `pending`, part by part; there is at least one."""
        for start in range(0, len(pending), _CHUNK):
            if time.monotonic() >= deadline:
                raise EngineTimeout("The model took longer than its time limit ([model] time_limit_s).")
            logits = self._forward(kept, pending[start : start + _CHUNK])
        return logits

    def _forward(self, kept: Kept, part: list[int]) -> torch.Tensor:
        """Logits (vocabulary,) after the last id of `part`; its keys and values join the cache."""
        import torch

        ids = torch.tensor([part], device=self.device)
        out = self._net(input_ids=ids, past_key_values=kept.cache, use_cache=True, logits_to_keep=1)
        kept.ids.extend(part)
        logits: torch.Tensor = out.logits[0, -1]
        return logits

    def _failed(self, error: BaseException) -> EngineUnavailable:
        if _is_memory(error):
            self._kv.clear()
            _free_memory()
        return _unavailable(error, f"The model {self.model.name} failed")


def build(settings: Settings) -> HfEngine:
    """The registry's factory: the configured model, prepared if it came with Confide, and loaded.

    Raises:
        ModelNotReady: the weights are not here; says the command that brings them.
    """
    path = models.prepare(settings)
    _, info = models.resolve(settings)
    device = hardware.choose_device(settings.model.device)
    dtype = hardware.choose_dtype(settings.model.dtype, device)
    places = settings.server.concurrency if device == "cuda" else 1
    return HfEngine(path, info, device=device, dtype=dtype, aliases=models.aliases(settings), places=places)


def _load(path: Path, *, device: str, dtype: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    net = AutoModelForCausalLM.from_pretrained(
        path, dtype=getattr(torch, dtype), local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    return tokenizer, net.eval().to(device)


def _end_ids(net: Any, tokenizer: Any) -> frozenset[int]:
    """Every id that ends an answer: the generation config may name several."""
    listed = net.generation_config.eos_token_id
    ends = set(listed if isinstance(listed, list) else [listed]) | {tokenizer.eos_token_id}
    return frozenset(int(end) for end in ends if end is not None)


def _can_crop(cache: Any) -> bool:
    """Only plain attention can forget its last tokens; sliding windows and recurrent states cannot."""
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in cache.layers)


def _is_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def _unavailable(error: BaseException, what: str) -> EngineUnavailable:
    if _is_memory(error):
        return EngineUnavailable(
            f"{what}: there is not enough memory.",
            hint="Use a smaller model (`confide models list`) or a shorter prompt.",
        )
    return EngineUnavailable(f"{what}: {error}", hint="`confide doctor` checks the installation.")


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
