import asyncio
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live import Visitor, served
from stand_in import PASSWORD, make

from assistant import gate, server
from assistant.guard import SESSION
from assistant.keys import Keys, Role
from assistant.line import Asker, Line
from assistant.sessions import Session


def test_an_ipv6_address_counts_as_its_network():
    one, other = ({"client": (host, 1)} for host in ("2001:db8::1", "2001:db8::ffff"))
    assert gate.address(one) == gate.address(other) == "2001:db8::/64"
    assert gate.address({"client": ("10.0.0.7", 1)}) == "10.0.0.7"
    assert gate.address({"client": None}) == "unknown"


def test_a_hash_belongs_to_the_first_session_that_uses_it():
    owners = gate._Owners()
    assert owners.claim("abc", "a")
    assert not owners.claim("abc", "b")
    assert owners.claim("abc", "a")


@given(st.lists(st.tuples(*(st.sampled_from(names) for names in ("xyzuvw", "abc", "123")))))
def test_the_table_of_hashes_says_of_each_where_it_is_kept(claims: list[tuple[str, str, str]]):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "_HASHES", 4)
        patch.setattr(gate, "_HASHES_HERE", 2)
        owners = gate._Owners()
        for session_hash, session, here in claims:
            owners.claim(session_hash, session, here)
            kept = {here: set(hashes) for here, hashes in owners._here.items()}
            assert all(0 < len(hashes) <= 2 for hashes in kept.values())
            assert sorted(set().union(*kept.values())) == sorted(owners._owners)
            assert len(owners._owners) <= 4


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abc"))))
def test_no_hash_ever_answers_to_two_sessions(claims: list[tuple[str, str]]):
    owners, held = gate._Owners(), {}
    for session_hash, session in claims:
        if owners.claim(session_hash, session):
            assert held.setdefault(session_hash, session) == session


def test_a_full_table_gives_nothing_away(monkeypatch):
    monkeypatch.setattr(gate, "_HASHES", 2)
    owners = gate._Owners()
    assert owners.claim("a", "1")
    assert owners.claim("b", "1")
    assert not owners.claim("c", "2")
    assert not owners.claim("a", "2")


def test_who_claims_without_end_loses_his_own_and_shuts_nobody_out(monkeypatch):
    monkeypatch.setattr(gate, "_HASHES", 100)
    monkeypatch.setattr(gate, "_HASHES_HERE", 60)
    owners = gate._Owners()
    assert owners.claim("early", "honest", "1.1.1.1")
    for n in range(300):
        assert owners.claim(f"x{n}", f"evil{n}", "6.6.6.6")
    for n in range(300):
        owners.claim(f"y{n}", f"evil{n}", "7.7.7.7")
    assert len(owners._owners) == 100
    assert not owners.claim("early", "evil", "6.6.6.6")  # the flood has not freed it
    assert owners.claim("late", "another", "2.2.2.2")
    assert owners.claim("early", "honest", "1.1.1.1")


def test_hundreds_behind_one_address_keep_their_pages(monkeypatch):
    monkeypatch.setattr(gate, "_HASHES_HERE", 50)
    owners = gate._Owners()
    for _ in range(2):
        assert all(owners.claim(f"page{n}", f"visitor{n}", "10.0.0.1") for n in range(300))


def test_a_strange_hash_is_nobodys():
    owners = gate._Owners()
    for strange in ("", "a/b", "a" * 41, "é", "a\n"):
        assert not owners.claim(strange, "a")


# Rates and fairness (S6)


def test_too_many_questions_are_answered_with_429_and_retry_after(tmp_path: Path):
    assistant, app = make(tmp_path, requests_per_minute=3)
    with served(app) as url:
        one, other = Visitor(url, app), Visitor(url, app)
        for _ in range(3):
            one.ask("How long can I return items?")
        refused = one.join("ask", "", "shop", "", "", "again?")
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "process_completed" in other.ask("How long can I return items?")
    assistant.close()


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("https://shop.example/zh", "请在 7 秒后重试"),
        ("http://127.0.0.1:7860/zh?c=shop", "请在 7 秒后重试"),
        ("https://shop.example/", "wait 7 seconds"),
        ("https://shop.example/zhou", "wait 7 seconds"),
        ("", "wait 7 seconds"),
    ],
)
def test_a_refusal_is_said_in_the_language_of_the_page(page, said):
    scope = {"type": "http", "headers": [(b"referer", page.encode())] if page else []}
    assert said in gate._say("gate_rate", scope, n=7)


def test_dropping_the_cookie_does_not_help_for_ever(tmp_path: Path):
    assistant, app = make(tmp_path, requests_per_minute=1)
    with served(app) as url:
        statuses = []
        for _ in range(6):
            fresh = Visitor(url, app)
            answer = fresh.join("ask", "", "shop", "", "", "hello?")
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                list(fresh.messages())
    assistant.close()
    assert statuses == [200] * 4 + [429] * 2


def test_one_visitor_cannot_fill_the_queue(tmp_path: Path):
    assistant, app = make(tmp_path, delay_s=0.05, concurrency=1, requests_per_minute=1000)
    with served(app) as url:
        flooder, other = Visitor(url, app), Visitor(url, app)
        statuses = [
            flooder.join(
                "ask", "", "shop", "", "", "How long can I return items?", session_hash=f"flood{n}"
            ).status_code
            for n in range(20)
        ]
        assert "30 days" in other.ask("How long can I return items?")
    assistant.close()
    assert statuses[:2] == [200, 200]
    assert set(statuses[2:]) == {429}


def test_a_full_queue_is_said_with_503_and_retry_after(tmp_path: Path):
    assistant, app = make(tmp_path, delay_s=0.1, concurrency=1, queue_size=1, requests_per_minute=1000)
    with served(app) as url:
        answers = [Visitor(url, app).join("ask", "", "shop", "", "", "How long can I return items?") for _ in range(5)]
        full = [answer for answer in answers if answer.status_code == 503]
        assert full
        assert all(int(answer.headers["retry-after"]) > 0 for answer in full)
    assistant.close()


def test_a_question_that_waits_is_told_its_number_and_the_api_stands_in_the_same_line(tmp_path: Path):
    assistant, app = make(tmp_path, concurrency=1, queue_size=1, requests_per_minute=1000)
    with served(app) as url:
        visitor = Visitor(url, app)
        before = assistant.line.join(Asker("somebody", "elsewhere"))
        said: list[str] = []
        asking = threading.Thread(target=lambda: said.append(visitor.ask("How long can I return items?")))
        asking.start()
        while len(assistant.line.pending()) < 2:
            time.sleep(0.01)
        key = Keys(assistant.store, "default").create("shop", role=Role.VISITOR)[1]
        body = {"messages": [{"role": "user", "content": "hello"}]}
        refused = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
        before.leave()
        asking.join(30)
    assistant.close()
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert "number 1 in the line" in said[0]
    assert "30 days" in said[0]


def test_no_more_questions_are_answered_at_once_than_allowed(tmp_path: Path):
    assistant, app = make(tmp_path, delay_s=0.02, concurrency=2, requests_per_minute=1000)
    with served(app) as url:
        visitors = [Visitor(url, app) for _ in range(5)]
        threads = [threading.Thread(target=one.ask, args=("How long can I return items?",)) for one in visitors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assistant.close()
    assert assistant.most_running == 2


def test_wrong_passwords_are_throttled_and_then_the_right_one_too(tmp_path: Path):
    assistant, app = make(tmp_path)
    with served(app) as url:
        visitor = Visitor(url, app, page="manage")
        for n in range(5):
            assert "not the password" in visitor.call("enter", "", f"wrong{n}", "")
        assert "not the password" in visitor.call("enter", "", PASSWORD, "")
    assistant.close()


# Streams


class Endless:
    """The application behind the gate: streams that end when they are told to."""

    def __init__(self) -> None:
        self.end = asyncio.Event()

    async def __call__(self, scope, receive, send) -> None:
        await self.end.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def listen(behind: gate.Gate, session: str, here: str, name: str, path: str = "heartbeat/{}") -> int:
    """The status of one stream, once it has one."""
    sent = []

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/gradio_api/" + path.format(name), "headers": []}
    scope |= {"query_string": f"session_hash={name}".encode(), "client": (here, 1), SESSION: Session(session)}
    await behind(scope, None, send)
    return sent[0]["status"]


def with_streams(visitors, *, then):
    """(statuses of the streams that were refused at once, what `then` gives while the others are open)."""

    async def go():
        app, door = Endless(), SimpleNamespace(may=lambda *_: False, is_inside=lambda *_: False)
        house = gate.House(frozenset({"/"}), {}, lambda: (), Line(8, 32, patience_s=60))
        behind = gate.Gate(app, house=house, door=door)
        tasks = [asyncio.create_task(listen(behind, *who, f"h{n}")) for n, who in enumerate(visitors)]
        await asyncio.sleep(0.01)
        refused = [task.result() for task in tasks if task.done()]
        more = asyncio.create_task(listen(behind, *then, "last", "queue/data"))
        await asyncio.sleep(0.01)
        seen = more.result() if more.done() else 200
        app.end.set()
        await asyncio.gather(*tasks, more)
        assert not behind._streams._open  # every one that has ended is given back
        return refused, seen

    return asyncio.run(go())


def test_a_visitor_has_so_many_streams_and_leaves_room_for_others():
    refused, seen = with_streams([("evil", "6.6.6.6")] * 25, then=("honest", "6.6.6.6"))
    assert (refused, seen) == ([429] * 5, 200)


def test_an_address_has_so_many_streams_however_many_cookies_it_takes():
    refused, seen = with_streams([(f"evil{n}", "6.6.6.6") for n in range(250)], then=("honest", "1.1.1.1"))
    assert (refused, seen) == ([429] * 50, 200)


def test_a_hundred_and_fifty_pages_behind_one_address_have_their_streams():
    refused, seen = with_streams([(f"visitor{n}", "10.0.0.1") for n in range(150)], then=("one more", "10.0.0.1"))
    assert (refused, seen) == ([], 200)


def test_streams_leave_connections_for_everything_else():
    crowd = [(f"visitor{n}", f"10.0.{n % 256}.1") for n in range(900)]
    refused, seen = with_streams(crowd, then=("honest", "1.1.1.1"))
    assert (refused, seen) == ([503] * 100, 503)
    assert server._CONNECTIONS - gate._STREAMS >= 100
