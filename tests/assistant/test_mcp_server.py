"""The MCP tools, by the official client: over a real child process, and in memory on the stand-in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from stand_in import StandIn, furnish
from wares import ITEMS, WORDS, events

from assistant.advisor import Advisor
from assistant.mcp_server import build_tools
from assistant.settings import Settings
from assistant.stock import Stock
from assistant.types import Hit

ROOT = Path(__file__).resolve().parents[2]
QUESTION = "How long can I return items?"
QUOTE = "You can return unused items within 30 days of delivery."


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[StandIn]:
    assistant = StandIn(Settings(data_dir=tmp_path))
    furnish(assistant)
    assistant.advisor = Advisor(assistant.store, "default")  # type: ignore[attr-defined]
    assistant.recommend = lambda query, collection=None: assistant.advisor.recommend(collection or "shop", query)
    shelf = Stock(assistant.store, "default", "shop")
    shelf.put(ITEMS)
    shelf.save_words(WORDS)
    shelf.add(events())
    found = [Hit(passage, 1.0, "fused") for passage in assistant.store.passages("default", "shop")]
    assistant.searcher.search = lambda tenant, collection, query, n: tuple(found[:n])
    assistant._keep = lambda *_: pytest.fail("a tool keeps nothing") if _[0].customer else None
    yield assistant
    assistant.close()


def called(shop: StandIn, name: str, **arguments: object):
    async def run():
        async with Client(build_tools(shop)) as client:  # type: ignore[arg-type]
            return await client.call_tool(name, arguments)

    return anyio.run(run)


def test_the_three_tools_say_that_they_change_nothing(shop: StandIn):
    async def run():
        async with Client(build_tools(shop)) as client:  # type: ignore[arg-type]
            return (await client.list_tools()).tools

    tools = anyio.run(run)
    assert {tool.name for tool in tools} == {"ask", "search", "recommend"}
    assert all(tool.annotations.read_only_hint and tool.description for tool in tools)


def test_an_answer_comes_with_its_quotes(shop: StandIn):
    answer = called(shop, "ask", question=QUESTION).structured_content
    assert (answer["outcome"], answer["sure"], answer["text"]) == ("ANSWERED", True, QUOTE)
    assert answer["quotes"] == [{"document": "returns.md", "page": 2, "quote": QUOTE}]


def test_a_search_gives_passages(shop: StandIn):
    found = called(shop, "search", query="returns", n=1).structured_content["result"]
    assert len(found) == 1
    assert found[0]["document"] in {"returns.md", "shipping.md"}


def test_recommended_items_are_rows_of_the_catalogue(shop: StandIn):
    found = called(shop, "recommend", request="waterproof boots under 100").structured_content
    assert [(one["id"], one["price"]) for one in found["items"]] == [("rain-boot", "60.00")]


@pytest.mark.parametrize(
    ("name", "arguments"), [("ask", {}), ("search", {"query": "x", "n": 0}), ("ask", {"question": 1})]
)
def test_wrong_arguments_are_an_error_and_not_the_end(shop: StandIn, name: str, arguments: dict):
    async def run():
        async with Client(build_tools(shop)) as client:  # type: ignore[arg-type]
            wrong = await client.call_tool(name, arguments)
            right = await client.call_tool("ask", {"question": QUESTION})
            return wrong.is_error, right.is_error

    assert anyio.run(run) == (True, False)


def test_a_program_that_starts_it_gets_the_tools_over_stdio(tmp_path: Path):
    os.symlink(ROOT / "data" / "models", tmp_path / "models")
    started = StdioServerParameters(
        command=sys.executable,
        args=[str(ROOT / "app.py"), "--data-dir", str(tmp_path), "mcp"],
        env={**os.environ, "CONFIDE_MODEL__ENGINE": "echo"},
    )

    async def run():
        async with Client(started) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            empty = await client.call_tool("ask", {"question": QUESTION})
            return tools, empty

    tools, empty = anyio.run(run)
    assert sorted(tools) == ["ask", "recommend", "search"]
    assert empty.is_error  # there is no collection yet, and the message says how to make one
    assert "ingest" in empty.content[0].text
