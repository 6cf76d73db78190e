"""The widget: its size packed, and whom the page, the widget and the server ask when every feature is used once.

Real Chromium: the chat page, then the widget on another site's page under a strict policy. The server runs in this
process, where every connection to anything but this machine is counted, and refused.
"""

from __future__ import annotations

import contextlib
import gzip
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from assistant.errors import BadInput
from assistant.types import Company, Measure, Report
from assistant.widget.serving import script
from benchmarks.common import provenance
from benchmarks.openai_client import QUESTION, SHOP, api

FLAGS = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync".split()
HERE = {"127.0.0.1", "::1", "localhost"}
WISH = "Recommend a tent"
COMPANY = Company({"en": "Demo"}, {"en": (QUESTION,)}, "help@shop.example")
WAIT_MS = 180_000


def run() -> Report:
    """`kilobytes_gzipped` of the script and `foreign_requests` of page, widget and server."""
    from assistant.recommend.catalog import read_catalog

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise BadInput("There is no Chromium on this machine.", hint="Install the system's chromium.")
    foreign: list[str] = []
    sys.addaudithook(lambda event, values: _connects(event, values, foreign))
    with (
        site() as (shop, serve),
        tempfile.TemporaryDirectory() as folder,
        api(Path(folder), cors_origins=(shop,)) as (url, assistant),
    ):
        info = assistant.store.collection(assistant.settings.tenant, assistant.settings.collection)
        assistant.store.save_collection(replace(info, company=COMPANY))
        assistant.advisor.shelf(info.name).put(read_catalog(SHOP / "documents" / "products.csv").items)
        serve(url)
        asked, used = _use(chromium, url, shop)
    foreign += [one for one in asked if urlsplit(one).hostname not in HERE]
    measures = (
        Measure("kilobytes_gzipped", len(gzip.compress(script(), 9)) / 1000),
        Measure("foreign_requests", len(foreign), n=len(asked)),
        Measure("features_used", len(used)),
    )
    return Report("widget", measures, provenance(foreign=foreign, used=used))


def _connects(event: str, values: tuple[Any, ...], foreign: list[str]) -> None:
    """Counts what this process connects to; Python calls it for each of its own events."""
    if event == "socket.connect" and isinstance(values[1], tuple) and values[1][0] not in HERE:
        foreign.append(str(values[1]))
        raise ConnectionRefusedError("This benchmark lets nothing out.")


@contextlib.contextmanager
def site() -> Iterator[tuple[str, Any]]:
    """Another site with the widget on its page; yields its address and what tells it the assistant's."""
    state: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            at = state["at"]
            body = f'<!doctype html><html lang=en><title>Shop</title><body><h1>Shop</h1><script src="{at}/widget.js" data-collection=shop></script>'
            self.send_response(200)
            self.send_header("content-type", "text/html")
            strict = f"default-src 'none'; script-src {at}; connect-src {at}; require-trusted-types-for 'script'"
            self.send_header("content-security-policy", strict)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", lambda url: state.update(at=url)
    server.shutdown()


def _use(chromium: str, url: str, site: str) -> tuple[list[str], list[str]]:
    """Uses everything once; (addresses of all requests, what was used)."""
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        context = browser.new_context(locale="en-GB")
        context.set_default_timeout(WAIT_MS)
        context.on("request", lambda request: asked.append(request.url))
        used = [*_use_page(context.new_page(), url), *_use_widget(context.new_page(), site)]
        browser.close()
    return asked, used


def _use_page(page: Any, url: str) -> list[str]:
    page.goto(url)
    page.wait_for_selector("#thread .welcome")
    page.fill("#question textarea", QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector("#thread a.rate")
    page.click("#thread a.cite")
    page.locator("#thread a.rate").first.click()
    page.wait_for_selector("form.opinion")
    return ["page: ask", "page: source", "page: rate"]


def _use_widget(page: Any, site: str) -> list[str]:
    page.goto(site)
    page.locator(".bubble").click()
    answer = _ask(page, lambda: page.locator(".examples button").first.click())
    answer.locator(".cite").first.click()
    answer.locator(".rate").last.click()
    answer.locator(".opinion textarea").fill("It is 60 days.")
    answer.locator(".opinion input").check()
    answer.locator(".opinion button").click()
    answer.get_by_role("status").wait_for()
    cards = _ask(page, lambda: _type(page, WISH)).locator(".card")
    cards.first.locator("button").click()
    _ask(page, lambda: page.locator(".person").click()).locator("p").last.wait_for()
    page.reload()
    page.locator(".bubble").click()
    page.locator(".me").nth(2).wait_for()
    page.locator(".again").click()
    page.keyboard.press("Escape")
    kinds = (
        "example, source, rating, correction, consent, question, cards, dismissal, person, thread restored, new, close"
    )
    return [f"widget: {kind}" for kind in kinds.split(", ")]


def _type(page: Any, text: str) -> None:
    page.locator("form.ask textarea").fill(text)
    page.keyboard.press("Enter")


def _ask(page: Any, do: Any) -> Any:
    """Asks, and waits for the whole answer."""
    before = page.locator(".answer[aria-busy=false]").count()
    do()
    page.locator(".answer[aria-busy=false]").nth(before).wait_for()
    return page.locator(".answer").last
