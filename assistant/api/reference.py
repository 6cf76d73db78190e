"""`/openapi.json` and `/docs`: the API described, for programs and for people.

The page is made here, as plain HTML without a script: the usual ones load theirs from elsewhere.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

router = APIRouter(include_in_schema=False)
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2.5rem 0 .3rem; font-size: 1.1rem; } code, pre { font: .88rem/1.5 ui-monospace, monospace; }
h2 b { display: inline-block; min-width: 4.5rem; color: #0b7a70; }
pre { overflow-x: auto; padding: .8rem; background: color-mix(in srgb, currentColor 8%, transparent); }
table { border-collapse: collapse; width: 100%; } td { padding: .25rem .8rem .25rem 0; vertical-align: top; }
"""


@router.get("/openapi.json")
def openapi(request: Request) -> JSONResponse:
    """The OpenAPI description."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """The description as a page."""
    found = request.app.openapi()
    parts = [
        _operation(path, method, operation, found["components"]["schemas"])
        for path, operations in found["paths"].items()
        for method, operation in operations.items()
    ]
    head = f"<h1>{escape(found['info']['title'])} API {escape(found['info']['version'])}</h1>"
    about = f'<p>{escape(found["info"]["description"])}</p><p><a href="openapi.json">OpenAPI description (JSON)</a></p>'
    page = f"<title>Confide API</title><style>{_STYLE}</style></head><body>{head}{about}{''.join(parts)}</body></html>"
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{page}'
    )


def _operation(path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    key = "" if operation.get("security") else " · no key"
    text = f"<h2><b>{escape(method.upper())}</b> <code>/v1{escape(path)}</code></h2>"
    summary, about = (escape(operation.get(part, "")) for part in ("summary", "description"))
    text += f"<p><strong>{summary}</strong>{key}<br>{about}</p>"
    rows = [(p["name"], p["in"], p.get("description", "")) for p in operation.get("parameters", [])]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = _resolved(content["schema"], schemas)
        rows += [
            (name, _kind(part), part.get("description", "")) for name, part in schema.get("properties", {}).items()
        ]
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(what)}</td></tr>"
        for name, kind, what in rows
    )
    return text + (f"<table>{cells}</table>" if cells else "") + _answer(operation, schemas)


def _answer(operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    """The fields of a good answer."""
    good = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    fields = _resolved(good, schemas).get("properties", {})
    if not fields:
        return ""
    shown = json.dumps({name: _kind(part) for name, part in fields.items()}, indent=2)
    return f"<details><summary>Answer</summary><pre>{escape(shown)}</pre></details>"


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


def _kind(part: dict[str, Any]) -> str:
    if "anyOf" in part:
        return " or ".join(_kind(one) for one in part["anyOf"])
    if "$ref" in part:
        return str(part["$ref"].rpartition("/")[2])
    if "const" in part or "enum" in part:
        return " | ".join(str(value) for value in part.get("enum", [part.get("const")]))
    if part.get("type") == "array":
        return f"list of {_kind(part.get('items', {})) or 'values'}"
    return str(part.get("type", "any value"))
