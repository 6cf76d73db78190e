from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from assistant.tuning.batches import Batches, physical
from assistant.types import Example


def made(lengths: list[int]) -> tuple[Example, ...]:
    return tuple(Example((place,) * length, (1,) * length) for place, length in enumerate(lengths))


lengths = st.lists(st.integers(1, 60), min_size=1, max_size=80)


@given(lengths, st.integers(1, 9), st.integers(1, 3), st.integers(0, 3))
def test_every_epoch_sees_every_example_once_in_an_order_the_seed_decides(drawn, size, epochs, seed):
    examples = made(drawn)
    batches = Batches(examples, size, epochs, seed)
    steps = list(batches)
    assert len(steps) == len(batches) == epochs * batches.per_epoch
    seen = Counter(example for step in steps for example in step)
    assert seen == Counter(dict.fromkeys(examples, epochs))
    assert steps == list(Batches(examples, size, epochs, seed))


def test_half_an_epoch_is_half_the_steps():
    assert len(list(Batches(made([3] * 40), 4, 0.5))) == 5
    assert len(list(Batches(made([3] * 40), 4, 2.5))) == 25


@given(lengths, st.integers(1, 300))
def test_parts_hold_everything_and_respect_the_memory(drawn, tokens):
    examples = made(drawn)
    parts = physical(examples, tokens)
    assert Counter(example for part in parts for example in part) == Counter(examples)
    assert all(len(part) == 1 or len(part) * max(len(e.ids) for e in part) <= tokens for part in parts)


def test_like_lengths_sit_together():
    examples = made([5, 50] * 64)
    padding = sum(
        len(step) * max(len(e.ids) for e in step) - sum(len(e.ids) for e in step) for step in Batches(examples, 8, 1)
    )
    assert padding < 0.15 * sum(len(e.ids) for e in examples)


def test_nothing_gives_no_part():
    assert physical((), 10) == []
