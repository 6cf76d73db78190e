"""Several requests decoded together, each row of the batch under its own LoRA adapter: for `hf` on a GPU.

One thread computes. It reads prompts alone, a piece between two steps, and lets the rows that are read go one token
further together: on a GPU a step costs nearly the same for one row and for many. The keys and values of a row are
padded on the left to the longest and the padding is masked; when a row leaves, its own are cut out and kept for the
conversation's next turn. While rows run nobody else has the network: who waits for the engine's turn (an adapter that
is loaded, the engine's end) stops newcomers and gets it when the last row has left.

It is not paged: transformers' continuous batching packs all rows into one sequence, in which PEFT cannot tell rows
under different adapters apart. Models without plain attention layers (sliding windows, recurrent states) have caches
that cannot be padded so; they are not batched.

Sources: Yu et al. 2022, "Orca" (iteration-level scheduling); PEFT, "Inference with different LoRA adapters in the same
batch"; transformers `cache_utils.py`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from assistant.engines.adapters import AdapterHost
from assistant.engines.kv import Kept, Key, KvStore
from assistant.engines.streaming import TurnLock
from assistant.errors import AdapterUnsupported, EngineError, EngineTimeout, EngineUnavailable

if TYPE_CHECKING:
    import torch

CHUNK = 512
"""Tokens of a prompt that are read between two steps of the others, and between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The network and what belongs to it; the engine's own, shared with it under `turn`.

    `resume(kept, ids)` gives a cache that holds a true prefix of `ids`; `read(kept, part)` reads a part of one prompt
    and gives the logits (vocabulary,) after it; `failed(error)` is the error to tell.
    """

    net: Any
    host: AdapterHost
    kv: KvStore
    turn: TurnLock
    ends: frozenset[int]
    device: str
    resume: Callable[[Kept | None, list[int]], Kept]
    read: Callable[[Kept, list[int]], torch.Tensor]
    failed: Callable[[BaseException], EngineError]


@dataclass(eq=False, slots=True)
class Request:
    """One answer to be made. `limit` new tokens at most; `key` None = its cache is not kept."""

    ids: list[int]
    limit: int
    adapter: str | None = None
    key: Key | None = None
    temperature: float = 0.0
    time_limit_s: float = 60.0
    cancelled: bool = False
    deadline: float = 0.0
    kept: Kept | None = None
    pending: list[int] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    out: SimpleQueue[int | EngineError | None] = field(default_factory=SimpleQueue)

    def end(self, error: EngineError | None = None) -> None:
        """The last word to whoever listens."""
        self.out.put(error)
        self.begun.set()


class Batcher:
    """At most `places` requests at once, begun in the order they came. Thread-safe."""

    def __init__(self, parts: Parts, places: int) -> None:
        self._parts = parts
        self._places = places
        self._wake = threading.Condition()
        self._waiting: deque[Request] = deque()
        self._closed = False
        self._thread: threading.Thread | None = None
        # Below: only the thread's, while it has the turn.
        self._reading: deque[Request] = deque()
        self._rows: list[Request] = []
        self._cache: Any = None  # of all rows: layers of (rows, heads, longest, d)

    def tokens(self, request: Request) -> Generator[int, None, None]:
        """New token ids, without the end token. Closing it takes the request out before the next step.

        Raises:
            EngineTimeout: it was not begun, or not ended, within its time limit.
            AdapterUnsupported: its adapter has gone while it waited.
            EngineUnavailable: the engine was closed, or the network failed.
        """
        self._submit(request)
        try:
            if not request.begun.wait(request.time_limit_s):
                raise EngineTimeout(f"Other questions kept the model busy for {request.time_limit_s:g} s.")
            while (item := request.out.get()) is not None:
                if isinstance(item, EngineError):
                    raise item
                yield item
        finally:
            request.cancelled = True

    def close(self) -> None:
        """Ends what waits with an error; what runs is answered."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def _submit(self, request: Request) -> None:
        with self._wake:
            if self._closed:
                raise _closed()
            self._waiting.append(request)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
                self._thread.start()
            self._wake.notify()

    # The thread

    def _run(self) -> None:
        import torch

        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    while self._waiting:
                        self._waiting.popleft().end(_closed())
                    return
            if not self._parts.turn.acquire(threading.TIMEOUT_MAX):
                continue
            try:
                with torch.inference_mode():
                    self._serve()
            except Exception as error:  # of one request it was caught before: whatever it is, nobody waits for ever
                self._abandon(self._parts.failed(error))
            finally:
                self._parts.turn.release()

    def _serve(self) -> None:
        """Until nobody is left, or somebody else waits for the turn and the last one has left."""
        while True:
            self._admit()
            if not self._rows and not self._reading:
                return
            if self._reading:
                self._read(self._reading[0])
            if self._rows:
                self._step()

    def _admit(self) -> None:
        while len(self._rows) + len(self._reading) < self._places and not self._parts.turn.contended:
            with self._wake:
                if self._closed or not self._waiting or not self._fits(self._waiting[0]):
                    return
                request = self._waiting.popleft()
            if not request.cancelled:
                self._begin(request)

    def _fits(self, request: Request) -> bool:
        """PEFT computes DoRA only where all rows have the same adapter."""
        names = {row.adapter for row in (*self._rows, *self._reading, request)}
        return len(names) == 1 or not any(name in self._parts.host.unmixable for name in names)

    def _begin(self, request: Request) -> None:
        parts = self._parts
        if request.adapter is not None and request.adapter not in parts.host.names:
            request.end(AdapterUnsupported(f"No adapter {request.adapter!r} is loaded."))
            return
        request.deadline = time.monotonic() + request.time_limit_s
        try:
            request.kept = parts.resume(parts.kv.take(request.key) if request.key else None, request.ids)
        except Exception as error:
            request.end(parts.failed(error))
            return
        request.pending = request.ids[len(request.kept.ids) :]
        self._reading.append(request)
        request.begun.set()

    def _read(self, request: Request) -> None:
        """A piece of a prompt; after the last one the first token, and the row joins the others."""
        if self._is_over(request):
            self._reading.popleft()
            return
        assert request.kept is not None
        part, request.pending = request.pending[:CHUNK], request.pending[CHUNK:]
        try:
            self._parts.host.activate(request.adapter)
            logits = self._parts.read(request.kept, part)
            if request.pending:
                return
            (token,) = _chosen(logits[None], [request.temperature])
        except Exception as error:  # this request's; the others go on
            self._reading.popleft()
            request.end(self._parts.failed(error))
            return
        self._reading.popleft()
        if self._goes_on(request, token):
            self._join(request)
        else:
            self._keep(request)
            request.end()

    def _step(self) -> None:
        """A token for every row."""
        gone = [row for row in self._rows if self._is_over(row)]
        if gone:
            self._leave(gone)
        if not self._rows:
            return
        try:
            tokens = _chosen(self._forward(), [row.temperature for row in self._rows])
        except Exception as error:  # the cache may hold half a step
            self._abandon(self._parts.failed(error))
            return
        for row in self._rows:
            assert row.kept is not None
            row.kept.ids += row.pending
        done = [row for row, token in zip(self._rows, tokens, strict=True) if not self._goes_on(row, token)]
        if done:
            self._leave(done)
            for row in done:
                row.end()

    def _forward(self) -> torch.Tensor:
        """Logits (rows, vocabulary); every row's next key and value join the cache."""
        import torch

        device, lengths = self._parts.device, self._lengths()
        longest = max(lengths) + 1
        pads = torch.tensor([longest - 1 - length for length in lengths], device=device)
        with self._parts.host.rows([row.adapter for row in self._rows]):
            out = self._parts.net(
                input_ids=torch.tensor([row.pending for row in self._rows], device=device),
                attention_mask=(torch.arange(longest, device=device)[None, :] >= pads[:, None]).long(),
                position_ids=torch.tensor(lengths, device=device)[:, None],
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        logits: torch.Tensor = out.logits[:, -1]
        return logits

    def _lengths(self) -> list[int]:
        """How many tokens of each row the cache holds; what is left of them is padding."""
        return [len(row.kept.ids) for row in self._rows if row.kept is not None]

    def _goes_on(self, row: Request, token: int) -> bool:
        """Hands a token out; False where it was the last."""
        if token in self._parts.ends:
            return False
        row.limit -= 1
        row.pending = [token]
        row.out.put(token)
        return row.limit > 0

    def _is_over(self, row: Request) -> bool:
        """Whether nobody listens any more, or it takes too long, which is said."""
        late = time.monotonic() >= row.deadline
        if late and not row.cancelled:
            row.end(EngineTimeout("The model took longer than its time limit ([model] time_limit_s)."))
        if row.cancelled or late:
            if row not in self._rows:
                self._keep(row)
            return True
        return False

    def _keep(self, row: Request) -> None:
        """Keeps the cache of a row that is not in the batch for its conversation's next turn."""
        if row.key is not None and row.kept is not None:
            self._parts.kv.put(row.key, row.kept)

    def _join(self, row: Request) -> None:
        assert row.kept is not None
        self._rows.append(row)
        theirs, row.kept.cache = row.kept.cache, None
        if len(self._rows) == 1:
            self._cache = theirs
            return
        for mine, other in zip(self._cache.layers, theirs.layers, strict=True):
            mine.keys, mine.values = _stacked(mine.keys, other.keys), _stacked(mine.values, other.values)

    def _leave(self, gone: Sequence[Request]) -> None:
        """Takes rows out of the batch, keeps their caches, and cuts off padding that no row needs any more."""
        import torch

        before = max(self._lengths())
        for row in gone:
            if row.key is not None and row.kept is not None:
                place = self._rows.index(row)
                row.kept.cache = _cut_out(self._cache, place, len(row.kept.ids), net=self._parts.net)
                self._keep(row)
        stay = [place for place, row in enumerate(self._rows) if row not in gone]
        self._rows = [self._rows[place] for place in stay]
        if not stay:
            self._cache = None
            return
        self._cache.batch_select_indices(torch.tensor(stay, device=self._parts.device))
        spare = before - max(self._lengths())
        for layer in self._cache.layers:
            layer.keys, layer.values = layer.keys[:, :, spare:], layer.values[:, :, spare:]

    def _abandon(self, error: EngineError) -> None:
        """All that run end with this error; nothing of theirs is kept."""
        for row in (*self._rows, *self._reading):
            row.end(error)
        self._rows, self._cache = [], None
        self._reading.clear()


def plain(net: Any) -> bool:
    """Whether all of a network's layers keep the keys and values of every token: such caches can be padded."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    layers = DynamicCache(config=net.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def _chosen(logits: torch.Tensor, temperatures: Sequence[float]) -> list[int]:
    """(n, vocabulary) -> a token each: the likeliest, or drawn where its temperature is above nought."""
    import torch

    tokens: list[int] = logits.argmax(dim=-1).tolist()
    for place, temperature in enumerate(temperatures):
        if temperature > 0:
            weights = torch.softmax(logits[place].float() / temperature, dim=-1)
            tokens[place] = int(torch.multinomial(weights, 1))
    return tokens


def _stacked(rows: torch.Tensor, one: torch.Tensor) -> torch.Tensor:
    """(n, heads, a, d) over (1, heads, b, d) -> (n + 1, heads, max(a, b), d), padded on the left."""
    import torch
    from torch.nn.functional import pad

    longest = max(rows.shape[-2], one.shape[-2])
    return torch.cat([pad(part, (0, 0, longest - part.shape[-2], 0)) for part in (rows, one)])


def _cut_out(cache: Any, place: int, length: int, *, net: Any) -> Any:
    """A row's own cache of its last `length` tokens, in memory of its own."""
    from transformers import DynamicCache

    own = DynamicCache(config=net.config)
    for number, layer in enumerate(cache.layers):
        start = layer.keys.shape[-2] - length
        keys, values = (side[place : place + 1, :, start:].clone() for side in (layer.keys, layer.values))
        own.update(keys, values, number)
    return own


def _closed() -> EngineUnavailable:
    return EngineUnavailable("The engine is closed.", hint="Restart Confide.")
