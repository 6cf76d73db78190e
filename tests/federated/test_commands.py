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


def test_every_setting_of_a_round_comes_from_the_command_line(tmp_path: Path, monkeypatch) -> None:
    from federated.coordinator import Home
    from federated.learning import CALIBRATED, PROXIMAL

    monkeypatch.chdir(tmp_path)
    options = (
        "--mode plain --rounds 6 --encoding int8 --weight north=2 --weight south=1 --share 0.5 --proximal 0.1 "
        "--server adam --server-rate 0.5 --refactor 2 --dp customer --epsilon 3 --clip-norm 2 --use-in shop"
    )
    assert run(["federated", "coordinator", "init", "hub", *options.split()]) == 0
    config = Home(Path("hub")).config
    assert (config.encoding, config.share, config.step, config.server_rate) == ("int8", 0.5, "adam", 0.5)
    assert (config.refactor, config.clip_norm, config.training[PROXIMAL]) == (2, 2.0, 0.1)
    assert config.weights == (("north", 2.0), ("south", 1.0))
    assert config.dp is not None
    assert (config.dp.unit, config.dp.epsilon, config.dp.rounds) == ("customer", 3.0, 6)
    assert run(["federated", "coordinator", "init", "both", "--mode", "plain", "--combine", "stack"]) == 0
    assert Home(Path("both")).recipe.method == "lora"
    assert (Home(Path("both")).recipe.targets, config.cosine) == (("q_proj", "v_proj"), False)
    tickets = "--task classify --label a --label b --calibrated 1 --cosine"
    assert run(["federated", "coordinator", "init", "tickets", *tickets.split()]) == 0
    told = Home(Path("tickets"))
    assert (told.recipe.targets, told.config.cosine) == (("query", "value"), True)
    assert told.config.training[CALIBRATED] == 1.0
    assert run(["federated", "coordinator", "init", "hidden", "--dp", "partner", "--epsilon", "4"]) == 0
    assert Home(Path("hidden")).config.dp.noise_multiplier > 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--combine stack", "every partner's own matrices"),
        ("--mode robust --dp partner", "robust rule"),
        ("--mode robust --encoding float8", "encoding is one of"),
        ("--server sgd", "step is one of"),
        ("--dp house", "cannot promise"),
        ("--calibrated 1", "task classify"),
        ("--weight north", "PARTNER=SHARE"),
        ("--task recommend --rounds 3", "one round"),
        ("--run Spring", "cannot be called 'shared-Spring'"),
        ("--weight north=0", "positive number"),
        ("--weight north=1 --weight south=99", "factor of 10"),
        ("--mode robust --rule multi-krum", "needs a quorum of 5"),
    ],
)
def test_what_excludes_each_other_is_said_at_once(tmp_path: Path, monkeypatch, capsys, options: str, word: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["federated", "coordinator", "init", "hub", *options.split()]) == 2
    assert word in capsys.readouterr().err
    assert not Path("hub", "run.json").exists()
