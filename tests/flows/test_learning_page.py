"""The tabs Answers, Dashboard and Loop in a real Chromium: one walk, from a correction to an approved answer and a turn."""

from __future__ import annotations

from typing import Any

import chromium
import pytest
from live import served
from rated import House
from test_page import PASSWORD

from assistant.core import Assistant
from assistant.curated import suggest
from assistant.engines.echo import EchoEngine
from assistant.retrieval.search import Searcher
from assistant.server import create_app
from assistant.settings import Settings
from assistant.types import Conversation, Done

pytestmark = chromium.NEEDED


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    house = House(tmp_path_factory.mktemp("learning"))
    settings = Settings(
        data_dir=house.settings.data_dir, server={"admin_password": PASSWORD, "requests_per_minute": 1000},
        model={"engine": "echo"}, desk={"hours": "Mon-Fri 09:00-17:00 Asia/Shanghai"},
    )  # fmt: skip
    house.assistant = Assistant(
        settings=settings, store=house.store, searcher=Searcher(house.store, settings), engine=EchoEngine()
    )
    for n in range(3):
        house.rate(n, customer=f"u{n}")
    suggest(house.store, "default", "shop", "Do you rent kayaks?", "From May on.", "desk")
    with served(create_app(house.assistant, settings)) as url, chromium.launched() as browser:
        house.page = browser.new_page(viewport={"width": 390, "height": 844}, locale="en-GB")
        chromium.sign_in(house.page, url, PASSWORD)
        yield house
    house.assistant.close()


def choose(page: Any, dropdown: str, words: str) -> None:
    page.click(f"#{dropdown} input")
    page.locator("ul[role=listbox] li", has_text=words).first.click()


def test_what_customers_correct_is_reviewed_learned_shown_and_approved(world):
    page = world.page
    chromium.to_tab(page, "Loop")
    page.wait_for_selector("#loop-waiting table", timeout=30_000)
    choose(page, "loop-chosen", "How long can I return boots")
    page.wait_for_function("() => document.querySelector('#loop-text textarea').value.includes('30 days')")
    page.fill("#loop-text textarea", "Within 30 days of delivery.")
    page.click("#loop-accept")
    page.wait_for_function("() => document.querySelectorAll('#loop-waiting tbody tr').length == 2", timeout=30_000)
    assert world.assistant.approvals.curated.waiting("shop") == 2

    chromium.to_tab(page, "Answers")
    page.wait_for_selector("#answers-waiting table", timeout=30_000)
    choose(page, "answers-chosen", "kayaks")
    page.wait_for_function("() => document.querySelector('#answers-answer textarea').value == 'From May on.'")
    page.wait_for_function("() => document.querySelector('#answers-questions textarea').value == 'Do you rent kayaks?'")
    page.fill("#answers-questions textarea", "Do you rent kayaks?\nCan I rent a kayak?")
    assert "Asia/Shanghai" in page.inner_text("#answers-until")
    page.fill("#answers-until input, #answers-until textarea", "2099-12-31")
    page.click("#answers-approve")
    page.wait_for_selector("#answers-approved table", timeout=30_000)
    assert "Can I rent a kayak?" in page.inner_text("#answers-approved")
    (made,) = world.assistant.approvals.curated.all("shop")
    assert str(made.expires) == "2099-12-31 16:00:00"  # in UTC: the day ends where the desk is
    done = list(world.assistant.ask(Conversation(""), "can i rent a kayak", collection="shop"))[-1]
    assert isinstance(done, Done)
    assert done.answer.text == "From May on."

    chromium.to_tab(page, "Dashboard")
    page.wait_for_selector("#dashboard-tiles .tile", timeout=30_000)
    page.wait_for_selector("#dashboard-drift p", timeout=30_000)
    assert "3" in page.locator("#dashboard-tiles .big").first.inner_text()
    assert page.locator("#dashboard-columns svg").count() == 3
