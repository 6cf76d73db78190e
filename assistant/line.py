"""The line before the language model: the one place where every door's questions wait for their turn.

Bounded, and fair between visitors: a free place goes to the next visitor, not to the oldest question, so one who asks
much waits for himself, and never has more than an eighth of the places (one at least): a newcomer is begun at once, and
is not computed beside a crowd of another's. A question that would wait longer than the patience is turned away when it
comes, and told when to try again. It computes nothing: whoever holds a ticket that was called works, and leaves.

Source: round robin over flows, Nagle 1987, "On Packet Switches with Infinite Storage" (RFC 970).
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from assistant.errors import Busy

PER_VISITOR, PER_ADDRESS = 2, 8
"""How many questions a visitor, or an address, may have waiting or running at once."""
SHARE = 8
"""A visitor has at most this part of the places."""
_LEARNING = 0.2
_MOST_WAIT_S = 120


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks. `held`: held to what a visitor and an address may have at once; a key's customer is not."""

    visitor: str
    address: str = ""
    held: bool = True


class Line:
    """`places` questions at once, `most` waiting, none longer than `patience_s`. Thread-safe."""

    def __init__(self, places: int, most: int, *, patience_s: float) -> None:
        self.patience_s, self._most = patience_s, most
        self._places = places
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Ticket]] = {}  # visitor -> tickets; the first visitor is next
        self._running: list[Ticket] = []
        self._seconds = 0.0  # how long an answer takes, learned; 0 = not known yet

    @property
    def room(self) -> int:
        """How many questions may wait or run."""
        return self._places + self._most

    def widen(self, places: int) -> None:
        """So many places, once it is known that whoever works can do that many at once; never fewer than before."""
        with self._lock:
            self._places = max(places, self._places)
            called = self._call()
        _tell(called)

    def join(self, asker: Asker, tell: Callable[[], object] | None = None) -> Ticket:
        """A place in the line; `tell` is called, from whichever thread, once it is its turn. Leave it in any case.

        Raises:
            Busy: the line is full, too long, or holds enough of this visitor's.
        """
        ticket = Ticket(self, asker, tell)
        with self._lock:
            self._check(asker)
            self._waiting.setdefault(asker.visitor, deque()).append(ticket)
            called = self._call()
        _tell(called)
        return ticket

    def check(self, asker: Asker) -> None:
        """Raises Busy where `join` would."""
        with self._lock:
            self._check(asker)

    def refusal(self) -> Busy:
        """What is said to a question that is one too many."""
        return Busy("The assistant is busy.", wait_s=max(1, math.ceil(self._seconds)) if self._seconds else 5)

    def pending(self) -> list[Asker]:
        """Who waits or is being answered."""
        with self._lock:
            return [ticket.asker for ticket in self._all()]

    @property
    def is_busy(self) -> bool:
        """Whether somebody is being answered."""
        return bool(self._running)

    def give_way(self, seconds: float = 2.0) -> None:
        """For long work, between two steps: waits while somebody is being answered, but no longer than `seconds`."""
        until = time.monotonic() + seconds
        while self._running and time.monotonic() < until:
            time.sleep(0.02)

    def _check(self, asker: Asker) -> None:
        pending = self._all()
        if len(pending) >= self.room:
            raise self.refusal()
        over = self._wait(len(pending)) - self.patience_s
        if over > 0:
            raise Busy("The assistant is busy.", wait_s=min(_MOST_WAIT_S, math.ceil(over)))
        mine = sum(ticket.asker.visitor == asker.visitor for ticket in pending)
        here = sum(ticket.asker.held and ticket.asker.address == asker.address for ticket in pending)
        if asker.held and (mine >= PER_VISITOR or here >= PER_ADDRESS):
            wait_s = self.refusal().wait_s
            raise Busy("Your earlier questions are still being answered.", wait_s=wait_s, theirs=True)

    def _all(self) -> list[Ticket]:
        return [*self._running, *(ticket for tickets in self._waiting.values() for ticket in tickets)]

    def _wait(self, before: int) -> float:
        """Seconds until a question is begun that has so many before it, as far as can be told."""
        return max(0, before - self._places + 1) * self._seconds / self._places

    def _call(self) -> list[Ticket]:
        """Gives free places away, one visitor after another; those that were called now."""
        called: list[Ticket] = []
        share = max(1, self._places // SHARE)
        while len(self._running) < self._places:
            mine = [ticket.asker.visitor for ticket in self._running]
            visitor = next((name for name in self._waiting if mine.count(name) < share), None)
            if visitor is None:
                break
            tickets = self._waiting.pop(visitor)
            ticket = tickets.popleft()
            if tickets:
                self._waiting[visitor] = tickets  # behind all other visitors
            ticket.began = time.monotonic()
            self._running.append(ticket)
            called.append(ticket)
        return called

    def _ahead(self, ticket: Ticket) -> int:
        """How many waiting questions are called before this one, round by round."""
        with self._lock:
            visitors = list(self._waiting)
            if ticket.began or ticket.asker.visitor not in visitors:
                return 0
            place = self._waiting[ticket.asker.visitor].index(ticket)
            mine = visitors.index(ticket.asker.visitor)
            rounds = [(len(self._waiting[name]), place + (number < mine)) for number, name in enumerate(visitors)]
            return place + sum(min(pair) for number, pair in enumerate(rounds) if number != mine)

    def _leave(self, ticket: Ticket) -> None:
        with self._lock:
            if ticket in self._running:
                self._running.remove(ticket)
                took = time.monotonic() - ticket.began
                self._seconds += (_LEARNING if self._seconds else 1.0) * (took - self._seconds)
            else:
                tickets = self._waiting.get(ticket.asker.visitor, deque())
                if ticket in tickets:
                    tickets.remove(ticket)
                    if not tickets:
                        del self._waiting[ticket.asker.visitor]
            called = self._call()
        _tell(called)


@dataclass(eq=False, slots=True)
class Ticket:
    """A question's place in the line. A context manager: leaving it makes room for the next."""

    line: Line
    asker: Asker
    tell: Callable[[], object] | None = None
    began: float = 0.0
    _called: threading.Event = field(default_factory=threading.Event)
    _came: float = field(default_factory=time.monotonic)

    @property
    def called(self) -> bool:
        """Whether it is its turn."""
        return self._called.is_set()

    @property
    def ahead(self) -> int:
        """How many questions are called before this one."""
        return self.line._ahead(self)

    @property
    def left_s(self) -> float:
        """Seconds until patience is over."""
        return max(0.0, self._came + self.line.patience_s - time.monotonic())

    def wait(self, seconds: float | None = None) -> bool:
        """True once it is its turn; False when `seconds` are over and it is not.

        Raises:
            Busy: patience is over.
        """
        if self._called.wait(self.left_s if seconds is None else min(seconds, self.left_s)):
            return True
        if not self.left_s:
            raise self.given_up()
        return False

    def given_up(self) -> Busy:
        """What is said to a question that was not begun in time."""
        return Busy("The assistant is busy: your question was not begun in time.", wait_s=5)

    def call(self) -> None:
        """It is its turn."""
        self._called.set()
        if self.tell is not None:
            self.tell()

    def leave(self) -> None:
        """Makes room for the next."""
        self.line._leave(self)

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()


def _tell(tickets: list[Ticket]) -> None:
    """Outside the lock: whoever is told may come back at once."""
    for ticket in tickets:
        ticket.call()
