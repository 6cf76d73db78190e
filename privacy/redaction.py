"""Personal data replaced by keyed pseudonyms, and a type that proves it was done.

`<email:3f9a01c7>` stands for one address: the same value gives the same pseudonym for one holder's key, so that
redacted rows can still be told apart and joined; without the key nobody can go back or try values out. Whoever
writes data out for others takes a `Redacted`, which only a `Redactor` makes. It is not anonymity: what a
text tells in words stays (see `recognise.py` for what is recognised).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from privacy.keys import durable_write, secret_key
from privacy.recognise import Finder, Found, find

_SEAL = object()
_TOKEN = re.compile(r"<[a-z]{2,12}:[0-9a-f]{8}>")
INVISIBLE = dict.fromkeys((0x00AD, 0x200B, 0x2060, 0xFEFF))
"""For `str.translate`: takes out what nobody sees and what would hide a value from the recogniser."""
_LONG_NUMBER = 10**8


@final
class Redacted:
    """A text without recognised personal data. `counts` says how much of each kind was replaced.

    Raises TypeError when it is made by anything but a `Redactor`.
    """

    __slots__ = ("counts", "text")
    text: str
    counts: Mapping[str, int]

    def __init__(self, text: str, counts: Mapping[str, int], *, seal: object = None) -> None:
        if seal is not _SEAL:
            raise TypeError("Only Redactor.redact makes a Redacted.")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "counts", dict(counts))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("A Redacted does not change.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Redacted) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Redacted({self.text!r})"

    def encode(self) -> bytes:
        """The text as UTF-8."""
        return self.text.encode("utf-8", "surrogatepass")


class Redactor:
    """Replaces personal data by pseudonyms of one key. Safe to use from several threads."""

    def __init__(self, key: bytes, *, order_formats: Sequence[str] = (), finder: Finder | None = None) -> None:
        """`order_formats` and `finder` are those of `recognise.find`."""
        self._key = key
        self._formats = tuple(order_formats)
        self._finder = finder

    @classmethod
    def open(cls, data_dir: Path, *, order_formats: Sequence[str] = (), finder: Finder | None = None) -> Redactor:
        """The redactor of a data folder; its key is made at first use."""
        return cls(secret_key(data_dir / "keys" / "redaction.key"), order_formats=order_formats, finder=finder)

    def redact(self, text: str) -> Redacted:
        """The text with everything recognised replaced. Redacting twice changes nothing more."""
        counts: dict[str, int] = {}
        clean = text.translate(INVISIBLE)
        parts: list[str] = []
        at = 0
        for token in _TOKEN.finditer(clean):  # pseudonyms from before stay
            parts += [self._replaced(clean[at : token.start()], counts), token[0]]
            at = token.end()
        parts.append(self._replaced(clean[at:], counts))
        return Redacted("".join(parts), counts, seal=_SEAL)

    def redact_data(self, data: Any) -> Redacted:
        """JSON of the data with all its texts redacted, keys and long whole numbers too.

        `data` is what `json.dumps` takes; the text is one line.
        """
        counts: dict[str, int] = {}
        clean = self._walk(data, counts)
        return Redacted(json.dumps(clean, ensure_ascii=False, sort_keys=True), counts, seal=_SEAL)

    def pseudonym(self, kind: str, value: str) -> str:
        """What stands for a value: `<kind:8 hex digits>`."""
        mac = hmac.new(self._key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"<{kind}:{mac.hexdigest()[:8]}>"

    def find(self, text: str) -> list[Found]:
        """What is personal in a text, by this redactor's order numbers and finder."""
        return find(text, order_formats=self._formats, finder=self._finder)

    def _replaced(self, text: str, counts: dict[str, int]) -> str:
        parts: list[str] = []
        at = 0
        for one in self.find(text) if text else ():
            counts[one.kind] = counts.get(one.kind, 0) + 1
            parts += [text[at : one.start], self.pseudonym(one.kind, one.value)]
            at = one.end
        return "".join([*parts, text[at:]])

    def _walk(self, data: Any, counts: dict[str, int]) -> Any:
        if isinstance(data, str):
            inner = self.redact(data)
            for kind, n in inner.counts.items():
                counts[kind] = counts.get(kind, 0) + n
            return inner.text
        if isinstance(data, Mapping):
            return {self._walk(str(key), counts): self._walk(value, counts) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self._walk(value, counts) for value in data]
        if isinstance(data, int) and not isinstance(data, bool) and abs(data) > _LONG_NUMBER:
            clean = self._walk(str(data), counts)
            return data if clean == str(data) else clean
        return data


def training_row(redactor: Redactor, messages: Sequence[tuple[str, str]], *, mark: str) -> Redacted:
    """A line of a chat training file from a conversation: (role, text) pairs, the last one the assistant's.

    `mark` is the customer's (`erasure.Marks`), never their id: the row can be found when they are forgotten.

    >>> redactor = Redactor(bytes(32))
    >>> training_row(redactor, [("user", "I am max@web.de"), ("assistant", "Hello!")], mark="cust1").text[:62]
    '{"customer": "cust1", "messages": [{"content": "I am <email:'
    """
    rows = [{"role": role, "content": text} for role, text in messages]
    return redactor.redact_data({"messages": rows, "customer": mark})


def write_lines(path: Path, lines: Iterable[Redacted]) -> int:
    """Writes redacted lines to a file for others, whole or not at all, and says how many."""
    texts = [line.encode().replace(b"\n", b" ") + b"\n" for line in lines]
    durable_write(path, b"".join(texts))
    return len(texts)
