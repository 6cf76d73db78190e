"""The engine for plain processors: OpenVINO GenAI with eight-bit weights and continuous batching.

Questions that are asked at once are computed together, token by token; what a conversation has read already is not
read again (its prefix cache). That cache is not kept apart by adapter in one pipeline, so each adapter gets a
pipeline of its own, over a copy of the model with the adapter merged in: nothing can leak, and an adapter costs no
speed, but seconds when it is first used and the model's size on disk (`ov_files.py`). Models that came as GGUF only.

It reads no token's probability: for "why this answer" the same weights are loaded into `hf`, and let go after.

Source: OpenVINO GenAI 2026.4 (`ContinuousBatchingPipeline`, its `add_request` and `step`).
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from assistant import template
from assistant.engines import adapters as lora
from assistant.engines import hardware, hf, models, ov_files
from assistant.engines.streaming import Detokenizer, StopFilter
from assistant.errors import AdapterUnsupported, BadInput, EngineError, EngineTimeout, EngineUnavailable
from assistant.registry import did_you_mean
from assistant.settings import Settings
from assistant.types import GenerateOptions, Message, ModelInfo

CACHE_TOKENS = 24_576
"""Tokens of all running and remembered conversations whose keys and values are kept (the window, if that is longer)."""
_BEGINNINGS = 8
_BLOCK = 32
_BREATH_S = 0.0002
"""A pause between steps: a step holds Python's lock, so that who waits for its token would wait for the next, too."""
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


class OpenVinoEngine:
    """A causal language model in this process, for many conversations at once. Made by `build`."""

    name = "openvino"
    location: Literal["local", "remote"] = "local"

    def __init__(
        self,
        path: Path,
        info: ModelInfo,
        *,
        like: Path,
        cache: Path,
        dtype: str = "auto",
        aliases: tuple[str, ...] = (),
    ) -> None:
        """Opens the model in `path`, written for OpenVINO below `cache` the first time.

        `like` is the GGUF the model came from; `dtype` what it computes in ("auto": the quickest here); `aliases` are
        other names by which an adapter may call this base.

        Raises:
            EngineUnavailable: it cannot be loaded.
        """
        self.model = info
        self._source, self._dtype = ov_files.Source(path, like, cache, info), dtype
        self._folders: dict[str, Path] = {}
        self._base_names = (*aliases, info.name, path.name)
        self._lock, self._first = threading.Lock(), threading.Lock()
        self._closed = False
        self._pipelines: dict[str | None, _Pipeline] = {}  # that of the bare model (None) comes when it is first asked
        with _told(f"The model in {path} cannot be loaded"):
            self._tokenizer = _tokenizer(path)
            self._controls = template.control_strings(self._tokenizer)
            self._ends = _end_ids(path, self._tokenizer)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text by the model's own tokenizer. Safe to call from several threads."""
        return len(template.encode(self._tokenizer, template.plain(text, self._controls)))

    def stream(self, messages: Sequence[Message], options: GenerateOptions) -> Iterator[str]:
        """The answer, piece by piece; whole characters only, never a part of a stop string."""
        deadline = time.monotonic() + options.time_limit_s
        pipeline = self._pipeline(options.adapter)
        ids, room = self._prompt(messages)
        text = Detokenizer(lambda part: str(self._tokenizer.decode(part, skip_special_tokens=True)))
        stops = StopFilter(options.stop)
        request = pipeline.submit(ids, self._config(options, min(options.max_new_tokens, room)))
        try:
            with _told(f"The model {self.model.name} failed"):
                for token in request.tokens(deadline):
                    if token in self._ends:
                        break
                    if shown := stops.feed(text.push(token)):
                        yield shown
                    if stops.stopped:
                        return
        finally:
            request.cancelled = True
        if shown := stops.feed(text.flush()) + stops.flush():
            yield shown

    def begins(self, messages: Sequence[Message], word: str, options: GenerateOptions) -> float:
        """The log-probability that the answer begins with the first token of `word`, an upper bound where that is not
        among the likeliest `_BEGINNINGS`: the pipeline tells the scores of beams only."""
        import openvino_genai

        first = template.encode(self._tokenizer, word)[0]
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens, config.eos_token_id = 1, int(self._tokenizer.eos_token_id)
        config.num_beams = config.num_return_sequences = _BEGINNINGS
        pipeline, (ids, _) = self._pipeline(options.adapter), self._prompt(messages)
        request = pipeline.submit(ids, config, beams=True)
        try:
            with _told(f"The model {self.model.name} failed"):
                scores = request.scores(time.monotonic() + options.time_limit_s)
        finally:
            request.cancelled = True
        return scores.get(first, min(scores.values()))

    def logprobs(self, prompts: Sequence[Sequence[Message]], text: str, *, adapter: str | None = None) -> list[float]:
        """Of each prompt the log-probability of `text` as its answer, in nats: by `hf`, on the weights it came from."""
        self._pipeline(adapter)
        dtype = hardware.choose_dtype(self._dtype, "cpu")
        exact = hf.HfEngine(self._source.path, self.model, device="cpu", dtype=dtype, aliases=self._base_names)
        with contextlib.closing(exact):
            if adapter is not None:
                exact.add_adapter(adapter, self._folders[adapter])
            return exact.logprobs(prompts, text, adapter=adapter)

    def close(self) -> None:
        """Frees the model. Answers that are still being made end with an error."""
        with self._lock:
            self._closed = True
            pipelines, self._pipelines = list(self._pipelines.values()), {}
        for pipeline in pipelines:
            pipeline.close()

    def _prompt(self, messages: Sequence[Message]) -> tuple[list[int], int]:
        """The prompt's ids and the tokens that the window leaves for an answer, at least one."""
        ids = template.prompt_ids(self._tokenizer, messages)
        room = self.model.context_tokens - len(ids)
        if room < 1:
            raise EngineError(
                f"The prompt has {len(ids)} tokens; the window of {self.model.name} is {self.model.context_tokens}.",
                hint="Ask with fewer or shorter passages ([retrieval] top_k, passage_chars).",
            )
        return ids, room

    # Adapters

    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that are loaded, sorted."""
        with self._lock:
            return tuple(sorted(name for name in self._pipelines if name is not None))

    def add_adapter(self, name: str, path: Path) -> None:
        """Merges a LoRA adapter into a copy of the model and loads it; requests under way are not disturbed.

        Raises:
            AdapterUnsupported: unsafe, broken, or made for another model.
            EngineUnavailable: the disk or the memory is full, or OpenVINO failed.
        """
        lora.check_base(lora.read_spec(path), self._base_names, model=self.model.name)
        with _told(f"The adapter {name} cannot be loaded"):
            try:
                made = self._loaded(path)
            except BadInput as error:
                raise AdapterUnsupported(error.message, hint=error.hint) from error
        with self._lock:
            self._check_open()
            old = self._pipelines.pop(name, None)
            self._pipelines[name], self._folders[name] = made, path
        if old is not None:
            old.close()

    def remove_adapter(self, name: str) -> None:
        """Unloads an adapter. Raises AdapterUnsupported where there is none of this name."""
        self._pipeline(name)
        with self._lock:
            pipeline = self._pipelines.pop(name, None)
        if pipeline is not None:
            pipeline.close()

    def _pipeline(self, adapter: str | None) -> _Pipeline:
        with self._first if adapter is None else contextlib.nullcontext():
            with self._lock:
                self._check_open()
                if adapter in self._pipelines:
                    return self._pipelines[adapter]
            if adapter is None:
                return self._bare()
        known = self.adapters()
        raise AdapterUnsupported(
            f"No adapter {adapter!r} is loaded.", hint=did_you_mean(str(adapter), known) or "None is loaded."
        )

    def _bare(self) -> _Pipeline:
        """The model without an adapter, loaded now: where every answer comes from one, its memory is never taken."""
        with _told(f"The model {self.model.name} cannot be loaded"):
            made = self._loaded(None)
        with self._lock:
            closed = self._closed
            if not closed:
                self._pipelines[None] = made
        if closed:
            made.close()
            self._check_open()
        return made

    def _check_open(self) -> None:
        if self._closed:
            raise EngineUnavailable("The engine is closed.", hint="Restart Confide.")

    def _config(self, options: GenerateOptions, limit: int) -> Any:
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = limit
        config.eos_token_id = int(self._tokenizer.eos_token_id)
        config.stop_token_ids = set(self._ends)
        config.do_sample = options.temperature > 0
        if config.do_sample:
            config.temperature = options.temperature
        return config

    def _loaded(self, adapter: Path | None) -> _Pipeline:
        tokens = max(CACHE_TOKENS, self.model.context_tokens)
        return _Pipeline(ov_files.written(self._source, adapter), self._dtype, tokens=tokens)


def write(settings: Settings, adapters: Sequence[Path] = ()) -> None:
    """Writes what `build` loads, bare and with each of these adapters, so that no first start waits for it.

    Raises:
        ModelNotReady: the weights are not here.
        AdapterUnsupported: one does not fit.
    """
    path, like = models.prepare(settings), models.source_of(settings)
    if like is not None:
        source = ov_files.Source(path, like, _cache(settings), models.resolve(settings)[1])
        for adapter in (None, *adapters):
            ov_files.written(source, adapter)


def _cache(settings: Settings) -> Path:
    return settings.data_dir / "models" / "openvino"


def build(settings: Settings) -> OpenVinoEngine:
    """The registry's factory: the configured model, prepared if it came with Confide, and loaded.

    Raises:
        ModelNotReady: the weights are not here; says the command that brings them.
        EngineUnavailable: the model did not come as a GGUF.
    """
    path = models.prepare(settings)
    _, info = models.resolve(settings)
    like = models.source_of(settings)
    if like is None:
        raise EngineUnavailable(
            f"The engine openvino serves models that came as a GGUF file, and {info.name} did not.",
            hint='[model] engine = "hf" serves it.',
        )
    return OpenVinoEngine(
        path, info, like=like, cache=_cache(settings), dtype=settings.model.dtype,
        aliases=models.aliases(settings),
    )  # fmt: skip


@dataclass(slots=True)
class _Request:
    """One answer under way: token ids as they come, None at the end, an error where it broke.

    With `beams` the scores of the first tokens come instead, all at once.
    """

    handle: Any
    beams: bool = False
    cancelled: bool = False
    came: queue.SimpleQueue[int | dict[int, float] | Exception | None] = field(default_factory=queue.SimpleQueue)

    def tokens(self, deadline: float) -> Iterator[int]:
        """The ids until the end. Raises EngineTimeout past the deadline, or what broke."""
        while (item := self._next(deadline)) is not None:
            yield cast(int, item)

    def scores(self, deadline: float) -> dict[int, float]:
        """First token -> its log-probability, of the likeliest ones. Raises as `tokens`."""
        return cast(dict[int, float], self._next(deadline))

    def _next(self, deadline: float) -> int | dict[int, float] | None:
        try:
            item = self.came.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise EngineTimeout("The model took longer than its time limit ([model] time_limit_s).") from None
        if isinstance(item, Exception):
            raise item
        return item


class _Pipeline:
    """A loaded model and the thread that computes all its requests a token at a time."""

    def __init__(self, folder: Path, dtype: str, *, tokens: int) -> None:
        import openvino_genai

        plan = openvino_genai.SchedulerConfig()
        plan.cache_size, plan.num_kv_blocks = 0, tokens // _BLOCK + 1
        plan.enable_prefix_caching = True
        properties: dict[str, Any] = {"INFERENCE_NUM_THREADS": hardware.choose_threads()}
        if dtype in _PRECISIONS:
            properties["INFERENCE_PRECISION_HINT"] = _PRECISIONS[dtype]  # with KV_CACHE_PRECISION f32 it said nonsense
        self._pipe: Any = openvino_genai.ContinuousBatchingPipeline(str(folder), plan, "CPU", properties)
        self._requests: list[_Request] = []
        self._changed = threading.Condition()
        self._closed = False
        self._count = 0
        self._thread = threading.Thread(target=self._run, daemon=True, name="openvino")
        self._thread.start()

    def submit(self, ids: Sequence[int], config: Any, *, beams: bool = False) -> _Request:
        """Begins an answer; it is computed together with those under way."""
        import numpy as np
        import openvino

        with self._changed:
            if self._closed:
                raise EngineUnavailable("The model was unloaded.", hint="Ask again.")
            self._count += 1
            tokens = openvino.Tensor(np.array([ids], dtype=np.int64))
            request = _Request(self._pipe.add_request(self._count, tokens, config), beams)
            self._requests.append(request)
            self._changed.notify()
        return request

    def close(self) -> None:
        """Ends the thread; what is under way ends with an error."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(60)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._requests or self._closed)
                running = list(self._requests)
                if self._closed:
                    break
            try:
                self._pipe.step()
                ended = [request for request in running if _advance(request)]
            except Exception as error:  # every request of this pipeline is lost with it
                for request in running:
                    request.came.put(error)
                ended = running
            with self._changed:
                self._requests = [request for request in self._requests if request not in ended]
            time.sleep(_BREATH_S)
        for request in running:
            request.handle.cancel()
            request.came.put(EngineUnavailable("The model was unloaded.", hint="Ask again."))
        with contextlib.suppress(Exception):  # it ends in any case
            while self._pipe.has_non_finished_requests():  # what was cancelled is freed by a step, or it complains
                self._pipe.step()
        self._pipe = None


def _advance(request: _Request) -> bool:
    """Hands on what a step gave a request; True where that was its last."""
    from openvino_genai import GenerationStatus

    if request.cancelled:
        request.handle.cancel()
        return True
    running = request.handle.get_status() == GenerationStatus.RUNNING
    if request.beams:
        if not running:
            request.came.put({int(part.generated_ids[0]): float(part.score) for part in request.handle.read_all()})
        return not running
    while request.handle.can_read():
        for part in request.handle.read().values():
            for token in part.generated_ids:
                request.came.put(int(token))
    if not running:
        request.came.put(None)
    return not running


def _tokenizer(path: Path) -> Any:
    """What `gguf.py` wrote. AutoTokenizer reads the same, and imports half of transformers before."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(path, local_files_only=True, trust_remote_code=False)


def _end_ids(path: Path, tokenizer: Any) -> frozenset[int]:
    """Every id that ends an answer: the generation config may name several."""
    listed = json.loads((path / "generation_config.json").read_text(encoding="utf-8")).get("eos_token_id")
    ends = set(listed if isinstance(listed, list) else [listed]) | {tokenizer.eos_token_id}
    return frozenset(int(end) for end in ends if end is not None)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Whichever library fails within, people are told so."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        raise _unavailable(error, what) from error


def _unavailable(error: BaseException, what: str) -> EngineUnavailable:
    return EngineUnavailable(f"{what}: {error}", hint="`confide doctor` checks the installation.")
