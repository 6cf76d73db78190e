"""The system's Chromium for tests of pages: found, started without a screen, signed in, moved to a tab."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
NEEDED = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install the system's chromium"),
]
"""The marks of a test that drives it."""


@contextlib.contextmanager
def launched() -> Iterator[Any]:
    """A browser, until the context ends."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


def sign_in(page: Any, url: str, password: str) -> None:
    """Opens the staff's page and gives the password."""
    page.goto(f"{url}/manage")
    page.fill("#password input", password)
    page.click("#enter")
    page.wait_for_selector("#inside [role=tab]")


def signed_in(browser: Any, url: str, password: str) -> Any:
    """The cookies of a session that gave the password once: the door counts tries."""
    context = browser.new_context(locale="en-GB")
    sign_in(context.new_page(), url, password)
    state = context.storage_state()
    context.close()
    return state


def to_tab(page: Any, name: str) -> None:
    """Goes to a tab of the staff's page; on a narrow one the last tabs are in a menu."""
    page.wait_for_selector("#inside [role=tab]")
    page.wait_for_timeout(300)  # the tabs that find no room go into the menu
    tab = page.get_by_role("tab", name=name)
    if not tab.count() or not tab.first.is_visible():
        page.locator(".overflow-menu > button").first.click()
        tab = page.locator(".overflow-dropdown button", has_text=name)
    tab.first.click()


def opened_at(browser: Any, url: str, staff: Any, name: str, *, width: int, scheme: str, path: str) -> Any:
    """The staff's page at a tab, in a window of that width and colour scheme, with `signed_in`'s cookies."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-GB", storage_state=staff
    )
    page = context.new_page()
    page.goto(f"{url}/{path}")
    to_tab(page, name)
    return page
