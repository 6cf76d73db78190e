"""What a question asks of a record: a field by its name, and the record by its own, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import composer
from assistant.retrieval import lookup, reader
from assistant.retrieval.embedders import HashingEmbedder
from assistant.retrieval.reader import Reader
from assistant.types import Hit, Passage

TENT = (
    "name: Kestrel 2\nname_zh: 红隼双人帐篷\ncategory: tents\nbrand: Ridgeline\nprice: 289.00 EUR\ncolour: moss green\n"
    "size_range: 210 x 130 cm\nweight_g: 1980\nmaterial: ripstop polyester\nwaterproof: 3000 mm\nseason: three seasons\n"
    "capacity: 2 persons\nstock: 23\ndescription: Two doors, so nobody climbs over the other."
)
FLOOR = "name: Kestrel 2 Footprint\nname_zh: 红隼双人帐篷地布\nprice: 45.00 EUR\nweight_g: 310\nstock: 4"
FRAME = "名称: 磐力卧推凳D1\n售价: 899元\n承重: 300公斤\n保修: 两年"


def passage(text: str, name: str = "p") -> Passage:
    return Passage(name, "d", "products.csv", "t", "c", text, 0, len(text), "", None, (), "en")


def fields(question: str, *rows: str) -> list[str]:
    """The lines that a question asks for, in the order of the rows."""
    passages = [passage(row, f"p{number}") for number, row in enumerate(rows)]
    found = lookup.asked_for(question, passages)
    return [each.text[start:].split("\n")[0] for each in passages for one, start in sorted(found) if one == each.id]


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        ("How much is the Kestrel 2?", ["price: 289.00 EUR"]),
        ("price of the kestrel 2 pls", ["price: 289.00 EUR"]),
        ("How much does the Ridgeline Kestrel 2 tent weigh?", ["weight_g: 1980"]),
        ("What is the Kestrel 2 made of, and which colours does it come in?", ["colour: moss green", "material: ripstop polyester"]),
        ("Do you still have the Kestrel 2?", ["stock: 23"]),
        ("Is the Kestrel 2 moss green?", ["colour: moss green"]),
        ("Tell me about the Kestrel 2", ["description: Two doors, so nobody climbs over the other."]),
        ("I am looking at the Kestrel 2. Is it waterproof?", ["waterproof: 3000 mm"]),
        ("Does the Kestrel 2 have two doors?", ["description: Two doors, so nobody climbs over the other."]),
        ("How much is the Kestrel 2? And how heavy is it?", ["weight_g: 1980"]),
        ("How long is the Kestrel 2?", ["size_range: 210 x 130 cm"]),  # no field is called a length
        ("what's the kestrel 2 made from", ["material: ripstop polyester"]),
        ("How big is the Kestrel 2?", ["size_range: 210 x 130 cm", "capacity: 2 persons"]),
        ("红隼双人帐篷防水吗？", ["waterproof: 3000 mm"]),
        ("請問紅隼雙人帳篷多少錢", ["price: 289.00 EUR"]),
        ("红隼双人帐篷还有货吗", ["stock: 23"]),
        ("红隼双人帐篷还剩多少", ["stock: 23"]),
        ("红隼双人帐篷下雨天能用吗", ["waterproof: 3000 mm"]),
        ("有红隼双人帐篷吗", ["stock: 23"]),
        ("红隼双人帐篷能睡几个人？", ["capacity: 2 persons"]),
        ("Kestrel 2多重", ["weight_g: 1980"]),
        ("介绍一下红隼双人帐篷", ["description: Two doors, so nobody climbs over the other."]),
    ],
)  # fmt: skip
def test_a_field_is_found_by_its_name_and_the_records(question, lines):
    assert fields(question, FLOOR, TENT) == lines


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        ("卧推凳D1承重多少", ["承重: 300公斤"]),
        ("磐力卧推凳D1保修多久？", ["保修: 两年"]),
        ("磐力卧推凳D1怎么卖", ["售价: 899元"]),
        ("磐力卧推凳D1多重", []),
    ],
)
def test_a_companys_own_label_is_a_name_of_its_field(question, lines):
    assert fields(question, FRAME, TENT) == lines


@pytest.mark.parametrize(
    "question",
    [
        "How much is repairing the Kestrel 2?",
        "How much is the Kestrel 2 in Berlin?",
        "Is the Kestrel 2 waterproof after ten years?",
        "How much is the Kestrel 3?",
        "How much is the Lark 2?",
        "How many doors does the Kestrel 2 have?",
        "Which warranty has the Kestrel 2?",
        "Is the Kestrel 2 red?",
        "What does the zip of the Kestrel 2 cost?",
        "What do the two doors of the Kestrel 2 cost?",  # the row has these words, and a price that is not theirs
        "How much is it?",
        "How much is the tent?",  # a sort of goods, no name
        "Kestrel 2",
        "",
        "红隼双人帐篷可以退吗",
        "红隼双人帐篷多少钱起租",
        "红隼三人帐篷多少钱",
        "帐篷多少钱",
        "?！",
    ],
)
def test_one_word_that_neither_explains_leaves_it_to_the_reader(question):
    assert fields(question, TENT, FRAME) == []


@given(st.text("bcdfghjkmnpqrstvwxz", min_size=4, max_size=12))
def test_no_invented_word_is_passed_over(word):
    assert fields(f"How much is the Kestrel 2 {word}?", TENT) == []


def test_without_a_price_the_prices_of_a_row_are_what_it_costs():
    room = "名称: 亲子房\n平日价: 380元\n周末价: 480元\n加床: 80元"
    assert fields("亲子房多少钱", room) == ["平日价: 380元", "周末价: 480元"]
    assert fields("亲子房多少钱", room + "\n零售价: 400元") == ["零售价: 400元"]


def test_how_long_a_course_is_is_its_duration():
    assert fields("How long is the Knot Course?", "name: Knot Course\nduration: 90 minutes") == ["duration: 90 minutes"]


def test_the_record_with_the_whole_name_is_meant_not_the_longer_one():
    assert fields("How heavy is the Kestrel 2 Footprint?", TENT, FLOOR) == ["weight_g: 310"]
    assert fields("红隼双人帐篷地布多重", TENT, FLOOR) == ["weight_g: 310"]


def test_more_records_than_two_are_a_sort_of_goods():
    rows = [f"name: Alder Pan {size} cm\nprice: {size}.00 EUR\nstock: 1" for size in (20, 24, 28)]
    assert fields("How much is the Alder pan?", *rows) == []
    assert fields("How much is the Alder pan?", *rows[:2]) == ["price: 20.00 EUR", "price: 24.00 EUR"]
    assert fields("How much is the Alder Pan 24 cm?", *rows) == ["price: 24.00 EUR"]


def test_prose_and_questions_are_no_records():
    assert (
        fields(
            "How much is the Kestrel 2?", "The Kestrel 2 is 289.00 EUR.", "How much is the Kestrel 2?\nprice: 1\nit: 2"
        )
        == []
    )


@pytest.fixture
def hashing() -> Reader:
    return Reader(HashingEmbedder(), lambda term: 1.0)


def test_what_is_looked_up_leads_is_sure_and_is_quoted_alone(hashing):
    hits = [Hit(passage(row, f"p{number}"), 1.0, "dense") for number, row in enumerate((FLOOR, TENT))]
    reading = hashing.read("How heavy is the Kestrel 2?", hits)
    assert reading.looked_up
    assert reading.support >= reader.LOOKED_UP
    assert reading.units[0].span.text == "weight_g: 1980"
    assert not hashing.doubts(reading)  # no model is asked what code knows
    text = composer.render(composer.quotes(reading))[0]
    assert text.startswith("name: Kestrel 2\n")
    assert "weight_g: 1980" in text
    assert "310" not in text
    other = hashing.read("How heavy is the Kestrel 2 when it is wet?", hits)
    assert not other.looked_up
    assert other.support < reader.LOOKED_UP


def test_a_hint_tells_which_field_a_question_is_about():
    assert lookup.field_match("Is it too heavy to carry?", "weight_g: 1980") == 1.0
    assert lookup.field_match("Is it too heavy to carry?", "price: 289.00 EUR") == -1.0
    assert lookup.field_match("Is it any good?", "price: 289.00 EUR") == 0.0


LARK = "name: Lark 1\nname_zh: 云雀单人帐篷\nprice: 199.00 EUR\nweight_g: 990\nmaterial: nylon\nstock: 0"


@pytest.mark.parametrize(
    ("questions", "named"),
    [
        (["How heavy is the Kestrel 2?", "And what is it made of?"], "kestrel 2 And what is it made of?"),
        (["How heavy is the Kestrel 2?", "What is it made of?", "how much is it"], "kestrel 2 how much is it"),
        (["红隼双人帐篷多重", "下雨天能用吗"], "红隼双人帐篷 下雨天能用吗"),
        (["How heavy is the Kestrel 2?", "And the Lark 1?"], "lark 1 how heavy is the ?"),
        (
            ["How heavy is the Kestrel 2?", "And the Lark 1?", "And what is it made of?"],
            "lark 1 And what is it made of?",
        ),
        (["How heavy is the Kestrel 2?", "What is it made of?", "And the Lark 1?"], "lark 1 what is it made of?"),
        (["红隼双人帐篷多重", "云雀单人帐篷呢"], "云雀单人帐篷 多重"),
        (["How heavy is the Kestrel 2?", "Can I return it?"], ""),  # no field
        (["Can I have the Kestrel 2 repaired?", "And how much is it?"], ""),  # what the repair costs
        (["Is there parking?", "And the Lark 1?"], ""),
        (["How heavy is the Kestrel 2?"], ""),
    ],
)
def test_a_follow_up_about_a_record_is_asked_by_its_name(questions, named):
    rows = [passage(row, f"p{number}") for number, row in enumerate((TENT, FLOOR, LARK))]
    assert lookup.with_name(questions, lambda text: rows) == named


def test_beside_what_is_looked_up_no_field_of_another_record_is_an_answer(hashing):
    hits = [Hit(passage(row, name), 1.0, "dense") for name, row in (("k2", TENT), ("k1", TENT.replace(" 2", " 1")))]
    reading = hashing.read("What does the Kestrel 2 cost?", hits)
    scores = {
        (unit.span.passage.id, unit.span.text): score for unit, score in zip(reading.units, reading.scores, strict=True)
    }
    assert scores["k2", "price: 289.00 EUR"] == pytest.approx(reader.LOOKED_UP)
    assert {score for (one, _), score in scores.items() if one == "k1"} == {0.0}
