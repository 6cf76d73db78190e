"""A stand-in for a Qdrant server: its REST protocol over real HTTP, its client's own local mode behind it.

Honest about what it is: the wire, the status codes and the sharing between processes are real, the search is
the client's, compared vector by vector. `key`: what a caller must send; `fail`: the status of every answer.
"""

from __future__ import annotations

import threading
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from live import served


class VectorServerStandIn:
    """`with VectorServerStandIn() as server: server.url`, with its key."""

    url: str

    def __init__(self, *, key: str = "") -> None:
        from qdrant_client import QdrantClient  # a second to import, and every worker collects all tests

        self.key, self.fail = key, 0
        self.seen: list[str] = []
        self.db = QdrantClient(":memory:", force_disable_check_same_thread=True)
        self._lock = threading.Lock()
        app = FastAPI()
        app.add_exception_handler(ValueError, lambda request, error: _refused(404, str(error)))
        app.api_route("/{path:path}", methods=["GET", "PUT", "POST", "DELETE"])(self._answer)
        self._served = served(app)

    def __enter__(self) -> VectorServerStandIn:
        url = self._served.__enter__()
        self.url = url.replace("//", f"//:{self.key}@") if self.key else url
        return self

    def __exit__(self, *error: Any) -> None:
        self._served.__exit__(*error)

    @property
    def sets(self) -> list[str]:
        """The names of what it holds."""
        return [known.name for known in self.db.get_collections().collections]

    async def _answer(self, path: str, request: Request) -> Response:
        if self.fail or (self.key and request.headers.get("api-key") != self.key):
            return _refused(self.fail or 401, "No.")
        body = await request.json() if await request.body() else {}
        self.seen.append(f"{request.method} {path} {body}")
        _, name, *rest = [*path.split("/"), ""]
        with self._lock:
            result = self._do(f"{request.method} {'/'.join(filter(None, rest))}".strip(), name, body)
        return JSONResponse({"result": result, "status": "ok", "time": 0.0})

    def _do(self, what: str, name: str, body: dict[str, Any]) -> Any:
        from qdrant_client import models

        if what == "GET" and not name:
            return self.db.get_collections().model_dump(mode="json")
        if what == "GET exists":
            return {"exists": self.db.collection_exists(name)}
        if what == "PUT":
            if self.db.collection_exists(name):
                raise HTTPException(409, "It is there.")
            made = models.CreateCollection.model_validate(body)
            return self.db.create_collection(name, vectors_config=made.vectors, metadata=made.metadata)
        if what == "GET":
            return self.db.get_collection(name).model_dump(mode="json")
        if what == "DELETE":
            return self.db.delete_collection(name)
        return self._points(what, name, body)

    def _points(self, what: str, name: str, body: dict[str, Any]) -> Any:
        from qdrant_client import models

        if what == "PUT points":
            batch = models.Batch.model_validate(body["batch"])
            return self.db.upsert(name, points=batch).model_dump(mode="json")
        if what == "POST points/delete":
            selector = models.PointIdsList.model_validate(body)
            return self.db.delete(name, points_selector=selector).model_dump(mode="json")
        if what == "POST points/count":
            return self.db.count(name).model_dump(mode="json")
        if what == "POST points":
            found = self.db.retrieve(name, ids=body["ids"], with_payload=False, with_vectors=True)
            return [record.model_dump(mode="json") for record in found]
        if what == "POST points/scroll":
            page, offset = self.db.scroll(
                name, limit=body["limit"], offset=body.get("offset"), with_payload=False, with_vectors=False
            )
            return {"points": [record.model_dump(mode="json") for record in page], "next_page_offset": offset}
        if what == "POST points/query":
            among = models.Filter.model_validate(body["filter"]) if body.get("filter") else None
            found = self.db.query_points(
                name, query=body["query"]["nearest"], query_filter=among, limit=body["limit"], with_payload=False
            )
            return found.model_dump(mode="json")
        raise HTTPException(404, what)


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"status": {"error": message}, "time": 0.0}, status)
