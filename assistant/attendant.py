"""What a running server does by itself: it tells the staff who waits, and deletes conversations that are too old.

One thread. What was not told yet stands in the store, so that a server that was killed tells it after its start; what
could not be sent is tried again a minute later.
"""

from __future__ import annotations

import logging
import threading
import time

from assistant.core import Assistant
from assistant.desk import State
from assistant.errors import StoreBusy
from assistant.history import History
from assistant.notices import Notices

_EVERY_S = 3.0
_AGAIN_S = 60.0
_DAY_S = 86_400.0
_log = logging.getLogger(__name__)


class Attendant:
    """The thread of one server. `start` it once, `stop` it before the assistant is closed."""

    def __init__(self, assistant: Assistant) -> None:
        settings = assistant.settings
        self._desk, self._notices = assistant.desk, Notices(settings)
        self._history, self._keep_days = History(assistant.store, settings.tenant), settings.privacy.keep_days
        self._failed: dict[str, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="attendant", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, after what is being sent."""
        self._stopped.set()
        self._thread.join(15)

    def tell(self) -> int:
        """Tells of everybody who waits and was not told of; how many were."""
        if not self._notices.configured or not self._desk.untold():
            return 0
        with self._desk.telling() as mine:
            return self._tell() if mine else 0

    def _tell(self) -> int:
        told, waiting = 0, self._desk.count(State.WAITING)
        for case in self._desk.untold():
            if self._failed.get(case.conversation, 0.0) > time.monotonic():
                continue
            try:
                self._notices.tell(case, waiting=waiting)
            except OSError as error:
                _log.warning("the staff could not be told that somebody waits: %s", error)
                self._failed[case.conversation] = time.monotonic() + _AGAIN_S
                continue
            self._failed.pop(case.conversation, None)
            self._desk.mark_told(case.conversation)
            told += 1
        return told

    def sweep(self) -> int:
        """Deletes what is older than the settings keep; how many conversations."""
        try:
            gone = self._history.sweep(self._keep_days)
        except StoreBusy as error:
            _log.warning("%s It is tried again tomorrow.", error.message)
            return 0
        if gone:
            _log.info("%d conversations were older than %d days and are deleted", gone, self._keep_days)
        return gone

    def _run(self) -> None:
        swept = float("-inf")
        while not self._stopped.is_set():
            try:
                if time.monotonic() - swept >= _DAY_S:
                    swept = time.monotonic()
                    self.sweep()
                self.tell()
            except Exception:
                _log.exception("the attendant failed; it goes on")
            self._stopped.wait(_EVERY_S)
