"""Small parts that the pages share."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gradio as gr

from assistant import texts
from assistant.errors import BadInput, Busy, ConfideError
from assistant.gate import Caller, address
from assistant.guard import SESSION
from assistant.ui import render
from assistant.ui.front import Front


def html(value: str, **options: Any) -> gr.Markdown:
    """A component for HTML of `render.py`; the browser's sanitizer stays on."""
    return gr.Markdown(value, sanitize_html=True, latex_delimiters=[], container=False, **options)


def hidden() -> gr.Textbox:
    """A field that only handlers see. Its value comes back from the browser: check it."""
    return gr.Textbox(visible=False)


def visitor(request: gr.Request) -> Caller:
    """Who sent the request: from our signed cookie, never from Gradio's session hash.

    Raises:
        BadInput: it has no session; the gate lets no such request through.
    """
    scope = request.request.scope if request.request else {}
    session = scope.get(SESSION)
    if session is None:
        raise BadInput("There is no session.", hint="Reload the page.")
    return Caller(session.id, address(scope))


def went_wrong(error: ConfideError, front: Front) -> str:
    """What went wrong, for a customer, as plain text; whatever has no words in the page's language is "broken"."""
    if isinstance(error, Busy):
        return texts.say("busy_theirs" if error.theirs else "busy", front.language, n=error.wait_s)
    if front.language != "en" and not isinstance(error, BadInput):
        return front.say("broken")
    return f"{error.message} {error.hint}".strip()


def not_allowed(front: Front, request: gr.Request) -> str:
    """Why this session may not do what it asks for, as HTML: nobody signed in, or their role is too small."""
    account, say = front.door.account(visitor(request).session), front.say
    return render.notice(say("not_allowed", role=say(account.role)) if account else say("not_inside"), "bad")


def forget_uploads(paths: list[Path], uploads: Path) -> None:
    """Deletes what was uploaded: Gradio keeps it twice, and leaves an empty file beside."""
    names = {path.name for path in paths}
    for folder in {uploads, *(path.parent.parent for path in paths)}:
        for copy in folder.glob("*/*"):
            if copy.name in names:
                copy.unlink(missing_ok=True)
        for leftover in folder.glob("tmp*"):
            status = leftover.stat()
            if not status.st_size and time.time() - status.st_mtime > 60:  # younger: perhaps being written
                leftover.unlink(missing_ok=True)
