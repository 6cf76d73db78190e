"""What the dashboard shows of a collection and a period: sums over answers and ratings, by the database.

The numbers of each answer are copied once into a narrow table beside the turns (`answer_facts`), by one statement that
takes what is new; sums, days and percentiles are queries over that. What the questions are about is `questions.py`;
Prometheus' counters are `monitoring.py`'s.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from assistant.rows import AnswerFactRow, Base, ConversationRow, RatingRow, TurnRow, now
from assistant.store import Store
from assistant.types import Outcome

UNCITED = ("none", "goods")
"""Shapes of answers that quote nothing: greetings, hand-overs, cards of goods."""
_BEHIND = 1000
"""Turns that another process may still be writing while later ones are there already."""
_COPYING = 0x636F7079
"""PostgreSQL's lock for who copies what is new."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` on, up to but not including `end`; UTC without a zone."""

    start: dt.datetime
    end: dt.datetime

    @classmethod
    def last(cls, days: int) -> Period:
        """The last so many days, today included."""
        end = dt.datetime.combine(now().date() + dt.timedelta(days=1), dt.time())
        return cls(end - dt.timedelta(days=days), end)

    def before(self) -> Period:
        """The period of the same length before this one."""
        return Period(self.start - (self.end - self.start), self.start)

    def days(self) -> list[str]:
        """Its days as YYYY-MM-DD."""
        return [str((self.start + dt.timedelta(days=n)).date()) for n in range((self.end - self.start).days)]


@dataclass(frozen=True, slots=True)
class Day:
    """One day: answers by outcome, ratings, tokens."""

    day: str
    outcomes: dict[str, int]
    up: int = 0
    down: int = 0
    tokens: int = 0

    @property
    def answers(self) -> int:
        """All answers of the day."""
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True)
class Overview:
    """The sums of a period. Seconds are None where nothing was answered; `citable` answers could have quoted."""

    answers: int
    conversations: int
    outcomes: dict[str, int]
    approved: int
    citable: int
    cited: int
    seconds_p50: float | None
    seconds_p95: float | None
    prompt_tokens: int
    completion_tokens: int
    up: int
    down: int
    corrections: int
    days: tuple[Day, ...]

    def share(self, outcome: Outcome) -> float:
        """The share of the answers with this outcome; 0 where there are none."""
        return self.outcomes.get(outcome.value, 0) / self.answers if self.answers else 0.0

    @property
    def coverage(self) -> float:
        """The share of the answers that could have quoted and did."""
        return self.cited / self.citable if self.citable else 0.0


class Dashboard:
    """The numbers of a tenant."""

    def __init__(self, store: Store, tenant: str) -> None:
        self._tenant = tenant
        self._sessions = store.tables(Base.metadata)

    def overview(self, collection: str, period: Period) -> Overview:
        """The sums of a collection, or of all ("")."""
        self.catch_up()
        facts, where = AnswerFactRow, self._in(AnswerFactRow, collection, period)
        quotable = sa.and_(facts.outcome == Outcome.ANSWERED.value, facts.shape.not_in(UNCITED))
        sums = sa.select(
            sa.func.count(), sa.func.count(sa.distinct(facts.conversation)), _count(facts.shape == "approved"),
            _count(quotable), _count(sa.and_(quotable, facts.cited > 0)),
            sa.func.coalesce(sa.func.sum(facts.prompt_tokens), 0),
            sa.func.coalesce(sa.func.sum(facts.completion_tokens), 0),
        )  # fmt: skip
        with self._sessions() as session:
            row = session.execute(sums.where(*where)).one()
            days = self._days(session, collection, period)
            p50, p95 = (self._quantile(session, where, q) for q in (0.5, 0.95))
            corrected = sa.select(sa.func.count()).where(
                *self._in(RatingRow, collection, period), RatingRow.correction != ""
            )
            corrections = session.scalar(corrected) or 0
        outcomes = {one.value: sum(day.outcomes.get(one.value, 0) for day in days) for one in Outcome}
        return Overview(
            answers=row[0], conversations=row[1], outcomes=outcomes, approved=row[2], citable=row[3], cited=row[4],
            seconds_p50=p50, seconds_p95=p95, prompt_tokens=row[5], completion_tokens=row[6],
            up=sum(day.up for day in days), down=sum(day.down for day in days), corrections=corrections, days=days,
        )  # fmt: skip

    def catch_up(self) -> int:
        """Copies the numbers of answers that are new; how many those were."""
        turns, facts = TurnRow, AnswerFactRow
        with self._sessions.begin() as session:
            if session.get_bind().dialect.name != "sqlite":  # whose writers take turns anyway
                session.execute(sa.select(sa.func.pg_advisory_xact_lock(_COPYING)))
            newest = session.scalar(sa.select(sa.func.max(facts.turn))) or 0
            answer = _Json(session, turns.answer)
            question = orm.aliased(TurnRow)
            asked = (
                sa.select(sa.func.max(question.number))
                .where(question.conversation_id == turns.conversation_id)
                .where(question.number < turns.number, question.role == "user")
                .scalar_subquery()
            )
            rows = (
                sa.select(
                    turns.number, ConversationRow.tenant, ConversationRow.collection, turns.conversation_id, asked,
                    turns.at, sa.cast(sa.func.date(turns.at), sa.String), answer.text("outcome"),
                    answer.text("receipt", "shape"), answer.length("citations"), answer.number("receipt", "seconds"),
                    answer.count("receipt", "usage", "prompt_tokens"),
                    answer.count("receipt", "usage", "completion_tokens"),
                )
                .join(ConversationRow, ConversationRow.id == turns.conversation_id)
                .where(turns.number > newest - _BEHIND, turns.answer.is_not(None))
                .where(~sa.exists().where(facts.turn == turns.number))
                .with_for_update(read=True, key_share=True, of=turns, skip_locked=True)  # not what is being deleted
            )  # fmt: skip
            names = [column.name for column in sa.inspect(AnswerFactRow).local_table.columns]
            kept = {"preserve_rowcount": True}  # without it only SQLite counts what an insert added
            added = session.connection().execute(sa.insert(facts).from_select(names, rows), execution_options=kept)
            return added.rowcount

    def _days(self, session: orm.Session, collection: str, period: Period) -> tuple[Day, ...]:
        facts, ratings = AnswerFactRow, RatingRow
        outcomes: dict[str, dict[str, int]] = {}
        tokens: dict[str, int] = {}
        summed = sa.select(
            facts.day, facts.outcome, sa.func.count(), sa.func.sum(facts.prompt_tokens + facts.completion_tokens)
        ).where(*self._in(facts, collection, period))
        for day, outcome, n, used in session.execute(summed.group_by(facts.day, facts.outcome)):
            outcomes.setdefault(day, {})[outcome] = n
            tokens[day] = tokens.get(day, 0) + (used or 0)
        day_of = sa.cast(sa.func.date(ratings.at), sa.String)
        rated = sa.select(day_of, _count(ratings.rating > 0), _count(ratings.rating < 0))
        opinions = {
            day: (up, down)
            for day, up, down in session.execute(rated.where(*self._in(ratings, collection, period)).group_by(day_of))
        }
        return tuple(
            Day(day, outcomes.get(day, {}), *opinions.get(day, (0, 0)), tokens=tokens.get(day, 0))
            for day in period.days()
        )

    def _quantile(self, session: orm.Session, where: Sequence[sa.ColumnElement[bool]], q: float) -> float | None:
        """The seconds that a share `q` of the answers needed at most; chatter, which needs none, does not count."""
        made = (*where, AnswerFactRow.shape != "none")
        n = session.scalar(sa.select(sa.func.count()).where(*made)) or 0
        wanted = sa.select(AnswerFactRow.seconds).where(*made).order_by(AnswerFactRow.seconds)
        return session.scalar(wanted.offset(min(n - 1, int(q * n))).limit(1)) if n else None

    def _in(
        self, table: type[AnswerFactRow] | type[RatingRow], collection: str, period: Period
    ) -> list[sa.ColumnElement[bool]]:
        where = [table.tenant == self._tenant, table.at >= period.start, table.at < period.end]
        return [*where, table.collection == collection] if collection else where


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


class _Json:
    """Parts of a JSON column, in the database's own words."""

    def __init__(self, session: orm.Session, column: orm.InstrumentedAttribute[str | None]) -> None:
        self._sqlite = session.get_bind().dialect.name == "sqlite"
        self._raw = column
        self._value: Any = sa.type_coerce(column, sa.JSON) if self._sqlite else sa.cast(column, sa.JSON)

    def text(self, *path: str) -> sa.ColumnElement[str]:
        return sa.func.coalesce(self._value[path].as_string(), "")

    def number(self, *path: str) -> sa.ColumnElement[float]:
        return sa.func.coalesce(self._value[path].as_float(), 0.0)

    def count(self, *path: str) -> sa.ColumnElement[int]:
        return sa.func.coalesce(self._value[path].as_integer(), 0)

    def length(self, name: str) -> sa.ColumnElement[int]:
        if self._sqlite:
            return sa.func.coalesce(sa.func.json_array_length(self._raw, f"$.{name}"), 0)
        return sa.func.coalesce(sa.func.json_array_length(self._value[name]), 0)
