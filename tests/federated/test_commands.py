"""The walk of enrolment from the command line, as the documentation tells it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("flwr")
import app  # noqa: F401  puts the subcommands together
from assistant.commands import run


def test_a_partner_joins_from_the_command_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.jsonl").write_text("{}\n")
    assert run(["federated", "coordinator", "init", "hub", "--run", "spring"]) == 0
    assert run(["federated", "coordinator", "invite", "hub", "north"]) == 0
    assert (
        run(["federated", "partner", "join", "north.invite.json", "site", "--data", "mine.jsonl", "--masked-only"]) == 0
    )
    assert run(["federated", "coordinator", "enrol", "hub", "site/application.json"]) == 0
    assert run(["federated", "coordinator", "enrol", "hub", "site/application.json"]) == 1
    capsys.readouterr()
    assert run(["federated", "coordinator", "status", "hub", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["partners"] == {"north": "enrolled"}
    assert run(["federated", "partner", "status", "site", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["policy"]["modes"] == ["masked"]
    assert run(["federated", "coordinator", "revoke", "hub", "north"]) == 0
    assert run(["federated", "partner", "leave", "site"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["coordinator", "init", "hub", "--quorum", "2"],
        ["coordinator", "init", "hub", "--host", "0.0.0.0", "--insecure"],
        ["coordinator", "invite", "nowhere", "north"],
        ["coordinator", "enrol", "nowhere", "nothing.json"],
        ["partner", "join", "nothing.json", "site", "--data", "x"],
        ["partner", "approve", "site", "not-a-hash"],
        ["simulate", "nothing.jsonl"],
    ],
)
def test_bad_input_is_a_message_and_exit_code_2(tmp_path: Path, monkeypatch, capsys, arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["federated", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.strip()
    assert "Traceback" not in said
