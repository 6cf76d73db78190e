"""The staff's page and its Documents tab: what the assistant may answer from, behind a password.

Every handler asks the door again whether its session is inside: what is visible in a browser opens
nothing. An account is shown the tabs that its role may use. An uploaded file is read once and deleted; nobody can
download it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from assistant import ingest
from assistant.accounts import Account, Role
from assistant.errors import BadInput, ConfideError
from assistant.gate import ADMIN, LIGHT, STAFF
from assistant.sessions import Entry
from assistant.ui import render
from assistant.ui.front import Front
from assistant.ui.parts import forget_uploads, html, not_allowed, visitor

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PROGRESS = gr.Progress()
_log = logging.getLogger(__name__)
Update = dict[Any, Any]
Tabs = Sequence[tuple[str, Role]]
"""Title and role of each further tab."""


@dataclass(frozen=True)
class Manage:
    """The components of the page."""

    login: gr.Column
    inside: gr.Column
    leave: gr.Button
    who: gr.Textbox
    password: gr.Textbox
    own: gr.Accordion
    chosen_password: gr.Textbox
    refused: gr.Markdown
    collection: gr.Dropdown
    facts: gr.Markdown
    files: gr.File
    notice: gr.Markdown
    verdicts: gr.Markdown
    table: gr.Markdown
    chosen: gr.Dropdown
    unseen: gr.Markdown
    """The titles of tabs that the account may not use: the page's script hides them."""

    def outputs(self) -> list[Any]:
        """Every component a handler may change: the one list of outputs of this page."""
        return list(vars(self).values())


def build(front: Front, blocks: gr.Blocks, *, panels: Callable[[], Tabs] | None = None) -> None:
    """Draws the page in the current Blocks and wires it. `panels` draws more tabs and says who each is for."""
    say = front.say
    with gr.Column(elem_id="manage"):
        with gr.Row(elem_id="manage-head"):
            html(f"<h1>{render.safe(say('staff_page'))}</h1>")
            leave = gr.Button(say("leave"), size="sm", scale=0, elem_id="leave", visible=False)
            chat = front.path.replace("manage", "").strip("-")
            html(f'<a class="nav" href="./{chat}">{render.safe(say("to_chat"))}</a>', elem_id="to-chat")
        with gr.Column(elem_id="login") as login:
            html(f'<p class="quiet">{render.safe(say("password_hint"))}</p>')
            if front.settings.oidc.issuer:
                provider = urlsplit(front.settings.oidc.issuer).hostname or ""
                html(
                    f'<a class="nav" href="./sso/login">{render.safe(say("sso", provider=provider))}</a>', elem_id="sso"
                )
            who = gr.Textbox(label=say("user_name"), placeholder=say("user_name_hint"), elem_id="who", max_length=100)
            password = gr.Textbox(label=say("password"), type="password", elem_id="password", max_length=200)
            with gr.Accordion(say("own_password"), open=False, elem_id="own-password") as own:
                chosen_password = gr.Textbox(
                    label=say("new_password"), info=say("new_password_hint"), type="password", elem_id="new-password",
                    max_length=200,
                )  # fmt: skip
            enter = gr.Button(say("enter"), variant="primary", elem_id="enter")
            refused = html("", visible=False, elem_id="refused")
        tabs: Tabs = ()
        with gr.Column(visible=False, elem_id="inside") as inside:
            unseen = html("", elem_id="unseen")
            if panels:
                with gr.Tabs():
                    with gr.Tab(say("documents_title")):
                        parts = _inside(front)
                    tabs = panels()
            else:
                parts = _inside(front)
    collection, facts, files, add, notice, verdicts, table, chosen, remove = parts
    page = Manage(
        login, inside, leave, who, password, own, chosen_password, refused, collection, facts, files, notice, verdicts,
        table, chosen, unseen,
    )  # fmt: skip
    handlers = _Handlers(front, page, tabs)
    outputs = page.outputs()
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}
    admin: dict[str, Any] = {"api_visibility": "private", "concurrency_id": ADMIN, "concurrency_limit": 1}
    blocks.load(handlers.load, None, outputs, **light)
    typed = [who, password, chosen_password]
    entering = [password.submit, chosen_password.submit, enter.click]
    gr.on(entering, handlers.enter, typed, outputs, **light)
    leave.click(handlers.leave, None, outputs, **light)
    collection.input(handlers.show, [collection], outputs, **admin, show_progress="hidden")
    staff = {**admin, "concurrency_id": STAFF}
    add.click(handlers.add, [collection, files], outputs, **staff, show_progress_on=[verdicts])
    remove.click(handlers.remove, [collection, chosen], outputs, **staff, show_progress_on=[table])


def _inside(front: Front) -> tuple[Any, ...]:
    """The collection, the files to add, the documents that are there."""
    say = front.say
    html(f'<p class="quiet">{render.safe(say("documents_hint"))}</p>')
    collection = gr.Dropdown(
        [], label=say("which_collection"), info=say("which_collection_hint"), allow_custom_value=True, elem_id="which"
    )
    facts = html("", elem_id="facts")
    with gr.Column(elem_id="upload"):
        files = gr.File(label=say("files"), file_count="multiple", type="filepath", elem_id="files", height=150)
        add = gr.Button(say("add"), variant="primary", elem_id="add")
    notice = html("", elem_id="notice", visible=False)
    verdicts = html("", elem_id="verdicts", visible=False)
    with gr.Row(elem_id="removal", equal_height=True):
        chosen = gr.Dropdown([], label=say("to_remove"), multiselect=True, elem_id="chosen", scale=1)
        remove = gr.Button(say("remove"), variant="stop", scale=0, elem_id="remove")
    table = html("", elem_id="documents")
    return collection, facts, files, add, notice, verdicts, table, chosen, remove


class _Handlers:
    """What happens on each event. Every one asks the door first."""

    def __init__(self, front: Front, page: Manage, tabs: Tabs) -> None:
        self._front = front
        self._page = page
        self._tabs = tabs

    def load(self, request: gr.Request) -> Update:
        update = self._view(request, None)
        for typed in (self._page.who, self._page.password, self._page.chosen_password):
            update.pop(typed, None)  # it may have been typed already
        return update

    def enter(self, who: str, password: str, chosen: str, request: gr.Request) -> Update:
        caller, page, say = visitor(request), self._page, self._front.say
        try:
            entry = self._front.door.enter(
                caller.session, password or "", address=caller.address, name=who or "", chosen=chosen or ""
            )
        except BadInput as error:
            wrong = render.notice(f"{error.message} {error.hint}", "bad")
            return {page.refused: gr.update(value=wrong, visible=True), page.own: gr.update(open=True)}
        if entry:
            return self._view(request, None)
        if entry is Entry.CHOOSE:
            told = render.notice(say("choose_password"))
            return {page.refused: gr.update(value=told, visible=True), page.own: gr.update(open=True)}
        wrong = render.notice(say("wrong_password"), "bad")
        return {page.refused: gr.update(value=wrong, visible=True), page.password: "", page.chosen_password: ""}

    def leave(self, request: gr.Request) -> Update:
        self._front.door.leave(visitor(request).session)
        return self._view(request, None)

    def show(self, collection: str | None, request: gr.Request) -> Update:
        return self._view(request, collection)

    def add(
        self,
        collection: str | None,
        files: list[str] | None,
        request: gr.Request,
        progress: gr.Progress = _PROGRESS,
    ) -> Update:
        say, name = self._front.say, (collection or "").strip()
        paths = [Path(file) for file in files or []]
        try:
            if self._may_not_change(request):
                return self._view(request, collection, notice=not_allowed(self._front, request))
            if not paths or not _NAME.fullmatch(name):
                wrong = say("no_files") if _NAME.fullmatch(name) else say("bad_collection")
                return self._view(request, collection, notice=render.notice(wrong, "bad"))
            return self._ingest(request, name, paths, progress)
        finally:
            forget_uploads(paths, self._front.settings.data_dir / "uploads")

    def remove(self, collection: str | None, chosen: list[str] | None, request: gr.Request) -> Update:
        if self._may_not_change(request):
            return self._view(request, collection, notice=not_allowed(self._front, request))
        if not chosen or not collection:
            return self._view(request, collection)
        assistant, notice = self._front.assistant, ""
        try:
            ingest.remove_documents(
                chosen, store=assistant.store, settings=assistant.settings, index=assistant.searcher,
                collection=collection,
            )  # fmt: skip
            self._front.door.log(visitor(request).session, "document.remove", f"{collection}: {len(chosen)}")
            notice = render.notice(self._front.say("removed_summary", n=len(chosen), collection=collection))
        except ConfideError as error:
            notice = render.notice(f"{error.message} {error.hint}", "bad")
        return self._view(request, collection, notice=notice)

    def _ingest(self, request: gr.Request, name: str, paths: list[Path], progress: gr.Progress) -> Update:
        assistant, say = self._front.assistant, self._front.say
        progress(0, desc=say("adding"))

        def tell(stage: str, done: int, total: int) -> None:
            progress((done, total), desc=say("adding"))
            assistant.line.give_way()

        try:
            report = ingest.ingest(
                paths, store=assistant.store, settings=assistant.settings, index=assistant.searcher, collection=name,
                progress=tell,
            )  # fmt: skip
        except ConfideError as error:
            return self._view(request, name, notice=render.notice(f"{error.message} {error.hint}", "bad"))
        except Exception:
            _log.exception("an ingest failed")
            return self._view(request, name, notice=render.notice(say("broken"), "bad"))
        summary = say(
            "added_summary", collection=name, documents=report.documents, passages=report.passages,
            seconds=f"{report.seconds:.1f}",
        )  # fmt: skip
        self._front.door.log(visitor(request).session, "document.add", f"{name}: {len(report.files)}")
        warnings = "".join(render.notice(warning, "bad") for warning in report.warnings)
        verdicts = render.verdicts(report.files, self._front.look())
        return self._view(request, name, notice=render.notice(summary) + warnings, verdicts=verdicts)

    def _may_not_change(self, request: gr.Request) -> bool:
        return not self._front.door.may(visitor(request).session, Role.STAFF)

    def _view(self, request: gr.Request, collection: str | None, *, notice: str = "", verdicts: str = "") -> Update:
        """The page for this session: the login alone, or everything."""
        account = self._front.door.account(visitor(request).session)
        if account is None:
            return self._closed()
        page, front = self._page, self._front
        infos = front.collections()
        name = collection or (infos[0].name if infos else front.settings.collection)
        info = next((info for info in infos if info.name == name), None)
        found = front.assistant.store.documents(front.settings.tenant, name) if info else []
        return {
            **self._doors(account),
            page.facts: (render.facts(info, front.look()) + front.banner(name)) if info else "",
            page.collection: gr.update(choices=[info.name for info in infos], value=name),
            page.table: render.documents(found, front.look()),
            page.chosen: gr.update(choices=[document.name for document in found], value=[]),
            page.notice: gr.update(value=notice, visible=bool(notice)),
            page.verdicts: gr.update(value=verdicts, visible=bool(verdicts)),
        }

    def _closed(self) -> Update:
        page = self._page
        emptied = dict.fromkeys([page.facts, page.table, page.verdicts, page.notice], "")
        lists = {page.collection: gr.update(choices=[], value=None), page.chosen: gr.update(choices=[], value=[])}
        return {**self._doors(None), **emptied, **lists}

    def _doors(self, account: Account | None) -> Update:
        """What is visible to this account, or outside; fields are emptied either way."""
        page, say = self._page, self._front.say
        out = say("leave_as", name=account.name) if account else say("leave")
        return {
            page.login: gr.update(visible=account is None), page.inside: gr.update(visible=account is not None),
            page.leave: gr.update(visible=account is not None, value=out), page.refused: gr.update(visible=False),
            page.who: "", page.password: "", page.chosen_password: "", page.own: gr.update(open=False),
            page.files: None,
            page.unseen: "|".join(title for title, role in self._tabs if account and not account.role.covers(role)),
        }  # fmt: skip
