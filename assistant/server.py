"""The web server: one FastAPI parent with the safe baseline, the pages mounted behind it.

From the outside in: headers, trusted hosts, CORS, same origin, body caps, the session cookie, the gate.
It decides nothing about answers, and holds the data folder's lock while it runs. Not a TLS end point: put
one in front when it listens beyond this machine.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request

from assistant.accounts import SHORTEST, Role, to_csv
from assistant.engines import hardware
from assistant.errors import BadInput, SettingsError, StoreBusy
from assistant.gate import Gate
from assistant.guard import SESSION, BodyCap, SafeHeaders, SameOrigin, SessionCookie, cookie
from assistant.sessions import Door, Sessions, password_file

if TYPE_CHECKING:
    from assistant.core import Assistant
    from assistant.settings import Settings
    from assistant.ui.build import Panel

LANGUAGE_COOKIE = "confide_language"
_BODY = 1_000_000
_RECEIPT = re.compile(r"[0-9TZ-]{8,30}-cust[0-9a-f]{32}\.json")
_CONNECTIONS = 1000
_SHARING = (
    "Sharing: Gradio's tunnel gives this page a public address.",
    "- A program of Gradio's (frpc) is downloaded, checked against its SHA-256, and run.",
    "- Whatever visitors and staff type, and every answer, passes through Gradio's servers, which can read it.",
    "- Whoever knows the address can ask; your documents, models and store stay here.",
    "- All visitors come from one address then, and share its limits.",
)
_log = logging.getLogger(__name__)


def create_app(assistant: Assistant, settings: Settings, panels: Sequence[Panel] = ()) -> FastAPI:
    """The whole web application of an assistant; `panels` are further tabs."""
    _silence(settings.data_dir)
    from assistant.api.application import build_api
    from assistant.api.tools import add_tools
    from assistant.monitoring import add_monitoring
    from assistant.oidc import add_oidc
    from assistant.ui.build import build_ui, mount
    from assistant.widget.serving import add_widget

    server = settings.server
    sessions = Sessions.open(settings.data_dir, days=server.session_days)
    door = Door.open(assistant.store, settings)
    page = build_ui(assistant, settings, panels, sessions=sessions, door=door)
    app = FastAPI(title="Confide", docs_url=None, redoc_url=None, openapi_url=None)
    _routes(app, page.house.pages, framed=bool(server.frame_ancestors))
    _log_file(app, door)
    _exports(app, assistant, door)  # before the receipts, which take every name
    _receipts(app, settings.data_dir, door)
    _downloads(app, settings.data_dir, door, panels)
    add_widget(app, settings.collection)
    add_monitoring(app, assistant, door)
    add_oidc(app, settings.oidc, door=door, sessions=sessions)
    api = build_api(assistant, door=door, sessions=sessions)
    app.mount("/v1", api)
    add_tools(app, api.state.house)
    app.add_exception_handler(404, _not_found)
    # Middleware runs from the last added to the first.
    app.add_middleware(Gate, house=page.house, door=door, per_minute=server.requests_per_minute)
    app.add_middleware(
        SessionCookie, sessions=sessions, is_page=page.house.pages.__contains__, framed=bool(server.frame_ancestors)
    )
    app.add_middleware(BodyCap, cap=_caps(server.max_body_mb * 1_000_000))
    app.add_middleware(SameOrigin, origins=server.cors_origins)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(server.cors_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["content-type", "authorization"],
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(server.allowed_hosts), www_redirect=False)
    app.add_middleware(SafeHeaders, frame_ancestors=server.frame_ancestors)
    mount(app, page, settings)
    app.state.loop = page.loop
    return app


async def _not_found(request: Request, error: Exception) -> Response:
    """Under /v1 as the API says it: a path with a line break reaches no mount."""
    from assistant.api import problems

    if request.url.path.startswith("/v1/"):
        return await problems.told(request, error)
    return await http_exception_handler(request, cast(HTTPException, error))


def serve(settings: Settings, panels: Callable[[], Sequence[Panel]] = tuple, *, share: bool = False) -> None:
    """Serves until it is stopped; with `share` under a public address too, where one can be had.

    The model is loaded beside the pages, Gradio included: so `panels` is called, and imported, after that began.

    Raises:
        StoreBusy: another server runs on this data folder.
        SettingsError: it is to be shared, and nobody chose a password.
        ConfideError: the address is taken, or the assistant cannot be opened.
    """
    import uvicorn

    from assistant.attendant import Attendant
    from assistant.core import Assistant

    if share:
        check_shareable(settings)
    hardware.share_memory()
    with data_lock(settings.data_dir), _listening(settings) as listener:
        if share:
            settings = shared(settings, listener.getsockname()[1])
        assistant = Assistant.open(settings)
        attendant, stop = Attendant(assistant), threading.Event()
        attendant.start()
        try:
            threading.Thread(target=_warm, args=(assistant,), name="warm", daemon=True).start()
            url = _url(settings, listener)
            _silence(settings.data_dir)
            from assistant.ui import lean  # noqa: F401  before anything else imports Gradio

            app = create_app(assistant, settings, panels())
            app.router.lifespan_context = _announced(app, lambda: _announce(settings, url))
            threading.Thread(target=app.state.loop.keep_turning, args=(stop,), name="loop", daemon=True).start()
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, limit_concurrency=_CONNECTIONS,
                timeout_graceful_shutdown=5, ws="none", log_config=None,  # through our log, which redacts
            )  # fmt: skip
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            stop.set()
            attendant.stop()
            assistant.close()


def check_shareable(settings: Settings) -> None:
    """Raises SettingsError where the owner's password is not one that somebody chose, or is short."""
    if len(settings.server.admin_password.get_secret_value()) < SHORTEST:
        raise SettingsError(
            f"A shared page needs a password of at least {SHORTEST} characters.",
            hint="Set server.admin_password in confide.toml, or CONFIDE_SERVER__ADMIN_PASSWORD.",
        )


def shared(settings: Settings, port: int) -> Settings:
    """The settings with the public address among the hosts; as they are where no tunnel can be had."""
    from assistant.ui.sharing import open_tunnel

    for line in _SHARING:
        print(line, flush=True)
    url = open_tunnel(port)
    if url is None:
        print("No public address can be had: the tunnel's server cannot be reached. Served on this machine only.")
        return settings
    print(f"Shared: {url} - until this program ends, a week at most", flush=True)
    hosts = (*settings.server.allowed_hosts, urlsplit(url).hostname or "")
    return settings.model_copy(update={"server": settings.server.model_copy(update={"allowed_hosts": hosts})})


@contextlib.contextmanager
def data_lock(data_dir: Path) -> Iterator[None]:
    """Holds the data folder for this process. The system lets go of it however the process ends.

    Raises:
        StoreBusy: a running server holds it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "server.lock"
    with path.open("a+") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            raise StoreBusy(
                f"Another Confide server runs on the data folder {data_dir.resolve()}.",
                hint="Stop it, or give this one another folder: --data-dir FOLDER.",
            ) from error
        yield


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _routes(app: FastAPI, pages: frozenset[str], *, framed: bool) -> None:
    """The parent's own routes: the choice of a language, the first page in the visitor's language."""

    @app.get("/language/{code}")
    def language(code: str, request: Request) -> Response:
        chosen = code if code in {"en", "zh"} else "en"
        there = f"/{chosen}" if f"/{chosen}" in pages else "/"
        answer = RedirectResponse(there, 303)
        secure = request.url.scheme == "https"
        line = cookie(LANGUAGE_COOKIE, chosen, seconds=31_536_000, secure=secure, framed=framed)
        answer.headers.append("set-cookie", line)
        return answer

    @app.middleware("http")
    async def in_their_language(request: Request, forward: Callable[[Request], Any]) -> Response:
        if request.method == "GET" and request.url.path == "/" and "/zh" in pages and _speaks_chinese(request):
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/zh{query}", 303)
        answer: Response = await forward(request)
        return answer


def _receipts(app: FastAPI, data_dir: Path, door: Door) -> None:
    """The receipts of erasures, for the owner; to everybody else there is no such page."""

    @app.get("/receipts/{name}")
    def receipt(name: str, request: Request) -> Response:
        session = request.scope.get(SESSION)
        path = data_dir / "privacy" / "receipts" / name
        allowed = session is not None and door.may(session.id, Role.OWNER)
        if not allowed or not _RECEIPT.fullmatch(name) or not path.is_file():
            return JSONResponse({"detail": "Not Found"}, 404)
        return FileResponse(path, filename=name, media_type="application/json")


def _log_file(app: FastAPI, door: Door) -> None:
    """The log of who changed what, for the owner."""

    @app.get("/receipts/log.csv")
    def log(request: Request) -> Response:
        session = request.scope.get(SESSION)
        if session is None or not door.may(session.id, Role.OWNER):
            return JSONResponse({"detail": "Not Found"}, 404)
        headers = {"content-disposition": 'attachment; filename="log.csv"'}
        return Response(to_csv(door.accounts.logged()), media_type="text/csv; charset=utf-8", headers=headers)


def _downloads(app: FastAPI, data_dir: Path, door: Door, panels: Sequence[Panel]) -> None:
    """The files that the staff's tabs give, for accounts that may have them."""
    from assistant.ui.build import DOWNLOADS

    @app.get(f"/{DOWNLOADS}/{{name}}")
    def download(name: str, request: Request) -> Response:
        session = request.scope.get(SESSION)
        account = door.account(session.id) if session is not None else None
        mine = [panel for panel in panels if account is not None and account.role.covers(panel.download_role)]
        for panel in mine:
            if panel.download is not None and (content := panel.download(data_dir, name)) is not None:
                headers = {"content-disposition": f'attachment; filename="{name}"'}
                return Response(content, media_type="application/octet-stream", headers=headers)
        return JSONResponse({"detail": "Not Found"}, 404)


def _exports(app: FastAPI, assistant: Assistant, door: Door) -> None:
    """The stored conversations without personal data, as the Conversations tab's search has found them."""
    from assistant.history import FORMATS, History, wanted_of
    from assistant.outbound import redactor
    from privacy.erasure import Marks

    @app.get("/receipts/conversations.{kind}")
    def conversations(kind: str, request: Request) -> Response:
        session = request.scope.get(SESSION)
        if kind not in FORMATS or session is None or not door.may(session.id, Role.STAFF):
            return JSONResponse({"detail": "Not Found"}, 404)
        settings, history = assistant.settings, History(assistant.store, assistant.settings.tenant)
        marks, redact = Marks(settings.data_dir, settings.tenant), redactor(settings)
        try:
            wanted = wanted_of(request.query_params)
        except BadInput as error:
            return JSONResponse({"detail": f"{error.message} {error.hint}"}, 400)
        lines = history.export(wanted, redact, marks, kind="csv" if kind == "csv" else "jsonl")
        door.log(session.id, "conversations.export", kind)
        headers = {"content-disposition": f'attachment; filename="conversations.{kind}"'}
        return StreamingResponse(lines, media_type=FORMATS[kind], headers=headers)


def _speaks_chinese(request: Request) -> bool:
    """Whether the visitor chose Chinese, or chose nothing and their browser puts Chinese first."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    first = request.headers.get("accept-language", "").split(",")[0].strip().lower()
    return chosen == "zh" if chosen else first.startswith("zh")


def _caps(upload: int) -> Callable[[str], int]:
    """The largest body of a path: uploads by the setting, everything else 1 MB."""
    return lambda path: upload if path.rstrip("/") in {"/gradio_api/upload", "/v1/documents"} else _BODY


def _silence(data_dir: Path) -> None:
    """No telemetry, and uploads where nobody is served them: Gradio reads these when it is imported."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = str(data_dir.resolve() / "uploads")


def _warm(assistant: Assistant) -> None:
    try:
        assistant.warm()
    except Exception:
        _log.exception("the model could not be loaded ahead; the first question will try again")


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """The listening socket, bound before anything is loaded.

    Raises:
        StoreBusy: the address is taken.
    """
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise StoreBusy(
                f"The address {host}:{port} cannot be used: {error.strerror}.",
                hint="Stop what runs there, or choose another port: serve --port 7861.",
            ) from error
        yield listener
    finally:
        listener.close()


def _url(settings: Settings, listener: socket.socket) -> str:
    host = settings.server.host
    names = {"0.0.0.0": "127.0.0.1", "::": "localhost", "::1": "localhost"}  # no list of hosts can hold [::1]
    shown = names.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{listener.getsockname()[1]}"


def _announced(app: FastAPI, tell: Callable[[], None]) -> Any:
    """The app's life, with `tell` called once it is ready to answer."""
    inner = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def life(application: FastAPI) -> AsyncIterator[Any]:
        async with inner(application) as state:
            tell()
            yield state

    return life


def _announce(settings: Settings, url: str) -> None:
    """Prints where the page is, and opens it where there is a browser."""
    server = settings.server
    where = "the one in your settings" if server.admin_password.get_secret_value() else password_file(settings.data_dir)
    print(f"Confide is ready: {url}", flush=True)
    print(f"Staff page: {url}/manage - password: {where}", flush=True)
    if server.host not in {"127.0.0.1", "localhost", "::1"} and "*" not in server.allowed_hosts:
        print(f"It answers to {', '.join(server.allowed_hosts)} only; see server.allowed_hosts.", flush=True)
    if server.open_browser and _has_browser():
        threading.Timer(0.5, webbrowser.open, [url]).start()


def _has_browser() -> bool:
    """Whether a browser with a window can be opened here: not over ssh, not in a container."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    with contextlib.suppress(webbrowser.Error):
        return not isinstance(webbrowser.get(), webbrowser.GenericBrowser)
    return False
