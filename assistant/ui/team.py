"""The Team tab: who of the staff may enter, as what; and the log of who changed what. For the owner.

Every handler asks the door again. A one-time password is shown once, in the answer that made it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
from gradio.context import Context

from assistant.accounts import OWNER as OWNERS_NAME
from assistant.accounts import Account, Logged, Role
from assistant.errors import ConfideError
from assistant.gate import ADMIN, OWNER
from assistant.ui import render
from assistant.ui.front import Front
from assistant.ui.parts import html, visitor
from assistant.ui.render import Look

LINES = 100
"""So many lines of the log are shown; the file has all."""
_log = logging.getLogger(__name__)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    table: gr.Markdown
    name: gr.Textbox
    account: gr.Dropdown
    notice: gr.Markdown
    log: gr.Markdown

    def outputs(self) -> list[Any]:
        """Every component a handler may change."""
        return list(vars(self).values())


def build(front: Front) -> None:
    """Draws the tab in the current one and wires it."""
    tab, say = Context.block, front.say
    html(f'<p class="quiet">{render.safe(say("team_hint"))}</p>')
    notice = html("", elem_id="team-notice")
    table = html("", elem_id="team")
    roles = [(say(role), str(role)) for role in Role]
    with gr.Row(elem_id="team-add-row", equal_height=True):
        name = gr.Textbox(label=say("team_name"), max_length=100, elem_id="team-name", scale=2)
        role = gr.Dropdown(roles, value=str(Role.STAFF), label=say("team_role"), elem_id="team-role", scale=1)
        add = gr.Button(say("team_add"), variant="primary", elem_id="team-add", scale=0)
    with gr.Row(elem_id="team-change-row", equal_height=True):
        account = gr.Dropdown([], label=say("team_account"), elem_id="team-account", scale=2, min_width=120)
        other = gr.Dropdown(
            roles, value=str(Role.STAFF), label=say("team_role"), elem_id="team-other-role", scale=1, min_width=120
        )
        change = gr.Button(say("team_set_role"), elem_id="team-change", scale=0)
        renew = gr.Button(say("team_renew"), elem_id="team-renew", scale=0)
        remove = gr.Button(say("team_remove"), variant="stop", elem_id="team-remove", scale=0)
    html(f"<h2>{render.safe(say('log_title'))}</h2>", elem_classes="tab-title")
    log = html("", elem_id="log")
    handlers = _Handlers(front, Parts(table, name, account, notice, log))
    outputs = handlers.parts.outputs()
    events: dict[str, Any] = {"api_visibility": "private", "concurrency_id": OWNER, "concurrency_limit": 1}
    opening = {**events, "concurrency_id": ADMIN}  # let through for all of the staff, so that the tab can say no
    cast(gr.Tab, tab).select(handlers.open_team, None, outputs, **opening, show_progress="hidden")
    gr.on([name.submit, add.click], handlers.add_account, [name, role], outputs, **events, show_progress_on=[table])
    change.click(handlers.set_role, [account, other], outputs, **events, show_progress_on=[table])
    renew.click(handlers.renew, [account], outputs, **events, show_progress_on=[table])
    remove.click(handlers.remove_account, [account], outputs, **events, show_progress_on=[table])


class _Handlers:
    """What happens on each event. Every one asks the door first."""

    def __init__(self, front: Front, parts: Parts) -> None:
        self._front = front
        self.parts = parts

    def open_team(self, request: gr.Request) -> Update:
        return self._decide(request, lambda: "")

    def add_account(self, name: str, role: str, request: gr.Request) -> Update:
        def add() -> str:
            password = self._front.door.accounts.add(name or "", Role(role))
            self._note(request, "account.add", f"{name}: {role}")
            return self._once(name, password)

        return self._decide(request, add)

    def set_role(self, name: str | None, role: str, request: gr.Request) -> Update:
        def change() -> str:
            self._front.door.accounts.set_role(name or "", Role(role))
            self._note(request, "account.role", f"{name}: {role}")
            return render.notice(self._front.say("team_changed", name=name, role=self._front.say(role)))

        return self._decide(request, change)

    def renew(self, name: str | None, request: gr.Request) -> Update:
        def once() -> str:
            password = self._front.door.accounts.renew(name or "")
            self._note(request, "account.password", name or "")
            return self._once(name or "", password)

        return self._decide(request, once)

    def remove_account(self, name: str | None, request: gr.Request) -> Update:
        def away() -> str:
            self._front.door.accounts.remove(name or "")
            self._note(request, "account.remove", name or "")
            return render.notice(self._front.say("team_removed", name=name))

        return self._decide(request, away)

    def _decide(self, request: gr.Request, act: Callable[[], str]) -> Update:
        """What the event does, for the owner, and the tab as it stands then."""
        parts, front = self.parts, self._front
        if not front.door.may(visitor(request).session, Role.OWNER):
            emptied = {parts.table: "", parts.log: "", parts.account: gr.update(choices=[], value=None)}
            key = "owners_only" if front.door.is_inside(visitor(request).session) else "not_inside"
            return {**emptied, parts.notice: render.notice(front.say(key), "bad")}
        try:
            told = act()
        except ConfideError as error:
            return {parts.notice: render.notice(f"{error.message} {error.hint}".strip(), "bad")}
        except Exception:
            _log.exception("an event of the Team tab failed")
            return {parts.notice: render.notice(front.say("broken"), "bad")}
        found, look = front.door.accounts.all(), front.look()
        others = [one.name for one in found if one.name != OWNERS_NAME]
        return {
            parts.table: team(found, look),
            parts.log: lines(front.door.accounts.logged(LINES), look),
            parts.account: gr.update(choices=others, value=others[0] if others else None),
            parts.name: "",
            parts.notice: told,
        }

    def _note(self, request: gr.Request, action: str, what: str) -> None:
        self._front.door.log(visitor(request).session, action, what)

    def _once(self, name: str, password: str) -> str:
        return render.notice(self._front.say("team_once", name=name.strip(), password=password))


def team(found: list[Account], look: Look) -> str:
    """The table of the accounts."""
    rows = [
        (render.safe(one.name), render.safe(look.say(one.role)), _when(one.added), _seen(one, look), _kind(one, look))
        for one in found
    ]
    return render.table(look.say("team_head").split("|"), rows)


def lines(found: list[Logged], look: Look) -> str:
    """The table of the log's last lines, and the way to all of them."""
    if not found:
        return f'<p class="quiet">{render.safe(look.say("log_none"))}</p>'
    rows = [(_when(one.at), render.safe(one.who), render.safe(one.action), render.safe(one.what)) for one in found]
    link = f'<a class="nav" href="./receipts/log.csv">{render.safe(look.say("log_csv"))}</a>'
    return render.table(look.say("log_head").split("|"), rows) + link


def _seen(one: Account, look: Look) -> str:
    return _when(one.seen) if one.seen else render.safe(look.say("team_never"))


def _kind(one: Account, look: Look) -> str:
    if one.name == OWNERS_NAME:
        return render.safe(look.say("team_setting"))
    key = "team_waiting" if one.waiting else "" if one.own_password else "team_sso"
    return render.safe(look.say(key)) if key else ""


def _when(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
