"""The walk of enrolment from the command line, as the documentation tells it."""

from __future__ import annotations

import json
import os
import shlex
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
        "--mode plain --rounds 6 --encoding int8 --weight north=2 --weight south=1 --share 0.5 "
        "--server adam --server-rate 0.5 --refactor 2 --dp customer --epsilon 3 --clip-norm 2 --use-in shop"
    )
    assert run(["federated", "coordinator", "init", "hub", *options.split()]) == 0
    config = Home(Path("hub")).config
    assert (config.encoding, config.share, config.step, config.server_rate) == ("int8", 0.5, "adam", 0.5)
    assert (config.refactor, config.clip_norm) == (2, 2.0)
    assert config.weights == (("north", 2.0), ("south", 1.0))
    assert config.dp is not None
    assert (config.dp.unit, config.dp.epsilon, config.dp.rounds) == ("customer", 3.0, 6)
    assert run(["federated", "coordinator", "init", "both", "--mode", "plain", "--combine", "stack"]) == 0
    assert Home(Path("both")).recipe.method == "lora"
    assert (Home(Path("both")).recipe.targets, config.cosine) == (("q_proj", "v_proj"), False)
    tickets = "--task classify --label a --label b --calibrated 1 --cosine --proximal 0.1"
    assert run(["federated", "coordinator", "init", "tickets", *tickets.split()]) == 0
    told = Home(Path("tickets"))
    assert (told.recipe.targets, told.config.cosine) == (("query", "value"), True)
    assert (told.config.training[CALIBRATED], told.config.training[PROXIMAL]) == (1.0, 0.1)
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
        ("--task recommend --rounds 1 --server adam", "--server"),
        ("--task recommend --rounds 1 --server-rate 0.5", "--server-rate"),
        ("--task recommend --rounds 1 --share 0.5", "--share"),
        ("--task recommend --rounds 1 --refactor 1", "--refactor"),
        ("--task recommend --rounds 1 --mode plain --combine stack", "--combine"),
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


CANNOT_GO = [
    ("--run ''", "a run has a name"),
    ("--seconds -1", "deadline"),
    ("--seconds nan", "deadline"),
    ("--rate nan", "learning_rate cannot be nan"),
    ("--rate 0", "learning_rate is more than 0"),
    ("--epochs 0", "epochs is more than 0"),
    ("--proximal -1", "proximal cannot be -1"),
    ("--server-rate nan", "the server's step"),
    ("--rank 0", "rank is from 1"),
    ("--rank -3", "rank is from 1"),
    ("--task x", "There is no task 'x'"),
    ("--port 99999", "1 to 65535"),
    ("--host 'a b'", "neither a host's name nor an address"),
    ("--listen 10.0.0.0.0/8", "neither a host's name nor an address"),
    ("--suite nothing.jsonl", "nothing.jsonl cannot be read"),
    ("--base nope", "There is no model 'nope'"),
    ("--task classify --label a --label b --targets query,zzz", "is called zzz."),
    ("--task classify", "needs its classes"),
    ("--task classify --label a --label a", "each once"),
    ("--task recommend --rounds 1", "--items FILE"),
    ("--task recommend --rounds 1 --items nothing.txt", "nothing.txt cannot be read"),
    ("--dp customer --proximal 0.1", "FedProx"),
    ("--dp partner --delta 0.05", "at most 0.01"),
    ("--weight north=20", "counts 1"),
    ("--weight north=0.05", "counts 1"),
    ("--weight north=2 --weight north=5", "weighed twice"),
    ("--task recommend --rounds 1 --items latin.txt", "latin.txt cannot be read"),
]


@pytest.mark.parametrize(("options", "word"), CANNOT_GO)
def test_a_run_that_could_not_go_is_refused_before_any_partner_is_invited(
    tmp_path: Path, monkeypatch, capsys, options: str, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.txt").write_bytes("caf\xe9\n".encode("latin-1"))
    assert run(["federated", "coordinator", "init", "hub", *shlex.split(options)]) == 2
    assert word in capsys.readouterr().err
    assert not Path("hub").exists()


def test_items_are_lines_and_a_mark_at_the_files_beginning_is_none_of_the_first(tmp_path: Path, monkeypatch) -> None:
    from federated.coordinator import Home

    monkeypatch.chdir(tmp_path)
    Path("items.txt").write_bytes("\ufeffAlpha 1\r\n\n  Beta 2 \n".encode())
    options = "--task recommend --rounds 1 --items items.txt"
    assert run(["federated", "coordinator", "init", "hub", *options.split()]) == 0
    assert Home(Path("hub")).recipe.labels == ("Alpha 1", "Beta 2")


def test_more_than_partners_usually_allow_is_remarked_on(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["federated", "coordinator", "init", "long", "--rounds", "150"]) == 0
    assert "decline over 100 rounds" in capsys.readouterr().err
    assert run(["federated", "coordinator", "init", "usual"]) == 0
    assert "decline" not in capsys.readouterr().err


def ended(monkeypatch, outcome: dict, told: dict | None = None) -> list[str]:
    """A coordinator's folder `hub` whose run goes as given when it is started; what was started."""
    import contextlib

    from federated import deploy
    from federated.enrol import Roster

    started: list[str] = []
    assert run(["federated", "coordinator", "init", "hub", "--insecure"]) == 0
    Path("hub/run").mkdir()
    monkeypatch.setattr(deploy, "superlink", lambda home: contextlib.nullcontext())
    monkeypatch.setattr(deploy, "start_run", lambda home: started.append(home.folder.name))
    monkeypatch.setattr(deploy, "follow", lambda home, on_round, seen: outcome)
    if told is not None:
        Path("hub/run/outcome.json").write_text(json.dumps(outcome))
        Path("hub/run/published.json").write_text(json.dumps(told))
        monkeypatch.setattr(Roster, "cards", lambda roster: {"north": None, "south": None})
    return started


def test_a_run_that_stopped_void_is_no_success(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    ended(monkeypatch, {"adapter": None, "objections": [], "rounds": 0, "void": "Round 1 was void 3 times."})
    assert run(["federated", "coordinator", "start", "hub"]) == 1
    assert "void 3 times" in capsys.readouterr().err


def test_who_did_not_get_the_published_adapter_is_named_and_sent_it_by_the_next_start(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = {"adapter": "shared-run@1", "objections": [], "rounds": 1}
    started = ended(monkeypatch, outcome, {"north": "shared-run@1", "south": "No room on the disk."})
    assert run(["federated", "coordinator", "status", "hub"]) == 0
    assert "south has not got it: No room on the disk." in capsys.readouterr().err
    assert run(["federated", "coordinator", "start", "hub"]) == 0
    assert "sent to south once more" in capsys.readouterr().err
    Path("hub/run/published.json").write_text(json.dumps({"north": "shared-run@1", "south": "shared-run@4"}))
    Path("hub/run/outcome.json").write_text(json.dumps(outcome))
    assert run(["federated", "coordinator", "start", "hub"]) == 0
    assert started == ["hub"]


@pytest.mark.parametrize(
    ("mode", "partners", "dp", "quorum"),
    [("plain", 2, "example", 1), ("plain", 5, "example", 4), ("masked", 3, "customer", 3), ("masked", 5, "", 5)],
)
def test_a_study_asks_for_no_more_partners_than_it_has(mode, partners: int, dp: str, quorum: int) -> None:
    from federated.study import Study, _quorum

    assert _quorum(Study(Path("x.jsonl"), partners=partners, mode=mode, dp=dp)) == quorum


def test_a_host_is_named_or_numbered() -> None:
    from federated.coordinator import Address

    for host in ("hub.example.com", "Hub-1", "coordinator_1", "10.77.0.1", "fd00::1"):
        assert Address(host, listen="0.0.0.0").host == host
    assert [Address(host).at() for host in ("10.77.0.1", "fd00::1")] == ["10.77.0.1:18000", "[fd00::1]:18000"]
    assert [Address(listen=all_).here for all_ in ("0.0.0.0", "::")] == ["127.0.0.1", "::1"]


def test_a_file_is_no_folder_of_either_side(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.jsonl").write_text("{}\n")
    assert run(["federated", "coordinator", "init", "mine.jsonl"]) == 2
    assert run(["federated", "coordinator", "init", "hub"]) == 0
    assert run(["federated", "coordinator", "invite", "hub", "north"]) == 0
    assert run(["federated", "partner", "join", "north.invite.json", "mine.jsonl", "--data", "mine.jsonl"]) == 2
    assert capsys.readouterr().err.count("mine.jsonl is a file.") == 2


@pytest.mark.parametrize("days", ["nan", "1e300", "-1", "0"])
def test_an_invitation_is_good_for_a_time_to_come(tmp_path: Path, monkeypatch, capsys, days: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["federated", "coordinator", "init", "hub"]) == 0
    assert run(["federated", "coordinator", "invite", "hub", "north", "--days", days]) == 2
    assert "up to 3650 days" in capsys.readouterr().err
    assert not Path("north.invite.json").exists()


@pytest.mark.parametrize("options", ["--rank -1", "--max-epsilon -1", "--max-epsilon nan"])
def test_a_partners_own_limits_are_no_negative_numbers(tmp_path: Path, monkeypatch, capsys, options: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.jsonl").write_text("{}\n")
    assert run(["federated", "coordinator", "init", "hub"]) == 0
    assert run(["federated", "coordinator", "invite", "hub", "north"]) == 0
    join = ["federated", "partner", "join", "north.invite.json", "site", "--data", "mine.jsonl"]
    assert run([*join, *options.split()]) == 2
    assert "from 0 on" in capsys.readouterr().err
    assert not Path("site").exists()


@pytest.mark.parametrize("asked", ["leave typo", f"approve typo {'ab' * 32}"])
def test_nobody_leaves_or_approves_in_a_folder_that_no_partner_has(
    tmp_path: Path, monkeypatch, capsys, asked: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["federated", "partner", *asked.split()]) == 2
    assert "typo is no partner's folder" in capsys.readouterr().err
    assert not Path("typo").exists()


def test_to_leave_twice_is_harmless(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.jsonl").write_text("{}\n")
    assert run(["federated", "coordinator", "init", "hub"]) == 0
    assert run(["federated", "coordinator", "invite", "hub", "north"]) == 0
    assert run(["federated", "partner", "join", "north.invite.json", "site", "--data", "mine.jsonl"]) == 0
    assert [run(["federated", "partner", "leave", "site"]) for _ in range(2)] == [0, 0]
    assert not Path("site", "identity").exists()


def test_a_mistyped_folder_overwrites_no_audit_pack(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("audit-pack.zip").write_bytes(b"the pack of another run")
    assert run(["federated", "coordinator", "pack", "typo"]) == 2
    assert "typo is no coordinator's folder" in capsys.readouterr().err
    assert Path("audit-pack.zip").read_bytes() == b"the pack of another run"


def test_windows_is_told_before_keys_are_made_that_it_can_take_no_part(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.jsonl").write_text("{}\n")
    assert run(["federated", "coordinator", "init", "hub"]) == 0
    assert run(["federated", "coordinator", "invite", "hub", "north"]) == 0
    monkeypatch.delattr(os, "killpg")
    assert run(["federated", "partner", "join", "north.invite.json", "site", "--data", "mine.jsonl"]) == 2
    assert run(["federated", "coordinator", "init", "other"]) == 2
    assert capsys.readouterr().err.count("Linux or macOS") == 2
    assert not Path("site").exists()
    assert not Path("other").exists()
