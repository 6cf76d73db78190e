"""A catalogue file to items: CSV, TSV, XLSX or JSON, with the column names of Shopify and WooCommerce recognised.

A row that cannot be an item is listed with its line and what is wrong with it; the others are read. A column
that is not one of the fields stays, under its own name, as an attribute. Not where items are kept (`stock.py`).

Sources: Shopify's product CSV and WooCommerce's product export, their documented column names.
"""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from assistant.errors import BadInput
from assistant.goods import Item

LIMIT = 2_000
"""The longest text of a cell that is kept, in characters; a description is cut there."""
_COLUMNS: dict[str, tuple[str, ...]] = {
    # The first that a file has wins: a variant's own number before the product's.
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
    ),
    "name": ("name", "title", "product name", "product", "名称", "商品名称", "标题"),
    "price": ("price", "variant price", "sale price", "regular price", "价格", "售价"),
    "currency": ("currency", "货币", "币种"),
    "category": ("category", "categories", "type", "product type", "product category", "分类", "类别", "品类"),
    "brand": ("brand", "vendor", "brands", "manufacturer", "品牌"),
    "colour": ("colour", "color", "attribute colour", "颜色"),
    "size": ("size", "size range", "sizes", "attribute size", "尺码", "尺寸"),
    "stock": ("stock", "variant inventory qty", "quantity", "inventory", "in stock", "库存"),
    "description": ("description", "body (html)", "short description", "body", "描述", "说明", "简介"),
    "url": ("url", "link", "product url", "链接"),
    "requires": ("requires", "prerequisites", "先修", "前置"),
}
_WEIGHTS = {"weight g": 1, "variant grams": 1, "weight (g)": 1, "grams": 1, "weight (kg)": 1000, "weight kg": 1000}
_PUBLISHED = {"published": {"true", "1", "yes"}, "status": {"active", "publish", "published"}}
_IGNORED = re.compile(
    r"^(handle|parent|variant (?!price|sku|grams).*|seo .*|google shopping.*|image .*|meta: .*|option\d linked to"
    r"|gift card|tax .*|gtin.*|visibility in catalog|is featured\?|download .*|upsells|cross-sells|position"
    r"|allow .*|sold .*)$"
)
_LANGUAGE = re.compile(r"^(?:name|title) (zh|en|de|fr|es|it|ja|ko|pt|nl|pl)$")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out, and why. `line` counts from 1, the heading included."""

    line: int
    problem: str


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
    heads = list(dict.fromkeys(key for _, row in rows for key in row))
    fields = _fields(heads)
    missing = [field for field in ("id", "name") if field not in fields]
    if missing:
        names = {field: " or ".join(_COLUMNS[field][:4]) for field in missing}
        wanted = "; ".join(f"{field}: {name}" for field, name in names.items())
        raise BadInput(f"{path.name} has no column for its items' {' and '.join(missing)}.", hint=f"Name one {wanted}.")
    items: dict[str, Item] = {}
    bad: list[BadRow] = []
    parent: dict[str, str] = {}
    for line, row in rows:
        whole = _inherited(row, heads, parent)
        if whole is None:
            continue
        try:
            item = _item(whole, fields, currency)
        except ValueError as error:
            bad.append(BadRow(line, str(error)))
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
    except (OSError, UnicodeDecodeError, ValueError, csv.Error, KeyError) as error:
        raise BadInput(f"{path.name} cannot be read: {error}.", hint="Is it saved as UTF-8?") from error


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    text = path.read_text(encoding="utf-8-sig")
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    reader = csv.DictReader(text.splitlines(keepends=True), delimiter=separator)
    for row in reader:
        yield reader.line_num, {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}


def _xlsx_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    import zipfile

    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"it is not an Excel workbook ({error})") from error
    rows = book.worksheets[0].iter_rows(values_only=True)
    head = [str(cell or "").strip() for cell in next(rows, ())]
    for line, row in enumerate(rows, start=2):
        cells = {key: _text(value) for key, value in zip(head, row, strict=False) if key}
        if any(cells.values()):
            yield line, cells
    book.close()


def _json_rows(path: Path, *, lines: bool) -> Iterator[tuple[int, dict[str, str]]]:
    text = path.read_text(encoding="utf-8-sig")
    rows: Any = [json.loads(line) for line in text.splitlines() if line.strip()] if lines else json.loads(text)
    if isinstance(rows, dict):
        rows = rows.get("items", rows.get("products"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError('it should hold a list of objects, or {"items": [...]}')
    for number, row in enumerate(rows, start=1):
        yield number, {str(key): _text(value) for key, value in row.items()}


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


def plain(head: str) -> str:
    """A column's name as the tables above have it."""
    return re.sub(r"[\s_]+", " ", unicodedata.normalize("NFKC", head)).strip().lower()


def _fields(heads: Sequence[str]) -> dict[str, str]:
    """field -> the file's column for it."""
    known = {plain(head): head for head in heads}
    found = {}
    for field, names in _COLUMNS.items():
        name = next((name for name in names if name in known), None)
        if name is not None:
            found[field] = known[name]
    for place in ("1", "2", "3"):  # Shopify: Option1 Name = Color, Option1 Value = red; WooCommerce likewise
        for name, value in (
            (f"option{place} name", f"option{place} value"),
            (f"attribute {place} name", f"attribute {place} value(s)"),
        ):
            if name in known and value in known:
                found[f"option {place}"] = known[name] + "\0" + known[value]
    return found


def _inherited(row: dict[str, str], heads: Sequence[str], parent: dict[str, str]) -> dict[str, str] | None:
    """A variant's row with what its product's first row says; None where it only holds another picture.

    Shopify repeats the handle and leaves the product's own columns of further variants empty.
    """
    handle = next((head for head in heads if plain(head) == "handle"), None)
    if handle is None or not any(plain(head) == "variant sku" for head in heads):
        return row
    variant = any(value for head, value in row.items() if plain(head) in {"variant sku", "variant price"})
    if parent.get(handle) == row.get(handle):
        if not variant:
            return None
        return {head: row.get(head) or parent.get(head, "") for head in heads}
    parent.clear()
    parent.update(row)
    return row


def _item(row: Mapping[str, str], fields: Mapping[str, str], currency: str) -> Item:
    """The item of a row. Raises ValueError with everything that is wrong."""
    problems: list[str] = []
    cells = {field: row.get(head, "") for field, head in fields.items() if "\0" not in head}
    for field, heads in fields.items():
        if field.startswith("option"):
            name, value = heads.split("\0")
            target = {"color": "colour", "colour": "colour", "颜色": "colour", "size": "size", "尺码": "size"}.get(
                plain(row.get(name, ""))
            )
            if target and not cells.get(target):
                cells[target] = row.get(value, "").replace(", ", " | ")
    for field in ("id", "name"):
        if not cells[field]:
            problems.append(f"no {field}")
    price, stock = None, None
    try:
        price, own = _price(cells.get("price", ""))
        currency = cells.get("currency", "").upper() or own or currency
    except ValueError as error:
        problems.append(str(error))
    try:
        stock = _stock(cells.get("stock", ""))
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ValueError("; ".join(problems))
    names, attributes = _others(row, {head for heads in fields.values() for head in heads.split("\0")})
    return Item(
        id=cells["id"][:200], name=cells["name"][:500], names=names, price=price, currency=currency,
        category=_category(cells.get("category", "")), brand=cells.get("brand", ""), colour=cells.get("colour", ""),
        size=cells.get("size", ""), stock=stock, description=_prose(cells.get("description", "")),
        url=_link(cells.get("url", "")), attributes=attributes,
        requires=tuple(part.strip() for part in re.split(r"[|,;]", cells.get("requires", "")) if part.strip()),
    )  # fmt: skip


def _others(row: Mapping[str, str], used: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """(names by language, attributes): every column that is not a field."""
    names: dict[str, str] = {}
    attributes: dict[str, str] = {}
    for head, value in row.items():
        said = plain(head)
        language = _LANGUAGE.match(said)
        if said in _PUBLISHED and value and value.lower() not in _PUBLISHED[said]:
            raise ValueError(f"not for sale ({head}: {value})")
        if not value or head in used or said in _PUBLISHED or _IGNORED.match(said):
            continue
        if language:
            names[language[1]] = value[:500]
        elif said in _WEIGHTS:
            attributes["weight_g"] = _grams(value, _WEIGHTS[said])
        else:
            attributes[said.replace(" ", "_")] = value[:LIMIT]
    return names, attributes


def _price(text: str) -> tuple[Decimal | None, str]:
    """(amount, currency) of a price cell: 1.299,00 € and 1,299.00 are the same.

    >>> _price("1.299,00 €"), _price("29.90"), _price("")
    ((Decimal('1299.00'), 'EUR'), (Decimal('29.90'), ''), (None, ''))
    """
    text = unicodedata.normalize("NFKC", text).strip()
    if not text:
        return None, ""
    signs = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "CNY", "元": "CNY", "eur": "EUR", "usd": "USD", "cny": "CNY"}
    currency = next((code for sign, code in signs.items() if sign in text.lower()), "")
    digits = re.sub(r"[^\d.,-]", "", text)
    last = max(digits.rfind("."), digits.rfind(","))
    if last >= 0 and len(digits) - last - 1 != 3:
        digits = re.sub(r"[.,]", "", digits[:last]) + "." + digits[last + 1 :]
    elif last >= 0:  # three digits after it: a thousands separator, unless it is the only mark and a point
        digits = digits if digits.count(".") == 1 and "," not in digits else re.sub(r"[.,]", "", digits)
    try:
        amount = Decimal(digits)
    except InvalidOperation:
        raise ValueError(f"the price {text!r} is not a number") from None
    if amount < 0 or not amount.is_finite():
        raise ValueError(f"the price {text!r} is negative")
    return amount, currency


def _stock(text: str) -> int | None:
    plain = text.strip().lower()
    if not plain:
        return None
    known = {"in stock": 1, "instock": 1, "yes": 1, "有货": 1, "out of stock": 0, "outofstock": 0, "no": 0, "缺货": 0}
    if plain in known:
        return known[plain]
    try:
        number = float(plain.replace(",", ""))
        return max(0, int(number))
    except (ValueError, OverflowError):
        raise ValueError(f"the stock {text!r} is not a number") from None


def _grams(text: str, factor: int) -> str:
    try:
        return f"{float(text.replace(',', '.')) * factor:g}"
    except ValueError:
        return text


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
