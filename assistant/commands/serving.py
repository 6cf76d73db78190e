"""`serve`: the page and the API; `mcp`: the tools."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer

from assistant.commands.opening import assistant_of, settings_of

panels: list[str] = []
"""Further tabs, as "module:function"; `app.py` adds those of the floors above. Imported when the page is built."""


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
    share: Annotated[
        bool, typer.Option("--share", help="Also under a public address, by Gradio's tunnel; needs a password.")
    ] = False,
) -> None:
    """Serves the page and the API, by default on http://127.0.0.1:7860."""
    flags: dict[str, Any] = {"host": host, "port": port, "open_browser": False if no_browser else None}
    settings = settings_of(context, server={name: value for name, value in flags.items() if value is not None})
    from assistant.server import serve as walk

    walk(settings, lambda: [_load(panel) for panel in panels], share=share)


def mcp(context: typer.Context) -> None:
    """Serves `ask`, `search` and `recommend` as MCP tools over stdin and stdout, to the program that starts it."""
    with assistant_of(context) as assistant:
        from assistant.mcp_server import build_tools

        build_tools(assistant).run("stdio")


def _load(target: str) -> Any:
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)()
