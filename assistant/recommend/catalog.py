"""A catalogue file to items: CSV, TSV, XLSX or JSON, with the column names of Shopify and WooCommerce recognised.

A row that cannot be an item is listed with its line and what is wrong with it; the others are read. A column
that is not one of the fields stays, under its own name, as an attribute. Not where items are kept (`stock.py`).

Sources: Shopify's product CSV and WooCommerce's product export, their documented column names.
"""

from __future__ import annotations

import codecs
import csv
import functools
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.errors import BadInput
from assistant.goods import Item
from assistant.language import is_gb18030, is_han
from assistant.recommend import cells

LIMIT = 2_000
"""The longest text of a cell that is kept, in characters; a description is cut there."""
_COLUMNS: dict[str, tuple[str, ...]] = {
    # The first that a file has wins (a row, of `_PER_ROW`): a variant's own number before the product's.
    "id": (
        "variant sku",
        "sku",
        "id",
        "item",
        "item id",
        "product id",
        "movieid",
        "handle",
        "编号",
        "货号",
        "商品编号",
        "产品编号",
        "商品编码",
        "产品编码",
        "sku编码",
    ),
    "name": (
        "name",
        "title",
        "product name",
        "product",
        "名称",
        "商品名称",
        "商品名",
        "产品名称",
        "产品名",
        "品名",
        "标题",
    ),
    "price": ("price", "variant price", "sale price", "regular price", "价格", "售价", "销售价", "零售价", "单价"),
    "currency": ("currency", "货币", "币种"),
    "category": ("category", "categories", "type", "product type", "product category", "分类", "类别", "品类"),
    "brand": ("brand", "vendor", "brands", "manufacturer", "品牌"),
    "colour": ("colour", "color", "attribute colour", "颜色"),
    "size": ("size", "size range", "sizes", "attribute size", "尺码", "尺寸"),
    "stock": ("stock", "variant inventory qty", "quantity", "inventory", "in stock", "库存", "库存量", "库存数量"),
    "description": ("description", "body (html)", "short description", "body", "描述", "说明", "简介"),
    "url": ("url", "link", "product url", "链接"),
    "requires": ("requires", "prerequisites", "先修", "前置"),
}
_IN_CURRENCY = re.compile(r"(.+?) ?\(([^()\d]+)\)")
"""A price column's name with the currency behind it: 价格（元）, Price (EUR)."""
_WEIGHTS = {"weight g": 1, "variant grams": 1, "weight (g)": 1, "grams": 1, "weight (kg)": 1000, "weight kg": 1000}
_PER_ROW = ("id", "price")
"""A shop's export leaves the first empty where another holds: no own number, not on sale."""
_PUBLISHED = {"published": {"true", "1", "yes"}, "status": {"active", "publish", "published"}}
_WITHDRAWN = frozenset(
    "false 0 -1 no draft archived pending private unlisted inactive disabled hidden trash future scheduled discontinued"
    " 下架 已下架 草稿".split()
)
_IGNORED = re.compile(
    r"^(handle|parent|variant (?!price|sku|grams).*|seo .*|google shopping.*|image .*|meta: .*|option\d linked to"
    r"|gift card|tax .*|gtin.*|visibility in catalog|is featured\?|download .*|upsells|cross-sells|position"
    r"|allow .*|sold .*|in stock\?)$"
)
_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?\n', re.I)
"""The line in which Excel names the separator."""
_LANGUAGE = re.compile(r"^(?:name|title) (zh|en|de|fr|es|it|ja|ko|pt|nl|pl)$")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out, and why. `line` counts from 1, the heading included; `id` is that of an item whose
    row is wrong, not of one that is not for sale."""

    line: int
    problem: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """What a file held."""

    items: tuple[Item, ...]
    bad: tuple[BadRow, ...] = ()
    columns: tuple[str, ...] = ()


def read_catalog(path: Path, *, currency: str = "") -> Read:
    """The items of a file, and the rows that are none.

    Raises:
        BadInput: the file cannot be read at all, or has no column for an id and a name.
    """
    rows = list(rows_of(path))
    if not rows:
        return Read(())
    heads = list(dict.fromkeys(key for _, row in rows for key in row))
    fields, options = _fields(heads), _options(heads)
    missing = [field for field in ("id", "name") if field not in fields]
    if missing:
        chinese = is_han("".join(heads))
        spellings = {field: [name for name in _COLUMNS[field] if is_han(name) == chinese] for field in missing}
        names = {field: " or ".join(known[:4]) for field, known in spellings.items()}
        wanted = "; ".join(f"{field}: {name}" for field, name in names.items())
        raise BadInput(f"{path.name} has no column for its items' {' and '.join(missing)}.", hint=f"Name one {wanted}.")
    items: dict[str, Item] = {}
    bad: list[BadRow] = []
    parent: dict[str, str] = {}
    for line, row in rows:
        whole = _inherited(row, heads, parent, options)
        if whole is None:
            continue
        if withdrawn := _withdrawn(whole):
            bad.append(BadRow(line, f"not for sale ({withdrawn})"))
            continue
        # The first filled column of a field wins: it is set last.
        chosen = {field: head for field, known in fields.items() for head in known[::-1] if whole.get(head)}
        try:
            item = _item(whole, chosen, options, currency)
        except ValueError as error:
            bad.append(BadRow(line, str(error), whole[chosen["id"]][:200] if "id" in chosen else ""))
            continue
        if item.id in items:
            bad.append(BadRow(line, f"the id {item.id!r} stands in an earlier row"))
        else:
            items[item.id] = item
    return Read(tuple(items.values()), tuple(bad), tuple(sorted(fields)))


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column name) of a table file.

    Raises:
        BadInput: the file is missing, of another kind, or damaged.
    """
    kind = path.suffix.lower()
    try:
        if kind in {".csv", ".tsv", ".txt"}:
            yield from _csv_rows(path)
        elif kind in {".xlsx", ".xlsm"}:
            yield from _xlsx_rows(path)
        elif kind in {".json", ".jsonl"}:
            yield from _json_rows(path, lines=kind == ".jsonl")
        else:
            raise BadInput(f"{path.name} is not a table.", hint="Give a CSV, TSV, XLSX, JSON or JSON-lines file.")
    except (OSError, UnicodeDecodeError, ValueError, csv.Error, KeyError, RecursionError) as error:
        raise BadInput(f"{path.name} cannot be read: {error}.", hint="Is it saved as UTF-8?") from error


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    text = _decoded(path)
    said = _SEPARATOR.match(text)
    separator = said[1] if said else max(",;\t", key=text.split("\n", 1)[0].count)
    reader = csv.DictReader(io.StringIO(text[said.end() :] if said else text), delimiter=separator)
    for row in reader:
        yield (
            reader.line_num + bool(said),
            {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)},
        )


def _xlsx_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    import zipfile

    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"it is not an Excel workbook ({error})") from error
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # the size that a file declares may be wrong
    rows = sheet.iter_rows(values_only=True)
    head = [str(cell or "").strip() for cell in next(rows, ())]
    for line, row in enumerate(rows, start=2):
        said = {key: _text(value) for key, value in zip(head, row, strict=False) if key}
        if any(said.values()):
            yield line, said
    book.close()


def _json_rows(path: Path, *, lines: bool) -> Iterator[tuple[int, dict[str, str]]]:
    text = _decoded(path)
    rows: Any = [json.loads(line) for line in text.split("\n") if line.strip()] if lines else json.loads(text)
    if isinstance(rows, dict):
        rows = rows.get("items", rows.get("products"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError('it should hold a list of objects, or {"items": [...]}')
    for number, row in enumerate(rows, start=1):
        yield number, {str(key): _text(value) for key, value in row.items()}


def _decoded(path: Path) -> str:
    """The text of a file, its lines ended by LF alone: UTF-8, UTF-16 (Excel's Unicode text) or Chinese in GB 18030."""
    data = path.read_bytes()
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if not is_gb18030(data):
            raise
        text = data.decode("gb18030")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return " | ".join(_text(part) for part in value)
    return str(value).strip()


@functools.lru_cache(maxsize=4096)
def plain(head: str) -> str:
    """A column's name as the tables above have it."""
    return re.sub(r"[\s_]+", " ", unicodedata.normalize("NFKC", head)).strip().lower()


def _fields(heads: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """field -> the file's column for it; of `_PER_ROW` every column that may hold it, the first that is filled wins."""
    known = {plain(head): head for head in heads}
    priced = {_unpriced(head)[0]: head for head in heads} | known
    found = {}
    for field, names in _COLUMNS.items():
        there = priced if field == "price" else known
        columns = tuple(there[name] for name in names if name in there)
        if columns:
            found[field] = columns if field in _PER_ROW else columns[:1]
    return found


def _unpriced(head: str) -> tuple[str, str]:
    """A column's name without the currency in brackets behind it, and that currency, or "".

    >>> _unpriced("价格（元）"), _unpriced("weight (g)")
    (('价格', 'CNY'), ('weight (g)', ''))
    """
    found = _IN_CURRENCY.fullmatch(plain(head))
    currency = cells.price(f"1 {found[2]}")[1] if found else ""
    return (found[1], currency) if found and currency else (plain(head), "")


def _options(heads: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of columns for an option's name and value. Shopify: Option1 Name = Color, Option1 Value = red."""
    known = {plain(head): head for head in heads}
    pairs = [
        pair
        for place in ("1", "2", "3")
        for pair in (
            (f"option{place} name", f"option{place} value"),
            (f"attribute {place} name", f"attribute {place} value(s)"),  # WooCommerce
        )
    ]
    return [(known[name], known[value]) for name, value in pairs if name in known and value in known]


def _inherited(
    row: dict[str, str], heads: Sequence[str], parent: dict[str, str], options: Sequence[tuple[str, str]]
) -> dict[str, str] | None:
    """A variant's row with what its product's first row says; None where it only holds another picture.

    Shopify repeats the handle and leaves the product's own columns of further variants empty. A variant without
    a SKU is called by the handle and what it is a variant in.
    """
    known = {plain(head): head for head in heads}
    handle, sku = known.get("handle"), known.get("variant sku")
    if handle is None or sku is None:
        return row
    if parent.get(handle) == row.get(handle):
        if not any(row.get(known[name]) for name in ("variant sku", "variant price") if name in known):
            return None
        own = {head for name, head in known.items() if name.startswith(("variant sku", "variant inventory"))}
        whole = {head: row.get(head) or ("" if head in own else parent.get(head, "")) for head in heads}
    else:
        parent.clear()
        parent.update(row)
        whole = dict(row)
    if whole.get(handle) and not whole.get(sku):
        values = [whole.get(value, "") for _, value in options]
        whole[sku] = "/".join([whole[handle], *(value for value in values if value not in {"", "Default Title"})])
    return whole


def _withdrawn(row: Mapping[str, str]) -> str:
    """What says that a row is not for sale, as "Status: draft"; "" where nothing does."""
    said = (f"{head}: {cell}" for head, cell in row.items() if plain(head) in _PUBLISHED and cell.lower() in _WITHDRAWN)
    return next(said, "")


def _stock(row: Mapping[str, str], counted: str) -> str:
    """The stock cell of a row; "" for what is sold whatever its count: not tracked, or ordered when it is gone."""
    said = {plain(head): cell.lower() for head, cell in row.items()}
    flag = {"0": "no", "1": "yes"}.get(said.get("in stock?", ""), said.get("in stock?", ""))  # WooCommerce's
    sold_on = (
        said.get("variant inventory tracker") == ""
        or said.get("variant inventory policy") == "continue"
        or said.get("backorders allowed?") in {"1", "yes", "notify"}
    )
    return flag if flag == "no" else "" if sold_on else counted or flag


def _item(
    row: Mapping[str, str], columns: Mapping[str, str], options: Sequence[tuple[str, str]], currency: str
) -> Item:
    """The item of a row; `columns` are the fields' in this row. Raises ValueError with everything that is wrong."""
    problems: list[str] = []
    said = {field: row[head] for field, head in columns.items()}
    for name, value in options:
        target = {"color": "colour", "colour": "colour", "颜色": "colour", "size": "size", "尺码": "size"}.get(
            plain(row.get(name, ""))
        )
        if target and not said.get(target):
            said[target] = row.get(value, "").replace(", ", " | ")
    for field in ("id", "name"):
        if not said.get(field):
            problems.append(f"no {field}")
    price, stock = None, None
    try:
        price, own = cells.price(said.get("price", ""))
        currency = said.get("currency", "").upper() or own or _unpriced(columns.get("price", ""))[1] or currency
    except ValueError as error:
        problems.append(str(error))
    try:
        stock = cells.stock(_stock(row, said.get("stock", "")))
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ValueError("; ".join(problems))
    names, attributes = _others(row, {*columns.values(), *(head for pair in options for head in pair)})
    return Item(
        id=said["id"][:200], name=said["name"][:500], names=names, price=price, currency=currency,
        category=_category(said.get("category", "")), brand=said.get("brand", ""), colour=said.get("colour", ""),
        size=said.get("size", ""), stock=stock, description=_prose(said.get("description", "")),
        url=_link(said.get("url", "")), attributes=attributes,
        requires=tuple(part.strip() for part in re.split(r"[|,;]", said.get("requires", "")) if part.strip()),
    )  # fmt: skip


def _others(row: Mapping[str, str], used: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """(names by language, attributes): every column that is not a field."""
    names: dict[str, str] = {}
    attributes: dict[str, str] = {}
    for head, value in row.items():
        said = plain(head)
        language = _LANGUAGE.match(said)
        if not value or head in used or value.lower() in _PUBLISHED.get(said, ()) or _IGNORED.match(said):
            continue
        if language:
            names[language[1]] = value[:500]
        elif said in _WEIGHTS:
            attributes["weight_g"] = cells.grams(value, _WEIGHTS[said])
        else:
            attributes[said.replace(" ", "_")] = value[:LIMIT]
    return names, attributes


def _category(text: str) -> str:
    """The last step of a path: "Apparel > Shoes > Boots" is Boots; the first of several (WooCommerce)."""
    first = text.split(", ")[0] if ">" in text else text
    return first.rsplit(">", 1)[-1].strip()


def _prose(text: str) -> str:
    if "<" in text and ">" in text:
        from bs4 import BeautifulSoup

        text = BeautifulSoup(text, "html.parser").get_text(" ")
    return " ".join(text.split())[:LIMIT]


def _link(text: str) -> str:
    return text if re.match(r"https?://", text) else ""
