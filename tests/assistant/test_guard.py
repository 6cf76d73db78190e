"""The layers by themselves; `test_server.py` has them around a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live import served
from stand_in import make

from assistant import guard


def run(
    layer: Any, chunks: list[bytes], headers: list[tuple[bytes, bytes]] | None = None, *, method: str = "POST"
) -> tuple[int, int]:
    """(status, bytes that reached the application) of one request in chunks."""
    sent: list[dict[str, Any]] = []
    queue = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    queue.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return queue.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/", "method": method, "headers": headers or []}
    asyncio.run(layer(scope, receive, send))
    starts = [message["status"] for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1
    return starts[0], reached[0]


reached = [0]


async def reads_everything(scope: Any, receive: Any, send: Any) -> None:
    reached[0] = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RuntimeError("the client has gone")
        reached[0] += len(message["body"])
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_exactly_the_bodies_above_the_cap_are_refused(chunks: list[bytes]):
    size = sum(map(len, chunks))
    status, seen = run(guard.BodyCap(reads_everything, lambda path: 100), chunks)
    assert status == (200 if size <= 100 else 413)
    assert seen <= 100


@pytest.mark.parametrize("length", [b"101", b"-1", b"1e3", b"abc", b"\xb2"])
def test_a_wrong_or_too_large_length_is_refused_unread(length: bytes):
    reached[0] = 0
    assert run(guard.BodyCap(reads_everything, lambda path: 100), [b"x"], [(b"content-length", length)]) == (413, 0)


def test_an_error_of_the_application_is_not_swallowed():
    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        run(guard.BodyCap(breaks, lambda path: 100), [b"x"])


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("origin", [b"http://[", b"https://[::1", b"http://]/"])
def test_an_origin_that_is_no_address_is_a_bad_request(method: str, origin: bytes):
    headers = [(b"host", b"confide.example"), (b"origin", origin)]
    assert run(guard.SameOrigin(reads_everything), [b"x"], headers, method=method)[0] == 400


@pytest.mark.parametrize(("origin", "cookies"), [
    (b"https://confide.example", [b"confide_session=x"]),
    (b"https://shop.example", []),
])  # fmt: skip
def test_a_listed_site_changes_nothing_with_the_cookie_of_who_is_signed_in_here(origin: bytes, cookies: list[bytes]):
    seen: list[bytes] = []

    async def looks(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(value for name, value in scope["headers"] if name == b"cookie")
        await reads_everything(scope, receive, send)

    headers = [(b"host", b"confide.example"), (b"origin", origin), (b"cookie", b"confide_session=x")]
    assert run(guard.SameOrigin(looks, ["https://shop.example"]), [b"x"], headers)[0] == 200
    assert seen == cookies


@pytest.mark.parametrize(("secure", "framed", "ends"), [
    (False, False, "HttpOnly; SameSite=Lax"),
    (False, True, "HttpOnly; SameSite=Lax"),
    (True, False, "HttpOnly; SameSite=Lax; Secure"),
    (True, True, "HttpOnly; SameSite=None; Secure; Partitioned"),
])  # fmt: skip
def test_a_cookie_goes_into_other_sites_frames_over_tls_and_where_frames_are_allowed_only(secure, framed, ends):
    assert guard.cookie("n", "v", seconds=9, secure=secure, framed=framed) == f"n=v; Path=/; Max-Age=9; {ends}"


def test_the_policy_names_the_frames_it_is_given():
    assert guard.policy(()).endswith("frame-ancestors 'none'")
    assert guard.policy(("https://a.example",)).endswith("frame-ancestors https://a.example")


def test_a_page_that_another_site_frames_keeps_its_visitor_there(tmp_path: Path):
    assistant, app = make(tmp_path, frame_ancestors=("https://shop.example",))
    with served(app) as url:
        tls = {"x-forwarded-proto": "https"}
        lines = [httpx.get(url + path, headers=tls).headers["set-cookie"] for path in ("/", "/language/zh")]
        plain = httpx.get(url).headers["set-cookie"]
    assistant.close()
    assert {line.rpartition("HttpOnly; ")[2] for line in lines} == {"SameSite=None; Secure; Partitioned"}
    assert plain.endswith("SameSite=Lax")
