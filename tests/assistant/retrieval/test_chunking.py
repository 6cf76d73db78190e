"""The laws of passages, for any document."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.retrieval.chunking import split, weight
from assistant.types import Document, Heading

WORDS = st.sampled_from("the tent dries in 2.5 days. Why? Yes! 退货期限为三十天。 帐篷 a,b ünï 3) - e.g. 𠀀".split())
SENTENCE = st.lists(WORDS, min_size=1, max_size=40).map(" ".join)
ENDLESS = st.integers(1, 900).map(lambda n: "x" * n)
PARAGRAPH = st.one_of(SENTENCE, SENTENCE, ENDLESS, st.text(max_size=300), st.lists(SENTENCE, max_size=5).map("\n".join))


def document(text, *, headings=(), pages=(), rows=()):
    marks = tuple(Heading(*heading) for heading in headings)
    return Document("d", "t", "c", "a.txt", text, "0" * 64, "txt", "en", tuple(pages), marks, tuple(rows))


@st.composite
def documents(draw):
    """Blocks in order: headings, paragraphs, page starts before and inside a paragraph."""
    text, headings, pages = "", [], []
    for _ in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(["paragraph", "paragraph", "heading", "page", "inner page"]))
        body = draw(PARAGRAPH if kind != "heading" else SENTENCE.map(lambda title: title[:80]))
        joint = draw(st.sampled_from(["\n\n", "\n \n", "\n\n\n"] + (["\n"] if kind == "heading" else [])))
        text += joint if text else ""
        if kind == "heading" and body.strip():
            headings.append((draw(st.integers(1, 4)), body.strip(), len(text)))
            body = body.strip() + draw(st.sampled_from(["", "\nIts text."]))
        elif kind == "page":
            pages.append(len(text))
        elif kind == "inner page":
            pages.append(len(text) + len(body) // 2)
        text += body
    return document(text, headings=headings, pages=[0, *pages] if pages else ())


@st.composite
def tables(draw):
    text, rows, headings = "", [], []
    for _ in range(draw(st.integers(1, 8))):
        if draw(st.booleans()):
            text += "\n\n" if text else ""
            headings.append((1, "Sheet", len(text)))
            text += "Sheet"
        body = draw(SENTENCE | ENDLESS)
        text += "\n\n" if text else ""
        rows.append((len(text), len(text) + len(body)))
        text += body
    return document(text, rows=rows, headings=headings)


LIMIT = st.sampled_from([100, 150, 300, 700])


@given(documents() | tables(), LIMIT)
@settings(max_examples=300, deadline=None)
def test_a_passage_is_a_span_of_its_document_within_the_limit(doc, limit):
    for passage in split(doc, limit):
        assert doc.text[passage.start : passage.end] == passage.text
        assert passage.text == passage.text.strip() != ""
        assert weight(passage.text) <= limit


@given(documents() | tables(), LIMIT)
@settings(max_examples=300, deadline=None)
def test_passages_are_in_order_do_not_overlap_and_cover_all_that_is_not_white_nor_the_title_of_rows(doc, limit):
    at, rows = 0, dict(doc.rows)
    for passage in split(doc, limit):
        assert passage.start >= at
        left_out = doc.text[at : passage.start].strip()
        assert not left_out or (passage.start in rows and left_out == passage.headings[-1])
        at = passage.end
    assert not doc.text[at:].strip()


def body_of(doc, passage):
    """Where a passage's text begins, behind the headings it starts with."""
    starts, at = {heading.start for heading in doc.headings}, passage.start
    while at in starts and at < passage.end:
        line = doc.text.find("\n", at)
        rest = doc.text[line:] if line >= 0 else ""
        at = len(doc.text) - len(rest.lstrip())
    return at


@given(documents(), LIMIT)
@settings(max_examples=300, deadline=None)
def test_text_before_a_heading_and_after_it_is_never_in_one_passage(doc, limit):
    for passage in split(doc, limit):
        body = body_of(doc, passage)
        assert not any(body < heading.start < passage.end for heading in doc.headings)


@given(documents(), LIMIT)
@settings(max_examples=300, deadline=None)
def test_a_page_is_crossed_only_where_a_paragraph_goes_on(doc, limit):
    for passage in split(doc, limit):
        body = body_of(doc, passage)
        for page in doc.pages:
            begins = doc.text[:page].endswith(("\n\n", "\n \n")) and doc.text[page : page + 1].strip()
            assert not (begins and body < page < passage.end)


@given(tables(), LIMIT)
@settings(max_examples=200, deadline=None)
def test_no_passage_holds_two_rows(doc, limit):
    for passage in split(doc, limit):
        assert sum(start < passage.end and passage.start < end for start, end in doc.rows) <= 1


@given(documents(), LIMIT)
@settings(max_examples=100, deadline=None)
def test_ids_are_stable_and_unique(doc, limit):
    first, second = split(doc, limit), split(doc, limit)
    assert first == second
    assert len({passage.id for passage in first}) == len(first)


def test_a_passage_keeps_its_id_while_its_text_stays_and_equal_ones_have_their_own():
    same, gone, new = ("\n\n".join([word * 40] * times).strip() for word, times in (("a ", 2), ("b ", 1), ("c ", 1)))
    first, second, left = (passage.id for passage in split(document(f"{same}\n\n{gone}"), 100))
    added, *kept = (passage.id for passage in split(document(f"{new}\n\n{same}"), 100))
    assert kept == [first, second]
    assert len({first, second, left, added}) == 4


def test_a_passage_knows_its_headings_and_its_page():
    text = "A\n\nIntro.\n\nB\n\nOne.\n\nC\n\nTwo.\n\nD\n\nThree."
    marks = [(1, "A", 0), (2, "B", text.index("B")), (3, "C", text.index("C")), (2, "D", text.index("D"))]
    passages = split(document(text, headings=marks, pages=[0, text.index("D")]), 700)
    assert [(passage.text, passage.headings, passage.page) for passage in passages] == [
        ("A\n\nIntro.", ("A",), 1),
        ("B\n\nOne.", ("A", "B"), 1),
        ("C\n\nTwo.", ("A", "B", "C"), 1),
        ("D\n\nThree.", ("A", "D"), 2),
    ]


def test_headings_without_text_go_with_what_follows():
    passages = split(document("A\n\nB\n\nText.", headings=[(1, "A", 0), (2, "B", 3)]), 700)
    assert [(passage.text, passage.headings) for passage in passages] == [("A\n\nB\n\nText.", ("A", "B"))]


def test_short_paragraphs_are_merged_and_long_ones_cut_at_sentences():
    short = "\n\n".join(f"Short paragraph {n}." for n in range(5))
    assert [passage.text for passage in split(document(short), 700)] == [short]
    sentences = [f"This is sentence number {n} of a long paragraph." for n in range(10)]
    for passage in split(document(" ".join(sentences)), 120):
        assert passage.text.endswith(".")


def test_a_paragraph_that_fits_is_not_cut():
    first, second = "a " * 40, "b " * 40
    texts = [passage.text for passage in split(document(f"{first.strip()}\n\n{second.strip()}"), 100)]
    assert texts == [first.strip(), second.strip()]


def test_chinese_weighs_three():
    text = "".join(f"第{n}条规定。" for n in range(60))
    assert all(weight(passage.text) <= 150 and passage.language == "zh" for passage in split(document(text), 150))


def test_a_row_is_a_row_the_first_below_a_title_too_and_a_note_above_is_a_passage_of_its_own():
    rows = ["name: Alder 2\nprice: 249\nstock: 4", "name: Beech\nprice: 99\nstock: 0"]
    blocks = ["Tents", "Spring", "All prices with tax", *rows, "Boots", rows[0]]
    at = list(itertools.accumulate((len(block) + 2 for block in blocks), initial=0))
    where = [(at[n], at[n] + len(blocks[n])) for n in (3, 4, 6)]
    doc = document(
        "\n\n".join(blocks), headings=[(1, "Tents", 0), (2, "Spring", at[1]), (1, "Boots", at[5])], rows=where
    )
    assert [(passage.text, passage.headings) for passage in split(doc, 700)] == [
        ("Tents\n\nSpring\n\nAll prices with tax", ("Tents", "Spring")),
        (rows[0], ("Tents", "Spring")),
        (rows[1], ("Tents", "Spring")),
        (rows[0], ("Boots",)),
    ]


def test_the_parts_of_a_long_row_carry_its_first_line():
    row = "How long?\n" + " ".join(f"Sentence number {n} of the answer is here." for n in range(10))
    first, *others = split(document(row, rows=[(0, len(row))]), 150)
    assert first.headings == ()
    assert others
    assert all(passage.headings == ("How long?",) for passage in others)


def test_an_empty_document_has_no_passages():
    assert split(document(" \n\n "), 700) == []
