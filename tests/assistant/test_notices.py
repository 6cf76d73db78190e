"""The staff are told that somebody waits: signed, written down first, without the customer's words; and once."""

from __future__ import annotations

import hashlib
import hmac
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import databases
import pytest
from stand_in import StandIn, furnish

from assistant.attendant import Attendant
from assistant.settings import DeskSettings, PrivacySettings, Settings
from assistant.types import Conversation, Outcome
from privacy.keys import secret_key
from privacy.policy import Egress

SAID = "I want a person, my number is 0170 1234567"


class Hook:
    """A webhook's receiver: what it got, and the status it answers with."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, str]] = []
        self.status, self.raw = 200, b""
        self.meanwhile: Callable[[], object] = lambda: None
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.got.append((body, self.headers["x-confide-signature"]))
                hook.meanwhile()
                if hook.raw:
                    self.wfile.write(hook.raw)
                    return
                self.send_response(hook.status)
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Mailbox(socketserver.StreamRequestHandler):
    """A mail server that takes everything."""

    letters: list[str]

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (one := self.rfile.readline()) != b".\r\n":
                    lines.append(one.decode())
                self.letters.append("".join(lines))
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 good\r\n")
            if word == b"QUIT":
                return


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.server.shutdown()


def house(tmp_path: Path, **desk: Any) -> StandIn:
    local, url = desk.pop("local_only", ()), desk.pop("store_url", "")
    privacy = PrivacySettings(local_only=local)
    settings = Settings(data_dir=tmp_path, desk=DeskSettings(**desk), privacy=privacy, store_url=url)
    made = StandIn(settings, script={SAID: (Outcome.NEEDS_HUMAN, "A colleague takes over.")})
    furnish(made)
    wait(made, 1)
    return made


def wait(assistant: StandIn, number: int) -> None:
    """One more who wants a person."""
    list(assistant.ask(Conversation(f"c{number}", f"customer-{number}"), SAID))


def test_a_webhook_is_signed_written_down_and_told_once(tmp_path: Path, hook: Hook):
    assistant = house(tmp_path, webhook=hook.url)
    attendant = Attendant(assistant)  # type: ignore[arg-type]
    assert [attendant.tell(), attendant.tell()] == [1, 0]
    (body, signature), *others = hook.got
    assert others == []
    at, _, given = signature.removeprefix("t=").partition(",v1=")
    key = secret_key(tmp_path / "keys" / "webhook.key")
    assert given == hmac.new(key, at.encode() + b"." + body, hashlib.sha256).hexdigest()
    said = json.loads(body)
    assert (said["event"], said["conversation"], said["waiting"]) == ("conversation.waiting", "c1", 1)
    assert not any(word in body.decode() for word in ("person", "1234567", "customer-1"))
    assert [gone.destination for gone in Egress(tmp_path).log()] == [hook.url]
    assistant.close()


def test_what_could_not_be_told_is_tried_again_and_no_redirect_is_followed(tmp_path: Path, hook: Hook):
    assistant = house(tmp_path, webhook=hook.url)
    hook.status = 302
    attendant = Attendant(assistant)  # type: ignore[arg-type]
    assert [attendant.tell(), attendant.tell()] == [0, 0]  # a minute has not passed
    assert len(hook.got) == 1
    hook.status = 200
    assert Attendant(assistant).tell() == 1  # type: ignore[arg-type]
    assistant.close()


def test_how_many_wait_counts_those_of_whom_was_told_before(tmp_path: Path, hook: Hook):
    assistant = house(tmp_path, webhook=hook.url)
    attendant = Attendant(assistant)  # type: ignore[arg-type]
    attendant.tell()
    wait(assistant, 2)
    wait(assistant, 3)
    attendant.tell()
    assert [json.loads(body)["waiting"] for body, _ in hook.got] == [1, 3, 3]
    assistant.close()


def test_a_hook_that_speaks_no_http_is_tried_again_after_a_minute_and_stops_nobody_else(tmp_path: Path, hook: Hook):
    assistant = house(tmp_path, webhook=hook.url)
    wait(assistant, 2)
    hook.raw = b"hello, I am no HTTP\r\n\r\n"
    attendant = Attendant(assistant)  # type: ignore[arg-type]
    assert [attendant.tell(), attendant.tell()] == [0, 0]
    assert [json.loads(body)["conversation"] for body, _ in hook.got] == ["c1", "c2"]
    assistant.close()


def test_a_mail_server_without_a_real_address_stops_nobody_else(tmp_path: Path):
    assistant = house(tmp_path, email="desk@shop.example", smtp="smtp://127.0.0.1:nonsense")
    wait(assistant, 2)
    assert Attendant(assistant).tell() == 0  # type: ignore[arg-type]
    assert len(assistant.desk.untold()) == 2
    assistant.close()


@pytest.mark.slow
def test_two_processes_on_one_database_tell_the_staff_once(tmp_path: Path, hook: Hook):
    url = databases.url_of("postgresql")
    assistant = house(tmp_path / "a", webhook=hook.url, store_url=url)
    other = StandIn(assistant.settings.model_copy(update={"data_dir": tmp_path / "b"}))
    told: list[int] = []

    def meanwhile() -> None:
        hook.meanwhile = lambda: None
        told.append(Attendant(other).tell())  # type: ignore[arg-type]

    hook.meanwhile = meanwhile
    assert Attendant(assistant).tell() == 1  # type: ignore[arg-type]
    assert (told, len(hook.got)) == ([0], 1)
    hook.status = 500
    wait(assistant, 2)
    assert Attendant(assistant).tell() == 0  # type: ignore[arg-type]
    hook.status = 200
    assert Attendant(other).tell() == 1  # type: ignore[arg-type]
    assistant.close()
    other.close()


def test_an_e_mail_tells_nothing_of_the_customer(tmp_path: Path):
    letters: list[str] = []
    Box = type("Box", (Mailbox,), {"letters": letters})  # noqa: N806
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Box)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assistant = house(tmp_path, email="desk@shop.example", smtp=f"smtp://127.0.0.1:{server.server_address[1]}")
    assert Attendant(assistant).tell() == 1  # type: ignore[arg-type]
    assert "waits for a person" in letters[0]
    assert not any(word in letters[0] for word in ("1234567", "customer-1"))
    assert [gone.destination for gone in Egress(tmp_path).log()] == ["smtp://127.0.0.1"]
    server.shutdown()
    server.server_close()
    assistant.close()


def test_a_collection_that_stays_here_is_told_of_to_nobody(tmp_path: Path, hook: Hook):
    assistant = house(tmp_path, webhook=hook.url, local_only=("shop",))
    Attendant(assistant).tell()  # type: ignore[arg-type]
    assert hook.got == []
    assert Egress(tmp_path).log() == []
    assistant.close()


def test_without_a_configuration_nothing_is_sent(tmp_path: Path):
    assistant = house(tmp_path)
    assert Attendant(assistant).tell() == 0  # type: ignore[arg-type]
    assert len(assistant.desk.untold()) == 1
    assistant.close()


def test_the_attendant_sweeps_by_the_settings_and_ends_when_told_to(tmp_path: Path):
    assistant = house(tmp_path)
    attendant = Attendant(assistant)  # type: ignore[arg-type]
    assert attendant.sweep() == 0
    attendant.start()
    attendant.stop()
    assistant.close()
