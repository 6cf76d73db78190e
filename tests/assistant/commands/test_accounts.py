import csv
import json

from assistant.commands import run


def says(capsys, *arguments, code=0):
    assert run(list(arguments)) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def test_accounts_are_added_listed_changed_and_removed_and_all_of_it_is_logged(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first = says(capsys, "accounts", "add", "Ada", "--role", "viewer").strip()
    assert len(first) >= 16
    assert first not in says(capsys, "accounts", "list")
    says(capsys, "accounts", "role", "ada", "staff")
    second = says(capsys, "accounts", "password", "ada").strip()
    assert second not in {"", first}
    found = json.loads(says(capsys, "accounts", "list", "--json"))
    assert [(one["name"], one["role"], one["password"]) for one in found] == [("ada", "staff", "one-time")]
    says(capsys, "accounts", "remove", "ada")
    assert "no account" in says(capsys, "accounts", "remove", "ada", code=2)
    assert "owner" in says(capsys, "accounts", "remove", "owner", code=2)
    log = list(csv.DictReader(says(capsys, "accounts", "log").splitlines()))
    assert [line["action"] for line in log] == ["account.remove", "account.password", "account.role", "account.add"]
    assert all(line["who"].startswith("console") for line in log)
