"""A small OpenID provider for tests: discovery, authorize, token with PKCE, keys. Honest but for what `lie` says.

`claims` are of whoever signs in next; `lie` changes the token before it is signed; `signed_by` replaces its key;
`asked` counts who brought it a code.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Form
from fastapi.responses import JSONResponse, RedirectResponse

CLIENT, SECRET = "confide", "provider-secret"


class FakeProvider:
    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.signed_by: Any = self.key
        self.issuer = ""
        self.asked = 0
        self.claims: dict[str, Any] = {}
        self.lie: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.codes: dict[str, dict[str, str]] = {}
        self.app = FastAPI()
        self.app.get("/.well-known/openid-configuration")(self.discovery)
        self.app.get("/authorize")(self.authorize)
        self.app.get("/jwks")(self.jwks)
        self.app.post("/token")(self.token)

    def discovery(self) -> dict[str, str]:
        here = self.issuer
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        return {"issuer": here, **{name: f"{here}/{path}" for name, path in ends.items()}}

    def authorize(
        self, client_id: str, redirect_uri: str, state: str, nonce: str, code_challenge: str,
        code_challenge_method: str, response_type: str, scope: str,
    ) -> RedirectResponse:  # fmt: skip
        assert (client_id, code_challenge_method, response_type) == (CLIENT, "S256", "code")
        assert "openid" in scope.split()
        code = secrets.token_urlsafe(8)
        self.codes[code] = {"nonce": nonce, "challenge": code_challenge, "back": redirect_uri}
        return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}", 303)

    def jwks(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]}

    def token(
        self, code: str = Form(), code_verifier: str = Form(), redirect_uri: str = Form(), client_secret: str = Form()
    ) -> JSONResponse:
        self.asked += 1
        known = self.codes.pop(code, None)
        digest = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
        right = known is not None and known["challenge"] == digest and known["back"] == redirect_uri
        if known is None or not right or client_secret != SECRET:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        honest = {"iss": self.issuer, "aud": CLIENT, "sub": "u1", "iat": now, "exp": now + 60, "nonce": known["nonce"]}
        claims = self.lie({**honest, **self.claims})
        if self.signed_by is None:
            signed = jwt.encode(claims, "", algorithm="none", headers={"kid": "1"})
        else:
            signed = jwt.encode(claims, self.signed_by, algorithm="RS256", headers={"kid": "1"})
        return JSONResponse({"id_token": signed, "token_type": "Bearer"})
