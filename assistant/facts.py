"""The facts of a text: numbers, prices, dates, links and addresses, each in one spelling. Pure.

A fact is what must never be invented. Here they are found and made comparable; whether a sentence may
say them is `claims.py`. The words they are compared beside are folded here too, so that "returned" and
"returning" are one word.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from assistant import language

_URL = r"(?:https?://|www\.)[^\s<>\"'）)\]]+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|net|org|eu|de|cn|io|example|shop|co\.uk)\b(?:/[^\s<>\"')\]]*)?"
_EMAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_NUMBER = r"\d+(?:[.,:/\-]\d+)*"
_FACT = re.compile(f"{_EMAIL}|{_URL}|{_NUMBER}", re.IGNORECASE)
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
    if value > 1  # "one" and "zero" are seldom quantities
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90", "hundred": "100", "thousand": "1000"}
_HAN_DIGITS = {han: str(value) for value, han in enumerate("零一二三四五六七八九十")} | {"两": "2"}
_HAN_NUMBER = re.compile(r"([零一二两三四五六七八九十]{1,3})(?=[天日月年周个件次欧元小时分钟倍位人折份%])")
_MONTHS = "january february march april may june july august september october november december".split()
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()


@functools.lru_cache(maxsize=4096)
def facts(text: str) -> frozenset[str]:
    """The numbers, prices, dates, links and e-mail addresses of a text, in one spelling each.

    >>> sorted(facts("Within thirty days, €4.90 or 1,200.00 EUR; write to a@b.example"))
    ['1200', '30', '4.9', 'a@b.example']
    """
    text = unicodedata.normalize("NFKC", text)
    found = {_spell(match.group()) for match in _FACT.finditer(text)}
    lowered = re.findall(r"[a-z]+", text.lower())
    found |= {_NUMBER_WORDS[word] for word in lowered if word in _NUMBER_WORDS}
    found |= {word for word in lowered if word in _DAYS or (word in _MONTHS and word not in {"may", "march"})}
    found |= {_han_value(match.group(1)) for match in _HAN_NUMBER.finditer(text)}
    return frozenset(found)


def unsupported_facts(text: str, evidence: Sequence[str]) -> list[str]:
    """The facts of a text that no piece of evidence contains, sorted."""
    known = frozenset().union(*(facts(piece) for piece in evidence))
    return sorted(facts(text) - known)


def _spell(fact: str) -> str:
    fact = fact.lower().rstrip(".,:/-")
    if "@" in fact or not fact[:1].isdigit() or re.search(r"[a-z:/]", fact):
        return fact
    digits = re.sub(r"(?<=\d),(?=\d{3}(?:\D|$))", "", fact).replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", digits):
        digits = digits.rstrip("0").rstrip(".")
    return digits.lstrip("0") or "0"


def _han_value(han: str) -> str:
    if "十" not in han or han == "十":
        return "".join(_HAN_DIGITS[digit] for digit in han)
    tens, _, ones = han.partition("十")
    return str(10 * int(_HAN_DIGITS.get(tens, "1")) + int(_HAN_DIGITS.get(ones, "0")))


def numbers(text: str) -> Counter[str]:
    """How often each number stands there: "48 to 48" is not "43 to 48"."""
    return Counter(_spell(found) for found in re.findall(_NUMBER, unicodedata.normalize("NFKC", text)))


def subjects(text: str) -> frozenset[tuple[str, str]]:
    """Each number with the content word before it."""
    pairs = set()
    for match in re.finditer(_NUMBER, text):
        before = [
            word
            for word in language.content_words(text[max(0, match.start() - 40) : match.start()])
            if not word[0].isdigit()
        ]
        pairs |= {(root(fold(word)), _spell(match.group())) for word in before[-1:]}
    return frozenset(pairs)


_UNIT = re.compile(r"(€|\$|£|¥)?\s?(\d+(?:[.,]\d+)*)[ \u00a0-]?(%|€|\$|£|¥|[a-z]+|[\u4e00-\u9fff])?", re.IGNORECASE)


def amounts(text: str) -> dict[str, list[str]]:
    """The numbers of each unit ("" = none), in the order of the text.

    >>> amounts("3 years on tents, 2 years on boots, from 50 EUR")
    {'year': ['3', '2'], '€': ['50']}
    """
    found: dict[str, list[str]] = {}
    for before, number, after in _UNIT.findall(unicodedata.normalize("NFKC", text)):
        unit = before or "".join(language.content_words(after))
        unit = {"eur": "€", "euro": "€", "percent": "%", "欧": "€", "元": "¥", "日": "天"}.get(unit, unit)
        found.setdefault(unit, []).append(_spell(number))
    return found


@functools.lru_cache(maxsize=8192)
def terms(text: str) -> frozenset[str]:
    """The content words of a text, each folded."""
    return frozenset(fold(word) for word in language.content_words(text))


def fold(word: str) -> str:
    """One form for the verbs of a shop: refunded, refund."""
    return _SYNONYM.get(word, word)


def root(term: str) -> str:
    """A word without its commonest endings: returned, returning, return; payment stays apart from pay."""
    if not term.isascii() or len(term) < 5:
        return term
    return re.sub(r"(?:ing|ed|es|(?<!s)s|e|ly)$", "", term)


_SYNONYM = {
    "euro": "eur", "refunded": "refund", "refunding": "refund", "returned": "return", "returning": "return",
    "delivered": "delivery", "deliver": "delivery", "shipped": "ship", "shipping": "ship", "paid": "pay", "payment": "pay",
    "sent": "send", "bought": "buy", "covered": "cover", "covers": "cover", "charged": "charge", "repaired": "repair",
    "replaced": "replace", "exchanged": "exchange", "cancelled": "cancel", "ordered": "order", "orders": "order",
}  # fmt: skip
