"""The application of the API: its doors put together, and its description for programs.

Not the server: headers, hosts, origins, body caps and the session cookie stand before it.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from assistant import __version__
from assistant.api import (
    chat,
    conversations,
    desk,
    documents,
    embedding,
    models,
    problems,
    rating,
    recommending,
    reference,
)
from assistant.api.house import House, Rates
from assistant.core import Assistant
from assistant.errors import ConfideError
from assistant.keys import Keys
from assistant.sessions import Door, Sessions

_ABOUT = (
    "Ask the assistant from other programs. The chat speaks OpenAI's protocol: answers are made from your documents, "
    "citations are annotations, and what became of the question is in the field `confide`. "
    "Send a key of `confide keys create` as a bearer token."
)


def build_api(assistant: Assistant, *, door: Door, sessions: Sessions) -> FastAPI:
    """The application, to be mounted at /v1."""
    api = FastAPI(
        title="Confide",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses={"default": {"model": problems.Problem, "description": "What is wrong, and what to do next."}},
    )
    server, keys = assistant.settings.server, Keys(assistant.store, assistant.settings.tenant)
    api.state.house = House(assistant, door, sessions, keys, Rates(server))
    for part in (chat, models, embedding, recommending, rating, documents, conversations, desk, reference):
        api.include_router(part.router)
    api.add_exception_handler(problems.ApiError, problems.told)
    api.add_exception_handler(ConfideError, problems.told)
    api.add_exception_handler(RequestValidationError, problems.told)
    api.add_exception_handler(HTTPException, problems.told)
    described = api.openapi
    api.openapi = lambda: _described(described())  # type: ignore[method-assign]
    return api


def _described(found: dict[str, Any]) -> dict[str, Any]:
    """The description with its server, its keys, and without the errors that FastAPI would send by itself."""
    schemas = found["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    found["servers"] = [{"url": "/v1"}]
    found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for operations in found["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            if "open" in operation.get("tags", ()):
                operation.pop("tags")
            else:
                operation["security"] = [{"key": []}]
    return found
