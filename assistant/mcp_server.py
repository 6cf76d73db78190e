"""The assistant as tools of the Model Context Protocol: `ask`, `search`, `recommend`, by the official SDK.

Over stdio for programs on this machine that start it themselves (`confide mcp`): there is no key and no rate, since
whoever may start it may read the data folder. Over HTTP (`api/tools.py`) each request brings a `Guest`, who has both.
Nothing is changed by a tool and no conversation is kept.

Source: the specification of 2025-06-18 and the package `mcp` 2.3.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Protocol

import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from assistant import __version__
from assistant.advisor import Query
from assistant.core import Assistant
from assistant.errors import ConfideError
from assistant.goods import Recommendation
from assistant.language import detect
from assistant.types import Conversation, Done, Hit

MOST = 20
GUEST = "confide_guest"
"""The key of an HTTP request's scope that holds its `Guest`; the door of `api/tools.py` puts it there."""
_READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)
_ABOUT = (
    "Answers from one company's own documents, with byte-exact quotes. Trust `outcome`: where it is "
    "NOT_IN_KNOWLEDGE_BASE the documents do not say, and you should not either."
)
Collection = Annotated[str, Field(description="Which documents; empty = the company's main ones.", max_length=63)]
Count = Annotated[int, Field(ge=1, le=MOST)]


class Quote(BaseModel):
    """A byte-exact quote and where it stands."""

    document: str
    page: int | None
    quote: str


class Answered(BaseModel):
    """An answer, what became of the question, and the quotes that support it. Not `sure`: they may be no answer."""

    outcome: str
    sure: bool
    text: str
    quotes: list[Quote]
    contact: str


class Found(BaseModel):
    """A passage of a document. A higher score fits better, within one search only."""

    document: str
    page: int | None
    headings: list[str]
    text: str
    score: float


class Good(BaseModel):
    """An item of the catalogue and why it is recommended."""

    id: str
    name: str
    price: str | None
    currency: str
    stock: int | None
    reasons: list[str]


class Recommended(BaseModel):
    """The best items, and how many satisfy the request's conditions in all."""

    text: str
    items: list[Good]
    fitting: int


class Guest(Protocol):
    """Who uses the tools: what they may see, and when it is their turn."""

    def collection(self, name: str) -> str:
        """The collection that is meant ("" = theirs). Raises ConfideError where it is not for them."""
        ...

    def turn(self) -> AbstractAsyncContextManager[object]:
        """Entered when the model is free for their question. Raises ConfideError where there is no room."""
        ...


class _Own:
    """The program that started this one: it may see what the data folder holds, and waits for nobody."""

    def collection(self, name: str) -> str:
        """The name as it is."""
        return name

    def turn(self) -> AbstractAsyncContextManager[object]:
        """At once."""
        return contextlib.nullcontext()


def _guest(context: Context[Any, Any]) -> Guest:
    request = context.request_context.request
    found: Guest = _Own() if request is None else request.scope[GUEST]
    return found


def build_tools(assistant: Assistant) -> MCPServer:
    """The server with its three tools."""
    server = MCPServer("confide", title="Confide", version=__version__, instructions=_ABOUT, log_level="WARNING")

    @server.tool(title="Ask the assistant", annotations=_READS)
    async def ask(
        context: Context[Any, Any], question: Annotated[str, Field(max_length=4000)], collection: Collection = ""
    ) -> Answered:
        """Answers a customer's question from the company's documents, with the quotes it rests on."""
        guest, in_thread = _guest(context), anyio.to_thread.run_sync
        with _told():
            name = await in_thread(guest.collection, collection)
            async with guest.turn():  # who waits keeps no thread
                return await in_thread(_ask, assistant, question, name)

    @server.tool(title="Search the documents", annotations=_READS)
    def search(
        context: Context[Any, Any],
        query: Annotated[str, Field(max_length=4000)],
        collection: Collection = "",
        n: Count = 5,
    ) -> list[Found]:
        """Finds the passages of the company's documents that fit a query, best first; nothing is generated."""
        with _told():
            name = _guest(context).collection(collection) or assistant.settings.collection
            return [_found(hit) for hit in assistant.searcher.search(assistant.settings.tenant, name, query, n)]

    @server.tool(title="Recommend items", annotations=_READS)
    def recommend(
        context: Context[Any, Any],
        request: Annotated[str, Field(max_length=1000)],
        collection: Collection = "",
        n: Count = 5,
    ) -> Recommended:
        """Recommends items of the catalogue for a request such as "waterproof boots under 100", with reasons."""
        query = Query("", request.strip(), None, n, "zh" if detect(request) == "zh" else "en")
        with _told():
            advice = assistant.recommend(query, collection=_guest(context).collection(collection) or None)
        items = [_good(one, query.language) for one in advice.recommendations]
        return Recommended(text=advice.text, items=items, fitting=advice.items)

    return server


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What is wrong reaches the caller in our words; the SDK keeps every other error to itself."""
    try:
        yield
    except ConfideError as error:
        raise ToolError(f"{error.message} {error.hint}".strip()) from error


def _ask(assistant: Assistant, question: str, collection: str) -> Answered:
    thread = Conversation(uuid.uuid4().hex)  # nobody's: nothing of it is kept
    for event in assistant.ask(thread, question, collection=collection or None):
        if isinstance(event, Done):
            answer = event.answer
            quotes = [Quote(document=one.document, page=one.page, quote=one.quote) for one in answer.citations]
            contact = assistant.company(collection or None).contact
            return Answered(
                outcome=answer.outcome.value, sure=answer.receipt.sure, text=answer.text, quotes=quotes, contact=contact
            )
    raise ConfideError("The assistant stopped before its answer was whole.", hint="Ask again.")


def _found(hit: Hit) -> Found:
    passage = hit.passage
    return Found(
        document=passage.document,
        page=passage.page,
        headings=list(passage.headings),
        text=passage.text,
        score=hit.score,
    )


def _good(one: Recommendation, language: str) -> Good:
    item = one.item
    return Good(
        id=item.id,
        name=item.title(language),
        price=None if item.price is None else str(item.price),
        currency=item.currency,
        stock=item.stock,
        reasons=[reason.text for reason in one.reasons],
    )
