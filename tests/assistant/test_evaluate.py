"""The judge, on answers whose faults are known. The walk on the real model is in tests/flows."""

import dataclasses
import json

import pytest

from assistant import texts
from assistant.errors import BadInput
from assistant.evaluate import FROM_ROWS, NEVER_SAID, compare, evaluate, judge, read_report
from assistant.golden import Gold, Question
from assistant.settings import Settings
from assistant.store import Store
from assistant.types import (
    Answer,
    Citation,
    Delta,
    Document,
    Done,
    Found,
    Hit,
    Measure,
    Outcome,
    Passage,
    Receipt,
    Report,
    Usage,
)

TEXT = "You have 14 days to return it.\n\nDelivery costs 4.90 EUR and is free from 50 EUR."
CUTS = [(0, 30), (32, len(TEXT))]


@pytest.fixture
def store(tmp_path):
    store = Store.open(tmp_path)
    store.change_documents([(Document("d", "default", "shop", "a.md", TEXT, "0", "markdown"), PASSAGES)])
    yield store
    store.close()


PASSAGES = [Passage(f"p{n}", "d", "a.md", "default", "shop", TEXT[a:b], a, b, "0") for n, (a, b) in enumerate(CUTS)]
HITS = tuple(Hit(passage, 1.0, "fused") for passage in PASSAGES)
RETURNS = Question(
    "1",
    "Returns?",
    True,
    "en",
    kinds=("fact",),
    gold=(Gold("a.md", "14 days to  return"),),
    facts=(("14 days",),),
    false_claims=("30 days",),
)
MOON = Question("2", "The moon?", False, "en", kinds=("unanswerable",))


def cite(number, quote, start=None):
    passage = PASSAGES[number]
    at = passage.text.index(quote) if start is None else start
    return Citation(passage.id, "a.md", at, at + len(quote), quote)


def answer(text, *citations, outcome=Outcome.ANSWERED, hits=HITS, seconds=1.0):
    receipt = Receipt("echo", "m", "", None, "manifest", "hashing", "quotes", "q", "en", 0.5, 0.4, Usage(), seconds)
    return Answer("i", outcome, text, citations, hits, receipt)


class Scripted:
    """An assistant that gives the answers it was given, in turn."""

    def __init__(self, store, answers):
        self.store, self.settings, self._answers = store, Settings(), iter(answers)

    def warm(self, collection):
        self.warmed = collection

    def ask(self, conversation, question, *, collection=None, adapter=None):
        assert self.warmed == collection, "the first question's seconds would be those of loading"
        said = next(self._answers)
        yield Found(said.hits)
        yield Delta(said.text)
        yield Done(said)


def measured(tmp_path, store, questions, answers, **more):
    golden = tmp_path / "golden.jsonl"
    rows = [
        {"id": q.id, "question": q.question, "answerable": q.answerable, "language": q.language, "kinds": list(q.kinds),
         "gold": [{"document": g.document, "quote": g.quote} for g in q.gold], "facts": [list(f) for f in q.facts], "false_claims": list(q.false_claims)}
        for q in questions
    ]  # fmt: skip
    golden.write_text("\n".join(json.dumps(row) for row in rows))
    return evaluate(golden, Scripted(store, answers), **more)


def test_a_perfect_answer_is_perfect(store):
    judged = judge(
        RETURNS,
        answer("You have 14 days to return it.", cite(0, "You have 14 days to return it.")),
        store=store,
        tenant="default",
    )
    assert (judged.gold_found, judged.facts_found, judged.citations_exact) == (True, (True,), (True,))
    assert (judged.claimed, judged.unsupported) == ((), ())


def test_gold_counts_only_among_the_first_five_of_its_own_document(store):
    other = Hit(Passage("x", "e", "b.md", "default", "shop", "14 days to return", 0, 17, "0"), 1.0, "fused")
    assert not judge(RETURNS, answer("", hits=(other,) * 5 + HITS), store=store, tenant="default").gold_found
    assert judge(RETURNS, answer("", hits=(other,) * 4 + HITS), store=store, tenant="default").gold_found


@pytest.mark.parametrize(
    ("quote", "found"),
    [("return it. Delivery costs 4.90 EUR and is", True), ("it. Delivery costs 4.90 EUR and is free from", False)],
)
def test_a_quote_that_a_cut_runs_through_is_found_by_its_larger_part(store, quote, found):
    question = Question("1", "?", True, gold=(Gold("a.md", quote),))
    first = HITS[1:] if found else HITS[:1]
    assert judge(question, answer("", hits=first), store=store, tenant="default").gold_found is found


def test_any_one_gold_place_is_enough(store):
    question = Question("1", "?", True, gold=(Gold("other.md", "x"), Gold("a.md", "4.90 EUR")))
    assert judge(question, answer("", hits=HITS), store=store, tenant="default").gold_found


@pytest.mark.parametrize(
    "citation",
    [
        cite(0, "14 Days", 9),
        cite(0, "14 days", 8),
        Citation("p9", "a.md", 0, 1, "Y"),
        Citation("p0", "b.md", 0, 3, "You"),
        Citation("p0", "a.md", 0, 0, ""),
    ],
)
def test_a_quote_that_is_not_that_span_is_inexact(store, citation):
    assert judge(RETURNS, answer("x", citation), store=store, tenant="default").citations_exact == (False,)


def test_a_citation_of_another_tenant_is_inexact(store):
    assert judge(RETURNS, answer("x", cite(0, "14 days")), store=store, tenant="other").citations_exact == (False,)


def test_a_number_counts_as_supported_only_by_a_cited_passage(store):
    uncited = judge(RETURNS, answer("14 days, 4.90 EUR.", cite(0, "14 days")), store=store, tenant="default")
    assert uncited.unsupported == ("4.9",)
    cited = judge(
        RETURNS, answer("14 days, 4.90 EUR.", cite(0, "14 days"), cite(1, "4.90")), store=store, tenant="default"
    )
    assert cited.unsupported == ()


@pytest.mark.parametrize("language", texts.LANGUAGES)
@pytest.mark.parametrize("key", [key for key in texts.table() if not key.startswith((*FROM_ROWS, *NEVER_SAID))])
def test_the_products_own_texts_need_no_citation(store, key, language):
    values = dict.fromkeys(
        [
            "company",
            "contact",
            "seconds",
            "number",
            "model",
            "name",
            "ours",
            "theirs",
            "person",
            "when",
            "n",
            "question",
        ],
        "24/7 Outdoor 360",
    )
    assert judge(MOON, answer(texts.say(key, language, **values)), store=store, tenant="default").unsupported == ()


def test_a_question_that_an_answer_repeats_needs_no_citation_and_its_numbers_elsewhere_do(store):
    asked = dataclasses.replace(RETURNS, question="Do you ship 20 kg? How long do I have to return boots?")
    text = "“Do you ship 20 kg?”\nYes.\n\n“How long do I have to return boots?”\nYou have 14 days."
    assert judge(asked, answer(text, cite(0, "14 days")), store=store, tenant="default").unsupported == ()
    claimed = answer(text.replace("Yes.", "Yes, 20 kg."), cite(0, "14 days"))
    assert judge(asked, claimed, store=store, tenant="default").unsupported == ("20",)


def test_measures_are_the_ones_that_were_promised(tmp_path, store):
    good = answer("You have 14 days.", cite(0, "You have 14 days"))
    bad = answer("You have 30 days. See www.evil.example.", seconds=3.0)
    refused = answer("No idea.", outcome=Outcome.NOT_IN_KNOWLEDGE_BASE)
    questions = [
        RETURNS,
        Question("3", "a", True, gold=RETURNS.gold, facts=(("14 days",), ("free",)), false_claims=("30 days",)),
        MOON,
        Question("4", "b", True, gold=(Gold("a.md", "nowhere"),)),
    ]
    report = measured(tmp_path, store, questions, [good, bad, refused, refused], suite="s")
    values = {measure.name: measure.value for measure in report.measures}
    assert report.suite == "s"
    assert values["recall@5"] == pytest.approx(2 / 3)
    assert values["citations_exact"] == 1.0
    assert values["refusal_recall"] == 1.0
    assert values["false_refusals"] == pytest.approx(1 / 3)
    assert values["answer_facts"] == pytest.approx(1 / 3)
    assert values["false_claims"] == 0.25
    assert values["unsupported_facts"] == 2.0
    assert values["recall@5[en]"] == 1.0
    assert values["seconds_p50"] == 1.0


def test_an_answer_under_a_warning_is_counted_and_is_no_refusal(tmp_path, store):
    said = answer("You have 14 days.", cite(0, "You have 14 days"))
    warned = dataclasses.replace(said, receipt=dataclasses.replace(said.receipt, sure=False))
    refused = dataclasses.replace(warned, outcome=Outcome.NOT_IN_KNOWLEDGE_BASE)
    questions = [RETURNS, dataclasses.replace(RETURNS, id="r2"), MOON, dataclasses.replace(MOON, id="m2")]
    report = measured(tmp_path, store, questions, [said, warned, warned, refused])
    values = {measure.name: measure.value for measure in report.measures}
    assert (values["answerable_warned"], values["unanswerable_warned"]) == (0.5, 0.5)
    assert (values["false_refusals"], values["refusal_recall"]) == (0.0, 0.5)


def test_what_nothing_was_asked_for_is_not_told_as_nought(tmp_path, store):
    told = {measure.name for measure in measured(tmp_path, store, [RETURNS], [answer("14 days")]).measures}
    assert {"recall@5", "answer_facts", "false_refusals"} <= told
    assert not told & {"refusal_recall", "unanswerable_warned"}
    told = {measure.name for measure in measured(tmp_path, store, [MOON], [answer("No.")]).measures}
    assert "refusal_recall" in told
    assert not told & {"recall@5", "answer_facts", "false_refusals", "answerable_warned"}


def test_the_interval_of_facts_has_a_width_where_all_questions_are_alike(tmp_path, store):
    report = measured(tmp_path, store, [RETURNS], [answer("You have 14 days.")])
    (facts,) = (measure for measure in report.measures if measure.name == "answer_facts")
    assert facts.value == facts.high == 1
    assert facts.low == pytest.approx(0.2065, abs=1e-3)


def test_the_report_says_where_it_comes_from_and_no_secret(tmp_path, store):
    report = measured(tmp_path, store, [RETURNS], [answer("x")])
    origin = report.provenance
    assert {"git", "versions", "machine", "settings", "seed", "adapter", "index_manifest", "model", "files"} <= set(
        origin
    )
    assert origin["index_manifest"] == "manifest"
    json.dumps(report.to_dict())


def test_details_tell_each_question_as_it_was_answered(tmp_path, store):
    seen = []
    measured(
        tmp_path,
        store,
        [RETURNS, MOON],
        [answer("30 days"), answer("x")],
        details=tmp_path / "d.jsonl",
        progress=lambda *step: seen.append(step),
    )
    first, second = (json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines())
    assert (first["missing_facts"], first["false_claims"], first["unsupported_facts"]) == (
        [["14 days"]],
        ["30 days"],
        ["30"],
    )
    assert second["id"] == "2"
    assert seen == [("1", 0, 2), ("2", 1, 2)]


def test_a_golden_file_with_faults_asks_nothing(tmp_path, store):
    (tmp_path / "bad.jsonl").write_text("{}")
    with pytest.raises(BadInput, match="line 1"):
        evaluate(tmp_path / "bad.jsonl", Scripted(store, []))


def report_of(**values):
    bounds = {"recall@5": 0.05, "false_claims": 0.02}
    return Report(
        "s",
        tuple(
            Measure(n, v, v - bounds[n] if n in bounds else None, v + bounds[n] if n in bounds else None, 100)
            for n, v in values.items()
        ),
    )


BEFORE = {
    "recall@5": 0.95,
    "false_claims": 0.01,
    "citations_exact": 1.0,
    "unsupported_facts": 0.0,
    "answerable_warned": 0.1,
    "unanswerable_warned": 0.2,
    "seconds_p50": 1.0,
    "recall@5[zh]": 0.9,
}


@pytest.mark.parametrize(
    ("change", "worse"),
    [
        ({}, []),
        ({"recall@5": 0.91}, []),
        ({"recall@5": 0.89}, ["recall@5"]),
        ({"recall@5": 1.0}, []),
        ({"false_claims": 0.02}, []),
        ({"false_claims": 0.04}, ["false_claims"]),
        ({"citations_exact": 0.999}, ["citations_exact"]),
        ({"unsupported_facts": 1.0}, ["unsupported_facts"]),
        ({"seconds_p50": 9.0, "recall@5[zh]": 0.1}, []),
        ({"answerable_warned": 0.0, "unanswerable_warned": 0.0}, []),
        ({"answerable_warned": 0.9}, ["answerable_warned"]),
        ({"unanswerable_warned": 0.9}, []),
    ],
)
def test_a_regression_is_what_leaves_the_interval_on_the_bad_side(change, worse):
    found = compare(report_of(**{**BEFORE, **change}), report_of(**BEFORE))
    assert [text.split()[0] for text in found] == worse


def test_what_was_not_asked_before_is_no_measure_to_be_worse_than():
    unasked = Report("s", (Measure("false_refusals", 0.0), Measure("recall@5", 0.0)))
    assert compare(report_of(**{"false_refusals": 0.3}), unasked) == []


def test_a_measure_that_vanished_is_a_regression():
    assert compare(report_of(), report_of(**{"recall@5": 1.0})) != []


def test_a_file_that_is_no_report_is_refused(tmp_path):
    (tmp_path / "r.json").write_text('{"suite": 1}')
    with pytest.raises(BadInput, match="not a report"):
        read_report(tmp_path / "r.json")
