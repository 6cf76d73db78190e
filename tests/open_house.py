"""A served API with a stand-in assistant, and a key of each role."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
from live import served
from stand_in import StandIn, furnish
from wares import ITEMS, WORDS, events

from assistant.advisor import Advisor
from assistant.keys import Keys, Role
from assistant.server import create_app
from assistant.settings import ServerSettings, Settings
from assistant.stock import Stock
from assistant.types import Outcome

PASSWORD = "correct horse"
SITE = "https://shop.example"
SCRIPT = {
    "Do you sell kayaks?": (Outcome.NOT_IN_KNOWLEDGE_BASE, "I could not find this."),
    "I want a person": (Outcome.NEEDS_HUMAN, "A colleague takes over."),
    "I would like to talk to a person": (Outcome.NEEDS_HUMAN, "A colleague takes over."),
    "Talk long": (Outcome.ANSWERED, "word " * 60),
    "Talk for ever": (Outcome.ANSWERED, "word " * 3000),
}


@dataclass
class OpenHouse:
    """`keys` are texts by role."""

    url: str
    app: Any
    assistant: StandIn
    keys: dict[Role, str]

    def openai(self, role: Role = Role.VISITOR, *, key: str = "", **options: Any) -> openai.OpenAI:
        """The official client, with a key of this role."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.keys[role], max_retries=0, **options)

    def http(self, role: Role | None = Role.VISITOR, *, key: str = "", **headers: str) -> httpx.Client:
        """A plain client; without a role nobody in particular."""
        text = key or (self.keys[role] if role else "")
        sent = {"authorization": f"Bearer {text}"} if text else {}
        return httpx.Client(base_url=f"{self.url}/v1", headers={**sent, **headers}, timeout=30)


@contextlib.contextmanager
def open_house(
    data_dir: Path, *, delay_s: float = 0.0, script: Mapping[str, tuple[Outcome, str]] = SCRIPT, **server: Any
) -> Iterator[OpenHouse]:
    """The house while it is open."""
    options = {"admin_password": PASSWORD, "requests_per_minute": 1000, "cors_origins": (SITE,), **server}
    settings = Settings(data_dir=data_dir, server=ServerSettings(**options))
    assistant = StandIn(settings, delay_s=delay_s, script=script)
    furnish(assistant)
    furnish(assistant, name="other")
    assistant.advisor = Advisor(assistant.store, settings.tenant)  # type: ignore[attr-defined]
    assistant.recommend = lambda query, collection=None: assistant.advisor.recommend(  # type: ignore[attr-defined]
        collection or settings.collection, query
    )
    shelf = Stock(assistant.store, settings.tenant, settings.collection)
    shelf.put(ITEMS)
    shelf.save_words(WORDS)
    shelf.add(events())
    made = Keys(assistant.store, settings.tenant)
    keys = {role: made.create(role.value, role=role, per_minute=100_000)[1] for role in Role}
    app = create_app(assistant, settings)  # type: ignore[arg-type]
    with served(app) as url:
        yield OpenHouse(url, app, assistant, keys)
    assistant.close()
