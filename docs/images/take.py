"""Takes the pictures of this folder from a running server with the demo shop.

    python docs/images/take.py http://127.0.0.1:7860 PASSWORD

Needs the system's Chromium and Playwright (requirements-dev.txt). PASSWORD opens the Documents page.
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


def main(url: str, password: str) -> None:
    """Takes every picture."""
    with sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for name, size, scheme, locale, questions in CHATS:
            page = browser.new_context(viewport=size, color_scheme=scheme, locale=locale).new_page()
            page.goto(url)
            page.wait_for_selector("#thread .welcome")
            for question in questions:
                _ask(page, question)
            page.mouse.move(0, 0)
            page.wait_for_timeout(800)
            page.screenshot(path=HERE / f"{name}.png")
        page = browser.new_context(viewport=DESKTOP, color_scheme="light", locale="en-GB").new_page()
        page.goto(f"{url}/manage")
        page.fill("#password input", password)
        page.click("#enter")
        page.wait_for_selector("#documents table")
        page.wait_for_timeout(800)
        page.screenshot(path=HERE / "documents.png")
        for name, size in (("recommendations", DESKTOP), ("recommendations-phone", PHONE)):
            page.set_viewport_size(size)
            _recommend(page, "waterproof boots under 200")
            page.screenshot(path=HERE / f"{name}.png")
        browser.close()


def _recommend(page: Any, request: str) -> None:
    tab = page.get_by_role("tab", name="Recommendations")
    if tab.first.is_visible():
        tab.first.click()
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
    main(*sys.argv[1:3])
