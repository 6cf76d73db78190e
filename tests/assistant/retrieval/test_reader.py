"""The reader: units are exact, keys are not answers, support is a probability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.retrieval import reader
from assistant.retrieval.calibration import calibration
from assistant.retrieval.embedders import HashingEmbedder
from assistant.retrieval.reader import Reader, split_units
from assistant.types import Hit, Passage


def hit(text: str, key: str = "p1", headings: tuple[str, ...] = ()) -> Hit:
    return Hit(Passage(key, "d", "f.md", "t", "shop", text, 0, len(text), "x", headings=headings), 1.0, "fused")


@pytest.fixture(scope="module")
def hashing() -> Reader:
    return Reader(HashingEmbedder(), lambda term: 1.0)


@given(st.text("ab .?!\n:：。", max_size=200))
def test_units_are_spans_of_their_passage_and_none_is_empty(text):
    passage = hit(text).passage
    for unit in split_units(passage, 0):
        assert unit.span.text == text[unit.span.start : unit.span.end]
        assert unit.span.text.strip()


def test_a_faqs_question_is_a_key_not_an_answer():
    units = split_units(hit("Can I pay later?\nYou can pay within 14 days. Not abroad.").passage, 0)
    assert [unit.span.text for unit in units] == ["You can pay within 14 days.", "Not abroad."]
    assert {unit.key for unit in units} == {"Can I pay later?"}


def test_a_records_fields_are_units_under_its_first_line():
    units = split_units(hit("name: Alder 2\nprice: 249.00 EUR\nstock: 4").passage, 0)
    assert all(unit.record for unit in units)
    assert units[1].key == "name: Alder 2"


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ("How much is the Alder 2?", "price: 249.00 EUR"),
        ("Do you have the Alder 2 in stock?", "stock: 4"),
        ("how heavy is the alder 2", "weight_g: 2100"),
        ("Alder 2 是什么材质的？", "material: nylon"),
        ("what colour is the Alder 2", "colour: red"),
    ],
)
def test_the_field_that_is_asked_for_comes_first(hashing, question, field):
    row = "name: Alder 2\nprice: 249.00 EUR\ncolour: red\nweight_g: 2100\nmaterial: nylon\nstock: 4"
    reading = hashing.read(question, [hit(row)])
    best = [unit.span.text for unit in reading.units if not unit.span.text.startswith("name")]
    assert best[0] == field


def test_the_sentence_that_answers_comes_first(hashing):
    text = "Our shop opened in 1990. Boots can be resoled for 60 EUR. We like trees."
    assert hashing.read("How much does it cost to resole boots?", [hit(text)]).units[0].span.start == text.index(
        "Boots"
    )


def test_what_the_index_has_is_not_embedded_again_and_reads_the_same(hashing):
    class Watched(HashingEmbedder):
        def __init__(self):
            self.seen = []

        def encode(self, texts):
            self.seen += texts
            return super().encode(texts)

    hits, embedder, sentence = [hit("Boots can be resoled. We like trees.")], Watched(), "Boots can be resoled."
    kept = dict.fromkeys([sentence], HashingEmbedder().encode([sentence])[0])
    read = Reader(embedder, lambda term: 1.0, lambda texts: {text: kept[text] for text in texts if text in kept})
    assert read.read("resole boots?", hits) == hashing.read("resole boots?", hits)
    assert sentence not in embedder.seen
    assert "We like trees." in embedder.seen


@given(st.text(max_size=80), st.lists(st.text(max_size=120), max_size=4))
def test_support_is_a_probability_and_scores_fall(question, texts):
    reading = Reader(HashingEmbedder(), lambda term: 1.0).read(
        question, [hit(text, str(n)) for n, text in enumerate(texts)]
    )
    assert 0.0 <= reading.support <= 1.0
    assert list(reading.scores) == sorted(reading.scores, reverse=True)
    assert len(reading.units) == len(reading.scores)


def test_nothing_found_has_no_support(hashing):
    assert hashing.read("anything", []).support == 0.0


@pytest.mark.parametrize("embedder", ["minilm", "use-multilingual", "bilingual", "hashing", "somebody/else"])
def test_every_embedder_has_a_calibration_of_the_readers_features(embedder):
    table = calibration(embedder)
    assert 0.0 < table["threshold"] < 1.0
    for name, features in (
        ("unit", reader.UNIT_FEATURES),
        ("field", reader.UNIT_FEATURES),
        ("support", reader.SUPPORT_FEATURES),
    ):
        assert len(table[name]["weights"]) == len(features)
        assert np.isfinite([*table[name]["weights"], table[name]["bias"]]).all()


def test_what_the_judge_adds_has_a_weight_each():
    for embedder in ("bilingual", "minilm"):
        model = calibration(embedder).get("judged")
        if model is not None:
            assert len(model["weights"]) == len(reader.SUPPORT_FEATURES) + len(reader.JUDGE_FEATURES)


def test_the_judge_is_asked_about_english_only():
    assert reader.judgeable("How long can I return a sealed box?")
    assert not reader.judgeable("没开封的可以退货吗？")


def test_of_few_verdicts_the_mean_is_over_what_there_is():
    assert reader.judge_features(np.array([-1.0, 3.0], dtype=np.float32)).tolist() == [3.0, 1.0, -1.0]


@pytest.mark.parametrize(
    ("question", "sure"),
    [
        ("How much is the Alder 2?", True),
        ("How much is the Alder 3?", False),
        ("Is the Alder 2 good for children?", False),
        ("what colour is the Alder 2", False),
    ],
)
def test_a_named_products_field_is_known_to_be_asked_for(hashing, question, sure):
    reading = hashing.read(question, [hit("name: Alder 2\nprice: 249.00 EUR\nstock: 4")])
    assert reader.names_field(question, reading) is sure


def records(question: str, *rows: str) -> set[str]:
    """The first lines of the records that a reading has units of; "lark" is a word that no passage has."""
    read = Reader(HashingEmbedder(), lambda term: 9.0 if term in {"lark", "\x00"} else 1.0)
    units = read.read(question, [hit(row, f"p{number}") for number, row in enumerate(rows)]).units
    return {unit.span.passage.text.split("\n")[0] for unit in units if unit.record}


def test_a_record_does_not_answer_for_a_thing_that_no_passage_knows():
    bag, bottle = "name: Water Bag 2\nbrand: Alda\nwaterproof: yes", "name: 水瓶\nbrand: Alda\nwaterproof: yes"
    assert records("Is the Lark 2 waterproof?", bag) == set()  # a number names nothing
    assert records("Is the Lark bag waterproof?", bag) == {"name: Water Bag 2"}
    assert records("Is it waterproof?", bag) == {"name: Water Bag 2"}  # nothing unknown is asked about
    assert records("Is the Lark waterproof?", bottle) == {"name: 水瓶"}  # its name cannot be compared
    coded = "sku: A 1\ntitle: Water Bag\nwaterproof: yes"  # no field is called a name
    assert records("Is the Lark bag waterproof?", coded) == {"sku: A 1"}
    assert records("Is the Lark 2 waterproof?", coded) == set()


def test_of_records_that_share_a_name_the_one_called_by_it_answers():
    tent, bag = "name: Kestrel 2\nname_zh: 红隼帐篷\nprice: 3", "name: Water Bag 2\nname_zh: 水袋\nprice: 5"
    floor = "name: Kestrel 2 Footprint\nname_zh: 红隼帐篷地布\nprice: 4"
    assert records("How much is the Kestrel 2?", floor, bag, tent) == {"name: Kestrel 2"}
    assert records("红隼帐篷多少钱", floor, bag, tent) == {"name: Kestrel 2"}
    assert len(records("How much is a bag for a Kestrel 2?", bag, tent)) == 2
    assert len(records("How much are 2?", "name: 2\nsort: a\nprice: 3", "name: -\nsort: b\nprice: 3", tent)) == 3
    assert records("How much is the Kestrel 2 footprint?", floor, tent) == {
        "name: Kestrel 2",
        "name: Kestrel 2 Footprint",
    }
    assert len(records("How much is the Kestrel 2 footprint?", floor.replace("2 F", "2 Ground F"), tent)) == 2
    assert records("How much is the Kestrel?", floor, tent) == {"name: Kestrel 2", "name: Kestrel 2 Footprint"}
