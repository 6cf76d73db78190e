"""The documents tell the truth: commands exist, generated pages are current, links lead somewhere."""

import re
import runpy
from pathlib import Path

import click
import pytest
import typer

from app import cli
from assistant.settings import describe

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh-CN.md")
PAGES = (
    [ROOT / name for name in READMES] + sorted((ROOT / "docs").glob("*.md")) + [ROOT / "examples/demo_shop/README.md"]
)
COMMAND = typer.main.get_command(cli)


def code_lines(page: Path) -> list[str]:
    blocks = re.findall(r"```[a-z]*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    return [line.strip() for block in blocks for line in block.splitlines()] + inline


def resolve(words: list[str]) -> str:
    """ "" where the words name a subcommand with existing options, else what is wrong."""
    command: click.Command = COMMAND
    known = {option for parameter in command.params for option in parameter.opts}
    for word in words:
        word = word.strip("'\"[]")
        if word.startswith("--"):
            if word.split("=")[0] not in known | {"--help"}:
                return f"{word} is no option of {command.name}"
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z]+", word):
            if word not in command.commands:
                return f"there is no subcommand {word}"
            command = command.commands[word]
            known |= {option for parameter in command.params for option in parameter.opts}
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_exists(page):
    shown = [line for line in code_lines(page) if re.match(r"(?:\S*python\S* app\.py|confide)(?: |$)", line)]
    for line in shown:
        line = re.sub(r'"[^"]*"', "TEXT", line.split("#")[0])
        words = re.sub(r"^(?:\S*python\S* app\.py|confide)", "", line).split()
        assert resolve(words) == "", line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_shown_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line in code_lines(page):
        for target in re.findall(r"^make ([a-z-]+)", line):
            assert target in targets, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [
        link
        for link in links
        if "://" not in link and not link.startswith("mailto:") and not (page.parent / link).exists()
    ]
    assert not missing


@pytest.mark.parametrize("name", ["cli.md", "settings.md"])
def test_generated_pages_are_current(name):
    pages = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == pages[name], "run `make docs`"


def test_settings_are_few_and_each_is_explained():
    rows = describe()
    assert len(rows) <= 60
    assert [name for name, _, what in rows if len(what) < 10] == []


def test_every_benchmark_is_documented_with_its_goals():
    from benchmarks.__main__ import REGISTRY

    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert [name for name in REGISTRY if f"`{name}`" not in text] == []
