"""What a text is made of: its language, its sentences, its words. Pure.

Sentences are returned as spans, so that a quote stays byte-exact. Language detection is lingua's
(n-gram models, offline); words of Chinese are character pairs, which search well without a
dictionary and split the same way in a question and in a passage.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lingua import LanguageDetector

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_LETTER = re.compile(r"[^\W\d_]")
_CJK_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_PLAIN = r"[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+"  # "2015年" is a number and a character
_WORD = re.compile(rf"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+|{_PLAIN}(?:[.,'’\-]{_PLAIN})*")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|approx|incl|excl|max|min|no|nr|vs|mr|mrs|ms|dr|st|inc|ltd|co|fig|sec|art|tel|est)|\b[A-Za-z])\.$",
    re.IGNORECASE,
)
# A sentence ends at 。！？ anywhere, at . ! ? before white space, and at a blank line or one that starts a list.
_BREAK = re.compile(
    r"[。！？；](?:[”’」』）\"')\]])*|[.!?]+(?:[\"'”’)\]])*(?=\s|$)|\n[ \t]*\n|\n(?=[ \t]*(?:[-*•·|#]|\d+[.)、]))|\n"
)
_FIELD = re.compile(r"[^\s:：][^:：\n]{0,40}[:：] ?\S")
_SHORT_FIELD = re.compile(r"[^\s:：][^:：\n]{0,40}(?:: |：)\S.*(?<![.!?;。！？；])")
"""A field that is no sentence and no time of day: two of these are a row of two columns."""
_STOPWORDS = frozenset(
    """a an the is are was were be been being am do does did doing done have has had having i me my mine we us our
    you your yours he him his she her it its they them their this that these those who whom whose which what when where why how
    of to in on at by for from with without about into onto over under as or and but if then than so not no nor too very
    can could will would shall should may might must just also there here any some all each every more most other
    such only own same s t re ve ll d m please hi hello hey thanks thank ok okay tell know want need like get got let
    much many long""".split()
)
ADDRESS = r"(?:亲+(?:爱的)?|老板娘?|掌柜的?|店家|店主|小姐姐|小哥哥)"
"""Whom a Chinese customer addresses before or behind a message."""
_LEADING_ADDRESS = re.compile(rf"^\W*{ADDRESS}[\s,，~～。！!、]+(?=\w)")
_FREQUENT_HAN = frozenset(
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所得"
    "等部度家小您请天内可退货款品商订单价问答"
)


def clean(text: str) -> str:
    """The text without what no database or tokenizer takes: NUL, and half of a surrogate pair, which becomes "?".

    >>> clean("ten\\x00ts \\ud83d")
    'tents ?'
    """
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def unaddressed(message: str) -> str:
    """The message without whom it addresses: documents say nothing of 亲 or 老板.

    >>> unaddressed("亲，鱼缸包邮吗"), unaddressed("老板")
    ('鱼缸包邮吗', '老板')
    """
    return _LEADING_ADDRESS.sub("", message)


def detect(text: str, *, default: str = "en") -> str:
    """The ISO 639-1 code of the text's language; `default` where it is too short to tell.

    >>> detect("可以退货吗？"), detect("Do I get the delivery costs back?")
    ('zh', 'en')
    """
    letters = len(_LETTER.findall(text))
    if not letters:
        return default
    if _KANA.search(text):
        return "ja"
    if is_han(text):
        return "zh"
    if letters < 12 and text.isascii():
        return default
    ranked = _detector().compute_language_confidence_values(text)
    if not ranked:
        return default
    best = ranked[0]
    code = best.language.iso_code_639_1.name.lower()
    sure = best.value > (0.5 if letters >= 60 else 0.8)
    return code if sure else default


def is_han(text: str) -> bool:
    """Whether it is written in Han characters: one weighs several Latin letters, and brand names stay Latin."""
    letters = len(_LETTER.findall(text))
    return bool(letters) and len(_HAN.findall(text)) / letters > 0.25


def is_gb18030(data: bytes) -> bool:
    """Whether the bytes are GB 18030, judged by how everyday its characters would be.

    GB 2312 sorts the 3,755 most used characters into the rows B0-D7: Latin, Big5 and Japanese bytes
    read as GB fall elsewhere. Korean bytes fall into B0-C8 only, and give no frequent characters.
    """
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return False
    leads = [
        code[0] for char in text if not char.isascii() and len(code := char.encode("gb18030")) == 2 and code[1] > 0xA0
    ]
    wide = sum(not char.isascii() for char in text)
    everyday = sum(0xB0 <= lead <= 0xD7 for lead in leads)
    marks = sum(0xA1 <= lead <= 0xA3 for lead in leads)
    if not everyday or everyday + marks < 0.85 * wide:
        return False
    frequent = sum(char in _FREQUENT_HAN for char in text)
    return frequent >= 0.04 * everyday or any(0xC9 <= lead <= 0xD7 for lead in leads)


@functools.cache
def _detector() -> LanguageDetector:
    from lingua import Language, LanguageDetectorBuilder

    known = "ARABIC CHINESE DUTCH ENGLISH FRENCH GERMAN ITALIAN JAPANESE KOREAN POLISH PORTUGUESE RUSSIAN SPANISH THAI"
    languages = [getattr(Language, name) for name in [*known.split(), "TURKISH"]]
    return LanguageDetectorBuilder.from_languages(*languages).with_low_accuracy_mode().build()


def sentences(text: str) -> list[tuple[int, int]]:
    """The (start, end) spans of the sentences, in order, without the white space around them.

    >>> [("Ships in 2.5 days. Free over 50 EUR.")[a:b] for a, b in sentences("Ships in 2.5 days. Free over 50 EUR.")]
    ['Ships in 2.5 days.', 'Free over 50 EUR.']
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for found in _BREAK.finditer(text):
        if found.group().startswith("\n"):
            if not _ends_sentence(text, found):
                continue
        elif found.group()[0] == "." and _ABBREVIATION.search(text, start, found.end()):
            continue
        _add(spans, text, start, found.end())
        start = found.end()
    _add(spans, text, start, len(text))
    return spans


def fields(text: str) -> list[tuple[int, int]]:
    """The spans of the lines of a record ("name: Alder 2", "price: 249.00 EUR"); [] where the text is prose.

    >>> [("name: Alder 2\\nprice: 249.00 EUR\\nstock: 4")[a:b] for a, b in fields("name: Alder 2\\nprice: 249.00 EUR\\nstock: 4")]
    ['name: Alder 2', 'price: 249.00 EUR', 'stock: 4']
    >>> fields("Ticket: Adult\\nPrice: £12"), fields("Returns: within 30 days.\\nRefunds: at once.")
    ([(0, 13), (14, 24)], [])
    """
    lines = text.split("\n")
    two = len(lines) == 2 and all(_SHORT_FIELD.fullmatch(line) for line in lines)
    if not two and len(lines) < 3:
        return []
    if sum(bool(_FIELD.match(line)) for line in lines) < 0.7 * len(lines):
        return []
    spans, start = [], 0
    for line in lines:
        if line.strip():
            spans.append((start, start + len(line)))
        start += len(line) + 1
    return spans


def cells(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The spans of the cells of a row ("Size: S | Chest: 83 cm") in `text[start:end]`; [] where it is none.

    >>> [("Size: S | Chest: 83 cm")[a:b] for a, b in cells("Size: S | Chest: 83 cm", 0, 22)]
    ['Size: S', 'Chest: 83 cm']
    """
    spans: list[tuple[int, int]] = []
    for piece in text[start:end].split(" | "):
        _add(spans, text, start, start + len(piece))
        start += len(piece) + 3
    labelled = sum(bool(_FIELD.match(text[left:right])) for left, right in spans)
    return spans if len(spans) > 1 and labelled >= 0.7 * len(spans) else []


def _ends_sentence(text: str, found: re.Match[str]) -> bool:
    """Whether a line break ends a sentence: not where a wrapped line goes on in lower case."""
    if found.group().count("\n") > 1:
        return True
    rest = text[found.end() : found.end() + 40].lstrip(" \t")
    if re.match(r"[-*•·|#]|\d+[.)、]", rest):
        return True
    before = text[: found.start()].rstrip()
    line = before.rpartition("\n")[2]
    if rest[:1].islower() or (before[-1:] in {",", "，", "、"}):
        return False
    return not (len(line) > 60 and before[-1:].isalnum())  # a long line without an end is wrapped


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    right = len(piece.rstrip())
    if right > left:
        spans.append((start + left, start + right))


def words(text: str) -> list[str]:
    """The searchable terms: lower-case words and numbers; character pairs of Chinese and Japanese.

    >>> words("Tents from 99.50 EUR"), words("退货期限")
    (['tents', 'from', '99.50', 'eur'], ['退货', '货期', '期限'])
    """
    terms: list[str] = []
    for token in _WORD.findall(unicodedata.normalize("NFKC", text).lower()):
        if _CJK_RUN.fullmatch(token):
            terms += [token[i : i + 2] for i in range(len(token) - 1)] or [token]
        else:
            terms.append(token.replace("’", "'"))
    return terms


def content_words(text: str) -> list[str]:
    """`words` without the ones that say nothing of the subject, plurals folded.

    >>> content_words("Do I get the delivery costs back?")
    ['delivery', 'cost', 'back']
    """
    return [stem(word) for word in words(text) if word not in _STOPWORDS and (len(word) > 1 or word.isdigit())]


def stem(word: str) -> str:
    """A light English stem (Harman's s-stemmer): only plurals, so that unlike words stay apart."""
    if not word.isascii() or len(word) < 4:
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")):
        return word[:-1]
    return word
