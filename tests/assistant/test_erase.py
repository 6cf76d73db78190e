"""After `forget` nothing of the customer is left in the data folder, and nothing of anybody else is gone. (E1; OWASP LLM02:2025)"""

import contextlib
import csv
import dataclasses
import datetime as dt
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import databases
import pytest
import sqlalchemy as sa

from assistant import erase
from assistant.adapters import CONFIG, WEIGHTS, Shelf
from assistant.erase import forget
from assistant.errors import BadInput
from assistant.goods import Interaction
from assistant.ingest import ingest
from assistant.owners import Owners
from assistant.retrieval.search import Searcher
from assistant.rows import Base, CaseRow
from assistant.settings import load_settings
from assistant.stock import Stock as Goods
from assistant.store import Store, Turn
from assistant.types import Adapter, Conversation, Message
from privacy.erasure import Learned, Marks, Tombstones, is_genuine, open_journals, traces
from privacy.types import PrivacySpend

ME, OTHER = "customer-mine-0001", "customer-other-0002"
SAID = "My grandmother's tent from Ålesund, call 0151 23456789 or max@web.de"
LETTER = "# Letter\n\nThe quixotic zephyrium pole of my late uncle broke in Trondheim.\n"
NOW = dt.datetime(2026, 1, 1)


@dataclasses.dataclass
class House:
    store: Store
    settings: object
    searcher: Searcher

    def forget(self, customer=ME):
        return forget(customer, store=self.store, settings=self.settings, index=self.searcher)

    @property
    def root(self) -> Path:
        return self.settings.data_dir


def furnish(root: Path, url: str = "") -> House:
    settings = load_settings(data_dir=root, store_url=url, retrieval={"embedder": "hashing", "threshold": 0.05})
    store = Store.of(settings)
    return House(store, settings, Searcher(store, settings))


def talk(house, customer, text, conversation):
    turns = [
        Turn("1", Message("user", text), None, NOW),
        Turn("2", Message("assistant", "I see."), {"receipt": {"query": text}}, NOW),
    ]
    house.store.append_turns(Conversation(conversation, customer), tenant="default", collection="shop", turns=turns)


def adapter(house, name, parent=None, privacy=()):
    def write(folder):
        (folder / WEIGHTS).write_bytes(f"weights of {name}".encode())
        (folder / CONFIG).write_text("{}")

    card = Adapter(
        name=name, version=0, path="", task="chat", base="b", base_sha256="", sha256="", rank=1, alpha=1.0,
        targets=("q",), parent=parent, privacy=privacy, created=f"2026-01-0{len(name)}",
    )  # fmt: skip
    return Shelf(house.root).save(card, write)


def fill(house, files):
    talk(house, ME, SAID, "conversation-mine-1")
    talk(house, OTHER, "Do you repair the tents of other people in winter?", "conversation-other-1")
    (files / "letter.md").write_text(LETTER)
    (files / "faq.md").write_text("# Repairs\n\nWrite to help@shop.example. Tent poles are repaired for 15 EUR.\n")
    ingest([files / "letter.md", files / "faq.md"], store=house.store, settings=house.settings, index=house.searcher)
    Owners(house.store).claim("default", "shop", "letter.md", ME)
    goods = Goods(house.store, "default", "shop")
    goods.add([Interaction(ME, "tent", "buy", NOW, 1.0), Interaction(OTHER, "tent", "buy", NOW, 1.0)])
    training = house.root / "training"
    training.mkdir()
    system = {"role": "system", "content": "You are the assistant of the Kestrel outdoor shop."}
    rows = [
        {"messages": [system, {"role": "user", "content": SAID}], "customer": ME},
        {"messages": [system, {"role": "user", "content": "Where is my parcel from Bergen gone?"}], "customer": OTHER},
        {"messages": [system, {"role": "user", "content": SAID}]},
        {"messages": [system, {"role": "user", "content": "hello"}], "customer": house_mark(house)},
    ]
    (training / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with (training / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label", "customer"], [SAID, "a", ME], ["fine,\nthanks", "b", OTHER]])
    (house.root / "feedback.json").write_text(
        json.dumps({"queue": [{"customer": ME, "comment": SAID}, {"customer": OTHER}]})
    )
    (house.root / "logs").mkdir()
    (house.root / "logs" / "app.log").write_text(f"INFO asked: {SAID}\nINFO conversation-mine-1 ended\nINFO fine\n")
    (house.root / "uploads" / "abc").mkdir(parents=True)
    (house.root / "uploads" / "abc" / "scan.bin").write_bytes(SAID.encode("utf-16-le"))


def house_mark(house):
    return Marks(house.root, "default").of(ME)


@pytest.fixture(params=databases.BOTH)
def house(tmp_path, request):
    made = furnish(tmp_path / "data", databases.url_of(request.param))
    fill(made, tmp_path)
    yield made
    made.store.close()


WANTED = [SAID, "Ålesund", "0151 23456789", "max@web.de", "zephyrium", "Trondheim", ME, "conversation-mine-1"]


def in_tables(house):
    """What of the wanted words stands in any column of any table."""
    with house.store.tables(sa.MetaData())() as session:
        tables = sa.MetaData()
        tables.reflect(session.connection())
        rows = "\n".join(str(row) for table in tables.tables.values() for row in session.execute(sa.select(table)))
    return [word for word in WANTED if word in rows]


def test_nothing_is_left_anywhere_in_the_data_folder_or_the_database(house):
    assert list(traces(house.root, WANTED))
    assert in_tables(house)
    done = house.forget()
    assert list(traces(house.root, WANTED)) == []
    assert in_tables(house) == []
    assert done.complete


def test_nothing_of_anybody_else_is_gone(house):
    house.forget()
    assert len(house.store.turns("conversation-other-1", OTHER)) == 2
    assert [one.name for one in house.store.documents("default", "shop")] == ["faq.md"]
    assert house.searcher.search("default", "shop", "tent poles repaired")
    assert len(Goods(house.store, "default", "shop").interactions()) == 1
    rows = [json.loads(line) for line in (house.root / "training" / "rows.jsonl").read_text().splitlines()]
    assert [row["customer"] for row in rows] == [OTHER]
    with (house.root / "training" / "labels.csv").open(newline="") as file:
        assert list(csv.reader(file))[1:] == [["fine,\nthanks", "b", OTHER]]
    assert json.loads((house.root / "feedback.json").read_text()) == {"queue": [{"customer": OTHER}]}
    assert (house.root / "logs" / "app.log").read_text() == "INFO fine\n"


def test_a_file_without_rows_of_theirs_is_not_touched(house):
    path = house.root / "training" / "others.jsonl"
    path.write_text('{"text":  "spaced", "customer": "x"}\n')
    before = path.stat().st_mtime_ns
    house.forget()
    assert path.stat().st_mtime_ns == before


def test_the_vector_of_their_passage_is_gone(house):
    passage = next(one for one in house.store.passages("default", "shop") if one.document == "letter.md")
    text = " ".join([*passage.headings, passage.text]) if passage.headings else passage.text
    embedder = house.searcher.embedder("default", "shop")
    vectors = [
        embedder.encode([one]).astype("<f4").tobytes()
        for one in (text, passage.text, "\n".join([*passage.headings, passage.text]))
    ]
    assert any(True for _ in traces(house.root, vectors))
    house.forget()
    assert list(traces(house.root, vectors)) == []


def test_what_others_said_too_is_not_theirs_alone(house):
    shared = "Is the Kestrel tent waterproof in heavy rain?"
    talk(house, ME, shared, "conversation-mine-2")
    talk(house, OTHER, shared, "conversation-other-2")
    done = house.forget()
    assert house.store.turns("conversation-other-2", OTHER)[0].message.text == shared
    assert done.complete


def test_the_companys_own_address_is_not_searched_for(house):
    talk(house, ME, "I wrote to help@shop.example", "conversation-mine-3")
    assert house.forget().complete
    assert house.store.documents("default", "shop")


def test_the_receipt_is_signed_and_names_nobody(house):
    done = house.forget()
    kept = json.loads(done.path.read_text())
    assert is_genuine(kept)
    assert not is_genuine({**kept, "ended": "2020-01-01"})
    assert not is_genuine(kept, public_key="00" * 32)
    assert ME not in done.path.read_text()
    assert done.receipt["deleted"]["documents"] == 1
    assert done.receipt["deleted"]["rows"] >= 4
    assert done.receipt["deleted"]["copies"] == 1
    assert any("outside the data folder" in line for line in done.receipt["not_undone"])


def test_adapters_that_learned_from_them_are_marked_with_what_bounds_them(house):
    private = PrivacySpend("dpsgd", 1.0, 0.01, 100, 1.0, "customer", "chats")
    first = adapter(house, "one", privacy=(private,))
    child = adapter(house, "child", parent=first.id, privacy=(private, PrivacySpend.nonprivate("chats")))
    untouched = adapter(house, "untouched")
    Learned(house.root).remember(first.sha256, [ME, OTHER])
    Learned(house.root).remember(untouched.sha256, [OTHER])
    done = house.forget()
    shelf = Shelf(house.root)
    assert "train it again without them" in shelf.find(first.id).notes[0]
    assert "train it again without them" in shelf.find(child.id).notes[0]
    assert shelf.find(untouched.id).notes == ()
    bounds = {one["adapter"]: one["epsilon"] for one in done.receipt["adapters"]}
    assert 0 < bounds[first.id] < 10
    assert bounds[child.id] is None
    assert any("no epsilon bounds" in line for line in done.receipt["not_undone"])


def test_what_may_have_learned_from_them_unseen_is_named(house):
    (house.root / "runs" / "half" / "checkpoint" / "step-3").mkdir(parents=True)
    for file in (
        "died/run.json",
        "killed/activations/activations-float32.bin",
        "torn/adapter/weights",
        "done/plan.json",
    ):
        (house.root / "runs" / file).parent.mkdir(parents=True)
        (house.root / "runs" / file).write_text("{}")
    old, mix = adapter(house, "old"), adapter(house, "mix")
    shelf = Shelf(house.root)
    shelf.amend(shelf.find(old.id), owners=4)
    shelf.amend(shelf.find(mix.id), method="combined")
    lines = house.forget().receipt["not_undone"]
    named = [name for name in ("died", "killed", "torn", "done") if any(f"training run {name}" in one for one in lines)]
    assert named == ["died", "killed", "torn"]
    assert any("adapter mix@1 learned from is not known" in line for line in lines)
    assert any("unfinished training run half" in line for line in lines)
    assert any("adapter old@1 learned from is not known" in line for line in lines)


def test_an_erased_customer_is_known_by_a_keyed_mark_only(house):
    house.forget()
    stones = Tombstones(house.root)
    assert stones.erased([ME, OTHER, house_mark(house), ""]) == {ME, house_mark(house)}
    assert ME not in (house.root / "privacy" / "erased.jsonl").read_text()


def test_an_unknown_customer_is_bad_input_and_nothing_is_written(house):
    with pytest.raises(BadInput, match="nothing of a customer"):
        house.forget("nobody")
    with pytest.raises(BadInput):
        house.forget(" ")
    assert Tombstones(house.root).marks() == frozenset()


def test_another_tenants_customer_of_the_same_id_stays(house):
    other = Conversation("conversation-tenant-2", ME)
    turn = Turn("1", Message("user", "I belong to another company of this house"), None, NOW)
    house.store.append_turns(other, tenant="second", collection="shop", turns=[turn])
    house.forget()
    assert len(house.store.turns("conversation-tenant-2", ME)) == 1


def test_a_table_of_any_module_is_reached_by_its_customer_column(house):
    columns = (sa.Column(name, sa.Text) for name in ("customer", "conversation_id", "comment"))
    opinions = sa.Table("opinions", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *columns)
    with house.store.tables(opinions.metadata).begin() as session:
        session.execute(sa.insert(opinions).values(customer=ME, comment="a comment of many words of mine"))
        session.execute(sa.insert(opinions).values(conversation_id="conversation-mine-1"))
        session.execute(sa.insert(opinions).values(customer=OTHER))
    house.forget()
    with house.store.tables(sa.MetaData())() as session:
        assert session.scalars(sa.select(opinions.c.customer)).all() == [OTHER]


def test_what_cannot_be_changed_is_named_in_the_receipt(house):
    (house.root / "notes.bin").write_bytes(b"\x00\xff" + SAID.encode("utf-16-be"))
    done = house.forget()
    assert not done.complete
    assert [one["file"] for one in done.receipt["traces"]] == ["notes.bin"]


@pytest.fixture
def shop(tmp_path):
    made = furnish(tmp_path / "data")
    (made.root / "logs").mkdir(parents=True)
    yield made
    made.store.close()


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        ("customer-1", "customer-12"),
        ("customer-1", "customer-1-2"),
        ("li@qq.com", "wangli@qq.com"),
        ("C-104", "C-1042"),
    ],
)
def test_a_customer_whose_id_holds_theirs_keeps_everything_and_the_erasure_is_complete(shop, mine, other):
    talk(shop, mine, "Where is the big green tent that I bought?", "conversation-a")
    talk(shop, other, f"Do you repair tents?\n{other} is asking, for {other}!", "conversation-b")
    log, rows = shop.root / "logs" / "app.log", shop.root / "logs" / "rows.jsonl"
    log.write_text(f'shipped to {other}\nshipped to {mine}.\n"x\\n{mine}"\n给{mine}发货\n')
    rows.write_text(json.dumps({"note": f"{other} called"}) + "\n" + json.dumps({"note": f"{mine} called"}) + "\n")
    done = shop.forget(mine)
    assert (done.complete, done.receipt["traces"]) == (True, [])
    assert log.read_text() == f"shipped to {other}\n"
    assert rows.read_text() == json.dumps({"note": f"{other} called"}) + "\n"
    assert len(shop.store.turns("conversation-b", other)) == 2


def test_what_only_holds_their_id_is_not_changed_but_told(shop):
    talk(shop, "customer-1", "Where is the big green tent that I bought?", "conversation-a")
    (shop.root / "logs" / "app.log").write_text("wrote letter_customer-1.pdf\n")
    (shop.root / "letter_customer-1.pdf").write_bytes(b"%PDF")
    (shop.root / "packed.bin").write_bytes(b"\0shopcustomer-1Where is")
    assert [one["file"] for one in shop.forget("customer-1").receipt["traces"]] == [
        "letter_customer-1.pdf", "logs/app.log", "packed.bin",
    ]  # fmt: skip


@pytest.mark.parametrize(("customer", "told"), [("C-1042", False), ("anna", True), ("10421", True), ("K-7", True)])
def test_a_short_id_is_looked_for_where_it_is_a_code_and_the_receipt_says_where_it_is_not(shop, customer, told):
    talk(shop, customer, "Where is it?", "conversation-a")
    log = shop.root / "logs" / "app.log"
    log.write_text(f"refund for {customer} of 30 EUR\nfine\n")
    receipt = shop.forget(customer).receipt
    assert any("id itself" in line for line in receipt["not_undone"]) is told
    assert log.read_text() == (f"refund for {customer} of 30 EUR\nfine\n" if told else "fine\n")


def test_a_code_that_others_use_too_is_not_looked_for(shop):
    talk(shop, "KF-1001", "Where is it?", "conversation-a")
    talk(shop, OTHER, "Is the tent KF-1001 waterproof?", "conversation-b")
    (shop.root / "logs" / "app.log").write_text("sold KF-1001\n")
    assert any("id itself" in line for line in shop.forget("KF-1001").receipt["not_undone"])
    assert (shop.root / "logs" / "app.log").read_text() == "sold KF-1001\n"


@pytest.mark.parametrize(
    ("said", "theirs", "others"),
    [
        (
            "我叫王小明，家住朝阳区建国路八十八号三单元",
            "asked: 我叫王小明，家住朝阳区建国路八十八号三单元",
            "asked: 我要退货",
        ),
        ("please call me at 138 1234 5678", "13812345678,angry", "138123456780,fine"),
        ("please call me at 138 1234 5678", "+8613812345678,angry", "13812345679,fine"),
        ("I am Max (at) Web.de", "max@web.de,angry", "amax@web.de,fine"),
    ],
)
def test_what_they_said_is_found_in_every_script_and_however_it_is_written(shop, said, theirs, others):
    talk(shop, ME, said, "conversation-a")
    log = shop.root / "logs" / "app.log"
    log.write_text(f"{theirs}\n{others}\n")
    assert shop.forget().complete
    assert log.read_text() == f"{others}\n"


def test_what_they_left_at_the_desk_is_looked_for_and_what_is_the_staffs_is_not(shop):
    talk(shop, ME, "I want to talk to a person", "conversation-a")
    case = CaseRow(
        conversation="conversation-a", tenant="default", customer=ME, state="taken", holder="eve@shop.example",
        staff="Eve", asked=NOW, changed=NOW, email="ann.wei@web.de", name="Ann Wei", told=False,
    )  # fmt: skip
    with shop.store.tables(Base.metadata).begin() as session:
        session.add(case)
    log = shop.root / "logs" / "mail.csv"
    log.write_text("to,subject\nann.wei@web.de,Your question\neve@shop.example,Your shift\n")
    assert shop.forget().complete
    assert log.read_text() == "to,subject\neve@shop.example,Your shift\n"


def test_what_another_company_of_the_house_began_is_not_pending_here(shop, monkeypatch):
    second = dataclasses.replace(shop, settings=shop.settings.model_copy(update={"tenant": "second"}))
    turn = Turn("1", Message("user", "My boots leak"), None, NOW)
    shop.store.append_turns(Conversation("conversation-s", ME), tenant="second", collection="shop", turns=[turn])
    talk(shop, ME, "Where is my tent?", "conversation-a")
    with monkeypatch.context() as patch:
        patch.setattr(erase._Erasure, "_copies", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            second.forget()
    assert (erase.pending(shop.settings), erase.pending(second.settings)) == ([], [ME])
    second.forget()
    assert len(shop.store.turns("conversation-a", ME)) == 2


STEPS = ["_documents", "_copies", "_learned", "_close"]


@pytest.mark.parametrize("step", [*STEPS, "scrub", "delete", "compact"])
def test_an_erasure_killed_at_any_step_is_completed_by_running_it_again(house, step, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*arguments, **options):
        raise Killed

    with monkeypatch.context() as patch:
        if step in STEPS:
            patch.setattr(erase._Erasure, step, die)
        elif step == "scrub":
            patch.setattr(erase, "scrub", die)
        else:
            patch.setattr(erase.CustomerRows, step, die)
        with pytest.raises(Killed):
            house.forget()
    assert erase.pending(house.settings) == [ME]
    assert Tombstones(house.root).erased([ME])
    done = house.forget()
    assert done.complete
    assert list(traces(house.root, WANTED)) == []
    assert open_journals(house.root) == []


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_erase import furnish
house = furnish(Path(sys.argv[1]))
print("go", flush=True)
house.forget()
"""


@pytest.mark.slow
def test_a_real_kill_at_any_moment_loses_nothing(tmp_path):
    import random
    import time

    for number in range(20):
        root = tmp_path / str(number)
        (root / "files").mkdir(parents=True)
        house = furnish(root / "data")
        fill(house, root / "files")
        house.store.close()
        script = SCRIPT.format(paths=[str(Path(__file__).parents[n]) for n in range(3)])
        with subprocess.Popen([sys.executable, "-c", script, str(root / "data")], stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"go\n"
            time.sleep(random.uniform(0, 0.6))
            os.kill(child.pid, signal.SIGKILL)
        house = furnish(root / "data")
        with contextlib.suppress(BadInput):  # it was done before the kill came
            house.forget()
        assert list(traces(root / "data", WANTED)) == []
        assert open_journals(root / "data") == []
        house.store.close()
