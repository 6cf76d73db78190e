"""The Compose file as far as it can be judged without a container engine: its shape, its commands, what it publishes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flwr")
import click
import typer
import yaml
from flwr.superlink.routers.fleet.router import router

from federated.commands import cli

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "federation"
FILE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = FILE["services"]


def test_every_volume_and_network_that_is_used_is_declared():
    for service in SERVICES.values():
        assert set(service["networks"]) <= set(FILE["networks"])
        for volume in service["volumes"]:
            source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).partition(":")[0]
            assert source.startswith("./") or source in FILE["volumes"]
            if source.endswith(".conf"):
                assert (FOLDER / source).is_file()
    build = SERVICES["coordinator"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).is_file()


@pytest.mark.parametrize("name", ["coordinator", "partner"])
def test_the_commands_are_the_tools_own(name: str):
    words = SERVICES[name]["command"]
    command: Any = typer.main.get_command(cli)
    for word in words[words.index("federated") + 1 : -1]:
        command = command.commands[word]
    assert isinstance(command, click.Command)
    assert not isinstance(command, click.Group)
    assert words[-1].startswith("/state/")


def test_only_the_gateway_publishes_a_port_and_only_the_fleets_paths():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["gateway"]
    assert FILE["networks"]["inside"]["internal"]
    assert SERVICES["coordinator"]["networks"] == ["inside"]
    text = (FOLDER / "gateway.conf").read_text(encoding="utf-8")
    forwarded = re.findall(r"location (\S+) \{\s*proxy_pass", text)
    assert forwarded == [f"{router.prefix}/"]
    assert "location / { return 404; }" in text


@pytest.mark.parametrize("name", ["coordinator", "partner"])
def test_what_has_data_runs_without_rights(name: str):
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert not service["user"].startswith("0")
