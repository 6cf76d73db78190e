"""The Privacy tab in a real Chromium: gauges, log, a customer found and forgotten, the receipt taken away."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import chromium
import httpx
import pytest
from live import served
from stand_in import StandIn, furnish

from assistant.server import create_app
from assistant.settings import PrivacySettings, ServerSettings, Settings
from assistant.store import Turn
from assistant.types import Conversation, Message
from privacy.erasure import is_genuine
from privacy.ledger import Ledger
from privacy.policy import Egress
from privacy.redaction import Redactor
from privacy.types import PrivacyBudget, PrivacySpend

PASSWORD = "correct horse"
CUSTOMER = "visitor-who-goes-1"
SAID = "My address is max@web.de, forget <img src=x onerror=alert(1)> me"
pytestmark = chromium.NEEDED


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, StandIn]]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        server=ServerSettings(admin_password=PASSWORD, requests_per_minute=1000),
        privacy=PrivacySettings(local_only=("staff",)),
    )
    assistant = StandIn(settings)
    furnish(assistant)
    book = Ledger(settings.data_dir)
    book.set_budget("chats", PrivacyBudget(8.0, 1e-5, "customer"))
    book.charge(PrivacySpend("dpsgd", 1.0, 0.02, 300, 1.0, "customer", "chats"), "adapter support")
    book.charge(PrivacySpend.nonprivate("reviews"), "adapter moods")
    Egress(settings.data_dir).record("https://llm.example/v1", "shop", size=812, text=Redactor(bytes(32)).redact("x"))
    with served(create_app(assistant, settings)) as url:
        yield url, assistant
    assistant.close()


def talk(assistant: StandIn) -> None:
    turn = Turn("1", Message("user", SAID), None, dt.datetime(2026, 1, 1))
    thread = Conversation("conversation-goes-1", CUSTOMER)
    assistant.store.append_turns(thread, tenant="default", collection="shop", turns=[turn])


@pytest.fixture(scope="module")
def staff(browser: Any, shop: tuple[str, StandIn]) -> Any:
    return chromium.signed_in(browser, shop[0], PASSWORD)


def opened(
    browser: Any, url: str, staff: Any, *, width: int = 1280, scheme: str = "light", path: str = "manage"
) -> Any:
    name = "隐私" if path.endswith("zh") else "Privacy"
    page = chromium.opened_at(browser, url, staff, name, width=width, scheme=scheme, path=path)
    page.wait_for_selector("#privacy-gauges .gauge")
    return page


def test_the_tab_shows_what_is_spent_and_what_left(browser: Any, shop: tuple[str, StandIn], staff: Any):
    page = opened(browser, shop[0], staff)
    gauges = page.inner_text("#privacy-gauges")
    assert "chats" in gauges
    assert "of 8 spent" in gauges
    assert "No bound" in gauges
    assert "adapter support" in page.inner_text("#privacy-history")
    assert "https://llm.example/v1" in page.inner_text("#egress")
    assert "staff" in page.inner_text("#egress")
    page.context.close()


@pytest.mark.parametrize("path", ["manage", "manage-zh"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(browser: Any, shop: tuple[str, StandIn], staff: Any, scheme: str, path: str):
    page = opened(browser, shop[0], staff, width=390, scheme=scheme, path=path)
    boxes = [one.bounding_box() for one in page.locator(".gauge").all()]
    right = max(box["x"] + box["width"] for box in boxes if box)
    assert right <= 390
    assert page.locator("html").bounding_box()["width"] <= 390
    page.context.close()


def test_a_customer_is_found_forgotten_and_the_receipt_taken_away(browser: Any, shop: tuple[str, StandIn], staff: Any):
    url, assistant = shop
    talk(assistant)
    page = opened(browser, url, staff)
    page.fill("#find-text input, #find-text textarea", "MAX@web.de")
    page.click("#find")
    page.wait_for_selector("#found table")
    assert CUSTOMER in page.inner_text("#found")
    page.click("#forget")
    page.wait_for_selector("#forgotten .notice")
    assert "Tick the box" in page.inner_text("#forgotten")
    assert assistant.store.turns("conversation-goes-1", CUSTOMER)
    page.check("#forget-sure input")
    page.click("#forget")
    page.wait_for_selector("#forgotten .problems")
    assert assistant.store.turns("conversation-goes-1", CUSTOMER) == []
    with page.expect_download() as download:
        page.click("#forgotten a")
    receipt = json.loads(download.value.path().read_text())
    assert is_genuine(receipt)
    assert httpx.get(f"{url}/receipts/{download.value.suggested_filename}").status_code == 404
    page.context.close()
