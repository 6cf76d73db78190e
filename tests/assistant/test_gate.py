import threading
import time
from pathlib import Path

import httpx
from hypothesis import given
from hypothesis import strategies as st
from live import Visitor, served
from stand_in import PASSWORD, make

from assistant import gate
from assistant.keys import Keys, Role
from assistant.line import Asker


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
