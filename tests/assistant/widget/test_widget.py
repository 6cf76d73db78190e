"""The widget in a real Chromium, on another site's page under a strict policy: every feature once, and nothing foreign asked."""

from __future__ import annotations

import contextlib
import gzip
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import chromium
import httpx
import pytest
from open_house import SCRIPT, OpenHouse, open_house

from assistant.desk import Staff
from assistant.line import PER_ADDRESS, Asker
from assistant.widget.serving import script

QUESTION = "How long can I return items?"
QUOTE = "You can return unused items within 30 days of delivery."
browsing = chromium.NEEDED


class Site:
    """Another site: a page with the widget and nothing else, under the strictest policy that lets it work."""

    def __init__(self) -> None:
        self.assistant = ""
        self.options = ""
        self.html = "<html lang=en>"
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = site.page().encode()
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-security-policy", site.policy())
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self) -> str:
        tag = f'<script src="{self.assistant}/widget.js" data-collection="shop" {self.options} defer></script>'
        return f"<!doctype html>{self.html}<head><title>Shop</title></head><body><h1>Shop</h1>{tag}</body></html>"

    def policy(self) -> str:
        return (
            f"default-src 'none'; script-src {self.assistant}; connect-src {self.assistant}; "
            "require-trusted-types-for 'script'; base-uri 'none'; form-action 'none'"
        )


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.server.shutdown()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[OpenHouse]:
    script = {**SCRIPT, "Recommend boots": SCRIPT["Talk long"]}
    options = {"cors_origins": (site.url,), "questions_per_day": 1000}
    with open_house(tmp_path_factory.mktemp("data"), delay_s=0.005, script=script, **options) as opened:
        _with_cards(opened)
        site.assistant = opened.url
        yield opened


def _with_cards(house: OpenHouse) -> None:
    """The stand-in recommends where it is asked to."""
    from assistant.advisor import Query

    made = house.assistant._answer

    def answer(text, outcome, hits, question):
        advice = house.assistant.advisor.recommend("shop", Query("x", "boots", None, 2, "en"))
        return replace(made(text, outcome, hits, question), advice=advice if question == "Recommend boots" else None)

    house.assistant._answer = answer


@contextlib.contextmanager
def opened(browser: Any, site: Site, **context: Any) -> Iterator[Any]:
    """The page with the widget opened; `page.asked` are the addresses of every request, `page.told` what the console said."""
    inside = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **context})
    page = inside.new_page()
    page.asked, page.told = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.told.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.goto(site.url)
    page.locator(".bubble").click()
    page.locator(".examples button").first.wait_for()
    yield page
    inside.close()


def until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.03)


def ask(page: Any, question: str) -> Any:
    """Asks, and waits for the whole answer."""
    before = page.locator(".answer[aria-busy=false]").count()
    page.locator("form.ask textarea").fill(question)
    page.keyboard.press("Enter")
    page.locator(".answer[aria-busy=false]").nth(before).wait_for()
    return page.locator(".answer").last


class TestInABrowser:
    pytestmark = browsing

    def test_every_feature_works_under_a_strict_policy_and_asks_nobody_else(self, browser, site, house):
        with opened(browser, site) as page:
            answer = ask(page, QUESTION)
            assert answer.locator(".said").inner_text() == f"{QUOTE}1"
            answer.locator(".cite").click()
            assert answer.locator("details[open] blockquote").inner_text() == QUOTE
            assert "returns.md › Returns › Periods" in answer.locator("summary").inner_text()
            answer.locator(".rate").last.click()
            answer.locator(".opinion textarea").fill("It is 60 days.")
            answer.locator(".opinion input").check()
            answer.locator(".opinion button").click()
            until(lambda: "Thank you" in answer.locator(".opinion").inner_text())
            opinion = house.assistant.feedback.newest("shop")[0].opinion
            assert (opinion.rating, opinion.correction, opinion.consent) == ("down", "It is 60 days.", True)
            cards = ask(page, "Recommend boots").locator(".card")
            assert cards.count() == 2
            cards.first.locator("button").click()
            assert "gone" in cards.first.get_attribute("class")
            assert "Not in our documents" in ask(page, "Do you sell kayaks?").inner_text()
            handed = ask(page, "I want a person")
            assert handed.locator("a").get_attribute("href") == "mailto:help@juniper.example"
            page.reload()
            page.locator(".bubble").click()
            page.locator(".me").nth(3).wait_for()
            assert page.locator(".rate[aria-pressed=true]").inner_text() == "Not helpful"
            page.locator(".again").click()
            assert page.locator(".me").count() == 0
            page.locator(".person").click()
            page.locator(".answer[aria-busy=false]").wait_for()
            assert page.told == []
            assert [url for url in page.asked if not url.startswith((site.url, house.url))] == []

    def test_a_person_takes_over_and_gives_back(self, browser, site, house):
        anna, desk = Staff("anna", "Anna"), house.assistant.desk
        with opened(browser, site) as page:
            ask(page, "I want a person")
            page.get_by_text("You are waiting for a person").wait_for()
            here = max(desk.cases(), key=lambda case: case.asked).conversation
            desk.take(here, anna)
            desk.reply(here, anna, "Hello, <b>Anna</b> here.", client_id="1")
            page.locator(".person .said").wait_for()
            told = page.locator(".answer.person")
            assert told.inner_text().startswith("Anna\nHello, <b>Anna</b> here.")
            told.locator(".rate").first.click()
            told.locator(".opinion").wait_for()
            assert house.assistant.feedback.newest("shop")[0].answer.startswith("p")
            assert "Anna is with you" in page.locator(".desk").inner_text()
            page.locator("form.ask textarea").fill("My tent pole broke.")
            page.keyboard.press("Enter")
            until(lambda: desk.case(here).last == "My tent pole broke.")
            desk.reply(here, anna, "We mend it.", client_id="2")
            page.get_by_text("We mend it.").wait_for()
            desk.give_back(here, anna)
            page.get_by_text("The assistant answers again").wait_for()
            assert QUOTE in ask(page, QUESTION).inner_text()
            assert page.locator(".me").all_inner_texts() == ["I want a person", "My tent pole broke.", QUESTION]
            assert page.locator(".answer").count() == 4
            page.reload()
            page.locator(".bubble").click()
            page.locator(".me").nth(2).wait_for()
            assert page.locator(".answer").count() == 4
            assert page.told == []

    def test_nothing_is_asked_of_the_server_before_it_is_opened(self, browser, site, house):
        context = browser.new_context()
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(site.url)
        page.locator(".bubble").wait_for()
        assert {url.removeprefix(house.url) for url in asked if url.startswith(house.url)} == {"/widget.js"}
        context.close()

    def test_a_question_asked_before_it_has_settled_is_not_lost(self, browser, site, house):
        context = browser.new_context(locale="en-GB")
        page, asked = context.new_page(), []

        def slowly(route: Any) -> None:
            asked.append(route.request.url)
            time.sleep(0.3)
            route.continue_()

        page.route(re.compile(r"/v1/(visitors|conversations/[^/]+)$"), slowly)
        for questions in (1, 2):  # a new visitor, then one whose conversation is drawn first
            page.goto(site.url)
            page.locator(".bubble").click()
            page.locator("form.ask textarea").fill(QUESTION)
            page.keyboard.press("Enter")
            page.locator(".answer[aria-busy=false]").wait_for()
            assert page.locator(".me").count() == questions
        assert sum(url.endswith("/visitors") for url in asked) == 1
        context.close()

    def test_it_is_used_with_the_keyboard_alone(self, browser, site, house):
        with opened(browser, site) as page:
            page.keyboard.press("Escape")
            assert page.locator(".panel").is_hidden()
            assert page.evaluate("document.activeElement.shadowRoot.activeElement.className") == "bubble"
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.shadowRoot.activeElement.tagName") == "TEXTAREA"
            page.keyboard.type(QUESTION)
            page.keyboard.press("Shift+Enter")
            page.keyboard.press("Backspace")
            page.keyboard.press("Enter")
            page.locator(".answer[aria-busy=false]").wait_for()
            for _ in range(12):
                page.keyboard.press("Shift+Tab")
                if "cite" in page.evaluate("document.activeElement.shadowRoot.activeElement.className"):
                    break
            page.keyboard.press("Enter")
            assert page.locator("details[open]").count() == 1

    def test_an_answer_can_be_stopped(self, browser, site, house):
        with opened(browser, site) as page:
            page.locator("form.ask textarea").fill("Talk for ever")
            page.keyboard.press("Enter")
            page.locator(".answer .said").wait_for()
            page.get_by_role("button", name="Stop").focus()
            page.keyboard.press("Enter")
            page.locator(".answer[aria-busy=false]").wait_for()
            until(lambda: house.assistant.running == 0)

    def test_a_stopped_answer_stays_in_its_place_and_its_conversation_goes_on(self, browser, site, house):
        with opened(browser, site) as page:
            page.locator("form.ask textarea").fill("Talk for ever")
            page.keyboard.press("Enter")
            page.locator(".answer .said").wait_for()
            page.get_by_role("button", name="Stop").click()
            until(lambda: house.assistant.running == 0)
            page.locator(".person").click()
            page.get_by_text("You are waiting for a person").wait_for()
            assert page.locator(".log > .me, .log > .answer").evaluate_all("all => all.map((one) => one.className)") == [
                "me", "answer", "me", "answer",
            ]  # fmt: skip
            assert page.locator(".answer").first.inner_text().startswith("word word")
            here = max(house.assistant.desk.cases(), key=lambda case: case.asked).conversation
            customer = house.assistant.desk.case(here).customer
            asked = [turn.message.text for turn in house.assistant.store.turns(here, customer)]
            assert asked[::2] == ["Talk for ever", "I would like to talk to a person"]
            page.reload()
            page.locator(".bubble").click()
            page.locator(".me").nth(1).wait_for()
            assert page.locator(".answer").count() == 2
            assert page.told == []

    def test_a_conversation_outlives_its_pass_and_one_that_is_lost_begins_anew(self, browser, site, house):
        change = """(fields) => { const key = Object.keys(localStorage).find((one) => one.startsWith("confide "));
            const state = JSON.parse(localStorage[key]);
            localStorage[key] = JSON.stringify(Object.assign(state, fields)); return state; }"""
        with opened(browser, site) as page:
            ask(page, QUESTION)
            before = page.evaluate(change, {"renew": 0})
            page.reload()
            page.locator(".bubble").click()
            page.locator(".me").wait_for()
            after = page.evaluate(change, {"token": "vt_forged"})
            assert after["renew"] > time.time() * 1000
            assert after["conversation"] == before["conversation"]
            page.reload()
            page.locator(".bubble").click()
            page.locator(".examples button").first.wait_for()
            assert page.locator(".bad").is_hidden()
            until(lambda: page.evaluate(change, {}).get("conversation") == "")
            ask(page, QUESTION)

    def test_what_goes_wrong_is_said_in_the_visitors_language(self, browser, site, house):
        site.html = "<html lang=zh>"
        tickets = [house.assistant.line.join(Asker(f"v{n}", "127.0.0.1")) for n in range(PER_ADDRESS)]
        try:
            with opened(browser, site) as page:
                page.locator("form.ask textarea").fill(QUESTION)
                page.keyboard.press("Enter")
                page.locator(".bad").wait_for()
                assert re.fullmatch(r"提问过多，请在 \d+ 秒后重试。", page.locator(".bad").inner_text())
        finally:
            site.html = "<html lang=en>"
            for ticket in tickets:
                ticket.leave()

    def test_what_documents_and_customers_write_stays_text(self, browser, site, house):
        with opened(browser, site) as page:
            ask(page, '<img src="https://evil.example/x.png" onerror="alert(1)"> How long can I return items?')
            assert page.locator("img").count() == 0
            assert not [url for url in page.asked if "evil" in url]

    def test_it_fills_a_phone_and_reads_from_the_right_where_the_page_does(self, browser, site, house):
        site.html = "<html lang=zh dir=rtl>"
        try:
            with opened(browser, site, viewport={"width": 390, "height": 844}) as page:
                until(lambda: tuple(page.locator(".panel").bounding_box().values()) == (0, 0, 390, 844))
                assert page.locator("form.ask textarea").get_attribute("placeholder") == "请输入您的问题……"
                field, send = (
                    page.locator("form.ask textarea").bounding_box(),
                    page.locator("form.ask button").first.bounding_box(),
                )
                assert send["x"] < field["x"]
                assert page.locator(".bubble").is_hidden()
        finally:
            site.html = "<html lang=en>"

    def test_a_site_that_is_not_listed_is_refused(self, browser, house, site):
        other = Site()
        other.assistant = house.url
        context = browser.new_context()
        page = context.new_page()
        page.goto(other.url)
        page.locator(".bubble").click()
        page.locator(".bad").wait_for()
        context.close()
        other.server.shutdown()

    def test_the_demo_page_works_as_it_is(self, browser, house):
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{house.url}/widget/demo")
        page.locator(".bubble").click()
        page.locator(".examples button").first.click()
        page.locator(".answer[aria-busy=false]").wait_for()
        assert page.locator(".cite").count() == 1
        context.close()


def test_the_script_is_small_and_sent_packed(house: OpenHouse):
    answer = httpx.get(f"{house.url}/widget.js")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "public, max-age=600"
    assert answer.content == script()
    assert len(gzip.compress(script(), 9)) <= 20_000
    plain = httpx.get(f"{house.url}/widget.js", headers={"accept-encoding": "identity"})
    assert plain.content == script()


def test_the_script_builds_no_markup_from_text():
    text = script().decode()
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", ".style."):
        assert word not in text


def test_the_demo_page_quotes_what_it_is_given(house: OpenHouse):
    page = httpx.get(f"{house.url}/widget/demo", params={"dir": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in page
