"""`privacy find | forget | receipt | egress | redact` and the doors that keep the erased out. (E1, S10)"""

import datetime as dt
import io
import json
from pathlib import Path

import pytest

from assistant.commands import run
from assistant.store import Store, Turn
from assistant.types import Conversation, Message
from privacy.erasure import Journal, Marks, Tombstones, journal_path
from privacy.policy import Egress
from privacy.redaction import Redactor

CUSTOMER = "visitor-seventeen"


@pytest.fixture
def shop(tmp_path, monkeypatch):
    (tmp_path / "confide.toml").write_text('[model]\nengine = "echo"\n[retrieval]\nembedder = "hashing"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONFIDE_SETTINGS", str(tmp_path / "confide.toml"))
    store = Store.open(tmp_path / "data")
    turn = Turn("1", Message("user", "I am 100%_sure: write to Max@web.de"), None, dt.datetime(2026, 1, 1))
    store.append_turns(Conversation("c-17-abcdefgh", CUSTOMER), tenant="default", collection="shop", turns=[turn])
    store.close()
    return tmp_path


def says(capsys, *arguments, code=0):
    found = run(list(arguments))
    captured = capsys.readouterr()
    assert found == code, captured.err
    return captured.out


@pytest.mark.parametrize("text", ["max@WEB.de", "100%_sure"])
def test_a_customer_is_found_by_what_they_wrote(shop, capsys, text):
    assert json.loads(says(capsys, "privacy", "find", text, "--json")) == [{"customer": CUSTOMER, "conversations": 1}]


@pytest.mark.parametrize("text", ["100%xsure", "1_0"])
def test_what_is_looked_for_is_no_pattern(shop, capsys, text):
    assert json.loads(says(capsys, "privacy", "find", text, "--json")) == []


def test_forget_deletes_and_leaves_a_receipt_that_checks(shop, capsys):
    shown = says(capsys, "privacy", "forget", CUSTOMER, "--yes")
    assert "Not undone: Backups" in shown
    path = shown.split("Receipt: ")[1].strip()
    assert "is genuine" in says(capsys, "privacy", "receipt", path)
    data = json.loads(Path(path).read_text())
    Path(path).write_text(json.dumps({**data, "deleted": {}}))
    says(capsys, "privacy", "receipt", path, code=1)
    says(capsys, "privacy", "forget", CUSTOMER, "--yes", code=2)


def test_forget_names_one_customer_or_asks_for_the_pending(shop, capsys):
    says(capsys, "privacy", "forget", code=2)
    says(capsys, "privacy", "forget", CUSTOMER, "--pending", code=2)


def test_the_doctor_sees_a_half_erased_customer_and_pending_completes_it(shop, capsys):
    mark = Marks(shop / "data").of(CUSTOMER)
    facts = {"ids": [CUSTOMER, mark], "conversations": ["c-17-abcdefgh"], "documents": [], "counts": {}}
    Journal(journal_path(shop / "data", mark), CUSTOMER, "2026-01-01T00:00:00+00:00", ("Max@web.de",), facts).save()
    run(["doctor"])
    assert "1 customers are half erased" in capsys.readouterr().out
    says(capsys, "privacy", "forget", "--pending")
    run(["doctor"])
    assert "1 customers were erased" in capsys.readouterr().out
    assert json.loads(says(capsys, "privacy", "find", "web.de", "--json")) == []


def test_a_document_of_theirs_goes_with_them_and_does_not_come_back(shop, capsys):
    (shop / "letter.md").write_text("# Letter\n\nMy zephyrium pole broke.\n")
    (shop / "policy.md").write_text("# Policy\n\nPoles are repaired for 15 EUR.\n")
    says(capsys, "ingest", "policy.md")
    says(capsys, "ingest", "letter.md", "--customer", CUSTOMER)
    says(capsys, "privacy", "forget", CUSTOMER, "--yes")
    assert [one["name"] for one in json.loads(says(capsys, "documents", "list", "--json"))] == ["policy.md"]
    says(capsys, "ingest", "letter.md", "--customer", CUSTOMER, code=2)


def test_old_interactions_of_an_erased_customer_are_left_out(shop, capsys):
    (shop / "catalog.csv").write_text("id,title,price\nT1,Tent,99\n")
    rows = [f"{CUSTOMER},T1,buy,2026-01-01T00:00:00,1", "other,T1,buy,2026-01-01T00:00:00,1"]
    (shop / "log.csv").write_text("\n".join(["customer,item,event,at,value", *rows]) + "\n")
    Tombstones(shop / "data").add(Marks(shop / "data").of(CUSTOMER), "2026-01-01")
    says(capsys, "catalog", "import", "catalog.csv")
    assert json.loads(says(capsys, "interactions", "import", "log.csv", "--json"))["added"] == 1


def test_the_log_of_what_left_is_shown(shop, capsys):
    Egress(shop / "data").record("https://llm.example/v1", "shop", size=812, text=Redactor(bytes(32)).redact("x"))
    (gone,) = json.loads(says(capsys, "privacy", "egress", "--json"))
    assert (gone["destination"], gone["collection"], gone["bytes"]) == ("https://llm.example/v1", "shop", 812)
    assert "1 requests, 812 bytes" in says(capsys, "privacy", "egress")


def test_redact_reads_stdin(shop, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("write to max@web.de\n"))
    assert says(capsys, "privacy", "redact").startswith("write to <email:")
