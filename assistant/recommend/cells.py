"""What a cell of a catalogue says: whether it holds a value that was asked for, in any of its spellings; the price,
stock or weight in a file's cell. Pure.

Not which rows of a catalogue satisfy a condition: that is `table.py`. Which column is which: `catalog.py`.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from decimal import Decimal

from assistant.goods import Item
from assistant.language import content_words, simplified, stem
from assistant.recommend.lexicon import FALSE, TERMS, TRUE, Term

TEXT_FIELDS = ("id", "name", "category", "brand", "colour", "size", "description")
_LETTERS = ("xxxs", "xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl", "4xl")
_RANGE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s*(?:-|–|to|bis|至|~)\s*(\d+(?:\.\d+)?)(?![\d.])")
_PLURALS = {
    "knives": "knife", "leaves": "leaf", "lenses": "lens", "loaves": "loaf", "scarves": "scarf", "shelves": "shelf",
}  # fmt: skip
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_NUMBER = re.compile(r"(?<![\w.,])[.,]\d+|\d+(?:[.,]\d+|[ '’]\d{3}(?!\d))*")
_CURRENCIES = {  # the first that a price has
    "hk$": "HKD", "nt$": "TWD", "nz$": "NZD", "us$": "USD", "ca$": "CAD", "c$": "CAD", "au$": "AUD", "a$": "AUD",
    "s$": "SGD", "r$": "BRL", "€": "EUR", "$": "USD", "£": "GBP", "¥": "CNY", "元": "CNY", "eur": "EUR", "usd": "USD",
    "cny": "CNY", "rmb": "CNY", "人民币": "CNY", "gbp": "GBP",
}  # fmt: skip
_POINTED = re.compile(
    r"€|eur|r\$|₺|₫|(?<![a-z])(?:kr|dkk|nok|sek|zł|pln|kč|czk|lei|ron|tl|try|ft|huf|rp|idr|brl)(?![a-z])"
)
"""Whose prices have a point between the thousands."""
_LATIN, _HAN = r"([A-Za-z0-9][A-Za-z0-9&'. -]*)", "([\u3400-\u9fff]+)"
_TWO_SCRIPTS = re.compile(rf"{_LATIN}[\s/|·(（]*{_HAN}[)）]?|{_HAN}[\s/|·(（]*{_LATIN}[)）]?")
_COUNTRY = re.compile(r".*国|日本|意大利|瑞士|瑞典|丹麦|荷兰|西班牙|澳洲|台湾|香港|进口|国产")
_TIMES = {"万": 10_000, "萬": 10_000, "千": 1000, "k": 1000}
_STOCKS: dict[str, int | None] = {
    **dict.fromkeys(("in stock", "instock", "yes", "true", "available", "有货", "现货")),
    **dict.fromkeys(("backorder", "onbackorder", "on backorder", "parent")),  # WooCommerce's
    **dict.fromkeys(("out of stock", "outofstock", "no", "false", "sold out", "缺货", "售罄"), 0),
}


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
    """Lower case, one width, straight apostrophes, simplified characters."""
    return simplified(unicodedata.normalize("NFKC", text).replace("’", "'").casefold())


def singular(word: str) -> str:
    """`language.stem`, and one form for dress and dresses, knife and knives. Retrieval is tuned without these.

    >>> singular("harnesses"), singular("harness"), singular("shelves"), singular("gloves")
    ('harness', 'harness', 'shelf', 'glove')
    """
    word = stem(_PLURALS.get(word, word))
    return word[:-1] if len(word) > 3 and word.endswith(("sse", "she", "che", "xe", "zze")) else word


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
    wanted = [singular(word) for word in WORD.findall(term)]
    said = [singular(word) for word in WORD.findall(text)]
    n = len(wanted)
    return bool(n) and any(said[start : start + n] == wanted for start in range(len(said) - n + 1))


def halves(brand: str) -> list[str]:
    """The names of a brand that is written in Latin letters and in Chinese; a country beside one is none.

    >>> halves("EHEIM 伊罕"), halves("苹果（Apple）"), halves("德国Sera"), halves("The North Face")
    (['EHEIM', '伊罕'], ['苹果', 'Apple'], ['Sera'], [])
    """
    found = _TWO_SCRIPTS.fullmatch(brand.strip())
    parts = [one.strip() for one in found.groups() if one] if found else []
    return [one for one in parts if len(one) > 1 and content_words(one) and not _COUNTRY.fullmatch(one)]


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
        letters = list(re.finditer(r"\b[2-4]?x*[sml]\b", said))
        if all(one.group() in {"m", "l"} and re.search(r"\d\s*$", said[: one.start()]) for one in letters):
            return False  # "10 m", "0.5 l"
        place = _LETTERS.index(wanted)
        for low, high in re.findall(r"\b([2-4]?x*[sml])\s*(?:-|–|to)\s*([2-4]?x*[sml])\b", said):
            low, high = _letter(low), _letter(high)
            if low in _LETTERS and high in _LETTERS and _LETTERS.index(low) <= place <= _LETTERS.index(high):
                return True
        return wanted in {_letter(one.group()) for one in letters}
    return contains(said, wanted)


def _letter(size: str) -> str:
    return re.sub(r"^([2-3])x", lambda found: "x" * int(found[1]), size)


def price(text: str) -> tuple[Decimal | None, str]:
    """(amount, currency) of a price cell: 1.299,00 € and 1,299.00 are the same. Raises ValueError.

    >>> price("1.299,00 €"), price("29.90"), price("¥1.2万")
    ((Decimal('1299.00'), 'EUR'), (Decimal('29.90'), ''), (Decimal('12000'), 'CNY'))
    """
    text = unicodedata.normalize("NFKC", text).strip()
    if not text:
        return None, ""
    said = text.lower()
    found = list(_NUMBER.finditer(said))
    if not found:
        raise ValueError(f"the price {text!r} is not a number")
    if len(found) > 1:
        raise ValueError(f"the price {text!r} holds more than one number")
    before, after = said[: found[0].start()], said[found[0].end() :]
    if re.search(r"[-−]", before):
        raise ValueError(f"the price {text!r} is negative")
    currency = next((code for sign, code in _CURRENCIES.items() if sign in said), "")
    digits = re.sub(r"[ '’]", "", found[0].group())
    marks = re.findall(r"[.,]", digits)
    # Three digits after the last mark are thousands, but after a point alone only where such prices have points there.
    if marks and re.search(r"[.,]\d{3}$", digits):
        decimal = marks == ["."] and not (_POINTED.search(said) and digits[0] != "0")
    else:
        decimal = bool(marks)
    whole, _, rest = digits.rpartition(marks[-1]) if decimal else (digits, "", "")
    amount = Decimal(re.sub(r"[.,]", "", whole) + (f".{rest}" if rest else ""))
    if times := re.match(r"\s*(万|萬|千|k\b)", after):
        amount *= _TIMES[times[1]]
        amount = amount.to_integral_value() if amount == amount.to_integral_value() else amount
    return amount, currency


def stock(text: str) -> int | None:
    """How many there are; None where the cell does not count them: "in stock" is no number. Raises ValueError."""
    said = text.strip().lower()
    if not said or said in _STOCKS:
        return _STOCKS.get(said)
    try:
        return max(0, int(float(said.replace(",", ""))))
    except (ValueError, OverflowError):
        raise ValueError(f"the stock {text!r} is not a number") from None


def grams(text: str, factor: int) -> str:
    """A weight of grams (kilograms where `factor` is 1000) in grams; the cell as it is where it is no number.

    >>> grams("1,200", 1), grams("0,35", 1000), grams("about a kilo", 1)
    ('1200', '350', 'about a kilo')
    """
    if factor == 1 and re.fullmatch(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?", text):
        text = text.replace(",", "")
    try:
        return f"{float(text.replace(',', '.')) * factor:g}"
    except ValueError:
        return text
