"""Writes docs/cli.md and docs/settings.md from the code: `make docs`. A test checks that they are current."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))


def pages() -> dict[str, str]:
    """name -> text of the generated pages."""
    return {"cli.md": _cli(), "settings.md": _settings()}


def _cli() -> str:
    import click
    import typer

    from app import cli

    parts = [
        "# The command line\n",
        "`python app.py SUBCOMMAND`, or `confide SUBCOMMAND` where the project is installed:",
        "`pip install --no-deps -e .`.",
        "Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted.",
        "Options before the subcommand hold for all of them. This page is generated: `make docs`.\n",
    ]

    def add(command: click.Command, name: str, parent: click.Context | None) -> None:
        settings = {"max_content_width": 100, **command.context_settings}
        context = click.Context(command, info_name=name, parent=parent, terminal_width=100, **settings)
        path = context.command_path
        parts.append(f"## {path}\n\n```text\n{command.get_help(context)}\n```\n")
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                add(command.commands[child], child, context)

    add(typer.main.get_command(cli), "confide", None)
    return "\n".join(parts)


def _settings() -> str:
    from assistant.settings import describe

    rows = describe()
    lines = [
        "# Settings",
        "",
        "Flags of the command line win over the environment, that over `confide.toml`, that over the defaults.",
        "`server.port` is `[server]` `port = 8000` in `confide.toml`, `CONFIDE_SERVER__PORT=8000` in the environment.",
        "Another file: `--settings FILE` or `CONFIDE_SETTINGS`. What is in force: `python app.py doctor --settings`.",
        "An unknown setting or variable is refused, never ignored. This page is generated: `make docs`.",
        "",
        "| setting | default | what it is |",
        "|---|---|---|",
    ]
    for name, default, what in rows:
        shown = (
            "" if default in ("", "()", "None", "''") or "**" in default or "SecretStr" in default else f"`{default}`"
        )
        lines.append(f"| `{name}` | {shown} | {what.replace('|', '/')} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    for page, text in pages().items():
        (HERE / page).write_text(text, encoding="utf-8")
        print(f"docs/{page}")
