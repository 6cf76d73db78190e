"""The walk federate on real daemons: a SuperLink, three SuperNodes, masked rounds, a published adapter that answers."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("flwr")

from assistant.adapters import Shelf
from assistant.commands import run as confide
from assistant.settings import Settings
from assistant.vetting import verify
from federated.coordinator import Home
from federated.demo import run
from federated.site import Site


@pytest.mark.timeout(900)
def test_three_partners_train_one_adapter_and_the_assistant_answers_with_it(model_dir, tmp_path, capsys):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "models").symlink_to((model_dir / "models").resolve(), target_is_directory=True)
    rounds = []
    outcome = run(Settings(data_dir=data_dir), rounds=1, on_round=rounds.append)

    assert [result.committed for result in rounds] == [True]
    assert rounds[0].accepted == ("harbour-kitchen", "north-outfitters", "summit-books")
    told = {name.partition("/")[0] for name in rounds[0].metrics} - {"pooled_score", "pooled_n"}
    assert told == set(rounds[0].accepted)
    assert outcome["adapter"] == "shared-demo@1", outcome["objections"]
    adapter = Shelf(data_dir).find("shared-demo")
    assert adapter.method == "frozen-a"
    verify(data_dir / "adapters" / "shared-demo" / "1")

    # each partner wrote down what left it, and it is what the plan asked for; the coordinator kept none of it
    folder = tmp_path / outcome["folder"]
    stored = Home(folder / "coordinator").folder.joinpath("run", "run.safetensors").read_bytes()
    for name in rounds[0].accepted:
        (entry,) = Site(folder / name).sent()
        assert entry["mode"] == "masked"
        trained = (folder / name / "run" / "trained.safetensors").read_bytes()
        assert trained[-4096:] not in stored

    shop = tmp_path / "shop.md"
    shop.write_text("# Payment\n\nCustomers in our own country can pay by invoice within 14 days.\n")
    assert confide(["--data-dir", str(data_dir), "ingest", str(shop)]) == 0
    capsys.readouterr()
    ask = [
        "--data-dir",
        str(data_dir),
        "ask",
        "How many days do I have to pay an invoice?",
        "--adapter",
        "shared-demo",
        "--json",
    ]
    assert confide(ask) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["adapter"] == "shared-demo@1"
    assert "14 days" in answer["text"]
