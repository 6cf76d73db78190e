"""The Training tab in a real Chromium, with a real training of a tiny network behind it."""

from __future__ import annotations

import json
from typing import Any

import chromium
import pytest
from live import served
from test_page import PASSWORD

pytest.importorskip("torch")
from tiny import llama, save, tokenizer

from assistant.core import Assistant
from assistant.server import create_app
from assistant.settings import Settings
from privacy.ledger import Ledger

pytestmark = chromium.NEEDED


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("train")
    base = save(llama(), folder / "base", tokenizer())
    server = {"admin_password": PASSWORD, "requests_per_minute": 1000}
    settings = Settings(data_dir=folder / "data", server=server, model={"engine": "echo", "name": str(base)})
    assistant = Assistant.open(settings)
    rows = [
        {"messages": [{"role": "user", "content": f"is it {n}"}, {"role": "assistant", "content": "yes 30 days"}]}
        for n in range(30)
    ]
    (folder / "good.jsonl").write_text("\n".join(map(json.dumps, rows)))
    private = [
        {"messages": [{"role": "user", "content": f"can i return {n}"}, {"role": "assistant", "content": "yes 30 days"}],
         "customer": f"c{n}"}
        for n in range(40)
    ]  # fmt: skip
    (folder / "private.jsonl").write_text("\n".join(map(json.dumps, private)))
    (folder / "renamed.jsonl").write_text("\n".join(map(json.dumps, rows[:20])))
    (folder / "bad.jsonl").write_text('{"messages": []}\nnonsense\n')
    with served(create_app(assistant, settings)) as url, chromium.launched() as browser:
        opened = browser.new_page(viewport={"width": 390, "height": 844}, locale="en-GB")
        chromium.sign_in(opened, url, PASSWORD)
        chromium.to_tab(opened, "Training")
        opened.wait_for_selector("#adapters p", timeout=30_000)
        opened.folder = folder
        yield opened
    assistant.close()


def choose(page: Any, name: str) -> None:
    chosen = page.locator("#train-records button[aria-label*='emove'], #train-records button[aria-label*='lear']")
    if chosen.count():
        chosen.first.click()
    page.set_input_files("#train-records input[type=file]", page.folder / name)
    page.wait_for_selector("#train-records .file-preview", timeout=30_000)


def test_bad_records_are_listed_by_line_and_good_ones_counted(page):
    choose(page, "bad.jsonl")
    page.click("#train-check")
    page.wait_for_selector("#train-checked .notice.bad", timeout=30_000)
    told = page.inner_text("#train-checked")
    assert "line 1" in told
    assert "line 2" in told
    choose(page, "good.jsonl")
    page.click("#train-check")
    page.wait_for_selector("#train-checked table", timeout=30_000)
    assert "30" in page.inner_text("#train-checked table")


def test_a_training_is_started_watched_judged_put_to_use_and_taken_back(page):
    choose(page, "good.jsonl")
    page.fill("#train-name input, #train-name textarea", "page")
    page.click("#train-start")
    page.wait_for_selector("#adapters table", timeout=90_000)
    assert "page@1" in page.inner_text("#train-state")
    assert page.locator("#train-state .curve line").count() > 1
    assert not page.is_visible("#train-stop")
    assert "loss" in page.inner_text("#measures")
    page.wait_for_function("() => document.querySelector('#measures img.picture')?.naturalWidth > 100", timeout=30_000)
    page.click("#use")
    page.wait_for_selector("#train-notice .notice.bad", timeout=30_000)
    assert "golden" in page.inner_text("#train-notice")
    page.check("#force input")
    page.click("#use")
    page.wait_for_selector("#adapters .chip.added", timeout=30_000)
    assert "page@1 answers" in page.inner_text("#train-notice")
    assert "by force" in page.inner_text("#measures")
    page.click("#rollback")
    page.wait_for_selector("#adapters .chip.added", state="detached", timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_private_training_shows_its_plan_before_anything_is_spent(page):
    book = Ledger(page.folder / "data")
    charged = len(book.book().charges)
    choose(page, "private.jsonl")
    page.fill("#train-name input, #train-name textarea", "discreet")
    page.check("#train-private input")
    page.wait_for_selector("#train-terms", state="visible", timeout=30_000)
    page.fill("#train-epsilon input", "4")
    page.fill("#train-batch input", "8")
    page.click("#train-start")
    page.wait_for_selector("#train-quoted table", timeout=120_000)
    said = page.inner_text("#train-quoted")
    assert "epsilon 4" in said
    assert "signal to noise" in said
    assert len(book.book().charges) == charged
    page.click("#train-start")
    page.wait_for_selector("#train-quoted table", state="detached", timeout=30_000)
    page.wait_for_function(
        "() => document.querySelector('#train-state').innerText.includes('discreet@1')", timeout=180_000
    )
    scored, trained = list(book.book().charges.values())[charged:]
    assert (trained.spend.unit, trained.spend.dataset) == ("customer", "private")
    assert scored.spend.mechanism == "discrete-laplace"
    assert 3 < book.reports()["private"].spent <= 4
    assert "likelier" in page.inner_text("#measures")


def test_records_that_were_uploaded_before_under_another_name_have_spent_what_they_spent(page):
    choose(page, "renamed.jsonl")
    page.locator("#train-unit label", has_text="record").click()
    page.click("#train-start")
    page.wait_for_selector("#train-checked .notice.bad", timeout=60_000)
    assert "infinite epsilon is spent already" in page.inner_text("#train-checked")


def test_who_signed_out_moves_nothing(page):
    page.click("#leave")
    page.wait_for_selector("#password", state="visible", timeout=30_000)
    assert not page.is_visible("#train-start")
