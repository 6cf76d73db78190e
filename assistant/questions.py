"""What customers asked, by meaning: topics that the knowledge base lacks, questions worth an approved answer, drift.

Questions are read back with their outcome, embedded by the collection's own embedder (a sample where there are many)
and clustered by average linkage (scikit-learn). One customer counts once in a topic. A suggestion is made for people
to review; nothing here approves anything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import orm

from assistant.curated import suggest
from assistant.dashboard import Dashboard, Period
from assistant.metrics import SEED
from assistant.retrieval.embedders import Embedder
from assistant.rows import AnswerFactRow, AuthorRow, Base, ConversationRow, TurnRow
from assistant.store import Store
from assistant.types import Measure, Outcome

REFUSED = (Outcome.NOT_IN_KNOWLEDGE_BASE.value, Outcome.NEEDS_HUMAN.value)
SAMPLE = 400
"""The most questions of a period that are looked at; a minute of embedding is too long for a page."""
APART = 0.45
"""Two topics are merged while their questions' mean cosine distance is less. On the 74 groups of questions of
`benchmarks/calibration` the adjusted Rand index is 0.86 to 0.89 for every embedder."""
_RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as a customer put it. `answer` is what a person of the staff said to it, "" where nobody did."""

    text: str
    conversation: str
    customer: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    """Questions about one thing, the most typical first; `customers` counts who asked."""

    questions: tuple[Asked, ...]
    customers: int

    @property
    def name(self) -> str:
        """Its most typical question."""
        return self.questions[0].text


class Questions:
    """The questions of a tenant. Thread-safe."""

    def __init__(self, store: Store, tenant: str, embedder: Callable[[str], Embedder]) -> None:
        self._store, self._tenant = store, tenant
        self._sessions = store.tables(Base.metadata)
        self._dashboard = Dashboard(store, tenant)

        @functools.lru_cache(maxsize=20_000)
        def vector(collection: str, text: str) -> Any:
            return embedder(collection).encode([text])[0]

        self._vector = vector

    def lacking(self, collection: str, period: Period, *, least: int = 2) -> list[Topic]:
        """The topics of what was not answered from the documents, those of most customers first."""
        return self._topics(collection, self._asked(collection, period, REFUSED), least)

    def mine(self, collection: str, period: Period, *, least: int = 3) -> int:
        """Suggests approved answers for what often needed a person; how many suggestions wait for it.

        Where a colleague answered in the conversation, their answer is suggested with the question. What was declined,
        or has an approved answer, is not suggested again.
        """
        waiting = set()
        for topic in self.lacking(collection, period, least=least):
            typical = topic.questions[0]
            answered = next((one for one in topic.questions if one.answer), typical)
            made = suggest(
                self._store, self._tenant, collection, answered.text, answered.answer, "mined",
                conversation=answered.conversation, asked=topic.customers,
            )  # fmt: skip
            waiting.add(made)
        return len(waiting - {""})

    def drift(self, collection: str, period: Period) -> Measure | None:
        """How far the questions moved from the period before: energy distance of their vectors, 95 % bootstrap.

        0 = asked alike; None where one of the periods has fewer than ten questions.
        """
        sides = [self._asked(collection, part, ()) for part in (period.before(), period)]
        if min(map(len, sides)) < 10:
            return None
        before, after = (self._vectors(collection, side) for side in sides)
        return moved(before, after)

    def _topics(self, collection: str, asked: Sequence[Asked], least: int) -> list[Topic]:
        if len(asked) < 2:
            return []
        vectors = self._vectors(collection, asked)
        topics = []
        for members in clusters(vectors):
            centre = vectors[members].mean(axis=0)
            order = [members[n] for n in np.argsort(-(vectors[members] @ centre), kind="stable")]
            customers = len({asked[n].customer for n in order})
            if customers >= least:
                topics.append(Topic(tuple(asked[n] for n in order), customers))
        return sorted(topics, key=lambda topic: -topic.customers)

    def _vectors(self, collection: str, asked: Sequence[Asked]) -> Any:
        """(n, d) float32."""
        return np.stack([self._vector(collection, one.text) for one in asked])

    def _asked(self, collection: str, period: Period, outcomes: Sequence[str]) -> list[Asked]:
        """The questions of a period, of all outcomes (()) or some; beyond SAMPLE an even sample."""
        self._dashboard.catch_up()
        facts, question, later = AnswerFactRow, orm.aliased(TurnRow), orm.aliased(TurnRow)
        where = [facts.tenant == self._tenant, facts.collection == collection, facts.shape != "approved"]
        where += [facts.at >= period.start, facts.at < period.end, facts.asked.is_not(None)]
        where += [facts.outcome.in_(outcomes)] if outcomes else [facts.shape != "none"]
        said = (
            sa.select(later.text)
            .join(AuthorRow, AuthorRow.turn == later.number)
            .where(later.conversation_id == facts.conversation, later.number > facts.asked)
            .order_by(later.number)
            .limit(1)
            .scalar_subquery()
        )
        with self._sessions() as session:
            n = session.scalar(sa.select(sa.func.count()).where(*where)) or 0
            step = max(1, -(-n // SAMPLE))
            rows = session.execute(
                sa.select(question.text, facts.conversation, ConversationRow.customer, said)
                .join(question, question.number == facts.asked)
                .join(ConversationRow, ConversationRow.id == facts.conversation)
                .where(*where, facts.turn % (2 * step) < 2)  # questions and answers take turns
                .order_by(facts.turn)
                .limit(SAMPLE)
            )
            return [Asked(" ".join(text.split()), talk, customer, said or "") for text, talk, customer, said in rows]


def clusters(vectors: Any) -> list[list[int]]:
    """The rows of (n, d) unit vectors by topic; each row is in one."""
    from sklearn.cluster import AgglomerativeClustering

    if len(vectors) < 2:
        return [[n] for n in range(len(vectors))]
    made = AgglomerativeClustering(None, metric="cosine", linkage="average", distance_threshold=APART)
    labels = made.fit_predict(np.asarray(vectors, dtype=np.float64) + 1e-9)
    return [np.flatnonzero(labels == label).tolist() for label in range(int(labels.max()) + 1)]


def moved(before: Any, after: Any) -> Measure:
    """The energy distance (Szekely and Rizzo 2013) of (n, d) and (m, d) unit rows, with its 95 % bootstrap interval.

    Unbiased: two samples of the same questions give 0 on average, and an interval around it. Pairs of a row with
    itself are left out, in the resamples too.
    """
    rng = np.random.default_rng(SEED)
    sides = (before, after)
    weights = [rng.multinomial(len(side), np.full(len(side), 1 / len(side)), size=_RESAMPLES) for side in sides]
    whole = [np.vstack([np.ones(len(side)), drawn]) for side, drawn in zip(sides, weights, strict=True)]

    def within(rows: Any, drawn: Any) -> Any:
        apart = _distances(rows, rows)
        np.fill_diagonal(apart, 0.0)
        pairs = drawn.sum(axis=1) ** 2 - (drawn**2).sum(axis=1)
        return np.einsum("bi,ij,bj->b", drawn, apart, drawn, optimize=True) / pairs

    crossed = np.einsum("bi,ij,bj->b", whole[0], _distances(before, after), whole[1], optimize=True)
    crossed /= whole[0].sum(axis=1) * whole[1].sum(axis=1)
    values = 2 * crossed - within(before, whole[0]) - within(after, whole[1])
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return Measure("drift", float(values[0]), float(low), float(high), len(before) + len(after))


def _distances(one: Any, other: Any) -> Any:
    """(n, m) Euclidean distances of unit rows."""
    return np.sqrt(np.clip(2.0 - 2.0 * np.asarray(one, dtype=np.float64) @ np.asarray(other, dtype=np.float64).T, 0, 4))
