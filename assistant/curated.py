"""Approved answers: what the staff wrote for a question, which wins over the model, and what waits for their review.

An approved answer is kept twice: as a row, and as a stored document of one passage, so that it cites itself
byte for byte. That document stands in no index: it is never found for a question it was not approved
for. Whether two questions are the same is `sameness.py`; mining suggestions from conversations is `mining.py`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import orm

from assistant import language, texts
from assistant.errors import BadInput, UnknownName
from assistant.rows import (
    Base,
    CollectionRow,
    ConversationRow,
    CuratedRow,
    DocumentRow,
    PhrasingRow,
    SuggestionRow,
    TurnRow,
    from_document,
    from_passage,
    now,
)
from assistant.sameness import same_words
from assistant.store import Store
from assistant.types import Document, Passage
from privacy import recognise
from privacy.recognise import Finder
from privacy.redaction import INVISIBLE

WAITING, APPROVED, DECLINED = "waiting", "approved", "declined"
"""The states of a suggestion."""
SOURCES = ("desk", "correction", "mined", "staff")
"""Where a suggestion comes from: a colleague's answer, a customer's correction, conversations, somebody by hand."""
MAX_QUESTION, MAX_ANSWER = 500, 4000
_SHELF = "#answers"
"""Ends the name under which a collection's approved answers are stored: no collection can be called so."""

_Table = type[CuratedRow] | type[SuggestionRow] | type[DocumentRow]


@dataclass(frozen=True, slots=True)
class Approved:
    """An approved answer and the questions it is approved for. Times are UTC without a zone."""

    id: str
    collection: str
    questions: tuple[str, ...]
    text: str
    language: str
    document_id: str
    enabled: bool
    expires: dt.datetime | None
    hits: int
    last_hit: dt.datetime | None
    by: str
    at: dt.datetime

    def is_live(self, when: dt.datetime) -> bool:
        """Whether it answers at that time."""
        return self.enabled and (self.expires is None or when < self.expires)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A question that waits for review; `answer` may be empty. `asked` counts the customers who asked it."""

    id: str
    collection: str
    question: str
    answer: str
    source: str
    asked: int
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be approved. `sure`: personal data in it is the company's own, and may be shown to everybody."""

    questions: tuple[str, ...]
    answer: str
    expires: dt.datetime | None = None
    sure: bool = False


def suggest(
    store: Store, tenant: str, collection: str, question: str, answer: str, source: str,
    *, conversation: str = "", asked: int = 1,
) -> str:  # fmt: skip
    """Puts a question, perhaps with its answer, before the staff, and gives the suggestion's id.

    `source` is one of SOURCES. `conversation` is where it was said: the suggestion goes with it, and with its
    customer; an answer that is found for a question without one takes it to its own conversation. `asked` counts who
    asked it. The same question again is not added. "" where there is nothing, or the conversation is gone, or a mined
    question was declined or has an approved answer.
    """
    question, answer = _line(question)[:MAX_QUESTION], answer.strip()[:MAX_ANSWER]
    if not question or source not in SOURCES:
        return ""
    with store.tables(Base.metadata).begin() as session:
        spoken = session.get(ConversationRow, conversation) if conversation else None
        if conversation and spoken is None:
            return ""
        if source != "mined":
            asked = max(asked, _askers(session, tenant, collection, question))
        elif _decided(session, tenant, collection, question):
            return ""
        waiting = sa.select(SuggestionRow).where(
            SuggestionRow.tenant == tenant, SuggestionRow.collection == collection, SuggestionRow.state == WAITING
        )
        for known in session.scalars(waiting):
            if same_words(known.question, question):
                known.asked = max(asked, known.asked)
                if answer and not known.answer:
                    known.answer = answer
                    if spoken is not None:  # what was written to one customer must not outlive them in another's row
                        known.conversation, known.customer = spoken.id, spoken.customer
                return known.id
        row = SuggestionRow(
            id=uuid.uuid4().hex[:12], tenant=tenant, collection=collection, question=question, answer=answer,
            source=source, conversation=spoken.id if spoken else None, customer=spoken.customer if spoken else "",
            asked=asked, state=WAITING, by="", at=now(),
        )  # fmt: skip
        session.add(row)
        return row.id


def _askers(session: orm.Session, tenant: str, collection: str, question: str) -> int:
    """How many customers asked it in the same words."""
    near = sa.func.length(TurnRow.text).between(len(question) // 2, 2 * len(question) + 10)  # few are looked at closer
    said = sa.select(ConversationRow.customer, TurnRow.text).join(
        ConversationRow, ConversationRow.id == TurnRow.conversation_id
    )
    of = (ConversationRow.tenant == tenant, ConversationRow.collection == collection, TurnRow.role == "user")
    return len({customer for customer, text in session.execute(said.where(*of, near)) if same_words(text, question)})


def _decided(session: orm.Session, tenant: str, collection: str, question: str) -> bool:
    """Whether people declined it, or approved an answer for it: a second one could not be approved."""
    declined = sa.select(SuggestionRow.question).where(
        SuggestionRow.tenant == tenant, SuggestionRow.collection == collection, SuggestionRow.state == DECLINED
    )
    approved = sa.select(PhrasingRow.text).join(CuratedRow, CuratedRow.id == PhrasingRow.answer_id)
    approved = approved.where(CuratedRow.tenant == tenant, CuratedRow.collection == collection)
    return any(same_words(text, question) for text in session.scalars(sa.union_all(declined, approved)))


class Curated:
    """The approved answers and suggestions of a tenant. Several processes may write."""

    def __init__(self, store: Store, tenant: str, find: Finder = recognise.find) -> None:
        """`find` says what is personal in what is to be approved: `Outbound.find` is the settings' own."""
        self._tenant, self._find = tenant, find
        self._sessions = store.tables(Base.metadata)

    # What there is

    def all(self, collection: str) -> list[Approved]:
        """The approved answers of a collection, those that answered most first."""
        with self._sessions() as session:
            wanted = sa.select(CuratedRow).where(*self._of(CuratedRow, collection))
            rows = list(session.scalars(wanted.order_by(CuratedRow.hits.desc(), CuratedRow.at.desc())))
            asked: dict[str, list[str]] = {}
            chosen = sa.select(PhrasingRow).where(PhrasingRow.answer_id.in_([row.id for row in rows]))
            for phrasing in session.scalars(chosen.order_by(PhrasingRow.number)):
                asked.setdefault(phrasing.answer_id, []).append(phrasing.text)
            return [_value(row, asked.get(row.id, ())) for row in rows]

    def find(self, answer: str) -> Approved:
        """One approved answer. Raises UnknownName."""
        with self._sessions() as session:
            row = self._row(session, answer)
            return _value(row, session.scalars(_phrasings(row.id)).all())

    def suggestions(self, collection: str, *, state: str = WAITING, limit: int = 100) -> list[Suggestion]:
        """What waits for review, the most asked first."""
        wanted = sa.select(SuggestionRow).where(*self._of(SuggestionRow, collection), SuggestionRow.state == state)
        with self._sessions() as session:
            rows = session.scalars(wanted.order_by(SuggestionRow.asked.desc(), SuggestionRow.at).limit(limit))
            names = ("id", "collection", "question", "answer", "source", "asked", "at")
            return [Suggestion(**{name: getattr(row, name) for name in names}) for row in rows]

    def waiting(self, collection: str) -> int:
        """How many suggestions wait for review."""
        counted = sa.select(sa.func.count()).where(*self._of(SuggestionRow, collection), SuggestionRow.state == WAITING)
        with self._sessions() as session:
            return session.scalar(counted) or 0

    # What the staff do

    def add(self, collection: str, draft: Draft, *, by: str) -> Approved:
        """Approves an answer for questions.

        Raises:
            BadInput: a question is answered already, or something is missing, too long or personal.
        """
        with self._sessions.begin() as session:
            questions, answer = self._checked(session, collection, draft)
            row = CuratedRow(
                id=uuid.uuid4().hex[:12], tenant=self._tenant, collection=collection, text=answer,
                language=language.detect(answer), document_id="", enabled=True, expires=draft.expires, hits=0,
                last_hit=None, by=by, at=now(), changed=now(),
            )  # fmt: skip
            row.document_id = self._shelve(session, row)
            session.add(row)
            session.flush()
            session.add_all(_phrasing(row.id, question) for question in questions)
            identity = row.id
        return self.find(identity)

    def edit(self, answer: str, draft: Draft, *, by: str) -> Approved:
        """Replaces the text, the questions and the end of an approved answer.

        Raises:
            UnknownName: there is none such.
            BadInput: as in `add`.
        """
        with self._sessions.begin() as session:
            row = self._row(session, answer)
            questions, text = self._checked(session, row.collection, draft, but=row.id)
            if text != row.text:
                old, row.text, row.language = row.document_id, text, language.detect(text)
                row.document_id = self._shelve(session, row)
                session.execute(sa.delete(DocumentRow).where(DocumentRow.id == old))
            for phrasing in session.scalars(sa.select(PhrasingRow).where(PhrasingRow.answer_id == row.id)):
                if phrasing.text not in questions:
                    session.delete(phrasing)
            known = set(session.scalars(_phrasings(row.id)))
            session.add_all(_phrasing(row.id, question) for question in questions if question not in known)
            row.expires, row.by, row.changed = draft.expires, by, now()
        return self.find(answer)

    def switch(self, answer: str, on: bool, *, by: str) -> None:
        """Switches an approved answer on or off. Raises UnknownName."""
        with self._sessions.begin() as session:
            row = self._row(session, answer)
            row.enabled, row.by, row.changed = on, by, now()

    def remove(self, answer: str) -> None:
        """Deletes an approved answer with its stored document. Raises UnknownName."""
        with self._sessions.begin() as session:
            row = self._row(session, answer)
            session.execute(sa.delete(PhrasingRow).where(PhrasingRow.answer_id == row.id))
            session.execute(sa.delete(DocumentRow).where(DocumentRow.id == row.document_id))
            session.delete(row)

    def approve(self, suggestion: str, draft: Draft, *, by: str) -> Approved:
        """Approves a suggestion as the draft has it. An answer that is approved already gets a question more.

        Raises:
            UnknownName: there is no such suggestion.
            BadInput: as in `add`.
        """
        with self._sessions() as session:
            row = self._suggestion(session, suggestion)
            collection, question, customer = row.collection, row.question, row.customer
        text = draft.answer.strip()
        known = next((one for one in self.all(collection) if one.text == text), None)
        if known is None:
            made = self.add(collection, draft, by=by)
        else:
            questions = tuple(dict.fromkeys((*known.questions, *draft.questions)))
            made = self.edit(known.id, Draft(questions, text, draft.expires or known.expires, draft.sure), by=by)
        with self._sessions.begin() as session:
            theirs = sa.update(PhrasingRow).where(PhrasingRow.answer_id == made.id, PhrasingRow.text == question)
            session.execute(theirs.values(customer=customer))
            self._decide(session, suggestion, APPROVED, by)
        return made

    def decline(self, suggestion: str, *, by: str) -> None:
        """Takes a suggestion off the queue. Raises UnknownName."""
        with self._sessions.begin() as session:
            self._decide(session, suggestion, DECLINED, by)

    def hit(self, answer: str) -> None:
        """Counts that it answered a customer."""
        with self._sessions.begin() as session:
            counted = sa.update(CuratedRow).where(CuratedRow.id == answer)
            session.execute(counted.values(hits=CuratedRow.hits + 1, last_hit=now()))

    # Inside

    def _checked(self, session: orm.Session, collection: str, draft: Draft, *, but: str = "") -> tuple[list[str], str]:
        """The questions and the answer as they are kept. Raises BadInput with all that is wrong."""
        questions = list(dict.fromkeys(filter(None, map(_line, draft.questions))))
        answer = draft.answer.strip()
        if session.get(CollectionRow, (self._tenant, collection)) is None:
            raise UnknownName(
                f"There is no collection called {collection!r}.", hint="`confide collections` lists them."
            )
        problems = {
            "it has no question": not questions,
            "it has no answer": not answer,
            f"a question is longer than {MAX_QUESTION} characters": any(len(one) > MAX_QUESTION for one in questions),
            f"the answer is longer than {MAX_ANSWER} characters": len(answer) > MAX_ANSWER,
        }
        wrong = [what for what, is_so in problems.items() if is_so]
        taken = sa.select(PhrasingRow.text, PhrasingRow.answer_id).join(
            CuratedRow, CuratedRow.id == PhrasingRow.answer_id
        )
        for text, owner in session.execute(taken.where(*self._of(CuratedRow, collection), CuratedRow.id != but)):
            wrong += [f"{one!r} is answered by {owner} already" for one in questions if same_words(one, text)]
        if not draft.sure:
            wrong += self._personal(session, collection, [*questions, answer])
        if wrong:
            raise BadInput(f"This cannot be approved: {'; '.join(wrong)}.", hint="Change it, or decline it.")
        return questions, answer

    def _personal(self, session: orm.Session, collection: str, said: Sequence[str]) -> list[str]:
        """What is personal and not the company's own: in none of its documents, not its contact."""
        company = session.get_one(CollectionRow, (self._tenant, collection)).company
        seen = [one.translate(INVISIBLE) for one in said]
        found = {one[match.start : match.end]: match.kind for one in seen for match in self._find(one)}
        problems = []
        for value, kind in found.items():
            written = sa.select(DocumentRow.id).where(*self._of(DocumentRow, collection))
            stands = DocumentRow.text.contains(value, autoescape=True)
            if value not in company and session.scalar(written.where(stands).limit(1)) is None:
                problems.append(f"it shows everybody {value!r} ({kind}), which no document has")
        return problems

    def _shelve(self, session: orm.Session, row: CuratedRow) -> str:
        """Stores the text as a document of one passage; its id."""
        shelf, sha256 = f"{row.collection}{_SHELF}", hashlib.sha256(row.text.encode()).hexdigest()
        number = session.scalar(sa.select(sa.func.count()).where(*self._of(CuratedRow, row.collection))) or 0
        name = texts.say("approved_answer", row.language, n=f"{number or 1}-{uuid.uuid4().hex[:4]}")
        document = Document(
            uuid.uuid4().hex, self._tenant, shelf, name, row.text, sha256, "approved", row.language
        )  # fmt: skip
        passage = Passage(
            uuid.uuid4().hex, document.id, name, self._tenant, shelf, row.text, 0, len(row.text), sha256,
            language=row.language,
        )  # fmt: skip
        session.add(from_document(document))
        session.flush()
        session.add(from_passage(passage, 0))
        return document.id

    def _decide(self, session: orm.Session, suggestion: str, state: str, by: str) -> None:
        row = self._suggestion(session, suggestion)
        row.state, row.by, row.at = state, by, now()

    def _row(self, session: orm.Session, answer: str) -> CuratedRow:
        row = session.get(CuratedRow, answer)
        if row is None or row.tenant != self._tenant:
            raise UnknownName(f"There is no approved answer {answer!r}.", hint="`confide curated list` lists them.")
        return row

    def _suggestion(self, session: orm.Session, suggestion: str) -> SuggestionRow:
        row = session.get(SuggestionRow, suggestion)
        if row is None or row.tenant != self._tenant:
            raise UnknownName(f"There is no suggestion {suggestion!r}.", hint="`confide curated list` lists them.")
        return row

    def _of(
        self, table: type[CuratedRow] | type[SuggestionRow] | type[DocumentRow], collection: str
    ) -> list[sa.ColumnElement[bool]]:
        return [table.tenant == self._tenant, table.collection == collection]


def _phrasings(answer: str) -> sa.Select[str]:
    return sa.select(PhrasingRow.text).where(PhrasingRow.answer_id == answer).order_by(PhrasingRow.number)


def _phrasing(answer: str, question: str) -> PhrasingRow:
    return PhrasingRow(answer_id=answer, text=question, customer="", embedder="", vector=None)


def _value(row: CuratedRow, questions: Sequence[str]) -> Approved:
    return Approved(
        row.id, row.collection, tuple(questions), row.text, row.language, row.document_id, row.enabled, row.expires,
        row.hits, row.last_hit, row.by, row.at,
    )  # fmt: skip


def _line(text: str) -> str:
    return " ".join(text.split())
