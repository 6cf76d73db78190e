"""`/widget.js` and its demo page. The script is one file of ours, without a library; it is sent as it is written.

Which sites may use it is `server.cors_origins`: the script itself is public, its requests from other sites are refused.
"""

from __future__ import annotations

import gzip
from html import escape
from importlib import resources

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

_HEADERS = {
    "cross-origin-resource-policy": "cross-origin",
    "cache-control": "public, max-age=600",
    "vary": "accept-encoding",
}


def script() -> bytes:
    """The widget, as it is sent."""
    return (resources.files("assistant.widget") / "widget.js").read_bytes()


def add_widget(app: FastAPI, collection: str) -> None:
    """Serves the widget; its demo page asks `collection`."""
    plain = script()
    packed = gzip.compress(plain, 9)
    demo = (resources.files("assistant.widget") / "demo.html").read_text(encoding="utf-8")

    @app.get("/widget.js", include_in_schema=False)
    def widget(request: Request) -> Response:
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        headers = {**_HEADERS, **({"content-encoding": "gzip"} if zipped else {})}
        return Response(packed if zipped else plain, media_type="text/javascript; charset=utf-8", headers=headers)

    @app.get("/widget/demo", include_in_schema=False)
    def page(request: Request) -> HTMLResponse:
        wanted = request.query_params
        options = "".join(f' data-{name}="{escape(wanted[name])}"' for name in ("lang", "dir") if name in wanted)
        return HTMLResponse(demo.replace("{collection}", escape(collection)).replace("{options}", options))
