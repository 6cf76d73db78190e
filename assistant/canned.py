"""Answers that the staff have ready, in each language, with places for names: {company}, {customer}, {staff}."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from assistant.errors import BadInput
from assistant.rows import Base, CannedRow
from assistant.store import Store

PLACES = ("company", "customer", "staff")
_TITLE_CHARS, _TEXT_CHARS = 80, 4000
_PLACE = re.compile(r"( ?)\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Canned:
    """An answer at hand; `texts` by language code."""

    title: str
    texts: Mapping[str, str]

    def filled(self, language: str, **names: str) -> str:
        """The text in a language (else in any), names put in; where a name is not known, its place closes up.

        >>> Canned("Hi", {"en": "Hello {customer}, this is {company}."}).filled("en", company="Juniper")
        'Hello, this is Juniper.'
        """
        text = self.texts.get(language) or next(iter(self.texts.values()), "")

        def put(place: re.Match[str]) -> str:
            name = names.get(place[2], "")
            return place[1] + name if name else ""

        return _PLACE.sub(put, text)


class Shelf:
    """The ready answers of a tenant."""

    def __init__(self, store: Store, tenant: str) -> None:
        self._sessions = store.tables(Base.metadata)
        self._tenant = tenant

    def all(self) -> list[Canned]:
        """All of them, by title."""
        wanted = sa.select(CannedRow).where(CannedRow.tenant == self._tenant).order_by(CannedRow.title)
        with self._sessions() as session:
            return [Canned(row.title, json.loads(row.texts)) for row in session.scalars(wanted)]

    def save(self, title: str, texts: Mapping[str, str]) -> None:
        """Keeps an answer under its title, instead of what stood there.

        Raises:
            BadInput: it has no title or no text, is too long, or has a place for something nobody knows.
        """
        title = " ".join(title.split())
        kept = {language: text.strip() for language, text in texts.items() if text.strip()}
        problems = []
        if not 0 < len(title) <= _TITLE_CHARS:
            problems.append(f"The title has 1 to {_TITLE_CHARS} characters.")
        if not kept or any(len(text) > _TEXT_CHARS for text in kept.values()):
            problems.append(f"The text has 1 to {_TEXT_CHARS} characters in at least one language.")
        strange = {place for text in kept.values() for _, place in _PLACE.findall(text)} - set(PLACES)
        if strange:
            problems.append(f"Nobody knows {', '.join(sorted(strange))}; there is {', '.join(PLACES)}.")
        if problems:
            raise BadInput(" ".join(problems))
        with self._sessions.begin() as session:
            session.merge(CannedRow(tenant=self._tenant, title=title, texts=json.dumps(kept, ensure_ascii=False)))

    def remove(self, title: str) -> None:
        """Removes one; nothing happens where there is none."""
        with self._sessions.begin() as session:
            session.execute(sa.delete(CannedRow).where(CannedRow.tenant == self._tenant, CannedRow.title == title))
