"""Every value that crosses a file border of the assistant.

Frozen, slotted dataclasses; equality is content; no third-party type. What is not here:
settings (`settings.py`), database rows (`store.py`), HTTP bodies (`api.py`).
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any, Literal

from assistant.goods import Advice
from privacy.types import PrivacySpend

Role = Literal["system", "user", "assistant"]
FoundBy = Literal["dense", "bm25", "fused", "rerank"]
Task = Literal["chat", "classify", "tag"]
MAX_QUESTION_CHARS = 4000
"""A longer question is not read."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn's text and who said it."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A thread of messages, oldest first. `with_message` returns a new one."""

    id: str
    customer: str = ""
    messages: tuple[Message, ...] = ()

    def with_message(self, message: Message) -> Conversation:
        """The same conversation with one message more."""
        return dataclasses.replace(self, messages=(*self.messages, message))


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document: its level (1 = top), its text and where its line starts."""

    level: int
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Document:
    """A source's text as it was read.

    `text` is the one stored form: passages and quotes are spans of it. `sha256` is of the
    source's bytes, in hex. `pages` holds the offset in `text` where each page starts
    (empty = the format has no pages); `rows` the (start, end) of each record of a table.
    """

    id: str
    tenant: str
    collection: str
    name: str
    text: str
    sha256: str
    kind: str
    language: str = ""
    pages: tuple[int, ...] = ()
    headings: tuple[Heading, ...] = ()
    rows: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A span of a document: `document.text[start:end] == text`, always.

    `page` counts from 1 (None = the format has none); `headings` is the path above it.
    """

    id: str
    document_id: str
    document: str
    tenant: str
    collection: str
    text: str
    start: int
    end: int
    sha256: str
    page: int | None = None
    headings: tuple[str, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found for a question. Higher scores are better, within one `found_by` only."""

    passage: Passage
    score: float
    found_by: FoundBy


@dataclass(frozen=True, slots=True)
class Citation:
    """A byte-exact span of a stored passage: `passage.text[start:end] == quote`.

    `answer_start`, `answer_end` delimit the part of the answer's text that it supports.
    """

    passage_id: str
    document: str
    start: int
    end: int
    quote: str
    page: int | None = None
    answer_start: int = 0
    answer_end: int = 0


class Outcome(enum.StrEnum):
    """What became of a question. Decided by code, never by the model's words."""

    ANSWERED = "ANSWERED"
    NOT_IN_KNOWLEDGE_BASE = "NOT_IN_KNOWLEDGE_BASE"
    NEEDS_HUMAN = "NEEDS_HUMAN"
    COMPONENT_FAILED = "COMPONENT_FAILED"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What an engine runs: shown in receipts, checked by prompts.

    `languages` are ISO 639-1 codes the model writes well (empty = not known, assume all);
    `context_tokens` is the window, prompt and answer together; `sha256` of the weights in
    hex, or "" where the weights are not ours to read (a remote server).
    """

    name: str
    sha256: str
    context_tokens: int
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """How an engine is asked to generate. `conversation` keys the KV cache kept between turns."""

    max_new_tokens: int = 160
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    time_limit_s: float = 30.0
    adapter: str | None = None
    conversation: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written by the engine for one answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """How an answer came about: everything needed to reproduce or to audit it.

    `sure` is False where the answer says that it may not be one: its support is above the threshold, but low.
    `privacy` says in words what the training of the adapter that answered has spent.
    """

    engine: str
    model: str
    model_sha256: str
    adapter: str | None
    index_manifest: str
    embedder: str
    shape: str
    query: str
    language: str
    support: float
    threshold: float
    usage: Usage
    seconds: float
    notes: tuple[str, ...] = ()
    failed_component: str | None = None
    privacy: str = ""
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of the walk ask. `text` is exactly what was streamed; `advice` holds the cards shown with it.

    `by` names the person who has the conversation and answers in the assistant's place: `text` only says so then, and
    is not kept.
    """

    id: str
    outcome: Outcome
    text: str
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    receipt: Receipt
    advice: Advice | None = None
    by: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `ask --json` and of the API."""
        receipt = dataclasses.asdict(self.receipt)
        return {
            "id": self.id,
            "outcome": self.outcome.value,
            "text": self.text,
            "citations": [dataclasses.asdict(citation) for citation in self.citations],
            "hits": [
                {
                    "passage_id": hit.passage.id,
                    "document": hit.passage.document,
                    "page": hit.passage.page,
                    "headings": list(hit.passage.headings),
                    "text": hit.passage.text,
                    "score": hit.score,
                    "found_by": hit.found_by,
                }
                for hit in self.hits
            ],
            "engine": self.receipt.engine,
            "model": self.receipt.model,
            "adapter": self.receipt.adapter,
            "receipt": receipt,
            "seconds": self.receipt.seconds,
            "advice": self.advice.to_dict() if self.advice else None,
            "by": self.by,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], passages: dict[str, Passage]) -> Answer:
        """The answer that `to_dict` wrote, without cards, with those of its passages (by id) that still exist."""
        receipt = {**data["receipt"], "notes": tuple(data["receipt"]["notes"])}
        return cls(
            id=data["id"],
            outcome=Outcome(data["outcome"]),
            text=data["text"],
            citations=tuple(Citation(**citation) for citation in data["citations"]),
            hits=tuple(
                Hit(passages[hit["passage_id"]], hit["score"], hit["found_by"])
                for hit in data["hits"]
                if hit["passage_id"] in passages
            ),
            receipt=Receipt(**{**receipt, "usage": Usage(**receipt["usage"])}),
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The passages were found; the text comes next."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the answer's text, already checked."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The whole answer. Always the last event, exactly once."""

    answer: Answer


AskEvent = Found | Delta | Done


@dataclass(frozen=True, slots=True)
class Company:
    """Whose documents they are: names and example questions by language code."""

    names: dict[str, str] = dataclasses.field(default_factory=dict)
    examples: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    contact: str = ""

    def name(self, language: str) -> str:
        """The name in a language, else in any, else ""."""
        return self.names.get(language) or next(iter(self.names.values()), "")


UNNAMED = Company()
"""Where nobody said whose documents they are."""


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A knowledge base of a tenant and how it is searched.

    `threshold` is the least support that counts as an answer (see `retrieval/reader.py`).
    """

    tenant: str
    name: str
    languages: tuple[str, ...]
    embedder: str
    threshold: float
    company: Company = Company()
    documents: int = 0
    passages: int = 0


class Verdict(enum.StrEnum):
    """What ingest did with a file."""

    ADDED = "added"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What became of one file of an ingest, and why."""

    name: str
    verdict: Verdict
    reason: str = ""
    passages: int = 0


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The end of the walk ingest."""

    collection: str
    files: tuple[FileVerdict, ...]
    documents: int
    passages: int
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured number; `low` and `high` bound it at 95 % where that means something."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """A suite's measures and where they come from."""

    suite: str
    measures: tuple[Measure, ...]
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` is its inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        """The report that `to_dict` wrote."""
        measures = tuple(Measure(**measure) for measure in data["measures"])
        return cls(suite=data["suite"], measures=measures, provenance=data["provenance"])

    def value(self, name: str) -> float:
        """The value of the measure called `name`. Raises KeyError."""
        for measure in self.measures:
            if measure.name == name:
                return measure.value
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Example:
    """One training sequence as token ids, and whose it is.

    `mask` has one entry per id: 1 = this position is trained on. For `chat` those are the tokens
    to predict; for `tag` they are the first pieces of the words, and `labels` has one class a
    position (0 where the mask is 0); for `classify` `labels` is the one class of the sequence.
    `owner` is the customer it came from ("" = nobody's): the unit of customer-level privacy,
    of splits without leaks and of erasure. `weight` scales the sequence's loss.
    """

    ids: tuple[int, ...]
    mask: tuple[int, ...]
    labels: tuple[int, ...] = ()
    owner: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter in its folder and everything its card says.

    `path` holds `adapter_model.safetensors`, `adapter_config.json` and `card.json`. `sha256` is of
    the weights' file, `base_sha256` of the base model's weights, `template_sha256` of the chat
    template it was trained with ("" where there is none), `data_sha256` of the training file, all
    in hex. `labels` are the classes or tags in the order of the head. `before` and `after` are the
    same suite without and with it. `parent` is the `name@version` it was trained on from, or None.
    `privacy` is what its training spent; one nonprivate entry makes epsilon infinite. `delta` is the one that its
    epsilon is claimed at. `audits` are attacks on trainings like its own; they are added to, never taken away.
    """

    name: str
    version: int
    path: str
    task: Task
    base: str
    base_sha256: str
    sha256: str
    rank: int
    alpha: float
    targets: tuple[str, ...]
    method: str = "lora"
    template_sha256: str = ""
    labels: tuple[str, ...] = ()
    examples: int = 0
    owners: int = 0
    data_sha256: str = ""
    before: Report | None = None
    after: Report | None = None
    parent: str | None = None
    privacy: tuple[PrivacySpend, ...] = ()
    created: str = ""
    notes: tuple[str, ...] = ()
    delta: float = 1e-5
    audits: tuple[Report, ...] = ()

    @property
    def id(self) -> str:
        """`name@version`, what receipts and commands call it."""
        return f"{self.name}@{self.version}"
