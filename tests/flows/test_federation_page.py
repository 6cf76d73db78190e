"""The Federation tab in a real Chromium: a run with its refusals and curves, a partner's own part, the audit pack."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import httpx
import pytest

pytest.importorskip("flwr")
from live import served
from stand_in import StandIn, furnish

from assistant.server import create_app
from assistant.settings import ServerSettings, Settings
from federated.coordinator import Address, Home
from federated.enrol import apply
from federated.learning import Recipe
from federated.panel import panel
from federated.rounds import RunConfig
from federated.site import Site, SiteConfig
from federated.types import Refusal, RoundResult
from privacy.types import PrivacySpend

PASSWORD = "correct horse"
PARTNERS = ("harbour-kitchen", "north-outfitters", "summit-books")
pytestmark = chromium.NEEDED


def made(data_dir: Path) -> Home:
    """A run of three rounds as its folder is after it: one partner was late once."""
    folder = data_dir / "federated" / "spring"
    home = Home(folder / "hub")
    home.init(RunConfig("spring", 3), Recipe(), Address(), data_dir=data_dir)
    data = data_dir / "own.jsonl"
    data.write_text("{}\n")
    for name in PARTNERS:
        invitation, site = home.invite(name), Site(folder / name)
        home.roster.enrol(apply(invitation, site.join(invitation, SiteConfig(str(data)))), now=0.0)
    home.invite("valley-bikes")
    lines = []
    for number in range(1, 4):
        late = number == 2
        metrics = {f"{name}/score": -4.0 + 0.5 * number + 0.2 * place for place, name in enumerate(PARTNERS)}
        refused = (Refusal(PARTNERS[2], "No answer before the deadline. <img src=x onerror=alert(1)>"),) if late else ()
        accepted = PARTNERS[:2] if late else PARTNERS
        result = RoundResult(
            number, "ab", True, accepted, refused, "", 2_211_840, 2_211_840, metrics, 41.0
        )  # fmt: skip
        lines.append(json.dumps(result.to_dict()) + "\n")
    (home.folder / "run").mkdir()
    (home.folder / "run" / "rounds.jsonl").write_text("".join(lines))
    baseline = {f"{name}/score": -4.0 + 0.2 * place for place, name in enumerate(PARTNERS)}
    outcome = {"adapter": "shared-spring@1", "objections": [], "rounds": 3, "baseline": baseline}
    (home.folder / "run" / "outcome.json").write_text(json.dumps(outcome))
    entry = {
        "at": 1_795_000_000.0, "run": "spring", "round": 1, "nonce": "ab", "mode": "masked", "encoding": "masked",
        "tensors": 60, "numbers": 184_320, "bytes": 737_280, "norm": 2.29, "metrics": {},
        "spend": PrivacySpend.nonprivate("training").to_dict(), "payload_sha256": "",
    }  # fmt: skip
    sent = folder / PARTNERS[1] / "run" / "sent.jsonl"
    sent.parent.mkdir()
    sent.write_text(json.dumps(entry) + "\n")
    return home


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        server=ServerSettings(admin_password=PASSWORD, requests_per_minute=1000),
    )
    made(settings.data_dir)
    assistant = StandIn(settings)
    furnish(assistant)
    with served(create_app(assistant, settings, [panel()])) as url:
        yield url
    assistant.close()


@pytest.fixture(scope="module")
def staff(browser: Any, shop: str) -> Any:
    return chromium.signed_in(browser, shop, PASSWORD)


def opened(
    browser: Any, url: str, staff: Any, *, width: int = 1280, scheme: str = "light", path: str = "manage"
) -> Any:
    name = "联邦学习" if path.endswith("zh") else "Federation"
    page = chromium.opened_at(browser, url, staff, name, width=width, scheme=scheme, path=path)
    page.wait_for_selector("#federation-run table")
    return page


def test_a_run_is_shown_with_quality_curves_refusals_and_bytes(browser: Any, shop: str, staff: Any):
    page = opened(browser, shop, staff)
    shown = page.inner_text("#federation-run")
    for said in ("shared-spring@1", "-4.000", "-2.500", "2 / 3", "invited", "No answer before the deadline.", "2.21"):
        assert said in shown
    assert page.locator("#federation-run .curve line").count() == 3 * 3 + 3
    assert page.locator("#federation-run img").count() == 0
    page.context.close()


@pytest.mark.parametrize("path", ["manage", "manage-zh"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(browser: Any, shop: str, staff: Any, scheme: str, path: str):
    page = opened(browser, shop, staff, width=390, scheme=scheme, path=path)
    assert page.locator("html").bounding_box()["width"] <= 390
    for table in page.locator("#federation-run .table").all():
        box = table.bounding_box()
        assert box["x"] + box["width"] <= 390
    page.context.close()


def test_a_partner_sees_what_left_it(browser: Any, shop: str, staff: Any):
    page = opened(browser, shop, staff)
    page.click("#federation-runs input")
    page.get_by_role("option", name="spring/north-outfitters").click()
    page.wait_for_selector("#federation-run :text('184,320')")
    shown = page.inner_text("#federation-run")
    assert "epsilon is infinite" in shown
    assert "fingerprint" in shown
    page.context.close()


def test_the_audit_pack_is_for_the_staff(browser: Any, shop: str, staff: Any):
    page = opened(browser, shop, staff)
    with page.expect_download() as download:
        page.click("#federation-run a.nav")
    name = download.value.suggested_filename
    assert name == "audit-pack-spring-hub.zip"
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as archive:
        assert set(archive.namelist()) >= {"partners.json", "run.json", "run/rounds.jsonl", "run/outcome.json"}
    page.context.close()
    assert httpx.get(f"{shop}/receipts/files/{name}").status_code == 404
