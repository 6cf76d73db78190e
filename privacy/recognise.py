"""Where structured personal data stands in a text: check digits, number plans and formats decide, no model.

E-mail addresses, phone numbers, payment cards, IBANs, IP and MAC addresses, national numbers (US, GB, DE, ES, CN) and
order numbers, in prose of any language, in linear time. Phone numbers without a country code are recognised in
the forms of China, Germany, Britain, Spain and North America. Not names, not street addresses: those need a model and come
in by the seam `Finder`.

Sources: python-stdnum (check digits), phonenumbers (Google's number plans), ISO 13616, ISO/IEC 7812, GB 11643.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import phonenumbers
from stdnum import iban, luhn, numdb
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.exceptions import ValidationError
from stdnum.us import ssn

KINDS = ("email", "phone", "card", "iban", "ip", "mac", "national", "order")


@dataclass(frozen=True, slots=True)
class Found:
    """`text[start:end]` is personal. `value` is its one canonical form, however it was written."""

    kind: str
    start: int
    end: int
    value: str


Finder = Callable[[str], Iterable[Found]]
"""A further recogniser, of names and addresses for example: text -> what it found."""

# Digits of every script and full-width signs as ASCII, one character for one, so that places stay.
_PLAIN = {code: unicodedata.digit(chr(code)) + 48 for code in range(0x660, 0x1FBFA) if chr(code).isdecimal()}
_PLAIN |= {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if not chr(code).isdecimal()}
_PLAIN |= dict.fromkeys((0xA0, 0x202F, 0x2007, 0x2009, 0x3000), 32) | dict.fromkeys(range(0x2010, 0x2016), 45)

_LETTER = r"0-9A-Za-z\u00c0-\u024f\u0370-\u052f"
_ASIDE = r"(?<![0-9A-Za-z])"
_AT = r"(?:@| ?[\[({] ?(?:at|ät|arroba) ?[\])}] ?)"
_DOT = r"(?:\.| ?[\[({] ?(?:dot|punkt|punto) ?[\])}] ?)"
_EMAIL = re.compile(
    rf"(?<![{_LETTER}._%+'-])[{_LETTER}._%+'-]++{_AT}[{_LETTER}-]++(?:{_DOT}[{_LETTER}-]++)++", re.IGNORECASE
)
_LINKED = re.compile(  # in a pasted link: "ann%2Bshop%40web.de"
    rf"(?:(?<![{_LETTER}._%+'-])|(?<=%(?!2[BDE]|5F)[0-9A-F]{{2}}))(?:[{_LETTER}._+'-]|%(?:2[BDE]|5F))++"
    rf"%40[{_LETTER}-]++(?:\.[{_LETTER}-]++)++",
    re.IGNORECASE,
)
_IBAN = re.compile(rf"{_ASIDE}(?=([A-Za-z]{{2}}\d{{2}}(?:[ -]?[0-9A-Za-z]){{11,30}}+))")
_MAC = re.compile(
    rf"{_ASIDE}(?:[0-9A-Fa-f]{{2}}([:-])(?:[0-9A-Fa-f]{{2}}\1){{4}}[0-9A-Fa-f]{{2}}|(?:[0-9A-Fa-f]{{4}}\.){{2}}[0-9A-Fa-f]{{4}})"
    r"(?![0-9A-Za-z:-][0-9A-Fa-f])"
)
_IP4 = re.compile(r"(?<![0-9A-Za-z.])(?:\d{1,3}\.){3}\d{1,3}(?![0-9A-Za-z]|\.\d)")
_IP6 = re.compile(r"(?<![0-9A-Za-z:.])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{3,39}+(?:\.\d{1,3}){0,3}+(?![0-9A-Za-z])")
_NOBODY = frozenset({"127.0.0.1", "::1", "0.0.0.0", "255.255.255.255"})
_VERSION = re.compile(
    r"(?:(?:versi(?:on|ón)|firmware|release|build|software|driver|treiber|update|版本|固件)[^0-9]{0,12}|\b(?:ver|fw|v)\.? ?)$",
    re.IGNORECASE,
)
_CARDS = tuple(
    re.compile(rf"{_ASIDE}{digits}(?!\d)")  # the longest first: what is left of 19 digits may be a card of 16
    for digits in (
        r"(?:\d{4}[ .\t/_-]{0,3}+){4}\d{1,3}",
        r"\d{6}[ .\t/_-]{0,3}+\d{13}",
        r"(?:\d{4}[ .\t/_-]{0,3}+){3}\d{1,4}",
        r"\d{4}[ .\t/_-]{0,3}+\d{6}[ .\t/_-]{0,3}+\d{4,5}",
    )
)
_ISSUERS = re.compile(
    r"4(?:\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|6|8|9)\d{11,16}|35\d{14,17}"
    r"|6(?:011|5)\d{12,15}|62\d{14,17}|81\d{14,17}|(?:50|5[6-9]|6[0-9])\d{12,17}"
)
_GOODS = re.compile(
    r"(?:(?:sku|\bart|artikel|\bref|\bean|\bupc|isbn|serial|serien|serie|model|\bpart|pieza|\blot|barcode|código|\bsn\b|\bp/n)"
    r"(?:[^0-9.,;!?。]|(?:(?<=art)|(?<=ref)|(?<=núm)|(?<=n[ro]))\.){0,12}"  # "Art.-Nr. 1", not "wrong model. 1"
    r"|(?:条码|序列号|货号|编号|编码|型号|商品)(?:[^0-9.,;!?。\u4e00-\u9fff]|[是为就的号码]){0,12})$",  # not "商品质量差1"
    re.IGNORECASE,
)
_SOCIAL = re.compile(r"ssn|social|security|insurance|\bid\b|tax", re.IGNORECASE)
_NATIONAL: tuple[tuple[re.Pattern[str], Callable[[str, str], bool]], ...] = (
    (re.compile(rf"{_ASIDE}\d{{6}} ?\d{{8}} ?\d{{3}}[\dXx](?!\d)"), lambda text, _: _is_resident(text)),
    (
        re.compile(rf"{_ASIDE}\d{{3}}([ -]?)\d{{2}}\1\d{{4}}(?![0-9A-Za-z]|[.,-]\d)"),
        lambda text, before: bool(ssn.is_valid(text.replace(" ", ""))) and ("-" in text or bool(_SOCIAL.search(before))),
    ),
    (
        re.compile(rf"{_ASIDE}(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?(?:\d\d ?){{3}}[A-D](?![0-9A-Za-z])"),
        lambda *_: True,
    ),
    (re.compile(r"(?<![0-9A-Za-z+-])\d{2} ?\d{3} ?\d{3} ?\d{3}(?![0-9A-Za-z])"), lambda text, before: bool(idnr.is_valid(text)) and not _GOODS.search(before)),
    (
        re.compile(rf"{_ASIDE}(?:\d{{8}}|\d{{2}}\.\d{{3}}\.\d{{3}})-?[A-Za-z](?![0-9A-Za-z])"),
        lambda text, _: bool(dni.is_valid(text.replace(".", ""))),
    ),
    (re.compile(rf"{_ASIDE}[XYZxyz]-?\d{{7}}-?[A-Za-z](?![0-9A-Za-z])"), lambda text, _: bool(nie.is_valid(text))),
)  # fmt: skip

_ORDER_WORD = re.compile(
    r"(?:(?<![A-Za-z])(?:orders?|purchase|invoice|booking|reservation|ticket|shipment|tracking|customer|bestell(?:ung|(?=-?n))|"
    r"auftrags?|rechnungs?|kunden(?=-?n)|sendungs?|vorgangs?|"
    r"pedidos?|factura|albar[aá]n|reserva|cliente)|订单|单号|运单|发票|客户|会员)"
    r"(?:[ \t:#.=(\[【「\"“„-]|(?:is|ist|es|was|lautet)(?=[ :])|是|为"
    r"|(?P<number>(?:(?:no|nr|num|numbers?|numero|número|n[º°o]|id|code|nummern?|ref|reference|confirmation)(?![0-9A-Za-z])|号码|编号|号),?))"
    r"{0,12}+",
    re.IGNORECASE,
)
_ORDER = re.compile(r"[A-Za-z]{0,4}[-/_]?\d[0-9A-Za-z]{0,40}(?:[-/_][0-9A-Za-z]{1,20}){0,5}(?![0-9A-Za-z])")
_GROUPED = re.compile(r"\d{4}(?: \d{4}){2,5}(?: \d{1,3})?(?! ?\d)")
_MEASURE = re.compile(  # "I want to order 1000 pieces": short and round, lest "order 12345 pieces are missing" be one
    r"\d{3,4}0 ?(?:(?:mah|k?wh?|[cm]?m|k?g|m?l|p|lumens?|pieces|pcs|units|people|points|stück|personen|punkte"
    r"|unidades|piezas|personas|puntos)(?![0-9A-Za-z])"
    r"|人(?![工员])|件(?!数)|个(?![人别])|积分|毫安|瓦|毫米|厘米|毫升|克|千克|公斤|流明)",
    re.IGNORECASE,
)
_AND = re.compile(r"\s{0,3}(?:,|、|&|and\b|und\b|y\b|和|及)\s{0,3}#?", re.IGNORECASE)
_AMAZON = re.compile(r"(?<![0-9A-Za-z-])\d{3}-\d{7}-\d{7}(?![0-9A-Za-z-])")
_PRICE = re.compile(r"[.,]\d\d(?!\d)|\s?(?:€|\$|£|%|元|块|eur\b|usd\b|gbp\b|cny\b)", re.IGNORECASE)

_NUMBERS = re.compile(  # "V13812345678": how WeChat is given
    r"(?<![0-9A-Za-z])(?:(?:vx?|wx|qq|wechat|weixin|tel|phone)(?=1[3-9]))?\d(?:[ .\-/()+]{0,3}+\d)++", re.IGNORECASE
)
_DATE = re.compile(
    r"(?<![\d/-])(?:(?:19|20)\d\d([./-])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])([./-])(?:0?[1-9]|[12]\d|3[01])\2(?:19|20)\d\d)(?![\d/-])"
)
_SERIAL = re.compile(rf"{_ASIDE}(?![VvWw][Xx]|[Qq]{{2}})[A-Za-z]{{2}}\d{{2}}(?: ?\d{{4}}){{2,10}}+(?: \d{{1,3}})?")
_FRACTION = re.compile(r"(?:\d\.|(?<!\S)0,)$")  # another comma parts two things: "Room 502,13812345678"
_HOURS = re.compile(r"(?<![\d-])(?:[01]\d|2[0-3])[0-5]\d ?- ?(?:[01]\d|2[0-3])[0-5]\d(?![\d-])")
_CALL = re.compile(
    r"(?:tel|phone|call|ring|mobile|cell|fax|whatsapp|number is|handy|mobil|rufen|anruf|erreich|nummer ist|unter"
    r"|llám|llam|teléfono|telefono|móvil|movil|手机|电话|联系|致电|拨打|微信)[^0-9]{0,16}$",
    re.IGNORECASE,
)
_SHAPES: dict[str, frozenset[tuple[int, ...]]] = {
    "CN": frozenset({(11,), (3, 4, 4), (2, 11), (2, 3, 4, 4), (13,)}),
    "US": frozenset({(3, 3, 4), (1, 3, 3, 4), (3, 7), (1, 10), (10,), (11,)}),
    "ES": frozenset({(9,), (3, 3, 3), (3, 2, 2, 2), (2, 3, 2, 2), (3, 6), (2, 7)}),
}
_TRUNK = ("GB", "DE", "CN")  # where a number inside the country begins with 0
_MOST_GROUPS = 7


def find(text: str, *, order_formats: Sequence[str] = (), finder: Finder | None = None) -> list[Found]:
    """What is personal in a text, in order, without overlaps.

    `order_formats` are the shop's own order numbers, `#` for a digit and `@` for a letter ("KF-####-@@").

    >>> [(one.kind, one.value) for one in find("call (415) 555-2671 or write to Max@Web.de")]
    [('phone', '+14155552671'), ('email', 'max@web.de')]
    """
    plain = text.translate(_PLAIN)
    taken = bytearray(len(plain))
    found: list[Found] = []

    def claim(candidates: Iterable[Found]) -> None:
        for one in candidates:
            if taken.find(1, one.start, one.end) < 0:
                taken[one.start : one.end] = b"\x01" * (one.end - one.start)
                found.append(one)

    claim(_own_orders(plain, order_formats))
    for search in (_emails, _ibans, _macs, _ips, _cards, _nationals):
        claim(search(plain))
    claim(_orders(plain, taken))
    for pattern in (_DATE, _HOURS, _SERIAL):
        for match in pattern.finditer(plain):
            taken[match.start() : match.end()] = b"\x01" * (match.end() - match.start())
    claim(_phones(plain, taken))
    if finder is not None:
        claim(finder(text))
    return sorted(found, key=lambda one: one.start)


def _emails(text: str) -> Iterator[Found]:
    for match in (match for pattern in (_EMAIL, _LINKED) for match in pattern.finditer(text)):
        written = unquote(match[0]) if match.re is _LINKED else match[0]
        value = re.sub(_DOT, ".", re.sub(_AT, "@", written.lower())).strip(".-'")
        local, _, domain = value.rpartition("@")
        top = domain.rpartition(".")[2]
        if glued := re.search(r"(?<=[^\W\d]{2})\d", top if not top.startswith("xn--") else ""):  # "@qq.com2026-07-14"
            value, top = value[: glued.start() - len(top)], top[: glued.start()]
        if local.strip("._%+-'") and len(top) >= 2 and not top.isdigit():
            end = match.end() - (0 if glued is None else len(glued.string) - glued.start())
            yield Found("email", match.start(), end, value)


@functools.cache
def _iban_length(country: str) -> int:
    """The length of a country's IBANs; 0 where it has none."""
    known = numdb.get("iban").info(country)[0][1].get("bban", "")
    return 4 + sum(int(size) for size in re.findall(r"(\d+)!", known)) if known else 0


def _ibans(text: str) -> Iterator[Found]:
    for match in _IBAN.finditer(text):
        length = _iban_length(match[1][:2].upper())
        places = [match.start() + at for at, letter in enumerate(match[1]) if letter not in " -"][:length]
        if length and len(places) == length:
            end = places[-1] + 1
            value = "".join(text[place] for place in places).upper()
            bounded = not text[end : end + 1].isalnum() or ord(text[end]) > 0x2E80
            if bounded and iban.is_valid(value, check_country=False):
                yield Found("iban", match.start(), end, value)


def _macs(text: str) -> Iterator[Found]:
    for match in _MAC.finditer(text):
        yield Found("mac", match.start(), match.end(), re.sub(r"[:.-]", "", match[0]).lower())


def _ips(text: str) -> Iterator[Found]:
    for pattern in (_IP4, _IP6):
        for match in pattern.finditer(text):
            shown = match[0].removesuffix(":") if not match[0].endswith("::") else match[0]
            if pattern is _IP4 and _VERSION.search(text[max(0, match.start() - 24) : match.start()]):
                continue
            try:
                address = ipaddress.ip_address(
                    ".".join(str(int(p)) for p in shown.split(".")) if pattern is _IP4 else shown
                )
            except ValueError:
                continue
            if any(map(str.isdigit, shown)) and str(address) not in _NOBODY:
                yield Found("ip", match.start(), match.start() + len(shown), str(address))


def _cards(text: str) -> Iterator[Found]:
    for match in (match for pattern in _CARDS for match in pattern.finditer(text)):
        digits = re.sub(r"\D", "", match[0])
        if _ISSUERS.fullmatch(digits) and luhn.is_valid(digits):
            yield Found("card", match.start(), match.end(), digits)


def _is_resident(text: str) -> bool:
    """A Chinese identity number: check digit and birth date; its place may be newer than the list of places."""
    number = text.replace(" ", "").upper()
    try:
        return bool(number[-1] == ric.calc_check_digit(number) and ric.get_birth_date(number).year > 1900)
    except ValidationError:
        return False


def _nationals(text: str) -> Iterator[Found]:
    for pattern, holds in _NATIONAL:
        for match in pattern.finditer(text):
            if holds(match[0], text[max(0, match.start() - 40) : match.start()]):
                yield Found("national", match.start(), match.end(), re.sub(r"[ .-]", "", match[0]).upper())


def _own_orders(text: str, formats: Sequence[str]) -> Iterator[Found]:
    for shape in formats:
        pattern = "".join({"#": r"\d", "@": "[A-Za-z]"}.get(letter, re.escape(letter)) for letter in shape)
        for match in re.finditer(rf"{_ASIDE}{pattern}(?![0-9A-Za-z])", text, re.IGNORECASE):
            yield Found("order", match.start(), match.end(), match[0].upper())


def _orders(text: str, taken: bytearray) -> Iterator[Found]:
    for match in _AMAZON.finditer(text):
        yield Found("order", match.start(), match.end(), match[0])
    for word in _ORDER_WORD.finditer(text):
        at = word.end()
        if (number := _GROUPED.match(text, at)) and taken.find(1, *number.span()) < 0:
            yield Found("order", *number.span(), number[0].replace(" ", ""))
            continue
        while (number := _ORDER.match(text, at)) and _is_order(
            number[0], text, number.end(), hashed=text[at - 1] == "#"
        ):
            if _MEASURE.match(text, at) and not word["number"]:
                break
            if _begins_phone(number, text, taken):
                break
            yield Found("order", number.start(), number.end(), number[0].upper())
            more = _AND.match(text, number.end())
            if more is None:
                break
            at = more.end()


def _is_order(number: str, text: str, end: int, *, hashed: bool) -> bool:
    """Four digits at least (three after a #), not a year, not a date, not a price."""
    digits = sum(map(str.isdigit, number))
    year = len(number) == 4 and number[:2] in {"19", "20"}
    enough = digits >= (3 if hashed else 4)
    return (
        enough
        and not year
        and not _DATE.fullmatch(number)
        and (bool(re.search("[A-Za-z]", number)) or not _PRICE.match(text[end : end + 8]))
    )


def _begins_phone(number: re.Match[str], text: str, taken: bytearray) -> bool:
    """Whether more digits behind make it a phone number, as in "Order 07911 123456"."""
    run = _NUMBERS.match(text, number.start())
    if run is None or not number[0].isdigit():
        return False
    groups = [match.span() for match in re.compile(r"\d+").finditer(text, *run.span())]
    phone, _ = _phone_at(text, groups, 0, alone=True, taken=taken)
    return phone is not None and phone.end > number.end()


def _phones(text: str, taken: bytearray) -> Iterator[Found]:
    for run in _NUMBERS.finditer(text):
        if run.end() - run.start() < 7:
            continue
        groups = [match.span() for match in re.compile(r"\d+").finditer(text, run.start(), run.end())]
        at = 0
        while at < len(groups):
            one, used = _phone_at(text, groups, at, alone=_is_alone(text, groups, at, taken), taken=taken)
            if one is not None:
                yield one
            at += used


def _is_alone(text: str, groups: Sequence[tuple[int, int]], at: int, taken: bytearray) -> bool:
    """Whether no digits stand right before a group, save those of something that was found."""
    if at > 0:
        return taken[groups[at - 1][0]] > 0
    start, _ = groups[0]
    return start < 2 or taken[start - 2] > 0 or not _FRACTION.search(text[max(0, start - 3) : start])


def _phone_at(
    text: str, groups: Sequence[tuple[int, int]], at: int, *, alone: bool, taken: bytearray
) -> tuple[Found | None, int]:
    """The phone number that begins with a group of digits, the longest first, and how many groups it has; else None, 1.

    Not `alone`: other digits stand right before it, so that it needs its country's code.
    """
    start, _ = groups[at]
    plus = "+" in text[max(0, start - 2) : start]
    most = min(len(groups), at + _MOST_GROUPS + (2 if plus else 0))
    for last in range(most, at, -1):
        part = groups[at:last]
        end = part[-1][1]
        sizes = tuple(b - a for a, b in part)
        if not 7 <= sum(sizes) <= 17 or not (plus or _is_shaped(text[start], sizes, alone=alone)):
            continue
        digits = "".join(text[a:b] for a, b in part)
        before = text[max(0, start - 24) : start]
        if taken.find(1, start, end) < 0 and (value := _number(digits, sizes, plus=plus, before=before)):
            opening = re.search(r"\(?\+?\(?$", before)
            first = start - len(opening[0]) if opening else start
            closes = text[end : end + 1] == ")" and text.count("(", first, end) > text.count(")", first, end)
            return Found("phone", first, end + closes, value), len(part)
    return None, 1


def _is_shaped(first: str, sizes: tuple[int, ...], *, alone: bool) -> bool:
    """Whether groups of these sizes can be a number without a plus; cheap, so that hostile texts stay cheap."""
    return alone and ((first == "0" and sizes[0] > 1) or any(sizes in shapes for shapes in _SHAPES.values()))


def _number(digits: str, sizes: tuple[int, ...], *, plus: bool, before: str) -> str:
    """The E.164 form of groups of digits that are a phone number; "" where they are none."""
    if plus:
        return _e164("+" + digits, "DE", strict=False)
    called = bool(_CALL.search(before))
    goods = _GOODS.search(before)
    if goods and not _CALL.search(before, goods.start()):  # the nearer word says what the number is
        return ""
    if digits.startswith("000") or before[-1:] in {"$", "€", "£", "¥"}:
        return ""
    if before[-1:] == "#" and not called:
        return ""
    if digits.startswith("00"):
        return _e164(digits, "DE", strict=False)
    if digits[0] == "0":
        if len(digits) < (10 if len(sizes) == 1 else 9) and not called:
            return ""
        return next(filter(None, (_e164(digits, region, strict=not called) for region in _TRUNK)), "")
    for region, shapes in _SHAPES.items():
        if sizes in shapes and _is_written_so(region, digits, sizes, called=called):
            national = digits[2:] if region == "CN" and len(digits) == 13 else digits
            if value := _e164(national, region, strict=not called):
                return value
    return ""


def _is_written_so(region: str, digits: str, sizes: tuple[int, ...], *, called: bool) -> bool:
    """What tells a number without a trunk 0 from any other number of its length."""
    if region == "CN":
        mobile = digits.removeprefix("86") if len(digits) == 13 else digits
        return len(mobile) == 11 and mobile[0] == "1" and mobile[1] in "3456789"
    if region == "US":
        bare = len(sizes) == 1
        return (called or not bare) and (len(digits) == 10 or digits[0] == "1")
    return digits[0] in "6789" and (called or len(sizes) > 1 or digits[0] in "67")


@functools.lru_cache(maxsize=4096)
def _e164(number: str, region: str, *, strict: bool) -> str:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return ""
    holds = phonenumbers.is_valid_number if strict else phonenumbers.is_possible_number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if holds(parsed) else ""
