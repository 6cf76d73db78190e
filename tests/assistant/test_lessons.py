"""A lesson has a consent and an owner, is redacted and reviewed, and goes when its consent does."""

import json

import pytest
from rated import RIGHT, SAID, House

from assistant import named
from assistant.curated import Curated
from assistant.erase import forget
from assistant.errors import BadInput
from assistant.feedback import Opinion
from assistant.lessons import ACCEPTED, DECLINED, EXAMINED, PER_CUSTOMER, Collected, Lessons
from assistant.owners import CustomerRows
from assistant.retrieval.search import Searcher
from assistant.rows import Base, LessonRow
from assistant.settings import Settings
from assistant.types import Document, Passage


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.store.close()


def test_only_what_was_consented_to_is_learned_and_only_once(house):
    house.rate(1)
    house.rate(2, consent=False)
    house.rate(3, rating="up", correction="")
    house.rate(4, rating="down", correction="")
    house.rate(5, rating="up", correction="", cited=False)
    assert house.lessons.collect("shop") == Collected(new=2)
    assert house.lessons.collect("shop") == Collected()
    assert house.lessons.counts("shop") == {"waiting": 1, "accepted": 1}


def test_a_lesson_is_redacted_in_the_store_and_in_the_files(house, tmp_path):
    house.rate(1)
    house.lessons.collect("shop")
    (lesson,) = house.lessons.waiting("shop")
    house.lessons.decide(lesson.id, ACCEPTED, by="ada", text="Within 30 days, write to eva@web.de.")
    house.take(1)
    chat, pairs = house.lessons.write("shop", 1, tmp_path / "loop")
    for text in (lesson.question, lesson.text, lesson.rejected, chat.read_text(), pairs.read_text()):
        assert not [secret for secret in ("max@web.de", "0151", "eva@web.de", '"u1"') if secret in text]
    (row,) = map(json.loads, chat.read_text().splitlines())
    assert row["messages"][1]["content"].startswith("Within 30 days")
    (pair,) = map(json.loads, pairs.read_text().splitlines())
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == (
        row["messages"][1]["content"],
        "Within 14 days (1).",
    )
    assert row["customer"] == pair["customer"] != "u1"


class Tagger:
    """Takes Anna for a person, and everything that frames a training row."""

    def tag(self, sentences):
        framing = ("cust", "role", "user", "assistant", "content", "messages")
        return [
            ["B-person" if word == "Anna" or word.startswith(framing) else "O" for word in one] for one in sentences
        ]


def with_tagger(house, tmp_path):
    house.lessons = Lessons(house.store, Settings(data_dir=tmp_path, privacy={"finder": "tagger"}))


def test_the_settings_finder_cleans_what_was_said_and_leaves_the_rest_of_a_row_alone(house, tmp_path, monkeypatch):
    monkeypatch.setattr(named, "_network", lambda settings: (None, Tagger()))
    with_tagger(house, tmp_path)
    house.rate(1, correction="Ask Anna.")
    house.lessons.collect("shop")
    (lesson,) = house.lessons.waiting("shop")
    house.lessons.decide(lesson.id, ACCEPTED, by="ada", text="Anna knows.")
    house.take(1)
    chat, pairs = house.lessons.write("shop", 1, tmp_path / "loop")
    assert "Anna" not in lesson.text + chat.read_text() + pairs.read_text()
    row = json.loads(chat.read_text())
    assert [one["role"] for one in row["messages"]] == ["user", "assistant"]
    assert row["messages"][1]["content"].startswith("<name:")
    assert row["customer"].startswith("cust")


def test_where_the_finder_is_missing_nothing_is_learned_but_what_was_withdrawn_goes(house, tmp_path):
    ticket = house.rate(1)
    house.lessons.collect("shop")
    with_tagger(house, tmp_path)
    house.feedback.rate(ticket, Opinion("down", RIGHT, consent=False), visitor="u1")
    house.rate(2)
    with pytest.raises(BadInput, match="no adapter called 'names'"):
        house.lessons.collect("shop")
    assert house.lessons.counts("shop") == {}


def test_a_withdrawn_consent_and_a_deleted_conversation_take_their_lessons_along(house):
    ticket = house.rate(1)
    house.rate(2)
    house.rate(3, customer="u3")
    house.lessons.collect("shop")
    house.feedback.rate(ticket, Opinion("down", RIGHT, consent=False), visitor="u1")
    assert house.lessons.collect("shop") == Collected(withdrawn=1)
    house.store.remove_conversation("c2", "u1")
    assert len(house.lessons.waiting("shop")) == 1
    CustomerRows(house.store, "default", frozenset({"u3"})).delete(["c3"])
    assert house.lessons.standing("shop") == frozenset()


def test_a_changed_opinion_is_learned_anew_and_reviewed_again(house):
    ticket = house.rate(1)
    house.lessons.collect("shop")
    house.lessons.decide("a1", ACCEPTED, by="ada")
    house.feedback.rate(ticket, Opinion("down", "Within 60 days.", consent=True), visitor="u1")
    assert house.lessons.collect("shop").new == 1
    assert [lesson.text for lesson in house.lessons.waiting("shop")] == ["Within 60 days."]


def test_nobody_steers_the_loop_alone(house):
    for n in range(PER_CUSTOMER + 3):
        house.rate(n, rating="up", correction="")
    house.rate(99, customer="u2", rating="up", correction="")
    house.lessons.collect("shop")
    assert house.take(1) == PER_CUSTOMER + 1
    assert house.lessons.used("shop", 1) == PER_CUSTOMER + 1


def test_a_customer_counts_with_the_newest_few_whichever_turn_used_them(house, tmp_path):
    for n in range(PER_CUSTOMER + 3):
        house.rate(n, rating="up", correction="")
    house.rate(99, customer="u2", rating="up", correction="")
    house.lessons.collect("shop")
    assert house.take(1) == PER_CUSTOMER + 1
    assert house.take(2) == 0
    for n in (20, 21):
        house.rate(n, rating="up", correction="")
    house.lessons.collect("shop")
    assert house.take(3) == 2
    chat, _ = house.lessons.write("shop", 3, tmp_path / "loop")
    answers = [json.loads(line)["messages"][1]["content"] for line in chat.read_text().splitlines()]
    assert len(answers) == PER_CUSTOMER + 1
    assert {"Within 14 days (20).", "Within 14 days (21).", "Within 14 days (99)."} <= set(answers)


def test_a_lesson_is_decided_about_once_and_never_after_a_turn_has_used_it(house):
    house.rate(1)
    house.rate(2, rating="up", correction="")
    house.rate(3, rating="up", correction="")
    house.lessons.collect("shop")
    house.lessons.decide("a1", EXAMINED, by="ada")
    house.lessons.decide("a2", EXAMINED, by="ada")  # it was accepted by itself
    assert house.take(1) == 1
    for lesson in ("a1", "a2", "a3"):  # bob's page is older
        with pytest.raises(BadInput, match="already"):
            house.lessons.decide(lesson, ACCEPTED, by="bob", text="Never.")
    assert house.lessons.standing("shop", EXAMINED) == {"a1", "a2"}
    assert house.lessons.find("a1").text != "Never."


def test_what_the_exam_asks_is_neither_taken_nor_written(house, tmp_path):
    for n in (1, 2):
        house.rate(n, customer=f"u{n}", rating="up", correction="")
    house.lessons.collect("shop")
    with house.store.tables(Base.metadata).begin() as session:
        session.get_one(LessonRow, "a2").question = "Is there parking?"
        assert house.lessons.take(session, "shop", 1, asked=lambda question: "parking" not in question) == 1
        assert house.lessons.take(session, "shop", 1) == 2
    chat, _ = house.lessons.write("shop", 1, tmp_path / "loop", asked=lambda question: "parking" in question)
    (row,) = map(json.loads, chat.read_text().splitlines())
    assert row["messages"][0]["content"].startswith("How long")


def test_the_passages_of_a_record_stand_in_the_order_in_which_they_were_served(house, tmp_path):
    house.rate(1, rating="up", correction="")
    house.lessons.collect("shop")
    bodies = {"p1": "third", "p2": "first", "p3": "second"}
    passages = [Passage(key, "d", "d.md", "default", "shop", body, 0, 0, "") for key, body in bodies.items()]
    house.store.change_documents([(Document("d", "default", "shop", "d.md", "", "", "markdown"), passages)])
    with house.store.tables(Base.metadata).begin() as session:
        session.get_one(LessonRow, "a1").passages = json.dumps(["p2", "p3", "gone", "p1"])
    house.take(1)
    chat, _ = house.lessons.write("shop", 1, tmp_path / "loop")
    (row,) = map(json.loads, chat.read_text().splitlines())
    assert [one["text"] for one in row["passages"]] == ["first", "second", "third"]


WISH = ("user", "I want to talk to a real person"), ("NEEDS_HUMAN", "A colleague takes over.")


def test_a_persons_answer_is_learned_with_its_customers_consent_after_a_review(house, tmp_path):
    question = ("user", SAID)
    house.person(1, question, ("ANSWERED", "Within 14 days."), *WISH)
    house.person(2, question, ("NOT_IN_KNOWLEDGE_BASE", "I could not find this."), *WISH)
    house.person(3, question, ("ANSWERED", "Within 14 days."), *WISH, consent=False)
    house.person(4, question, ("ANSWERED", "Within 14 days."), *WISH, rating="down")
    house.person(5, *WISH)
    house.person(6, question, ("ANSWERED", "Within 14 days."), ("user", "Where is my order 4711?"))
    assert house.lessons.collect("shop") == Collected(new=2)
    first, second = house.lessons.waiting("shop")  # nothing of it is learned before somebody looked
    assert (first.kind, first.question.split(" I am ")[0], first.rejected) == (
        "person",
        "How long can I return boots?",
        "Within 14 days.",
    )
    assert second.rejected == ""  # to prefer an answer to a refusal would teach to guess
    for lesson in (first, second):
        house.lessons.decide(lesson.id, ACCEPTED, by="ada")
    assert house.take(1) == 2
    chat, pairs = house.lessons.write("shop", 1, tmp_path / "loop")
    assert len(chat.read_text().splitlines()) == 2
    (pair,) = map(json.loads, pairs.read_text().splitlines())
    assert pair["chosen"][0]["content"].startswith("Within 30 days")
    assert not [secret for secret in ("max@web.de", "0151") if secret in chat.read_text() + pairs.read_text()]
    assert {one.source for one in Curated(house.store, "default").suggestions("shop")} == {"desk"}


def test_a_corrected_refusal_is_learned_but_is_no_pair(house, tmp_path):
    house.rate(1, outcome="NOT_IN_KNOWLEDGE_BASE", cited=False)
    house.lessons.collect("shop")
    house.lessons.decide("a1", ACCEPTED, by="ada")
    house.take(1)
    chat, pairs = house.lessons.write("shop", 1, tmp_path / "loop")
    assert [len(file.read_text().splitlines()) for file in (chat, pairs)] == [1, 0]


def test_a_withdrawn_consent_takes_a_persons_answer_back(house):
    ticket = house.person(1, ("user", SAID), ("ANSWERED", "Within 14 days."), *WISH)
    house.lessons.collect("shop")
    house.feedback.rate(ticket, Opinion("up", "", consent=False), visitor="u1")
    assert house.lessons.collect("shop") == Collected(withdrawn=1)


def test_what_was_suggested_from_a_lesson_goes_with_it_unless_the_staff_decided(house):
    tickets = [house.rate(n, customer=f"u{n}", correction=f"Within {n}0 days.") for n in (1, 2)]
    house.lessons.collect("shop")
    curated = Curated(house.store, "default")
    house.lessons.decide("a1", ACCEPTED, by="ada")
    (first,) = curated.suggestions("shop")
    curated.decline(first.id, by="ada")
    house.lessons.decide("a2", ACCEPTED, by="ada")
    assert [one.answer for one in curated.suggestions("shop")] == ["Within 20 days."]
    for n, ticket in enumerate(tickets, 1):
        house.feedback.rate(ticket, Opinion("down", f"Within {n}0 days.", consent=False), visitor=f"u{n}")
    assert house.lessons.collect("shop") == Collected(withdrawn=2)
    assert curated.suggestions("shop") == []
    assert [one.answer for one in curated.suggestions("shop", state="declined")] == ["Within 10 days."]


def test_what_is_declined_is_never_used_and_what_is_accepted_is_suggested_too(house):
    house.rate(1)
    house.rate(2, customer="u2", correction="Never.")
    house.lessons.collect("shop")
    house.lessons.decide("a1", ACCEPTED, by="ada")
    house.lessons.decide("a2", DECLINED, by="ada")
    assert house.take(1) == 1
    assert [one.source for one in Curated(house.store, "default").suggestions("shop")] == ["correction"]


def test_a_forgotten_customer_is_in_no_lesson_and_no_file_of_the_loop(house):
    house.rate(1)
    house.rate(2, customer="u2", correction="Never at all, I am afraid.")
    house.lessons.collect("shop")
    for lesson in house.lessons.waiting("shop"):
        house.lessons.decide(lesson.id, ACCEPTED, by="ada")
    house.take(1)
    chat, pairs = house.lessons.write("shop", 1, house.settings.data_dir / "loop")
    searcher = Searcher(house.store, house.settings)
    assert forget("u1", store=house.store, settings=house.settings, index=searcher).complete
    assert house.lessons.standing("shop") == {"a2"}
    assert [len(file.read_text().splitlines()) for file in (chat, pairs)] == [1, 1]
    assert Curated(house.store, "default").suggestions("shop") == []
