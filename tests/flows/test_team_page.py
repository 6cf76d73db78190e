"""The Team tab in a real Chromium: an account is added, its holder chooses a password and is let in as far as they may."""

from __future__ import annotations

import re
from typing import Any

import chromium
import pytest
from live import served
from stand_in import PASSWORD, make

pytestmark = chromium.NEEDED


def test_an_account_is_added_let_in_and_thrown_out(browser: Any, tmp_path_factory: pytest.TempPathFactory):
    assistant, app = make(tmp_path_factory.mktemp("data"), requests_per_minute=1000)
    with served(app) as url:
        owner = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900}).new_page()
        chromium.sign_in(owner, url, PASSWORD)
        chromium.to_tab(owner, "Team")
        owner.wait_for_selector("#team table")
        owner.fill("#team-name input, #team-name textarea", "Ada")
        owner.click("#team-add")
        owner.wait_for_selector("#team-notice .notice")
        found = re.search(r"One-time password of Ada: (\S+)", owner.inner_text("#team-notice"))
        assert found is not None

        ada = browser.new_context(locale="en-GB", viewport={"width": 390, "height": 900}).new_page()
        ada.goto(f"{url}/manage")
        ada.fill("#who input, #who textarea", "ada")
        ada.fill("#password input", found[1])
        ada.click("#enter")
        ada.wait_for_selector("#refused .notice")
        assert "Choose your own" in ada.inner_text("#refused")
        ada.fill("#new-password input", "horse staple battery")
        ada.click("#enter")
        ada.wait_for_selector("#leave")
        assert "ada" in ada.inner_text("#leave")
        ada.wait_for_timeout(300)  # the tabs that find no room go into the menu
        ada.locator(".overflow-menu > button").first.click()
        shown = ada.locator("#inside [role=tab]:visible, .overflow-dropdown button:visible").all_inner_texts()
        assert {"Documents", "Desk", "Loop"} <= set(shown)
        assert not {"Training", "Team"} & set(shown)
        assert ada.locator("html").bounding_box()["width"] <= 390

        owner.click("#team-remove")
        owner.wait_for_selector("#team-notice .notice:has-text('signed out')")
        assert "account.remove" in owner.inner_text("#log")
        ada.reload()
        ada.wait_for_selector("#who")
        assert ada.locator("#inside").count() == 0 or not ada.locator("#inside").is_visible()
        owner.context.close()
        ada.context.close()
    assistant.close()
