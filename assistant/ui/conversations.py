"""The Conversations tab: stored conversations found, read, taken out without personal data, deleted.

Everybody of the staff may search and read; exporting needs staff, deleting the owner. Every handler asks the door.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlencode

import gradio as gr
from gradio.context import Context

from assistant.accounts import Role
from assistant.errors import ConfideError
from assistant.gate import LIGHT, OWNER
from assistant.history import FORMATS, RATINGS, History, wanted_of
from assistant.types import Outcome
from assistant.ui import render, render_desk
from assistant.ui.front import Front
from assistant.ui.parts import hidden, html, not_allowed, visitor

SHOWN = 60
DAY = "2026-12-31"
_FIELDS = ("text", "collection", "outcome", "rating", "since", "until", "customer")
_log = logging.getLogger(__name__)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    collection: gr.Dropdown
    told: gr.Markdown
    count: gr.Markdown
    found: gr.Radio
    export: gr.Markdown
    head: gr.Markdown
    thread: gr.Markdown
    deleting: gr.Column
    sure: gr.Checkbox
    chosen: gr.Textbox

    def outputs(self) -> list[Any]:
        """Every component a handler may change."""
        return list(vars(self).values())


def build(front: Front) -> None:
    """Draws the tab in the one that is open and wires it."""
    say, tab = front.say, Context.block
    keep = front.settings.privacy.keep_days
    kept = say("talks_keep", n=keep) if keep else say("talks_keep_all")
    html(f'<p class="quiet">{render.safe(say("talks_hint"))} {render.safe(kept)}</p>')
    fields, search = _search(front)
    told, count, export = html("", elem_id="talks-told"), html("", elem_id="talks-count"), html("", elem_id="talks-out")
    with gr.Row(elem_id="talks"):
        with gr.Column(elem_id="talks-list", scale=0, min_width=280):
            found = gr.Radio([], label=say("talks_title"), show_label=False, container=False, elem_id="talks-found")
        with gr.Column(elem_id="talks-open", min_width=300):
            head, thread = html("", elem_id="talks-head"), html("", elem_id="talks-thread")
            with gr.Column(visible=False, elem_id="talks-deleting") as deleting:
                sure = gr.Checkbox(False, label=say("talks_sure"), elem_id="talks-sure")
                delete = gr.Button(say("talks_delete"), size="sm", elem_id="talks-delete")
    parts = Parts(fields[1], told, count, found, export, head, thread, deleting, sure, hidden())
    handlers, outputs = _Handlers(front, parts), parts.outputs()
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}
    owner: dict[str, Any] = {"api_visibility": "private", "concurrency_id": OWNER, "concurrency_limit": 1}
    cast(gr.Tab, tab).select(handlers.open_talks, fields, outputs, preprocess=False, **light)
    submits = [field.submit for field in fields if isinstance(field, gr.Textbox)]
    changes = [field.input for field in fields if isinstance(field, gr.Dropdown)]
    gr.on([search.click, *submits, *changes], handlers.search, fields, outputs, preprocess=False, **light)
    found.input(handlers.read, [found], outputs, preprocess=False, **light)
    gone = delete.click(handlers.delete, [parts.chosen, sure], outputs, **owner)
    gone.then(handlers.list_again, [*fields, parts.chosen], outputs, preprocess=False, **light)


def _search(front: Front) -> tuple[list[Any], gr.Button]:
    """The fields of a search, in the order of _FIELDS, and its button."""
    say = front.say
    anything = (say("talks_any"), "")
    outcomes = [anything, *((say(one.value), one.value) for one in Outcome)]
    ratings = [anything, *((say(f"talks_{one}"), one) for one in RATINGS)]
    with gr.Row(elem_id="talks-search"):
        text = gr.Textbox(label=say("talks_text"), max_length=300, elem_id="talks-text", scale=2, min_width=220)
        collection = gr.Dropdown([anything], value="", label=say("talks_collection"), min_width=130)
        outcome = gr.Dropdown(outcomes, value="", label=say("talks_outcome"), elem_id="talks-outcome", min_width=160)
        rating = gr.Dropdown(ratings, value="", label=say("talks_rating"), min_width=120)
        since = gr.Textbox(
            label=say("talks_since"), placeholder=DAY, max_length=10, elem_id="talks-since", min_width=150
        )
        until = gr.Textbox(label=say("talks_until"), placeholder=DAY, max_length=10, min_width=150)
        customer = gr.Textbox(label=say("talks_customer"), max_length=300, min_width=150)
        search = gr.Button(say("talks_search"), elem_id="talks-go", scale=0, min_width=110)
    return [text, collection, outcome, rating, since, until, customer], search


class _Handlers:
    """What happens on each event. Every one asks the door first."""

    def __init__(self, front: Front, parts: Parts) -> None:
        self._front, self._parts = front, parts
        self._history = History(front.assistant.store, front.settings.tenant)

    # Gradio hands every field over by its place.

    def open_talks(
        self, text: object, collection: object, outcome: object, rating: object, since: object, until: object,
        customer: object, request: gr.Request,
    ) -> Update:  # fmt: skip
        def act() -> Update:
            choices = [(self._front.say("talks_any"), "")]
            choices += [(info.name, info.name) for info in self._front.collections()]
            found = self._found((text, collection, outcome, rating, since, until, customer))
            return {**found, self._parts.collection: gr.update(choices=choices), self._parts.told: ""}

        return self._inside(request, act)

    def search(
        self, text: object, collection: object, outcome: object, rating: object, since: object, until: object,
        customer: object, request: gr.Request,
    ) -> Update:  # fmt: skip
        def act() -> Update:
            found = self._found((text, collection, outcome, rating, since, until, customer))
            return {**found, self._parts.told: ""}

        return self._inside(request, act)

    def list_again(
        self, text: object, collection: object, outcome: object, rating: object, since: object, until: object,
        customer: object, chosen: object, request: gr.Request,
    ) -> Update | Any:  # fmt: skip
        if chosen:  # nothing was deleted
            return gr.skip()
        return self._inside(request, lambda: self._found((text, collection, outcome, rating, since, until, customer)))

    def read(self, chosen: object, request: gr.Request) -> Update:
        return self._inside(request, lambda: self._opened(str(chosen or ""), visitor(request).session))

    def delete(self, chosen: str, sure: bool, request: gr.Request) -> Update:
        def act() -> Update:
            if not sure:
                return {self._parts.told: render.notice(self._front.say("talks_unsure"), "bad")}
            self._history.delete(chosen)
            self._front.door.log(visitor(request).session, "conversations.delete")
            return {self._parts.told: render.notice(self._front.say("talks_deleted")), self._parts.chosen: ""}

        return self._inside(request, act, role=Role.OWNER)

    def _inside(self, request: gr.Request, act: Callable[[], Update], *, role: Role = Role.VIEWER) -> Update:
        """What the event does, for an account that covers the role."""
        told = self._parts.told
        if not self._front.door.may(visitor(request).session, role):
            return {told: not_allowed(self._front, request)}
        try:
            return act()
        except ConfideError as error:
            return {told: render.notice(f"{error.message} {error.hint}".strip(), "bad")}
        except Exception:
            _log.exception("an event of the Conversations tab failed")
            return {told: render.notice(self._front.say("broken"), "bad")}

    def _found(self, values: tuple[object, ...]) -> Update:
        """The list of what fits, nothing open."""
        fields = {name: str(value or "").strip() for name, value in zip(_FIELDS, values, strict=True)}
        entries = self._history.find(replace(wanted_of(fields), limit=SHOWN + 1))
        labels = [(render_desk.entry(one, self._front.say), one.id) for one in entries[:SHOWN]]
        parts, look = self._parts, self._front.look()
        query = urlencode({name: value for name, value in fields.items() if value})
        return {
            parts.count: render_desk.many(len(entries), SHOWN, look),
            parts.found: gr.update(choices=labels, value=None, visible=bool(labels)),
            parts.export: render_desk.exports(query, list(FORMATS), look) if entries else "",
            parts.head: "",
            parts.thread: "",
            parts.deleting: gr.update(visible=False),
            parts.sure: False,
            parts.chosen: "",
        }

    def _opened(self, chosen: str, session: str) -> Update:
        entry, turns = self._history.read(chosen)
        parts, look = self._parts, self._front.look(entry.collection)
        return {
            parts.head: render_desk.about(entry, look),
            parts.thread: render_desk.thread(turns, look),
            parts.deleting: gr.update(visible=self._front.door.may(session, Role.OWNER)),
            parts.sure: False,
            parts.chosen: chosen,
            parts.told: "",
        }
