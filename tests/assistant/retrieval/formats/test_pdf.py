"""PDF: sentences are contiguous, pages are known, tables are rows."""

import nasty

from assistant.retrieval.formats.pdf import read


def parse(*pages):
    contents = [nasty.stream(*lines) for lines in pages]
    return read(nasty.pdf(contents, pages=len(pages)), name="a.pdf", max_bytes=10**6)


def body(*texts, y=700):
    return [nasty.line(text, y=y - 14 * number) for number, text in enumerate(texts)]


LONG = "We decide within ten working days after we have received the product at our own"


def test_wrapped_lines_are_joined_and_paragraphs_are_kept_apart():
    parsed = parse([*body(LONG, "workshop in Freiburg."), *body("Another paragraph is here.", y=650)])
    assert parsed.text == f"{LONG} workshop in Freiburg.\n\nAnother paragraph is here."


def test_a_divided_word_is_made_whole_and_a_compound_keeps_its_hyphen():
    lines = body(
        "The second-hand tents and every guarantee are described in chapter two of the docu-",
        "ment about warranty. A second-",
        "hand tent has a guar-",
        "antee too.",
    )
    assert parse(lines).text.endswith("of the document about warranty. A second-hand tent has a guarantee too.")


def test_a_paragraph_goes_on_over_the_end_of_a_page_and_the_page_is_known():
    parsed = parse(body(LONG, y=100), body("workshop in Freiburg.", "New page."), [], body("Third text."))
    assert parsed.text.startswith(f"{LONG} workshop in Freiburg.")
    first, second, third, fourth = parsed.pages
    assert (first, parsed.text[second:][:8], parsed.text[fourth:]) == (0, "workshop", "Third text.")
    assert third == fourth


def test_larger_lines_are_headings_with_levels():
    lines = [
        nasty.line("Warranty", y=760, size=18),
        nasty.line("2.1 How long it lasts", y=730, size=14),
        *body(LONG, "workshop in Freiburg."),
    ]
    assert [heading[:2] for heading in parse(lines).headings] == [(1, "Warranty"), (2, "2.1 How long it lasts")]


def test_running_headers_and_footers_are_dropped_but_never_a_whole_page():
    pages = [[nasty.line(f"Ridgeline - page {n}", y=30, size=8), *body(f"Text number {n}.")] for n in range(1, 6)]
    assert "Ridgeline" not in parse(*pages).text
    same = [body("The same sentence.") for _ in range(5)]
    assert parse(*same).text.count("The same sentence.") == 5


def test_cells_that_stand_side_by_side_are_a_row():
    lines = [
        nasty.line(text, x=x, y=700 - 16 * row)
        for row, cells in enumerate([("Tents", "3 years"), ("Boots", "2 years")])
        for x, text in zip((72, 300), cells, strict=True)
    ]
    assert parse(lines).text == "Tents | 3 years\n\nBoots | 2 years"


def test_bullets_begin_items():
    lines = body(
        "- Wear is not covered by it and this goes on and on to the end of the line", "here.", "- Rust is not."
    )
    assert parse(lines).text.split("\n\n")[1] == "- Rust is not."
