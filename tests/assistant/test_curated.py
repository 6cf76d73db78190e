"""An approved answer is kept as a stored passage, for its questions only; what waits is reviewed by people."""

import datetime as dt

import pytest

from assistant.curated import APPROVED, Curated, Draft, suggest
from assistant.errors import BadInput, UnknownName
from assistant.outbound import Outbound
from assistant.owners import CustomerRows
from assistant.settings import Settings
from assistant.store import Store, Turn
from assistant.types import CollectionInfo, Company, Conversation, Message

TEXT = "Boots come back within 30 days, unworn."
QUESTION = "How long can I return boots?"


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path)
    company = Company(contact="help@juniper.example")
    opened.save_collection(CollectionInfo("default", "shop", ("en", "zh"), "hashing", 0.5, company))
    yield opened
    opened.close()


@pytest.fixture
def curated(store):
    return Curated(store, "default")


def talk(store, conversation, customer, text):
    turn = Turn("1", Message("user", text), None, dt.datetime(2026, 1, 1))
    store.append_turns(Conversation(conversation, customer), tenant="default", collection="shop", turns=[turn])


def passage_of(store, approved):
    (passage,) = store.passages("default", "shop#answers")
    assert passage.document_id == approved.document_id
    return passage


def test_an_approved_answer_is_a_stored_passage_byte_for_byte_and_in_no_collection(curated, store):
    made = curated.add("shop", Draft((QUESTION,), f"  {TEXT}\n"), by="ada")
    passage = passage_of(store, made)
    document = store.document(passage.document_id)
    assert document.text[passage.start : passage.end] == passage.text == made.text == TEXT
    assert not store.passages("default", "shop")
    assert [info.name for info in store.collections("default")] == ["shop"]


def test_an_edited_answer_is_a_new_passage_and_the_old_one_is_gone(curated, store):
    made = curated.add("shop", Draft((QUESTION, "Boots: until when?"), TEXT), by="ada")
    edited = curated.edit(made.id, Draft((QUESTION, "Can boots go back?"), "Within 60 days."), by="bob")
    assert edited.questions == (QUESTION, "Can boots go back?")
    assert (edited.text, edited.by, edited.id) == ("Within 60 days.", "bob", made.id)
    assert passage_of(store, edited).text == "Within 60 days."
    assert store.document(made.document_id) is None


def test_a_removed_answer_leaves_nothing(curated, store):
    made = curated.add("shop", Draft((QUESTION,), TEXT), by="ada")
    curated.remove(made.id)
    assert not curated.all("shop")
    assert store.document(made.document_id) is None
    with pytest.raises(UnknownName):
        curated.remove(made.id)


def test_one_question_has_one_approved_answer_and_everything_wrong_is_told_at_once(curated):
    curated.add("shop", Draft((QUESTION,), TEXT), by="ada")
    with pytest.raises(BadInput, match=r"no answer.*answered by") as told:
        curated.add("shop", Draft(("how long can i RETURN boots",), " "), by="ada")
    assert "cannot be approved" in told.value.message


def test_what_is_personal_is_not_shown_to_everybody_but_the_companys_own_may(curated):
    with pytest.raises(BadInput, match=r"max@web\.de"):
        curated.add("shop", Draft((QUESTION,), "Write to max@web.de."), by="ada")
    curated.add("shop", Draft((QUESTION,), "Write to help@juniper.example."), by="ada")
    curated.add("shop", Draft(("And socks?",), "Write to max@web.de.", sure=True), by="ada")


def test_the_shops_own_order_numbers_and_what_hides_behind_invisible_characters_are_personal_too(store, tmp_path):
    settings = Settings(data_dir=tmp_path, privacy={"order_formats": ["KF-####-@@"]})
    curated = Curated(store, "default", Outbound(settings).find)
    with pytest.raises(BadInput, match=r"KF-1001-XY.*max@web\.de"):
        curated.add("shop", Draft((QUESTION,), "Your parcel KF-1001-XY is on its way to max\u200b@web.de."), by="ada")


def test_the_same_question_again_is_counted_once_for_each_customer(curated, store):
    talk(store, "c1", "one", QUESTION)
    talk(store, "c2", "two", QUESTION)
    first = suggest(store, "default", "shop", QUESTION, "", "mined", conversation="c1")
    assert suggest(store, "default", "shop", "how long can I return boots", TEXT, "desk", conversation="c1") == first
    assert suggest(store, "default", "shop", QUESTION, "Other.", "desk", conversation="c2") == first
    (waiting,) = curated.suggestions("shop")
    assert (waiting.asked, waiting.answer, waiting.question) == (2, TEXT, QUESTION)


def test_an_answer_goes_with_the_conversation_it_was_written_in_also_where_another_customer_asked_first(curated, store):
    for conversation, customer in (("c1", "one"), ("c2", "two")):
        talk(store, conversation, customer, QUESTION)
    suggest(store, "default", "shop", QUESTION, "", "mined", conversation="c1")
    suggest(store, "default", "shop", QUESTION, "Dear Ms Miller, yours is at Lake Street 5.", "desk", conversation="c2")
    store.remove_conversation("c1", "one")
    assert len(curated.suggestions("shop")) == 1
    store.remove_conversation("c2", "two")
    assert not curated.suggestions("shop")
    assert suggest(store, "default", "shop", QUESTION, "Dear Ms Miller.", "desk", conversation="c2") == ""


def test_a_customer_counts_once_however_often_somebody_suggests_what_they_asked(curated, store):
    for conversation, customer in (("c1", "one"), ("c2", "two")):
        talk(store, conversation, customer, QUESTION)
    for conversation in ("c1", "c2", "c2", "c1", "c2"):
        suggest(store, "default", "shop", QUESTION, TEXT, "desk", conversation=conversation)
    assert [one.asked for one in curated.suggestions("shop")] == [2]


def test_a_suggestion_goes_with_its_conversation_and_an_approved_question_with_its_customer_only(curated, store):
    talk(store, "c1", "one", QUESTION)
    suggest(store, "default", "shop", "What about gaiters?", TEXT, "desk", conversation="c1")
    identity = suggest(store, "default", "shop", QUESTION, TEXT, "desk", conversation="c1")
    made = curated.approve(identity, Draft((QUESTION, "Boots back?"), TEXT), by="ada")
    store.remove_conversation("c1", "one")
    assert not curated.suggestions("shop")
    assert curated.find(made.id).questions == (QUESTION, "Boots back?")
    CustomerRows(store, "default", frozenset({"one"})).delete(["c1"])
    assert curated.find(made.id).questions == ("Boots back?",)


def test_an_approved_suggestion_joins_the_answer_that_is_there(curated, store):
    made = curated.add("shop", Draft((QUESTION,), TEXT), by="ada")
    identity = suggest(store, "default", "shop", "Boots: deadline for sending back?", "", "correction")
    joined = curated.approve(identity, Draft(("Boots: deadline for sending back?",), TEXT), by="bob")
    assert joined.id == made.id
    assert len(joined.questions) == 2
    assert not curated.suggestions("shop")
    assert len(curated.suggestions("shop", state=APPROVED)) == 1


def test_a_tenant_sees_and_changes_its_own_only(curated, store):
    made = curated.add("shop", Draft((QUESTION,), TEXT), by="ada")
    identity = suggest(store, "default", "shop", "Other?", "", "staff")
    other = Curated(store, "acme")
    assert not other.all("shop")
    assert not other.suggestions("shop")
    for act in (lambda: other.remove(made.id), lambda: other.decline(identity, by="eve"), lambda: other.find(made.id)):
        with pytest.raises(UnknownName):
            act()


def test_nothing_is_suggested_from_nothing(store):
    assert suggest(store, "default", "shop", "  ", TEXT, "desk") == ""
    assert suggest(store, "default", "shop", QUESTION, TEXT, "elsewhere") == ""
