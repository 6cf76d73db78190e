"""The server's baseline: one law a line. Real uvicorn, a stand-in assistant."""

from __future__ import annotations

import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from live import Visitor, blocks_of, functions, served
from stand_in import PASSWORD, StandIn, furnish, make

from assistant import guard
from assistant.sessions import COOKIE, Sessions

FOREIGN = "https://evil.example"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, object, StandIn]]:
    assistant, app = make(
        tmp_path_factory.mktemp("data"), cors_origins=("https://shop.example",), requests_per_minute=1000,
        allowed_hosts=("127.0.0.1", "confide.example"), max_body_mb=2,
    )  # fmt: skip
    with served(app) as url:
        yield url, app, assistant
    assistant.close()


@pytest.fixture
def url(house) -> str:
    return house[0]


@pytest.fixture
def visitor(house) -> Visitor:
    return Visitor(house[0], house[1])


# Headers

PATHS = ["/", "/manage", "/healthz", "/nowhere", "/gradio_api/info", "/theme.css"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_content_security_policy(url: str, path: str):
    assert httpx.get(url + path).headers["content-security-policy"] == (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
        "frame-src 'none'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_forbids_sniffing_framing_and_foreign_referrers(url: str, path: str):
    headers = httpx.get(url + path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_frame_ancestors_come_from_the_settings(tmp_path: Path):
    assistant, app = make(tmp_path, frame_ancestors=("https://shop.example", "https://www.shop.example"))
    with served(app) as url:
        headers = httpx.get(url).headers
    assistant.close()
    assert headers["content-security-policy"].endswith("frame-ancestors https://shop.example https://www.shop.example")
    assert "x-frame-options" not in headers


def test_errors_have_the_headers_too(url: str):
    refused = httpx.get(url, headers={"host": "evil.example"})
    assert refused.status_code == 400
    assert "content-security-policy" in refused.headers


def test_a_host_that_is_not_listed_is_refused(url: str):
    assert httpx.get(url, headers={"host": "evil.example"}).status_code == 400
    assert httpx.get(url, headers={"host": "confide.example"}).status_code == 200


def test_a_forwarded_host_names_nothing(url: str):
    assert "evil.example" not in httpx.get(url, headers={"x-forwarded-host": "evil.example"}).text


# Origins


@pytest.mark.parametrize("path", ["/", "/healthz", "/theme.css", "/gradio_api/queue/join"])
@pytest.mark.parametrize("host", ["127.0.0.1", "confide.example"])
def test_a_foreign_origin_is_never_allowed(url: str, path: str, host: str):
    answer = httpx.get(url + path, headers={"origin": FOREIGN, "host": host})
    assert not [name for name in answer.headers if name.startswith("access-control-allow-origin")]
    asked = {"origin": FOREIGN, "host": host, "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in httpx.options(url + path, headers=asked).headers


def test_a_listed_origin_is_allowed_without_credentials(url: str):
    answer = httpx.get(url + "/healthz", headers={"origin": "https://shop.example", "host": "confide.example"})
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-credentials" not in answer.headers


def test_an_origin_that_is_no_address_is_refused_with_our_headers(url: str):
    for path in ("/", "/v1/collections", "/healthz"):
        refused = httpx.get(url + path, headers={"origin": "http://[", "authorization": "Bearer x"})
        assert refused.status_code == 400
        assert "content-security-policy" in refused.headers


def test_a_changing_request_from_another_site_is_refused(visitor: Visitor):
    for origin in (FOREIGN, "null", "http://127.0.0.1.evil.example"):
        answer = visitor.client.post("/gradio_api/queue/join", json={}, headers={"origin": origin})
        assert answer.status_code == 403


def test_the_page_itself_may_change_things(visitor: Visitor):
    own = {"origin": str(visitor.client.base_url).rstrip("/")}
    body = {"fn_index": visitor.names["load"], "data": [], "session_hash": visitor.hash}
    assert visitor.client.post("/gradio_api/queue/join", json=body, headers=own).status_code == 200


# The session cookie


def test_a_page_sets_a_signed_http_only_lax_cookie(url: str):
    line = httpx.get(url).headers["set-cookie"]
    assert line.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(line.split("; "))


def test_the_cookie_is_secure_behind_tls(tmp_path: Path):
    sessions = Sessions.open(tmp_path)
    layer = guard.SessionCookie(None, sessions, lambda path: True)
    assert layer._line(sessions.new(), secure=True).endswith("; Secure")


def test_nothing_but_a_page_sets_a_cookie(url: str):
    for path in ("/healthz", "/theme.css", "/nowhere"):
        assert COOKIE not in httpx.get(url + path).headers.get("set-cookie", "")


def test_a_good_cookie_is_kept(visitor: Visitor):
    assert "set-cookie" not in visitor.client.get("/").headers


@pytest.mark.parametrize("forge", [
    # Not the last character: two of its six bits belong to no byte of the signature, so "A" and "B" there are one cookie.
    lambda good: good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1],
    lambda good: "x" + good[1:],
    lambda good: good.rsplit(".", 1)[0],
    lambda good: Sessions(b"k" * 32).new().cookie,
    lambda good: "",
    lambda good: "é" * 10,
    lambda good: good * 50,
])  # fmt: skip
def test_a_forged_cookie_gives_a_new_session(url: str, visitor: Visitor, forge):
    bad = forge(visitor.client.cookies[COOKIE])
    raw = f"{COOKIE}={bad}".encode()
    answer = httpx.get(url, headers=[(b"cookie", raw)])
    assert answer.headers["set-cookie"].startswith(f"{COOKIE}=")
    body = {"fn_index": visitor.names["load"], "data": [], "session_hash": visitor.hash}
    assert httpx.post(url + "/gradio_api/queue/join", json=body, headers=[(b"cookie", raw)]).status_code == 403


def test_secrets_are_readable_by_their_owner_only(house):
    keys = house[2].settings.data_dir / "keys"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()} == {0o600}


# What exists


@pytest.mark.parametrize("path", [
    "/docs", "/redoc", "/openapi.json", "/config", "/gradio_api/info", "/gradio_api/openapi.json", "/monitoring",
    "/monitoring/summary", "/gradio_api/runs", "/gradio_api/file=/etc/passwd", "/gradio_api/file/etc/passwd",
    "/gradio_api/file=http://127.0.0.1:1/x", "/gradio_api/file=https://example.org/x",
    "/gradio_api/proxy=https://example.hf.space/x", "/gradio_api/stream/a/b/c/playlist.m3u8",
    "/gradio_api/startup-events", "/gradio_api/app_id", "/gradio_api/token", "/gradio_api/deep_link",
    "/gradio_api/call/ask/x", "/gradio_api/vibe-code/", "/gradio_api/upload_progress?upload_id=x", "/login", "/user",
    "/gradio_api/user", "/gradio_api/dev/reload", "/pwa_icon", "/gradio_api/custom_component/x/client/y/z",
    "/assets/../../keys/session.key", "/static/..%2f..%2fkeys/session.key",
])  # fmt: skip
def test_nothing_else_of_gradio_exists(visitor: Visitor, path: str):
    assert visitor.client.get(path).status_code in {403, 404}


@pytest.mark.parametrize("path", [
    "/gradio_api/run/predict", "/gradio_api/api/ask", "/gradio_api/call/ask", "/gradio_api/call/v2/ask", "/login",
    "/gradio_api/component_server", "/gradio_api/upload", "/gradio_api/process_recording", "/gradio_api/vibe-edit",
    "/gradio_api/stream/x", "/flag", "/gradio_api/run-history/connect",
])  # fmt: skip
def test_nothing_else_can_be_called(visitor: Visitor, path: str):
    assert visitor.client.post(path, json={}).status_code in {403, 404}


def test_what_the_page_needs_exists(url: str):
    for path in ("/", "/zh", "/manage", "/manage-zh", "/theme.css", "/favicon.ico"):
        assert httpx.get(url + path).status_code == 200


def test_health_is_json_and_names_no_secret(url: str):
    health = httpx.get(url + "/healthz").json()
    assert health["status"] == "ok"
    assert health["collections"] == {"shop": 2}
    assert set(health) == {"status", "version", "collections", "parts"}


def test_a_websocket_is_refused(url: str):
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), 5) as line:
        line.sendall(
            b"GET /gradio_api/queue/join HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 101 " not in line.recv(200)


def test_gradio_is_told_to_be_quiet(house):
    blocks = blocks_of(house[1])
    assert not blocks.analytics_enabled
    assert not blocks.enable_monitoring
    assert not blocks.run_history
    assert not blocks.show_error
    assert not blocks.ssr_mode
    assert not blocks.mcp_server
    assert blocks.footer_links == []
    assert blocks.delete_cache == (600, 600)
    assert not blocks.api_open
    assert blocks._queue.max_size == house[2].settings.server.queue_size
    assert {fn.api_visibility for fn in blocks.fns.values()} == {"private"}
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_every_question_waits_in_the_line_and_nowhere_else(house):
    blocks = blocks_of(house[1])
    questions = [fn for fn in blocks.fns.values() if fn.name in {"ask", "retry", "example"}]
    assert {fn.concurrency_id for fn in questions} == {"model"}
    assert {fn.concurrency_limit for fn in questions} == {None}
    assert blocks.max_threads > house[2].settings.server.queue_size + house[2].settings.server.concurrency


def test_an_error_inside_says_nothing_of_the_inside(visitor: Visitor):
    said = visitor.call("ask", {"not": "text"}, [1], {"no": "id"}, 7, {"x": 1})
    assert "Traceback" not in said
    assert "site-packages" not in said


# Sizes (S6)


def test_a_large_body_is_refused_before_it_is_read(visitor: Visitor):
    answer = visitor.client.post("/gradio_api/queue/join", content=b"x" * 1_000_001)
    assert answer.status_code == 413


def test_a_large_body_without_a_length_is_refused(visitor: Visitor):
    def chunks() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x" * 100_000

    answer = visitor.client.post("/gradio_api/queue/join", content=chunks())
    assert answer.status_code == 413


def test_an_upload_above_the_cap_is_refused(visitor: Visitor):
    manage = Visitor(str(visitor.client.base_url), visitor.app, page="manage")
    manage.call("enter", "", PASSWORD, "")

    def chunks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
        for _ in range(30):
            yield b"x" * 100_000
        yield b"\r\n--b--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert manage.client.post("/gradio_api/upload", content=chunks(), headers=headers).status_code == 413
    small = manage.client.post("/gradio_api/upload", files={"files": ("a.txt", b"hello")})
    assert small.status_code == 200
    served_at = small.json()[0]
    assert manage.client.get(f"/gradio_api/file={served_at}").status_code == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"fn_index":0}', b"[" * 100_000])
def test_a_body_that_is_not_the_pages_is_a_bad_request(visitor: Visitor, body: bytes):
    assert visitor.client.post("/gradio_api/queue/join", content=body).status_code == 400


# Nobody else's (S5)


@pytest.fixture
def secretive(house) -> tuple[Visitor, str]:
    """Somebody with a conversation, and its id."""
    one = Visitor(house[0], house[1])
    one.ask("How long can I return items? My secret is PLATYPUS")
    [conversation] = house[2].store.conversations("default", _session(one, house[2]))
    return one, conversation.id


def test_a_guessed_session_hash_opens_no_stream(house, secretive):
    other = Visitor(house[0], house[1], session_hash=secretive[0].hash)
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        list(other.messages())
    assert other.join("load").status_code == 403
    assert other.client.get(f"/gradio_api/heartbeat/{secretive[0].hash}").status_code == 403
    body = {"session_hash": secretive[0].hash, "fn_index": 0, "event_id": "x"}
    assert other.client.post("/gradio_api/cancel", json=body).status_code == 403
    assert other.client.post("/gradio_api/reset", json=body).status_code == 403


@pytest.mark.parametrize("name", ["show", "ask", "retry", "edit", "open", "delete"])
def test_another_visitors_conversation_id_shows_nothing_and_changes_nothing(house, secretive, name: str):
    one, conversation = secretive
    before = house[2].store.turns(conversation, _session(one, house[2]))
    other = Visitor(house[0], house[1])
    data = {"ask": [conversation, "shop", "", "edit", "hello there"], "retry": [conversation, "shop", ""]}
    data["open"] = [None, "shop"]
    said = other.call(name, *data.get(name, [conversation, "shop"]))
    assert "PLATYPUS" not in said
    assert house[2].store.turns(conversation, _session(one, house[2])) == before


def test_another_visitors_conversation_in_the_address_shows_nothing(house, secretive):
    other = Visitor(house[0], house[1])
    other.client.params = {"c": secretive[1]}
    assert "PLATYPUS" not in other.call("load")


def test_without_a_session_nothing_is_answered(house):
    nobody = Visitor(house[0], house[1], open_page=False)
    assert nobody.join("load").status_code == 403
    assert nobody.client.get("/gradio_api/queue/data", params={"session_hash": "abc"}).status_code == 403


def test_a_conversation_of_ones_own_comes_back(house, secretive):
    one, conversation = secretive
    assert "PLATYPUS" in one.call("show", conversation, "shop")
    again = Visitor(house[0], house[1])
    again.client.cookies = one.client.cookies
    again.client.params = {"c": conversation}
    assert "PLATYPUS" in again.call("load")


def test_conversations_survive_a_restart_of_the_server(tmp_path: Path):
    assistant, app = make(tmp_path)
    with served(app) as url:
        one = Visitor(url, app)
        one.ask("How long can I return items? AARDVARK")
    assistant.close()
    assistant, app = make(tmp_path)
    with served(app) as url:
        later = Visitor(url, app)
        later.client.cookies = one.client.cookies
        assert "AARDVARK" in later.call("load")
    assistant.close()


@pytest.mark.parametrize("name", ["show", "add", "remove"])
def test_staff_handlers_are_closed_to_visitors(house, name: str):
    app = house[1]
    other = Visitor(house[0], app, page="manage")
    assert other.join(name, "shop", []).status_code == 403


def test_the_documents_page_tells_a_stranger_nothing(house):
    other = Visitor(house[0], house[1], page="manage")
    assert "returns.md" not in other.call("load")


def test_the_documents_page_opens_with_the_password_and_closes_again(house):
    staff = Visitor(house[0], house[1], page="manage")
    assert "returns.md" in staff.call("enter", "", PASSWORD, "")
    assert "returns.md" in staff.call("load")
    stranger = Visitor(house[0], house[1], page="manage", session_hash=staff.hash + "x")
    assert "returns.md" not in stranger.call("load")
    staff.call("leave")
    assert "returns.md" not in staff.call("load")
    assert staff.join("show", "shop").status_code == 403


# Languages


def test_the_first_page_is_in_the_browsers_language(url: str):
    chinese = httpx.get(url + "/?c=x", headers={"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert (chinese.status_code, chinese.headers["location"]) == (303, "/zh?c=x")
    assert httpx.get(url, headers={"accept-language": "de,zh;q=0.5"}).status_code == 200


def test_a_chosen_language_wins_over_the_browsers(url: str):
    with httpx.Client(base_url=url, headers={"accept-language": "zh"}) as client:
        assert client.get("/language/en").headers["location"] == "/"
        assert client.get("/").status_code == 200
        assert client.get("/language/zh").headers["location"] == "/zh"
        assert client.get("/").headers["location"] == "/zh"
        assert client.get("/language/evil.example").headers["location"] == "/"
        assert client.get("/language/https:%2f%2fevil.example").headers.get("location", "/") == "/"


def test_a_set_language_is_the_only_one(tmp_path: Path):
    assistant, app = make(tmp_path, language="zh")
    with served(app) as url:
        page = httpx.get(url)
        assert "新对话" in page.text
        assert httpx.get(url + "/zh").status_code == 404
    assistant.close()


# Stopping


def test_leaving_the_page_stops_the_model(tmp_path: Path):
    assistant, app = make(tmp_path, delay_s=0.3)
    with served(app) as url:
        visitor = Visitor(url, app)
        visitor.join("ask", "", "shop", "", "", "How long can I return items?")
        for message in visitor.messages():
            if message["msg"] == "process_generating":
                break
        deadline = time.monotonic() + 15
        while not assistant.closed and time.monotonic() < deadline:
            time.sleep(0.05)
    assistant.close()
    assert assistant.closed == 1


def _session(visitor: Visitor, assistant: StandIn) -> str:
    sessions = Sessions.open(assistant.settings.data_dir)
    session = sessions.read(visitor.client.cookies[COOKIE])
    assert session is not None
    return session.id


def test_a_message_that_is_sent_twice_with_the_pages_id_is_kept_and_answered_once(house):
    visitor = Visitor(house[0], house[1])
    session = _session(visitor, house[2])
    conversation = Sessions.open(house[2].settings.data_dir).new_conversation(session)

    def said() -> list[str]:
        return [turn.message.text for turn in house[2].store.turns(conversation, session)]

    for _ in range(2):
        visitor.call("ask", conversation, "shop", "a" * 32, "", "How long can I return items?")
    assert len(said()) == 2
    for _ in range(2):  # asked anew in other words, by a double press: the first answer is dropped, once
        visitor.call("ask", conversation, "shop", "b" * 32, "edit", "What does delivery to Germany cost?")
    assert len(said()) == 2
    assert "Germany" in said()[0]
    for _ in range(2):
        visitor.call("ask", conversation, "shop", "not an id of ours", "", "How long can I return items?")
    assert len(said()) == 6


def test_an_old_conversation_goes_on_in_the_collection_that_it_is_about(tmp_path: Path):
    assistant, app = make(tmp_path, requests_per_minute=1000)
    furnish(assistant, name="other")  # without documents: only the shop's could answer
    with served(app) as url:
        visitor = Visitor(url, app)
        session = _session(visitor, assistant)
        talk = Sessions.open(tmp_path).new_conversation(session)

        def shown(name: str, *data: str) -> list[Any]:
            last = json.loads(visitor.call(name, *data).splitlines()[-1])
            return list(last["output"]["data"])

        visitor.ask("Hello", talk, "other")
        assert "other" in shown("open", talk, "shop")
        visitor.client.params = {"c": talk}
        assert "other" in [part.get("value") for part in shown("load") if isinstance(part, dict)]
        visitor.ask("How long can I return items?", talk, "shop")
        outcomes = [turn.answer["outcome"] for turn in assistant.store.turns(talk, session) if turn.answer]
        assert outcomes == ["NOT_IN_KNOWLEDGE_BASE"] * 2
        assert shown("choose", talk, "other")[0] == talk
        chosen = shown("choose", talk, "shop")  # what was said stays where it was, another conversation begins
        assert chosen[0] != talk
        assert "shop" in chosen
        assistant.store.remove_collection("default", "other")
        assert "were removed" in visitor.ask("How long can I return items?", talk, "shop")
        assert len(assistant.store.turns(talk, session)) == 4
    assistant.close()


def test_function_names_are_what_these_tests_think(house):
    assert {"load", "ask", "show", "retry", "edit", "open", "delete", "new"} <= set(functions(house[1]))
    assert {"add", "enter", "leave", "load", "remove", "show"} <= set(functions(house[1], "manage"))
