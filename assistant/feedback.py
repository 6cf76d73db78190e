"""The walk feedback: a signed answer id -> a rating, a correction, a consent, kept beside the conversation.

What a person of the staff answered is rated as the assistant's answers are.

An answer's ticket is signed by this data folder for one answer of one visitor's conversation in one collection, and
ends after a month. It carries how often the rating was changed, and a change makes a new one: sent twice it counts
once. What was said is not kept again here (the turns have it), so deleting a conversation deletes its ratings.
Without consent a correction is for the staff's eyes alone and never trained on.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal

import itsdangerous
import sqlalchemy as sa

from assistant import language
from assistant.errors import BadInput, RatingRefused
from assistant.rows import Base, RatingRow, now
from assistant.settings import Settings
from assistant.store import Store
from privacy.keys import secret_key

Verdict = Literal["up", "down"]
DAYS = 30
MAX_CORRECTION = 4000
_VALUES: dict[str, int] = {"up": 1, "down": -1}


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a customer thinks of an answer. `consent`: it may be trained on."""

    rating: Verdict
    correction: str = ""
    consent: bool = False


@dataclass(frozen=True, slots=True)
class Rating:
    """An opinion as it is kept; `changes` counts how often it was given or changed. `at` is UTC without a zone."""

    answer: str
    collection: str
    conversation: str
    customer: str
    opinion: Opinion
    changes: int
    at: dt.datetime


class Feedback:
    """The ratings of a tenant. Thread-safe; several processes may write."""

    def __init__(self, store: Store, tenant: str, key: bytes) -> None:
        self._store, self._tenant, self._key = store, tenant, key
        self._sessions = store.tables(Base.metadata)
        self._signer = itsdangerous.URLSafeTimedSerializer(
            key, salt="confide.answer", signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        )

    @classmethod
    def open(cls, store: Store, settings: Settings) -> Feedback:
        """The ratings of a data folder; the key that signs tickets is made at first use."""
        return cls(store, settings.tenant, secret_key(settings.data_dir / "keys" / "answers.key"))

    def ticket(self, answer: str, conversation: str, *, visitor: str, collection: str, changes: int = 0) -> str:
        """What the visitor has to show to rate an answer, `changes` times rated already."""
        return self._signer.dumps([self._tenant, answer, conversation, self._mark(visitor), collection, changes])

    def rate(self, ticket: str, opinion: Opinion, *, visitor: str) -> tuple[Rating, str]:
        """Keeps an opinion; the rating, and the ticket for changing it.

        Raises:
            RatingRefused: the ticket is forged, too old, used before or somebody else's, or the answer is gone.
            BadInput: the correction is too long.
        """
        if len(opinion.correction) > MAX_CORRECTION:
            raise BadInput(f"The correction is longer than {MAX_CORRECTION} characters.", hint="Shorten it.")
        answer, conversation, collection, changes = self._read(ticket, visitor)
        if answer not in self._answers(conversation, visitor, collection):
            raise RatingRefused("This answer is not kept any more.", hint="Ask again to rate the new answer.")
        rating = Rating(answer, collection, conversation, visitor, opinion, changes + 1, now())
        if not self._put(rating, changes):
            raise RatingRefused("This rating was sent before.", hint="Reload the page to change it.")
        again = self.ticket(answer, conversation, visitor=visitor, collection=collection, changes=changes + 1)
        return rating, again

    def of(self, conversation: str) -> dict[str, Rating]:
        """answer id -> its rating, in one conversation."""
        return {
            one.answer: one for one in self._found(sa.select(RatingRow).where(RatingRow.conversation == conversation))
        }

    def newest(self, collection: str, *, limit: int = 100) -> list[Rating]:
        """The last ratings of a collection, newest first."""
        wanted = sa.select(RatingRow).where(RatingRow.tenant == self._tenant, RatingRow.collection == collection)
        return self._found(wanted.order_by(RatingRow.at.desc()).limit(limit))

    def _read(self, ticket: str, visitor: str) -> tuple[str, str, str, int]:
        """What a ticket of this visitor's says. Raises RatingRefused."""
        try:
            content = self._signer.loads(ticket, max_age=DAYS * 86400)
            tenant, answer, conversation, mark, collection, changes = content
        except (itsdangerous.BadData, ValueError, TypeError) as error:
            raise RatingRefused(
                "This answer cannot be rated: its id is wrong or too old.", hint="Ask again."
            ) from error
        mine = hmac.compare_digest(str(mark), self._mark(visitor))
        if not mine or tenant != self._tenant:
            raise RatingRefused("This answer was given to somebody else.", hint="Rate your own answers.")
        return answer, conversation, collection, changes

    def _answers(self, conversation: str, visitor: str, collection: str) -> set[str]:
        """The ids of the answers in a visitor's own conversation about a collection."""
        if self._store.collection_of(conversation) != collection:
            return set()
        turns = self._store.turns(conversation, visitor)
        return {turn.answer_id for turn in turns} - {""}

    def _put(self, rating: Rating, before: int) -> bool:
        """Writes a rating that was changed `before` times; False where it was changed otherwise meanwhile."""
        fields = {
            "rating": _VALUES[rating.opinion.rating], "correction": language.clean(rating.opinion.correction).strip(),
            "consent": rating.opinion.consent, "changes": rating.changes, "at": rating.at,
        }  # fmt: skip
        same = {name: getattr(rating, name) for name in ("answer", "collection", "conversation", "customer")}
        try:
            with self._sessions.begin() as session:
                if before == 0:
                    session.add(RatingRow(tenant=self._tenant, **same, **fields))
                    return True
                changed = sa.update(RatingRow).where(RatingRow.answer == rating.answer, RatingRow.changes == before)
                return bool(session.connection().execute(changed.values(**fields)).rowcount)
        except sa.exc.IntegrityError:
            return False

    def _found(self, wanted: sa.Select[RatingRow]) -> list[Rating]:
        with self._sessions() as session:
            return [_value(row) for row in session.scalars(wanted)]

    def _mark(self, visitor: str) -> str:
        return hmac.new(self._key, f"visitor/{visitor}".encode(errors="replace"), "sha256").hexdigest()[:24]


def _value(row: RatingRow) -> Rating:
    opinion = Opinion("up" if row.rating > 0 else "down", row.correction, row.consent)
    same = {field.name: getattr(row, field.name) for field in dataclasses.fields(Rating) if field.name != "opinion"}
    return Rating(opinion=opinion, **same)
