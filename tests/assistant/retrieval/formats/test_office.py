"""DOCX and XLSX."""

import datetime as dt

import nasty
import pytest

from assistant.retrieval.formats.office import read_docx, read_xlsx, show


def test_a_word_file_gives_headings_lists_and_tables_in_order():
    data = nasty.docx(
        ("Title", "Privacy"),
        ("Normal", "What we keep."),
        ("Heading 2", "How long"),
        ("List Bullet", "Invoices"),
        ("List Bullet", "Chats"),
        table=[["Data", "Kept for"], ["Invoices", "10 years"], ["Chats", ""]],
    )
    parsed = read_docx(data, name="a.docx", max_bytes=10**6)
    assert parsed.text == (
        "Privacy\n\nWhat we keep.\n\nHow long\n\n- Invoices\n- Chats\n\nData: Invoices | Kept for: 10 years\n\nData: Chats"
    )
    assert [heading[:2] for heading in parsed.headings] == [(1, "Privacy"), (2, "How long")]


def test_a_workbook_gives_a_record_a_row_under_its_sheets_name():
    data = nasty.xlsx(
        Tents=[["name", "price", "currency", None], ["Alder 2", 249.0, "EUR"], [None, None], ["Beech", 99.5, "EUR"]],
        FAQ=[["Question", "Answer"], ["Is it free?", "Yes."]],
    )
    parsed = read_xlsx(data, name="a.xlsx", max_bytes=10**6)
    assert [parsed.text[start:end] for start, end in parsed.rows] == [
        "name: Alder 2\nprice: 249 EUR",
        "name: Beech\nprice: 99.5 EUR",
        "Is it free?\nYes.",
    ]
    assert [heading[1] for heading in parsed.headings] == ["Tents", "FAQ"]


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (249.0, "General", "249"),
        (249.0, "#,##0.00", "249.00"),
        (0.125, "0.0%", "12.5%"),
        (True, "", "yes"),
        (dt.datetime(2025, 3, 1), "", "2025-03-01"),
        (dt.datetime(2025, 3, 1, 9, 30), "", "2025-03-01 09:30"),
        (None, "", ""),
    ],
)
def test_a_cell_is_read_as_it_is_shown(value, number_format, shown):
    assert show(value, number_format) == shown
