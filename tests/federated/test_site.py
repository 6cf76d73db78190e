"""F3: the partner's own folder decides: which code runs, whose keys count, what may leave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from standin import identities

pytest.importorskip("flwr")
import dataclasses

from flwr.app import Message
from flwr.cli.build import build_fab_from_disk
from flwr.supercore.task_identity import TaskIdentity
from typer.testing import CliRunner

from federated import client_app, records
from federated.coordinator import Address, Home
from federated.enrol import Invitation
from federated.errors import BadRequest, PolicyVeto
from federated.learning import Recipe
from federated.local import Policy, note_skipped
from federated.partner_commands import partner_cli
from federated.rounds import RunConfig
from federated.shipping import app_sha256, write_app
from federated.site import Site, SiteConfig
from federated.types import RoundPlan
from federated.weights import weights_sha256
from privacy.erasure import Tombstones


def joined(folder: Path) -> tuple[Home, Site]:
    home = Home(folder / "hub")
    home.init(RunConfig("run", 2), Recipe(), Address(), data_dir=folder)
    data = folder / "mine.jsonl"
    data.write_text("{}\n")
    site = Site(folder / "site")
    site.join(home.invite("shop-a"), SiteConfig(str(data), str(folder / "data"), Policy(modes=("masked",))))
    return home, site


def test_app_code_runs_only_when_its_hash_was_approved(tmp_path: Path) -> None:
    _, site = joined(tmp_path)
    write_app(tmp_path / "app")
    shipped = build_fab_from_disk(tmp_path / "app")
    assert hashlib.sha256(shipped).hexdigest() == app_sha256()
    with pytest.raises(PolicyVeto, match="approve"):
        site.check_app(shipped)
    site.approve(app_sha256())
    site.check_app(shipped)
    (tmp_path / "app" / "confide_federation" / "client.py").write_text("import os\n")
    with pytest.raises(PolicyVeto):
        site.check_app(build_fab_from_disk(tmp_path / "app"))


def test_the_hint_of_a_refused_app_is_the_command_that_approves_it(tmp_path: Path) -> None:
    _, site = joined(tmp_path)
    with pytest.raises(PolicyVeto) as refused:
        site.check_app(b"other code")
    command = refused.value.hint.partition("federated partner ")[2]
    assert CliRunner().invoke(partner_cli, command.split()).exit_code == 0
    site.check_app(b"other code")


def test_a_peers_key_that_changed_is_a_veto(tmp_path: Path) -> None:
    _, site = joined(tmp_path)
    made, roster = identities(tmp_path / "others", 2)
    first = [dataclasses.asdict(card) for card in roster.cards().values()]
    assert set(site._pinned(first)) == {"p0", "p1"}
    forged = dataclasses.replace(made[0].card, masking="11" * 32)
    forged = dataclasses.replace(forged, signature=made[0].signer.sign(forged.content()))
    with pytest.raises(PolicyVeto, match="not those seen before"):
        site._pinned([dataclasses.asdict(forged)])


def test_a_configuration_comes_back(tmp_path: Path) -> None:
    home, site = joined(tmp_path)
    assert site.config.policy == Policy(modes=("masked",))
    assert home.config == RunConfig("run", 2)
    assert home.recipe == Recipe()
    assert Invitation.load(tmp_path / "site" / "invitation.json").address == "127.0.0.1:18000"


def test_leaving_deletes_the_keys_and_keeps_the_manifests(tmp_path: Path) -> None:
    _, site = joined(tmp_path)
    site.approve("ab" * 32)
    (site.home / "run").mkdir()
    (site.home / "run" / "sent.jsonl").write_text(json.dumps({"run": "r"}) + "\n")
    site.leave()
    assert site.approved() == ()
    assert site.sent() == [{"run": "r"}]
    with pytest.raises(BadRequest, match="join"):
        _ = site.identity


def test_a_line_that_a_full_disk_tore_is_left_out_and_the_next_one_is_whole(tmp_path: Path) -> None:
    home, site = joined(tmp_path)
    plan = RoundPlan("run", 1, "ab", ("p",), 1, 0.0, "plain", "float32", (), 1.0, "", (1.0,))
    torn = site.home / "run" / "skipped.jsonl"
    torn.parent.mkdir()
    torn.write_text('{"reason": "first"}\n{"reason": "sec')
    assert [entry["reason"] for entry in site.skipped()] == ["first"]
    note_skipped(site.home / "run", plan, "third")
    assert [entry["reason"] for entry in site.skipped()] == ["first", "third"]
    (site.home / "run" / "sent.jsonl").write_text('{"run": "r"}\n{"ru')
    assert site.sent() == [{"run": "r"}]
    (home.folder / "run").mkdir()
    (home.folder / "run" / "rounds.jsonl").write_text('{"round": 1')
    assert home.rounds() == []


def test_who_has_left_can_still_see_what_it_sent(tmp_path: Path) -> None:
    _, site = joined(tmp_path)
    site.leave()
    shown = CliRunner().invoke(partner_cli, ["status", str(site.home)])
    assert (shown.exit_code, "shop-a has left" in shown.stderr) == (0, True)


def test_without_tls_an_invitation_names_no_authority(tmp_path: Path) -> None:
    home = Home(tmp_path / "hub")
    home.init(RunConfig("run", 2), Recipe(), Address("::1", insecure=True), data_dir=tmp_path)
    invitation = home.invite("shop-a")
    assert (invitation.authority, invitation.address) == ("", "[::1]:18000")


def test_without_its_data_a_partner_does_not_join(tmp_path: Path) -> None:
    home = Home(tmp_path / "hub")
    home.init(RunConfig("run", 2), Recipe(), Address(), data_dir=tmp_path)
    with pytest.raises(BadRequest, match="--data"):
        Site(tmp_path / "site").join(home.invite("shop-a"), SiteConfig(str(tmp_path / "none.jsonl")))


def test_without_tls_only_loopback(tmp_path: Path) -> None:
    Address("127.0.0.1", insecure=True)
    with pytest.raises(BadRequest, match="this machine only"):
        Address("0.0.0.0", insecure=True)


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], Any]:
    """What the partner in tmp_path/site answers Flower's messages."""
    monkeypatch.setenv("FEDERATED_PARTNER_HOME", str(tmp_path / "site"))
    for name in ("run_id", "node_id", "task_id"):  # what a process that Flower started has
        monkeypatch.setattr(TaskIdentity, f"_{name}", 1)

    def call(handler: str, content: Any) -> Any:
        message = Message(content=content, message_type="train", dst_node_id=1)
        context: Any = None
        return records.about(getattr(client_app, handler)(message, context).content)

    return call


def test_an_error_that_may_quote_a_record_stays_at_the_partner_and_is_shown_there(
    tmp_path: Path, called: Callable[[str, Any], Any]
) -> None:
    _, site = joined(tmp_path)
    Path(site.config.data).write_text('{"text": "billing", "label": "My card 4111 was charged twice"}\n')
    weights = {"a.lora_B.weight": np.zeros((2, 3))}
    training = {"recipe": Recipe(task="classify", labels=("delivery", "billing")).to_dict()}
    plan = RoundPlan(
        "run", 1, "ab" * 8, ("shop-a", "b", "c"), 3, 1e12, "masked", "masked", (), 1.0, weights_sha256(weights),
        (1.0,) * 3, training,
    )  # fmt: skip
    kept = {"declined": "This partner's data or program could not be used; its own log says why."}
    assert called("train", records.from_plan(plan, weights)) == kept
    assert called("evaluate", records.pack({"training": training}, weights)) == kept
    (entry,) = site.skipped()
    assert (entry["run"], entry["round"], "My card 4111" in entry["reason"]) == ("run", 1, True)
    # what is no error of ours would be told by Flower itself
    assert called("disclose", records.pack({"plan": {}})) == kept
    site.leave()
    assert called("say_hello", records.pack({"challenge": "x"})) == kept


def test_a_veto_and_a_plan_that_does_not_fit_are_told(tmp_path: Path, called: Callable[[str, Any], Any]) -> None:
    joined(tmp_path)
    plan = RoundPlan("run", 1, "ab", ("p",), 1, 0.0, "plain", "float32", (), 1.0, "", (1.0,), {"recipe": {"x": 1}})
    assert "recipe is not understood" in called("train", records.from_plan(plan, {}))["declined"]
    plan = dataclasses.replace(plan, training={"recipe": Recipe().to_dict()})
    assert "does not allow the mode plain" in called("train", records.from_plan(plan, {}))["declined"]


def test_other_records_or_an_erased_customer_are_other_data(tmp_path: Path) -> None:
    _, site = joined(tmp_path)
    found = [site._data_sha256()]
    Tombstones(Path(site.config.data_dir)).add("cust1", "2026-01-01")
    found.append(site._data_sha256())
    Path(site.config.data).write_text("{} \n")
    found.append(site._data_sha256())
    assert len({*found, site._data_sha256()}) == 3
    training = {"recipe": Recipe().to_dict()}
    assert site.partner(training)._data() == found[-1]


def test_weights_that_were_shown_are_what_the_next_round_begins_with(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert site.shown() == {}
    weights = {"a.lora_B.weight": np.arange(6.0).reshape(2, 3)}
    site.show(weights)
    assert weights_sha256(site.shown()) == weights_sha256(weights)
    plan = RoundPlan("run", 2, "ab", ("p",), 1, 0.0, "plain", "float32", (), 1.0, "", (1.0,))
    _, start = records.to_plan(records.from_plan(plan, {}))
    assert (start or site.shown()).keys() == weights.keys()
