"""Amounts in a request: "under 100", "between 50 and 80 euros", "500克以下", "三百元以内", as conditions on a field.

The unit decides the field: a currency or nothing is the price, grams are the weight, a word that is a numeric
column's own name is that column. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.goods import Condition, Test
from assistant.language import stem

AROUND = 0.2
"""How far "around 50" reaches to either side."""
_CURRENCIES = {
    "€": "EUR", "eur": "EUR", "euro": "EUR", "euros": "EUR", "欧元": "EUR", "欧": "EUR", "$": "USD", "usd": "USD",
    "dollar": "USD", "dollars": "USD", "bucks": "USD", "美元": "USD", "£": "GBP", "gbp": "GBP", "pound": "GBP",
    "pounds": "GBP", "英镑": "GBP", "¥": "CNY", "rmb": "CNY", "yuan": "CNY", "人民币": "CNY", "chf": "CHF",
}  # fmt: skip
_ANY_CURRENCY = ("元", "块钱", "块")  # said of any money
_SIGN = r"(?:€|\$|£|¥|eur|usd|gbp|chf|rmb)"
_UNIT = (  # behind 升 what counts no money; 米色 and 天蓝 are colours
    r"(?:€|\$|£|¥|元|块钱|块|欧元|欧|美元|英镑|人民币|公斤|千克|克|人|升|个|件|年|天(?!蓝)|小时|分钟|厘米|米(?![色白黄])|[a-z]+(?![a-z]))?"
)
_N = rf"(?:{_SIGN}\s*)?(\d+(?:[.,]\d+)?)\s*({_UNIT})"
_TO = r"\s*(?:-|–|—|~|to|and|up to|到|至|和)\s*"
_BELOW = r"under|below|less than|cheaper than|lower than|lighter than|shorter than|smaller than|beneath|低于|少于|小于|不到|轻于"
_AT_MOST = (
    r"up to|at most|(?:a )?max(?:imum)?(?: of)?|no more than|not more than|not over|not above|no higher than|within|"
    r"(?:my )?budget(?: is| of|:)?|for|不超过|不高于|最多|至多|最高|上限|别超过|不要超过|预算(?:是|为|在|有|只有|:)?"
)
_ABOVE = r"over|above|more than|greater than|higher than|exceeding|heavier than|longer than|高于|超过|大于|多于"
_AT_LEAST = r"at least|no less than|not less than|not under|not below|min(?:imum)?(?: of)?|starting at|from|至少|最少|不低于|不少于"
_ABOUT = r"around|about|roughly|approximately|approx\.?|circa|~|大约|大概|约"
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("between", rf"(?:(?:between|from|for|of|介于|在)\s*)?{_N}{_TO}{_N}\s*(?:之间|以内)?"),
    ("around", rf"(?:{_ABOUT})\s*{_N}|{_N}\s*(?:左右|上下)"),
    (">=", rf"(?:{_AT_LEAST})\s*{_N}|{_N}\s*(?:or more|and up|and above|以上|起)"),
    (
        "<=",
        rf"(?:{_AT_MOST})\s*{_N}|{_N}\s*(?:or less|(?:max|maximum|tops|at most)\b(?!\s*[\d€$£])|以下|以内|之内|之下|内)",
    ),
    ("<", rf"(?:{_BELOW})\s*{_N}|比\s*{_N}\s*便宜"),
    (">", rf"(?:{_ABOVE})\s*{_N}"),
)
_COMPILED = tuple((kind, re.compile(rf"(?<![a-z0-9.-])(?:{pattern})")) for kind, pattern in _PATTERNS)
_NEEDS_MONEY = re.compile(r"^(?:from|for)\b|^[\d€$£¥]")  # "for 2 people", "20-30": only with a currency, or as a range
_WEIGHTS = {
    "g": 1,
    "gram": 1,
    "grams": 1,
    "克": 1,
    "kg": 1000,
    "kgs": 1000,
    "kilo": 1000,
    "kilos": 1000,
    "公斤": 1000,
    "千克": 1000,
}
_WORDS = {
    "the",
    "and",
    "or",
    "a",
    "for",
    "please",
    "in",
    "with",
    "that",
    "but",
    "not",
    "if",
    "from",
    "is",
    "at",
    "on",
    "max",
    "tops",
    "maximum",
}
_DIGITS = {"零": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_TIMES = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
_HAN = "[零一二两三四五六七八九十百千万]"
_HAN_NUMBER = re.compile(
    rf"{_HAN}+(?=\s*(?:元|块|欧|美元|英镑|克|公斤|千克|人|以[上下内]|之[内间下]|左右|到|至|码|号))"
)
_HAN_AMOUNT = re.compile(  # without a unit: "预算三百", "300到五百"; "至少一个" is no amount
    rf"((?:{_BELOW}|{_AT_MOST}|{_ABOVE}|{_AT_LEAST}|{_ABOUT}|\d{_TO})\s*)({_HAN}*[十百千万]{_HAN}*)"
)
_MIXED = re.compile(r"(\d+(?:\.\d+)?)([百千万])(?![搭能])(?:(\d)(?!\d)([百千])?)?")  # not 百搭, 万能


@dataclass(frozen=True, slots=True)
class Amounts:
    """What was found: conditions, the text with their words blanked out, the currency that was named."""

    conditions: tuple[Condition, ...]
    rest: str
    currency: str = ""


def amounts(text: str, *, columns: Sequence[str] = (), weight: str = "") -> Amounts:
    """The amounts of a request (normal form). `columns` are further numeric fields, `weight` the one in grams.

    >>> amounts("tents between 50 and 99.5 euros").conditions[1]
    Condition(field='price', test='<=', values=('99.5',))
    >>> amounts("重量500克以下", weight="weight_g").conditions
    (Condition(field='weight_g', test='<=', values=('500',)),)
    """
    text = in_digits(text)
    found: list[Condition] = []
    currency = ""

    def take(kind: str, match: re.Match[str]) -> str:
        nonlocal currency
        groups = [group for group in match.groups() if group is not None]
        numbers, units = groups[0::2], groups[1::2]
        field, factor, unit = _field(units, columns, weight)
        loose = kind != "between" and _NEEDS_MONEY.match(match.group()) and not unit
        if field is None or (loose and kind in {"<=", ">="} and not re.search(r"[以之起max]", match.group())):
            return match.group()
        currency = (
            currency
            or _CURRENCIES.get(unit, "")
            or next((code for sign, code in _CURRENCIES.items() if len(sign) == 1 and sign in match.group()), "")
        )
        values = [_times(number, factor) for number in numbers]
        found.extend(_conditions(kind, field, values))
        if units[-1] in _WORDS:  # the next word, not a unit: it stays
            last = max(place for place in range(1, len(match.groups()) + 1) if match[place] is not None)
            return " " * (match.start(last) - match.start()) + match.group()[match.start(last) - match.start() :]
        return " " * len(match.group())

    for kind, pattern in _COMPILED:
        text = pattern.sub(_taker(take, kind), text)
    return Amounts(tuple(found), text, currency)


def in_digits(text: str) -> str:
    """Chinese number words of an amount as digits, 双人 as 2人.

    >>> in_digits("三百元以下的双人帐篷"), in_digits("预算一百五"), in_digits("四季帐篷")
    ('300元以下的2人帐篷', '预算150', '四季帐篷')
    """
    text = text.replace("双人", "2人").replace("单人", "1人")
    text = _MIXED.sub(_plain, text)
    text = _HAN_NUMBER.sub(lambda match: str(_han(match.group())), text)
    return _HAN_AMOUNT.sub(lambda match: match[1] + str(_han(match[2])), text)


def _taker(take: Callable[[str, re.Match[str]], str], kind: str) -> Callable[[re.Match[str]], str]:
    return lambda match: take(kind, match)


def _field(units: Sequence[str], columns: Sequence[str], weight: str) -> tuple[str | None, float, str]:
    """(field, factor to its unit, the unit said) of an amount; no field where the unit is none of ours."""
    for unit in reversed(units):
        if unit in _WEIGHTS:
            return (weight or None), _WEIGHTS[unit], unit
        if unit in _CURRENCIES or unit in _ANY_CURRENCY:
            return "price", 1, unit
        own = next((column for column in columns if unit and stem(unit) == stem(column.split("_")[0])), None)
        if own is not None:
            return own, 1, unit
        if unit and unit not in _WORDS:
            return None, 1, unit
    return "price", 1, ""


def _conditions(kind: str, field: str, values: Sequence[str]) -> list[Condition]:
    if kind == "between":
        low, high = sorted(values, key=float)
        return [Condition(field, ">=", (low,)), Condition(field, "<=", (high,))]
    if kind == "around":
        number = float(values[0])
        low, high = f"{number * (1 - AROUND):g}", f"{number * (1 + AROUND):g}"
        return [Condition(field, ">=", (low,)), Condition(field, "<=", (high,))]
    test: Test = kind  # type: ignore[assignment]
    return [Condition(field, test, (values[0],))]


def _times(number: str, factor: float) -> str:
    whole, _, part = number.replace(",", ".").partition(".")
    plain = f"{whole}{part}" if len(part) == 3 and "," in number else number.replace(",", ".")
    return f"{float(plain) * factor:g}" if factor != 1 else plain


def _han(word: str) -> int:
    """A number in Chinese words: 一百五 is 150, 一百零五 is 105."""
    whole, part, digit, last = 0, 0, 0, 10
    for letter in word:
        if letter in _DIGITS:
            digit = _DIGITS[letter]
            last = last if digit else 10
        elif letter == "万":
            whole, part, digit, last = (part + digit or 1) * _TIMES[letter], 0, 0, _TIMES[letter]
        else:
            last = _TIMES[letter]
            part, digit = part + (digit or 1) * last, 0
    return whole + part + digit * last // 10


def _plain(match: re.Match[str]) -> str:
    """1.5万, 1万5 and 1万5千 in digits."""
    number, unit, more, less = match.groups()
    rest = int(more or 0) * (_TIMES[less] if less else _TIMES[unit] // 10)
    return f"{float(number) * _TIMES[unit] + rest:.12g}"
