"""What customers' ratings teach: each bound to an answer they were given and to their consent, redacted, reviewed.

    rating, correction -> (signed answer id: `feedback.py`) -> consent? -> redacted -> lesson -> review -> accepted

A lesson stands only as long as its rating has the consent it was made from: `collect` takes back the others, and
deleting the conversation takes its lessons along. A praised answer of ours is accepted as it is; a correction, which
anybody may write, and a person's answer, which may be about one customer's own affairs, wait for a person. Of one
customer only the newest few count. Training is `loop.py`'s.

A person's answer is a lesson about the question that the assistant had before it: a wish for a person is no question.
Where the assistant had given an answer to it, that is the one not to give. A refusal or a hand-over is the worse side
of no pair, corrected or not: to prefer an answer to them would teach to guess.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from assistant import prompts, smalltalk
from assistant.curated import MAX_ANSWER, suggest
from assistant.curated import WAITING as SUGGESTED
from assistant.errors import BadInput, UnknownName
from assistant.outbound import redactor
from assistant.rows import Base, LessonRow, PassageRow, RatingRow, SuggestionRow, TurnRow, now
from assistant.settings import Settings
from assistant.smalltalk import Intent
from assistant.store import Store
from assistant.types import Message, Outcome
from privacy.erasure import Marks
from privacy.redaction import Redacted, Redactor, write_lines

PRAISED, CORRECTED, PERSON = "praised", "corrected", "person"
WAITING, ACCEPTED, DECLINED, EXAMINED = "waiting", "accepted", "declined", "exam"
"""The states of a lesson; what is kept for the exam is never trained on."""
PER_CUSTOMER = 5
"""The most lessons of one customer in a turn of the loop: nobody steers it alone."""
_PASSAGES = 4
_UNDECIDED = (LessonRow.by == "", LessonRow.turn.is_(None))
"""A praised answer is accepted by itself: until a turn has used it, a person may still keep it for the exam."""
Asked = Callable[[str], bool]
"""Whether the exam asks a question."""


def _nothing(question: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Lesson:
    """A redacted question, the answer to learn and, where it was corrected, the one not to give."""

    id: str
    kind: str
    question: str
    text: str
    rejected: str
    state: str
    turn: int | None


@dataclass(frozen=True, slots=True)
class Collected:
    """What `collect` did: lessons that are new, and those whose consent or conversation is gone."""

    new: int = 0
    withdrawn: int = 0


class Lessons:
    """The lessons of a tenant."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._tenant = store, settings.tenant
        self._sessions = store.tables(Base.metadata)
        self._settings = settings
        # without a finder, which could take a mark or a word of the company's documents for a name
        self._plain = Redactor.open(settings.data_dir, order_formats=settings.privacy.order_formats)
        self._marks = Marks(settings.data_dir, settings.tenant)

    def collect(self, collection: str) -> Collected:
        """Makes lessons of ratings that have none yet, and takes back those that lost their consent."""
        with self._sessions.begin() as session:
            withdrawn = self._withdraw(session, collection)
        new = 0
        with self._sessions() as session:
            known = {row.id: row.changes for row in session.scalars(self._of(collection))}
            ratings = list(session.scalars(self._consented(collection)))
        for rating in ratings:
            if known.get(rating.answer) != rating.changes:
                new += self._learn(rating)
        return Collected(new, withdrawn)

    def waiting(self, collection: str, *, limit: int = 100) -> list[Lesson]:
        """The lessons that a person has to look at, oldest first."""
        wanted = self._of(collection).where(LessonRow.state == WAITING).order_by(LessonRow.at)
        with self._sessions() as session:
            return [_value(row) for row in session.scalars(wanted.limit(limit))]

    def find(self, lesson: str) -> Lesson:
        """One lesson. Raises UnknownName."""
        with self._sessions() as session:
            row = session.get(LessonRow, lesson)
            if row is None or row.tenant != self._tenant:
                raise UnknownName(f"There is no lesson {lesson!r}.", hint="Its customer may have withdrawn it.")
            return _value(row)

    def undecided(self, lesson: str) -> Lesson:
        """One lesson that may be decided about. Raises as `decide` does."""
        found = self.find(lesson)
        with self._sessions() as session:
            if session.scalar(sa.select(LessonRow.id).where(LessonRow.id == lesson, *_UNDECIDED)) is None:
                raise _decided()
        return found

    def decide(self, lesson: str, state: str, *, by: str, text: str = "") -> None:
        """Accepts a lesson, perhaps with an edited answer, declines it or keeps it for the exam; once, and for good.

        What was accepted so is also suggested as an approved answer.

        Raises:
            UnknownName: there is no such lesson.
            BadInput: it was decided about already, or a turn has used it.
        """
        self.undecided(lesson)
        with self._sessions.begin() as session:
            claimed = sa.update(LessonRow).where(LessonRow.id == lesson, *_UNDECIDED).values(state=state, by=by)
            if not session.connection().execute(claimed).rowcount:  # in one step: another reviewer may be as quick
                raise _decided()
            row = session.get_one(LessonRow, lesson)
            row.text = self._redactor.redact(text.strip()).text if text.strip() else row.text
            told = (row.collection, row.question, row.text, "desk" if row.kind == PERSON else "correction")
            conversation = row.conversation
        if state == ACCEPTED:
            suggest(self._store, self._tenant, *told, conversation=conversation)

    def consented(self, collection: str) -> int:
        """The ratings that may be learned from."""
        counted = sa.select(sa.func.count()).select_from(self._consented(collection).subquery())
        with self._sessions() as session:
            return session.scalar(counted) or 0

    def counts(self, collection: str) -> dict[str, int]:
        """Lessons by state; those accepted that a turn has used are `used`."""
        used = sa.case(
            (sa.and_(LessonRow.state == ACCEPTED, LessonRow.turn.is_not(None)), "used"), else_=LessonRow.state
        )
        counted = sa.select(used, sa.func.count()).where(*self._where(collection)).group_by(used)
        with self._sessions() as session:
            return {str(state): int(n) for state, n in session.execute(counted)}

    def take(self, session: orm.Session, collection: str, turn: int, *, asked: Asked = _nothing) -> int:
        """Gives a turn the lessons that count and that none has used; how many. `asked` as for `write`."""
        for row in self._counting(session, collection, asked):
            if row.turn is None:
                row.turn = turn
        session.flush()
        return session.scalar(sa.select(sa.func.count()).where(LessonRow.turn == turn)) or 0

    def used(self, collection: str, until: int) -> int:
        """The lessons that turns up to `until` used and that still stand."""
        counted = sa.select(sa.func.count()).where(*self._where(collection), LessonRow.turn <= until)
        with self._sessions() as session:
            return session.scalar(counted) or 0

    def standing(self, collection: str, *states: str) -> frozenset[str]:
        """The ids of all lessons that there are, or of those in some states."""
        wanted = sa.select(LessonRow.id).where(*self._where(collection))
        with self._sessions() as session:
            return frozenset(session.scalars(wanted.where(LessonRow.state.in_(states)) if states else wanted))

    def write(self, collection: str, until: int, folder: Path, *, asked: Asked = _nothing) -> tuple[Path, Path]:
        """Writes what turns up to `until` used: (records to train on, preference pairs), one JSON object a line.

        Pairs are `prompt`, `chosen`, `rejected`, as TRL's trainers read them, and the passages they stand on. What the
        exam asks (`asked`) is left out, also where another customer asked it; of one customer the newest few count.
        """
        with self._sessions() as session:
            rows = self._counting(session, collection, asked, LessonRow.turn <= until)
            rows.sort(key=lambda row: row.id)
            paired = [row for row in rows if row.rejected and not _refused(session, row)]
        chat, pairs = self.files(folder, until)
        folder.mkdir(parents=True, exist_ok=True)
        write_lines(chat, [self._record(row) for row in rows])
        write_lines(pairs, [self._pair(row) for row in paired])
        return chat, pairs

    @staticmethod
    def files(folder: Path, turn: int) -> tuple[Path, Path]:
        """Where `write` puts a turn's records and pairs."""
        return folder / f"turn-{turn}.jsonl", folder / f"turn-{turn}-pairs.jsonl"

    # Inside

    def _counting(
        self, session: orm.Session, collection: str, asked: Asked, *which: sa.ColumnElement[bool]
    ) -> list[LessonRow]:
        """The accepted lessons that may be trained on: of each customer the newest few, and nothing that is asked."""
        accepted = self._of(collection).where(LessonRow.state == ACCEPTED, *which)
        theirs: Counter[str] = Counter()
        found = []
        for row in session.scalars(accepted.order_by(LessonRow.at.desc(), LessonRow.id)):
            if not asked(row.question):
                theirs[row.customer] += 1
                found += [row] if theirs[row.customer] <= PER_CUSTOMER else []
        return found

    @functools.cached_property
    def _redactor(self) -> Redactor:
        """Of what people said. Opened when it is needed: a finder may have a network to load."""
        return redactor(self._settings)

    def _learn(self, rating: RatingRow) -> int:
        """Makes, or makes anew, the lesson of a rating; 1 where there is one."""
        corrected = rating.correction.strip()
        with self._sessions.begin() as session:
            said = _said(session, rating)
            old = session.get(LessonRow, rating.answer)
            if old is not None:
                self._take_back(session, old)
            if said is None or not (corrected or (rating.rating > 0 and said.teaches)):
                return 0
            kind = CORRECTED if corrected else PERSON if said.person else PRAISED
            session.add(
                LessonRow(
                    id=rating.answer, tenant=self._tenant, collection=rating.collection,
                    conversation=rating.conversation, customer=rating.customer,
                    kind=kind, question=self._redactor.redact(said.question).text,
                    text=self._redactor.redact(corrected or said.text).text,
                    rejected=self._redactor.redact(said.text if corrected else said.instead).text,
                    passages=json.dumps(said.passages), changes=rating.changes,
                    state=ACCEPTED if kind == PRAISED else WAITING, by="", turn=None, at=now(),
                )
            )  # fmt: skip
            return 1

    def _withdraw(self, session: orm.Session, collection: str) -> int:
        """Deletes the lessons whose rating is gone or has no consent any more."""
        stands = sa.exists().where(RatingRow.answer == LessonRow.id, RatingRow.consent)
        gone = list(session.scalars(self._of(collection).where(~stands)))
        for row in gone:
            self._take_back(session, row)
        return len(gone)

    def _take_back(self, session: orm.Session, row: LessonRow) -> None:
        """Deletes a lesson, and what was suggested from it while nobody has decided on that."""
        if row.state == ACCEPTED and row.kind != PRAISED:
            told = sa.delete(SuggestionRow).where(
                SuggestionRow.tenant == self._tenant, SuggestionRow.collection == row.collection,
                SuggestionRow.conversation == row.conversation, SuggestionRow.state == SUGGESTED,
                SuggestionRow.answer == row.text.strip()[:MAX_ANSWER],
            )  # fmt: skip
            session.execute(told)
        session.delete(row)
        session.flush()

    def _record(self, row: LessonRow) -> Redacted:
        messages = [self._message("user", row.question), self._message("assistant", row.text)]
        data: dict[str, Any] = {"messages": messages, "customer": self._marks.of(row.customer)}
        return self._plain.redact_data({**data, **self._stands_on(row)})

    def _pair(self, row: LessonRow) -> Redacted:
        prompt = [self._message("user", row.question)]
        chosen, rejected = ([self._message("assistant", text)] for text in (row.text, row.rejected))
        data = {"prompt": prompt, "chosen": chosen, "rejected": rejected, "customer": self._marks.of(row.customer)}
        return self._plain.redact_data({**data, **self._stands_on(row)})

    def _message(self, role: str, text: str) -> dict[str, str]:
        return {"role": role, "content": self._redactor.redact(text).text}

    def _stands_on(self, row: LessonRow) -> dict[str, Any]:
        with self._sessions() as session:
            best_first = json.loads(row.passages)
            wanted = sa.select(PassageRow.id, PassageRow.body).where(PassageRow.id.in_(best_first))
            bodies = {found.id: found.body for found in session.execute(wanted)}
            passages = [{"text": bodies[one]} for one in best_first if one in bodies]
        return {"passages": passages} if passages else {}

    def _consented(self, collection: str) -> sa.Select[RatingRow]:
        return sa.select(RatingRow).where(
            RatingRow.tenant == self._tenant, RatingRow.collection == collection, RatingRow.consent
        )

    def _of(self, collection: str) -> sa.Select[LessonRow]:
        return sa.select(LessonRow).where(*self._where(collection))

    def _where(self, collection: str) -> Sequence[sa.ColumnElement[bool]]:
        return LessonRow.tenant == self._tenant, LessonRow.collection == collection


@dataclass(frozen=True, slots=True)
class _Said:
    """What a rating is about. `instead`: what the assistant had answered before a person did; "" = nothing."""

    question: str
    text: str
    teaches: bool
    passages: list[str]
    refused: bool = False
    person: bool = False
    instead: str = ""


def _said(session: orm.Session, rating: RatingRow) -> _Said | None:
    """What was asked, as it stands without its conversation, and answered; None where there is no such pair."""
    turns = session.scalars(
        sa.select(TurnRow).where(TurnRow.conversation_id == rating.conversation).order_by(TurnRow.number)
    )
    said: list[Message] = []
    answers: dict[int, dict[str, Any]] = {}  # place of a question -> the assistant's answer to it
    for turn in turns:
        answer = json.loads(turn.answer) if turn.answer else {}
        if answer.get("id") == rating.answer:
            return _of_ours(said, answer) if said and said[-1].role == "user" else None
        if f"p{turn.number}" == rating.answer and turn.role == "assistant":
            return _of_a_person(said, answers, turn.text)
        if answer and said and said[-1].role == "user":
            answers[len(said) - 1] = answer
        said.append(Message(turn.role, turn.text))  # type: ignore[arg-type]
    return None


def _decided() -> BadInput:
    return BadInput("This lesson was decided about already, or a turn has used it.", hint="Reload the page.")


def _refused(session: orm.Session, lesson: LessonRow) -> bool:
    """Whether what was corrected was no answer."""
    rating = session.get(RatingRow, lesson.id)
    said = _said(session, rating) if rating is not None else None
    return said is not None and said.refused


def _of_ours(said: Sequence[Message], answer: dict[str, Any]) -> _Said:
    answered = answer.get("outcome") == Outcome.ANSWERED.value
    teaches = answered and bool(answer.get("citations"))
    query = answer["receipt"].get("query") or prompts.standalone(said)
    return _Said(query, str(answer["text"]), teaches, _passages(answer), refused=not answered)


def _of_a_person(said: Sequence[Message], answers: dict[int, dict[str, Any]], text: str) -> _Said | None:
    """A person's answer to the last question before it; what was about one customer's own affairs teaches nothing."""
    asked = {place: smalltalk.intent(one.text) for place, one in enumerate(said) if one.role == "user"}
    meant = [place for place, wish in asked.items() if wish in (Intent.QUESTION, Intent.PRIVATE)]
    if not meant or asked[meant[-1]] is Intent.PRIVATE:
        return None
    before = answers.get(meant[-1], {})
    instead = str(before["text"]) if before.get("outcome") == Outcome.ANSWERED.value else ""
    question = prompts.standalone(said[: meant[-1] + 1])
    return _Said(question, text, True, _passages(before), person=True, instead=instead)


def _passages(answer: dict[str, Any]) -> list[str]:
    return [hit["passage_id"] for hit in answer.get("hits", ())][:_PASSAGES]


def _value(row: LessonRow) -> Lesson:
    return Lesson(row.id, row.kind, row.question, row.text, row.rejected, row.state, row.turn)
