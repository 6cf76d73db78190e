import datetime as dt
import sqlite3
import threading

import databases
import pytest
import sqlalchemy as sa

from assistant.errors import StoreError
from assistant.store import STOPPED, Store, Turn
from assistant.types import CollectionInfo, Company, Conversation, Document, Heading, Message, Passage

COMPANY = Company(names={"en": "Shop", "zh": "店"}, examples={"en": ("How?",)}, contact="a@b.example")
INFO = CollectionInfo("t", "shop", ("en", "zh"), "hashing", 0.4, company=COMPANY)


@pytest.fixture(params=databases.BOTH)
def url(request):
    return databases.url_of(request.param)


@pytest.fixture
def store(tmp_path, url):
    store = Store.open(tmp_path, url)
    yield store
    store.close()


@pytest.fixture
def file_store(tmp_path):
    store = Store.open(tmp_path)
    yield store
    store.close()


def document(name="a.md", text="Ships today. 今天发货。", tenant="t", collection="shop", version="1"):
    return Document(
        id=f"{tenant}-{collection}-{name}-{version}", tenant=tenant, collection=collection, name=name, text=text, sha256=version,
        kind="markdown", language="en", pages=(0, 5), headings=(Heading(1, "Ships", 0),), rows=((0, 3), (4, 9)),
    )  # fmt: skip


def passages(of):
    return [
        Passage(
            f"{of.id}-{n}", of.id, of.name, of.tenant, of.collection, of.text[a:b], a, b, "0", n + 1, ("Ships",), "en"
        )
        for n, (a, b) in enumerate(((0, 12), (13, len(of.text))))
    ]


def turn(client_id, role="user", text="Hello", answer=None):
    return Turn(client_id, Message(role, text), answer, dt.datetime(2026, 1, 1))


def test_what_is_stored_comes_back_equal(store):
    one = document()
    store.save_collection(INFO)
    store.change_documents([(one, passages(one))])
    assert store.documents("t", "shop") == [one]
    assert store.document(one.id) == one
    assert store.passages("t", "shop") == passages(one)
    assert store.passage("t", passages(one)[0].id) == passages(one)[0]
    info = store.collection("t", "shop")
    assert (info.documents, info.passages, info.company, info.languages) == (1, 2, COMPANY, ("en", "zh"))


def test_a_store_is_the_same_after_it_was_closed(tmp_path, url):
    one = document()
    first = Store.open(tmp_path, url)
    first.save_collection(INFO)
    first.change_documents([(one, passages(one))])
    first.close()
    second = Store.open(tmp_path, url)
    assert second.documents("t", "shop") == [one]
    second.close()


def test_a_change_of_documents_happens_whole_or_not_at_all(store):
    one, two = document("a.md"), document("b.md")
    store.change_documents([(one, passages(one))])
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.change_documents([(two, passages(two)), (document("a.md", version="2"), [])], removed=[])
    assert store.documents("t", "shop") == [one]


def test_a_document_takes_its_passages_with_it(store):
    one = document()
    store.change_documents([(one, passages(one))])
    store.change_documents([], removed=[one.id])
    assert store.passages("t", "shop") == []
    assert store.passage("t", passages(one)[0].id) is None


def test_tenants_do_not_see_each_other(store):
    mine, theirs = document(tenant="t"), document(tenant="u")
    store.change_documents([(mine, passages(mine)), (theirs, passages(theirs))])
    assert store.documents("t", "shop") == [mine]
    assert store.passage("t", passages(theirs)[0].id) is None


def test_a_removed_collection_leaves_nothing(store):
    one = document()
    store.save_collection(INFO)
    store.change_documents([(one, passages(one))])
    assert store.remove_collection("t", "shop") is True
    assert store.collection("t", "shop") is None
    assert store.documents("t", "shop") == []
    assert store.remove_collection("t", "shop") is False


def test_a_conversation_comes_back_to_its_customer_only(store):
    talk = Conversation("c", customer="anna")
    store.append_turns(
        talk, tenant="t", collection="shop", turns=[turn("1"), turn("2", "assistant", "Hi", {"id": "x"})]
    )
    assert [row.message for row in store.turns("c", "anna")] == [Message("user", "Hello"), Message("assistant", "Hi")]
    assert store.turns("c", "anna")[1].answer == {"id": "x"}
    assert store.turns("c", "bert") == []
    assert store.conversations("t", "bert") == []
    assert [row.title for row in store.conversations("t", "anna")] == ["Hello"]


def test_a_repeated_write_is_stored_once(store):
    talk = Conversation("c", customer="anna")
    for _ in range(3):
        store.append_turns(talk, tenant="t", collection="shop", turns=[turn("1")])
    assert len(store.turns("c", "anna")) == 1


def test_nobody_writes_into_another_ones_conversation(store):
    store.append_turns(Conversation("c", customer="anna"), tenant="t", collection="shop", turns=[turn("1")])
    with pytest.raises(StoreError, match="somebody else"):
        store.append_turns(Conversation("c", customer="bert"), tenant="t", collection="shop", turns=[turn("2")])
    assert not store.remove_conversation("c", "bert")
    store.drop_turns_after("c", "bert", 0)
    assert len(store.turns("c", "anna")) == 1


def test_an_edited_question_drops_what_came_after(store):
    talk = Conversation("c", customer="anna")
    store.append_turns(talk, tenant="t", collection="shop", turns=[turn(str(n), text=str(n)) for n in range(4)])
    store.drop_turns_after("c", "anna", 2)
    assert [row.message.text for row in store.turns("c", "anna")] == ["0", "1"]


def test_the_title_goes_with_the_question_that_it_was(store):
    talk = Conversation("c", customer="anna")
    store.append_turns(
        talk, tenant="t", collection="shop", turns=[turn("1", text="My card 4111"), turn("2", "assistant")]
    )
    store.append_turns(talk, tenant="t", collection="shop", turns=[turn("3", text="And now?")])
    store.drop_turns_after("c", "anna", 2)
    assert [row.title for row in store.conversations("t", "anna")] == ["My card 4111"]
    store.drop_turns_after("c", "anna", 0)
    assert [row.title for row in store.conversations("t", "anna")] == [""]
    store.append_turns(talk, tenant="t", collection="shop", turns=[turn("4", text="Opening  hours?")])
    assert [row.title for row in store.conversations("t", "anna")] == ["Opening hours?"]


def test_only_its_customer_begins_a_conversation(store):
    talk, told = Conversation("c", customer="anna"), []
    store.append_turns(
        talk, tenant="t", collection="shop", turns=[turn("1", "assistant", "Hi", {"id": "x"})], also=told.append
    )
    assert (store.conversations("t", "anna"), told) == ([], [])


def test_an_answer_that_was_stopped_is_replaced_in_its_place_and_a_whole_one_never(store):
    talk = Conversation("c", customer="anna")

    def says(text, *notes):
        data = {"id": "a", "receipt": {"notes": list(notes)}}
        store.append_turns(talk, tenant="t", collection="shop", turns=[turn("a", "assistant", text, data)])
        return [row.message.text for row in store.turns("c", "anna")]

    store.append_turns(talk, tenant="t", collection="shop", turns=[turn("q", text="?")])
    assert says("Half", STOPPED) == ["?", "Half"]
    store.append_turns(talk, tenant="t", collection="shop", turns=[turn("q2", text="??")])
    assert says("Half and half") == ["?", "Half and half", "??"]
    assert says("Half again", STOPPED) == says("Other") == ["?", "Half and half", "??"]


def test_a_conversation_deleted_while_it_is_written_in_does_not_break_the_writer(file_store, tmp_path):
    talk = Conversation("c", customer="anna")
    file_store.append_turns(talk, tenant="t", collection="shop", turns=[turn("1")])
    other = sqlite3.connect(tmp_path / "confide.db", isolation_level=None)

    @sa.event.listens_for(file_store._engine, "before_cursor_execute")
    def delete(connection, cursor, statement, *rest):  # between the look at it and the writing
        if "FROM turns" in statement:
            other.execute("DELETE FROM conversations")

    file_store.append_turns(talk, tenant="t", collection="shop", turns=[turn("2", "assistant", "Hi", {"id": "x"})])
    other.close()
    assert file_store.conversations("t", "anna") == []


def test_a_removed_conversation_leaves_no_bytes(file_store, tmp_path):
    talk = Conversation("c", customer="anna")
    file_store.append_turns(talk, tenant="t", collection="shop", turns=[turn("1", text="unmistakable words")])
    assert file_store.remove_conversation("c", "anna")
    file_store.close()
    with sqlite3.connect(tmp_path / "confide.db") as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    plain.close()
    assert b"unmistakable" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_many_writers_lose_nothing(store):
    def write(number):
        talk = Conversation(f"c{number}", customer="anna")
        for n in range(5):
            store.append_turns(talk, tenant="t", collection="shop", turns=[turn(str(n))])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(store.turns(f"c{number}", "anna")) for number in range(8)] == [5] * 8


def test_a_commit_is_synced_and_what_is_deleted_is_overwritten(file_store):
    with file_store._engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1}


def test_a_store_that_cannot_be_opened_says_so(tmp_path):
    (tmp_path / "confide.db").write_bytes(b"this is no database, and long enough to be taken for one" * 20)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store.open(tmp_path)


def test_many_passages_come_in_one_query_and_only_ones_own(store):
    mine, theirs = document("a.md"), document("b.md", tenant="other")
    store.change_documents([(mine, passages(mine)), (theirs, passages(theirs))])
    statements = []
    sa.event.listen(store._engine, "before_cursor_execute", lambda *event: statements.append(event[2]))
    wanted = [passage.id for passage in (*passages(mine), *passages(theirs))]
    assert store.passages_by_id("t", [*wanted, "none"]) == {passage.id: passage for passage in passages(mine)}
    assert len(statements) == 1


def test_cuts_are_the_spans_of_each_document(store):
    one = document()
    store.change_documents([(one, passages(one))])
    assert store.cuts("t", "shop") == {one.id: [(passage.start, passage.end) for passage in passages(one)]}


def test_a_database_without_driver_or_sense_is_told():
    with pytest.raises(StoreError, match="not installed"):
        Store("oracle+cx_oracle://u:p@h/d")
    with pytest.raises(StoreError, match="not the URL"):
        Store("what is this")


def test_a_database_that_does_not_answer_is_told_without_its_password():
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match="cannot be opened") as told:
        Store("postgresql://user:secret-word@127.0.0.1:1/none")
    assert "secret-word" not in str(told.value)
