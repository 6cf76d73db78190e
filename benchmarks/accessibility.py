"""What axe finds in real Chromium: the chat page, all the staff's tabs, and the widget on another site's page.

At 1280 and 390 pixels, in light and dark, as the owner, each tab with something in it; also the menu of the tabs that
find no room. axe's rules for WCAG 2 A and AA. A rule that a program cannot decide (is this text a good name?) is not in
it: it is no replacement for somebody who uses a screen reader.

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

from assistant.accounts import Accounts, Role
from assistant.curated import Curated, Draft, suggest
from assistant.desk import Staff
from assistant.errors import BadInput
from assistant.feedback import Opinion
from assistant.recommend.catalog import read_catalog
from assistant.types import Conversation, Done, Measure, Report
from benchmarks.common import provenance
from benchmarks.openai_client import QUESTION, SHOP, api
from benchmarks.widget import COMPANY, FLAGS, WAIT_MS, WISH, site
from federated.coordinator import Address, Home
from federated.learning import Recipe
from federated.panel import panel
from federated.rounds import RunConfig

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
        api(Path(folder), panels=[panel()], cors_origins=(shop,), admin_password=PASSWORD) as (url, assistant),
    ):
        name = assistant.settings.collection
        info = assistant.store.collection(assistant.settings.tenant, name)
        assistant.store.save_collection(replace(info, company=COMPANY))
        assistant.advisor.shelf(name).put(read_catalog(SHOP / "documents" / "products.csv").items)
        _furnish(assistant)
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


def _furnish(assistant: Any) -> None:
    """Something in every tab: a case at the desk, a correction and a suggestion that wait, an approved answer, a run."""
    tenant, shop = assistant.settings.tenant, assistant.settings.collection
    anna, talk = Staff("anna", "Anna"), Conversation("c_axe", "customer-1")
    answer = next(one.answer for one in assistant.ask(talk, QUESTION, collection=shop) if isinstance(one, Done))
    ticket = assistant.feedback.ticket(answer.id, talk.id, visitor="customer-1", collection=shop)
    assistant.feedback.rate(ticket, Opinion("down", "Within 60 days.", consent=True), visitor="customer-1")
    for _ in assistant.ask(Conversation(talk.id, talk.customer), "I want to talk to a person", collection=shop):
        pass
    assistant.desk.take(talk.id, anna)
    assistant.desk.reply(talk.id, anna, "Hello, Anna here.", client_id="1")
    assistant.desk.note(talk.id, anna, "a regular", client_id="2")
    for _ in assistant.ask(Conversation("c_axe2", "customer-2"), "I want to talk to a person", collection=shop):
        pass
    curated = Curated(assistant.store, tenant)
    curated.add(shop, Draft(("Do you rent out kayaks?",), "From May on, at the lake."), by="owner")
    suggest(assistant.store, tenant, shop, "May dogs come along?", "Yes, on a lead.", "desk")
    accounts = Accounts(assistant.store, tenant)
    accounts.add("ada", Role.STAFF)
    accounts.log("account.add", "ada: staff")
    data = assistant.settings.data_dir
    Home(data / "federated" / "spring" / "hub").init(RunConfig("spring", 3), Recipe(), Address(), data_dir=data)


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
    menu = page.locator("#inside .overflow-menu > button").first
    shown = page.locator("#inside [role=tab]:visible").all_inner_texts()
    hidden: list[str] = []
    if menu.is_visible():
        menu.click()
        hidden = page.locator(".overflow-dropdown button:visible").all_inner_texts()
        yield "menu of tabs", page
        menu.click()
    for name in [text.strip() for text in (*shown, *hidden)]:
        tab = page.locator("#inside [role=tab]:visible", has_text=name)
        if not tab.count():
            menu.click()
            tab = page.locator(".overflow-dropdown button", has_text=name)
        tab.first.click()
        page.wait_for_timeout(1500)
        for chosen in ("#desk-cases label", "#talks-found label"):
            if page.locator(chosen).count() and page.locator(chosen).first.is_visible():
                page.locator(chosen).first.click()
                page.wait_for_timeout(1000)
        yield f"tab {name}", page
