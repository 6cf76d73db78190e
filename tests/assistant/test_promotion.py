"""The gate: what counts as worse."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.evaluate import Judged, measures
from assistant.golden import Gold, Question
from assistant.promotion import gains, worse
from assistant.types import Answer, Measure, Outcome, Receipt, Usage

RECEIPT = Receipt("hf", "m", "", None, "", "", "", "q", "en", 0.5, 0.4, Usage(), 1.0)
ANSWER = Answer("i", Outcome.ANSWERED, "t", (), (), RECEIPT)
GOOD = Judged(
    Question("1", "q", True, gold=(Gold("a", "b"),), facts=(("x",), ("y",))), ANSWER, True, (True, False), (True,),
    (), (),
)  # fmt: skip
ASIDE = replace(GOOD, question=Question("2", "q", False), answer=replace(ANSWER, outcome=Outcome.NEEDS_HUMAN))


def named(changes):
    return {change.name: change for change in changes}


def test_nothing_is_worse_than_itself():
    rows = [GOOD, ASIDE] * 5
    assert worse(gains(rows, rows)) == []


rows_of = st.builds(
    lambda answerable, facts, found, claimed, lost, refused: replace(
        GOOD,
        question=replace(GOOD.question, answerable=answerable),
        facts_found=(facts > 0, facts > 1),
        gold_found=found,
        claimed=("c",) if claimed else (),
        unsupported=("7",) * lost,
        answer=replace(ANSWER, outcome=Outcome.NEEDS_HUMAN if refused else Outcome.ANSWERED),
    ),
    st.booleans(), st.integers(0, 2), st.booleans(), st.booleans(), st.integers(0, 2), st.booleans(),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(rows_of, min_size=1, max_size=12), st.data())
def test_a_gain_is_the_difference_of_the_two_reports(before, data):
    after = [
        replace(row, answer=data.draw(rows_of).answer, facts_found=data.draw(rows_of).facts_found) for row in before
    ]
    reports = [{one.name: one for one in measures(rows)} for rows in (before, after)]
    for change in gains(before, after):
        name = change.name.removesuffix("_gain")
        if change.n and reports[0][name].n:
            whole = change.n if name == "unsupported_facts" else 1
            wanted = (reports[1][name].value - reports[0][name].value) / whole
            assert abs(change.value - wanted) < 1e-9, name
            assert change.low - 1e-9 <= change.value <= change.high + 1e-9


def test_a_clear_loss_of_facts_is_worse_and_one_of_chance_is_not():
    lost = replace(GOOD, facts_found=(False, False))
    assert any("answer_facts" in text for text in worse(gains([GOOD] * 30, [lost] * 30)))
    assert worse(gains([GOOD] * 30, [lost] + [GOOD] * 29)) == []


def test_one_false_claim_more_is_worse_whatever_the_interval():
    claims = replace(GOOD, claimed=("free",))
    assert worse(gains([GOOD] * 100, [claims] + [GOOD] * 99)) == ["false_claims changed by +0.010"]
    assert worse(gains([claims] * 2, [claims, GOOD])) == []


def test_the_bad_side_is_the_measures_own():
    changes = [Measure(f"{name}_gain", 0.1, 0.05, 0.2, 9) for name in ("answer_facts", "loss", "false_refusals")]
    assert [text.split()[0] for text in worse(changes)] == ["loss", "false_refusals"]
    assert worse([Measure("seconds_p50", 9.0), Measure("answer_facts", 0.0, 0.0, 0.0, 9)]) == []


def test_refusals_and_failures_are_counted_where_they_belong():
    failed = replace(GOOD, answer=replace(ANSWER, outcome=Outcome.COMPONENT_FAILED))
    answered = replace(ASIDE, answer=ANSWER)
    changes = named(gains([GOOD, ASIDE], [failed, answered]))
    assert changes["component_failures_gain"].value == 0.5
    assert changes["refusal_recall_gain"].value == -1.0
    assert changes["false_refusals_gain"].value == 0.0
