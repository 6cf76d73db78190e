"""What axe finds in real Chromium: the chat page, the staff's tabs, and the widget on another site's page.

At 1280 and 390 pixels, in light and dark; tabs that find no room there and stand in the menu are not looked at. axe's rules for WCAG 2 A and AA. A rule that a program cannot decide (is this text
a good name?) is not in it: it is no replacement for somebody who uses a screen reader.

Source: axe-core by Deque, as axe-playwright-python packs it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from assistant.errors import BadInput
from assistant.recommend.catalog import read_catalog
from assistant.types import Measure, Report
from benchmarks.common import provenance
from benchmarks.openai_client import QUESTION, SHOP, api
from benchmarks.widget import COMPANY, FLAGS, WAIT_MS, WISH, site

PASSWORD = "correct horse"
LOOKS = ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"))
SERIOUS = {"serious", "critical"}


def run() -> Report:
    """`serious` findings (serious and critical, an element and a rule once a look) and all `findings`."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise BadInput("There is no Chromium on this machine.", hint="Install the system's chromium.")
    found: list[tuple[str, str, str]] = []
    looked: list[str] = []
    with (
        site() as (shop, serve),
        tempfile.TemporaryDirectory() as folder,
        api(Path(folder), cors_origins=(shop,), admin_password=PASSWORD) as (url, assistant),
    ):
        name = assistant.settings.collection
        info = assistant.store.collection(assistant.settings.tenant, name)
        assistant.store.save_collection(replace(info, company=COMPANY))
        assistant.advisor.shelf(name).put(read_catalog(SHOP / "documents" / "products.csv").items)
        serve(url)
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            for width, scheme in LOOKS:
                context = browser.new_context(
                    viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-GB", bypass_csp=True
                )  # axe is a script of nobody's policy
                context.set_default_timeout(WAIT_MS / 6)
                for place, page in _places(context, url, shop):
                    looked.append(f"{place} {width} {scheme}")
                    found += [(looked[-1], *one) for one in _axe(page)]
                context.close()
            browser.close()
    serious = [one for one in found if one[1] in SERIOUS]
    measures = (Measure("serious", len(serious), n=len(looked)), Measure("findings", len(found), n=len(looked)))
    told = Counter(f"{place}: {impact} {rule}" for place, impact, rule in found)
    return Report("accessibility", measures, provenance(looked=looked, found=dict(told)))


def _axe(page: Any) -> list[tuple[str, str]]:
    """(impact, rule and element) of every finding."""
    page.evaluate((resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    said = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})")
    return [
        (str(one["impact"]), f"{one['id']} {node['target']}") for one in said["violations"] for node in one["nodes"]
    ]


def _places(context: Any, url: str, shop: str) -> Any:
    """(what it is, page) of each place, once it shows what is to be looked at."""
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#thread .welcome")
    page.fill("#question textarea", QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector("#thread a.rate")
    yield "chat", page
    page.goto(shop)
    page.locator(".bubble").click()
    page.locator(".examples button").first.click()
    page.locator(".answer[aria-busy=false]").first.wait_for()
    page.locator("form.ask textarea").fill(WISH)
    page.keyboard.press("Enter")
    page.locator(".answer .card").first.wait_for()
    yield "widget", page
    page.goto(f"{url}/manage")
    page.wait_for_selector("#enter")
    page.wait_for_timeout(1500)  # Gradio draws in steps
    yield "sign-in", page
    page.fill("#password input", PASSWORD)
    page.click("#enter")
    page.wait_for_selector("#inside [role=tab]")
    page.wait_for_timeout(500)  # the tabs that find no room go into the menu
    for number in range(page.locator("#inside [role=tab]").count()):
        tab = page.locator("#inside [role=tab]").nth(number)
        if tab.is_visible():
            tab.click()
            page.wait_for_timeout(1500)
            yield f"tab {tab.inner_text().strip()}", page
