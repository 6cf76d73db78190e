"""Amounts in a request: "under 100", "between 50 and 80 euros", "500克以下", "三百元以内", as conditions on a field.

The unit decides the field: a currency or nothing is the price, grams are the weight, a word that is a numeric
column's own name is that column. A negation before a limit turns it ("nothing over 100", 不能超过300); where it cannot be
told what a negation does to an amount, the amount is no condition. Pure.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from assistant.goods import Condition, Test
from assistant.recommend.cells import singular

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
    r"(?:€|\$|£|¥|元|块钱|块|欧元|欧|美元|英镑|人民币|公斤|千克|克|人|升|个|件|年|天(?!蓝)|小时|分钟|厘米|岁|码|号|米(?![色白黄])|[a-z]+(?![a-z]))?"
)
_N = rf"(?:{_SIGN}\s*)?(\d+(?:[.,]\d+)?)\s*({_UNIT})"
_TO = r"\s*(?:-|–|—|~|to|and|up to|到|至|和)\s*"
_BELOW = r"under|below|beneath|less than|less expensive than|cheaper than|lower than|lighter than|shorter than|smaller than|低于|少于|小于|不到|轻于"
_AT_MOST = (
    r"up to|at most|(?:below|under|less than) or equal to|equal to or (?:below|under|less than)|(?:a )?max(?:imum)?(?: of)?|no more than|not more than|not over|not above|no higher than|within|"
    r"(?:my )?budget(?: is| of|:)?|for|不超过|不高于|最多|至多|最高|上限|(?:别|不要?|不能)超过?|预算(?:是|为|在|有|只有|:)?"
)
_ABOVE = r"over|above|more than|more expensive than|dearer than|pricier than|exceeds?|in excess of|upwards of|greater than|higher than|exceeding|heavier than|longer than|高于|超过|超出|超(?=\s*\d)|大于|多于"
_AT_LEAST = r"at least|(?:above|over|more than) or equal to|no less than|not less than|not under|not below|min(?:imum)?(?: of)?|starting at|from|至少|最少|不低于|不少于"
_ABOUT = r"around|about|roughly|approximately|approx\.?|circa|~|大约|大概|约"
_COUNTED = r"\s+(?:[a-z]+ )?(?:people|persons?|adults?|kids|children|years?|months?|days?|hours?|nights?|pairs?|pieces?|pockets?|seasons?|stars?|colou?rs|items?)\b"
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("between", rf"(?:(?:between|from|for|of|介于|在|预算[是为在有]?)\s*)?{_N}{_TO}{_N}\s*(?:之间|以内|左右|上下)?"),
    ("around", rf"(?:预算[是为在有]?\s*)?(?:(?:{_ABOUT})\s*{_N}|{_N}\s*(?:左右|上下))"),
    (
        ">=",
        rf"(?:{_AT_LEAST})\s*{_N}|{_N}\s*(?:(?:or more|or above|or over|and up|and above|and over)\b(?!{_COUNTED})|以上|起)",
    ),
    (
        "<=",
        rf"(?:{_AT_MOST})\s*{_N}(?:\s*(?:[以之][内下]|封顶))?|{_N}\s*(?:(?:or less|or under|or below|or cheaper|and under|and below|and less)\b(?!{_COUNTED})|(?:max|maximum|tops|at most)\b(?!\s*[\d€$£])|(?:或者?|及|或更)?以下|以内|之内|之下|封顶|内(?=的|\W|$)|(?<=[元块钱欧镑币])内|(?:能|可以|够)买到?)",
    ),
    ("<", rf"(?:{_BELOW})\s*{_N}|比\s*{_N}\s*便宜"),
    (">", rf"(?:{_ABOVE})\s*{_N}"),
)
_COMPILED = tuple((kind, re.compile(rf"(?<![a-z0-9.-])(?:{pattern})")) for kind, pattern in _PATTERNS)
_NEEDS_MONEY = re.compile(r"^for\b|(?<!\d\d)(?<![以之])内$")  # "for 2 people", "3内": only with a currency
_NO_PRICE = re.compile(  # a range right behind these is one of sizes or ages
    r"(?:\b(?:sizes?|sz|eu|age[sd]?|years?|kids|children|boys|girls|toddlers|grades?|levels?|pages?|players)|尺码|码|号|岁|年龄|身高)(?:\s|:|是|为|在|of|from|between)*$"
)
SPENT = "¬"
"""Stands in `rest` for a negation that turned an amount: whether it refuses the words behind it as well is open."""
_NEGATION = r"(?<!why )(?<!\bor )(?<!if )(?<!whether )\b(?:not|no|nothing|nor|none|never|cannot|without|[a-z]+n't)\b"
_BETWEEN = re.compile(r"[a-z']+")
_SAFE = frozenset(  # between a negation and a limit: these say only that it is one
    "spend spending allow allows pay paying cost costs costing be being is are it its it's to much far way any anything something a an the this that which go going goes want like wish would really please price priced"
    " prices pricing should must may can i we my our budget get buy for of afford money show me give see recommend suggest willing able prepared looking ready too at all even absolutely ideally have has"
    " will with one ones thing things item items product products do does significantly considerably come exceed you".split()
)
_TURNED = {"at most": _ABOVE, "at least": _BELOW}
_NOT_SO = tuple(
    (turned, re.compile(rf"({_NEGATION})([^,.;:!?\d，。；！？]{{0,50}}?)(?<![a-z])(?:{words})(?=\s*{_N})"))
    for turned, words in _TURNED.items()
)
_NOT_SO_ZH = tuple(
    (
        turned,
        re.compile(
            rf"(?:不|别|勿|莫|甭|没有?)(?:能|想|可以?|得|会|要|应该?|该|宜|希望|愿意?|打算|准备|应当|再|是|有|花|付|买|给我|推荐|看|考虑)*(?:{words})(?=\s*{_N})"
        ),
    )
    for turned, words in _TURNED.items()
)
_NO = r"(?:了|就|的话?|都|也|一律|统统|价位|价格|我|,|，)*(?:不要|不行|不可以?|不考虑|不能|不买|不想要?|不接受|接受不了|别|免谈|算了|太贵|太高|除外|超预算)(?:推荐|给我看|考虑|买|要|接受)*(?=[了的啊哦吧呢]*(?:$|[\s,，。；;!！?？]))"
_TOO_MUCH = r"\s*(?:(?:is|are|would be|'s) (?:too|not|out of|impossible|beyond|excluded|no )|(?:isn't|aren't|won't|wouldn't|doesn't|can't|cannot)\b)"
_SUM = rf"({_SIGN}?\s*\d+(?:[.,]\d+)?\s*(?:{'|'.join(map(re.escape, _CURRENCIES))}|元|块钱|块)?)(?![a-z])"
_BEHIND = (  # "over 100 is too much", 100元以上的不要; what is said of a lower limit that way is open
    (r" below \1,", re.compile(rf"{_SUM}\s*(?:以上|起)的?{_NO}")),
    (r" above \1,", re.compile(rf"{_SUM}\s*(?:以下|以内|之内|之下|内)的?{_NO}")),
    (r" at most \1,", re.compile(rf"(?<![a-z])(?:{_ABOVE})\s*{_SUM}的?(?:{_NO}|{_TOO_MUCH})")),
    (" ", re.compile(rf"(?<![a-z])(?:{_BELOW})\s*{_SUM}的?(?:{_NO}|{_TOO_MUCH})")),
)
_SIGNS = (  # "<3" is a heart
    (" at most ", re.compile(rf"(?:<=|=<|≤)(?=\s*{_N})")),
    (" at least ", re.compile(rf"(?:>=|=>|≥)(?=\s*{_N})")),
    (" below ", re.compile(rf"(?<![<-])<(?!3(?![\d.]))(?=\s*{_N})")),
    (" above ", re.compile(rf"(?<![>=-])>(?=\s*{_N})")),
)
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
_MONEY = r"\s*(?:元|块|欧|美元|英镑|人民币)"
_CLOSED = r"(?:[以之][内下]|封顶|内(?=的|\W|$))"
_HAN_DIGIT = "[一二两三四五六七八九]"
_SHARED = re.compile(  # 两到三百, 1-2k: the first has the unit of the second
    rf"(?<![\d.零一二两三四五六七八九十百千万])(\d(?:\.\d)?|{_HAN_DIGIT})({_TO})(\d(?:\.\d)?|{_HAN_DIGIT})([百千万]|k(?![a-z0-9]))"
)
_PAIR = re.compile(rf"(?<!{_HAN})({_HAN_DIGIT})({_HAN_DIGIT})([十百千万])(?!{_HAN})")
_SOME = re.compile(r"好?几([十百千万])(?!分)")
_ODD = re.compile(rf"(?<![\d.,])(\d*[1-9]0+|{_HAN}*[十百千万])多(?!{_HAN})")
_OR_SO = re.compile(rf"(?<![\d.,])(\d*[1-9]0+|{_HAN}*[十百千万])[来把](?={_MONEY})")
_K = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)k(?![a-z0-9])")
_K_BEFORE = re.compile(rf"(?:{_BELOW}|{_AT_MOST}|{_ABOVE}|{_AT_LEAST}|{_ABOUT}|{_SIGN}|\dk?{_TO}|预算\w)\s*$")
_K_BEHIND = re.compile(
    rf"{_MONEY}|\s*(?:€|\$|£|(?:euros?|eur|dollars?|usd|pounds?|or (?:less|more|under|below)|max|tops)\b|{_CLOSED}|以上|之间|左右|上下|起)|{_TO}\d"
)
_MIXED = re.compile(r"(\d+(?:\.\d+)?)([百千万])(?![搭能])(?:(\d)(?!\d)([百千])?)?")  # not 百搭, 万能


@dataclass(frozen=True, slots=True)
class Amounts:
    """What was found: conditions, the text with their words blanked out, the currency that was named."""

    conditions: tuple[Condition, ...]
    rest: str
    currency: str = ""


def amounts(text: str, *, columns: Sequence[str] = (), weight: str = "", goods: Collection[str] = ()) -> Amounts:
    """The amounts of a request (normal form). `columns` are further numeric fields, `weight` the one in grams,
    `goods` the stems of words for things: "no tent over 100" is a limit, "no leather under 100" two conditions.

    >>> amounts("tents between 50 and 99.5 euros").conditions[1]
    Condition(field='price', test='<=', values=('99.5',))
    >>> amounts("重量500克以下", weight="weight_g").conditions
    (Condition(field='weight_g', test='<=', values=('500',)),)
    """
    text = _turned(in_digits(text), goods)
    found: list[Condition] = []
    currency = ""

    def take(kind: str, match: re.Match[str]) -> str:
        nonlocal currency
        groups = [group for group in match.groups() if group is not None]
        numbers, units = groups[0::2], groups[1::2]
        field, factor, unit = _field(units, columns, weight)
        loose = kind in {"<=", ">="} and _NEEDS_MONEY.search(match.group()) and not unit
        if field is None or loose or _is_in_doubt(kind, match, goods):
            return match.group()
        if (
            (kind == "between" or match.group()[0].isdigit())
            and not unit
            and _NO_PRICE.search(match.string[: match.start()])
        ):
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


def _turned(text: str, goods: Collection[str]) -> str:
    """The text with every limit as it is meant: "nothing over 100" is "at most 100"."""
    for meant, pattern in (*_BEHIND, *_SIGNS):
        text = pattern.sub(meant, text)
    for meant, pattern in _NOT_SO_ZH:
        text = pattern.sub(f"{SPENT} {meant}", text)

    def turn(meant: str, match: re.Match[str]) -> str:
        return f"{SPENT}{match[2]} {meant}" if _is_plain(match[2], goods) else match.group()

    for meant, pattern in _NOT_SO:
        text = pattern.sub(functools.partial(turn, meant), text)
    return text


def _is_plain(between: str, goods: Collection[str]) -> bool:
    """Whether the words between a negation and a limit say only that it is a limit, of what goods at most."""
    return all(word in _SAFE or singular(word) in goods for word in _BETWEEN.findall(between)) and between.isascii()


def _is_in_doubt(kind: str, match: re.Match[str], goods: Collection[str]) -> bool:
    """Whether a negation stands before an amount that may mean its opposite."""
    before = re.split(r"[,.;:!?，。；！？]|\bbut\b|\bplease\b|但", match.string[: match.start()])[-1]
    negations = list(re.finditer(rf"{_NEGATION}|不(?![锈错过仅但只])|别(?!的)|(?<!有)没(?!问)", before))
    if not negations:
        return False
    between = before[negations[-1].end() :]
    words = _BETWEEN.findall(between)
    bare = not between.strip(" 能想要会再是有花买付给看推荐考虑我")
    if kind == ">":
        return True
    if kind == "<":  # "no leather under 100" is two conditions, "no red tents under 100" may be one
        return bool(words and singular(words[-1]) in goods) or (not words and bare)
    return _is_plain(between, goods) or bare


def in_digits(text: str) -> str:
    """Chinese number words of an amount as digits, 双人 as 2人.

    >>> in_digits("三百元以下的双人帐篷"), in_digits("预算一百五"), in_digits("四季帐篷")
    ('300元以下的2人帐篷', '预算150', '四季帐篷')
    >>> in_digits("两三百块"), in_digits("五百多的鱼缸"), in_digits("under 1.2k"), in_digits("4k screens")
    ('200到300块', '500块到600块的鱼缸', 'under 1200', '4k screens')
    """
    text = text.replace("双人", "2人").replace("单人", "1人")
    text = _SHARED.sub(r"\1\4\2\3\4", text)
    text = _K.sub(_thousands, text)
    text = _MIXED.sub(_plain, text)
    text = _PAIR.sub(_pair, text)
    text = _SOME.sub(lambda match: _span(match, _TIMES[match[1]], 10 * _TIMES[match[1]]), text)
    text = _ODD.sub(_odd, text)
    text = _OR_SO.sub(lambda match: f"约{_spoken(match[1])}", text)
    text = _HAN_NUMBER.sub(lambda match: str(_han(match.group())), text)
    return _HAN_AMOUNT.sub(lambda match: match[1] + str(_han(match[2])), text)


def _thousands(match: re.Match[str]) -> str:
    """1.2k as a number, where what stands beside it says that it is an amount: "4k screens" are none."""
    before, behind = match.string[: match.start()], match.string[match.end() :]
    amount = _K_BEFORE.search(before) or _K_BEHIND.match(behind)
    return f"{float(match[1]) * 1000:.12g}" if amount else match.group()


def _pair(match: re.Match[str]) -> str:
    """两三百 is between the two."""
    low, high = (_DIGITS[one] * _TIMES[match[3]] for one in match.groups()[:2])
    return _span(match, low, high) if low < high else match.group()


def _odd(match: re.Match[str]) -> str:
    """500多 is between 500 and 600."""
    number = _spoken(match[1])
    return _span(match, number, number + 10 ** (len(str(number)) - len(str(number).rstrip("0"))))


def _spoken(number: str) -> int:
    return int(number) if number.isdecimal() else _han(number)


def _span(match: re.Match[str], low: int, high: int) -> str:
    """A spoken range in digits, or the end of it that a limit beside it means; as it was where it counts other things."""
    before, behind = match.string[: match.start()], match.string[match.end() :]
    if re.match(rf"(?:{_MONEY}钱?)?\s*{_CLOSED}", behind) or re.search(
        r"(?:超过?|高于|最多|至多|最高|上限)\s*$", before
    ):
        return str(high)
    if re.match(rf"(?:{_MONEY}钱?)?\s*(?:以上|起)", behind) or re.search(r"(?:至少|最少|不低于|不少于)\s*$", before):
        return str(low)
    if re.match(rf"{_MONEY}|公?斤|千?克", behind):
        return f"{low}到{high}"
    return f"{low}块到{high}块" if re.match(r"\s*(?:$|[^\w\s]|\s|的|左右|上下)", behind) else match.group()


def _taker(take: Callable[[str, re.Match[str]], str], kind: str) -> Callable[[re.Match[str]], str]:
    return lambda match: take(kind, match)


def _field(units: Sequence[str], columns: Sequence[str], weight: str) -> tuple[str | None, float, str]:
    """(field, factor to its unit, the unit said) of an amount; no field where the unit is none of ours."""
    for unit in reversed(units):
        if unit in _WEIGHTS:
            return (weight or None), _WEIGHTS[unit], unit
        if unit in _CURRENCIES or unit in _ANY_CURRENCY:
            return "price", 1, unit
        own = next((column for column in columns if unit and singular(unit) == singular(column.split("_")[0])), None)
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
