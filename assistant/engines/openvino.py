"""The engine for plain processors: OpenVINO GenAI with eight-bit weights and continuous batching.

Questions that are asked at once are computed together, token by token; what a conversation has read already is not
read again (its prefix cache). That cache is not kept apart by adapter in one pipeline, so each adapter gets a
pipeline of its own, over a copy of the model with the adapter merged in: nothing can leak, and an adapter costs no
speed, but seconds when it is first used and the model's size on disk. Models that came as GGUF only.

It reads no token's probability: "why this answer" needs the engine `hf`.

Source: OpenVINO GenAI 2026.4 (`ContinuousBatchingPipeline`, its `add_request` and `step`).
"""

from __future__ import annotations

import hashlib
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from assistant import template
from assistant.engines import adapters as lora
from assistant.engines import hardware, models, quantised
from assistant.engines.streaming import Detokenizer, StopFilter
from assistant.errors import AdapterUnsupported, EngineError, EngineTimeout, EngineUnavailable
from assistant.registry import did_you_mean
from assistant.settings import Settings
from assistant.types import GenerateOptions, Message, ModelInfo

CACHE_GB = 1
"""Memory for the keys and values of all running and remembered conversations."""
_WEIGHTS = "adapter_model.safetensors"
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
        """Loads the model in `path`, written for OpenVINO below `cache` the first time.

        `like` is the GGUF the model came from; `dtype` what it computes in ("auto": the quickest here); `aliases` are
        other names by which an adapter may call this base.

        Raises:
            EngineUnavailable: it cannot be loaded.
        """
        self.model = info
        self._path, self._like, self._cache, self._dtype = path, like, cache, dtype
        self._base_names = (*aliases, info.name, path.name)
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._tokenizer = _tokenizer(path)
            self._controls = template.control_strings(self._tokenizer)
            self._ends = _end_ids(path, self._tokenizer)
            self._pipelines: dict[str | None, _Pipeline] = {None: _Pipeline(self._written(None), dtype)}
        except EngineError:
            raise
        except Exception as error:  # whichever library failed, the model cannot be loaded
            raise _unavailable(error, f"The model in {path} cannot be loaded") from error

    def count_tokens(self, text: str) -> int:
        """Tokens of a text by the model's own tokenizer. Safe to call from several threads."""
        return len(template.encode(self._tokenizer, template.plain(text, self._controls)))

    def stream(self, messages: Sequence[Message], options: GenerateOptions) -> Iterator[str]:
        """The answer, piece by piece; whole characters only, never a part of a stop string."""
        deadline = time.monotonic() + options.time_limit_s
        pipeline = self._pipeline(options.adapter)
        ids = template.prompt_ids(self._tokenizer, messages)
        room = self.model.context_tokens - len(ids)
        if room < 1:
            raise EngineError(
                f"The prompt has {len(ids)} tokens; the window of {self.model.name} is {self.model.context_tokens}.",
                hint="Ask with fewer or shorter passages ([retrieval] top_k, passage_chars).",
            )
        text = Detokenizer(lambda part: str(self._tokenizer.decode(part, skip_special_tokens=True)))
        stops = StopFilter(options.stop)
        request = pipeline.submit(ids, self._config(options, min(options.max_new_tokens, room)))
        try:
            for token in request.tokens(deadline):
                if token in self._ends:
                    break
                if shown := stops.feed(text.push(token)):
                    yield shown
                if stops.stopped:
                    return
        except EngineError:
            raise
        except Exception as error:
            raise _unavailable(error, f"The model {self.model.name} failed") from error
        finally:
            request.cancelled = True
        if shown := stops.feed(text.flush()) + stops.flush():
            yield shown

    def close(self) -> None:
        """Frees the model. Answers that are still being made end with an error."""
        with self._lock:
            self._closed = True
            pipelines, self._pipelines = list(self._pipelines.values()), {}
        for pipeline in pipelines:
            pipeline.close()

    # Adapters

    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that are loaded, sorted."""
        with self._lock:
            return tuple(sorted(name for name in self._pipelines if name is not None))

    def add_adapter(self, name: str, path: Path) -> None:
        """Merges a LoRA adapter into a copy of the model and loads it; requests under way are not disturbed.

        Raises:
            AdapterUnsupported: unsafe, broken, made for another model, or of a kind that cannot be merged.
        """
        spec = lora.read_spec(path)
        lora.check_base(spec, self._base_names, model=self.model.name)
        if spec.dora or spec.rank_pattern or spec.alpha_pattern:
            raise AdapterUnsupported(
                f"The engine {self.name} merges plain LoRA only.", hint='[model] engine = "hf" hosts this adapter.'
            )
        made = _Pipeline(self._written((path, spec)), self._dtype)
        with self._lock:
            self._check_open()
            old = self._pipelines.pop(name, None)
            self._pipelines[name] = made
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
        with self._lock:
            self._check_open()
            if adapter in self._pipelines:
                return self._pipelines[adapter]
        known = self.adapters()
        raise AdapterUnsupported(
            f"No adapter {adapter!r} is loaded.", hint=did_you_mean(str(adapter), known) or "None is loaded."
        )

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

    def _written(self, adapter: tuple[Path, lora.LoraSpec] | None) -> Path:
        """The folder of the model (with the adapter merged in) as OpenVINO reads it, made where it is missing."""
        about = [version("openvino-genai"), self.model.sha256]
        if adapter is not None:
            about.append(hashlib.sha256((adapter[0] / _WEIGHTS).read_bytes()).hexdigest())
        target = self._cache / hashlib.sha256(" ".join(about).encode()).hexdigest()[:16]
        self._cache.mkdir(parents=True, exist_ok=True)
        with FileLock(self._cache / ".lock"):
            if not target.is_dir():
                _write(self._path, target, like=self._like, adapter=adapter)
        return target


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
        path, info, like=like, cache=settings.data_dir / "models" / "openvino", dtype=settings.model.dtype,
        aliases=models.aliases(settings),
    )  # fmt: skip


@dataclass(slots=True)
class _Request:
    """One answer under way: token ids as they come, None at the end, an error where it broke."""

    handle: Any
    cancelled: bool = False
    came: queue.SimpleQueue[int | Exception | None] = field(default_factory=queue.SimpleQueue)

    def tokens(self, deadline: float) -> Iterator[int]:
        """The ids until the end. Raises EngineTimeout past the deadline, or what broke."""
        while True:
            try:
                item = self.came.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise EngineTimeout("The model took longer than its time limit ([model] time_limit_s).") from None
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item


class _Pipeline:
    """A loaded model and the thread that computes all its requests a token at a time."""

    def __init__(self, folder: Path, dtype: str) -> None:
        import openvino_genai

        plan = openvino_genai.SchedulerConfig()
        plan.cache_size = CACHE_GB
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

    def submit(self, ids: Sequence[int], config: Any) -> _Request:
        """Begins an answer; it is computed together with those under way."""
        import numpy as np
        import openvino

        with self._changed:
            if self._closed:
                raise EngineUnavailable("The model was unloaded.", hint="Ask again.")
            self._count += 1
            tokens = openvino.Tensor(np.array([ids], dtype=np.int64))
            request = _Request(self._pipe.add_request(self._count, tokens, config))
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
        for request in running:
            request.handle.cancel()
            request.came.put(EngineUnavailable("The model was unloaded.", hint="Ask again."))
        self._pipe = None


def _advance(request: _Request) -> bool:
    """Hands on what a step gave a request; True where that was its last."""
    from openvino_genai import GenerationStatus

    if request.cancelled:
        request.handle.cancel()
        return True
    running = request.handle.get_status() == GenerationStatus.RUNNING
    while request.handle.can_read():
        for part in request.handle.read().values():
            for token in part.generated_ids:
                request.came.put(int(token))
    if not running:
        request.came.put(None)
    return not running


def _write(path: Path, target: Path, *, like: Path, adapter: tuple[Path, lora.LoraSpec] | None) -> None:
    """Makes `target`, whole or not at all."""
    import openvino_genai

    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        source = path
        if adapter is not None:
            source = work / "merged"
            source.mkdir()
            _merge(path, source, *adapter)
        made = work / "made"
        made.mkdir()
        file = made / "model.gguf"
        quantised.write(source, file, like=like)
        openvino_genai.LLMPipeline(str(file), "CPU", enable_save_ov_model=True)
        file.unlink()
        os.replace(made, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _merge(path: Path, target: Path, adapter: Path, spec: lora.LoraSpec) -> None:
    """Writes the weights of `path` with what the adapter adds to them, in float32.

    Raises:
        AdapterUnsupported: a matrix of the adapter fits none of the model.
    """
    from safetensors.torch import load_file, save_file

    weights: dict[str, Any] = {}
    for file in sorted(path.glob("*.safetensors")):
        weights |= {name: tensor.float() for name, tensor in load_file(file).items()}
    parts = lora.read_weights(adapter)
    for name in sorted(parts):
        if not name.endswith("lora_A.weight"):
            continue
        stem = name.removesuffix(".lora_A.weight")
        down, up = parts[name].float(), parts[f"{stem}.lora_B.weight"].float()
        key = f"{stem.removeprefix('base_model.model.')}.weight"
        rank = down.shape[0]
        if key not in weights or weights[key].shape != (up.shape[0], down.shape[1]) or up.shape[1] != rank:
            raise AdapterUnsupported(f"The adapter does not fit the model at {key}.", hint="It was made for another.")
        weights[key] += spec.alpha / (rank**0.5 if spec.rslora else rank) * (up @ down)
    save_file(weights, target / "model.safetensors")


def _tokenizer(path: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)


def _end_ids(path: Path, tokenizer: Any) -> frozenset[int]:
    """Every id that ends an answer: the generation config may name several."""
    from transformers import GenerationConfig

    listed = GenerationConfig.from_pretrained(path, local_files_only=True).eos_token_id
    ends = set(listed if isinstance(listed, list) else [listed]) | {tokenizer.eos_token_id}
    return frozenset(int(end) for end in ends if end is not None)


def _unavailable(error: BaseException, what: str) -> EngineUnavailable:
    return EngineUnavailable(f"{what}: {error}", hint="`confide doctor` checks the installation.")
