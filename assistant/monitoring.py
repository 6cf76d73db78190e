"""What the operators' programs ask: /healthz names the part that fails, /metrics counts for Prometheus.

The metrics carry names of collections and numbers, nothing of customers, and go to the staff, to an API key of the
staff, and to this machine itself. Behind a proxy on the same machine, let the proxy refuse /metrics: what it passes on
with its usual headers is refused here too. The numbers of the page are `dashboard.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request

from assistant import __version__
from assistant.accounts import Role
from assistant.guard import SESSION
from assistant.health import Health, Part
from assistant.keys import Keys
from assistant.keys import Role as KeyRole
from assistant.types import Answer

if TYPE_CHECKING:
    from assistant.core import Assistant
    from assistant.sessions import Door

_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def add_monitoring(app: FastAPI, assistant: Assistant, door: Door) -> None:
    """The two paths of the parent app."""
    health, meter = Health(assistant), Meter(assistant)
    keys = Keys(assistant.store, assistant.settings.tenant)

    def is_staff(request: Request) -> bool:
        session = request.scope.get(SESSION)
        return session is not None and door.may(session.id, Role.VIEWER)

    @app.get("/healthz")
    def healthz(request: Request) -> JSONResponse:
        parts = health.parts()
        failing = [part.name for part in parts if part.wrong]
        body: dict[str, object] = {
            "status": "failing" if failing else "ok",
            "version": __version__,
            "parts": {part.name: "failing" if part.wrong else "ok" for part in parts},
        }
        if "store" not in failing:
            infos = assistant.store.collections(assistant.settings.tenant)
            body["collections"] = {info.name: info.passages for info in infos}
        if failing and is_staff(request):
            body["why"] = {part.name: part.wrong for part in parts if part.wrong}
        return JSONResponse(body, 503 if failing else 200)

    @app.get("/metrics")
    def metrics(request: Request) -> Response:
        if not (is_staff(request) or _has_key(request, keys) or _is_here(request)):
            return JSONResponse({"detail": "Not Found"}, 404)
        return Response(meter.text(health.parts()), media_type=CONTENT_TYPE_LATEST)


class Meter:
    """Counts the answers of one process; what the store knows is read when it is asked for."""

    def __init__(self, assistant: Assistant) -> None:
        self._registry = registry = CollectorRegistry()

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"confide_{name}", what, labels, registry=registry)

        self._answers = counter("answers", "Answers given.", "collection", "outcome")
        self._seconds = Histogram(
            "confide_answer_seconds", "From the question to the whole answer.", ("collection",), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._tokens = counter("tokens", "Tokens of the engine.", "collection", "kind")
        self._cited = counter("citations", "Quotes shown.", "collection")
        self._approved = counter("approved_answers", "Answers that the staff wrote.", "collection")
        self._failures = counter("failures", "Answers that a part failed in.", "component")
        self._stored = _Stored(assistant)
        registry.register(self._stored)
        ProcessCollector(registry=registry)
        assistant.listeners.append(self.count)

    def count(self, collection: str, answer: Answer) -> None:
        """One answer more."""
        receipt = answer.receipt
        self._answers.labels(collection, answer.outcome.value).inc()
        self._seconds.labels(collection).observe(receipt.seconds)
        self._tokens.labels(collection, "prompt").inc(receipt.usage.prompt_tokens)
        self._tokens.labels(collection, "completion").inc(receipt.usage.completion_tokens)
        self._cited.labels(collection).inc(len(answer.citations))
        if receipt.shape == "approved":
            self._approved.labels(collection).inc()
        if receipt.failed_component:
            self._failures.labels(receipt.failed_component).inc()

    def text(self, parts: tuple[Part, ...]) -> bytes:
        """Prometheus' text format."""
        self._stored.parts = parts
        return generate_latest(self._registry)


class _Stored(Collector):
    """What the store says at this moment."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self.parts: tuple[Part, ...] = ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges. A store that does not answer has none but the health of the parts."""
        working = GaugeMetricFamily("confide_part_working", "1 where a part works.", labels=("part",))
        for part in self.parts:
            working.add_metric((part.name,), float(not part.wrong))
        yield working
        if any(part.name == "store" and part.wrong for part in self.parts):
            return
        tenant, store = self._assistant.settings.tenant, self._assistant.store
        infos = store.collections(tenant)
        sizes = ((info.name, float(info.passages)) for info in infos)
        yield _gauge("confide_passages", "Passages that can be quoted.", sizes)
        curated = self._assistant.approvals.curated
        waiting = ((info.name, float(curated.waiting(info.name))) for info in infos)
        yield _gauge("confide_suggestions_waiting", "Suggested answers that nobody reviewed yet.", waiting)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing is collected when it is registered."""
        return ()


def _gauge(name: str, what: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=("collection",))
    for collection, value in values:
        family.add_metric((collection,), value)
    return family


def _has_key(request: Request, keys: Keys) -> bool:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    key = keys.find(text.strip()) if scheme.lower() == "bearer" else None
    return key is not None and key.role.covers(KeyRole.STAFF)


def _is_here(request: Request) -> bool:
    """Whether it comes from this machine, and through no proxy that says so."""
    host = request.client.host if request.client else ""
    return host in {"127.0.0.1", "::1"} and not any(name in request.headers for name in _FORWARDED)
