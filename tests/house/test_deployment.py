"""The Dockerfile and the Compose file by what they say; no container is made here."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

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
    named = set(re.findall(r"\bCONFIDE_[A-Z_]+(?=[=:])", text)) - {"CONFIDE_PORT"}
    assert {"CONFIDE_DATA_DIR", "CONFIDE_STORE_URL"} <= named
    assert named <= known


def test_the_compose_file_starts_the_assistant_alone_and_the_rest_by_profile():
    found = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    services = found["services"]
    assert [name for name, one in services.items() if "profiles" not in one] == ["confide"]
    assert {name: one["profiles"] for name, one in services.items() if "profiles" in one} == {
        "postgresql": ["postgresql"], "qdrant": ["qdrant"], "vllm": ["vllm"],
    }  # fmt: skip
    ours = services["confide"]
    assert ours["ports"] == ["127.0.0.1:${CONFIDE_PORT:-7860}:7860"]
    assert ours["read_only"] is True
    assert "?" in ours["environment"]["CONFIDE_SERVER__ADMIN_PASSWORD"]
    assert not any(needed.get("required", True) for needed in ours["depends_on"].values())
    named = {volume.split(":")[0] for one in services.values() for volume in one.get("volumes", [])}
    assert named == set(found["volumes"])
