"""A stand-in for `core.Assistant`: same methods, no model, no index. It quotes the stored passage that shares most words.

Honest about what it is: it only serves the tests of the faces. `script` maps a question to an outcome and a
text; `delay_s` is waited before each piece.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from assistant import language
from assistant.approvals import Approvals
from assistant.desk import Desk
from assistant.engines.echo import EchoEngine
from assistant.feedback import Feedback
from assistant.hosting import Hosting
from assistant.hours import Hours
from assistant.line import Line
from assistant.retrieval.embedders import Embedder, load_embedder
from assistant.settings import ServerSettings, Settings
from assistant.store import Store, Turn
from assistant.types import (
    Answer,
    AskEvent,
    Citation,
    CollectionInfo,
    Company,
    Conversation,
    Delta,
    Document,
    Done,
    Found,
    Hit,
    Message,
    Outcome,
    Passage,
    Receipt,
    Usage,
)

PASSWORD = "correct horse"
"""The owner's, of applications that `make` makes."""


class StandInSearcher:
    def embedder_languages(self, name: str) -> tuple[str, ...]:
        return {"minilm": ("en",)}.get(name, ())

    def refresh(self, tenant: str, collection: str, progress: object = None) -> str:
        return "manifest"

    def is_sound(self, tenant: str, collection: str) -> bool:
        return True

    def drop(self, tenant: str, collection: str) -> None:
        pass

    def embedder(self, tenant: str, collection: str) -> Embedder:
        return load_embedder("hashing", Settings())


class StandIn:
    def __init__(
        self, settings: Settings, *, script: Mapping[str, tuple[Outcome, str]] | None = None, delay_s: float = 0.0
    ) -> None:
        self.settings = settings
        self.store = Store.of(settings)
        self.searcher = StandInSearcher()
        self.hosting = Hosting(settings, self.store)
        self.feedback = Feedback.open(self.store, settings)
        self.desk = Desk(self.store, settings.tenant, Hours.read(settings.desk.hours))
        self.engine = EchoEngine()
        self.line = Line(settings.server.concurrency, settings.server.queue_size, patience_s=settings.server.wait_s)
        self.is_loaded = True
        self.listeners: list[Callable[[str, Answer], None]] = []
        self.approvals = Approvals(
            self.store, settings.tenant, lambda name: self.searcher.embedder(settings.tenant, name)
        )
        self.script = dict(script or {})
        self.delay_s = delay_s
        self.closed = 0
        """How many answers were stopped before their end."""
        self.running = 0
        self.most_running = 0

    def company(self, collection: str | None = None) -> Company:
        info = self.store.collection(self.settings.tenant, collection or self.settings.collection)
        return info.company if info else Company()

    def close(self) -> None:
        self.store.close()

    def ask(
        self,
        conversation: Conversation,
        question: str,
        *,
        collection: str | None = None,
        client_id: str | None = None,
    ) -> Iterator[AskEvent]:
        turn = Turn(client_id or uuid.uuid4().hex, Message("user", question), None, _now())
        about = collection or self.settings.collection
        person = self.desk.receive(conversation, turn, collection=about) if conversation.customer else ""
        if person:
            yield Found(())
            yield Done(dataclasses.replace(self._answer("A person.", Outcome.NEEDS_HUMAN, (), question), by=person))
            return
        answer_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{conversation.id}/{turn.client_id}").hex  # the same for the same
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        pieces, done = [], False
        outcome, text, hits = self._find(question, collection)
        try:
            yield Found(hits)
            for word in text.split(" "):
                time.sleep(self.delay_s)
                pieces.append(word if not pieces else " " + word)
                yield Delta(pieces[-1])
            done = True
        finally:
            self.running -= 1
            self.closed += not done
            answer = dataclasses.replace(self._answer("".join(pieces), outcome, hits, question), id=answer_id)
            self._keep(conversation, about, answer)
        for tell in self.listeners:
            tell(collection or self.settings.collection, answer)
        yield Done(answer)

    def _find(self, question: str, collection: str | None) -> tuple[Outcome, str, tuple[Hit, ...]]:
        wanted = set(language.words(question))
        passages = self.store.passages(self.settings.tenant, collection or self.settings.collection)
        ranked = sorted(passages, key=lambda passage: -len(wanted & set(language.words(passage.text))))
        hits = tuple(Hit(passage, 1.0 - place / 10, "fused") for place, passage in enumerate(ranked[:3]))
        if question in self.script:
            return (*self.script[question], hits)
        if not hits or not wanted & set(language.content_words(hits[0].passage.text)):
            return Outcome.NOT_IN_KNOWLEDGE_BASE, "This is not in the documents.", hits
        text = hits[0].passage.text
        spans = language.sentences(text)
        start, end = max(spans, key=lambda span: len(wanted & set(language.words(text[span[0] : span[1]]))))
        return Outcome.ANSWERED, text[start:end], hits

    def _answer(self, text: str, outcome: Outcome, hits: tuple[Hit, ...], question: str) -> Answer:
        citations = []
        for hit in hits:
            start = hit.passage.text.find(text) if text else -1
            if start >= 0 and outcome is not Outcome.NOT_IN_KNOWLEDGE_BASE and not citations:
                span = (start, start + len(text))
                passage = hit.passage
                citations.append(Citation(passage.id, passage.document, *span, text, passage.page, 0, len(text)))
        failed = "engine" if outcome is Outcome.COMPONENT_FAILED else None
        receipt = Receipt(
            engine="stand-in", model="none", model_sha256="", adapter=None, index_manifest="", embedder="", shape="",
            query=question, language="en", support=1.0, threshold=0.5, usage=Usage(), seconds=0.1,
            failed_component=failed,
        )  # fmt: skip
        return Answer(uuid.uuid4().hex, outcome, text, tuple(citations), hits, receipt)

    def _keep(self, conversation: Conversation, collection: str, answer: Answer) -> None:
        if not conversation.customer:
            return
        turn = Turn(answer.id, Message("assistant", answer.text), answer.to_dict(), _now())
        if answer.outcome is Outcome.NEEDS_HUMAN:
            self.desk.queue(conversation, turn, collection=collection)
        else:
            self.store.append_turns(conversation, tenant=self.settings.tenant, collection=collection, turns=[turn])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def document(
    name: str, text: str, *, passage_text: str | None = None, headings: tuple[str, ...] = ()
) -> tuple[Document, list[Passage]]:
    """A document of the collection shop with one passage: all of it."""
    made = Document(f"d-{uuid.uuid4().hex}", "default", "shop", name, text, "0" * 64, "text", "en")
    body = passage_text or text
    passage = Passage(
        f"p-{uuid.uuid4().hex}", made.id, name, "default", "shop", body, 0, len(body), "0" * 64, 2, headings, "en"
    )
    return made, [passage]


RETURNS = (
    "You can return unused items within 30 days of delivery. Delivery costs are refunded only when the item was "
    "faulty. Gift cards cannot be returned."
)
SHIPPING = "Standard delivery to Germany takes 2 to 4 working days and costs 4.95 EUR. Express takes one working day."


def furnish(assistant: StandIn, *, name: str = "shop", languages: tuple[str, ...] = ("en",)) -> None:
    """A small shop: two documents, a name, two example questions."""
    company = Company(
        names={"en": "Juniper", "zh": "朱尼珀"},
        examples={
            "en": ("How long can I return items?", "What does delivery to Germany cost?"),
            "zh": ("可以退货吗？",),
        },
        contact="help@juniper.example",
    )
    assistant.store.save_collection(CollectionInfo("default", name, languages, "minilm", 0.5, company))
    if name == "shop" and not assistant.store.documents("default", name):
        assistant.store.change_documents(
            [document("returns.md", RETURNS, headings=("Returns", "Periods")), document("shipping.md", SHIPPING)]
        )


def make(data_dir: Path, *, delay_s: float = 0.0, language: str = "auto", **options: Any) -> tuple[StandIn, Any]:
    """(assistant, application) over the furnished shop; `options` are the server's settings."""
    from assistant.server import create_app

    settings = Settings(data_dir=data_dir, language=language, server=ServerSettings(admin_password=PASSWORD, **options))
    assistant = StandIn(settings, delay_s=delay_s)
    furnish(assistant)
    return assistant, create_app(assistant, settings)  # type: ignore[arg-type]
