"""The Documents page: what the assistant may answer from, behind a password.

Every handler asks the door again whether its session is inside: what is visible in a browser opens
nothing. An uploaded file is read once and deleted; nobody can download it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from assistant import ingest
from assistant.errors import ConfideError
from assistant.gate import ADMIN, LIGHT
from assistant.ui import render
from assistant.ui.front import Front
from assistant.ui.parts import forget_uploads, html, visitor

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_PROGRESS = gr.Progress()
_log = logging.getLogger(__name__)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Manage:
    """The components of the page."""

    login: gr.Column
    inside: gr.Column
    leave: gr.Button
    password: gr.Textbox
    refused: gr.Markdown
    collection: gr.Dropdown
    facts: gr.Markdown
    files: gr.File
    notice: gr.Markdown
    verdicts: gr.Markdown
    table: gr.Markdown
    chosen: gr.Dropdown

    def outputs(self) -> list[Any]:
        """Every component a handler may change: the one list of outputs of this page."""
        return list(vars(self).values())


def build(front: Front, blocks: gr.Blocks, *, panels: Callable[[], None] | None = None) -> None:
    """Draws the page in the current Blocks and wires it. `panels` adds tabs that only staff sees."""
    say = front.say
    with gr.Column(elem_id="manage"):
        with gr.Row(elem_id="manage-head"):
            html(f"<h1>{render.safe(say('documents_title'))}</h1>")
            leave = gr.Button(say("leave"), size="sm", scale=0, elem_id="leave", visible=False)
            chat = front.path.replace("manage", "").strip("-")
            html(f'<a class="nav" href="./{chat}">{render.safe(say("to_chat"))}</a>', elem_id="to-chat")
        with gr.Column(elem_id="login") as login:
            html(f'<p class="quiet">{render.safe(say("password_hint"))}</p>')
            password = gr.Textbox(label=say("password"), type="password", elem_id="password", max_length=200)
            enter = gr.Button(say("enter"), variant="primary", elem_id="enter")
            refused = html("", visible=False, elem_id="refused")
        with gr.Column(visible=False, elem_id="inside") as inside:
            if panels:
                with gr.Tabs():
                    with gr.Tab(say("documents_title")):
                        parts = _inside(front)
                    panels()
            else:
                parts = _inside(front)
    collection, facts, files, add, notice, verdicts, table, chosen, remove = parts
    page = Manage(login, inside, leave, password, refused, collection, facts, files, notice, verdicts, table, chosen)
    handlers = _Handlers(front, page)
    outputs = page.outputs()
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}
    admin: dict[str, Any] = {"api_visibility": "private", "concurrency_id": ADMIN, "concurrency_limit": 1}
    blocks.load(handlers.load, None, outputs, **light)
    gr.on([password.submit, enter.click], handlers.enter, [password], outputs, **light)
    leave.click(handlers.leave, None, outputs, **light)
    collection.input(handlers.show, [collection], outputs, **admin, show_progress="hidden")
    add.click(handlers.add, [collection, files], outputs, **admin, show_progress_on=[verdicts])
    remove.click(handlers.remove, [collection, chosen], outputs, **admin, show_progress_on=[table])


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

    def __init__(self, front: Front, page: Manage) -> None:
        self._front = front
        self._page = page

    def load(self, request: gr.Request) -> Update:
        update = self._view(request, None)
        del update[self._page.password]  # it may have been typed already
        return update

    def enter(self, password: str, request: gr.Request) -> Update:
        caller = visitor(request)
        if self._front.door.enter(caller.session, password or "", address=caller.address):
            return self._view(request, None)
        wrong = render.notice(self._front.say("wrong_password"), "bad")
        return {self._page.refused: gr.update(value=wrong, visible=True), self._page.password: ""}

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
            if not self._is_inside(request) or not paths or not _NAME.fullmatch(name):
                wrong = say("no_files") if _NAME.fullmatch(name) else say("bad_collection")
                return self._view(request, collection, notice=render.notice(wrong, "bad"))
            return self._ingest(request, name, paths, progress)
        finally:
            forget_uploads(paths, self._front.settings.data_dir / "uploads")

    def remove(self, collection: str | None, chosen: list[str] | None, request: gr.Request) -> Update:
        if not self._is_inside(request) or not chosen or not collection:
            return self._view(request, collection)
        assistant, notice = self._front.assistant, ""
        try:
            ingest.remove_documents(
                chosen, store=assistant.store, settings=assistant.settings, index=assistant.searcher,
                collection=collection,
            )  # fmt: skip
            notice = render.notice(self._front.say("removed_summary", n=len(chosen), collection=collection))
        except ConfideError as error:
            notice = render.notice(f"{error.message} {error.hint}", "bad")
        return self._view(request, collection, notice=notice)

    def _ingest(self, request: gr.Request, name: str, paths: list[Path], progress: gr.Progress) -> Update:
        assistant, say = self._front.assistant, self._front.say
        progress(0, desc=say("adding"))

        def tell(stage: str, done: int, total: int) -> None:
            progress((done, total), desc=say("adding"))

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
        warnings = "".join(render.notice(warning, "bad") for warning in report.warnings)
        verdicts = render.verdicts(report.files, self._front.look())
        return self._view(request, name, notice=render.notice(summary) + warnings, verdicts=verdicts)

    def _is_inside(self, request: gr.Request) -> bool:
        return self._front.door.is_inside(visitor(request).session)

    def _view(self, request: gr.Request, collection: str | None, *, notice: str = "", verdicts: str = "") -> Update:
        """The page for this session: the login alone, or everything."""
        if not self._is_inside(request):
            return self._closed()
        page, front = self._page, self._front
        infos = front.collections()
        name = collection or (infos[0].name if infos else front.settings.collection)
        info = next((info for info in infos if info.name == name), None)
        found = front.assistant.store.documents(front.settings.tenant, name) if info else []
        return {
            **self._doors(inside=True),
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
        return {**self._doors(inside=False), **emptied, **lists}

    def _doors(self, *, inside: bool) -> Update:
        """What is visible inside and outside; fields are emptied either way."""
        page, shown = self._page, gr.update(visible=inside)
        hidden = gr.update(visible=False)
        login = gr.update(visible=not inside)
        return {
            page.login: login, page.inside: shown, page.leave: shown, page.refused: hidden, page.password: "",
            page.files: None,
        }  # fmt: skip
