from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assistant.engines.kv import Kept, KvStore, common_prefix

ids = st.lists(st.integers(0, 3), max_size=8)


@given(left=ids, right=ids)
def test_common_prefix_is_common_and_longest(left, right):
    size = common_prefix(left, right)
    assert left[:size] == right[:size]
    assert size in (len(left), len(right)) or left[size] != right[size]


@given(sizes=st.lists(st.integers(0, 60), max_size=20))
def test_bounds_hold_whatever_is_put(sizes):
    store = KvStore(max_count=3, max_tokens=100)
    for number, size in enumerate(sizes):
        store.put((str(number % 5), None), Kept(None, [0] * size))
        assert len(store) <= 3
        assert store.tokens <= 100


def test_longest_unused_goes_first():
    store = KvStore(max_count=2)
    for key in ("a", "b"):
        store.put((key, None), Kept(None, [1]))
    kept = store.take(("a", None))
    assert kept is not None
    store.put(("a", None), kept)
    store.put(("c", None), Kept(None, [1]))
    assert store.take(("b", None)) is None
    assert store.take(("a", None)) is kept


def test_conversation_is_another_under_another_adapter():
    store = KvStore()
    store.put(("a", "one"), Kept(None, [1]))
    assert store.take(("a", None)) is None
    assert store.take(("a", "two")) is None
    store.forget_adapter("one")
    assert len(store) == 0


def test_taken_cache_is_not_in_the_store():
    store = KvStore()
    store.put(("a", None), Kept(None, [1]))
    assert store.take(("a", None)) is not None
    assert store.take(("a", None)) is None
