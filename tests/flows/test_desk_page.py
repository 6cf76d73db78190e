"""The desk in a real Chromium: a customer asks for a person, one of the staff takes over, both see each other, and back."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from typing import Any

import chromium
import pytest
from open_house import PASSWORD, OpenHouse, open_house

from assistant.canned import Shelf
from assistant.curated import Curated
from assistant.desk import State
from assistant.hours import Hours
from assistant.lessons import Lessons

pytestmark = chromium.NEEDED
QUESTION = "How long can I return items?"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHouse]:
    with open_house(tmp_path_factory.mktemp("data")) as opened:
        greeting = {"en": "Hello {customer}, {staff} from {company} here.", "zh": "您好。"}
        Shelf(opened.assistant.store, "default").save("Greeting", greeting)
        yield opened


def page_of(browser: Any, **options: Any) -> Any:
    page = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **options}).new_page()
    page.set_default_timeout(120_000)  # a loaded machine draws slowly
    page.told = []
    page.on("console", lambda message: page.told.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.told.append(str(error)))
    return page


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.03)


def ask(page: Any, text: str) -> None:
    turns = page.locator("#thread .turn").count()
    page.fill("#question textarea", text)
    page.keyboard.press("Enter")
    page.locator("#thread .turn").nth(turns).wait_for()
    page.wait_for_selector("#send", state="visible")


def test_a_conversation_goes_to_a_person_and_back(browser: Any, house: OpenHouse):
    customer, staff = page_of(browser), page_of(browser)
    desk = house.assistant.desk
    desk.hours = Hours.read(f"{dt.datetime.now(dt.UTC) + dt.timedelta(days=3):%a} 09:00-10:00 UTC")  # closed now
    customer.goto(house.url)
    customer.wait_for_selector("#thread .welcome")
    ask(customer, QUESTION)
    customer.click("#person")
    customer.get_by_text("You are waiting for a person").wait_for()
    assert customer.locator("#retry").is_hidden()  # what a person will read stays as it is
    customer.fill("#email input", "ann@")
    customer.click("#leave-email")
    customer.get_by_text("This is not an e-mail address").wait_for()
    customer.fill("#email input", "ann@example.org")
    customer.keyboard.press("Enter")
    customer.wait_for_selector("#address", state="hidden")

    # By keyboard alone, from the queue on.
    chromium.sign_in(staff, house.url, PASSWORD)
    chromium.to_tab(staff, "Desk")
    staff.locator("#desk-cases input").first.focus()
    staff.keyboard.press("Space")
    staff.wait_for_selector("#desk-thread .source mark")  # the passages found
    staff.locator("#desk-take").focus()
    staff.keyboard.press("Enter")
    staff.wait_for_selector("#desk-reply textarea")
    assert "ann@example.org" in staff.inner_text("#desk-head")
    staff.locator("#desk-ready input").click()
    staff.get_by_role("option", name="Greeting").click()
    greeting = "Hello, Owner from Juniper here."
    until(lambda: staff.input_value("#desk-reply textarea") == greeting)
    staff.locator("#desk-reply textarea").press("Enter")  # in one: the closing list may take the focus back

    customer.locator("#thread .turn.person").wait_for()
    assert customer.locator("#thread .turn.person .said").inner_text() == greeting
    customer.get_by_text("Owner is with you").wait_for()
    ask(customer, "My <b>tent pole</b> broke.")
    staff.locator("#desk-thread .turn.user", has_text="My <b>tent pole</b> broke.").wait_for()
    staff.fill("#desk-note textarea, #desk-note input", "a regular")
    staff.click("#desk-note-add")
    staff.locator(".note", has_text="a regular").wait_for()
    staff.fill("#desk-reply textarea", "We mend poles for 12 EUR.")
    staff.click("#desk-send")
    customer.get_by_text("We mend poles for 12 EUR.").wait_for()
    staff.click("#desk-suggest")
    staff.get_by_text("It waits for review").wait_for()
    suggestion = Curated(house.assistant.store, "default").suggestions("shop")[0]
    assert (suggestion.question, suggestion.answer) == ("My <b>tent pole</b> broke.", "We mend poles for 12 EUR.")

    staff.click("#desk-return")
    customer.get_by_text("The assistant answers again").wait_for()
    ask(customer, QUESTION)
    assert customer.locator("#thread .turn.user").count() == 4
    assert customer.locator("#thread .turn.person").count() == 2
    assert "regular" not in customer.inner_text("#thread")
    assert desk.cases() == []
    assert desk.cases([State.RETURNED])[0].staff == "Owner"

    # What helped may be learned, with consent, once somebody looked at it.
    customer.locator("#thread .turn.person").last.locator("a.rate").first.click()
    customer.locator("form.opinion input").check()
    customer.locator("form.opinion button").click()
    customer.locator("form.opinion .quiet", has_text="Thank you").wait_for()
    lessons = Lessons(house.assistant.store, house.assistant.settings)
    lessons.collect("shop")
    lesson = lessons.waiting("shop")[0]
    assert (lesson.question, lesson.text) == ("My <b>tent pole</b> broke.", "We mend poles for 12 EUR.")

    # And it stands among the conversations.
    chromium.to_tab(staff, "Conversations")
    staff.fill("#talks-text textarea, #talks-text input", "tent pole")
    staff.keyboard.press("Enter")
    staff.get_by_text("1 found").wait_for()
    staff.locator("#talks-found label").first.click()
    staff.locator("#talks-thread .turn.person").first.wait_for()
    for width in (390, 1280):
        staff.set_viewport_size({"width": width, "height": 900})
        assert staff.locator("html").bounding_box()["width"] <= width
    staff.evaluate("left = 0; addEventListener('beforeunload', () => { left += 1 })")
    with staff.expect_download() as download:
        staff.locator("#talks-out a").first.click()
    assert "tent pole" in download.value.path().read_text()
    assert staff.evaluate("left") == 0  # Gradio's client closes its streams at it, and the page is deaf from then on
    staff.check("#talks-sure input")
    staff.click("#talks-delete")
    staff.get_by_text("No conversation fits").wait_for()
    assert customer.told + staff.told == []
