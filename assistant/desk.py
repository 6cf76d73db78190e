"""The desk: conversations that need a person, who has them, and what the staff write in them.

    waiting -> taken (by one) -> returned to the assistant, or resolved; asking for a person again -> waiting

A message is written in one transaction with the look at who has the conversation: while somebody has it, a customer's
message goes to them and not to the model. Taking over is one conditional update, so only one succeeds. Every message
has an id of its sender's: sent again, after whatever broke in between, it is written once.
It shows nothing (`ui`, `api`) and tells nobody (`attendant`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import orm

from assistant import language
from assistant.errors import BadInput, CaseRefused, UnknownName
from assistant.hours import Hours
from assistant.rows import AuthorRow, Base, CaseRow, ConversationRow, NoteRow, TurnRow, now
from assistant.store import Store, Turn
from assistant.types import Conversation, Message
from privacy.recognise import find

MAX_MESSAGE = 4000
MAX_NAME = 80
_TELLING = 0x74656C6C
"""PostgreSQL's lock for who tells the staff."""


class State(enum.StrEnum):
    """Where a conversation stands that needed a person."""

    WAITING = "waiting"
    TAKEN = "taken"
    RETURNED = "returned"
    RESOLVED = "resolved"


OPEN = (State.WAITING, State.TAKEN)


@dataclass(frozen=True, slots=True)
class Staff:
    """Who acts: an id that is one person's (an account, a key), and the name that customers see."""

    id: str
    name: str

    @classmethod
    def of_account(cls, account: str) -> Staff:
        """The holder of an account.

        >>> Staff.of_account("anna.meyer@shop.example")
        Staff(id='anna.meyer@shop.example', name='Anna Meyer')
        """
        return cls(account, re.sub(r"[._+-]+", " ", account.partition("@")[0]).strip().title() or account)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a customer may know: whether they wait, who has their conversation, whether they left an address."""

    state: State
    staff: str
    reachable: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation at the desk. `holder` has it ("" = nobody); `last` is its last message. Times are UTC, no zone."""

    conversation: str
    collection: str
    customer: str
    topic: str
    state: State
    holder: str
    staff: str
    asked: dt.datetime
    changed: dt.datetime
    email: str
    name: str
    last: str
    last_role: str
    last_number: int


@dataclass(frozen=True, slots=True)
class Note:
    """What one of the staff noted; customers never see it."""

    staff: str
    text: str
    at: dt.datetime


class Desk:
    """The desk of a tenant. Thread-safe; several processes may write."""

    def __init__(self, store: Store, tenant: str, hours: Hours) -> None:
        self.hours = hours
        self._store, self._tenant = store, tenant
        self._sessions = store.tables(Base.metadata)

    # The customer's side

    def receive(self, conversation: Conversation, turn: Turn, *, collection: str) -> str:
        """Writes a customer's message, once, and says who of the staff has it; "" = the assistant is to answer.

        A message that came before and was answered by a person since is that person's.
        """
        found: list[str] = []

        def look(session: orm.Session) -> None:
            mine = sa.update(CaseRow).where(CaseRow.conversation == conversation.id, CaseRow.state == State.TAKEN)
            taken = session.connection().execute(mine.values(changed=now())).rowcount  # a lock on who has it, too
            holder = sa.select(CaseRow.staff).where(CaseRow.conversation == conversation.id)
            staff = session.scalar(holder) if taken else _answered(session, conversation.id, turn.client_id)
            found[:] = [staff or ""]

        self._store.append_turns(conversation, tenant=self._tenant, collection=collection, turns=[turn], also=look)
        return found[0]

    def queue(self, conversation: Conversation, turn: Turn, *, collection: str) -> None:
        """Writes the assistant's answer that a person is needed, and puts the conversation on the queue with it."""

        def put(session: orm.Session) -> None:
            row = session.get(CaseRow, conversation.id, with_for_update=True)
            if row is None:
                row = CaseRow(
                    conversation=conversation.id, tenant=self._tenant, customer=conversation.customer, email="", name=""
                )  # fmt: skip
                session.add(row)
            elif row.state in OPEN:
                return
            row.state, row.holder, row.staff, row.told = State.WAITING, "", "", False
            row.asked = row.changed = now()

        self._store.append_turns(conversation, tenant=self._tenant, collection=collection, turns=[turn], also=put)

    def standing(self, conversation: str) -> Standing | None:
        """Where a conversation stands; None where it never needed a person."""
        with self._sessions() as session:
            row = session.get(CaseRow, conversation)
            return Standing(State(row.state), row.staff, bool(row.email)) if row is not None else None

    def leave_address(self, conversation: str, customer: str, *, email: str, name: str = "") -> None:
        """Keeps the address (and the name) that a customer leaves for an answer; both go with the conversation.

        Raises:
            BadInput: it is no e-mail address, or the conversation does not wait for a person.
        """
        clean = email.strip()
        if not any(one.kind == "email" and (one.start, one.end) == (0, len(clean)) for one in find(clean)):
            raise BadInput("This is not an e-mail address.", hint="For example: name@example.com.")
        with self._sessions.begin() as session:
            theirs = sa.update(CaseRow).where(
                CaseRow.conversation == conversation, CaseRow.customer == customer, CaseRow.state.in_(OPEN)
            )
            called = " ".join(language.clean(name).split())[:MAX_NAME]
            fields = {"email": clean, "name": called, "changed": now()}
            if not session.connection().execute(theirs.values(**fields)).rowcount:
                raise BadInput("This conversation does not wait for a person.", hint="Ask for one first.")

    # The staff's side

    def cases(self, states: Sequence[State] = OPEN, *, collection: str = "", limit: int = 200) -> list[Case]:
        """The conversations at the desk, state by state, the longest waiting on top; "" = of all collections.

        At most `limit` of each state, so that those that wait never hide those that somebody has: of the waiting
        the longest waiting, of the others those with the latest news.
        """
        found: dict[str, Case] = {}  # one that is taken between the two looks is there once
        with self._sessions() as session:
            for state in states:
                wanted = self._wanted().where(CaseRow.tenant == self._tenant, CaseRow.state == state)
                if collection:
                    wanted = wanted.where(ConversationRow.collection == collection)
                order = CaseRow.asked if state is State.WAITING else CaseRow.changed.desc()
                rows = session.execute(wanted.order_by(order).limit(limit))
                ranked = sorted((_case(*row) for row in rows), key=lambda case: case.asked)
                found |= {case.conversation: case for case in ranked}
        return list(found.values())

    def count(self, state: State) -> int:
        """How many conversations stand so."""
        wanted = sa.select(sa.func.count()).where(CaseRow.tenant == self._tenant, CaseRow.state == state)
        with self._sessions() as session:
            return session.scalar(wanted) or 0

    def case(self, conversation: str) -> Case:
        """One of them. Raises UnknownName."""
        with self._sessions() as session:
            row = session.execute(
                self._wanted().where(CaseRow.tenant == self._tenant, CaseRow.conversation == conversation)
            ).first()
        if row is None:
            raise UnknownName("This conversation is not at the desk.", hint="Its customer may have deleted it.")
        return _case(*row)

    def turns(self, case: Case) -> list[Turn]:
        """What was said, oldest first."""
        return self._store.turns(case.conversation, case.customer)

    def take(self, conversation: str, staff: Staff, *, from_holder: str = "") -> Case:
        """The conversation is this person's: from the queue, or from a colleague (`from_holder`) who has it still.

        Raises:
            CaseRefused: somebody else has it, or nobody is needed any more.
            UnknownName: there is no such conversation at the desk.
        """
        had = (CaseRow.state == State.TAKEN, CaseRow.holder == from_holder) if from_holder else ()
        fields = {"state": State.TAKEN, "holder": staff.id, "staff": staff.name}
        if not self._change(conversation, fields, *(had or (CaseRow.state == State.WAITING,))):
            case = self.case(conversation)
            if case.state is not State.TAKEN or case.holder != staff.id:
                raise _refusal(case)
        return self.case(conversation)

    def give_back(self, conversation: str, staff: Staff) -> Case:
        """The assistant answers again. Raises as `reply`."""
        return self._end(conversation, staff, State.RETURNED)

    def resolve(self, conversation: str, staff: Staff) -> Case:
        """The matter is closed; so may be one that nobody has taken. Raises as `reply`."""
        fields = {"state": State.RESOLVED, "holder": staff.id, "staff": staff.name}
        if self._change(conversation, fields, CaseRow.state == State.WAITING):
            return self.case(conversation)
        return self._end(conversation, staff, State.RESOLVED)

    def reply(self, conversation: str, staff: Staff, text: str, *, client_id: str) -> None:
        """Writes a message of this person to the customer, once.

        Raises:
            CaseRefused: somebody else has the conversation, or nobody.
            UnknownName: there is no such conversation at the desk.
            BadInput: the text is empty or too long.
        """
        text, case = _checked(text), self.case(conversation)
        turn = Turn(f"s:{client_id}", Message("assistant", text), None, now(), staff.name)

        def mine(session: orm.Session) -> None:
            held = sa.update(CaseRow).where(
                CaseRow.conversation == conversation, CaseRow.state == State.TAKEN, CaseRow.holder == staff.id
            )
            if not session.connection().execute(held.values(changed=now())).rowcount:
                raise _refusal(self.case(conversation))

        if turn.client_id in {one.client_id for one in self.turns(case)}:
            return
        self._store.append_turns(
            Conversation(conversation, case.customer), tenant=self._tenant, collection=case.collection, turns=[turn],
            also=mine,
        )  # fmt: skip
        self.case(conversation)  # raises where its customer deleted it at this moment: nothing was written then

    def note(self, conversation: str, staff: Staff, text: str, *, client_id: str) -> None:
        """Writes a note for the staff, once. Raises UnknownName, BadInput."""
        text, _ = _checked(text), self.case(conversation)
        with self._sessions.begin() as session:
            known = sa.select(NoteRow).where(NoteRow.conversation == conversation, NoteRow.client_id == client_id)
            if session.scalar(known) is None:
                row = NoteRow(conversation=conversation, client_id=client_id, staff=staff.name, text=text, at=now())
                session.add(row)

    def notes(self, conversation: str) -> list[Note]:
        """The notes about a conversation, oldest first."""
        wanted = sa.select(NoteRow).where(NoteRow.conversation == conversation).order_by(NoteRow.number)
        with self._sessions() as session:
            return [Note(row.staff, row.text, row.at) for row in session.scalars(wanted)]

    # Telling the staff

    @contextlib.contextmanager
    def telling(self) -> Iterator[bool]:
        """Whether this process may tell the staff now: of several on one PostgreSQL one at a time.

        The lock goes with the connection, so a killed process leaves what it has not told to the others.
        """
        with self._sessions.begin() as session:
            if session.get_bind().dialect.name == "sqlite":  # one server a data folder
                yield True
            else:
                lock = sa.func.pg_try_advisory_xact_lock(_TELLING, sa.func.hashtext(self._tenant))
                yield bool(session.scalar(sa.select(lock)))

    def untold(self) -> list[Case]:
        """Those that wait and of which nobody was told."""
        wanted = self._wanted().where(CaseRow.tenant == self._tenant, CaseRow.state == State.WAITING)
        with self._sessions() as session:
            return [_case(*row) for row in session.execute(wanted.where(~CaseRow.told))]

    def mark_told(self, conversation: str) -> None:
        """Somebody was told that this one waits."""
        self._change(conversation, {"told": True})

    # Inside

    def _end(self, conversation: str, staff: Staff, state: State) -> Case:
        fields = {"state": state}
        held = (CaseRow.state == State.TAKEN, CaseRow.holder == staff.id)
        if not self._change(conversation, fields, *held):
            case = self.case(conversation)
            if case.state is not state or case.holder != staff.id:
                raise _refusal(case)
        return self.case(conversation)

    def _change(self, conversation: str, fields: Mapping[str, object], *where: sa.ColumnElement[bool]) -> bool:
        """One conditional update; whether it found its row."""
        chosen = sa.update(CaseRow).where(CaseRow.tenant == self._tenant, CaseRow.conversation == conversation, *where)
        with self._sessions.begin() as session:
            return bool(session.connection().execute(chosen.values(**fields, changed=now())).rowcount)

    def _wanted(self) -> sa.Select[CaseRow, ConversationRow, TurnRow]:
        """A case, its conversation, its last turn."""
        latest = (
            sa.select(sa.func.max(TurnRow.number))
            .where(TurnRow.conversation_id == CaseRow.conversation)
            .correlate(CaseRow)
            .scalar_subquery()
        )
        return (
            sa.select(CaseRow, ConversationRow, TurnRow)
            .join(ConversationRow, ConversationRow.id == CaseRow.conversation)
            .join(TurnRow, TurnRow.number == latest)
        )


def _answered(session: orm.Session, conversation: str, client_id: str) -> str:
    """The person who wrote after this message; "" where nobody did."""
    place = sa.select(TurnRow.number).where(TurnRow.conversation_id == conversation, TurnRow.client_id == client_id)
    later = (
        sa.select(AuthorRow.staff)
        .join(TurnRow, TurnRow.number == AuthorRow.turn)
        .where(TurnRow.conversation_id == conversation, TurnRow.number > place.scalar_subquery())
    )
    return session.scalar(later.limit(1)) or ""


def _checked(text: str) -> str:
    clean = language.clean(text).strip()
    if not clean or len(clean) > MAX_MESSAGE:
        raise BadInput(f"A message has 1 to {MAX_MESSAGE} characters; this one has {len(clean)}.")
    return clean


def _refusal(case: Case) -> CaseRefused:
    if case.state is State.TAKEN:
        return CaseRefused(f"{case.staff} has this conversation.", hint="Take it over from them, or leave it to them.")
    if case.state is State.WAITING:
        return CaseRefused("Nobody has this conversation yet.", hint="Take it over first.")
    return CaseRefused("The assistant has this conversation again.", hint="It comes back when its customer asks.")


def _case(row: CaseRow, conversation: ConversationRow, turn: TurnRow) -> Case:
    return Case(
        conversation=row.conversation, collection=conversation.collection, customer=row.customer,
        topic=conversation.title, state=State(row.state), holder=row.holder, staff=row.staff, asked=row.asked,
        changed=row.changed, email=row.email, name=row.name, last=turn.text, last_role=turn.role,
        last_number=turn.number,
    )  # fmt: skip
