"""All pages in one Gradio app: the chat and the staff's page, each in each language.

One Blocks with routes, so that all pages share one queue and one limit on the model. A further tab is a
`Panel` handed to `build_ui`: nothing here knows what is in it.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from assistant.ui import lean  # noqa: F401  before anything else imports Gradio

# isort: split
import gradio as gr
from fastapi import FastAPI

from assistant.accounts import Role
from assistant.core import Assistant
from assistant.gate import LIGHT, MODEL, Caller, House, address
from assistant.guard import SESSION
from assistant.loop import Loop
from assistant.sessions import Door, Sessions
from assistant.settings import Settings
from assistant.trainer import Trainer
from assistant.ui import (
    answers,
    chat,
    conversations,
    dashboard,
    desk,
    documents,
    privacy,
    recommend,
    render,
    team,
    train,
)
from assistant.ui import loop as loop_tab
from assistant.ui.front import Front
from assistant.ui.parts import html
from assistant.ui.texts import LANGUAGES, NAMES, TEXTS

DOWNLOADS = "receipts/files"
"""Where on the page's own path the files of tabs are."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A further tab. `titles` by language; `build(front)` draws it inside the tab it is given.

    `staff` tabs stand on the staff's page, behind the sign-in, for accounts that cover `role`; every handler of
    theirs has to ask `front.door` itself, since what is hidden is not locked. The others stand beside the chat.
    `download` gives the bytes of a file that the tab links to under `DOWNLOADS`, by data folder and name, None where
    there is none; for accounts that cover `download_role`.
    """

    titles: dict[str, str]
    build: Callable[[Front], None]
    audience: Literal["staff", "visitors"] = "staff"
    role: Role = Role.VIEWER
    download: Callable[[Path, str], bytes | None] | None = None
    download_role: Role = Role.STAFF


@dataclass(frozen=True, slots=True)
class Page:
    """A built app and what the gate has to know of it."""

    blocks: gr.Blocks
    house: House
    loop: Loop


def paths(settings: Settings) -> dict[str, tuple[str, str]]:
    """language -> (path of the chat, path of the staff's page), the first language at the root."""
    spoken = LANGUAGES if settings.language == "auto" else (settings.language,)
    tails = {language: "" if number == 0 else language for number, language in enumerate(spoken)}
    return {language: (tail, f"manage-{tail}" if tail else "manage") for language, tail in tails.items()}


def build_ui(
    assistant: Assistant, settings: Settings, panels: Sequence[Panel] = (), *, sessions: Sessions, door: Door
) -> Page:
    """The pages of an assistant."""
    trainer = Trainer(assistant)
    loop = Loop(assistant, trainer)
    learning = (_training(trainer), _turning(loop))
    panels = (_DESK, _TALKS, _GOODS, _ANSWERS, _DASHBOARD, *learning, _PRIVACY, *panels, _TEAM)
    routes = paths(settings)
    first = next(iter(routes))
    company = Front(assistant, sessions, door, first, "").company_name()
    blocks = gr.Blocks(title=company or "Confide", analytics_enabled=False, fill_width=True, delete_cache=(600, 600))
    for language, (root, manage) in routes.items():
        here = Front(assistant, sessions, door, language, root)
        with _page(blocks, root, company):
            _chat_page(blocks, here, panels, routes)
        with _page(blocks, manage, here.say("staff_page")):
            _manage_page(blocks, Front(assistant, sessions, door, language, manage), panels)
    server = settings.server  # a question that waits in the line keeps a thread
    blocks.max_threads = 40 + server.concurrency + server.queue_size
    blocks.queue(max_size=server.queue_size, default_concurrency_limit=16, api_open=False)
    pages = frozenset(f"/{path}" for pair in routes.values() for path in pair)
    return Page(blocks, House(pages, _events(blocks), lambda: _pending(blocks), assistant.line), loop)


def mount(app: FastAPI, page: Page, settings: Settings) -> None:
    """Mounts the pages at the root of `app`, with everything off that a page does not need."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="SSR mode")  # it says so whenever there are several pages
        _mount(app, page, settings)


def _mount(app: FastAPI, page: Page, settings: Settings) -> None:
    gr.mount_gradio_app(
        app,
        page.blocks,
        path="/",
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        blocked_paths=[str(settings.data_dir.resolve())],
        max_file_size=f"{settings.server.max_body_mb}mb",
        show_error=False,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        theme=_theme(),
        css=_asset("style.css"),
        head=_head(settings),
    )


def _head(settings: Settings) -> str:
    """Our script, and which language each page is in."""
    codes = {"zh": "zh-CN"}
    pages = {f"/{path}": codes.get(name, name) for name, pair in paths(settings).items() for path in pair}
    return f"<script>window.confidePages = {json.dumps(pages)};</script><script>{_asset('page.js')}</script>"


def _asset(name: str) -> str:
    return (resources.files("assistant.ui") / name).read_text(encoding="utf-8")


@contextlib.contextmanager
def _page(blocks: gr.Blocks, path: str, name: str) -> Iterator[None]:
    with blocks.route(name or path, f"/{path}", show_in_navbar=False) if path else blocks:
        yield


def _chat_page(blocks: gr.Blocks, front: Front, panels: Sequence[Panel], routes: dict[str, tuple[str, str]]) -> None:
    def foot() -> None:
        others = [name for name in routes if name != front.language]
        links = [f'<a class="nav" href="./language/{name}">{render.safe(NAMES[name])}</a>' for name in others]
        manage = routes[front.language][1]
        links.append(f'<a class="nav" href="./{manage}">{render.safe(front.say("staff_page"))}</a>')
        html(f'<div class="links">{"".join(links)}</div>', elem_id="foot")

    mine = [panel for panel in panels if panel.audience == "visitors"]
    if not mine:
        chat.build(front, blocks, sidebar=foot)
        return
    with gr.Tabs():
        with gr.Tab(front.say("assistant")):
            chat.build(front, blocks, sidebar=foot)
        _tabs(front, mine)


def _manage_page(blocks: gr.Blocks, front: Front, panels: Sequence[Panel]) -> None:
    mine = [panel for panel in panels if panel.audience == "staff"]
    documents.build(front, blocks, panels=(lambda: _tabs(front, mine)) if mine else None)


def _training(trainer: Trainer) -> Panel:
    return Panel(dict(TEXTS["train_title"]), lambda front: train.build(front, trainer), role=Role.OWNER)


_DESK = Panel(dict(TEXTS["desk_title"]), desk.build, role=Role.STAFF)
_TALKS = Panel(dict(TEXTS["talks_title"]), conversations.build)
_GOODS = Panel(dict(TEXTS["goods_title"]), recommend.build)


def _turning(loop: Loop) -> Panel:
    return Panel(dict(TEXTS["loop_title"]), lambda front: loop_tab.build(front, loop), role=Role.STAFF)


_ANSWERS = Panel(dict(TEXTS["answers_title"]), answers.build)
_DASHBOARD = Panel(dict(TEXTS["dashboard_title"]), dashboard.build)
_PRIVACY = Panel(dict(TEXTS["privacy_title"]), privacy.build)
_TEAM = Panel(dict(TEXTS["team_title"]), team.build, role=Role.OWNER)


def _tabs(front: Front, panels: Sequence[Panel]) -> list[tuple[str, Role]]:
    """Draws the tabs; the title of each and the role that it is for."""
    titled = [(panel.titles.get(front.language) or next(iter(panel.titles.values())), panel) for panel in panels]
    for title, panel in titled:
        with gr.Tab(title):
            panel.build(front)
    return [(title, panel.role) for title, panel in titled]


def _events(blocks: gr.Blocks) -> dict[int, str]:
    """What each of the app's functions is, by its index."""
    return {index: function.concurrency_id or LIGHT for index, function in blocks.fns.items()}


def _pending(blocks: gr.Blocks) -> list[Caller]:
    """Who sent the questions that wait or run."""
    events = list(blocks._queue.event_ids_to_events.values())
    scopes = [event.request.scope for event in events if event.concurrency_id == MODEL]
    return [Caller(scope[SESSION].id, address(scope)) for scope in scopes if scope.get(SESSION)]


def _theme() -> gr.themes.Base:
    """Calm colours and the system's own fonts: nothing is fetched from anywhere."""
    font = gr.themes.Font
    system = ("system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC")
    return gr.themes.Base(
        primary_hue="teal",
        neutral_hue="stone",
        radius_size="lg",
        font=[font(name) for name in (*system, "sans-serif")],
        font_mono=[font(name) for name in ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")],
    )
