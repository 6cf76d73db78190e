"""Plain text: bytes to characters, and headings by their look.

The encoding is decided in this order: byte order mark, UTF-8, UTF-16 by its zero bytes, GB 18030
where the bytes read as everyday Chinese, Windows-1252 where they read as Western text, then
charset-normalizer's guess: short texts in Chinese it takes for Korean or Big5, in English for Baltic.
"""

from __future__ import annotations

import codecs
import re

from assistant.language import is_gb18030
from assistant.retrieval.formats.layout import Draft, Parsed, Refused, clean

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def decode(data: bytes) -> str:
    """The characters of a text file.

    Raises:
        Refused: the bytes are no text in any encoding that can be told.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            try:
                return _text(data[len(mark) :] if encoding == "utf-8" else data, encoding)
            except UnicodeDecodeError as error:
                raise Refused(f"It begins as {encoding.upper()} text but goes on otherwise: it is damaged.") from error
    _refuse_damaged(data)
    encodings = ["utf-8"]
    if wide := _utf16(data):
        encodings.insert(0, wide)
    if is_gb18030(data):
        encodings.append("gb18030")
    elif is_western(data):
        encodings.append("cp1252")
    for encoding in encodings:
        try:
            return _text(data, encoding)
        except UnicodeDecodeError:
            continue
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    if best is None:
        raise Refused("It is binary, or text in an unknown encoding. Save it as UTF-8.")
    return _text(data, best.encoding)


_LOWER, _UPPER = "àáâãäåæçèéêëíîïñòóôõöøùúûüß", "ÀÁÂÄÅÆÇÈÉÊËÍÎÏÑÓÔÖØÙÚÛÜ"
_EVERYDAY = frozenset(_LOWER + _UPPER + "€£’‘“”„–—…•°±×²½™®©§«»¿¡·\u00a0")
_FOREIGN = re.compile(
    rf"[{_LOWER}{_UPPER}]{{3}}"  # Cyrillic, Greek, Korean and others
    rf"|[a-z{_LOWER}][{_UPPER}]|\w[¿¡]|[¿¡](?!\w)|[^\W_][“”„«»][^\W_]|[^\W\d_]½|½[^\W\d_]"  # DOS, Macintosh, Polish
    r"|[êæñ]\b|Kè\b|ã(?![eo])|õ(?!e)"  # Polish, Czech, Romanian, Hungarian
    r"|(?<![^\W\d_])ß|â€|Â\W"  # Japanese; UTF-8 that is broken elsewhere
)
"""What the bytes of other encodings give as Windows-1252, and Western words do not have."""


def is_western(data: bytes) -> bool:
    """Whether the bytes are Windows-1252 of the usual letters and signs, few of the letters with accents."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    if not _EVERYDAY.issuperset(char for char in text if not char.isascii()) or _FOREIGN.search(text):
        return False
    letters = sum(map(str.isalpha, text))
    return sum(char.isalpha() and not char.isascii() for char in text) <= 0.3 * letters


def _refuse_damaged(data: bytes) -> None:
    """Refuses UTF-8 with some broken bytes: guessed as another encoding, its letters would turn to others."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", "replace")
        bad = text.count("\ufffd")
        if sum(not char.isascii() for char in text) - bad > 10 * bad:
            line = data[: error.start].count(b"\n") + 1
            raise Refused(f"It is UTF-8 text with damaged characters, the first in line {line}. Mend it.") from error


def _text(data: bytes, encoding: str) -> str:
    """Strictly decoded. Raises UnicodeDecodeError, or Refused where the characters are no text."""
    text = data.decode(encoding)
    if len(_CONTROL.findall(text)) > max(4, len(text) // 20):
        raise Refused("It is a binary file, not text.")
    return text


def _utf16(data: bytes) -> str:
    """UTF-16's byte order where there is no mark: text in it has zeros at even or at odd places."""
    sample = data[:4096]
    if len(sample) < 4 or len(data) % 2:
        return ""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) < len(sample) // 20 + 1 or min(even, odd) > max(even, odd) // 10:
        return ""
    return "utf-16-be" if even > odd else "utf-16-le"


_NUMBERED = re.compile(
    r"(?P<number>\d{1,2}(?:\.\d{1,2}){1,3})\.?\s+\S|(?P<chapter>第[一二三四五六七八九十\d]+[章节条部]|[一二三四五六七八九十]+、)"
)
_ENDS = tuple(".,;:!?。，；：！？、…|")


def heading_level(line: str) -> int:
    """The level of a line that looks like a heading by its text alone, 0 for any other.

    >>> heading_level("2.1 How long it lasts"), heading_level("RETURNS"), heading_level("You can return it.")
    (2, 1, 0)
    """
    line = line.strip()
    if not 2 <= len(line) <= 60 or line.endswith(_ENDS):
        return 0
    if found := _NUMBERED.match(line):
        return found["number"].count(".") + 1 if found["number"] else 1
    letters = [char for char in re.sub(r"\(.*?\)", "", line) if char.isalpha()]
    capitals = len(letters) >= 3 and all(char.isupper() for char in letters)
    return 1 if capitals and not any(char.isdigit() for char in line) else 0


def read(data: bytes, *, name: str, max_bytes: int) -> Parsed:
    """A text file as it stands; a heading is a numbered line or one in capitals after a blank line."""
    text = clean(decode(data))
    draft = Draft(max_bytes)
    for block in re.split(r"\n[ ]*(?:\n[ ]*)+", text):
        first, _, rest = block.strip().partition("\n")
        under = re.match(r"(=|-){3,}\s*(?:\n|\Z)", rest)
        level = (1 if under[1] == "=" else 2) if under else heading_level(first)
        if level and not _is_list(first, rest):
            draft.heading(level, first)
            draft.block(rest[under.end() :] if under else rest)
        else:
            draft.block(block)
    return draft.finish("txt")


def _is_list(first: str, rest: str) -> bool:
    """Whether a block is a list of like lines, not a heading with its text."""
    following = rest.partition("\n")[0]
    return bool(following) and heading_level(following) > 0 and first[:1].isdigit() == following[:1].isdigit()
