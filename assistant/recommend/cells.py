"""What a cell of a catalogue says: whether it holds a value that was asked for, in any of its spellings. Pure.

Not which rows of a catalogue satisfy a condition: that is `table.py`.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from assistant.goods import Item
from assistant.language import stem
from assistant.recommend.lexicon import FALSE, TERMS, TRUE, Term

TEXT_FIELDS = ("id", "name", "category", "brand", "colour", "size", "description")
_LETTERS = ("xxxs", "xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl", "4xl")
_RANGE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s*(?:-|–|to|bis|至|~)\s*(\d+(?:\.\d+)?)(?![\d.])")
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


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
    wanted = [stem(word) for word in WORD.findall(term)]
    said = [stem(word) for word in WORD.findall(text)]
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
