"""Hard conditions: what they mean, applied to a whole catalogue at once, and which to relax when nothing is left.

A condition is decided on the row's own cells, never by a score: what it refuses is not recommended. The text
form (`price < 100; colour = blue | navy; material != leather`) is what a reader sees and may edit. Where
requests are understood is `requests.py`.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from assistant.errors import BadInput
from assistant.goods import Condition, Item, Relaxation, Test
from assistant.language import stem
from assistant.recommend.lexicon import FALSE, TERMS, TRUE, Term
from assistant.registry import did_you_mean

Mask = npt.NDArray[np.bool_]
TEXT_FIELDS = ("id", "name", "category", "brand", "colour", "size", "description")
_LETTERS = ("xxxs", "xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl", "4xl")
_SIGNS: dict[str, Test] = {
    "!=": "not",
    "<=": "<=",
    ">=": ">=",
    "≤": "<=",
    "≥": ">=",
    "≠": "not",
    "<": "<",
    ">": ">",
    "=": "is",
}
_MASKS = 256
"""Conditions whose rows are remembered: customers ask for the same things."""
_RANGE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s*(?:-|–|to|bis|至|~)\s*(\d+(?:\.\d+)?)(?![\d.])")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


class Table:
    """A catalogue by columns. `rows` is the order of the items that every other part counts in."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = tuple(items)
        self.row = {item.id: row for row, item in enumerate(self.items)}
        names = dict.fromkeys(name for item in self.items for name in item.attributes)
        self.attributes = tuple(name for name in names if name not in TEXT_FIELDS)
        self.with_requirements = tuple(row for row, item in enumerate(self.items) if item.requires)
        self.price = _numbers([item.price for item in self.items])
        self.stock = _numbers([item.stock for item in self.items])
        self._columns: dict[str, tuple[npt.NDArray[np.int64], list[str]]] = {}
        self._masks: dict[Condition, Mask] = {}
        self._values: dict[str, npt.NDArray[np.float64]] = {"price": self.price, "stock": self.stock}

    def __len__(self) -> int:
        return len(self.items)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields a condition may name."""
        return ("price", "stock", *TEXT_FIELDS, *self.attributes)

    def column(self, field: str) -> tuple[npt.NDArray[np.int64], list[str]]:
        """(codes (n,), the distinct cells): each cell is looked at once, however many rows have it."""
        if field not in self._columns:
            cells = [cell(item, field) for item in self.items]
            distinct = {value: code for code, value in enumerate(dict.fromkeys(cells))}
            self._columns[field] = np.array([distinct[value] for value in cells], dtype=np.int64), list(distinct)
        return self._columns[field]

    def numbers(self, field: str) -> npt.NDArray[np.float64]:
        """(n,) of a numeric column, NaN where the row has no number."""
        if field not in self._values:
            codes, distinct = self.column(field)
            self._values[field] = np.array([_number(value) for value in distinct] or [np.nan])[codes]
        return self._values[field]

    def is_numeric(self, field: str) -> bool:
        """Whether all cells of a column that hold anything are plain numbers."""
        if field in {"price", "stock"}:
            return True
        filled = [value for value in self.column(field)[1] if value]
        return bool(filled) and all(re.fullmatch(r"-?\d+(\.\d+)?", value) for value in filled)

    def mask(self, condition: Condition) -> Mask:
        """(n,) the rows that satisfy a condition, read-only. A row without the field satisfies only `not`."""
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
            return kept & ~np.isnan(numbers)
        codes, distinct = self.column(condition.field)
        whole = {value.casefold() for value in distinct}
        good = [
            any(holds(condition.field, value, text, whole=value.casefold() in whole) for value in condition.values)
            for text in distinct
        ]
        found: Mask = np.array(good or [False], dtype=np.bool_)[codes] if len(codes) else np.zeros(0, np.bool_)
        return ~found if condition.test == "not" else found

    def allowed(self, conditions: Sequence[Condition]) -> Mask:
        """(n,) the rows that satisfy all of them."""
        kept = np.ones(len(self.items), dtype=np.bool_)
        for condition in conditions:
            kept &= self.mask(condition)
        return kept

    def relax(self, conditions: Sequence[Condition]) -> tuple[Relaxation, ...]:
        """For each condition how many items there would be without it, the most first; those that help."""
        masks = [self.mask(condition) for condition in conditions]
        found = []
        for number, condition in enumerate(conditions):
            others = [mask for place, mask in enumerate(masks) if place != number]
            left = int(np.logical_and.reduce(others).sum()) if others else len(self.items)
            if left:
                found.append(Relaxation(condition, left))
        return tuple(sorted(found, key=lambda one: -one.items))


def cell(item: Item, field: str) -> str:
    """What a row says in a field; names in all languages are one cell."""
    if field == "name":
        return " / ".join([item.name, *item.names.values()])
    if field == "price":
        return "" if item.price is None else str(item.price)
    if field == "stock":
        return "" if item.stock is None else str(item.stock)
    if field in TEXT_FIELDS:
        return str(getattr(item, field))
    return item.attributes.get(field, "")


def holds(field: str, value: str, text: str, *, whole: bool = False) -> bool:
    """Whether a cell says a value: `whole` where the value is one of the column's own cells.

    >>> holds("colour", "blue", "night blue"), holds("material", "leather", "synthetic leather, membrane")
    (True, False)
    >>> holds("size", "43", "40-47, half sizes"), holds("size", "M", "XS-XL"), holds("waterproof", "yes", "10000 mm")
    (True, True, True)
    """
    if field == "size":
        return _fits(value, text)
    if field not in TEXT_FIELDS and value.casefold() in {"yes", "no"}:
        return is_true(text) == (value.casefold() == "yes")
    if whole and field not in {"colour", "material"} and value not in TERMS.get(field, {}):
        return value.casefold() in {text.casefold(), *(part.strip().casefold() for part in re.split(r"[|;/]", text))}
    term = TERMS.get(field, {}).get(value.casefold(), Term((value,), (value,)))
    said = normal(text)
    for never in term.never:
        said = said.replace(normal(never), " ")
    if field in {"category", "brand"} and normal(value).strip() == said.strip():
        return True
    return any(contains(said, one) for one in term.cells or term.words)


@functools.lru_cache(maxsize=1 << 18)
def normal(text: str) -> str:
    """Lower case, one width, straight apostrophes."""
    return unicodedata.normalize("NFKC", text).replace("’", "'").casefold()


def contains(text: str, term: str) -> bool:
    """Whether `text` (normal) has the words of a term in a row, plurals alike; Chinese as it stands.

    >>> contains("shale sandal men", "sandals"), contains("women", "men")
    (True, False)
    """
    term = normal(term)
    if not term.isascii():
        return term in text
    if term[:2] not in text:  # most cells, told apart without cutting them into words
        return False
    wanted = [stem(word) for word in _WORD.findall(term)]
    said = [stem(word) for word in _WORD.findall(text)]
    n = len(wanted)
    return bool(n) and any(said[start : start + n] == wanted for start in range(len(said) - n + 1))


def is_true(text: str) -> bool:
    """Whether a cell says yes: "yes, membrane", "10000 mm", "IPX7"; not "no, water-repellent", not "IPX4".

    A rating against water counts from IPX5 on, a water column from 1 mm on; what only repels does not count.
    """
    said = normal(text).strip()
    first = re.split(r"[\s,;:(]", said, maxsplit=1)[0]
    if not said or first in FALSE:
        return False
    rating = re.match(r"ip[x\d](\d)", said)
    if rating:
        return int(rating[1]) >= 5
    return first in TRUE or first == "waterproof" or bool(re.match(r"\d+(\.\d+)?\s*(mm|atm|m)\b", said))


def _fits(value: str, text: str) -> bool:
    """Whether a size is one of those that a cell names, as a list or as a range."""
    wanted, said = normal(value).strip(), normal(text)
    if not said:
        return False
    if re.fullmatch(r"\d+(?:\.\d+)?", wanted):
        number = float(wanted)
        if any(float(low) <= number <= float(high) for low, high in _RANGE.findall(said)):
            return number.is_integer() or "half" in said
        return any(float(one) == number for one in re.findall(r"\d+(?:\.\d+)?", _RANGE.sub(" ", said)))
    if wanted in _LETTERS:
        place = _LETTERS.index(wanted)
        for low, high in re.findall(r"\b([2-4]?x*[sml])\s*(?:-|–|to)\s*([2-4]?x*[sml])\b", said):
            low, high = _letter(low), _letter(high)
            if low in _LETTERS and high in _LETTERS and _LETTERS.index(low) <= place <= _LETTERS.index(high):
                return True
        return wanted in {_letter(word) for word in re.findall(r"\b[2-4]?x*[sml]\b", said)}
    return contains(said, wanted)


def _letter(size: str) -> str:
    return re.sub(r"^([2-3])x", lambda found: "x" * int(found[1]), size)


def to_text(conditions: Sequence[Condition]) -> str:
    """The text form.

    >>> to_text([Condition("price", "<", ("100",)), Condition("colour", "not", ("blue", "navy"))])
    'price < 100; colour != blue | navy'
    """
    signs = {"is": "=", "not": "!="}
    return "; ".join(f"{one.field} {signs.get(one.test, one.test)} {' | '.join(one.values)}" for one in conditions)


def from_text(text: str, table: Table) -> tuple[Condition, ...]:
    """The conditions of a text form, as `to_text` writes it.

    Raises:
        BadInput: lists every part that is none, and the field that was meant.
    """
    found, problems = [], []
    for part in re.split(r"[;；\n]", text):
        if not part.strip():
            continue
        sign = re.search(r"!=|<=|>=|[≤≥≠<>=]", part)
        if sign is None:
            problems.append(f"{part.strip()!r} has none of = != < <= > >=")
            continue
        field, test = part[: sign.start()].strip().lower(), _SIGNS[sign.group()]
        values = tuple(value.strip() for value in re.split(r"[|,，、]", part[sign.end() :]) if value.strip())
        problem = _problem(field, test, values, table)
        if problem:
            problems.append(problem)
        else:
            found.append(Condition(field, test, values))
    if problems:
        raise BadInput(
            f"The filter cannot be read: {'; '.join(problems)}.", hint="For example: price < 100; colour = blue"
        )
    return tuple(found)


def checked(conditions: Sequence[Condition], table: Table) -> tuple[Condition, ...]:
    """The conditions as they are.

    Raises:
        BadInput: one names no field of this catalogue, or no number where one is needed.
    """
    problems = [_problem(one.field, one.test, one.values, table) for one in conditions]
    if any(problems):
        raise BadInput(f"The filter is wrong: {'; '.join(filter(None, problems))}.")
    return tuple(conditions)


def _problem(field: str, test: str, values: Sequence[str], table: Table) -> str:
    if field not in table.fields:
        return f"there is no field {field!r}. {did_you_mean(field, table.fields)}"
    if test not in _SIGNS.values():
        return f"there is no test {test!r}"
    if not values:
        return f"{field!r} is compared with nothing"
    if test not in {"is", "not"} and (len(values) != 1 or np.isnan(_number(values[0]))):
        return f"{field} {test} needs one number, not {' | '.join(values)!r}"
    return ""


def merged(old: Sequence[Condition], new: Sequence[Condition]) -> tuple[Condition, ...]:
    """The old conditions with the new ones, which win: one bound a side of a number, one choice a field."""

    def side(one: Condition) -> tuple[str, str]:
        return one.field, {"<=": "<", ">=": ">"}.get(one.test, one.test)

    def replaced(one: Condition) -> bool:
        return any(side(one) == side(other) and other.test != "not" for other in new)

    kept = [one for one in old if not replaced(one) and one not in new]
    return (*kept, *new)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _numbers(values: Sequence[object]) -> npt.NDArray[np.float64]:
    return np.array([np.nan if value is None else float(str(value)) for value in values], dtype=np.float64)
