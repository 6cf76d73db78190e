"""Numbers about held-out records: entities as the field counts them, guesses, pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import heldout
from assistant.types import Example

TAGS = st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"])


def conlleval(tags):
    """The rules of the CoNLL script, written down again: chunk starts and ends between two tags."""
    found, open_at = set(), None
    before = ("O", "")
    for place, tag in enumerate([*tags, "O"]):
        now = (tag[0], tag[2:])
        ends = before[0] != "O" and (now[0] in "OB" or now[1] != before[1])
        starts = now[0] != "O" and (now[0] == "B" or before[0] == "O" or now[1] != before[1])
        if ends:
            found.add((before[1], open_at, place))
        if starts:
            open_at = place
        before = now
    return frozenset(found)


@given(st.lists(TAGS, max_size=12))
def test_entities_are_those_of_the_conll_script(tags):
    assert heldout.spans(tags) == conlleval(tags)


class Tags:
    name = "tag"
    labels = ("O", "B-a", "I-a")


class Classes:
    name = "classify"
    labels = ("x", "y")


def test_the_guess_is_the_commonest_class_of_the_training_records():
    seen = [Example((1,), (1,), (label,)) for label in (1, 1, 0)]
    counts = heldout.guess(Classes(), seen, [Example((1,), (1,), (label,)) for label in (1, 0, 1)])
    assert [row["accuracy"] for row in counts] == [(1.0, 1.0), (0.0, 1.0), (1.0, 1.0)]


def test_the_guess_without_training_records_is_the_first_class():
    counts = heldout.guess(Classes(), (), [Example((1,), (1,), (label,)) for label in (1, 0, 1)])
    assert [row["accuracy"] for row in counts] == [(0.0, 1.0), (1.0, 1.0), (0.0, 1.0)]


def test_the_guess_of_a_tagger_finds_nothing():
    example = Example((5, 6, 7), (1, 0, 1), (1, 0, 0))
    (row,) = heldout.guess(Tags(), (), [example])
    assert row == {"span_f1": (0.0, 1.0), "accuracy": (1.0, 2.0)}


def test_gains_are_of_what_both_sides_measured():
    before = [{"accuracy": (0.0, 1.0)}, {"accuracy": (1.0, 1.0)}]
    after = [{"accuracy": (1.0, 1.0), "loss": (0.1, 1.0)}] * 2
    (gain,) = heldout.gains(before, after)
    assert (gain.name, gain.value) == ("accuracy_gain", 0.5)
    assert [one.name for one in heldout.measures(after)] == ["accuracy", "loss"]
    assert heldout.measures([]) == heldout.gains([], []) == []


def test_losses_come_back_in_the_order_of_the_records():
    pytest.importorskip("torch")
    from tiny import llama, tokenizer

    from assistant.tuning.records import ChatRow, records_of
    from assistant.tuning.tasks import ChatTask
    from assistant.types import Message

    texts = ["yes", "no it is a red tent of 30 days", "late", "how long can i return it"]
    rows = [ChatRow((Message("user", "is it"), Message("assistant", text))) for text in texts]
    task = ChatTask()
    examples = task.examples(records_of("chat", rows), tokenizer())
    together = heldout.judge(llama(), task, examples)
    alone = [heldout.judge(llama(), task, [example])[0] for example in examples]
    for one, other in zip(together, alone, strict=True):
        assert one["loss"][0] == pytest.approx(other["loss"][0], rel=1e-4)
