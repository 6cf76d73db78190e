"""Good rows are read and bad ones listed, whatever shop the file comes from."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from assistant.errors import BadInput
from assistant.recommend.catalog import read_catalog
from assistant.recommend.interactions import read_interactions

ROOT = Path(__file__).resolve().parents[3]


def written(tmp_path: Path, text: str, name: str = "items.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_demo_shop_is_read_whole_from_the_file_its_documents_have():
    read = read_catalog(ROOT / "examples/demo_shop/documents/products.csv")
    assert (len(read.items), read.bad) == (224, ())
    tent = read.items[1]
    assert (tent.id, tent.price, tent.currency, tent.stock, tent.names) == (
        "TE-114",
        Decimal("289.00"),
        "EUR",
        23,
        {"zh": "红隼双人帐篷"},
    )
    assert tent.attributes["weight_g"] == "1980"


def test_bad_rows_are_listed_with_their_line_and_all_that_is_wrong(tmp_path: Path):
    path = written(tmp_path, "sku,name,price,stock\na,Good,10,3\n,NoId,abc,x\na,Twice,1,1\nb,Fine,,\n")
    read = read_catalog(path)
    assert [item.id for item in read.items] == ["a", "b"]
    assert [one.line for one in read.bad] == [3, 4]
    assert all(word in read.bad[0].problem for word in ("no id", "abc", "'x'"))


@pytest.mark.parametrize(
    "head",
    ["货号,商品名称,价格（元）,库存量", "产品编号,品名,单价(元),库存数量", "SKU编码,商品名,零售价（RMB）,库存", "商品编码,产品名称,售价 (¥),库存"],
)  # fmt: skip
def test_the_usual_chinese_columns_are_known_and_a_currency_behind_the_price_is_its_own(tmp_path: Path, head: str):
    (tank,) = read_catalog(written(tmp_path, f"{head}\nA1,鱼缸,25,3\n")).items
    assert (tank.id, tank.name, tank.price, tank.currency, tank.stock) == ("A1", "鱼缸", Decimal(25), "CNY", 3)
    assert tank.attributes == {}


def test_a_missing_column_is_asked_for_in_the_headers_language(tmp_path: Path):
    for head, wanted in (("品种,单价", "id: 编号 .*name: 名称"), ("kind,price", "id: variant sku .*name: name")):
        with pytest.raises(BadInput) as caught:
            read_catalog(written(tmp_path, f"{head}\n鱼,25\n"))
        assert re.search(wanted, caught.value.hint)


def test_the_separator_that_excel_writes_above_a_table_is_believed_and_counts_as_a_line(tmp_path: Path):
    read = read_catalog(written(tmp_path, "sep=;\nsku;name, in full;name\na;x;Good\n;x;No id\n"))
    assert [item.name for item in read.items] == ["Good"]
    assert [one.line for one in read.bad] == [4]


def test_shopify_variants_take_what_their_product_says(tmp_path: Path):
    read = read_catalog(written(tmp_path, "\n".join([
        "Handle,Title,Body (HTML),Vendor,Type,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,Status,Image Src",
        "cup,Camp Cup,<p>Holds <b>tea</b>.</p>,Alda,Kitchen,Color,Red,CUP-R,80,4,12.50,active,x.jpg",
        "cup,,,,,,Blue,CUP-B,80,0,12.50,,", "cup,,,,,,,,,,,,y.jpg", "old,Old Cup,,Alda,Kitchen,,,OLD,1,1,1,draft,",
    ])))  # fmt: skip
    assert [(one.id, one.name, one.colour, one.stock) for one in read.items] == [
        ("CUP-R", "Camp Cup", "Red", 4),
        ("CUP-B", "Camp Cup", "Blue", 0),
    ]
    assert read.items[0].description == "Holds tea ."
    assert read.items[0].attributes == {"weight_g": "80"}
    assert "draft" in read.bad[0].problem


def test_woocommerce_columns_are_recognised(tmp_path: Path):
    read = read_catalog(written(tmp_path, "\n".join([
        "ID,Type,SKU,Name,Published,Regular price,Categories,Stock,Weight (kg),Attribute 1 name,Attribute 1 value(s)",
        '7,simple,MUG,Mug,1,"9,90","Home > Kitchen, Sale",12,0.35,Size,"S, M"',
    ])), currency="EUR")  # fmt: skip
    (mug,) = read.items
    assert (mug.id, mug.price, mug.currency, mug.category, mug.stock, mug.size) == (
        "MUG",
        Decimal("9.90"),
        "EUR",
        "Kitchen",
        12,
        "S | M",
    )
    assert mug.attributes["weight_g"] == "350"


def test_a_woocommerce_row_has_its_own_price_its_own_number_and_its_own_stock(tmp_path: Path):
    read = read_catalog(written(tmp_path, "\n".join([
        "ID,Type,SKU,Name,Published,In stock?,Stock,Backorders allowed?,Sale price,Regular price,Categories",
        "1,simple,A,On sale,1,1,5,0,199,249,Tents", "2,simple,B,Not on sale,1,1,,0,,120,Tents",
        "3,simple,C,Out of stock,1,0,,0,99,120,Tents", "4,simple,,No number,1,1,3,0,,20,Tents",
        "5,simple,E,On order,1,backorder,0,notify,,30,Tents", "6,simple,F,Draft,-1,1,1,0,,30,Tents",
    ])))  # fmt: skip
    assert [(one.id, str(one.price), one.stock) for one in read.items] == [
        ("A", "199", 5),
        ("B", "120", None),
        ("C", "99", 0),
        ("4", "20", 3),
        ("E", "30", None),
    ]
    assert [one.problem for one in read.bad] == ["not for sale (Published: -1)"]


def test_a_shopify_variant_is_counted_only_where_it_is_tracked_and_not_sold_on(tmp_path: Path):
    read = read_catalog(written(tmp_path, "\n".join([
        "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Status",
        "a,Alder,Color,Red,A-R,shopify,5,deny,249,active", "a,,,Blue,,,0,deny,249,",
        "b,Birch,Title,Default Title,,shopify,-3,continue,120,active", "c,Cedar,Title,Default Title,C,shopify,0,deny,9,active",
    ])))  # fmt: skip
    assert [(one.id, one.stock) for one in read.items] == [("A-R", 5), ("a/Blue", None), ("b", None), ("C", 0)]


@pytest.mark.parametrize("said", ["in stock", "yes", "有货"])
def test_a_stock_that_is_no_number_is_no_count(tmp_path: Path, said: str):
    read = read_catalog(written(tmp_path, f"id,name,stock\n1,Tent,{said}\n2,Boot,out of stock\n"))
    assert [one.stock for one in read.items] == [None, 0]


def test_a_year_or_a_state_is_an_attribute_and_a_draft_is_not_for_sale(tmp_path: Path):
    read = read_catalog(written(tmp_path, "id,name,published,status\n1,Book,2019,new\n2,Cup,yes,有货\n3,Old,,draft\n"))
    assert [one.attributes for one in read.items] == [{"published": "2019", "status": "new"}, {"status": "有货"}]
    assert [(one.id, one.problem) for one in read.bad] == [("", "not for sale (status: draft)")]


@pytest.mark.parametrize("mark", ["\u2028", "\x85", "\x0b", "\x1e"])
def test_a_row_ends_where_its_line_does(tmp_path: Path, mark: str):
    csv_path = written(tmp_path, f"id,name,price\r\n1,A{mark}B,10\r\n2,C,20\r\n")
    lines = [json.dumps(row, ensure_ascii=False) for row in ({"id": 1, "name": f"A{mark}B"}, {"id": 2, "name": "C"})]
    json_path = written(tmp_path, "\n".join(lines), "items.jsonl")
    for path in (csv_path, json_path):
        assert [(one.id, one.name) for one in read_catalog(path).items] == [("1", f"A{mark}B"), ("2", "C")]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8-sig"])
def test_what_excel_writes_is_read(tmp_path: Path, encoding: str):
    path = tmp_path / "items.csv"
    path.write_bytes("编号\t名称\t价格\r\n1\t帐篷\t300\r\n".encode(encoding))
    (tent,) = read_catalog(path).items
    assert (tent.id, tent.name, tent.price) == ("1", "帐篷", Decimal(300))


def test_western_letters_in_no_unicode_are_refused_and_not_read_as_others(tmp_path: Path):
    path = tmp_path / "items.csv"
    path.write_bytes("id,name,price\n1,Café crème,5 €\n2,Größe,6 €\n".encode("cp1252"))
    with pytest.raises(BadInput) as told:
        read_catalog(path)
    assert "UTF-8" in told.value.hint


def test_a_workbook_that_declares_a_wrong_size_is_read_whole(tmp_path: Path):
    import zipfile

    import openpyxl

    book = openpyxl.Workbook()
    for row in (["id", "name"], ["a", "One"]):
        book.active.append(row)
    book.save(tmp_path / "whole.xlsx")
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as source, zipfile.ZipFile(tmp_path / "a1.xlsx", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b'<dimension ref="A1:B2"', b'<dimension ref="A1"'))
    assert read_catalog(tmp_path / "a1.xlsx").items == read_catalog(tmp_path / "whole.xlsx").items


def test_excel_and_json_give_the_same_items_as_csv(tmp_path: Path):
    import openpyxl

    rows = [["id", "title", "price", "requires"], ["a", "One", 5, ""], ["b", "Two", 7.5, "a"]]
    csv_path = written(tmp_path, "\n".join(",".join(map(str, row)) for row in rows))
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "items.xlsx")
    dicts = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    json_path = written(tmp_path, json.dumps({"items": dicts}), "items.json")
    wanted = read_catalog(csv_path).items
    assert wanted[1].requires == ("a",)
    assert read_catalog(tmp_path / "items.xlsx").items == read_catalog(json_path).items == wanted


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", "foo,bar\n1,2\n"), ("a.json", "{"), ("a.pdf", "x"), ("a.xlsx", "not a zip")]
)
def test_a_file_that_is_no_catalogue_is_refused_with_what_to_do(tmp_path: Path, name: str, text: str):
    with pytest.raises(BadInput) as told:
        read_catalog(written(tmp_path, text, name))
    assert told.value.hint


def test_interactions_of_any_usual_file(tmp_path: Path):
    read = read_interactions(
        written(tmp_path, "userId,movieId,rating,timestamp\n1,a,4.5,1260759144\n1,zz,3,1260759144\n2,a,x,never\n"),
        items={"a"},
    )
    (one,) = read.interactions
    assert (one.customer, one.event, one.value, one.at.year) == ("1", "rating", 4.5, 2009)
    assert (read.unknown, len(read.bad)) == (1, 1)
    assert all(word in read.bad[0].problem for word in ("never", "'x'"))


def test_a_rating_without_its_stars_is_a_bad_row(tmp_path: Path):
    text = "customer,item,event,at,value\nc,a,rating,2026-01-01,\nc,a,buy,2026-01-01,\n"
    read = read_interactions(written(tmp_path, text))
    assert [one.event for one in read.interactions] == ["buy"]
    assert [one.problem for one in read.bad] == ["a rating without its stars"]


def test_the_demo_shops_interactions_are_300_customers_and_the_generators(tmp_path: Path):
    read = read_interactions(ROOT / "examples/demo_shop/interactions.csv")
    assert not read.bad
    assert len({one.customer for one in read.interactions}) == 300
