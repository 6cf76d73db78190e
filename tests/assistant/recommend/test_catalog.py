"""Good rows are read and bad ones listed, whatever shop the file comes from."""

from __future__ import annotations

import json
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


def test_the_demo_shops_interactions_are_300_customers_and_the_generators(tmp_path: Path):
    read = read_interactions(ROOT / "examples/demo_shop/interactions.csv")
    assert not read.bad
    assert len({one.customer for one in read.interactions}) == 300
