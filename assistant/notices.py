"""Telling the staff that somebody waits: a signed webhook, an e-mail. Neither holds a word or a name of the customer.

    X-Confide-Signature: t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>" with the key in keys/webhook.key, hex>

Both are off until they are configured, may be forbidden for a collection (`privacy.local_only`), and are written into
the log of what leaves this machine before they are sent. A webhook's answer is not followed anywhere.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import http.client
import json
import smtplib
import ssl
import time
import urllib.error
import urllib.request
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from assistant.desk import Case
from assistant.outbound import redactor
from assistant.settings import Settings
from privacy.keys import secret_key
from privacy.policy import Egress

_TIMEOUT_S = 10.0


class Notices:
    """The ways in which the staff of a data folder are told."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._egress = Egress(settings.data_dir, settings.privacy.local_only)

    @property
    def configured(self) -> bool:
        """Whether anybody is to be told."""
        return bool(self._settings.desk.webhook or self._settings.desk.email)

    def tell(self, case: Case, *, waiting: int) -> None:
        """Tells that this conversation waits, as one of so many.

        Raises:
            OSError: it could not be written down or sent; nothing is told twice by a later try but what had gone.
        """
        if not self._egress.allows(case.collection):
            return
        desk = self._settings.desk
        if desk.webhook:
            self._post(case, waiting)
        if desk.email:
            self._mail(case, waiting)

    def _post(self, case: Case, waiting: int) -> None:
        body = json.dumps(_body(case, waiting)).encode()
        at = str(int(time.time()))
        headers = {"content-type": "application/json", "x-confide-signature": f"t={at},v1={self.sign(at, body)}"}
        url = urlsplit(self._settings.desk.webhook)
        place = urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path, "", ""))
        self._record(place, case.collection, body)
        asked = urllib.request.Request(self._settings.desk.webhook, data=body, headers=headers, method="POST")
        try:
            with urllib.request.build_opener(_Stay).open(asked, timeout=_TIMEOUT_S):
                pass
        except urllib.error.HTTPError as error:
            error.close()
            raise OSError(f"the webhook answered {error.code}") from None
        except (http.client.HTTPException, ValueError) as error:  # no HTTP came back, or the address is none
            raise OSError(f"the webhook could not be asked: {type(error).__name__}") from None

    def sign(self, at: str, body: bytes) -> str:
        """The signature of a body sent at that time (seconds), in hex."""
        key = secret_key(self._settings.data_dir / "keys" / "webhook.key")
        return hmac.new(key, at.encode() + b"." + body, hashlib.sha256).hexdigest()

    def _mail(self, case: Case, waiting: int) -> None:
        desk, url = self._settings.desk, urlsplit(self._settings.desk.smtp.get_secret_value())
        letter = EmailMessage()
        letter["Subject"] = f"A customer waits for a person ({waiting} waiting)"
        letter["From"] = letter["To"] = desk.email
        letter.set_content(
            f"A conversation about {case.collection} waits for a person since {case.asked:%Y-%m-%d %H:%M} UTC.\n"
            f"{waiting} waiting in all. Open the Desk on the staff's page.\n"
        )
        host = url.hostname or "localhost"
        self._record(f"smtp://{host}", case.collection, letter.as_bytes())
        context = ssl.create_default_context()
        try:
            server: smtplib.SMTP
            if url.scheme == "smtps":
                server = smtplib.SMTP_SSL(host, url.port or 465, timeout=_TIMEOUT_S, context=context)
            else:
                server = smtplib.SMTP(host, url.port or 587, timeout=_TIMEOUT_S)
            with server:
                if url.scheme == "smtp" and url.username:
                    server.starttls(context=context)  # a password goes over TLS or not at all
                if url.username:
                    server.login(unquote(url.username), unquote(url.password or ""))
                server.send_message(letter)
        except (smtplib.SMTPException, ValueError) as error:  # or an address, a password that mail cannot carry
            raise OSError(f"the mail server refused: {type(error).__name__}") from error

    def _record(self, destination: str, collection: str, body: bytes) -> None:
        text = redactor(self._settings).redact(body.decode())
        self._egress.record(destination, collection, size=len(body), text=text)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what is signed for one address goes to that one."""

    def redirect_request(self, *_: Any) -> None:
        """None: the redirect is an answer like another."""
        return


def _body(case: Case, waiting: int) -> dict[str, Any]:
    return {
        "event": "conversation.waiting",
        "conversation": case.conversation,
        "collection": case.collection,
        "since": case.asked.replace(tzinfo=dt.UTC).isoformat(timespec="seconds"),
        "waiting": waiting,
    }
