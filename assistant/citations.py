"""Proof: whether a sentence is supported by spans of stored passages, and which. Pure.

Word overlap is not support. A sentence passes only when one sentence of a passage, or one row of a
table, says all it says (`claims.py`). The rules refuse when in doubt: a refused
sentence is replaced by the quote itself, so refusing costs style and passing costs truth.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assistant import claims, language
from assistant.types import Citation, Passage


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a passage: `passage.text[start:end]`."""

    passage: Passage
    start: int
    end: int

    @property
    def text(self) -> str:
        """The quote, byte for byte."""
        return self.passage.text[self.start : self.end]

    def cite(self, answer_start: int, answer_end: int) -> Citation:
        """The citation of this span for a part of the answer."""
        return Citation(
            passage_id=self.passage.id,
            document=self.passage.document,
            start=self.start,
            end=self.end,
            quote=self.text,
            page=self.passage.page,
            answer_start=answer_start,
            answer_end=answer_end,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The span that supports a sentence, or why there is none."""

    span: Span | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span and what it says. Of a row, `says` has the row's name in front, and `name` is that name's words."""

    span: Span
    says: str
    name: frozenset[str] = frozenset()


def support(sentence: str, passages: Sequence[Passage]) -> Verdict:
    """The best span of the passages that supports the sentence, or the reason of the nearest miss.

    The shortest evidence that is enough wins.
    """
    nearest = Verdict(None, "nothing in the passages says this")
    nearest_coverage = 0.0
    words = frozenset(language.words(sentence))
    for passage in passages:
        for evidence in evidences(passage):
            covered = claims.coverage(sentence, evidence.says)
            if covered < 0.5:
                continue
            problem = claims.objection(sentence, evidence.says)
            if not problem and not evidence.name <= words:
                problem = "it does not say which row of the table it speaks of"
            if not problem:
                return Verdict(evidence.span)
            if covered >= nearest_coverage:
                nearest, nearest_coverage = Verdict(None, problem), covered
    return nearest


@functools.lru_cache(maxsize=256)
def evidences(passage: Passage) -> tuple[Evidence, ...]:
    """What may prove a sentence: a sentence, a cell of a row, a whole row.

    A row is one record: a cell proves nothing without its row's name. Neighbours prove nothing
    together: what the one is about would be lent to the other. A question or a heading says nothing.
    """
    headings = {heading.strip().casefold() for heading in passage.headings}
    lines = [] if _LIST.search(passage.text) else language.fields(passage.text)
    if lines:
        return tuple(_row(passage, lines))
    found: list[Evidence] = []
    for start, end in language.sentences(passage.text):
        span = Span(passage, start, end)
        cells = language.cells(passage.text, start, end)
        if cells:
            found += _row(passage, cells)
        elif not claims.is_question(span.text) and span.text.strip("# ").casefold() not in headings:
            found.append(Evidence(span, span.text))
    return tuple(found)


def _row(passage: Passage, cells: Sequence[tuple[int, int]]) -> Iterator[Evidence]:
    """Each cell under the row's name, then the whole row as it stands and as what it says."""
    spans = [Span(passage, start, end) for start, end in cells]
    title = re.split("[:：]", spans[0].text, maxsplit=1)[-1].strip()
    name = frozenset(language.words(title))
    yield from (Evidence(span, f"{title}\n{span.text}", name) for span in spans[1:])
    whole = Span(passage, cells[0][0], cells[-1][1])
    yield Evidence(whole, whole.text, name)
    yield Evidence(whole, "\n".join([title, *(span.text for span in spans[1:])]), name)


_LIST = re.compile(r"^[-*•·] ", re.MULTILINE)
