"""Takes the pictures of this folder from a running server with the demo shop.

    python docs/images/take.py http://127.0.0.1:7860 PASSWORD
    python docs/images/take.py http://127.0.0.1:7860 PASSWORD chat|staff|widget
    python docs/images/take.py http://127.0.0.1:7860 PASSWORD federation
    python docs/images/take.py http://127.0.0.1:7860 PASSWORD learning

Needs the system's Chromium and Playwright (requirements-dev.txt), and the shop's catalogue (`catalog import`). PASSWORD
is the owner's. The second form takes those alone: the chat page, the tabs Documents, Desk and Recommendations, the
widget. The third takes the Federation tab, from a server whose data folder has a run (`federated demo`); the last
the tabs Answers, Dashboard and Loop, from one whose customers asked and rated.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
    " --no-first-run"
).split()
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
RETURNS = "How long do I have to send something back?"
CHATS: list[tuple[str, dict[str, int], str, str, list[str]]] = [
    ("chat", DESKTOP, "light", "en-GB", [RETURNS]),
    ("chat-dark", DESKTOP, "dark", "en-GB", ["How much is the Traverse 60 backpack?", "Do you rent out kayaks?"]),
    ("chat-phone", PHONE, "light", "en-GB", [RETURNS]),
    ("chat-zh", PHONE, "dark", "zh-CN", ["背包的保修期是几年？"]),
]


def main(url: str, password: str, only: str = "") -> None:
    """Takes every picture, or those of some tabs only."""
    with sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        if only == "federation":
            _federation(_staff(browser, url, password))
        elif only == "learning":
            _learning(_staff(browser, url, password))
        if only in {"", "chat"}:
            _chats(browser, url)
        if only in {"", "widget"}:
            _widget(browser, url)
        if only in {"", "staff"}:
            _tabs(browser, _staff(browser, url, password), url)
        browser.close()


def _chats(browser: Any, url: str) -> None:
    for name, size, scheme, locale, questions in CHATS:
        page = browser.new_context(viewport=size, color_scheme=scheme, locale=locale).new_page()
        page.goto(url)
        page.wait_for_selector("#thread .welcome")
        for question in questions:
            _ask(page, question)
        page.mouse.move(0, 0)
        page.wait_for_timeout(800)
        page.screenshot(path=HERE / f"{name}.png")


def _widget(browser: Any, url: str) -> None:
    """An answer with its quote, and the cards of a recommendation, on the demo page."""
    for name, size, scheme in (("widget", DESKTOP, "light"), ("widget-dark", DESKTOP, "dark"),
                               ("widget-phone", PHONE, "light")):  # fmt: skip
        page = browser.new_context(viewport=size, color_scheme=scheme, locale="en-GB").new_page()
        page.goto(f"{url}/widget/demo")
        page.locator(".bubble").click()
        for question in (RETURNS,) if name != "widget" else ("waterproof boots under 200", RETURNS):
            done = page.locator(".answer[aria-busy=false]").count()
            page.locator("form.ask textarea").fill(question)
            page.keyboard.press("Enter")
            page.locator(".answer[aria-busy=false]").nth(done).wait_for(timeout=180_000)
        page.mouse.move(0, 0)
        page.wait_for_timeout(800)
        page.screenshot(path=HERE / f"{name}.png")


def _tabs(browser: Any, page: Any, url: str) -> None:
    page.wait_for_selector("#documents table")
    page.wait_for_timeout(800)
    page.screenshot(path=HERE / "documents.png")
    _desk(browser, page, url)
    for name, size in (("recommendations", DESKTOP), ("recommendations-phone", PHONE)):
        page.set_viewport_size(size)
        _recommend(page, "waterproof boots under 200")
        page.screenshot(path=HERE / f"{name}.png")


def _learning(page: Any) -> None:
    tabs = {
        "Answers": "#answers-approved p, #answers-approved table",
        "Dashboard": "#dashboard-drift p",
        "Loop": "#loop-turns p, #loop-turns table",
    }
    for name, ready in tabs.items():
        _to(page, name)
        page.locator(ready).first.wait_for(timeout=60_000)
        page.mouse.move(0, 0)
        page.wait_for_timeout(1500)
        page.screenshot(path=HERE / f"{name.lower()}.png", full_page=True)


def _to(page: Any, name: str) -> None:
    page.wait_for_selector("#inside [role=tab]")
    page.wait_for_timeout(500)
    tab = page.get_by_role("tab", name=name)
    if not tab.count() or not tab.first.is_visible():
        page.locator(".overflow-menu > button").first.click()
        tab = page.locator(".overflow-dropdown button", has_text=name)
    tab.first.click()


def _staff(browser: Any, url: str, password: str) -> Any:
    page = browser.new_context(viewport=DESKTOP, color_scheme="light", locale="en-GB").new_page()
    page.goto(f"{url}/manage")
    page.fill("#password input", password)
    page.click("#enter")
    return page


def _federation(page: Any) -> None:
    _to(page, "Federation")
    page.wait_for_selector("#federation-run table")
    page.mouse.move(0, 0)
    page.wait_for_timeout(800)
    page.set_viewport_size({"width": 1280, "height": 1250})
    page.wait_for_timeout(500)
    page.screenshot(path=HERE / "federation.png")


def _desk(browser: Any, staff: Any, url: str) -> None:
    """A customer asks for a person, who takes over and writes."""
    customer = browser.new_context(viewport=DESKTOP, locale="en-GB").new_page()
    customer.goto(url)
    customer.wait_for_selector("#thread .welcome")
    _ask(customer, RETURNS)
    _ask(customer, "I would like to talk to a person")
    staff.get_by_role("tab", name="Desk").first.click()
    staff.locator("#desk-cases label").last.click()
    staff.click("#desk-take")
    staff.fill("#desk-reply textarea", "Hello! Which item is it about?")
    staff.click("#desk-send")
    staff.wait_for_selector("#desk-thread .turn.person")
    staff.evaluate("() => scrollTo(0, 0)")
    staff.wait_for_timeout(800)
    staff.screenshot(path=HERE / "desk.png")


def _recommend(page: Any, request: str) -> None:
    _to(page, "Recommendations")
    page.wait_for_selector("#goods-found .good")
    page.fill("#goods-request textarea, #goods-request input", request)
    page.click("#goods-ask")
    page.wait_for_function(
        "() => document.querySelector('#goods-filter textarea, #goods-filter input').value.includes('<')"
    )
    page.mouse.move(0, 0)
    page.wait_for_timeout(2000)


def _ask(page: Any, question: str) -> None:
    answers = page.locator("#thread .turn.assistant").count()
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")
    page.locator("#thread .turn.assistant").nth(answers).wait_for(timeout=180_000)
    page.wait_for_selector("#send", state="visible")


if __name__ == "__main__":
    main(*sys.argv[1:4])
