"""What an answer is made of: exact quotes and sentences that passed the check, nothing else."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import composer
from assistant.citations import Span
from assistant.retrieval.reader import Reading, split_units
from assistant.types import Passage


def passage(text: str, key: str = "p1", headings: tuple[str, ...] = ()) -> Passage:
    return Passage(key, "d1", "policy.md", "t", "shop", text, 0, len(text), "x", headings=headings)


def reading(*passages: Passage, scores: tuple[float, ...] = ()) -> Reading:
    units = tuple(unit for rank, each in enumerate(passages) for unit in split_units(each, rank))
    return Reading(units, scores or tuple(0.9 - 0.01 * n for n in range(len(units))), 0.9)


@given(st.lists(st.text("abc. !?\n-:。", min_size=1, max_size=120), min_size=1, max_size=4))
def test_every_quote_is_exact_and_stands_in_the_text(texts):
    found = reading(*(passage(text, f"p{n}") for n, text in enumerate(texts)))
    text, cited = composer.render(composer.quotes(found))
    by_id = {f"p{n}": body for n, body in enumerate(texts)}
    for citation in cited:
        assert by_id[citation.passage_id][citation.start : citation.end] == citation.quote
        assert text[citation.answer_start : citation.answer_end] == citation.quote


def test_a_records_field_stands_under_its_name():
    row = passage("name: Alder 2\nprice: 249.00 EUR\nstock: 4\ncolour: red")
    units = split_units(row, 0)
    found = Reading((units[1], *units), (0.9, *(0.001 for _ in units)), 0.9)
    text, _ = composer.render(composer.quotes(found))
    assert text == "name: Alder 2\nprice: 249.00 EUR"


def test_records_of_one_name_are_quoted_with_what_tells_them_apart():
    rows = [
        passage(f"服务项目: 上门洗缸\n编号: {n}\n价格: {price}\n规格: {size}\n时长: 1小时", f"p{n}")
        for n, (size, price) in enumerate([("60cm以下", "¥120"), ("60-120cm", "¥198")])
    ]
    prices = [units[2] for units in (split_units(row, 0) for row in rows)]
    read = tuple(unit for row in rows for unit in split_units(row, 0))
    text, _ = composer.render(composer.quotes(Reading((*prices, *read), (0.9, 0.8, *(0.001 for _ in read)), 0.9)))
    told = ["服务项目: 上门洗缸\n价格: ¥120\n规格: 60cm以下", "服务项目: 上门洗缸\n价格: ¥198\n规格: 60-120cm"]
    assert text == "\n\n".join(told)
    assert composer.render(composer.quoted(prices[1], [], read))[0] == told[1]


def test_list_items_that_are_apart_keep_their_lines():
    found = reading(passage("- Packs: 10 years.\n- Tents: 3 years.\n- Boots: 2 years."))
    apart = Reading((found.units[0], found.units[2]), (0.9, 0.8), 0.9)
    assert composer.render(composer.quotes(apart))[0] == "- Packs: 10 years.\n- Boots: 2 years."


def test_rows_of_a_table_and_the_sentence_behind_them_keep_their_lines():
    text = (
        "Day: Monday | Open: 8-18\nDay: Tuesday | Open: 8-17\nDay: Sunday | Open: 8-20\n\nFish go by air. It is quick."
    )
    found = reading(passage(text))
    apart = Reading((found.units[0], found.units[2], found.units[4]), (0.9, 0.8, 0.7), 0.9)
    lines = ["Day: Monday | Open: 8-18", "Day: Sunday | Open: 8-20", "It is quick."]
    assert composer.render(composer.quotes(apart))[0].split("\n") == lines


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("Parking\nThere are 12 spaces behind the building.", None),
        ("Lost property\nAsk at the desk. We keep it for 30 days.\nSee you soon.", "Lost property\nAsk at the desk. We keep it for 30 days."),
        ("**Wifi**\n\nThe network is called Guest.", None),
        ("停车\n店后有12个车位。", None),
        ("Monday 9 to 5\nTuesday 9 to 5", "Monday 9 to 5"),
        ("It takes 3 days.\nWe ship daily.", "It takes 3 days."),
    ],
)  # fmt: skip
def test_a_heading_is_never_the_whole_answer_and_a_sentence_may_be(text, quote):
    units = split_units(passage(text), 0)
    found = Reading(tuple(units), (0.9, *(0.001 for _ in units[1:])), 0.9)
    assert composer.render(composer.quotes(found))[0] == (quote or text)


def test_a_bare_yes_is_quoted_with_what_follows_it_or_not_at_all():
    faq = passage("Can I cancel?\nYes. Please cancel a day before.")
    units = split_units(faq, 0)
    assert units[0].span.text == "Yes."
    assert (
        composer.render(composer.quotes(Reading(tuple(units), (0.9, 0.001), 0.9)))[0] == "Please cancel a day before."
    )
    assert composer.pointed("Yes.", units) is None
    assert composer.checked("Yes.", [faq], []) is None


def test_a_third_passage_is_quoted_only_where_it_is_nearly_as_likely():
    texts = ("Tents are dried first.", "Boots are waxed often.", "Stoves are cleaned cold.")
    for last, quoted in ((0.3, {"p0", "p1"}), (0.6, {"p0", "p1", "p2"})):
        found = reading(*(passage(text, f"p{n}") for n, text in enumerate(texts)), scores=(0.9, 0.7, last))
        assert {piece.spans[0].passage.id for piece in composer.quotes(found)} == quoted


def test_a_sentence_cut_at_a_semicolon_is_quoted_whole():
    units = split_units(passage("刀具第一年免费磨刀一次；之后每把收费7欧元。锯齿刀不能磨。"), 0)
    found = Reading(tuple(units), (0.9, 0.001, 0.001), 0.9)
    assert composer.render(composer.quotes(found))[0] == "刀具第一年免费磨刀一次；之后每把收费7欧元。"


def test_a_records_name_takes_no_fields_place():
    units = split_units(passage("name: Alder 2\nprice: 249 EUR\nstock: 4\ncolour: red\nsize: M"), 0)
    found = Reading(tuple(units), (0.9, 0.8, 0.8, 0.8, 0.8), 0.9)
    text, _ = composer.render(composer.quotes(found))
    assert text == "name: Alder 2\nprice: 249 EUR\nstock: 4\ncolour: red\nsize: M"


def test_a_leading_yes_of_the_faq_is_not_the_answers():
    faq = passage("Can I return gift cards?\nYes, gift cards can be returned within 14 days.")
    text, cited = composer.render(composer.quotes(reading(faq)))
    assert text == "… gift cards can be returned within 14 days."
    quote = faq.text[cited[0].start : cited[0].end]
    assert quote == text[cited[0].answer_start : cited[0].answer_end] == text.removeprefix("… ")
    whole = passage("Can I return it?\nNo. Gift cards cannot be returned.")
    assert composer.render(composer.quotes(reading(whole)))[0] == "Gift cards cannot be returned."


def test_a_translation_of_a_quote_is_not_repeated_word_for_word():
    one = passage("Returns are free within 30 days.", "p1")
    two = passage("Returns are free within 30 days.", "p2")
    assert len(composer.quotes(reading(one, two))) == 1


@given(st.text("ab .!?\n。，1", max_size=200), st.lists(st.integers(1, 9), max_size=40))
def test_cutting_a_stream_loses_nothing(text, sizes):
    cuts = [0, *itertools.accumulate(sizes), len(text) + sum(sizes)]
    done = list(composer.sentences_of(text[start:end] for start, end in itertools.pairwise(cuts)))
    assert "".join("".join(done).split()) == "".join(text.split())


def test_a_checked_sentence_is_cited_an_unsupported_one_is_dropped_and_a_repeated_one_is_silent():
    source = passage("We refund the price within 7 days. Shoes can be exchanged in every store.")
    first = composer.checked("Shoes can be exchanged in every store.", [source], [])
    assert isinstance(first, composer.Piece)
    assert isinstance(composer.checked("Shoes can be burnt in every store.", [source], []), composer.Dropped)
    said = [composer.Piece("", (), ""), composer.Piece(first.text, first.spans)]
    assert composer.checked("Shoes can be exchanged in every store.", [source], said) is None


def test_a_span_knows_its_text():
    source = passage("abc def")
    assert Span(source, 4, 7).text == "def"


def test_what_the_model_repeats_letter_by_letter_is_quoted_and_nothing_else():
    found = reading(passage("Returns take 30 days. A label costs 4 EUR."), passage("- Boots: 2 years.", "p2"))
    repeated = composer.pointed("A label  costs 4 EUR.", found.units)
    assert repeated is not None
    assert repeated.span.text == "A label costs 4 EUR."
    assert composer.pointed("Boots: 2 years.", found.units) is not None
    for other in ("A label costs 5 EUR.", "A label costs", "Yes.", ""):
        assert composer.pointed(other, found.units) is None


def test_a_quote_the_model_points_at_is_not_repeated_and_a_field_keeps_its_name():
    row = passage("name: Alder 2\nprice: 249.00 EUR\nstock: 4\ncolour: red")
    units = split_units(row, 0)
    first = composer.quoted(units[3], [])
    assert composer.render(first)[0] == "name: Alder 2\ncolour: red"
    more = composer.quoted(units[1], first)
    assert composer.render([*first, *more])[0] == "name: Alder 2\ncolour: red\n\nprice: 249.00 EUR"
    assert composer.quoted(units[3], first) == []


def test_what_was_quoted_without_its_verdict_or_from_a_twin_is_not_quoted_again():
    found = reading(passage("Can I wear boots outside?\nNo. Boots may be tried on indoors.", "p1"))
    said = composer.quotes(found)
    assert composer.render(said)[0] == "Boots may be tried on indoors."
    for sentence in (unit.span.text for unit in found.units):
        pointed = composer.pointed(sentence, found.units)
        assert pointed is None or composer.quoted(pointed, said) == []
    twin = reading(passage("Boots may be tried on, indoors.", "p2")).units[0]
    assert composer.quoted(twin, said) == []
