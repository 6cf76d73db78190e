"""HTML and Markdown: what a reader of the page sees, and nothing else."""

from assistant.retrieval.formats.markup import read_html, read_markdown


def html(body, head=""):
    return read_html(f"<html><head>{head}</head><body>{body}</body></html>".encode(), name="a.html", max_bytes=10**6)


def markdown(text):
    return read_markdown(text.encode(), name="a.md", max_bytes=10**6)


def test_headings_paragraphs_lists_and_tables_of_a_page_are_read_in_order():
    parsed = html(
        "<h1>Delivery</h1><p>All parcels\n leave <b>Offenburg</b>.<br>Daily.</p><h2>Prices</h2><ul><li>One</li><li>Two"
        "</li></ul><table><tr><th>To</th><th>Price</th></tr><tr><td>Austria</td><td>6.90</td></tr></table>",
        head="<title>Shop</title>",
    )
    assert parsed.text == (
        "Delivery\n\nAll parcels leave Offenburg.\nDaily.\n\nPrices\n\n- One\n\n- Two\n\nTo: Austria | Price: 6.90"
    )
    assert parsed.headings == ((1, "Delivery", 0), (2, "Prices", parsed.text.index("Prices")))


def test_the_title_stands_in_for_a_missing_h1():
    assert html("<p>Text.</p>", head="<title>Shop</title>").text == "Shop\n\nText."


def test_what_a_page_does_not_show_is_not_read():
    hidden = (
        "<script>a</script><style>b</style><nav>c</nav><p hidden>d</p><p style='display: none'>e</p><!-- f -->"
        "<p style='font-size:0'>g</p><p style='opacity:0.0'>h</p><p aria-hidden=true>i</p><template>j</template>"
        "<noscript>k</noscript><svg><text>l</text></svg><p style='visibility:hidden'>m</p><textarea>n</textarea>"
    )
    assert html(f"{hidden}<p style='opacity:0.5;font-size:0.9em'>Seen.</p>").text == "Seen."


def test_text_that_looks_like_markup_stays_text():
    assert html("<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>").text == "<script>alert(1)</script>"


def test_deep_nesting_is_read_without_a_crash():
    assert "deep" in html("<div>" * 200 + "deep" + "</div>" * 200).text


def test_a_declared_encoding_of_one_byte_is_believed():
    data = '<meta charset="iso-8859-1"><p>Größe</p>'.encode("latin-1")
    assert read_html(data, name="a.html", max_bytes=1000).text == "Größe"


def test_markdown_keeps_its_words_and_loses_its_marks():
    parsed = markdown(
        "---\ntitle: x\n---\n# Returns *now*\n\nRead [the rules](https://x.example/a) in `full`,\nplease.\n\n"
        "- One\n- Two\n  - Inner\n\n1. First\n\n> Quoted.\n\n| To | Price |\n|---|---|\n| Austria | 6.90 |\n\n"
        "<div hidden>no</div>\n\n<p>Seen.</p>\n"
    )
    assert parsed.text == (
        "Returns now\n\nRead the rules in full, please.\n\n- One\n- Two\n  - Inner\n\n- First\n\nQuoted.\n\n"
        "To: Austria | Price: 6.90\n\nSeen."
    )
    assert parsed.headings == ((1, "Returns now", 0),)


def test_front_matter_is_taken_off_and_text_between_two_rules_is_not():
    matter = 'title: x\n"date made": 2025-03-01\ntags:\n- a\n  - b\n\ntext: >\n  long: text\n'
    assert markdown(f"---\n{matter}---\nSeen.\n").text == "Seen."
    assert markdown(f"---\r\n{matter}...\r\nSeen.\r\n").text == "Seen."
    rules = "---\n# Returns\n\nYou can return it: 30 days.\n\n---\n# Delivery\n\nFree.\n"
    assert markdown(rules).text == "Returns\n\nYou can return it: 30 days.\n\nDelivery\n\nFree."
    assert markdown("---\n- Returns: 30 days\n\n---\nFree.\n").text == "- Returns: 30 days\n\nFree."
    assert markdown(f"---\n{' ' * 9}\n" * 2000 + "Seen.").text == "Seen."
