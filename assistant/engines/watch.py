"""An engine's stream under a watch: its time limit holds even where the engine hangs or breaks."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Generator, Sequence

from assistant.engines.base import Engine
from assistant.errors import EngineError, EngineTimeout, EngineUnavailable
from assistant.types import GenerateOptions, Message


def watched(engine: Engine, messages: Sequence[Message], options: GenerateOptions) -> Generator[str]:
    """The engine's stream, with its time limit kept even by an engine that hangs.

    The engine runs in its own thread; one that does not come back is left behind.

    Raises:
        EngineError: whatever the engine raised, as an error of that tree.
    """
    pieces: queue.Queue[str | BaseException | None] = queue.Queue(maxsize=64)
    stopped = threading.Event()

    def run() -> None:
        end: BaseException | None = None
        try:
            for piece in engine.stream(messages, options):
                if stopped.is_set():
                    return  # the generator is closed with its last reference
                pieces.put(piece)
        except BaseException as error:
            end = error
        pieces.put(end)

    threading.Thread(target=run, name="engine", daemon=True).start()
    deadline = time.monotonic() + options.time_limit_s + 1.0  # the engine's own limit comes first
    try:
        while True:
            try:
                piece = pieces.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise EngineTimeout(f"The engine gave nothing for {options.time_limit_s:g} s.") from None
            if piece is None:
                return
            if isinstance(piece, EngineError):
                raise piece
            if isinstance(piece, BaseException):
                raise EngineUnavailable(f"The engine broke: {type(piece).__name__}: {piece}") from piece
            yield piece
    finally:
        stopped.set()
        with contextlib.suppress(queue.Empty):
            while True:
                pieces.get_nowait()
