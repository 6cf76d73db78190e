"""Tables of records: a row is one text that can be quoted alone."""

import pytest

from assistant.retrieval.formats.layout import Refused
from assistant.retrieval.formats.tables import read


def rows(text, *, name="a.csv", encoding="utf-8"):
    parsed = read(text.encode(encoding), name=name, max_bytes=10**6)
    return [parsed.text[start:end] for start, end in parsed.rows]


def test_a_faq_row_is_its_question_and_its_answer():
    assert rows('question,answer\nIs it free?,"Yes, within 30 days."\n') == ["Is it free?\nYes, within 30 days."]
    assert rows("答案,问题\n可以。,可以退货吗？\n") == ["可以退货吗？\n可以。"]


def test_a_faq_without_column_names_is_still_a_faq():
    assert rows("Is it free?,Yes.\nIs it fast?,No.\n") == ["Is it free?\nYes.", "Is it fast?\nNo."]


def test_a_help_desks_bookkeeping_is_no_part_of_its_faq_and_its_drafts_are_left_out():
    head = "id,question,answer,category,author,status,last_updated\n"
    text = head + "1,Is it free?,Yes.,Cost,jreed,published,2026-01-02\n2,Is it fast?,No.,Speed,jreed,Draft,2026-01-02\n"
    parsed = read(text.encode(), name="a.csv", max_bytes=10**6)
    assert (parsed.text, len(parsed.rows)) == ("Is it free?\nYes.\ncategory: Cost", 1)
    assert parsed.notes == ("Left out were its rows that are drafts: 1.",)
    assert rows("问题,回答,状态,更新时间\n可以退货吗？,可以。,草稿,2026\n包邮吗？,包邮。,已发布,2026\n") == [
        "包邮吗？\n包邮。"
    ]
    assert rows("name,status,author\nOrder 1,draft,jreed\n") == ["name: Order 1\nstatus: draft\nauthor: jreed"]


def test_a_product_row_keeps_the_columns_names_puts_its_name_first_and_joins_the_currency():
    text = "sku,Name,price,currency,colour\nA2,Alder 2,249.00,EUR,\n"
    assert rows(text) == ["Name: Alder 2\nsku: A2\nprice: 249.00 EUR"]


def test_a_price_without_a_currency_stays_as_it_is():
    assert rows("name,price,currency\nAlder,249.00,\nBeech,,EUR\n") == [
        "name: Alder\nprice: 249.00",
        "name: Beech\ncurrency: EUR",
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter):
    text = "\n".join(
        delimiter.join(row)
        for row in [["sku", "name", "text"], ["1", "Tent", "Light and dry"], ["2", "Boot", "Warm and soft"]]
    )
    assert rows(text) == ["name: Tent\nsku: 1\ntext: Light and dry", "name: Boot\nsku: 2\ntext: Warm and soft"]


def test_commas_inside_prose_do_not_split_a_semicolon_table():
    text = "question;answer\nHow long, and where?;30 days, in any store, with the receipt.\nWhen?;Now, or later.\n"
    assert rows(text)[0] == "How long, and where?\n30 days, in any store, with the receipt."


def test_a_cell_of_several_lines_stays_whole():
    assert rows('name,text\nTent,"First line.\nSecond line."\n') == ["name: Tent\ntext: First line.\nSecond line."]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "gb18030"])
def test_a_chinese_table_is_right_in_every_encoding_that_excel_writes(encoding):
    text = "商品名称,价格,货币,说明\n红隼双人帐篷,289.00,欧元,这是一顶可以在三季使用的帐篷。\n"
    assert rows(text, encoding=encoding) == [
        "商品名称: 红隼双人帐篷\n价格: 289.00 欧元\n说明: 这是一顶可以在三季使用的帐篷。"
    ]


def test_rows_longer_or_shorter_than_the_header_lose_nothing():
    assert rows("name,size\nTent\nBoot,42,extra\n") == ["name: Tent", "name: Boot\nsize: 42\nextra"]


TITLED = ["name: Alder 2\nprice: 249.00\nstock: 4", "name: Beech\nprice: 99.50\nstock: 0"]


@pytest.mark.parametrize(
    "title", ["Price list 2025\n", "Price list 2025,,\n,,\n", "Ridgeline\nAll prices with tax,,\n"]
)
def test_a_title_above_the_header_is_text_and_names_no_column(title):
    text = title + "name,price,stock\nAlder 2,249.00,4\nBeech,99.50,0\n"
    parsed = read(text.encode(), name="a.csv", max_bytes=10**6)
    assert [parsed.text[start:end] for start, end in parsed.rows] == TITLED
    assert parsed.text == "\n\n".join([*filter(None, (line.strip(",") for line in title.split("\n"))), *TITLED])


def test_the_first_line_above_the_header_is_the_heading_of_all_rows_and_a_sentence_is_text():
    table = "name,price,stock\nAlder 2,249.00,4\nBeech,99.50,0\n"
    for title, heading in (("Spring\nWith tax,,\n", ["Spring"]), ("All prices with tax.,,\n", [])):
        parsed = read((title + table).encode(), name="a.csv", max_bytes=10**6)
        assert [text for _, text, _ in parsed.headings] == heading


def test_a_table_of_one_column_keeps_its_name_and_a_row_that_is_wider_by_chance():
    assert rows("note\nLight\nWarm, soft\n") == ["note: Light", "note: Warm\nsoft"]
    assert rows("note\nLight\nDry\n") == ["note: Light", "note: Dry"]


@pytest.mark.parametrize("said", ["sep=;\n", '"sep=;"\r\n'])
def test_the_delimiter_that_excel_writes_above_a_table_is_believed_and_not_read(said):
    assert rows(f"{said}name;price\nAlder;249,00\nBeech;99,50\n") == [
        "name: Alder\nprice: 249,00",
        "name: Beech\nprice: 99,50",
    ]


def test_a_name_that_two_columns_share_is_the_firsts_and_the_others_keep_theirs():
    assert rows("name,note,note\nAlder,light,red\nBeech,heavy,blue\n") == [
        "name: Alder\nnote: light\nred",
        "name: Beech\nnote: heavy\nblue",
    ]
    assert rows("Tent,yes,yes\nBoot,yes,no\n") == ["Tent | yes | yes", "Boot | yes | no"]


def test_too_many_columns_are_refused():
    with pytest.raises(Refused, match="columns"):
        rows("," * 600)
