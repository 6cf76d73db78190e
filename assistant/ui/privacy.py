"""The Privacy tab of the staff's page: what training has spent, what left this machine, forgetting a customer.

Every handler asks the door again whether its session is inside. Budgets are set on the command line, where
what they mean is explained; here they are shown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.context import Context

from assistant import erase
from assistant.accounts import Role
from assistant.errors import ConfideError
from assistant.gate import LIGHT, OWNER
from assistant.owners import speakers
from assistant.ui import render, render_privacy
from assistant.ui.front import Front
from assistant.ui.parts import html, not_allowed, visitor
from privacy.errors import PrivacyError
from privacy.ledger import Ledger
from privacy.policy import Egress

_log = logging.getLogger(__name__)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    gauges: gr.Markdown
    history: gr.Markdown
    found: gr.Markdown
    customer: gr.Textbox
    sure: gr.Checkbox
    told: gr.Markdown
    receipts: gr.Markdown
    egress: gr.Markdown

    def outputs(self) -> list[Any]:
        """Every component a handler may change."""
        return list(vars(self).values())


def build(front: Front) -> None:
    """Draws the tab in the one that is open and wires it."""
    say = front.say
    tab = Context.block
    html(f'<p class="quiet">{render.safe(say("privacy_hint"))}</p>')
    _title(front, "privacy_training")
    gauges = html("", elem_id="privacy-gauges")
    html(f'<p class="quiet">{render.safe(say("privacy_not_covered"))}</p>')
    history = html("", elem_id="privacy-history")
    _title(front, "forget_title")
    with gr.Column(elem_id="forget-card"):
        html(f'<p class="quiet">{render.safe(say("forget_hint"))}</p>')
        with gr.Row(elem_id="forget-find"):
            text = gr.Textbox(label=say("find_text"), max_length=300, elem_id="find-text", scale=3)
            search = gr.Button(say("find"), elem_id="find", scale=0)
        found = html("", elem_id="found")
        customer = gr.Textbox(label=say("customer_id"), max_length=300, elem_id="customer")
        sure = gr.Checkbox(False, label=say("forget_sure"), elem_id="forget-sure")
        go = gr.Button(say("forget"), variant="stop", elem_id="forget")
    told = html("", elem_id="forgotten")
    receipts = html("", elem_id="receipts")
    _title(front, "egress_title")
    egress = html("", elem_id="egress")
    parts = Parts(gauges, history, found, customer, sure, told, receipts, egress)
    handlers = _Handlers(front, parts)
    outputs = parts.outputs()
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}
    owner: dict[str, Any] = {"api_visibility": "private", "concurrency_id": OWNER, "concurrency_limit": 1}
    cast(gr.Tab, tab).select(handlers.open_privacy, None, outputs, **light)
    gr.on([text.submit, search.click], handlers.find, [text], outputs, **light)
    go.click(handlers.forget, [customer, sure], outputs, **owner, show_progress_on=[told])


def _title(front: Front, key: str) -> None:
    html(f"<h2>{render.safe(front.say(key))}</h2>", elem_classes="tab-title")


class _Handlers:
    """What happens on each event. Every one asks the door first."""

    def __init__(self, front: Front, parts: Parts) -> None:
        self._front = front
        self._parts = parts

    def open_privacy(self, request: gr.Request) -> Update:
        return self._inside(request, lambda: self._view())

    def find(self, text: str, request: gr.Request) -> Update:
        def look() -> Update:
            wanted = (text or "").strip()
            tenant = self._front.settings.tenant
            found = speakers(self._front.assistant.store, tenant, wanted) if len(wanted) > 2 else []
            one = {self._parts.customer: found[0].customer} if len(found) == 1 else {}
            return {self._parts.found: render_privacy.speakers(found, self._front.look()), **one}

        return self._inside(request, look, told=self._parts.found)

    def forget(self, customer: str, sure: bool, request: gr.Request) -> Update:
        def away() -> Update:
            if not sure:
                return {self._parts.told: render.notice(self._front.say("forget_unsure"), "bad")}
            assistant = self._front.assistant
            done = erase.forget(
                (customer or "").strip(), store=assistant.store, settings=assistant.settings, index=assistant.searcher
            )
            self._front.door.log(visitor(request).session, "privacy.forget", done.path.name)
            said = render_privacy.receipt(done.receipt, done.path.name, self._front.look())
            emptied = {self._parts.customer: "", self._parts.sure: False, self._parts.found: ""}
            return {**self._view(but=done.path.name), **emptied, self._parts.told: said}

        return self._inside(request, away, role=Role.OWNER)

    def _inside(
        self, request: gr.Request, act: Callable[[], Update], told: Any = None, role: Role = Role.VIEWER
    ) -> Update:
        """What the event does, for an account that covers the role; an error is told where the eye is."""
        where = told or self._parts.told
        if not self._front.door.may(visitor(request).session, role):
            return {where: not_allowed(self._front, request)}
        try:
            return act()
        except (ConfideError, PrivacyError) as error:
            return {where: render.notice(f"{error.message} {error.hint}".strip(), "bad")}
        except Exception:
            _log.exception("an event of the Privacy tab failed")
            return {where: render.notice(self._front.say("broken"), "bad")}

    def _view(self, *, but: str = "") -> Update:
        """The whole tab, as it stands now; without the receipt that is shown already."""
        front, parts, look = self._front, self._parts, self._front.look()
        root = front.settings.data_dir
        names = [path.name for path in (root / "privacy" / "receipts").glob("*.json") if path.name != but]
        local_only = front.settings.privacy.local_only
        return {
            **self._spent(),
            parts.receipts: render_privacy.receipts(names, look),
            parts.egress: render_privacy.departures(Egress(root).log(), local_only, look),
            parts.told: "",
        }

    def _spent(self) -> Update:
        """What the book says; why it cannot be trusted where it cannot."""
        parts, look, root = self._parts, self._front.look(), self._front.settings.data_dir
        if not (root / "privacy" / "ledger.db").exists():
            return {parts.gauges: render_privacy.gauges({}, look), parts.history: ""}
        try:
            book = Ledger(root)
            charges = tuple(book.book().charges.values())
            return {
                parts.gauges: render_privacy.gauges(book.reports(), look),
                parts.history: render_privacy.history(charges, look),
            }
        except PrivacyError as error:
            return {parts.gauges: render.notice(f"{error.message} {error.hint}".strip(), "bad"), parts.history: ""}
