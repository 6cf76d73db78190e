"""A catalogue by columns: which rows satisfy hard conditions, and which condition to relax when none does.

A condition is decided on the row's own cells (`cells.py`), never by a score: what it refuses is not recommended.
Each distinct cell is looked at once, however many rows have it; where nearly every row has its own (names), the
cells with a word are found by an index of words. What was asked once is remembered.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from assistant.goods import Condition, Item, Relaxation
from assistant.recommend.cells import TEXT_FIELDS, WORD, cell, contains, holds, normal, singular
from assistant.recommend.lexicon import TERMS, Term
from assistant.recommend.log import Ints, Mask

_MASKS = 256
"""Conditions whose rows are remembered: customers ask for the same things."""
_FEW = 1000
"""So many distinct cells are read one by one; of more, those that the index of words names."""
_HAN = re.compile(r"[\u3400-\u9fff]")


class Column:
    """One field of a catalogue: `cells` are its distinct texts, `codes` (n,) say which of them each row has."""

    def __init__(self, texts: Iterable[str]) -> None:
        known: dict[str, int] = {}
        self.codes: Ints = np.array([known.setdefault(text, len(known)) for text in texts], dtype=np.int64)
        self.cells = list(known)
        self._whole = {text.casefold() for text in self.cells}
        self._said: list[str] = []
        self._places: dict[str, list[int]] = {}

    def mask(self, field: str, values: Sequence[str]) -> Mask:
        """(cells,) whether each holds any of the values."""
        found = np.zeros(len(self.cells), dtype=np.bool_)
        for value in values:
            whole = value.casefold() in self._whole
            asks = field == "size" or (field not in TEXT_FIELDS and value.casefold() in {"yes", "no"})
            if len(self.cells) <= _FEW or asks:
                found |= [holds(field, value, text, whole=whole) for text in self.cells]
            else:
                found |= self._looked_up(field, value, whole=whole)
        return found

    def index(self) -> None:
        """Builds the index of words, which the first condition that needs it would wait for."""
        if len(self.cells) <= _FEW or self._said:
            return
        for code, text in enumerate(self.cells):
            said = normal(text)
            for word in {*map(singular, WORD.findall(said)), *_HAN.findall(said)}:
                self._places.setdefault(word, []).append(code)
            self._said.append(said)

    def _looked_up(self, field: str, value: str, *, whole: bool) -> Mask:
        """As `holds` of every cell, but only those that may change its mind are read."""
        self.index()
        found = np.zeros(len(self.cells), dtype=np.bool_)
        if whole and field not in {"colour", "material"} and value not in TERMS.get(field, {}):
            doubtful = [code for code, said in enumerate(self._said) if normal(value) in said]
        else:
            term = TERMS.get(field, {}).get(value.casefold(), Term((value,), (value,)))
            for one in term.cells or term.words:
                found[self._saying(normal(one))] = True
            never = [normal(one) for one in term.never]
            doubtful = [
                code for code in np.flatnonzero(found).tolist() if any(one in self._said[code] for one in never)
            ]
        for code in doubtful:
            found[code] = holds(field, value, self.cells[code], whole=whole)
        return found

    def _saying(self, term: str) -> list[int]:
        """The cells with the words of a term (normal) in a row, as `cells.contains`."""
        if not term.isascii():
            signs = set(_HAN.findall(term))
            some = self._with_all(signs) if signs else list(range(len(self.cells)))
            return [code for code in some if term in self._said[code]]
        wanted = [singular(word) for word in WORD.findall(term)]
        return [code for code in self._with_all(wanted) if len(wanted) == 1 or contains(self._said[code], term)]

    def _with_all(self, words: Iterable[str]) -> list[int]:
        """The cells that have every one of the words."""
        found = sorted((self._places.get(word, []) for word in words), key=len)
        if len(found) <= 1 or not found[0]:
            return found[0] if found else []
        return sorted(set(found[0]).intersection(*found[1:]))


def in_one_currency(items: Sequence[Item]) -> list[Item]:
    """The items; where all prices that say a currency say the same, the others are in it, too."""
    said = {item.currency for item in items if item.currency}
    if len(said) != 1:
        return list(items)
    ours = said.pop()
    return [item if item.currency or item.price is None else dataclasses.replace(item, currency=ours) for item in items]


class Table:
    """A catalogue by columns. `items` is the order of the rows that every other part counts in."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = tuple(items)
        self.row = {item.id: row for row, item in enumerate(self.items)}
        names = dict.fromkeys(name for item in self.items for name in item.attributes)
        self.attributes = tuple(name for name in names if name not in TEXT_FIELDS)
        self.price = _numbers([item.price for item in self.items])
        self.stock = _numbers([item.stock for item in self.items])
        self.counts_stock = not bool(np.isnan(self.stock).all())
        self.currency = next((item.currency for item in self.items if item.currency), "")
        needs = [(row, self.row.get(name, -1)) for row, item in enumerate(self.items) for name in item.requires]
        self._needs = np.array(needs, dtype=np.int64).reshape(-1, 2)
        self._columns: dict[str, Column] = {}
        self._masks: dict[Condition, Mask] = {}
        self._values: dict[str, npt.NDArray[np.float64]] = {"price": self.price, "stock": self.stock}

    def __len__(self) -> int:
        return len(self.items)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields a condition may name."""
        return ("price", "stock", *TEXT_FIELDS, *self.attributes)

    def column(self, field: str) -> Column:
        """The distinct cells of a field."""
        if field not in self._columns:
            self._columns[field] = Column(cell(item, field) for item in self.items)
        return self._columns[field]

    def numbers(self, field: str) -> npt.NDArray[np.float64]:
        """(n,) of a numeric column, NaN where the row has no number."""
        if field not in self._values:
            column = self.column(field)
            self._values[field] = _numbers([number(text) for text in column.cells])[column.codes]
        return self._values[field]

    def is_numeric(self, field: str) -> bool:
        """Whether all cells of a column that hold anything are plain numbers."""
        if field in {"price", "stock"}:
            return True
        filled = [text for text in self.column(field).cells if text]
        return bool(filled) and all(re.fullmatch(r"-?\d+(\.\d+)?", text) for text in filled)

    def mask(self, condition: Condition) -> Mask:
        """(n,) the rows that satisfy a condition, read-only.

        A row without the field satisfies only `not`; one whose stock is not counted also that there is any.
        """
        found = self._masks.get(condition)
        if found is None:
            found = self._mask(condition)
            found.flags.writeable = False
            self._masks = {**dict(list(self._masks.items())[1 - _MASKS :]), condition: found}
        return found

    def _mask(self, condition: Condition) -> Mask:
        if condition.test in {"<", "<=", ">", ">="}:
            numbers, limit = self.numbers(condition.field), float(condition.values[0])
            compared = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
            with np.errstate(invalid="ignore"):
                kept: Mask = compared[condition.test](numbers, limit)
            one, none = compared[condition.test](1, limit), compared[condition.test](0, limit)
            if condition.field == "stock" and one and not none:
                return kept | np.isnan(numbers)
            return kept & ~np.isnan(numbers)
        column = self.column(condition.field)
        found: Mask = column.mask(condition.field, condition.values)[column.codes]
        return ~found if condition.test == "not" else found

    def allowed(self, conditions: Sequence[Condition]) -> Mask:
        """(n,) the rows that satisfy all of them."""
        kept = np.ones(len(self.items), dtype=np.bool_)
        for condition in conditions:
            kept &= self.mask(condition)
        return kept

    def ready(self, done: Iterable[str]) -> Mask:
        """(n,) the rows whose every requirement is among these ids; what requires nothing is ready."""
        has = np.zeros(len(self.items) + 1, dtype=np.bool_)  # the last place: what is in no catalogue
        has[[self.row[name] for name in done if name in self.row]] = True
        kept = np.ones(len(self.items), dtype=np.bool_)
        kept[self._needs[~has[self._needs[:, 1]], 0]] = False
        return kept

    def relax(self, conditions: Sequence[Condition]) -> tuple[Relaxation, ...]:
        """For each condition how many items there would be without it, the most first; those that help."""
        masks = [self.mask(condition) for condition in conditions]
        found = []
        for place, condition in enumerate(conditions):
            others = [mask for other, mask in enumerate(masks) if other != place]
            left = int(np.logical_and.reduce(others).sum()) if others else len(self.items)
            if left:
                found.append(Relaxation(condition, left))
        return tuple(sorted(found, key=lambda one: -one.items))


def number(text: str) -> float | None:
    """A cell's number; None where it is none.

    >>> number("12.5"), number("a dozen")
    (12.5, None)
    """
    try:
        found = float(text)
    except ValueError:
        return None
    return None if np.isnan(found) else found


def _numbers(values: Sequence[object]) -> npt.NDArray[np.float64]:
    return np.array([np.nan if value is None else float(str(value)) for value in values], dtype=np.float64)
