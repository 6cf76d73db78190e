"""Sign-in of the staff through an identity provider: OpenID Connect's code flow with PKCE, state and nonce.

The provider says who somebody is; the setting `oidc.roles` says what they may. Signatures and claims are checked by
PyJWT. What has to be remembered between leaving and coming back stands in a short-lived cookie that we signed, bound to
the visitor's session. No token is kept. Sources: OpenID Connect Core 1.0, RFC 7636 (PKCE), RFC 9207 (issuer).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import jwt
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from assistant.accounts import Role
from assistant.errors import ConfideError, SettingsError
from assistant.gate import address
from assistant.guard import SESSION
from assistant.sessions import PER_ADDRESS, PER_ADDRESS_HOUR, Door, Sessions
from assistant.settings import OidcSettings

COOKIE = "confide_oidc"
FLOW_SECONDS = 600
"""Somebody has so long to sign in at the provider."""
ASKING = 8
"""So many may ask the provider at once: each holds a thread of the server until it answers."""
_ONCE = RateLimitItemPerMinute(1, FLOW_SECONDS // 60)
_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
_REFUSED = "The identity provider did not let you in, or your account there has no role here. Ask the owner.\n"
_TOO_MANY = "Too many sign-ins from your address were refused. Wait a minute, then try again.\n"
_UNREACHED = "The identity provider cannot be reached. Try again later.\n"
_log = logging.getLogger(__name__)


class SignInRefused(ConfideError):
    """The provider's answer does not hold, or says nobody who has a role here."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What is remembered between leaving for the provider and coming back."""

    state: str
    nonce: str
    verifier: str
    back: str


class Provider:
    """An identity provider, by its discovery document; asked when somebody first signs in."""

    def __init__(self, settings: OidcSettings) -> None:
        """Raises SettingsError where the settings make no sense."""
        self._settings = settings
        self._roles = read_roles(settings.roles)
        problems = []
        if not settings.client_id:
            problems.append("oidc.client_id is empty.")
        if not self._roles:
            problems.append("oidc.roles is empty: nobody could enter.")
        if not _is_safe(settings.issuer):
            problems.append("oidc.issuer is not an https:// address.")
        if problems:
            raise SettingsError(" ".join(problems), hint="docs/accounts.md shows an example.")

    @cached_property
    def _document(self) -> Mapping[str, Any]:
        wanted = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        document: dict[str, Any] = httpx2.get(wanted, timeout=10).raise_for_status().json()
        ends = [str(document.get(name, "")) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if document.get("issuer") != self._settings.issuer or not all(map(_is_safe, ends)):
            raise SignInRefused("The provider's discovery document names another issuer, or an unsafe address.")
        return document

    @cached_property
    def _keys(self) -> jwt.PyJWKClient:
        return jwt.PyJWKClient(self._document["jwks_uri"], timeout=10)

    def leave(self, back: str) -> tuple[str, Flow]:
        """The provider's address to send somebody to, and what to remember; `back` is where they return."""
        flow = Flow(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), back)
        digest = hashlib.sha256(flow.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": back,
            "scope": "openid email profile",
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        there = str(self._document["authorization_endpoint"])
        return f"{there}{'&' if urlsplit(there).query else '?'}{urlencode(query)}", flow

    def arrive(self, flow: Flow, answer: Mapping[str, str]) -> tuple[str, Role]:
        """Who came back (their e-mail address), and what they may.

        Raises:
            SignInRefused: the answer is not to this flow, or is forged, or whoever it names has no role.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            raise SignInRefused("The answer belongs to another sign-in.")
        if answer.get("iss", self._settings.issuer) != self._settings.issuer:
            raise SignInRefused("The answer is another provider's.")
        if "code" not in answer:
            raise SignInRefused(f"The provider says: {answer.get('error', 'no code')[:100]}.")
        claims = self._claims(self._token(flow, answer["code"]), flow)
        email = str(claims.get("email", "")).strip().lower()
        if not email or claims.get("email_verified") is not True:
            raise SignInRefused("The provider names no verified e-mail address.")
        groups = claims.get("groups", [])
        role = role_of(email, groups if isinstance(groups, list) else [], self._roles)
        if role is None:
            raise SignInRefused("This account has no role here.")
        return email, role

    def _token(self, flow: Flow, code: str) -> str:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": flow.back,
            "client_id": self._settings.client_id, "code_verifier": flow.verifier,
        }  # fmt: skip
        secret = self._settings.client_secret.get_secret_value()
        if secret:
            form["client_secret"] = secret
        told = httpx2.post(str(self._document["token_endpoint"]), data=form, timeout=10)
        token = told.json().get("id_token") if told.status_code == 200 else None
        if not isinstance(token, str):
            raise SignInRefused(f"The provider gave no token ({told.status_code}).")
        return token

    def _claims(self, token: str, flow: Flow) -> Mapping[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._keys.get_signing_key_from_jwt(token).key, algorithms=list(_ALGORITHMS), leeway=60,
                audience=self._settings.client_id, issuer=self._settings.issuer,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise SignInRefused(f"The provider's token does not hold: {error}.") from error
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), flow.nonce.encode()):
            raise SignInRefused("The token is of another sign-in.")
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise SignInRefused("The token was made for another client.")
        return claims


def read_roles(lines: Sequence[str]) -> dict[str, Role]:
    """e-mail address, @domain or group -> role.

    >>> read_roles(["ada@example.org=owner", "@example.org=viewer"])["@example.org"].value
    'viewer'

    Raises:
        SettingsError: names each line that is none.
    """
    found, wrong = {}, []
    for line in lines:
        who, _, role = (part.strip() for part in line.rpartition("="))
        if who and role in list(Role):
            found[who.lower()] = Role(role)
        else:
            wrong.append(line)
    if wrong:
        raise SettingsError(f"oidc.roles: {'; '.join(wrong)}.", hint='For example "@shop.example=staff".')
    return found


def role_of(email: str, groups: Sequence[object], roles: Mapping[str, Role]) -> Role | None:
    """The highest role that an address or a group of theirs has; None where there is none."""
    names = [email, email[email.rindex("@") :] if "@" in email else "", *(str(group).lower() for group in groups if
             "@" not in str(group))]  # fmt: skip
    mine = [roles[name] for name in names if name in roles]
    return max(mine, key=list(Role).index, default=None)


def add_oidc(app: FastAPI, settings: OidcSettings, *, door: Door, sessions: Sessions) -> None:
    """The routes of the sign-in, where a provider is configured. Raises SettingsError."""
    if not settings.issuer:
        return
    provider, asking = Provider(settings), threading.Semaphore(ASKING)
    limiter = MovingWindowRateLimiter(MemoryStorage())

    @app.get("/sso/login")
    def login(request: Request) -> Response:
        session = request.scope.get(SESSION)
        if session is None:
            return RedirectResponse("/manage", 303)
        if not asking.acquire(blocking=False):
            return PlainTextResponse(_UNREACHED, 503)
        try:
            there, flow = provider.leave(str(request.url_for("back")))
        except (ConfideError, httpx2.HTTPError, ValueError) as error:
            _log.warning("the identity provider cannot be asked: %s", error)
            return PlainTextResponse(_UNREACHED, 503)
        finally:
            asking.release()
        answer = RedirectResponse(there, 303)
        kept = sessions.seal([session.id, flow.state, flow.nonce, flow.verifier, flow.back])
        answer.set_cookie(
            COOKIE, kept, max_age=FLOW_SECONDS, path="/sso/", httponly=True, samesite="lax",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    @app.get("/sso/back", name="back")
    def back(request: Request) -> Response:
        session = request.scope.get(SESSION)
        kept = sessions.unseal(request.cookies.get(COOKIE, ""), seconds=FLOW_SECONDS)
        tries = [(limit, "refused", address(request.scope)) for limit in (PER_ADDRESS, PER_ADDRESS_HOUR)]
        if not all(limiter.test(*one) for one in tries):
            return PlainTextResponse(_TOO_MANY, 429, {"retry-after": "60"})
        if not asking.acquire(blocking=False):
            return PlainTextResponse(_UNREACHED, 503)
        try:
            if session is None or kept is None or kept[0] != session.id:
                raise SignInRefused("Nobody left from here for the provider.")
            flow = Flow(*kept[1:])
            if not limiter.hit(_ONCE, "state", flow.state):
                raise SignInRefused("This answer was used before.")
            email, role = provider.arrive(flow, dict(request.query_params))
            door.accounts.admit(email, role)
            door.admit(session.id, email)
        except (ConfideError, httpx2.HTTPError, ValueError) as error:
            _log.warning("a sign-in by the identity provider is refused: %s", error)
            for one in tries:
                limiter.hit(*one)
            answer: Response = PlainTextResponse(_REFUSED, 403)
        else:
            answer = RedirectResponse("/manage", 303)
        finally:
            asking.release()
        answer.delete_cookie(COOKIE, path="/sso/")
        return answer


def _is_safe(address: str) -> bool:
    """Whether it is TLS, or this machine (for tests)."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"})
