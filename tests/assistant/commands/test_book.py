"""`privacy report | budget | declare | plan | verify | export | adopt | conform`."""

import json
import shutil

import pytest

from assistant.commands import run
from privacy.ledger import Ledger
from privacy.members import Members
from privacy.types import PrivacySpend


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONFIDE_SETTINGS", raising=False)
    ledger = Ledger(tmp_path / "data", holder="default")
    ledger.charge(PrivacySpend("gaussian", 20.0, 1.0, 10, 1.0, "customer", "chats"), "adapter support")
    ledger.charge(PrivacySpend.nonprivate("reviews"), "adapter moods")
    return tmp_path


def said(capsys):
    return json.loads(capsys.readouterr().out)


def test_the_report_says_what_was_spent_and_what_is_infinite(shop, capsys):
    assert run(["privacy", "report", "--json"]) == 0
    told = said(capsys)
    assert 0 < told["scopes"]["chats"]["spent"] < 2
    assert told["scopes"]["reviews"]["spent"] is None
    assert [charge["purpose"] for charge in told["charges"]] == ["adapter support", "adapter moods"]
    assert run(["privacy", "report"]) == 0
    assert "reviews: infinite" in capsys.readouterr().out


def test_a_budget_is_set_shown_and_lifted(shop, capsys):
    assert run(["privacy", "budget", "chats"]) == 2
    assert run(["privacy", "budget", "chats", "--epsilon", "-1"]) == 2
    assert run(["privacy", "budget", "chats", "--epsilon", "3", "--unit", "customer"]) == 0
    capsys.readouterr()
    run(["privacy", "report", "--json"])
    assert said(capsys)["scopes"]["chats"]["budget"]["epsilon"] == 3.0
    assert run(["privacy", "budget", "chats", "--none"]) == 0


def test_the_plan_shows_what_is_left(shop, capsys):
    arguments = ["privacy", "plan", "chats", "--records", "500", "--unit", "customer", "--epochs", "1", "--json"]
    assert run(arguments) == 0
    rows = said(capsys)
    assert rows[0]["epsilon"] >= 1.0
    assert rows[-1]["noise_multiplier"] < rows[0]["noise_multiplier"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (
            ["plan", "chats", "--records", "0", "--batch-size", "0", "--epochs", "0"],
            "--records must be at least 1; --b",
        ),
        (
            ["plan", "chats", "--records", "500", "--epochs", "nan", "--delta", "1"],
            "--epochs must be more than 0; --delta",
        ),
        (["budget", "chats", "--epsilon", "nan"], "not nan and 1e-05"),
        (["export", "--out", "nowhere/book.json"], "cannot be written"),
        (["conform", "all-MiniLM-L6-v2"], "--task classify"),
        (["conform", "all-MiniLM-L6-v2", "--task", "classify", "--method", "nonsense"], "nonsense"),
    ],
)
def test_wrong_input_is_told_without_a_traceback(shop, capsys, arguments, word):
    assert run(["privacy", *arguments]) == 2
    assert word in capsys.readouterr().err


def test_fewer_records_than_a_batch_have_a_plan(shop, capsys):
    assert run(["privacy", "plan", "new", "--records", "50", "--json"]) == 0
    assert said(capsys)[0]["sample_rate"] == 1.0


def test_an_export_is_the_witness_of_a_roll_back(shop, capsys):
    shutil.copytree(shop / "data", shop / "kept")
    run(["privacy", "declare", "abroad", "foreigners"])
    assert run(["privacy", "export", "--out", "book.json"]) == 0
    assert run(["privacy", "verify", "--against", "book.json"]) == 0
    for name in ("privacy/ledger.db", "keys/ledger.head"):
        (shop / "data" / name).write_bytes((shop / "kept" / name).read_bytes())
    assert run(["privacy", "verify"]) == 0
    assert run(["privacy", "verify", "--against", "book.json"]) == 1


def test_a_moved_book_is_adopted_by_a_word_and_an_edited_one_is_not(shop, capsys):
    shutil.copytree(shop / "data", shop / "copy")
    shutil.rmtree(shop / "data")
    (shop / "copy").rename(shop / "data")
    assert run(["privacy", "verify"]) == 1
    assert run(["privacy", "budget", "chats", "--epsilon", "3"]) == 1
    assert run(["privacy", "adopt", "a new disk"]) == 0
    assert run(["privacy", "verify"]) == 0


def test_verify_tells_of_a_key_that_was_lost(shop, capsys):
    data = shop / "data"
    Ledger(data).knowing("chats", Members.of([("Where is it?", "anna")], data)).set_budget("chats", None)
    assert run(["privacy", "verify"]) == 0
    (data / "keys" / "members.key").unlink()
    assert run(["privacy", "verify"]) == 1
    assert "members.key is missing" in capsys.readouterr().out


def test_conform_asks_a_model_in_a_folder(shop, capsys):
    pytest.importorskip("torch")
    from tiny import llama, save, tokenizer

    folder = save(llama(), shop / "tiny", tokenizer())
    capsys.readouterr()
    assert run(["privacy", "conform", str(folder), "--json"]) == 0
    checks = said(capsys)
    assert len(checks) == 11
    assert all(check["ok"] for check in checks)
