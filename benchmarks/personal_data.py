"""Synthetic messages of customers with personal data in known places, in English, Chinese, German and Spanish.

Written before the recogniser and without it or its libraries, but for sentences that a review found missed: check
digits, number plans and addresses are made here by their public rules (ISO 13616 and 7064, ISO/IEC 7812, GB 11643, the number plans of E.164). About a
third of the messages holds nothing personal. All carry hard negatives: totals, product codes, dates, opening hours,
versions, EANs, serial numbers that look like IBANs, cards or phones. It is not a language model: sentences come from
templates, so what it says of recall is about the shape of the data, not about how people write. Names and
street addresses are marked too (kinds `name`, `address`), for a model that finds those; they are not structured.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.personal_sentences import CHINESE, LIVES, NAMES, PLAIN, SAID, STREETS

LANGUAGES = ("en", "zh", "de", "es")
UNSTRUCTURED = frozenset({"name", "address"})


@dataclass(frozen=True, slots=True)
class Gold:
    """What is personal: `text[start:end]`."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A message, its language, and where its personal data is."""

    language: str
    text: str
    gold: tuple[Gold, ...]


def messages(n: int, seed: int) -> Iterator[Sample]:
    """`n` messages, the languages in turn."""
    rng = random.Random(seed)
    for number in range(n):
        yield _message(rng, LANGUAGES[number % len(LANGUAGES)])


# Values, each by its public rule


def _digits(rng: random.Random, n: int) -> str:
    return "".join(rng.choice(string.digits) for _ in range(n))


def _groups(text: str, *sizes: int, by: str) -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return by.join([*parts, *([text[at:]] if at < len(text) else [])])


def _luhn(body: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


def _card(rng: random.Random, language: str) -> str:
    kind = rng.choice(["visa", "visa", "mc", "mc2", "amex", *(["union"] * 3 if language == "zh" else ["union"])])
    head = {
        "visa": "4", "mc": f"5{rng.randint(1, 5)}", "mc2": str(rng.randint(2221, 2720)), "amex": rng.choice(["34", "37"]),
        "union": rng.choice(["621226", "622202", "625912", "623058"]),
    }[kind]  # fmt: skip
    length = {"amex": 15, "union": rng.choice([16, 19])}.get(kind, 16)
    number = _luhn(head + _digits(rng, length - 1 - len(head)))
    if rng.random() < 0.4:
        return number
    by = rng.choice([" ", " ", "-", "-", "/", "\t"])
    return _groups(number, 4, 6, 5, by=by) if kind == "amex" else _groups(number, 4, 4, 4, 4, by=by)


def _mod97(country: str, bban: str) -> str:
    moved = "".join(str(int(c, 36)) for c in bban + country + "00")
    return f"{country}{98 - int(moved) % 97:02d}{bban}"


def _spanish_bban(rng: random.Random) -> str:
    def check(digits: str) -> str:
        weights = (1, 2, 4, 8, 5, 10, 9, 7, 3, 6)
        rest = 11 - sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11
        return {10: "1", 11: "0"}.get(rest, str(rest))

    bank, account = rng.choice(["2100", "0049", "0182", "2038"]) + _digits(rng, 4), _digits(rng, 10)
    return bank + check("00" + bank) + check(account) + account


def _iban(rng: random.Random, language: str) -> str:
    country = rng.choice(
        {"de": ["DE", "DE", "AT", "CH"], "es": ["ES"], "en": ["GB", "NL", "DE"]}.get(language, ["DE", "GB"])
    )
    bank = "".join(rng.choice(["NWBK", "BARC", "LOYD"]))
    dutch = _digits(rng, 9)
    bban = {
        "DE": rng.choice(["37040044", "50010517", "10070024"]) + _digits(rng, 10),
        "AT": _digits(rng, 16), "CH": "00762" + _digits(rng, 12), "ES": _spanish_bban(rng),
        "GB": bank + _digits(rng, 14), "NL": "INGB" + "0" + dutch,
    }[country]  # fmt: skip
    made = _mod97(country, bban)
    if country == "NL":  # the eleven test of Dutch accounts
        while sum(int(d) * w for d, w in zip(dutch, range(9, 0, -1), strict=True)) % 11:
            dutch = _digits(rng, 9)
        made = _mod97(country, "INGB0" + dutch)
    shape = rng.random()
    if shape < 0.5:
        return _groups(made, *[4] * (len(made) // 4), by=" ")
    return made.lower() if shape < 0.6 else made


def _phone(rng: random.Random, language: str) -> str:
    return {"en": _phone_en, "zh": _phone_zh, "de": _phone_de, "es": _phone_es}[language](rng)


def _phone_en(rng: random.Random) -> str:
    if rng.random() < 0.35:  # Britain
        mobile = f"7{rng.choice('45789')}{_digits(rng, 8)}"
        london = f"20{rng.choice('78')}{_digits(rng, 7)}"
        return rng.choice(
            [
                f"0{_groups(mobile, 4, 6, by=' ')}", f"+44 {_groups(mobile, 4, 6, by=' ')}", f"+44{mobile}", f"0{mobile}",
                f"020 {_groups(london[2:], 4, 4, by=' ')}", f"+44 (0)20 {_groups(london[2:], 4, 4, by=' ')}",
            ]
        )  # fmt: skip
    area = rng.choice("212 415 312 617 206 305 512 702 503 303 404 713 646 718 818".split())
    exchange = f"{rng.choice('23456789')}{rng.choice('023456789')}{rng.choice('023456789')}"
    line = _digits(rng, 4)
    return rng.choice(
        [
            f"({area}) {exchange}-{line}", f"{area}-{exchange}-{line}", f"{area}.{exchange}.{line}",
            f"+1 {area} {exchange} {line}", f"+1-{area}-{exchange}-{line}", f"1-{area}-{exchange}-{line}",
            f"+1{area}{exchange}{line}", f"({area}){exchange}-{line}", f"{area} {exchange} {line}",
        ]
    )  # fmt: skip


def _mobile_zh(rng: random.Random, _language: str) -> str:
    """Of a phone; of WeChat, too, where it is written right behind its letters."""
    heads = "133 135 136 137 138 139 150 151 152 158 159 166 176 177 180 182 186 187 188 189 191 198 199"
    return rng.choice(heads.split()) + _digits(rng, 8)


def _phone_zh(rng: random.Random) -> str:
    number = _mobile_zh(rng, "zh")
    city, local = rng.choice([("010", "6"), ("021", "5"), ("020", "8"), ("0755", "2"), ("0571", "8")])
    fixed = local + _digits(rng, 7)
    wide = number.translate({ord(d): ord(d) + 0xFEE0 for d in string.digits})
    return rng.choice(
        [
            number, number, number, _groups(number, 3, 4, 4, by=" "), _groups(number, 3, 4, 4, by="-"), f"+86 {number}",
            f"+86{number}", f"+86-{_groups(number, 3, 4, 4, by='-')}", f"86-{number}", f"{city}-{fixed}", wide,
            f"({city}){fixed}", f"0086 {number}",
        ]
    )  # fmt: skip


def _phone_de(rng: random.Random) -> str:
    mobile = rng.choice("151 152 157 160 162 163 170 171 172 175 176 177 179".split())
    rest = _digits(rng, 8 if mobile in {"151", "152", "157", "176"} else 7)
    city = rng.choice(["30", "40", "89", "69", "221", "711", "351"])
    fixed = rng.choice("23456789") + _digits(rng, 6)
    return rng.choice(
        [
            f"0{mobile} {rest}", f"0{mobile}/{rest}", f"0{mobile}{rest}", f"+49 {mobile} {rest}", f"+49{mobile}{rest}",
            f"+49 (0) {mobile} {rest}", f"0049 {mobile} {rest}", f"0{city} {fixed}", f"0{city}/{fixed}", f"0{city}-{fixed}",
            f"(0{city}) {fixed}", f"+49 {city} {fixed}", f"+49 (0){city} {fixed[:3]} {fixed[3:]}", f"0{mobile}-{rest}",
            f"0{mobile} {_groups(rest, 2, 2, 2, by=' ')}",
        ]
    )  # fmt: skip


def _phone_es(rng: random.Random) -> str:
    number = rng.choice([f"6{rng.choice('0123456789')}", "71", "72", "91", "93", "95"]) + _digits(rng, 7)
    return rng.choice(
        [
            number, _groups(number, 3, 3, 3, by=" "), _groups(number, 3, 2, 2, 2, by=" "), f"+34 {number}", f"+34{number}",
            f"+34 {_groups(number, 3, 3, 3, by=' ')}", f"0034 {number}", _groups(number, 3, 3, 3, by="-"),
            f"(+34) {_groups(number, 3, 2, 2, 2, by=' ')}", _groups(number, 2, 3, 2, 2, by=" ") if number[0] == "9" else number,
        ]
    )  # fmt: skip


_LATIN = {
    "en": (["Emma", "Oliver", "Priya", "Jack", "Amelia", "Noah"], ["Smith", "O'Brien", "Patel", "Walker", "Hughes"]),
    "de": (["Jürgen", "Anna", "Lukas", "Sabine", "Mehmet", "Greta"], ["Müller", "Schäfer", "Krüger", "Weiß", "Yılmaz"]),
    "es": (
        ["Lucía", "Javier", "Begoña", "Mateo", "Íñigo", "Carmen"],
        ["García", "Núñez", "Fernández", "Ibáñez", "Ruiz"],
    ),
    "zh": (["zhang", "li", "wang", "chen", "liu"], ["wei", "na", "fang", "xiaoming", "jing"]),
}
_FOLD = str.maketrans("üäößíñáéóúıÍ'", "uaosinaeoui" + "i_")


def _email(rng: random.Random, language: str) -> str:
    first, last = (rng.choice(names).lower().translate(_FOLD) for names in _LATIN[language])
    domains = {
        "en": ["gmail.com", "outlook.com", "btinternet.co.uk", "alum.mit.edu"], "de": ["web.de", "gmx.net", "t-online.de"],
        "es": ["hotmail.es", "telefonica.net", "correo.ugr.es"], "zh": ["qq.com", "163.com", "sina.com.cn", "foxmail.com"],
    }  # fmt: skip
    number = _digits(rng, rng.choice([2, 4]))
    domain = rng.choice([*domains[language], "my-shop.example", f"{last.replace('_', '')}.io"])
    local = rng.choice(
        [f"{first}.{last}", f"{first[0]}{last}{number}", f"{last}_{first}", f"{first}+orders", f"{first}-{number}"]
    )
    if language == "zh" and rng.random() < 0.3:
        local, domain = _digits(rng, 9), "qq.com"
    made = f"{local}@{domain}"
    shape = rng.random()
    if shape < 0.08:
        return f"{local} [at] {domain.replace('.', ' [dot] ')}"
    if shape < 0.14:
        return f"{local}(at){domain}"
    if shape > 0.95:
        return f"{local}%40{domain}"
    return made.upper() if shape < 0.2 else made.title() if shape < 0.25 else made


def _ip(rng: random.Random, _language: str) -> str:
    four = ".".join(str(rng.randint(1, 254)) for _ in range(4))
    six = [f"{rng.randint(1, 0xFFFF):x}" for _ in range(8)]
    return rng.choice(
        [
            four,
            four,
            four,
            ":".join(six),
            f"2001:db8::{six[0]}",
            f"fe80::{six[1]}:{six[2]}",
            f"2a02:{six[1]}:{six[2]}::1",
        ]
    )


def _mac(rng: random.Random, _language: str) -> str:
    pairs = [f"{rng.randint(0, 255):02x}" for _ in range(6)]
    made = rng.choice([":".join(pairs), "-".join(pairs), _groups("".join(pairs), 4, 4, 4, by=".")])
    return rng.choice([made, made.upper()])


def _order(rng: random.Random, language: str) -> str:
    year, letters = rng.randint(2021, 2026), "".join(rng.choice("ABCDEFGHKLMNPRSTUVWX") for _ in range(2))
    if language == "zh":
        day = f"{year}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
        return rng.choice(
            [
                day + _digits(rng, 10),
                f"{letters}{day}{_digits(rng, 4)}",
                f"E{_digits(rng, 15)}",
                _digits(rng, 12),
                _groups(day + _digits(rng, 4), 4, 4, by=" "),
            ]
        )
    return rng.choice(
        [
            f"{letters}-{year}-{_digits(rng, 5)}", f"#{rng.randint(10, 99)}{_digits(rng, 4)}", f"{letters}{_digits(rng, 8)}",
            f"{rng.randint(100, 999)}-{_digits(rng, 7)}-{_digits(rng, 7)}", f"{rng.randint(4, 9)}{_digits(rng, 8)}",
            f"{year}/{_digits(rng, 6)}", f"{letters}/{_digits(rng, 6)}-{rng.randint(1, 9)}",
        ]
    )  # fmt: skip


def _national(rng: random.Random, language: str) -> str:
    return {"en": _ssn_or_nino, "zh": _resident, "de": _steuer_id, "es": _dni}[language](rng)


def _ssn_or_nino(rng: random.Random) -> str:
    if rng.random() < 0.5:
        area = rng.choice([rng.randint(1, 665), rng.randint(667, 899)])
        made = f"{area:03d}-{rng.randint(1, 99):02d}-{rng.randint(1, 9999):04d}"
        return rng.choice([made, made, made.replace("-", " "), made.replace("-", "")])
    made = rng.choice(["AB", "CE", "JM", "SR", "WP"]) + _digits(rng, 6) + rng.choice("ABCD")
    return rng.choice([made, _groups(made, 2, 2, 2, 2, by=" ")])


def _resident(rng: random.Random) -> str:
    area = rng.choice("110101 310104 440305 330106 510107 320505 420106 350203 610113 370202".split())
    body = f"{area}{rng.randint(1950, 2006)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{_digits(rng, 3)}"
    total = sum(int(d) * (1 << (17 - place)) % 11 for place, d in enumerate(body))
    made = body + "10X98765432"[total % 11]
    return made.lower() if rng.random() < 0.2 else made


def _steuer_id(rng: random.Random) -> str:
    digits = rng.sample(string.digits, 10)
    digits[rng.randint(1, 9)] = digits[0]
    rng.shuffle(digits)
    if digits[0] == "0":
        digits = digits[1:] + digits[:1]
    if digits[0] == "0":
        digits = digits[1:] + digits[:1]
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    made = "".join(digits) + str((11 - product) % 10)
    return rng.choice([made, _groups(made, 2, 3, 3, 3, by=" ")])


def _dni(rng: random.Random) -> str:
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    if rng.random() < 0.3:
        head = rng.choice("XYZ")
        body = _digits(rng, 7)
        return f"{head}{rng.choice(['', '-'])}{body}{rng.choice(['', '-'])}{letters[int(str('XYZ'.index(head)) + body) % 23]}"
    number = rng.randint(1_000_000, 99_999_999)
    made, letter = f"{number:08d}", letters[number % 23]
    return rng.choice([f"{made}{letter}", f"{made}-{letter}", f"{made[:2]}.{made[2:5]}.{made[5:]}-{letter}"])


_MAKERS: dict[str, Callable[[random.Random, str], str]] = {
    "email": _email, "phone": _phone, "card": _card, "iban": _iban, "ip": _ip, "mac": _mac, "order": _order,
    "national": _national, "wechat": _mobile_zh,
}  # fmt: skip

# Hard negatives: what looks personal and is not


def _date(rng: random.Random) -> str:
    y, m, d = rng.randint(2019, 2027), rng.randint(1, 12), rng.randint(1, 28)
    return rng.choice(
        [f"{y}-{m:02d}-{d:02d}", f"{d:02d}.{m:02d}.{y}", f"{m}/{d}/{y}", f"{y}{m:02d}{d:02d}", f"{d}-{m}-{y}", f"{y}年{m}月{d}日",
         f"{y}/{m:02d}/{d:02d} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}"]
    )  # fmt: skip


def _ean(rng: random.Random) -> str:
    body = rng.choice(["400", "401", "690", "693", "841", "500", "978"]) + _digits(rng, 9)
    return body + str(-sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(body)) % 10)


def _money(rng: random.Random) -> str:
    whole, cents = rng.randint(1, 9999), rng.randint(0, 99)
    return rng.choice(
        [f"${whole:,}.{cents:02d}", f"{whole:,}".replace(",", ".") + f",{cents:02d} €", f"¥{whole}", f"{whole}.{cents:02d} EUR",
         f"{whole:,}".replace(",", " ") + f",{cents:02d} €", f"{whole}元", f"GBP {whole}.{cents:02d}", f"{whole}.{cents:02d}"]
    )  # fmt: skip


def _serial(rng: random.Random) -> str:
    """Nearly an IBAN, nearly a card, nearly a resident number: the check digit is wrong, or the length."""
    iban = f"DE{rng.randint(2, 98):02d}{_digits(rng, 18)}"
    if int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1:
        iban = iban[:-1] + str((int(iban[-1]) + 1) % 10)
    card = _luhn("4" + _digits(rng, 14))
    card = card[:-1] + str((int(card[-1]) + rng.randint(1, 9)) % 10)
    return rng.choice(
        [iban, _groups(iban, 4, 4, 4, 4, 4, by=" "), card, _groups(card, 4, 4, 4, 4, by=" "), f"DE{_digits(rng, 9)}X",
         f"ES{_digits(rng, 6)}-{rng.choice('ABC')}", f"SN{_digits(rng, 14)}", f"GB{_digits(rng, 10)}"]
    )  # fmt: skip


def _sku(rng: random.Random) -> str:
    letters = "".join(rng.choice(string.ascii_uppercase) for _ in range(rng.randint(2, 3)))
    return rng.choice(
        [f"{letters}-{rng.randint(100, 9999)}", f"{_digits(rng, 4)}-{_digits(rng, 4)}", f"{letters}{rng.randint(10, 999)}XM{rng.randint(2, 5)}",
         f"{_digits(rng, 3)}.{_digits(rng, 3)}.{_digits(rng, 2)}", f"{rng.randint(10, 99)}-{_digits(rng, 4)}-{rng.choice('ABC')}", f"100{_digits(rng, 8)}"]
    )  # fmt: skip


def _hours(rng: random.Random) -> str:
    a, b = rng.randint(7, 10), rng.randint(16, 22)
    return rng.choice(
        [
            f"{a}:00-{b}:30",
            f"{a:02d}:00–{b}:00",
            f"{a}.30 - {b}.00",
            f"{a}-{b}",
            f"{a}am-{b - 12}pm",
            f"{a:02d}00-{b}00",
        ]
    )


def _odd(rng: random.Random) -> str:
    return rng.choice(
        [f"{rng.randint(1, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 20)}", f"{rng.randint(40, 220)}x{rng.randint(40, 220)}x{rng.randint(5, 90)} cm",
         f"{rng.randint(2001, 2020)}-{rng.randint(2021, 2026)}", f"EN {_digits(rng, 5)}:2012", f"ISO {rng.randint(1000, 27001)}", "24/7", "16:9",
         f"{rng.randint(30, 60)}.{_digits(rng, 4)}, {rng.randint(3, 15)}.{_digits(rng, 4)}", f"#{rng.randint(1, 20)}", f"#FF{_digits(rng, 4)}",
         "@tentlovers", f"{rng.randint(2, 9)}@{rng.randint(1, 30)}.99", "IPX7", "802.11ax", f"{rng.randint(10, 99)}%", "19.99/24.99/29.99",
         f"{rng.randint(36, 46)}-{rng.randint(36, 46)}", f"LOT {_digits(rng, 8)}", f"{rng.randint(1, 12)}:{rng.randint(10, 59)}:{rng.randint(10, 59)}", "1+1", "100,000"]
    )  # fmt: skip


def _plain(rng: random.Random, language: str) -> str:
    makers = {"money": _money, "date": _date, "sku": _sku, "hours": _hours, "ean": _ean, "serial": _serial, "odd": _odd}
    text = rng.choice(PLAIN[language])
    for name, make in makers.items():
        while "{" + name + "}" in text:
            text = text.replace("{" + name + "}", make(rng), 1)
    version = ".".join(str(rng.randint(0, 30)) for _ in range(4))
    return text.replace("{v4}", version).replace("{n}", str(rng.randint(2, 14)))


def _message(rng: random.Random, language: str) -> Sample:
    parts: list[tuple[str, str, str]] = [(_plain(rng, language), "", "") for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.67:
        for _ in range(rng.randint(1, 3)):
            kind = rng.choice(list(SAID[language]))
            parts.append((rng.choice(SAID[language][kind]), kind, _MAKERS[kind](rng, language)))
    if rng.random() < 0.2:
        latin = " ".join(rng.choice(names) for names in _LATIN[language])
        parts.append((rng.choice(NAMES[language]), "name", rng.choice(CHINESE) if language == "zh" else latin))
    if rng.random() < 0.1:
        parts.append((LIVES[language], "address", rng.choice(STREETS[language])))
    rng.shuffle(parts)
    glue = rng.choice([" ", " ", "\n", "" if language == "zh" else " ", ", " if language != "zh" else "，"])
    text, gold = "", []
    for template, kind, value in parts:
        before, slot, after = template.partition("{}") if kind else (template, "", "")
        text += (glue if text else "") + before
        if slot:
            gold.append(Gold(kind, len(text), len(text) + len(value)))
            text += value + after
    return Sample(language, text, tuple(gold))
