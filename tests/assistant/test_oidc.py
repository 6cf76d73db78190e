"""Sign-in by an identity provider, against a small one of ours: who comes in, as what, and who does not."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from live import served
from provider import CLIENT, SECRET, FakeProvider

from assistant import oidc
from assistant.accounts import Accounts, Role
from assistant.errors import SettingsError
from assistant.guard import SessionCookie
from assistant.oidc import Provider, add_oidc, read_roles, role_of
from assistant.sessions import COOKIE, Door, Sessions
from assistant.settings import OidcSettings
from assistant.store import Store

ROLES = ("@example.org=viewer", "support=staff", "ada@example.org=owner")
GRACE = {"email": "Grace@example.org", "email_verified": True, "groups": ["support"]}


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    fake = FakeProvider()
    with served(fake.app) as url:
        fake.issuer = url
        yield fake


@pytest.fixture
def honest(provider: FakeProvider) -> FakeProvider:
    provider.claims, provider.signed_by, provider.lie = GRACE, provider.key, lambda claims: claims
    return provider


@pytest.fixture(scope="module")
def house(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Door, Sessions]]:
    folder: Path = tmp_path_factory.mktemp("data")
    store, sessions = Store.open(folder), Sessions.open(folder)
    door = Door(Accounts(store, "default"))
    app = FastAPI()
    app.get("/manage")(lambda: "the page")
    settings = OidcSettings(issuer=provider.issuer, client_id=CLIENT, client_secret=SECRET, roles=ROLES)
    add_oidc(app, settings, door=door, sessions=sessions)
    app.add_middleware(SessionCookie, sessions=sessions, is_page={"/manage"}.__contains__)
    with served(app) as url:
        yield url, door, sessions
    store.close()


@pytest.fixture
def browser(house: tuple[str, Door, Sessions]) -> Iterator[httpx.Client]:
    """Each from an address of its own: what is refused counts against it."""
    here = {"x-forwarded-for": f"10.1.{secrets.randbelow(256)}.{secrets.randbelow(256)}"}
    with httpx.Client(base_url=house[0], headers=here, timeout=30) as client:
        client.get("/manage")
        yield client


def account(house: tuple[str, Door, Sessions], browser: httpx.Client) -> Any:
    session = house[2].read(browser.cookies[COOKIE])
    assert session is not None
    return house[1].account(session.id)


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        (GRACE, Role.STAFF),
        ({**GRACE, "groups": []}, Role.VIEWER),
        ({**GRACE, "email": "ada@example.org"}, Role.OWNER),
    ],
)
def test_who_the_provider_vouches_for_comes_in_with_their_role(house, browser, honest, claims, role):
    honest.claims = claims
    answer = browser.get("/sso/login", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/manage")
    found = account(house, browser)
    assert (found.name, found.role) == (claims["email"].lower(), role)


LIES = {
    "another nonce": lambda claims: {**claims, "nonce": "x"},
    "no nonce": lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
    "another client": lambda claims: {**claims, "aud": "other"},
    "for two, by another": lambda claims: {**claims, "aud": [CLIENT, "other"], "azp": "other"},
    "another issuer": lambda claims: {**claims, "iss": "https://evil.example"},
    "too old": lambda claims: {**claims, "exp": int(time.time()) - 3600},
    "no end": lambda claims: {name: value for name, value in claims.items() if name != "exp"},
    "unverified address": lambda claims: {**claims, "email_verified": False},
    "no word on the address": lambda claims: {n: v for n, v in claims.items() if n != "email_verified"},
    "no role": lambda claims: {**claims, "email": "eve@evil.example", "groups": ["@example.org", "ada@example.org"]},
    "a name with a password": lambda claims: {**claims, "email": "owner"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_does_not_hold_lets_nobody_in(house, browser, honest, lie):
    honest.lie = LIES[lie]
    assert browser.get("/sso/login", follow_redirects=True).status_code == 403
    assert account(house, browser) is None


@pytest.mark.parametrize("key", [None, "other"])
def test_a_token_that_is_not_signed_by_the_provider_lets_nobody_in(house, browser, honest, key):
    honest.signed_by = rsa.generate_private_key(public_exponent=65537, key_size=2048) if key else None
    assert browser.get("/sso/login", follow_redirects=True).status_code == 403
    assert account(house, browser) is None


def test_an_answer_counts_once_for_its_own_state_and_its_own_session(house, browser, honest):
    there = browser.get("/sso/login").headers["location"]
    back = httpx.get(there).headers["location"]
    with httpx.Client(base_url=house[0], timeout=30) as other:
        other.get("/manage")
        assert other.get(back).status_code == 403  # never left
        other.get("/sso/login")
        assert other.get(back).status_code == 403  # left with another state
        stolen = browser.cookies.get("confide_oidc", path="/sso/")
        other.cookies.set("confide_oidc", stolen, path="/sso/")
        assert other.get(back).status_code == 403  # another session's cookie
    assert browser.get(back).status_code == 303
    browser.cookies.set("confide_oidc", stolen, path="/sso/")
    assert browser.get(back).status_code == 403  # used


def leave(browser: httpx.Client) -> tuple[str, str]:
    """(the address that the provider would send back to, with a code it never gave; the cookie) of a new sign-in."""
    state = httpx.URL(browser.get("/sso/login").headers["location"]).params["state"]
    return f"/sso/back?state={state}&code=x", browser.cookies.get("confide_oidc", path="/sso/") or ""


def test_an_answer_that_is_sent_again_never_reaches_the_provider(house, browser, honest):
    back, cookie = leave(browser)
    before = honest.asked
    for _ in range(4):
        browser.cookies.set("confide_oidc", cookie, path="/sso/")
        assert browser.get(back).status_code == 403
    assert honest.asked == before + 1


def test_after_five_refusals_a_minute_an_address_never_reaches_the_provider(house, browser, honest):
    for _ in range(5):
        assert browser.get(leave(browser)[0]).status_code == 403
    before = honest.asked
    refused = browser.get(leave(browser)[0])
    assert (refused.status_code, honest.asked) == (429, before)
    assert int(refused.headers["retry-after"]) > 5


def test_who_is_let_in_does_not_count_against_the_address(house, browser, honest):
    for _ in range(7):
        assert browser.get("/sso/login", follow_redirects=True).url.path == "/manage"


def test_a_provider_that_does_not_answer_holds_a_few_threads_and_no_more(house, browser, honest, monkeypatch):
    monkeypatch.setattr(oidc, "ASKING", 0)
    app = FastAPI()
    settings = OidcSettings(issuer=honest.issuer, client_id=CLIENT, client_secret=SECRET, roles=ROLES)
    add_oidc(app, settings, door=house[1], sessions=house[2])
    app.add_middleware(SessionCookie, sessions=house[2], is_page={"/manage"}.__contains__)
    back, _ = leave(browser)
    before = honest.asked
    with served(app) as url, httpx.Client(base_url=url, cookies=browser.cookies, timeout=30) as other:
        assert other.get("/sso/login").status_code == 503
        assert other.get(back).status_code == 503
    assert honest.asked == before
    assert browser.get(back).status_code == 403  # not used up by that
    assert honest.asked == before + 1


def test_a_code_is_of_no_use_without_its_verifier(house, browser, honest):
    code = httpx.get(browser.get("/sso/login").headers["location"]).headers["location"]
    state = httpx.URL(browser.get("/sso/login").headers["location"]).params["state"]
    mixed = httpx.URL(code).copy_set_param("state", state)
    assert browser.get(mixed).status_code == 403
    assert account(house, browser) is None


def test_who_refuses_at_the_provider_stays_outside(house, browser, honest):
    state = httpx.URL(browser.get("/sso/login").headers["location"]).params["state"]
    assert browser.get(f"/sso/back?state={state}&error=access_denied").status_code == 403


@pytest.mark.parametrize(
    "wrong", [{"issuer": "http://login.example"}, {"client_id": ""}, {"roles": ()}, {"roles": ("a@b.example=boss",)}]
)
def test_settings_that_make_no_sense_are_told(wrong):
    right = {"issuer": "https://login.example", "client_id": "x", "roles": ROLES}
    with pytest.raises(SettingsError, match="oidc"):
        Provider(OidcSettings(**{**right, **wrong}))


def test_a_group_never_passes_for_an_address():
    roles = read_roles(ROLES)
    assert role_of("eve@evil.example", ["ada@example.org", "@example.org"], roles) is None
    assert role_of("eve@evil.example@example.org", [], roles) is Role.VIEWER
    assert role_of("x@sub.example.org", [], roles) is None
