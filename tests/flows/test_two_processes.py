"""Two assistant processes on one PostgreSQL, each with a data folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import databases
import pytest
from vector_server import VectorServerStandIn

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
# One line of JSON in, one out: an assistant with the shipped fakes, for as long as its stdin is open.
PROGRAM = """
import json, sys
from pathlib import Path
from assistant import ingest
from assistant.accounts import Accounts, Role
from assistant.core import Assistant
from assistant.settings import load_settings
from assistant.store import Turn
from assistant.types import Conversation, Done, Message
import datetime as dt
assistant = Assistant.open(load_settings())
store, settings = assistant.store, assistant.settings
accounts = Accounts(store, settings.tenant)
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    what, *rest = json.loads(line)
    if what == "ingest":
        said = ingest.ingest([Path(rest[0])], store=store, settings=settings, index=assistant.searcher,
                             collection="shop").documents
    elif what == "ask":
        done = [e for e in assistant.ask(Conversation(rest[0], "anna"), rest[1], collection="shop") if isinstance(e, Done)]
        said = [done[0].answer.outcome.name, [h.passage.document for h in done[0].answer.hits]]
    elif what == "write":
        for n in range(rest[1]):
            turn = Turn(f"m{n}", Message("user", f"message {n}"), None, dt.datetime(2026, 1, 1))
            store.append_turns(Conversation(rest[0], "anna"), tenant=settings.tenant, collection="shop", turns=[turn])
        said = rest[1]
    elif what == "turns":
        said = [turn.message.text for turn in store.turns(rest[0], "anna")]
    elif what == "sign_in":
        accounts.admit("ada", Role.STAFF)
        accounts.sign_in("session", "ada", seconds=60)
        said = True
    elif what == "remove":
        accounts.remove("ada")
        said = True
    elif what == "inside":
        said = accounts.of("session") is not None
    print(json.dumps(said), flush=True)
"""


class Process:
    def __init__(self, folder: Path, url: str, vectors: str) -> None:
        settings = {"CONFIDE_DATA_DIR": str(folder), "CONFIDE_STORE_URL": url, "CONFIDE_MODEL__ENGINE": "echo"}
        settings["CONFIDE_RETRIEVAL__INDEX_URL"] = vectors
        environment = {**os.environ, **settings, "CONFIDE_RETRIEVAL__EMBEDDER": "hashing", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env=environment,
        )  # fmt: skip

    def tell(self, *what: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def heard(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def __call__(self, *what: Any) -> Any:
        self.tell(*what)
        return self.heard()


@pytest.fixture(scope="module", params=["vectors in each", "vectors on a server"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Process]]:
    url = databases.url_of("postgresql")
    with VectorServerStandIn() as server:
        vectors = server.url if request.param == "vectors on a server" else ""
        # Both create the tables.
        pair = tuple(Process(tmp_path_factory.mktemp(name), url, vectors) for name in ("one", "two"))
        assert [each.heard() for each in pair] == ["ready", "ready"]
        yield pair[0], pair[1]
        for each in pair:
            each.process.kill()
            each.process.wait()
        assert len(server.sets) == bool(vectors)


def test_what_one_reads_the_other_answers_from(both, tmp_path: Path):
    one, two = both
    (tmp_path / "returns.md").write_text("# Returns\n\nYou can return unused items within 14 days of delivery.\n")
    (tmp_path / "delivery.md").write_text("# Delivery\n\nDelivery costs 4.90 EUR in the whole country.\n")
    assert one("ingest", str(tmp_path / "returns.md")) == 1
    assert "returns.md" in two("ask", "c1", "How long can I return unused items?")[1]
    assert two("ingest", str(tmp_path / "delivery.md")) == 2  # of both
    assert "delivery.md" in one("ask", "c2", "What does delivery cost?")[1]


def test_the_same_messages_sent_to_both_at_once_are_kept_once_and_in_order(both):
    one, two = both
    for each in both:
        each.tell("write", "shared", 100)
    assert [each.heard() for each in both] == [100, 100]
    assert one("turns", "shared") == two("turns", "shared")
    assert sorted(one("turns", "shared")) == sorted(f"message {n}" for n in range(100))


def test_who_is_thrown_out_at_one_is_outside_at_the_other(both):
    one, two = both
    assert one("sign_in")
    assert two("inside") is True
    assert two("remove")
    assert one("inside") is False
