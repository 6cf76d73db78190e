"""The line's laws, without a model: who is called when, who is turned away."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.errors import Busy
from assistant.line import PER_ADDRESS, PER_VISITOR, Asker, Line


def line(places: int = 1, most: int = 100, patience_s: float = 60.0) -> Line:
    return Line(places, most, patience_s=patience_s)


def key(name: str) -> Asker:
    return Asker(name, held=False)


def test_a_free_place_is_had_at_once_and_the_next_waits():
    one = line()
    first, second = one.join(key("a")), one.join(key("b"))
    assert (first.called, second.called, second.ahead) == (True, False, 0)
    first.leave()
    assert second.called


def test_turns_go_round_the_visitors_and_not_by_age():
    one = line()
    tickets = [one.join(key(name)) for name in "aaaabbc"]
    order = []
    for _ in tickets:
        running = next(ticket for ticket in tickets if ticket.called and ticket not in order)
        order.append(running)
        running.leave()
    assert "".join(ticket.asker.visitor for ticket in order) == "aabcaba"


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12))
def test_the_position_is_how_many_are_called_before(names: str):
    one = line()
    running = one.join(key("first"))
    tickets = [one.join(key(name)) for name in names]
    told = [ticket.ahead for ticket in tickets]
    order = []
    running.leave()
    while len(order) < len(tickets):
        running = next(ticket for ticket in tickets if ticket.called and ticket not in order)
        order.append(running)
        running.leave()
    assert [order.index(ticket) for ticket in tickets] == told


def test_one_visitor_never_has_more_than_an_eighth_of_the_places():
    one = line(places=16)
    flood = [one.join(key("a")) for _ in range(6)]
    assert [ticket.called for ticket in flood] == [True, True, False, False, False, False]
    assert one.join(key("b")).called
    flood[0].leave()
    assert [ticket.called for ticket in flood].count(True) == 3


def test_long_work_gives_way_while_somebody_is_answered_but_not_for_ever():
    one = line()
    ticket = one.join(key("a"))
    began = time.monotonic()
    one.give_way(0.05)
    assert time.monotonic() - began >= 0.05
    ticket.leave()
    one.give_way(1e9)


def test_a_visitor_and_an_address_may_have_so_many_at_once_and_a_key_more():
    one = line(places=2)
    for _ in range(PER_VISITOR):
        one.join(Asker("a", "here"))
    with pytest.raises(Busy) as refused:
        one.join(Asker("a", "here"))
    assert refused.value.theirs
    for number in range(PER_ADDRESS - PER_VISITOR):
        one.join(Asker(f"n{number}", "here"))
    with pytest.raises(Busy):
        one.join(Asker("other", "here"))
    one.join(Asker("other", "there"))
    for _ in range(20):
        one.join(key("k"))


def test_a_full_line_turns_away_and_says_when_to_come_back():
    one = line(most=1)
    one.join(key("a"))
    one.join(key("b"))
    with pytest.raises(Busy) as refused:
        one.join(key("c"))
    assert not refused.value.theirs
    assert refused.value.wait_s >= 1


def test_a_wider_line_calls_who_waits_and_never_gets_narrower():
    one = line(places=1)
    tickets = [one.join(key(name)) for name in "abc"]
    one.widen(2)
    assert [ticket.called for ticket in tickets] == [True, True, False]
    one.widen(1)
    tickets[0].leave()
    assert tickets[2].called
    assert one.room == 102


def test_who_would_wait_longer_than_the_patience_is_turned_away_at_once():
    one = line(patience_s=1.0)
    one._seconds = 10.0
    one.join(key("a"))
    with pytest.raises(Busy) as refused:
        one.join(key("b"))
    assert refused.value.wait_s >= 9


def test_patience_ends_and_the_place_in_the_line_is_given_up():
    one = line(patience_s=0.05)
    running = one.join(key("a"))
    with one.join(key("b")) as ticket:
        assert ticket.left_s <= 0.05
        with pytest.raises(Busy):
            ticket.wait()
    assert one.pending() == [key("a")]
    running.leave()


def test_leaving_twice_or_before_the_turn_harms_nobody():
    one = line()
    running, waiting, last = (one.join(key(name)) for name in "abc")
    waiting.leave()
    waiting.leave()
    running.leave()
    running.leave()
    assert last.called
    last.leave()
    assert one.pending() == []


def test_no_more_than_the_places_work_at_once_whoever_comes_and_goes():
    one, working, most = line(places=3), [], []

    def work(number: int) -> None:
        with one.join(key(str(number % 5))) as ticket:
            assert ticket.wait()
            working.append(number)
            most.append(len(working))
            time.sleep(0.001)
            working.remove(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(60)))
    assert max(most) <= 3
    assert one.pending() == []


def test_the_called_are_told():
    told: list[str] = []
    one = line()
    running = one.join(key("a"), lambda: told.append("a"))
    one.join(key("b"), lambda: told.append("b"))
    assert told == ["a"]
    running.leave()
    assert told == ["a", "b"]
