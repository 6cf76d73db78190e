"""The reader: units are exact, keys are not answers, support is a probability."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.retrieval import reader
from assistant.retrieval.calibration import calibration
from assistant.retrieval.embedders import HashingEmbedder
from assistant.retrieval.reader import Array, Reader, Reading, split_units
from assistant.types import Hit, Passage

UNIT, SUPPORT = len(reader.UNIT_FEATURES), len(reader.SUPPORT_FEATURES)
JUDGE, READ = len(reader.JUDGE_FEATURES), len(reader.READ_FEATURES)


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


def test_where_a_faq_is_filed_is_no_answer_however_many_columns_say_it():
    filed = (
        "Can I pay later?\nYes, within 14 days\ncategory: Payment\ntags: card;cash\nregion: UK\nfor: all\nshop: 1\nz: 2"
    )
    said = [unit.span.text for unit in split_units(hit(filed).passage, 0)]
    assert said[0] == "Yes, within 14 days"
    assert not any("Payment" in text or "cash" in text for text in said)
    asked = dataclasses.replace(hit("parking\nbehind the house\nCategory: Visit").passage, document="faq.csv")
    assert [unit.span.text for unit in split_units(asked, 0)] == ["parking\nbehind the house"]


def test_a_heading_is_a_key_not_an_answer_where_it_is_numbered_too():
    path = ("Warranty", "3. Making a claim", "3.1 What to do?")
    text = "3. Making a claim\n\n3.1 What to do?\n\nFill in the form. Making a claim is free."
    units = split_units(hit(text, headings=path).passage, 0)
    assert [unit.span.text for unit in units] == ["Fill in the form.", "Making a claim is free."]
    assert [unit.span.text for unit in split_units(hit("1. Returns", headings=("1. Returns",)).passage, 0)]


def test_a_records_fields_are_units_under_its_first_line():
    units = split_units(hit("name: Alder 2\nprice: 249.00 EUR\nstock: 4").passage, 0)
    assert all(unit.record for unit in units)
    assert units[1].key == "name: Alder 2"


def test_a_row_of_two_columns_is_a_record_and_two_sentences_are_none():
    units = split_units(hit("Ticket: Adult day ticket\nPrice: £12").passage, 0)
    assert [(unit.span.text, unit.record) for unit in units] == [
        ("Ticket: Adult day ticket", True),
        ("Price: £12", True),
    ]
    for prose in (
        "Returns: within 30 days.\nRefunds: at once.",
        "Mon 9:30-18:00\nTue 9:30-18:00",
        "Q: Can I pay?\nA: yes",
    ):
        assert not any(unit.record for unit in split_units(hit(prose).passage, 0))


@pytest.mark.parametrize(
    ("question", "price"),
    [
        ("how much to neuter a 30kg male dog", "330"),
        ("neuter a dog of 8 kg", "245"),
        ("neuter a dog of 52 kg", "395"),
        ("neuter a male dog", "245 285 330 395"),
        ("neuter 30 dogs", "245 285 330 395"),
        ("neuter dogs of 5 kg and 30 kg", "245 285 330 395"),
    ],
)
def test_a_row_of_a_range_that_the_number_asked_for_is_outside_of_is_not_read(hashing, question, price):
    rows = {"up to 10 kg": 245, "10 - 25 kg": 285, "25 - 40 kg": 330, "over 40 kg": 395}
    hits = [hit(f"Weight of dog: {weight}\nMale: {male}\nkind: dog", weight) for weight, male in rows.items()]
    units = hashing.units(hashing.analyse(question), hits)
    assert " ".join(unit.span.text[6:] for unit in units if unit.span.text.startswith("Male")) == price


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


def has_weights(model: dict[str, Any], **features: int) -> bool:
    """Whether each part of a reading has so many finite weights."""
    numbers = [[*model[part]["weights"], model[part]["bias"]] for part in features]
    return [len(row) - 1 for row in numbers] == list(features.values()) and all(
        np.isfinite(row).all() for row in numbers
    )


@pytest.mark.parametrize("embedder", ["minilm", "use-multilingual", "bilingual", "hashing", "somebody/else"])
def test_every_embedder_has_a_calibration_of_the_readers_features(embedder):
    table = calibration(embedder)
    assert 0.0 < table["threshold"] <= table["sure"] < 1.0
    assert has_weights(table["plain"], unit=UNIT, field=UNIT, support=SUPPORT)


@pytest.mark.parametrize("embedder", ["minilm", "use-multilingual", "bilingual"])
def test_what_the_judge_and_the_chat_model_add_has_a_weight_each(embedder):
    judged = calibration(embedder)["judged"]
    assert has_weights(judged, unit=UNIT + 1, field=UNIT + 1, support=SUPPORT + JUDGE)
    if embedder == "bilingual" or "read" in judged:
        assert has_weights(judged, read=SUPPORT + JUDGE + READ)


def test_the_judge_is_asked_about_english_and_chinese_only():
    assert reader.judgeable("How long can I return a sealed box?")
    assert reader.judgeable("没开封的可以退货吗？")
    assert not reader.judgeable("Wie lange kann ich eine ungeöffnete Packung zurückgeben?")


class Bilingual(HashingEmbedder):
    """Has the calibration of an embedder whose questions the judge reads."""

    name = "bilingual"


SENTENCES = hit("Boots can be resoled for 60 EUR. We like trees. Our shop opened in 1990.")
RESOLE = "How much does it cost to resole boots?"


def judged(monkeypatch: pytest.MonkeyPatch, question: str, likes: str) -> Reading:
    """A reading with a judge to whom these words answer everything, and nothing else does."""

    def scores(asked: str, sentences: list[tuple[str, str]]) -> Array:
        assert asked == question
        return np.array([30.0 if likes in text else -30.0 for _, text in sentences], dtype=np.float32)

    monkeypatch.setattr(reader, "load_judge", lambda: SimpleNamespace(scores=scores))
    return Reader(Bilingual(), lambda term: 1.0).read(question, [SENTENCES])


@pytest.mark.parametrize("question", [RESOLE, "靴子换底多少钱？"])
@pytest.mark.parametrize("likes", ["Boots", "trees", "1990"])
def test_a_units_verdict_changes_its_rank(monkeypatch, question, likes):
    reading = judged(monkeypatch, question, likes)
    assert likes in reading.units[0].span.text
    assert len(reading.units) == 3
    assert reading.features is not None
    assert reading.features.shape == (SUPPORT + JUDGE,)
    assert reading.features[-JUDGE:].tolist() == [30, -10, 30]


def test_a_better_verdict_is_more_support(monkeypatch):
    assert judged(monkeypatch, RESOLE, "Boots").support > judged(monkeypatch, RESOLE, "no such words").support


@pytest.mark.parametrize("question", [RESOLE, "Wie viel kostet es, meine alten Stiefel neu besohlen zu lassen?"])
def test_without_a_judge_or_in_a_language_it_does_not_know_the_reading_is_plain(monkeypatch, question):
    def unknown() -> None:
        assert question == RESOLE, "the judge was loaded for a language it does not know"

    monkeypatch.setattr(reader, "load_judge", unknown)
    read, plain = Reader(Bilingual(), lambda term: 1.0), calibration("bilingual")["plain"]
    found, asked = read.read(question, [SENTENCES]), read.analyse(question)
    units = read.units(asked, [SENTENCES])
    rows = read.unit_features(asked, units)
    scores = reader.unit_scores(rows, units, plain)
    features = read.support_features(asked, units, rows, scores)
    assert found.features is None
    assert found.scores == tuple(sorted(scores.tolist(), reverse=True))
    assert found.support == reader.logistic(features[None, :], plain["support"])[0]
    assert not read.doubts(found)


@pytest.mark.parametrize(
    ("text", "read"), [("换底六十元。我们喜欢树。", "换底多少钱？"), ("換底六十元。我們喜歡樹。", "換底多少錢？")]
)
def test_a_traditional_question_is_read_in_the_script_of_the_passages(monkeypatch, text, read):
    asked: list[str] = []
    monkeypatch.setattr(reader, "load_judge", lambda: SimpleNamespace(scores=lambda question, sentences: (
        asked.append(question) or np.zeros(len(sentences), np.float32))))  # fmt: skip
    Reader(Bilingual(), lambda term: 1.0).read("換底多少錢？", [hit(text)])
    assert asked == [read]


def test_an_embedder_that_the_judge_was_not_fitted_for_is_read_without_it(monkeypatch, hashing):
    monkeypatch.setattr(reader, "load_judge", lambda: pytest.fail("not wanted"))
    assert hashing.read(RESOLE, [SENTENCES]).features is None


def test_the_judge_reads_the_best_units_only_and_no_other_stands_before_one_it_likes(monkeypatch):
    read: list[str] = []

    def scores(question: str, sentences: list[tuple[str, str]]) -> Array:
        read.extend(text for _, text in sentences)
        return np.linspace(-30.0, 30.0, len(sentences), dtype=np.float32)

    lines = hit(" ".join(["Boots can be resoled for 60 EUR."] * 3 + ["We like trees."] * 15))
    hits = [lines, *(hit("We like trees.", f"p{number}") for number in range(5))]
    question, read_by = "How much does it cost to resole boots?", Reader(Bilingual(), lambda term: 1.0)
    monkeypatch.setattr(reader, "load_judge", lambda: SimpleNamespace(scores=scores))
    reading = read_by.read(question, hits)
    assert read[:3] == ["Boots can be resoled for 60 EUR."] * 3
    assert len(read) == reader.JUDGED_UNITS < len(reading.units) == 23
    assert list(reading.scores) == sorted(reading.scores, reverse=True)
    assert reading.units[0].span.text == read[-1]


def test_the_judge_reads_first_what_is_best_without_it():
    scores = np.random.default_rng(0).random(30).astype(np.float32)
    assert scores[reader.judged_first(scores)].tolist() == sorted(scores, reverse=True)[: reader.JUDGED_UNITS]
    assert reader.judged_first(scores[:2]).tolist() == np.argsort(-scores[:2]).tolist()


def test_a_verdict_is_one_feature_more_and_what_was_not_judged_is_no_better():
    part = {"weights": [1.0, 0.0, 2.0], "bias": -1.0}
    units = split_units(SENTENCES.passage, 0)
    rows, scores = np.array([[0, 5], [1, 5], [2, 5]], np.float32), np.array([0.9, 0.8, 0.1], np.float32)
    verdicts, best = np.array([-1.0, 3.0], np.float32), np.array([0, 1])
    found = reader.judged_scores(rows, units, scores, best, verdicts, {"unit": part, "field": part})
    assert found == pytest.approx([1 / (1 + np.exp(3)), 1 / (1 + np.exp(-6)), 1 / (1 + np.exp(3))])
    scores[2] = 0.01
    assert reader.judged_scores(rows, units, scores, best, verdicts, {"unit": part, "field": part})[2] == scores[2]


def test_the_judges_features_are_the_highest_the_mean_of_three_and_that_of_the_best_unit():
    verdicts, scores = np.array([-1.0, 3.0, 0.0, -9.0], np.float32), np.array([0.1, 0.2, 0.3, 0.9], np.float32)
    assert reader.judge_features(verdicts, scores) == pytest.approx([3.0, 2 / 3, -9.0])
    assert reader.judge_features(verdicts[:2], scores[1::-1]).tolist() == [3.0, 1.0, -1.0]  # of few, of what there is


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


@pytest.mark.parametrize(
    ("question", "unknown", "rare"),
    [
        ("zebra crossing?", 1.0, 0.0),
        ("zebra returns?", 0.5, 0.0),
        ("退货运费谁付？", 0.0, 0.0),  # that English documents lack Chinese words tells nothing
        ("Do you?", 0.0, 0.0),  # nothing is asked that could stand there
    ],
)
def test_an_unknown_word_counts_in_the_documents_own_language_and_no_word_counts_as_none(question, unknown, rare):
    known = set(reader.language.content_words("Returns are free"))
    read = Reader(HashingEmbedder(), lambda term: 1.0 if term in known else 9.0)
    asked, found = read.analyse(question), [hit("Returns are free within 30 days.")]
    units = read.units(asked, found)
    rows = read.unit_features(asked, units)
    features = read.support_features(asked, units, rows, np.full(len(units), 0.5, np.float32))
    said = dict(zip(reader.SUPPORT_FEATURES, features, strict=True))
    assert (said["unknown"], said["rare"]) == pytest.approx((unknown, rare))
