"""The Dashboard tab of the staff's page: how much is asked, what becomes of it, what the knowledge base lacks.

The sums come at once; the topics and the drift, which read the questions, after them. Every handler asks the door.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.context import Context

from assistant.accounts import Role
from assistant.dashboard import Dashboard, Period
from assistant.errors import ConfideError
from assistant.gate import ADMIN, LIGHT
from assistant.questions import Questions
from assistant.ui import render, render_dashboard
from assistant.ui.front import Front
from assistant.ui.parts import html, not_allowed, visitor
from assistant.ui.render import safe

PERIODS = (7, 30, 90)
_log = logging.getLogger(__name__)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    collection: gr.Dropdown
    tiles: gr.Markdown
    days: gr.Markdown
    drift: gr.Markdown
    topics: gr.Markdown

    def outputs(self) -> list[Any]:
        """Every component a handler may change."""
        return list(vars(self).values())


def build(front: Front) -> None:
    """Draws the tab in the current one and wires it."""
    say, tab = front.say, Context.block
    with gr.Row(elem_id="dashboard-choose"):
        collection = gr.Dropdown([], label=say("dashboard_collection"), elem_id="dashboard-collection")
        choices = [(say("dashboard_days", n=n), n) for n in PERIODS]
        period = gr.Radio(choices, value=PERIODS[0], label=say("dashboard_period"), elem_id="dashboard-period")
    tiles = html("", elem_id="dashboard-tiles")
    days = html("", elem_id="dashboard-columns")
    html(f"<h2>{safe(say('dashboard_lacking'))}</h2>", elem_classes="tab-title")
    html(f'<p class="quiet">{safe(say("dashboard_lacking_hint"))}</p>')
    topics = html("", elem_id="dashboard-topics")
    drift = html("", elem_id="dashboard-drift")
    handlers = _Handlers(front, Parts(collection, tiles, days, drift, topics))
    outputs = handlers.parts.outputs()
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}
    admin: dict[str, Any] = {"api_visibility": "private", "concurrency_id": ADMIN, "concurrency_limit": 1}
    for event in (cast(gr.Tab, tab).select, collection.input, period.input):
        shown = event(handlers.open_dashboard, [collection, period], outputs, **light)
        shown.then(handlers.read_questions, [collection, period], outputs, **admin, show_progress="hidden")


class _Handlers:
    """What happens on each event. Every one asks the door first."""

    def __init__(self, front: Front, parts: Parts) -> None:
        self._front, self.parts = front, parts
        assistant, tenant = front.assistant, front.settings.tenant
        self._board = Dashboard(assistant.store, tenant)
        self._questions = Questions(assistant.store, tenant, lambda name: assistant.searcher.embedder(tenant, name))

    def open_dashboard(self, collection: str | None, days: int, request: gr.Request) -> Update:
        def look() -> Update:
            parts, front = self.parts, self._front
            name = self._name(collection)
            found = self._board.overview(name, _period(days))
            names = [info.name for info in front.collections()]
            choices = [(front.say("dashboard_all"), ""), *((one, one) for one in names)]
            waits = f'<p class="doing">{safe(front.say("dashboard_looking"))}</p>'
            return {
                parts.collection: gr.update(choices=choices if len(names) > 1 else choices[1:], value=name),
                parts.tiles: render_dashboard.tiles(found, front.look()),
                parts.days: render_dashboard.days(found, front.look()),
                parts.topics: waits if name else f'<p class="quiet">{safe(front.say("dashboard_choose_one"))}</p>',
                parts.drift: "",
            }

        return self._inside(request, look)

    def read_questions(self, collection: str | None, days: int, request: gr.Request) -> Update:
        def read() -> Update:
            name, period, look = self._name(collection), _period(days), self._front.look()
            if not name:
                return {}
            lacking = self._questions.lacking(name, period)
            return {
                self.parts.topics: render_dashboard.topics(lacking, look),
                self.parts.drift: render_dashboard.drift(self._questions.drift(name, period), look),
            }

        return self._inside(request, read)

    def _name(self, collection: str | None) -> str:
        """The collection that is shown; "" = all, where it was chosen."""
        known = self._front.collections()
        if collection == "" and len(known) > 1:
            return ""
        info = self._front.collection(collection)
        return info.name if info else ""

    def _inside(self, request: gr.Request, act: Callable[[], Update]) -> Update:
        """What the event does, for everybody of the staff; an error is told where the eye is."""
        where = self.parts.tiles
        if not self._front.door.may(visitor(request).session, Role.VIEWER):
            return {where: not_allowed(self._front, request)}
        try:
            return act() or {self.parts.drift: ""}
        except ConfideError as error:
            return {where: render.notice(f"{error.message} {error.hint}".strip(), "bad")}
        except Exception:
            _log.exception("an event of the Dashboard tab failed")
            return {where: render.notice(self._front.say("broken"), "bad")}


def _period(days: int) -> Period:
    return Period.last(days if days in PERIODS else PERIODS[0])
