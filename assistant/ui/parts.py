"""Small parts that the pages share."""

from __future__ import annotations

from typing import Any

import gradio as gr

from assistant.errors import BadInput
from assistant.gate import Caller, address
from assistant.guard import SESSION


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
