"""The walk ask: Found, Deltas, one Done; whatever breaks, the customer gets an honest answer."""

import threading
import time
from dataclasses import replace

import pytest
from asking import exact, over_policies, run

from assistant.citations import Span
from assistant.composer import Piece
from assistant.core import Assistant
from assistant.draft import Draft
from assistant.engines.echo import EchoEngine
from assistant.engines.watch import watched
from assistant.errors import BadInput, EngineTimeout, EngineUnavailable, UnknownName
from assistant.hosting import Choice, Hosting
from assistant.ingest import ingest
from assistant.retrieval.reader import Reader
from assistant.router import Guess, Route
from assistant.settings import Settings, load_settings
from assistant.types import Conversation, Delta, GenerateOptions, Message, ModelInfo, Outcome


class Broken(EchoEngine):
    """Fails as it is told."""

    def __init__(self, error=None, hang_s=0.0):
        super().__init__()
        self.error, self.hang_s, self.closed = error, hang_s, threading.Event()

    def stream(self, messages, options):
        try:
            yield "Broken tent"
            time.sleep(self.hang_s)
            if self.error:
                raise self.error
            for _ in range(1000):
                yield " poles"
        finally:
            self.closed.set()


@pytest.fixture
def make(tmp_path):
    made = []

    def build(*arguments, **settings):
        made.append(over_policies(tmp_path, *arguments, **settings))
        return made[-1]

    yield build
    for assistant in made:
        assistant.close()


def test_a_question_is_answered_with_the_quote_that_answers(make):
    assistant = make()
    answer = run(assistant, "How much does it cost to have broken tent poles repaired?")
    assert answer.outcome is Outcome.ANSWERED
    assert "Broken tent poles are repaired for 15 EUR in every store." in answer.text
    assert exact(assistant, answer)
    assert answer.receipt.index_manifest
    assert answer.to_dict()["citations"][0]["document"] == "policy.md"


def test_a_supported_sentence_of_the_model_follows_and_an_unsupported_one_never_appears(make):
    engine = EchoEngine(
        script=["Broken tent poles are repaired for 15 EUR in every store. Broken tent poles are repaired for free."]
    )
    answer = run(make(engine, shape="free"), "What does repairing tent poles cost?")
    assert answer.text == "Broken tent poles are repaired for 15 EUR in every store."
    (note,) = (note for note in answer.receipt.notes if "dropped a sentence" in note)
    assert note.endswith("Broken tent poles are repaired for free.")


def test_a_sentence_that_the_model_repeats_from_a_passage_is_a_quote_of_it(make):
    assistant = make(EchoEngine(script=["Zips are repaired only if the product is clean."]), shape="free")
    answer = run(assistant, "Is a broken zip repaired?")
    assert answer.text == "Zips are repaired only if the product is clean."
    assert [citation.quote for citation in answer.citations] == [answer.text]
    assert exact(assistant, answer)


def test_a_bare_model_reads_what_is_quoted_and_an_adapter_all_that_was_found(make):
    assistant = make()
    info = assistant.store.collection("default", "shop")
    draft = Draft("Is a broken zip repaired?", info, "en", Choice((None,)))
    draft.hits = assistant.searcher.search("default", "shop", draft.question, 5)
    assert len(draft.hits) > 1
    last = draft.hits[-1].passage
    draft.add(Piece(last.text[:5], (Span(last, 0, 5),)))
    assert draft.evidence() == [last]
    draft.adapter = "support@1"
    assert draft.evidence() == [hit.passage for hit in draft.hits]
    draft.adapter = "built-in@1"
    assert draft.evidence() == [last]
    draft.reread = True
    assert draft.evidence() == [hit.passage for hit in draft.hits]


def test_when_no_sentence_of_the_model_is_supported_the_best_passage_is_quoted(make):
    answer = run(make(EchoEngine(script=["Everything is free!"]), shape="free"), "What does repairing tent poles cost?")
    assert "free" not in answer.text
    assert answer.citations


def test_what_the_documents_do_not_say_is_refused(make):
    answer = run(make(threshold=1.0), "Who won the football match yesterday?")
    assert answer.outcome is Outcome.NOT_IN_KNOWLEDGE_BASE
    assert not answer.citations


@pytest.mark.parametrize(("least", "sure"), [(0.0, True), (1.0, False)])
def test_an_answer_of_low_support_says_that_it_may_not_be_one_and_quotes_all_the_same(make, monkeypatch, least, sure):
    monkeypatch.setattr("assistant.core.sure_support", lambda info: least)
    assistant = make()
    answer = run(assistant, "How much does it cost to have broken tent poles repaired?")
    assert (answer.outcome, answer.receipt.sure) == (Outcome.ANSWERED, sure)
    assert ("not sure" in answer.text.splitlines()[0]) is not sure
    assert exact(assistant, answer)


@pytest.mark.parametrize(
    ("question", "outcome"),
    [
        ("I want to talk to a person", Outcome.NEEDS_HUMAN),
        ("转人工", Outcome.NEEDS_HUMAN),
        ("Where is my parcel 4411?", Outcome.NEEDS_HUMAN),
        ("Hello!", Outcome.ANSWERED),
        ("谢谢", Outcome.ANSWERED),
    ],
)
def test_chatter_and_the_wish_for_a_person_do_not_hit_the_refusal(make, question, outcome):
    assert run(make(threshold=1.0), question).outcome is outcome


@pytest.mark.parametrize(
    ("question", "said"),
    [(sign, "ask for a person") for sign in ("!!!", "😡", "??")]
    + [(sign, "转人工") for sign in ("。。。", "！！", "……")],
)
def test_a_message_without_a_letter_or_digit_is_asked_back_in_its_language_and_quotes_nothing(make, question, said):
    answer = run(make(threshold=0.0), question)
    assert (answer.outcome, answer.citations, answer.hits) == (Outcome.ANSWERED, (), ())
    assert said in answer.text


@pytest.mark.parametrize("error", [EngineUnavailable("out of memory"), MemoryError(), RuntimeError("boom")])
@pytest.mark.parametrize("shape", ["quote-first", "free"])
def test_an_engine_that_breaks_leaves_the_quotes_and_says_so(make, error, shape):
    assistant = make(Broken(error), shape=shape)
    answer = run(assistant, "What does repairing tent poles cost?")
    assert answer.outcome is Outcome.COMPONENT_FAILED
    assert answer.receipt.failed_component == "engine"
    assert "15 EUR" in answer.text
    assert answer.citations
    assert exact(assistant, answer)


def test_an_engine_that_hangs_is_left_behind(make):
    answer = run(make(Broken(hang_s=30), time_limit_s=0.2), "What does repairing tent poles cost?")
    assert answer.outcome is Outcome.COMPONENT_FAILED
    assert "15 EUR" in answer.text


def test_an_engine_that_cannot_be_loaded_leaves_the_quotes(make):
    assistant = make()
    assistant._engine = None
    assistant.settings = assistant.settings.model_copy(
        update={"model": assistant.settings.model.model_copy(update={"engine": "hf", "name": "no-such-model"})}
    )
    answer = run(assistant, "What does repairing tent poles cost?")
    assert answer.outcome is Outcome.COMPONENT_FAILED
    assert "15 EUR" in answer.text


def test_a_search_that_breaks_says_so_and_offers_a_person(make, monkeypatch):
    assistant = make()
    monkeypatch.setattr(assistant.searcher, "search", lambda *args, **kwargs: 1 / 0)
    answer = run(assistant, "What does repairing tent poles cost?")
    assert answer.outcome is Outcome.COMPONENT_FAILED
    assert answer.receipt.failed_component == "retrieval"


def test_a_model_that_does_not_know_the_language_is_not_asked(make):
    engine = EchoEngine(script=["未使用的商品可以退货。"])
    engine.model = type(engine.model)("echo", "", 4096, ("en",))
    answer = run(make(engine, threshold=0.0), "帐篷杆维修多少钱？")
    assert answer.receipt.shape == "quotes"
    assert any("does not write zh" in note for note in answer.receipt.notes)


def test_a_customers_conversation_is_kept_once_and_only_for_its_customer(make):
    assistant = make()
    conversation = Conversation("c1", customer="anna")
    run(assistant, "What does repairing tent poles cost?", conversation, client_id="m1")
    turns = assistant.store.turns("c1", "anna")
    assert [turn.message.role for turn in turns] == ["user", "assistant"]
    assert turns[1].answer["outcome"] == "ANSWERED"
    assert assistant.store.turns("c1", "bert") == []
    run(assistant, "What does repairing tent poles cost?", conversation, client_id="m1")
    assert [turn.client_id for turn in assistant.store.turns("c1", "anna")].count("m1") == 1


def test_nothing_is_kept_without_a_customer(make):
    assistant = make()
    run(assistant, "What does repairing tent poles cost?")
    assert assistant.store.conversations("default", "") == []


def test_stopping_keeps_what_was_seen_and_stops_the_engine(make):
    engine = Broken()
    assistant = make(engine)
    walk = assistant.ask(Conversation("c1", customer="anna"), "What does repairing tent poles cost?")
    seen = [next(walk) for _ in range(2)]
    walk.close()
    turns = assistant.store.turns("c1", "anna")
    assert turns[-1].message.text == seen[1].text
    assert any("stopped" in note for note in turns[-1].answer["receipt"]["notes"])


def test_an_engine_that_cannot_be_loaded_for_whatever_reason_leaves_the_quotes(make, monkeypatch):
    def full(settings):
        raise OSError(28, "No space left on device")

    assistant = make()
    assistant._engine = None
    monkeypatch.setattr("assistant.registry.resolve", lambda kind, name: full)
    answer = run(assistant, "What does repairing tent poles cost?")
    assert answer.outcome is Outcome.COMPONENT_FAILED
    assert "15 EUR" in answer.text
    assert any("No space left" in note for note in answer.receipt.notes)


TWO_THINGS = "What does repairing tent poles cost? Within how many days can unused items be returned?"


def test_an_answer_that_was_cut_off_is_made_again_for_the_same_question(make):
    assistant = make()
    whole = run(assistant, TWO_THINGS)
    walk = assistant.ask(Conversation("c1", customer="anna"), TWO_THINGS, client_id="m1")
    assert next(event for event in walk if isinstance(event, Delta)).text != whole.text
    walk.close()
    again = run(assistant, TWO_THINGS, Conversation("c1", customer="anna"), client_id="m1")
    assert again.text == whole.text
    kept = assistant.store.turns("c1", "anna")
    assert [turn.message.text for turn in kept] == [TWO_THINGS, whole.text]
    assert not kept[1].is_stopped
    assert run(assistant, TWO_THINGS, Conversation("c1", customer="anna"), client_id="m1") == again


@pytest.mark.parametrize("question", ["I want to talk to a person", "What does repairing tent poles cost?"])
@pytest.mark.parametrize("stops", [False, True])
def test_a_conversation_deleted_while_its_answer_is_made_stays_deleted(make, question, stops):
    assistant = make()
    walk = assistant.ask(Conversation("c1", customer="anna"), question)
    while not isinstance(next(walk), Delta):
        pass
    assert assistant.store.remove_conversation("c1", "anna")
    _ = walk.close() if stops else list(walk)
    assert assistant.store.conversations("default", "anna") == []
    assert assistant.desk.cases() == []


@pytest.mark.parametrize("strange", ["\x00", "\ud83d"])
def test_a_question_with_what_no_database_keeps_is_answered(make, strange):
    assistant = make()
    answer = run(assistant, f"What does repairing tent{strange} poles cost?", Conversation("c1", customer="anna"))
    assert "15 EUR" in answer.text
    assert not {"\x00", "\ud83d"} & set(assistant.store.turns("c1", "anna")[0].message.text)


def test_a_follow_up_is_searched_with_its_question_before(make):
    conversation = Conversation(
        "", messages=(Message("user", "Do you repair tent poles?"), Message("assistant", "Yes."))
    )
    answer = run(make(), "And what does it cost?", conversation)
    assert answer.receipt.query == "Do you repair tent poles? And what does it cost?"
    assert "15 EUR" in answer.text


@pytest.mark.parametrize(
    ("earlier", "question", "said"),
    [
        (["How heavy is the Kestrel 2?"], "And what is it made of?", "name: Kestrel 2\nmaterial: ripstop polyester"),
        (["How heavy is the Kestrel 2?"], "And the Lark 1?", "name: Lark 1\nweight_g: 990"),
        (["How heavy is the Kestrel 2?", "And the Lark 1?"], "how much is it", "name: Lark 1\nprice: 199.00 EUR"),
        (["红隼双人帐篷多重"], "下雨天能用吗", "name: Kestrel 2\nwaterproof: 3000 mm"),
    ],
)
def test_a_follow_up_about_a_product_is_answered_from_its_row_and_no_model_is_asked(
    make, tmp_path, monkeypatch, earlier, question, said
):
    assistant = make(Broken(EngineTimeout("never to be asked")))
    (tmp_path / "products.csv").write_text(
        "name,name_zh,category,price,weight_g,material,waterproof\n"
        "Kestrel 2,红隼双人帐篷,tents,289.00 EUR,1980,ripstop polyester,3000 mm\n"
        "Lark 1,云雀单人帐篷,tents,199.00 EUR,990,nylon,2000 mm\n"
        + "".join(f"Mat {n},垫子{n},made of foam,9.00 EUR,400,what is it made of,no\n" for n in range(8)),
        encoding="utf-8",
    )
    ingest(
        [tmp_path / "products.csv"],
        store=assistant.store,
        settings=assistant.settings,
        index=assistant.searcher,
        collection="shop",
    )
    before = tuple(Message(role, text) for asked in earlier for role, text in (("user", asked), ("assistant", "-")))
    wished: list[str] = []
    monkeypatch.setattr(assistant.counter, "offer", lambda conversation, name, asked, language: wished.append(asked))
    answer = run(assistant, question, Conversation("", messages=before))
    assert (answer.outcome, answer.text) == (Outcome.ANSWERED, said)
    assert wished == [answer.receipt.query]  # or it would refine the list that was shown before


def test_a_short_question_about_something_else_is_not_answered_about_what_was_said_before(make):
    before = (Message("user", "Do you repair tent poles?"), Message("assistant", "Yes."))
    answer = run(make(), "Can I return items?", Conversation("", messages=before))
    assert answer.receipt.query == "Can I return items?"
    assert answer.text.startswith("Unused items can be returned")


@pytest.mark.parametrize("question", ["", "  \n", "x" * 4001])
def test_a_bad_question_is_bad_input(make, question):
    with pytest.raises(BadInput):
        list(make().ask(Conversation(""), question))


def test_an_unknown_collection_proposes_the_nearest(make):
    with pytest.raises(UnknownName, match="shop"):
        list(make().ask(Conversation(""), "hi", collection="shp"))


def test_the_watch_keeps_the_limit_and_closes_the_engine():
    engine = Broken(hang_s=0.0)
    stream = watched(engine, [], GenerateOptions(time_limit_s=5))
    assert next(stream) == "Broken tent"
    stream.close()
    assert engine.closed.wait(5)
    with pytest.raises(EngineTimeout):
        list(watched(Broken(hang_s=10), [], GenerateOptions(time_limit_s=0.1)))


def test_settings_decide_the_engine(tmp_path):
    from assistant.engines.choice import engine_name

    assert engine_name(Settings(data_dir=tmp_path)) == "hf"  # nothing was measured there
    assert engine_name(load_settings(remote={"url": "http://127.0.0.1:1/v1"})) == "remote"


def routed(assistant, route):
    assistant.router.route = lambda message, collection, conversation="": route
    return run(assistant, "How much does it cost to have broken tent poles repaired?")


def test_an_upset_customer_gets_the_answer_and_is_offered_a_person(make):
    assistant = make()
    plain = routed(assistant, None)
    upset = routed(assistant, Route("en", ("AB-10293",), sentiment=Guess("angry", 0.9)))
    assert upset.text.startswith(plain.text)
    assert "colleague" in upset.text.removeprefix(plain.text)
    assert exact(assistant, upset)
    assert {"sentiment: angry (0.90)", "order number: AB-10293"} <= set(upset.receipt.notes)


def test_a_calm_customer_is_offered_nobody(make):
    assistant = make()
    plain = routed(assistant, None)
    assert routed(assistant, Route("en", sentiment=Guess("calm", 0.9))).text == plain.text


def test_a_router_that_breaks_does_not_break_the_answer(make):
    assistant = make()
    assistant.router.route = None
    answer = run(assistant, "How much does it cost to have broken tent poles repaired?")
    assert answer.outcome is Outcome.ANSWERED
    assert "router: TypeError" in answer.receipt.notes


def test_the_line_is_as_wide_as_the_engine_turns_out_to_be(tmp_path, monkeypatch):
    class Together(EchoEngine):
        places = 8

    monkeypatch.setattr("assistant.registry.resolve", lambda kind, name: lambda settings: Together())
    made = Assistant.open(load_settings(data_dir=tmp_path, model={"engine": "hf"}, server={"concurrency": 6}))
    assert made.line.room == 2 + made.settings.server.queue_size
    assert made.engine.places == 8
    assert made.line.room == 6 + made.settings.server.queue_size
    made.close()


class Telling(EchoEngine):
    """Hosts adapters, and tells that an answer begins as it was told."""

    def __init__(self, nats=0.0, error=None):
        super().__init__(script=["None of the passages answers this."])
        self.model = ModelInfo("echo", "", 4096, ("en",))
        self.nats, self.error, self.asked, self.loaded = nats, error, [], []

    def adapters(self):
        return tuple(self.loaded)

    def add_adapter(self, name, path):
        self.loaded.append(name)

    def remove_adapter(self, name):
        self.loaded.remove(name)

    def stream(self, messages, options):
        yield from super().stream(messages, GenerateOptions(max_new_tokens=options.max_new_tokens))

    def begins(self, messages, word, options):
        self.asked.append((options.adapter, word))
        if self.error:
            raise self.error
        return self.nats


def answer_of(assistant, question, adapter=None):
    events = list(assistant.ask(Conversation(id="c", messages=()), question, adapter=adapter))
    return events[-1].answer


def in_doubt(monkeypatch, doubts=True):
    """Every reading is in doubt, and the verdict alone decides. The built-in adapter fits whatever the model is."""
    monkeypatch.setattr("assistant.hosting.verify", lambda folder, base=None: None)
    monkeypatch.setattr(Hosting, "_base_of_model", lambda self: object())
    monkeypatch.setattr(Reader, "doubts", lambda self, reading: doubts)
    monkeypatch.setattr(
        Reader, "reread", lambda self, reading, unanswered: replace(reading, support=float(unanswered < 0))
    )


@pytest.mark.parametrize(("nats", "outcome"), [(-0.01, Outcome.NOT_IN_KNOWLEDGE_BASE), (-6.0, Outcome.ANSWERED)])
def test_where_support_is_in_doubt_the_models_verdict_joins_it(make, monkeypatch, nats, outcome):
    in_doubt(monkeypatch)
    engine = Telling(nats)
    answer = answer_of(make(engine), "How long can I return items?")
    assert engine.asked == [("built-in@1", "None")]
    assert answer.outcome is outcome
    assert any("verdict" in note for note in answer.receipt.notes)
    assert "None of the passages" not in answer.text


def test_where_support_is_sure_or_another_language_is_spoken_the_model_is_not_asked(make, monkeypatch):
    in_doubt(monkeypatch, doubts=False)
    engine = Telling()
    assert answer_of(make(engine), "How long can I return items?").outcome is Outcome.ANSWERED
    in_doubt(monkeypatch)
    answer_of(make(engine), "可以退货吗？我想知道退货的期限是多久")
    assert engine.asked == []


def test_the_bare_model_is_asked_for_no_verdict(make, monkeypatch):
    in_doubt(monkeypatch)
    engine = Telling()
    assistant = make(engine)
    assert answer_of(assistant, "How long can I return items?", adapter="none").citations
    assert engine.asked == []


def test_an_engine_that_fails_at_its_verdict_costs_no_answer(make, monkeypatch):
    in_doubt(monkeypatch)
    engine = Telling(error=EngineUnavailable("no memory"))
    answer = answer_of(make(engine), "How long can I return items?")
    assert engine.asked
    assert answer.citations
