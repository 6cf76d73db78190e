"""`/documents`: what the assistant answers from: listed for staff, added and removed by the owner.

Files come as multipart and are read by the walk ingest, in its worker with its limits: each has a verdict.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from assistant import ingest
from assistant.api.house import House, TheHouse, Who
from assistant.api.problems import ApiError
from assistant.keys import Role
from assistant.types import IngestReport, Verdict

router = APIRouter()
MOST_FILES = 50
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,150}")
_NAME_BYTES = 255
"""The most that file systems take; a Chinese character has three."""
_COLLECTION = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                    },
                }
            }
        },
    }
}
Collection = Annotated[str, Query(max_length=63, description="The collection; empty = the settings' own.")]


class DocumentLine(BaseModel):
    """A document of a collection; `id` is its name there."""

    object: Literal["document"] = "document"
    id: str
    kind: str
    language: str
    characters: int
    sha256: str


class Documents(BaseModel):
    """The documents of a collection, by name."""

    object: Literal["list"] = "list"
    collection: str
    data: list[DocumentLine]


class FileLine(BaseModel):
    """What became of a file, and why."""

    name: str
    verdict: Verdict
    reason: str
    passages: int


class Changed(BaseModel):
    """What was changed, and how large the collection is now."""

    object: Literal["ingest"] = "ingest"
    collection: str
    files: list[FileLine]
    documents: int
    passages: int
    warnings: list[str]


@router.get("/documents", summary="The documents of a collection")
def documents(house: TheHouse, caller: Who, collection: Collection = "") -> Documents:
    """For staff."""
    caller.need(Role.STAFF)
    info = house.collection(caller, collection)
    found = house.assistant.store.each_document(info.tenant, info.name)
    lines = [
        DocumentLine(id=one.name, kind=one.kind, language=one.language, characters=len(one.text), sha256=one.sha256)
        for one in found
    ]
    return Documents(collection=info.name, data=lines)


@router.post("/documents", summary="Read files into a collection", openapi_extra=_UPLOAD, response_model=Changed)
async def add(house: TheHouse, caller: Who, request: Request, collection: Collection = "") -> Changed:
    """For the owner. A file that was read before is replaced where it changed; a bad file is a verdict."""
    caller.need(Role.OWNER)  # before the body is read
    name = collection or caller.collection or house.assistant.settings.collection
    if caller.collection not in {"", name} or not _COLLECTION.fullmatch(name):
        raise ApiError(403 if caller.collection else 400, f"{name!r} is not a collection of yours.", param="collection")
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise ApiError(400, "Send the files as multipart/form-data, each in a field `file`.", param="file")
    try:
        form = await request.form(max_files=MOST_FILES, max_fields=0)
    except ValueError as error:  # what the parser says of a broken body
        raise ApiError(400, "The body is not multipart/form-data.", code="invalid_request", param="file") from error
    try:
        files = [one for one in form.getlist("file") if isinstance(one, UploadFile)]
        _check([one.filename or "" for one in files])
        with tempfile.TemporaryDirectory(prefix="confide-upload-") as folder:
            paths = [Path(folder) / (one.filename or "") for one in files]
            for file, path in zip(files, paths, strict=True):
                path.write_bytes(await file.read())
            report = await run_in_threadpool(_ingest, house, name, paths)
            await run_in_threadpool(house.log, caller, "document.add", f"{name}: {len(paths)}")
            return _changed(report)
    finally:
        await form.close()


@router.delete("/documents/{name:path}", summary="Remove a document")
def remove(house: TheHouse, caller: Who, name: str, collection: Collection = "") -> Changed:
    """For the owner. It is gone from the answers at once."""
    caller.need(Role.OWNER)
    info = house.collection(caller, collection)
    assistant = house.assistant
    if name not in {one.name for one in assistant.store.each_document(info.tenant, info.name)}:
        raise ApiError(404, f"The collection {info.name} has no document {name!r}.", code="not_found", param="name")
    report = ingest.remove_documents(
        [name], store=assistant.store, settings=assistant.settings, index=assistant.searcher, collection=info.name
    )
    house.log(caller, "document.remove", f"{info.name}: 1")
    return _changed(report)


def _check(names: list[str]) -> None:
    """Every name is a plain file's. Raises ApiError."""
    if not names:
        raise ApiError(400, "There is no file in a field `file`.", code="invalid_request", param="file")
    bad = [
        name for name in names
        if not _NAME.fullmatch(name) or name.startswith(".") or len(os.fsencode(name)) > _NAME_BYTES
    ]  # fmt: skip
    if bad or len(set(names)) < len(names):
        why = f"{bad[0]!r} cannot name a document" if bad else "Two files have the same name"
        raise ApiError(400, f"{why}.", code="invalid_request", param="file")


def _ingest(house: House, name: str, paths: list[Path]) -> IngestReport:
    assistant: Any = house.assistant
    return ingest.ingest(
        paths, store=assistant.store, settings=assistant.settings, index=assistant.searcher, collection=name,
        progress=lambda stage, done, total: assistant.line.give_way(),
    )  # fmt: skip


def _changed(report: IngestReport) -> Changed:
    lines = [FileLine(name=f.name, verdict=f.verdict, reason=f.reason, passages=f.passages) for f in report.files]
    return Changed(
        collection=report.collection, files=lines, documents=report.documents, passages=report.passages,
        warnings=list(report.warnings),
    )  # fmt: skip
