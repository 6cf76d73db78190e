"""The MCP tools over HTTP: the official client against a served house, in both protocol eras; who gets in, and how often."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from open_house import SITE, OpenHouse, open_house

from assistant.keys import Keys, Role
from assistant.line import Asker
from assistant.types import Hit

QUESTION = "How long can I return items?"
QUOTE = "You can return unused items within 30 days of delivery."
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHouse]:
    with open_house(tmp_path_factory.mktemp("data")) as opened:
        assistant = opened.assistant
        found = [Hit(passage, 1.0, "fused") for passage in assistant.store.passages("default", "shop")]
        assistant.searcher.search = lambda tenant, collection, query, n: tuple(found[:n])  # type: ignore[attr-defined]
        yield opened


def used(house: OpenHouse, key: str, *calls: tuple[str, dict[str, Any]], mode: str = "auto") -> list[Any]:
    """The tools' names, and what each call gives, by the official client."""

    async def run() -> list[Any]:
        async with (
            create_mcp_http_client(headers={"authorization": f"Bearer {key}"}) as http,
            Client(streamable_http_client(f"{house.url}/mcp", http_client=http), mode=mode) as client,
        ):
            names = sorted(tool.name for tool in (await client.list_tools()).tools)
            return [names, *[await client.call_tool(name, arguments) for name, arguments in calls]]

    return anyio.run(run)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_official_client_asks_searches_and_gets_recommendations(house: OpenHouse, mode: str):
    names, answer, passages, goods = used(
        house,
        house.keys[Role.VISITOR],
        ("ask", {"question": QUESTION}),
        ("search", {"query": "returns", "n": 1}),
        ("recommend", {"request": "waterproof boots under 100"}),
        mode=mode,
    )
    assert names == ["ask", "recommend", "search"]
    assert answer.structured_content["quotes"] == [{"document": "returns.md", "page": 2, "quote": QUOTE}]
    assert len(passages.structured_content["result"]) == 1
    assert [one["id"] for one in goods.structured_content["items"]] == ["rain-boot"]
    assert not house.assistant.line.pending()
    assert not house.assistant.store.conversations("default", None)


def test_a_question_waits_in_the_line_like_any_other(house: OpenHouse):
    line = house.assistant.line
    taken = [line.join(Asker(f"visitor {n}")) for n in range(house.assistant.settings.server.concurrency)]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(used, house, house.keys[Role.VISITOR], ("ask", {"question": QUESTION}))
        until = time.monotonic() + 20
        while len(line.pending()) == len(taken) and not asked.done() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        waits = not asked.done()
        for ticket in taken:
            ticket.leave()
        assert waits
        assert asked.result(20)[1].structured_content["text"] == QUOTE


@pytest.mark.parametrize("authorization", [None, "Bearer ck_x", "Basic abc", "Bearer vt_forged"])
def test_nobody_gets_in_without_a_key(house: OpenHouse, authorization: str | None):
    headers = {**ACCEPT, **({"authorization": authorization} if authorization else {})}
    answer = house.http(None, **headers).post(f"{house.url}/mcp", json=LIST)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_pages_session_is_no_key(house: OpenHouse):
    page = house.http(None, **ACCEPT)
    page.get(f"{house.url}/")
    assert page.post(f"{house.url}/mcp", json=LIST).status_code == 401


@pytest.mark.parametrize(("header", "value"), [("origin", "https://evil.example"), ("host", "evil.example")])
def test_another_sites_page_and_a_rebound_name_are_refused(house: OpenHouse, header: str, value: str):
    door = house.http(**ACCEPT)
    assert door.post(f"{house.url}/mcp", json=LIST, headers={"origin": SITE}).status_code == 200
    assert door.post(f"{house.url}/mcp", json=LIST, headers={header: value}).status_code in {400, 403}


def test_a_key_of_one_collection_reads_no_other(house: OpenHouse):
    text = Keys(house.assistant.store, "default").create("mcp-one", role=Role.OWNER, collection="other")[1]
    calls = [(name, {word: "returns", "collection": "shop"}) for name, word in
             (("ask", "question"), ("search", "query"), ("recommend", "request"))]  # fmt: skip
    _, *told = used(house, text, *calls)
    assert [one.is_error for one in told] == [True] * 3
    assert "no collection 'shop'" in told[0].content[0].text


def test_a_keys_limit_holds_and_there_is_nothing_to_listen_to(house: OpenHouse):
    text = Keys(house.assistant.store, "default").create("mcp-two", role=Role.VISITOR, per_minute=2)[1]
    door = house.http(key=text, **ACCEPT)
    listening = door.get(f"{house.url}/mcp")
    assert (listening.status_code, listening.headers["allow"]) == (405, "POST")
    answers = [door.post(f"{house.url}/mcp", json=LIST) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
