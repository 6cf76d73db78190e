"""Which approved answer a question gets: the same words, or a like question that no rule tells apart.

The vectors of the approved questions are kept beside them and made anew when the embedder changes. Where the
embedder is not calibrated or cannot be loaded, only the same words count. It answers nothing itself: `core.py` does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from assistant.curated import Approved, Curated
from assistant.errors import ConfideError
from assistant.retrieval.embedders import Embedder
from assistant.rows import CuratedRow, DocumentRow, PassageRow, PhrasingRow, now, to_passage
from assistant.sameness import LIKENESS, difference, same_words
from assistant.store import Store
from assistant.types import Passage
from privacy import recognise
from privacy.recognise import Finder

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Match:
    """The approved answer of a question. `question` is the one it was approved for, `likeness` their cosine."""

    answer: Approved
    passage: Passage
    question: str
    likeness: float


@dataclass(frozen=True, slots=True)
class _Book:
    """What is approved in a collection at one state. `vectors` is (n, d) of `questions`; None = none are needed."""

    state: tuple[Any, ...]
    questions: tuple[tuple[str, str], ...]
    vectors: Any
    least: float


class Approvals:
    """The approved answers of a tenant as they are asked. Thread-safe; another process's changes count at once."""

    def __init__(
        self, store: Store, tenant: str, embedder: Callable[[str], Embedder], find: Finder = recognise.find
    ) -> None:
        """`embedder` gives a collection's own; `find` is that of `Curated`."""
        self.curated = Curated(store, tenant, find)
        self._tenant, self._embedder = tenant, embedder
        self._sessions = store.tables(sa.MetaData())
        self._books: dict[str, _Book] = {}
        self._lock = threading.Lock()

    def match(self, collection: str, question: str) -> Match | None:
        """The approved answer of a question that needs no conversation; None where there is none that is live."""
        book = self._book(collection)
        if not book.questions:
            return None
        for number, likeness in self._candidates(book, collection, question):
            identity, asked = book.questions[number]
            answer = self.curated.find(identity)
            if answer.is_live(now()):
                passage = self._passage(answer)
                return Match(answer, passage, asked, round(likeness, 4)) if passage else None
        return None

    def _candidates(self, book: _Book, collection: str, question: str) -> list[tuple[int, float]]:
        """(number in the book, likeness) of the questions that are the same, the likest first."""
        exact = [(n, 1.0) for n, (_, asked) in enumerate(book.questions) if same_words(asked, question)]
        if exact or book.vectors is None:
            return exact
        likeness = book.vectors @ self._embedder(collection).encode([question])[0]
        order = [int(n) for n in np.argsort(-likeness, kind="stable") if likeness[n] >= book.least]
        return [(n, float(likeness[n])) for n in order if not difference(book.questions[n][1], question)]

    def _book(self, collection: str) -> _Book:
        """The book in force: read again when anything in it changed."""
        mine = (CuratedRow.tenant == self._tenant, CuratedRow.collection == collection)
        counted = sa.select(
            sa.func.count(), sa.func.max(CuratedRow.changed), sa.func.max(PhrasingRow.number)
        ).join_from(CuratedRow, PhrasingRow)
        with self._sessions() as session:
            state = tuple(session.execute(counted.where(*mine)).one())
            known = self._books.get(collection)
            if known is not None and known.state == state:
                return known
            rows = session.execute(
                sa.select(PhrasingRow.answer_id, PhrasingRow.text)
                .join(CuratedRow, CuratedRow.id == PhrasingRow.answer_id)
                .where(*mine)
                .order_by(PhrasingRow.number)
            )
            questions = tuple((answer, text) for answer, text in rows)
        vectors, least = self._vectors(collection, mine) if questions else (None, 1.0)
        if vectors is not None and len(vectors) != len(questions):  # changed meanwhile: the next question reads again
            return _Book((), questions, None, 1.0)
        book = self._books[collection] = _Book(state, questions, vectors, least)
        return book

    def _vectors(self, collection: str, mine: tuple[Any, ...]) -> tuple[Any, float]:
        """((n, d) float32 of the approved questions, the least likeness); None where nothing is calibrated."""
        try:
            embedder = self._embedder(collection)
        except ConfideError as error:
            _log.warning("approved answers only for their own words: %s", error)
            return None, 1.0
        if embedder.name not in LIKENESS:
            return None, 1.0
        with self._lock, self._sessions.begin() as session:
            joined = sa.select(PhrasingRow).join(CuratedRow, CuratedRow.id == PhrasingRow.answer_id).where(*mine)
            rows = list(session.scalars(joined.order_by(PhrasingRow.number)))
            stale = [row for row in rows if row.embedder != embedder.id or row.vector is None]
            for row, vector in zip(stale, embedder.encode([row.text for row in stale]), strict=True):
                row.embedder, row.vector = embedder.id, np.asarray(vector, dtype=np.float32).tobytes()
            kept = [np.frombuffer(row.vector or b"", dtype=np.float32) for row in rows]
        return np.stack(kept) if kept else None, LIKENESS[embedder.name]

    def _passage(self, answer: Approved) -> Passage | None:
        wanted = sa.select(PassageRow, DocumentRow).join(DocumentRow, PassageRow.document_id == DocumentRow.id)
        with self._sessions() as session:
            found = session.execute(wanted.where(PassageRow.document_id == answer.document_id)).first()
            return to_passage(found[0], found[1]) if found else None
