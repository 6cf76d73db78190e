"""The words of a catalogue's names and short fields: which rows have the words of a request, the rarest counting most.

Not a filter (`table.py`): a row without the words stays, it only ranks lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assistant.goods import Item
from assistant.language import content_words
from assistant.recommend.cells import cell
from assistant.recommend.log import Floats, Ints

_FIELDS = ("name", "category", "brand", "colour", "material", "topic", "genres", "tags")


@dataclass(frozen=True, slots=True)
class Lexical:
    """Word `places[w]` stands in rows `rows[starts[w] : starts[w + 1]]`, of `n` in all."""

    places: dict[str, int]
    starts: Ints
    rows: Ints
    n: int

    @classmethod
    def of(cls, items: Sequence[Item]) -> Lexical:
        """The words of these items."""
        places: dict[str, int] = {}
        rows: list[int] = []
        columns: list[int] = []
        for row, item in enumerate(items):
            for word in set(content_words(" ".join(filter(None, (cell(item, name) for name in _FIELDS))))):
                rows.append(row)
                columns.append(places.setdefault(word, len(places)))
        often = np.bincount(np.array(columns, dtype=np.int64), minlength=len(places))
        order = np.argsort(np.array(columns, dtype=np.int64), kind="stable")
        return cls(places, np.concatenate([[0], np.cumsum(often)]), np.array(rows, dtype=np.int64)[order], len(items))

    def scores(self, text: str) -> Floats | None:
        """(n,) the sum of the inverse document frequencies of the words that each row has; None where none has any."""
        words = sorted({self.places[word] for word in content_words(text) if word in self.places})
        if not words:
            return None
        total = np.zeros(self.n)
        for word in words:
            rows = self.rows[self.starts[word] : self.starts[word + 1]]
            total[rows] += np.log(1 + self.n / len(rows))
        return total

    def best(self, text: str, n: int) -> Ints:
        """The `n` rows with the rarest and most of its words."""
        total = self.scores(text)
        if total is None:
            return np.zeros(0, dtype=np.int64)
        some = np.argpartition(-total, min(n, self.n) - 1)[:n]
        return np.asarray(some[total[some] > 0], dtype=np.int64)
