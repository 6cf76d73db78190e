"""200 SIGKILLs of the real server while conversations are handed over and back: is a message lost, doubled, misdirected?

Customers and staff talk over HTTP and know nothing of the kills: what fails is sent again with its own id until it
is acknowledged. The server is `assistant.server.serve` in a process of its own, forked from one that has imported
it (an import costs seconds, and is not what is killed). Afterwards every conversation is read back and compared
with what was acknowledged to whom and when.

`BROKEN` are servers with a planted mistake; the slow test runs one to see that it would be found.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from assistant.console import tell
from assistant.types import Measure, Report
from benchmarks.common import provenance
from benchmarks.running import free_port

KILLS = 200
CUSTOMERS, STAFF = 4, ("Anna", "Bob")
WISH = "I want to talk to a person"
_PRELOAD = ("assistant.server", "assistant.attendant", "assistant.core", "assistant.ui.build", "uvicorn")
_PRELOAD += ("assistant.api.application",)
_PATIENCE_S = 900.0


def run(seed: int = 0) -> Report:
    """`lost`, `doubled`, `misdirected` of all messages."""
    return measured(KILLS, seed)


def measured(kills: int, seed: int, broken: str = "") -> Report:
    """The same with fewer kills, or with a planted mistake."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder), random.Random(seed), broken)
        scene.play(kills)
        found = scene.judge()
    messages = scene.acked
    measures = (
        *(Measure(name, float(found[name]), n=messages) for name in ("lost", "doubled", "misdirected")),
        Measure("messages", messages),
        Measure("takeovers", len(scene.holds)),
        Measure("kills", kills),
        Measure("sent_again", scene.again),
    )
    return Report("desk-kills", measures, provenance(seed=seed, customers=CUSTOMERS, staff=len(STAFF), broken=broken))


@dataclass
class Said:
    """A message: when it was first sent, when it was acknowledged, who has it by what the server said."""

    tag: str
    conversation: str
    sent: float
    acked: float
    person: str = ""


@dataclass
class Hold:
    """A person's hold of a conversation: between `taken` and `leaving` they certainly had it, outside `taking` and `left` not."""

    conversation: str
    staff: str
    taking: float
    taken: float
    leaving: float = float("inf")
    left: float = float("inf")


@dataclass
class Scene:
    """The shop, its customers and staff, and what they remember."""

    folder: Path
    rng: random.Random
    broken: str = ""
    customers_said: list[Said] = field(default_factory=list)
    staff_said: list[Said] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    again: int = 0
    taken_away: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    failed: list[str] = field(default_factory=list)

    def play(self, kills: int) -> None:
        """Customers and staff at work while the server is killed so many times; ends when all is acknowledged."""
        self.port = free_port()
        keys = _prepare(self.folder)
        server = _Server(self.folder, self.port, self.broken)
        work: list[Callable[[], None]] = [
            lambda n=n: self._customer(n, keys[f"customer-{n}"])
            for n in range(CUSTOMERS)  # type: ignore[misc]
        ]
        work += [lambda name=name: self._colleague(name, keys[name]) for name in STAFF]  # type: ignore[misc]
        server.start()
        threads = [threading.Thread(target=self._guarded, args=(one,), daemon=True) for one in work]
        for thread in threads:
            thread.start()
        for number in range(kills):
            self._work_done(self.rng.randint(0, 8))
            time.sleep(self.rng.uniform(0.0, 0.1))
            server.kill()
            server.start()
            if (number + 1) % 20 == 0:
                tell(f"{number + 1} kills, {self.acked} messages")
        time.sleep(0.5)
        self.over.set()
        for thread in threads:
            thread.join(_PATIENCE_S)
            if thread.is_alive():
                self.failed.append("somebody waits without end")
        self.threads = self._read_back(keys)
        server.kill()
        if self.failed:
            raise RuntimeError(f"The scene broke: {self.failed[0]}")

    def judge(self) -> Counter[str]:
        """What is wrong with what is stored."""
        wrong: Counter[str] = Counter()
        places: dict[str, list[tuple[str, int]]] = {}
        for conversation, turns in self.threads.items():
            for place, turn in enumerate(turns):
                tag = turn["content"].rpartition("#")[2] if turn["role"] == "user" or turn["by"] else ""
                if tag:
                    places.setdefault(tag, []).append((conversation, place))
            answers = "".join("u" if turn["role"] == "user" else "p" if turn["by"] else "a" for turn in turns)
            wrong["doubled"] += answers.count("aa")  # one question has one answer
        for said in (*self.customers_said, *self.staff_said):
            found = places.get(said.tag, [])
            wrong["lost"] += not found
            wrong["doubled"] += max(0, len(found) - 1)
            wrong["misdirected"] += any(conversation != said.conversation for conversation, _ in found)
        wrong["misdirected"] += sum(self._misdirected(said, places) for said in self.customers_said)
        wrong["misdirected"] += self._overlaps() + self._foreign_writers() + self.taken_away
        return wrong

    def _work_done(self, messages: int) -> None:
        """Returns when so many more messages are acknowledged, however slow the machine is."""
        wanted, until = self.acked + messages, time.monotonic() + _PATIENCE_S
        while self.acked < wanted and time.monotonic() < until and not self.failed:
            time.sleep(0.005)

    @property
    def acked(self) -> int:
        """How many messages were acknowledged."""
        return len(self.customers_said) + len(self.staff_said)

    # Who does what

    def _customer(self, number: int, key: str) -> None:
        """Asks, wants a person, goes on asking; for ever."""
        client, rng, conversation, count = self._client(key), random.Random(number), None, 0
        while not self.over.is_set():
            count += 1
            text = rng.choice([WISH, "What does it cost?", "And the warranty?", "Hello again"])
            tag = f"c{number}-{count}"
            if count % 12 == 1:
                conversation = None  # a new one begins
            body = {"messages": [{"role": "user", "content": f"{text} #{tag}"}], "message_id": tag}
            sent = time.monotonic()
            told = self._insist(client, "/chat/completions", {**body, "conversation": conversation})["confide"]
            conversation = told["conversation"]
            self.customers_said.append(Said(tag, conversation, sent, time.monotonic(), told["person"]))
            time.sleep(rng.uniform(0.0, 0.15))

    def _colleague(self, name: str, key: str) -> None:
        """Takes what waits, writes, gives it back or closes it; for ever."""
        client, rng, count = self._client(key), random.Random(name), 0
        while not self.over.is_set():
            waiting = [one for one in self._insist(client, "/desk")["data"] if one["state"] == "waiting"]
            if not waiting:
                time.sleep(0.05)
                continue
            here = rng.choice(waiting)["conversation"]
            taking = time.monotonic()
            if self._insist(client, f"/desk/{here}/take", {}, may_lose=True) is None:
                continue
            hold = Hold(here, name, taking, time.monotonic())
            self.holds.append(hold)
            for _ in range(rng.randint(1, 4)):
                count += 1
                tag, sent = f"{name}-{count}", time.monotonic()
                told = {"id": tag, "text": f"Hello, I see to it. #{tag}"}
                if self._insist(client, f"/desk/{here}/messages", told, may_lose=True) is None:
                    self.taken_away += 1  # somebody else got it, too
                    break
                self.staff_said.append(Said(tag, here, sent, time.monotonic(), name))
                time.sleep(rng.uniform(0.0, 0.2))
            hold.leaving = time.monotonic()
            self._insist(client, f"/desk/{here}/{rng.choice(['return', 'resolve'])}", {}, may_lose=True)
            hold.left = time.monotonic()

    def _insist(self, client: httpx.Client, path: str, body: Any = None, *, may_lose: bool = False) -> Any:
        """Sends until it is acknowledged; None where somebody else was first."""
        tries, until, last = 0, time.monotonic() + _PATIENCE_S, "no answer"
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                answer = client.get(path) if body is None else client.post(path, json=body)
                if answer.status_code == 200:
                    return answer.json()
                if answer.status_code == 409 and may_lose:
                    return None
                last = f"{answer.status_code} {answer.text[:300]}"
                if answer.status_code < 500 and answer.status_code != 429:
                    raise RuntimeError(f"{path}: {last}")
            tries += 1
            self.again += tries == 1
            time.sleep(0.05)
        raise RuntimeError(f"{path} was never acknowledged: {last}")

    def _client(self, key: str) -> httpx.Client:
        headers = {"authorization": f"Bearer {key}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}/v1", headers=headers, timeout=60)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            self.failed.append(f"{type(error).__name__}: {error}")

    # What came of it

    def _read_back(self, keys: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
        """Every conversation there is, as its customer reads it, one that nobody knows of too."""
        from assistant.store import Store

        known = {said.conversation: said.tag.partition("-")[0] for said in self.customers_said}
        found = {}
        for conversation, customer in known.items():
            client = self._client(keys[f"customer-{customer[1:]}"])
            found[conversation] = self._insist(client, f"/conversations/{conversation}")["data"]
        store = Store.open(self.folder)
        for number in range(CUSTOMERS):
            key_id = keys[f"customer-{number}"].split("_")[1]
            for one in store.conversations("default", f"key:{key_id}", limit=100_000):
                if one.id not in found:
                    turns = store.turns(one.id, f"key:{key_id}")
                    found[one.id] = [{"role": t.message.role, "by": t.by, "content": t.message.text} for t in turns]
        store.close()
        return found

    def _misdirected(self, said: Said, places: dict[str, list[tuple[str, int]]]) -> bool:
        """Whether a customer's message went to the wrong one, where it is certain who had the conversation."""
        mine = [hold for hold in self.holds if hold.conversation == said.conversation]
        sure = [hold.staff for hold in mine if hold.taken <= said.sent and said.acked <= hold.leaving]
        if sure:
            answered = any(
                self.threads[conversation][place + 1 : place + 2] and _by_model(self.threads[conversation][place + 1])
                for conversation, place in places.get(said.tag, [])
            )
            return said.person not in sure or answered
        free = not any(hold.taking <= said.acked and said.sent <= hold.left for hold in mine)
        return free and bool(said.person)

    def _overlaps(self) -> int:
        """Holds of one conversation by two at once."""
        return sum(
            one.conversation == two.conversation and one.taken < two.leaving and two.taken < one.leaving
            for place, one in enumerate(self.holds)
            for two in self.holds[:place]
        )

    def _foreign_writers(self) -> int:
        """Messages that stand under another name than their writer's."""
        return sum(
            bool(turn["by"]) and not turn["content"].rpartition("#")[2].startswith(turn["by"])
            for turns in self.threads.values()
            for turn in turns
        )


def _by_model(turn: dict[str, Any]) -> bool:
    return turn["role"] == "assistant" and not turn["by"]


class _Server:
    """The server's process, killed and started again."""

    def __init__(self, folder: Path, port: int, broken: str) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(_PRELOAD))
        self._args = (str(folder), port, broken)
        self._url = f"http://127.0.0.1:{port}/healthz"

    def start(self) -> None:
        """Returns when it answers."""
        self._process = self._context.Process(target=serve, args=self._args, daemon=True)
        self._process.start()
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and self._process.is_alive():
            with contextlib.suppress(httpx.TransportError):
                httpx.get(self._url, timeout=5)
                return
            time.sleep(0.02)
        raise RuntimeError("The server did not start.")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join()


def serve(folder: str, port: int, broken: str) -> None:
    """The server's process."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    from assistant.server import serve as walk
    from assistant.settings import ModelSettings, RetrievalSettings, ServerSettings, Settings

    settings = Settings(
        data_dir=Path(folder), language="en", model=ModelSettings(engine="echo"),
        retrieval=RetrievalSettings(embedder="hashing"),
        server=ServerSettings(port=port, open_browser=False, queue_size=100),
    )  # fmt: skip
    if broken:
        BROKEN[broken]()
    walk(settings)


def _without_ids() -> None:
    """Every message is a new one."""
    import uuid

    from assistant.core import Assistant

    ask = Assistant.ask
    Assistant.ask = lambda self, *a, **k: ask(self, *a, **{**k, "client_id": f"m:{uuid.uuid4().hex}"})  # type: ignore[method-assign]


def _in_a_moment() -> None:
    """What the staff write is acknowledged before it is written."""
    from assistant.desk import Desk

    reply = Desk.reply

    def later(self: Desk, *a: Any, **k: Any) -> None:
        threading.Timer(0.3, reply, (self, *a), k).start()

    Desk.reply = later  # type: ignore[method-assign]


def _for_everybody() -> None:
    """Whoever comes takes it, and the model answers all the same."""
    from assistant.desk import Desk, State

    def take(self: Desk, conversation: str, staff: Any, *, from_holder: str = "") -> Any:
        self._change(conversation, {"state": State.TAKEN, "holder": staff.id, "staff": staff.name})
        return self.case(conversation)

    Desk.take = take  # type: ignore[method-assign]
    receive = Desk.receive
    Desk.receive = lambda self, *a, **k: receive(self, *a, **k) and ""  # type: ignore[method-assign,assignment]


BROKEN = {"ids": _without_ids, "write": _in_a_moment, "take": _for_everybody}


def _prepare(folder: Path) -> dict[str, str]:
    """A small shop, and a key for everybody."""
    from assistant import ingest
    from assistant.core import Assistant
    from assistant.keys import Keys, Role
    from assistant.settings import ModelSettings, RetrievalSettings, Settings

    settings = Settings(
        data_dir=folder, model=ModelSettings(engine="echo"), retrieval=RetrievalSettings(embedder="hashing")
    )
    page = folder / "prices.md"
    page.write_text("# Prices\n\nA tent costs 120 EUR. The warranty is two years.\n")
    assistant = Assistant.open(settings)
    ingest.ingest([page], store=assistant.store, settings=settings, index=assistant.searcher)
    made = Keys(assistant.store, settings.tenant)
    names = [(f"customer-{n}", Role.VISITOR) for n in range(CUSTOMERS)] + [(name, Role.STAFF) for name in STAFF]
    keys = {name: made.create(name, role=role, per_minute=1_000_000)[1] for name, role in names}
    assistant.close()
    return keys
