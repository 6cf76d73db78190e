"""The page in a real Chromium: what a visitor sees and does, and what no payload may do (S1).

A logger on loopback stands for every other place in the world: it must never be asked for anything.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import chromium
import pytest
from live import served
from payloads import payloads
from stand_in import StandIn, document, furnish

from assistant.server import create_app
from assistant.settings import ServerSettings, Settings
from assistant.types import Company, Conversation, Outcome

PASSWORD = "correct horse"
pytestmark = chromium.NEEDED


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, StandIn]]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        server=ServerSettings(admin_password=PASSWORD, requests_per_minute=1000),
    )
    assistant = StandIn(settings, delay_s=0.01)
    furnish(assistant)
    assistant.script = {
        "Do you sell kayaks?": (Outcome.NOT_IN_KNOWLEDGE_BASE, "I could not find this."),
        "I want a person": (Outcome.NEEDS_HUMAN, "A colleague takes over."),
        "Break": (Outcome.COMPONENT_FAILED, "These passages may help."),
        "Talk long": (Outcome.ANSWERED, "word " * 100),
        "Talk for ever": (Outcome.ANSWERED, "word " * 3000),
    }
    with served(create_app(assistant, settings)) as url:
        yield url, assistant
    assistant.close()


@pytest.fixture
def page(browser: Any, shop: tuple[str, StandIn]) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    opened = context.new_page()
    opened.goto(shop[0])
    ready(opened)
    yield opened
    context.close()


def ready(page: Any) -> None:
    page.wait_for_selector("#thread .welcome, #thread .turn")


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Playwright's own wait needs eval, which the page's policy forbids."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.03)


def ask(page: Any, question: str) -> None:
    answers = page.locator("#thread .turn.assistant").count()
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")
    page.locator("#thread .turn.assistant").nth(answers).wait_for()
    page.wait_for_selector("#send", state="visible")


def test_a_question_is_streamed_and_answered_with_its_quote_marked(page: Any):
    page.fill("#question textarea", "Talk long")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live .caret")
    first = len(page.inner_text("#live"))
    until(lambda: len(page.inner_text("#live")) > first + 50)
    page.wait_for_selector("#thread .turn.assistant")
    ask(page, "How long can I return items?")
    quote = "You can return unused items within 30 days of delivery."
    assert page.locator("#thread .said").last.inner_text().startswith(quote)
    assert page.inner_text(".source mark") == quote
    assert "returns.md" in page.inner_text(".source h4")
    assert page.inner_text(".source .place") == "Returns › Periods › page 2"
    assert "Delivery costs are refunded only" in page.inner_text(".source .passage")


def test_a_marker_leads_to_its_source(page: Any):
    ask(page, "How long can I return items?")
    page.click("a.cite")
    assert page.locator(".source.shown").count() == 1
    assert page.url.split("?")[0].rstrip("/").count("/") == 2


@pytest.mark.parametrize(("question", "chip", "text"), [
    ("How long can I return items?", "answered", "Answered from the documents"),
    ("Do you sell kayaks?", "not_in_knowledge_base", "Not in the documents"),
    ("I want a person", "needs_human", "A person will take over"),
    ("Break", "component_failed", "A component failed"),
])  # fmt: skip
def test_every_outcome_is_seen(page: Any, question: str, chip: str, text: str):
    ask(page, question)
    assert text in page.inner_text(f".chip.{chip}")


def test_the_receipt_is_one_click_away(page: Any):
    ask(page, "How long can I return items?")
    assert not page.locator(".receipt pre").is_visible()
    page.click(".receipt summary")
    assert '"engine": "stand-in"' in page.inner_text(".receipt pre")


def test_an_example_question_is_asked_with_one_click(page: Any):
    page.click(".example >> nth=0")
    page.wait_for_selector("#thread .turn.assistant")
    assert page.inner_text(".bubble") == "How long can I return items?"
    assert not page.locator(".example:visible").count()


def test_stop_stops_the_model_and_keeps_what_was_said(page: Any, shop: tuple[str, StandIn]):
    before = shop[1].closed
    page.fill("#question textarea", "Talk for ever")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live .caret")
    page.click("#stop")
    page.wait_for_selector("#send", state="visible")
    page.wait_for_selector("#live .turn", state="detached")
    until(lambda: shop[1].closed == before + 1)
    page.reload()
    page.wait_for_selector("#thread .said")
    assert 1 <= page.inner_text("#thread .said").count("word") < 3000


def test_ask_again_replaces_the_answer(page: Any):
    ask(page, "Do you sell kayaks?")
    page.click("#retry")
    page.wait_for_selector("#stop", state="visible")
    page.wait_for_selector("#send", state="visible")
    assert page.locator("#thread .turn").count() == 2


def test_why_an_answer_is_so_is_said_or_that_this_engine_cannot_tell(page: Any):
    ask(page, "How long can I return items?")
    before = page.inner_text("#thread .sources")
    page.click("#why")
    page.wait_for_selector("text=cannot tell how likely")
    assert page.inner_text("#thread .sources") == before


def test_the_last_question_can_be_edited(page: Any):
    ask(page, "Do you sell kayaks?")
    page.click("#edit")
    until(lambda: page.input_value("#question textarea") == "Do you sell kayaks?")
    page.click("#cancel")
    page.wait_for_selector("#cancel", state="hidden")
    page.click("#edit")
    page.wait_for_selector("#cancel", state="visible")
    page.fill("#question textarea", "I want a person")
    page.keyboard.press("Enter")
    page.wait_for_selector("#thread .chip.needs_human")
    assert page.locator("#thread .turn").count() == 2
    assert page.inner_text("#thread .bubble") == "I want a person"


def test_conversations_are_kept_over_a_reload_and_opened_again(page: Any):
    ask(page, "How long can I return items?")
    page.reload()
    page.wait_for_selector("#thread .source")
    page.click("#new")
    page.wait_for_selector("#thread .welcome")
    ask(page, "Do you sell kayaks?")
    assert page.locator("#history label").all_inner_texts() == ["Do you sell kayaks?", "How long can I return items?"]
    page.click("#history label >> nth=1")
    page.wait_for_selector("#thread .source")
    assert page.inner_text("#thread .bubble") == "How long can I return items?"
    page.click("#delete")
    page.wait_for_selector("#thread .welcome")
    assert page.locator("#history label").all_inner_texts() == ["Do you sell kayaks?"]


def test_another_browser_sees_none_of_it(browser: Any, shop: tuple[str, StandIn], page: Any):
    ask(page, "How long can I return items?")
    other = browser.new_context(locale="en-GB").new_page()
    other.goto(page.url)
    ready(other)
    assert other.locator("#thread .welcome").count() == 1
    assert other.locator("#history label").count() == 0
    other.context.close()


def test_the_page_speaks_chinese(page: Any):
    page.click("text=中文")
    page.wait_for_selector("text=新对话")
    assert page.url.rstrip("/").endswith("/zh")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.fill("#question textarea", "How long can I return items?")
    page.keyboard.press("Enter")
    page.wait_for_selector("#thread .source")
    assert "已根据资料回答" in page.inner_text(".chip")
    page.click("a.cite")
    assert page.url.split("?")[0].endswith("/zh")
    page.click("text=English")
    page.wait_for_selector("text=New conversation")


def test_too_many_questions_are_told_to_the_visitor(browser: Any, tmp_path: Path):
    settings = Settings(data_dir=tmp_path, server=ServerSettings(requests_per_minute=1))
    assistant = StandIn(settings)
    furnish(assistant)
    with served(create_app(assistant, settings)) as url:
        page = browser.new_context(locale="en-GB").new_page()
        page.goto(url)
        ready(page)
        ask(page, "How long can I return items?")
        page.fill("#question textarea", "And now?")
        page.keyboard.press("Enter")
        page.wait_for_selector(".toast-body")
        page.context.close()
    assistant.close()


def test_documents_are_added_seen_and_removed_behind_the_password(page: Any, shop: tuple[str, StandIn], tmp_path: Path):
    (tmp_path / "hours.md").write_text("# Opening hours\n\nWe open at nine.\n")
    (tmp_path / "empty.txt").write_text("")
    uploads = shop[1].settings.data_dir / "uploads"
    page.goto(shop[0] + "/manage")
    page.fill("#password input", "wrong")
    page.click("#enter")
    page.wait_for_selector("#refused .notice")
    assert not page.locator("#documents").is_visible()
    page.fill("#password input", PASSWORD)
    page.click("#enter")
    page.wait_for_selector("#documents table")
    page.set_input_files("#files input[type=file]", [tmp_path / "hours.md", tmp_path / "empty.txt"])
    page.wait_for_selector("text=hours")
    page.click("#add")
    page.wait_for_selector("#verdicts table")
    assert "Refused" in page.inner_text("#verdicts tr:has-text('empty.txt')")
    assert "Added" in page.inner_text("#verdicts tr:has-text('hours.md')")
    assert not [path for path in uploads.rglob("*") if path.is_file() and path.stat().st_size]
    page.click("#chosen input")
    page.keyboard.type("hours")
    page.keyboard.press("Enter")
    page.click("#remove")
    page.wait_for_selector("#notice:has-text('Removed')")
    assert "hours.md" not in page.inner_text("#documents")
    page.click("#leave")
    page.wait_for_selector("#login", state="visible")


def test_the_page_is_used_with_the_keyboard_alone(page: Any):
    page.focus("#question textarea")
    page.keyboard.type("How long can I return items?")
    page.keyboard.press("Enter")
    page.wait_for_selector("#thread .source")
    page.wait_for_selector("#send", state="visible")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            " return [e.id || e.className || e.tagName, e.innerText || e.getAttribute('aria-label') || e.title || ''] })()"
        ))  # fmt: skip
    reached = {name.split(" ")[0] for name, _ in seen if isinstance(name, str)}
    assert {"send", "retry", "edit", "new", "cite"} <= reached
    assert page.get_attribute("#live", "aria-live") == "polite"
    assert page.locator("label:has(textarea) >> text=Your question").count() == 1


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen_and_all_text_has_contrast(
    browser: Any, shop: tuple[str, StandIn], width: int, scheme: str
):
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, locale="en-GB")
    page = context.new_page()
    page.goto(shop[0])
    ready(page)
    for question in ("How long can I return items?", "Do you sell kayaks?", "Break"):
        ask(page, question)
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    poor = page.evaluate(CONTRAST)
    context.close()
    assert not poor


# WCAG 2.1: 4.5 between a text and the nearest ground below it that is not transparent.
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => { for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0.5) return c; } return [255, 255, 255]; };
  const poor = [];
  for (const e of document.querySelectorAll("#main *, #side *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push([e.tagName, e.className, e.innerText.slice(0, 30), ratio]);
  }
  return poor;
}"""


# S1 · OWASP LLM02, LLM05 · ATLAS AML.T0057


class Logger(ThreadingHTTPServer):
    """Everything that asks it for anything is written down."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Logger]:
    logger = Logger()
    threading.Thread(target=logger.serve_forever, daemon=True).start()
    yield logger
    logger.shutdown()


SINKS = ("bot message", "document text", "citation title", "heading and FAQ row", "user message and title", "company")


def test_the_page_asks_no_other_place_for_anything(page: Any, shop: tuple[str, StandIn]):
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.goto(shop[0])
    ready(page)
    ask(page, "How long can I return items?")
    page.goto(shop[0] + "/manage")
    page.wait_for_selector("#password input")
    assert len(asked) > 20
    assert [url for url in asked if not url.startswith((shop[0] + "/", "data:", "blob:"))] == []


@pytest.mark.parametrize("sink", SINKS)
def test_no_payload_runs_or_leaves_the_page(browser: Any, elsewhere: Logger, tmp_path: Path, sink: str):
    attacks = payloads(f"http://127.0.0.1:{elsewhere.server_address[1]}")
    assert len(attacks) >= 60
    settings = Settings(data_dir=tmp_path, server=ServerSettings(requests_per_minute=1000))
    assistant = StandIn(settings)
    furnish(assistant)
    session = plant(assistant, sink, attacks)
    with served(create_app(assistant, settings)) as url:
        context = browser.new_context(locale="en-GB")
        name, _, value = session.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": url}])
        context.add_init_script("window.alert = window.confirm = window.prompt = () => { window.ran = true; };")
        page = context.new_page()
        page.on("dialog", lambda dialog: dialog.dismiss())
        page.goto(url)
        ready(page)
        rendered = look_at_everything(page, sink, len(attacks))
        page.wait_for_timeout(700)
        assert page.evaluate("window.ran") is None
        assert page.evaluate(FOREIGN) == []
        assert page.url.startswith(url)
        context.close()
    assistant.close()
    assert elsewhere.asked == []
    assert "<script>" in rendered  # it was there to be seen, as text


# Anything under our own roots that a browser would fetch from, run, or follow.
FOREIGN = """() => [...document.querySelectorAll("#main *, #side *, #manage *")].filter((e) =>
  ["SCRIPT", "IFRAME", "IMG", "VIDEO", "AUDIO", "OBJECT", "EMBED", "LINK", "META", "BASE", "FORM"].includes(e.tagName)
  || (e.namespaceURI.endsWith("svg") && e.closest(".thread, .welcome, #history, #brand"))
  || [...e.attributes].some((a) => a.name.startsWith("on") || a.name === "srcset" || a.name === "src"
      || (/^(href|style|action|formaction|xlink:href|data|background)$/.test(a.name) && /url\\(|javascript:/i.test(a.value)))
  || (e.tagName === "A" && e.closest("#thread, #live") && !/^[a-z]*#source-\\d+-\\d+$/.test(e.getAttribute("href"))
      && !/^#rate-(?:up|down)-[\\w.-]+$/.test(e.getAttribute("href")))
).map((e) => e.outerHTML.slice(0, 200))"""


def plant(assistant: StandIn, sink: str, attacks: list[str]) -> str:
    """Puts every payload where the sink is; returns the cookie of a visitor who has asked about each."""
    from assistant.sessions import COOKIE, Sessions

    sessions = Sessions.open(assistant.settings.data_dir)
    session = sessions.new()
    everything = "\n\n".join(attacks)
    if sink == "document text":
        assistant.store.change_documents([document(f"d{n}.md", f"zebra{n} {bad}") for n, bad in enumerate(attacks)])
    elif sink == "citation title":
        assistant.store.change_documents([document(bad, f"zebra{n} here") for n, bad in enumerate(attacks)])
    elif sink == "heading and FAQ row":
        rows = [document(f"d{n}.csv", f"zebra{n}: {bad}", headings=(bad,)) for n, bad in enumerate(attacks)]
        assistant.store.change_documents(rows)
    elif sink == "company":
        info = assistant.store.collection("default", "shop")
        assert info is not None
        import dataclasses

        company = Company({"en": everything}, {"en": tuple(attacks[:4])}, everything)
        assistant.store.save_collection(dataclasses.replace(info, company=company))
    conversation = sessions.new_conversation(session.id)
    for n, bad in enumerate(attacks):
        conversation = sessions.new_conversation(session.id) if sink.startswith("user") else conversation
        question = bad if sink.startswith("user") else f"zebra{n}?"
        if sink == "bot message":
            assistant.script[question] = (Outcome.ANSWERED, bad)
        list(assistant.ask(Conversation(conversation, session.id), question, collection="shop"))
    if sink.startswith("user"):
        list(assistant.ask(Conversation(conversation, session.id), everything[:4000], collection="shop"))
    return f"{COOKIE}={session.cookie}"


def look_at_everything(page: Any, sink: str, number: int) -> str:
    """Opens every conversation and every fold; asks once more, so that the streaming view is seen too."""
    if sink != "company":
        page.wait_for_selector("#history label")
        page.click("#history label >> nth=0")
        page.wait_for_selector("#thread .turn")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    text = page.inner_text("#main") + page.inner_text("#side")
    if sink == "bot message":
        assert page.locator("#thread .turn.assistant").count() == number
        ask(page, "zebra0?")
    return text


def test_the_logger_would_notice(elsewhere: Logger):
    with socket.create_connection(elsewhere.server_address) as line:
        line.sendall(b"GET /seen HTTP/1.0\r\n\r\n")
        line.recv(100)
    assert elsewhere.asked.pop() == "/seen"


def test_an_answer_is_rated_corrected_and_consented_to(page: Any, shop: tuple[str, StandIn]):
    feedback = shop[1].feedback
    ask(page, "How long can I return items?")
    page.locator("a.rate").last.click()
    page.locator("form.opinion textarea").fill("It is 60 days.")
    page.locator("form.opinion input").check()
    page.locator("form.opinion button").click()
    until(lambda: "Thank you" in page.locator("form.opinion").inner_text())
    rating = feedback.newest("shop")[0]
    assert (rating.opinion.rating, rating.opinion.correction, rating.opinion.consent) == (
        "down",
        "It is 60 days.",
        True,
    )
    page.reload()
    ready(page)
    assert page.locator("a.rate.told").inner_text() == "Not helpful"
    page.locator("a.rate").first.click()
    until(lambda: feedback.newest("shop")[0].opinion.rating == "up")
    assert len(feedback.of(rating.conversation)) == 1
