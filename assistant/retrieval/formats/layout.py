"""What every reader of a format produces: clean text, and where its pages, headings and rows start.

Blocks are separated by a blank line; a sentence never spans two blocks. Not a renderer: the text is
for reading, searching and quoting, markup is gone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MAX_HEADING_CHARS = 200

# Controls, direction overrides, zero-width characters and tag characters are invisible: a reader of the
# page cannot see them, so a quote must not carry them. Joiners (200c, 200d) spell words and emoji.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_LINE_ENDS = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile(r"[\t\u00a0\u2000-\u200a\u202f\u205f]")


class Refused(Exception):
    """This file cannot become a document; the message is the reason that people read."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reader made of a file. Offsets count characters of `text`; see `types.Document`."""

    kind: str
    text: str
    pages: tuple[int, ...] = ()
    headings: tuple[tuple[int, str, int], ...] = ()
    rows: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()


# Fonts lead PDF writers to radicals in place of the characters that look the same; nobody types them.
_RADICALS = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0x2F00, 0x2FD6)} | dict(
    zip(
        map(ord, "⺟⺠⻁⻄⻅⻆⻉⻋⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻪⻬⻮⻰⻳"),
        "母民虎西见角贝车长门青韦页风飞食马骨鬼鱼鸟卤麦黄黾齐齿龙龟",
        strict=True,
    )
)


def clean(text: str) -> str:
    """The text in NFC, with \\n line ends, plain spaces, characters for radicals, and nothing invisible.

    >>> clean("a\\u0308\\r\\nb\\x00\\u200bc")
    'ä\\nbc'
    """
    text = _SPACES.sub(" ", _LINE_ENDS.sub("\n", text))
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text).translate(_RADICALS))


def one_line(text: str) -> str:
    """The text cleaned, with every run of white space as one space."""
    return " ".join(clean(text).split())


@dataclass(slots=True)
class Draft:
    """A document in the making: blocks are appended, offsets kept.

    Raises (from every method that adds text):
        Refused: the text has grown beyond `max_bytes` of UTF-8.
    """

    max_bytes: int
    _parts: list[str] = field(default_factory=list)
    _length: int = 0
    _bytes: int = 0
    _pages: list[int] = field(default_factory=list)
    _headings: list[tuple[int, str, int]] = field(default_factory=list)
    _rows: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def block(self, text: str) -> int:
        """Appends cleaned text as a block and returns its offset; blank text adds nothing."""
        text = clean(text).strip()
        if not text:
            return self._length
        separator = "\n\n" if self._parts else ""
        self._bytes += len(text.encode()) + len(separator)
        if self._bytes > self.max_bytes:
            raise Refused(f"It holds more than {self.max_bytes // 2**20} MB of text. Split it into smaller files.")
        start = self._length + len(separator)
        self._parts += [separator, text]
        self._length = start + len(text)
        return start

    def heading(self, level: int, text: str) -> None:
        """Appends a heading; one too long to be a heading becomes a paragraph."""
        text = one_line(text)
        if not text:
            return
        start = self.block(text)
        if len(text) <= MAX_HEADING_CHARS:
            self._headings.append((level, text, start))

    def row(self, text: str) -> None:
        """Appends a record of a table."""
        start = self.block(text)
        if self._length > start:
            self._rows.append((start, self._length))

    def table(self, rows: Sequence[Sequence[str]], *, header: bool) -> None:
        """Appends a table inside a text: one block a row, "column: cell | column: cell" under a header.

        A row that repeats its columns' names can be quoted alone.
        """
        cells = [[one_line(cell) for cell in row] for row in rows]
        cells = [row for row in cells if any(row)]
        names = cells[0] if header and len(cells) > 1 else []
        for row in cells[1:] if names else cells:
            labels = names if len(names) == len(row) else [""] * len(row)
            pairs = [f"{label}: {cell}" if label else cell for label, cell in zip(labels, row, strict=True) if cell]
            self.block(" | ".join(pairs))

    def page(self) -> None:
        """The next block starts a page (or the document's end does, where no block follows)."""
        self._pages.append(self._length + (2 if self._parts else 0))

    def page_inside(self, offset: int) -> None:
        """A page starts at `offset` of the text, inside a block already appended."""
        self._pages.append(offset)

    def finish(self, kind: str) -> Parsed:
        """The document. Raises Refused where there is no text."""
        text = "".join(self._parts)
        if not text:
            raise Refused("There is no text in it.")
        pages = tuple(min(offset, len(text)) for offset in self._pages)
        return Parsed(kind, text, pages, tuple(self._headings), tuple(self._rows), tuple(self.notes))


_QUESTION = ("question", "questions", "q", "问题", "提问", "问", "faq", "query", "frage", "常见问题")
_ANSWER = ("answer", "answers", "a", "回答", "答案", "答", "回复", "解答", "response", "antwort")
_NAME = (
    "name",
    "title",
    "product",
    "product name",
    "product_name",
    "item",
    "名称",
    "商品名称",
    "产品名称",
    "品名",
    "标题",
)
_PRICE = ("price", "preis", "cost", "价格", "售价", "单价")
_CURRENCY = ("currency", "waehrung", "währung", "货币", "币种")
_STATUS = frozenset(("status", "state", "published", "is published", "状态", "发布状态", "是否发布", "已发布"))
_DRAFT = frozenset(
    "draft unpublished archived pending private hidden inactive disabled trash false no 0 in-review"
    " 草稿 未发布 待审核 审核中 已下线 下线 已下架 下架 停用 否".split()
) | {"in review"}
_BOOKKEEPING = _STATUS | frozenset(
    (
        "id", "faq id", "question id", "article id", "author", "owner", "editor", "created by", "updated by", "created",
        "created at", "created on", "updated", "updated at", "updated on", "last updated", "last modified", "modified",
        "modified at", "date", "version", "views", "votes", "helpful", "position", "sort order", "language", "locale",
        "编号", "序号", "作者", "创建人", "更新人", "修改人", "负责人", "创建时间", "创建日期", "更新时间", "更新日期",
        "最后更新", "修改时间", "日期", "版本", "浏览量", "点击量", "排序", "语言",
    )
)  # fmt: skip
"""A help desk's columns beside question and answer that are no customer's: who wrote it, when."""


def record(row: Mapping[str, str]) -> str:
    """A record's text: "question\\nanswer" for a FAQ, else "column: value" lines, name first.

    Args:
        row: column name -> cell, in the table's order, both cleaned; empty cells and a FAQ's bookkeeping are skipped.

    >>> record({"sku": "A2", "Name": "Alder 2", "price": "249.00", "currency": "EUR", "colour": ""})
    'Name: Alder 2\\nsku: A2\\nprice: 249.00 EUR'
    >>> record({"问题": "可以退货吗？", "回答": "可以。"})
    '可以退货吗？\\n可以。'
    """
    faq = _is_faq(row)
    cells = {name: cell for name, cell in row.items() if cell and not (faq and _plain(name) in _BOOKKEEPING)}
    question, answer = _find(cells, _QUESTION), _find(cells, _ANSWER)
    lines: list[str] = []
    if question and answer:
        lines = [cells.pop(question), cells.pop(answer)]
    elif name := _find(cells, _NAME):
        lines = [f"{name}: {cells.pop(name)}"]
    price, currency = _find(cells, _PRICE), _find(cells, _CURRENCY)
    if price and currency:
        cells[price] += f" {cells.pop(currency)}"
    return "\n".join([*lines, *(f"{name}: {cell}" for name, cell in cells.items())])


def is_draft(row: Mapping[str, str]) -> bool:
    """Whether a FAQ's row says that it is not published. Of other tables a status is content."""
    return _is_faq(row) and any(_plain(name) in _STATUS and cell.casefold() in _DRAFT for name, cell in row.items())


def _is_faq(row: Mapping[str, str]) -> bool:
    return bool(_find(row, _QUESTION) and _find(row, _ANSWER))


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _find(cells: Mapping[str, str], names: Sequence[str]) -> str | None:
    known = {name.strip().casefold(): name for name in reversed(list(cells))}
    return next((known[name] for name in names if name in known), None)
