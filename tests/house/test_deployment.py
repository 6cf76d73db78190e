"""The Dockerfile and the Compose file by what they say; no container is made here."""

import asyncio
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from assistant.settings import describe

ROOT = Path(__file__).resolve().parents[2]


def steps() -> list[tuple[str, str]]:
    """(instruction, rest) of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def last_stage() -> list[tuple[str, str]]:
    found = steps()
    start = max(number for number, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


def test_the_image_runs_as_a_user_without_rights_and_says_whether_it_is_well():
    words = dict(last_stage())
    assert words["USER"] not in {"root", "0"}
    assert "/healthz" in words["HEALTHCHECK"]
    assert words["EXPOSE"] == "7860"
    order = [word for word, _ in last_stage()]
    assert order.index("USER") < order.index("CMD")
    assert "RUN" not in order[order.index("USER") :]


def test_everything_that_is_copied_exists_and_is_sent_to_the_builder():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line[1:] for line in ignored if line.startswith("!")]
    for word, rest in steps():
        if word != "COPY" or rest.startswith("--from"):
            continue
        for source in shlex.split(rest)[:-1]:
            assert (ROOT / source).exists(), source
            assert any(Path(source).match(pattern) or source.startswith(f"{pattern}/") for pattern in allowed), source


def test_all_of_the_product_that_is_imported_is_copied():
    copied = {rest.split()[0] for word, rest in last_stage() if word == "COPY"}
    assert {"app.py", "assistant", "federated", "privacy"} <= copied


def test_all_that_make_run_installs_is_in_the_image():
    asked = re.compile(r"-r (requirements\S*\.txt)")
    make = asked.findall((ROOT / "Makefile").read_text(encoding="utf-8"))
    image = asked.findall(" ".join(rest for word, rest in steps() if word == "RUN"))
    assert set(make) - {"requirements-dev.txt"} <= set(image)


@pytest.mark.parametrize("word", ["RUN", "CMD"])
def test_its_shell_lines_are_sound(word: str):
    for found, rest in steps():
        if found == word and not rest.startswith("["):
            assert subprocess.run(["sh", "-n", "-c", rest], check=False).returncode == 0, rest


def test_every_setting_that_it_names_exists():
    known = {"CONFIDE_" + name.upper().replace(".", "__") for name, _, _ in describe()}
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8") + (ROOT / "compose.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"\bCONFIDE_[A-Z_]+(?=[=:])", text))
    assert {"CONFIDE_DATA_DIR", "CONFIDE_STORE_URL"} <= named
    assert named <= known


@pytest.mark.parametrize(("lines", "peer", "seen"), [
    ({}, "172.18.0.1", ("8.8.8.8", "https")),  # the host's proxy, as a container sees it
    ({}, "203.0.113.9", ("203.0.113.9", "http")),
    ({"FORWARDED_ALLOW_IPS": "10.89.0.1"}, "10.89.0.1", ("8.8.8.8", "https")),
])  # fmt: skip
def test_behind_the_hosts_proxy_each_visitor_keeps_an_address(lines: dict[str, str], peer: str, seen: tuple[str, str]):
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    given = services["confide"]["environment"].get("FORWARDED_ALLOW_IPS", "127.0.0.1")
    trusted = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: lines.get(found[1], found[2]), given)
    found = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append((scope["client"][0], scope["scheme"]))

    headers = [(b"x-forwarded-for", b"8.8.8.8"), (b"x-forwarded-proto", b"https")]
    scope: Any = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": headers}
    nothing: Any = None
    asyncio.run(ProxyHeadersMiddleware(app, trusted)(scope, nothing, nothing))
    assert found == [seen]


def test_the_compose_file_starts_the_assistant_alone_and_the_rest_by_profile():
    found = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    services = found["services"]
    assert [name for name, one in services.items() if "profiles" not in one] == ["confide"]
    assert {name: one["profiles"] for name, one in services.items() if "profiles" in one} == {
        "postgresql": ["postgresql"], "qdrant": ["qdrant"], "vllm": ["vllm"],
    }  # fmt: skip
    ours = services["confide"]
    assert ours["ports"] == ["127.0.0.1:${HOST_PORT:-7860}:7860"]
    assert ours["read_only"] is True
    assert "?" in ours["environment"]["CONFIDE_SERVER__ADMIN_PASSWORD"]
    assert not any(needed.get("required", True) for needed in ours["depends_on"].values())
    named = {volume.split(":")[0] for one in services.values() for volume in one.get("volumes", [])}
    assert named == set(found["volumes"])


def test_every_setting_of_the_env_file_reaches_the_assistant():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    ours = services["confide"]
    assert ours["env_file"] == [{"path": ".env", "required": False}]
    for name, value in ours["environment"].items():  # it wins over the file, so it must not empty what stands there
        if not name.startswith("CONFIDE_"):
            continue
        assert value.startswith(f"${{{name}:"), name
        assert not value.endswith(":-}"), name
    # what Compose alone reads is in the assistant's environment too, where an unknown CONFIDE_ name is refused
    known = {"CONFIDE_" + name.upper().replace(".", "__") for name, _, _ in describe()}
    text = "".join((ROOT / file).read_text(encoding="utf-8") for file in ("compose.yaml", "docs/deploying.md"))
    assert set(re.findall(r"\bCONFIDE_[A-Z_]+", text)) <= known


def test_the_model_that_vllm_serves_is_the_one_that_is_asked_for():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    served = services["vllm"]["command"][1]
    assert served in services["confide"]["environment"]["CONFIDE_REMOTE__MODEL"]


def test_a_model_can_be_pulled_in_the_image():
    assert "HF_HUB_OFFLINE" not in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def make(*arguments: str, data: str = "data") -> subprocess.CompletedProcess[str]:
    """What make would run, without running it."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    command = ["make", "-n", *arguments, f"CONFIDE_DATA_DIR={data}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_install_that_fails_is_not_taken_for_done():
    shown = make("setup", "ALIVE=dead").stdout
    installs = [line for line in shown.splitlines() if "pip install" in line]
    assert len(installs) == 3
    assert not any("||" in line or line.endswith("\\") for line in installs)


def test_the_checks_run_where_the_environment_was_moved_to():
    shown = make("check").stdout
    assert ".venv/bin/python -m mypy" in shown
    assert not re.findall(r"\.venv/bin/(?!python\b)\S+", shown)  # a script there keeps the old path in its first line


@pytest.mark.parametrize("data", ["/tmp/my data", "C:/data"])
def test_make_refuses_a_data_folder_that_it_would_mistake(data: str):
    done = make("run", data=data)
    assert done.returncode == 2
    assert data in done.stderr
