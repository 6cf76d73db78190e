"""What is wrong with a request, in the shape that OpenAI's clients read and ours too.

`{"error": {"message", "type", "param", "code"}}`, and `detail` beside it as every other refusal of the server has it.
"""

from __future__ import annotations

import logging

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from assistant.errors import BadInput, Busy, CaseRefused, ConfideError, RatingRefused, StoreBusy, UnknownName
from assistant.guard import problem

_log = logging.getLogger(__name__)


class ProblemBody(BaseModel):
    """What is wrong: a sentence for people, a code for programs, the field where it is one."""

    message: str
    type: str
    param: str | None
    code: str | None


class Problem(BaseModel):
    """The body of every refusal."""

    error: ProblemBody
    detail: str


class ApiError(Exception):
    """A refusal with its status; `code` is one of OpenAI's where there is one."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None, retry_after: int = 0
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.retry_after = status, message, code, param, retry_after


async def told(_request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that went wrong."""
    if isinstance(error, Busy):
        status, code = (429, "rate_limit") if error.theirs else (503, "overloaded")
        error = ApiError(status, f"{error.message} {error.hint}", code=code, retry_after=error.wait_s)
    if isinstance(error, ApiError):
        headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
        return JSONResponse(problem(error.status, error.message, error.code, error.param), error.status, headers)
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return JSONResponse(problem(error.status_code, str(error.detail)), error.status_code, error.headers)
    if isinstance(error, ConfideError):
        status = _status(error)
        return JSONResponse(problem(status, f"{error.message} {error.hint}".strip()), status)
    raise error


def _status(error: ConfideError) -> int:
    if isinstance(error, UnknownName):
        return 404
    if isinstance(error, RatingRefused):
        return 403
    if isinstance(error, CaseRefused):
        return 409
    if isinstance(error, BadInput):
        return 400
    if not isinstance(error, StoreBusy):
        _log.warning("a request of the API failed: %s", error.message)
    return 503


def _invalid(error: RequestValidationError) -> JSONResponse:
    """Everything that is wrong with a body, at once; nothing of the body itself is repeated."""
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return JSONResponse(problem(400, "The body is not JSON.", "invalid_json"), 400)
    places = [".".join(str(part) for part in one["loc"][1:]) or str(one["loc"][0]) for one in found]
    text = "; ".join(f"{place}: {one['msg']}" for place, one in zip(places, found, strict=True))
    return JSONResponse(problem(400, f"The request is wrong: {text}.", "invalid_request", places[0]), 400)
