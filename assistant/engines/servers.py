"""Several servers of one model: who is asked next, and who is left alone for a while because it failed.

The least busy first. One that fails several times running rests, each time for longer, and comes back with a single
request: a circuit breaker. It sends nothing itself: that is `remote.py`.

Source: Nygard, Release It! (2nd ed., 2018), "Circuit Breaker".
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

OPENS_AFTER, REST_S, LONGEST_REST_S = 3, 5.0, 120.0


@dataclass(slots=True)
class Server:
    """One server: its address, whatever talks to it, and how it does."""

    url: str
    client: Any
    running: int = 0
    failures: int = 0
    rests_until: float = 0.0


class Servers:
    """Thread-safe."""

    def __init__(
        self, urls: Sequence[str], connect: Callable[[str], Any], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.all = tuple(Server(url, connect(url)) for url in urls)
        self._clock = clock
        self._lock = threading.Lock()

    def ready(self) -> list[Server]:
        """Those that may be asked now, the least busy first; a recovering one has one request at most."""
        now = self._clock()
        with self._lock:
            here = [
                one for one in self.all if one.failures < OPENS_AFTER or (now >= one.rests_until and not one.running)
            ]
            return sorted(here, key=lambda one: (one.failures >= OPENS_AFTER, one.running))

    @contextlib.contextmanager
    def asking(self, server: Server) -> Iterator[None]:
        """Counts a request while it runs."""
        with self._lock:
            server.running += 1
        try:
            yield
        finally:
            with self._lock:
                server.running -= 1

    def worked(self, server: Server) -> None:
        """It answered: all is forgiven."""
        with self._lock:
            server.failures = 0

    def failed(self, server: Server) -> None:
        """It did not. From the third time running on it rests, each time twice as long."""
        with self._lock:
            server.failures += 1
            if server.failures >= OPENS_AFTER:
                rest = min(LONGEST_REST_S, REST_S * 2.0 ** min(server.failures - OPENS_AFTER, 10))
                server.rests_until = self._clock() + rest
