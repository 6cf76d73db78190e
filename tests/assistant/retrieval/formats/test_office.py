"""DOCX and XLSX."""

import datetime as dt
import io

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


def word(body):
    """The text of a Word file whose body is this XML."""
    import docx
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    document = docx.Document()
    for element in reversed(parse_xml(f"<w:body {nsdecls('w')}>{body}</w:body>")):
        document.element.body.insert(0, element)
    out = io.BytesIO()
    document.save(out)
    return read_docx(out.getvalue(), name="a.docx", max_bytes=10**6).text


def run(text):
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def control(content, properties=""):
    return f"<w:sdt><w:sdtPr>{properties}</w:sdtPr><w:sdtContent>{content}</w:sdtContent></w:sdt>"


def test_what_was_inserted_is_read_and_what_was_deleted_is_not():
    gone = '<w:del w:id="2" w:author="a"><w:r><w:delText>7 days</w:delText></w:r></w:del>'
    moved = f'<w:moveFrom w:id="4" w:author="a">{run("soon")}</w:moveFrom>'
    text = f'{run("Return within ")}<w:ins w:id="1" w:author="a">{run("14 days")}</w:ins>{gone}{moved}{run(" of delivery.")}'
    assert word(f"<w:p>{text}</w:p>") == "Return within 14 days of delivery."


def test_content_controls_and_fields_are_read_in_their_place_but_no_placeholder_and_no_contents_list():
    cell = control(f"<w:tc><w:p>{run('3 years')}</w:p></w:tc>")
    row = control(f"<w:tr><w:tc><w:p>{run('Tents')}</w:p></w:tc>{cell}</w:tr>")
    nested = control(f"<w:p>{run('It is long.')}</w:p>")
    gallery = '<w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj>'
    empty = "<w:showingPlcHdr/>"
    assert word(
        control(f"<w:p>{run('Warranty')}</w:p>{nested}")
        + control(f"<w:p>{run('Warranty 3')}</w:p>", gallery)
        + f"<w:p>{run('For ')}{control(run('all items'))}{control(run('Enter text.'), empty)}"
        + f"{run(', see page ')}<w:fldSimple w:instr='PAGEREF a'>{run('4')}</w:fldSimple></w:p><w:tbl>{row}</w:tbl>"
    ) == ("Warranty\n\nIt is long.\n\nFor all items, see page 4\n\nTents | 3 years")


def test_a_table_in_a_table_is_read_below_it():
    inner = f"<w:tbl><w:tr><w:tc><w:p>{run('Alder')}</w:p></w:tc><w:tc><w:p>{run('249')}</w:p></w:tc></w:tr></w:tbl>"
    outer = f"<w:tr><w:tc><w:p>{run('Tents')}</w:p>{inner}<w:p/></w:tc></w:tr>"
    assert word(f"<w:tbl>{outer}</w:tbl>") == "Tents\n\nAlder | 249"


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


def test_a_cell_merged_over_rows_is_in_the_record_of_each_and_makes_none_alone():
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["category", "name", "price"], ["Tents", "Alder", 249], [], ["", "Beech", 99], ["Boots", "Fir", 80]):
        book.active.append(row)
    book.active.merge_cells("A2:A4")
    book.active.merge_cells("A5:A7")
    out = io.BytesIO()
    book.save(out)
    parsed = read_xlsx(out.getvalue(), name="a.xlsx", max_bytes=10**6)
    assert [parsed.text[start:end] for start, end in parsed.rows] == [
        "name: Alder\ncategory: Tents\nprice: 249",
        "name: Beech\ncategory: Tents\nprice: 99",
        "name: Fir\ncategory: Boots\nprice: 80",
    ]


def test_the_title_of_a_sheet_names_no_column():
    data = nasty.xlsx(Tents=[["Price list 2025"], ["name", "price"], ["Alder 2", 249], ["Beech", 99]])
    parsed = read_xlsx(data, name="a.xlsx", max_bytes=10**6)
    assert parsed.text == "Price list 2025\n\nname: Alder 2\nprice: 249\n\nname: Beech\nprice: 99"


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (249.0, "General", "249"),
        (249.0, "#,##0.00", "249.00"),
        (0.125, "0.0%", "12.5%"),
        (42, "00000", "00042"),
        (-7, "000", "-007"),
        (249.5, '#,##0.00 "€"', "249.50 €"),
        (-5, '"$"#,##0.00', "-$5.00"),
        (249.5, "[$£-809]#,##0.00;[Red]-[$£-809]#,##0.00", "£249.50"),
        (249.5, r"_-* #,##0.00\ [$€-407]_-;-* #,##0.00\ [$€-407]_-", "249.50 €"),
        (3, '0 "pcs"', "3 pcs"),
        (249.5, "0.00E+00", "249.50"),
        (249.5, "# ?/?", "249.5"),
        (3, '"on request"', "3"),
        (5.5, "[<10]0.0;0", "5.5"),
        (True, "", "yes"),
        (dt.datetime(2025, 3, 1), "", "2025-03-01"),
        (dt.datetime(2025, 3, 1, 9, 30), "", "2025-03-01 09:30"),
        (None, "", ""),
    ],
)
def test_a_cell_is_read_as_it_is_shown(value, number_format, shown):
    assert show(value, number_format) == shown
