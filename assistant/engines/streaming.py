"""The small pure parts of a streaming engine: stop strings, whole characters, turns.

No model, no torch: everything here is tested without weights. The incremental decoding keeps a
window of earlier ids as context, as text-generation-inference and vLLM do, because a token's text
depends on its neighbours.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

_REPLACEMENT = "\ufffd"


class StopFilter:
    """Text without its stop strings, released as soon as it cannot begin one.

    >>> stops = StopFilter(["END"])
    >>> stops.feed("one E"), stops.feed("N"), stops.feed("D two"), stops.stopped
    ('one ', '', '', True)
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """What may be shown now. After a stop string was seen, nothing more."""
        if self.stopped:
            return ""
        self._held += text
        found = [self._held.find(stop) for stop in self._stops if stop in self._held]
        if found:
            self.stopped = True
            shown, self._held = self._held[: min(found)], ""
            return shown
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return shown

    def flush(self) -> str:
        """What was held back, once no more text can come."""
        shown, self._held = self._held, ""
        return shown


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if stop.startswith(text[-size:])), 0)


class Detokenizer:
    """Token ids in, whole characters out: a character made of several tokens is never cut."""

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._context = 0  # ids[context:read] are the ids already shown, kept as context
        self._read = 0

    def push(self, token: int) -> str:
        """The text that this token completes; empty while a character is unfinished."""
        self._ids.append(token)
        text = self._new_text()
        if not text or text.endswith(_REPLACEMENT):
            return ""
        self._context, self._read = self._read, len(self._ids)
        return text

    def flush(self) -> str:
        """What is left at the end, without a character that never got whole."""
        return self._new_text().rstrip(_REPLACEMENT)

    def _new_text(self) -> str:
        shown = self._decode(self._ids[self._context : self._read])
        return self._decode(self._ids[self._context :])[len(shown) :]


class TurnLock:
    """A lock whose waiters are served in the order they came.

    It belongs to no thread: a generator may be started on one thread and closed on another, as
    web servers do.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._held = False

    def acquire(self, timeout_s: float) -> bool:
        """True once it is our turn; False if that took longer than `timeout_s`."""
        with self._guard:
            if not self._held:
                self._held = True
                return True
            turn = threading.Event()
            self._waiting.append(turn)
        if turn.wait(timeout_s):
            return True
        with self._guard:
            if turn.is_set():  # it became our turn between the wait and the guard
                return True
            self._waiting.remove(turn)
            return False

    @property
    def contended(self) -> bool:
        """Whether somebody waits for it."""
        return bool(self._waiting)

    def release(self) -> None:
        """Hands the lock to whoever waits longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()  # stays held: it changes hands
            else:
                self._held = False
