from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from assistant.engines.streaming import Detokenizer, StopFilter, TurnLock

ab = st.text(alphabet="ab", max_size=12)


@given(pieces=st.lists(ab, max_size=8), stops=st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3))
def test_filter_shows_exactly_the_text_before_the_first_stop(pieces, stops):
    stop_filter = StopFilter(stops)
    shown = "".join(stop_filter.feed(piece) for piece in pieces) + stop_filter.flush()
    whole = "".join(pieces)
    ends = [whole.index(stop) for stop in stops if stop in whole]
    # A stop that is complete ends the text at once, before an earlier-starting one can complete.
    first_complete = min(
        (size for size in range(len(whole) + 1) if any(stop in whole[:size] for stop in stops)), default=None
    )
    if first_complete is None:
        assert (shown, stop_filter.stopped) == (whole, False)
    else:
        assert stop_filter.stopped
        assert whole.startswith(shown)
        assert len(shown) >= min(ends)
        assert not any(stop in shown for stop in stops)


def test_filter_releases_what_cannot_begin_a_stop():
    stops = StopFilter(["###"])
    assert [stops.feed(piece) for piece in ("a#", "b##", "c", "#")] == ["a", "#b", "##c", ""]
    assert stops.flush() == "#"


@given(text=st.text(min_size=0, max_size=40))
def test_bytes_come_out_as_whole_characters(text):
    detokenizer = Detokenizer(lambda ids: bytes(ids).decode("utf-8", errors="replace"))
    pieces = [detokenizer.push(byte) for byte in text.encode("utf-8", errors="ignore")]
    whole = text.encode("utf-8", errors="ignore").decode("utf-8")
    if "\ufffd" not in whole:
        assert "".join(pieces) + detokenizer.flush() == whole
        assert all("\ufffd" not in piece for piece in pieces)


def test_character_cut_by_the_cap_is_not_shown():
    detokenizer = Detokenizer(lambda ids: bytes(ids).decode("utf-8", errors="replace"))
    shown = "".join(detokenizer.push(byte) for byte in "ok🙂".encode()[:-1]) + detokenizer.flush()
    assert shown == "ok"


def test_turns_are_taken_in_the_order_of_coming():
    lock, order, threads = TurnLock(), [], []
    assert lock.acquire(1)

    def wait(number: int) -> None:
        assert lock.acquire(30)
        order.append(number)
        lock.release()

    for number in range(6):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        while len(lock._waiting) <= number:
            time.sleep(0.001)
    lock.release()
    for thread in threads:
        thread.join(30)
    assert order == list(range(6))


def test_who_gives_up_waiting_leaves_the_queue():
    lock = TurnLock()
    assert lock.acquire(1)
    assert not lock.acquire(0.01)
    lock.release()
    assert lock.acquire(0)


def test_turn_may_end_on_another_thread():
    lock = TurnLock()
    assert lock.acquire(0)
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join(10)
    assert lock.acquire(0)
