"""An index on disk is whole or not there, and says what it was made of."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.errors import IndexMismatch
from assistant.retrieval import index as indexes
from assistant.retrieval.embedders import HashingEmbedder, Vectors
from assistant.retrieval.index import Index, Recipe
from assistant.types import Passage

RECIPE = Recipe("acme", "shop", 700, 0.2)
TEXTS = ["Returns are free. Send it back within 30 days.", "Shipping to Norway takes 5 days.", "退货期限为30天。"]


class Counting(HashingEmbedder):
    """Notes what it embeds."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.seen += texts
        return super().encode(texts)


def passage(name: str, text: str, *headings: str) -> Passage:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Passage(name, "d", "d.md", "acme", "shop", text, 0, len(text), digest, headings=headings)


def built(
    root: Path, texts: Sequence[str] = TEXTS, embedder: HashingEmbedder | None = None, old: Index | None = None
) -> Index:
    passages = [passage(f"p{number}", text) for number, text in enumerate(texts)]
    embedder = embedder or HashingEmbedder()
    return indexes.build(root, RECIPE, passages=passages, embedder=embedder, old=old, progress=lambda done, total: None)


def best(index: Index, question: str) -> str:
    vector, words = HashingEmbedder().encode([question])[0], indexes.terms(question)
    rows = index.candidates(vector, words, 50)
    scores = index.dense(vector, rows) + index.bm25(words, rows)
    return index.passage_ids[rows[int(np.argmax(scores))]]


def test_a_loaded_index_is_the_one_that_was_built(tmp_path: Path) -> None:
    made, loaded = built(tmp_path), indexes.load(tmp_path)
    assert loaded.manifest == made.manifest
    assert loaded.version == made.version
    for question, expected in [("free returns", "p0"), ("norway shipping", "p1"), ("退货", "p2")]:
        assert best(made, question) == best(loaded, question) == expected


def test_the_manifest_covers_every_file(tmp_path: Path) -> None:
    made = built(tmp_path)
    folder = tmp_path / made.version
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert on_disk == {*made.manifest.files, "manifest.json"}


def test_any_changed_missing_or_swapped_file_is_noticed(tmp_path: Path) -> None:
    made = built(tmp_path)
    folder = tmp_path / made.version
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        for damage in (whole[: len(whole) // 2], whole[:-1] + bytes([whole[-1] ^ 1]), b"", None):
            path.unlink() if damage is None else path.write_bytes(damage)
            with pytest.raises(IndexMismatch):
                indexes.load(tmp_path)
            path.write_bytes(whole)
    assert indexes.load(tmp_path).manifest == made.manifest


def test_nothing_is_parsed_before_it_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = built(tmp_path)
    (tmp_path / made.version / "vectors.faiss").write_bytes(b"hostile")
    monkeypatch.setattr(indexes, "_read", lambda *_: pytest.fail("parsed an unverified file"))
    with pytest.raises(IndexMismatch, match="damaged"):
        indexes.load(tmp_path)


@pytest.mark.parametrize("pointer", ["", "../../etc", "v0-0", "\x00", "é"])
def test_a_bad_pointer_is_no_index(tmp_path: Path, pointer: str) -> None:
    built(tmp_path)
    (tmp_path / "current").write_text(pointer, encoding="utf-8")
    with pytest.raises(IndexMismatch):
        indexes.load(tmp_path)


def test_no_file_needs_unpickling(tmp_path: Path) -> None:
    made = built(tmp_path)
    for path in (tmp_path / made.version).rglob("*.npy"):
        np.load(path, allow_pickle=False)


@pytest.mark.parametrize("step", ["manifest", "rename", "pointer"])
def test_a_crash_while_writing_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    made = built(tmp_path)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        target = {"manifest": (indexes.Manifest, "to_json"), "rename": (Path, "rename"), "pointer": (Path, "replace")}
        patch.setattr(*target[step], crash)
        with pytest.raises(KeyboardInterrupt):
            built(tmp_path, ["Something else."])
    assert indexes.load(tmp_path).manifest == made.manifest
    built(tmp_path, ["Something else."])
    assert best(indexes.load(tmp_path), "something") == "p0"


def test_only_the_version_in_force_stays_on_disk(tmp_path: Path) -> None:
    old = built(tmp_path)
    new = built(tmp_path, TEXTS[:1], old=old)
    assert {path.name for path in tmp_path.iterdir()} == {"current", new.version}
    assert best(old, "norway") == "p1", "a reader keeps what it holds"


def test_what_a_killed_writer_left_is_swept_away_by_a_later_one_and_what_is_new_is_not(tmp_path: Path) -> None:
    old = built(tmp_path)
    for name in ("tmp-0123456789ab", "tmp-ba9876543210", "v01234567-0123456789ab"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vectors.faiss").write_bytes(b"half")
    (tmp_path / "current-01234567").write_text(old.version, encoding="ascii")
    for path in [path for path in tmp_path.iterdir() if path.name != "tmp-ba9876543210"]:
        os.utime(path, (0, 0))
    assert indexes.load(tmp_path).version == old.version
    new = built(tmp_path, TEXTS[:1], old=old)
    assert {path.name for path in tmp_path.iterdir()} == {"current", new.version, "tmp-ba9876543210"}


def test_a_text_seen_before_is_not_embedded_again(tmp_path: Path) -> None:
    embedder = Counting()
    old = built(tmp_path, embedder=embedder)
    embedder.seen.clear()
    new = built(tmp_path, [TEXTS[2], TEXTS[0], "Gift cards never expire."], embedder=embedder, old=old)
    assert embedder.seen == ["Gift cards never expire."]
    assert best(new, "free returns") == "p1"
    assert best(new, "gift") == "p2"


def test_another_embedder_reuses_nothing(tmp_path: Path) -> None:
    old = built(tmp_path)
    other = Counting()
    other.id = "other@1"  # type: ignore[misc]
    built(tmp_path, embedder=other, old=old)
    assert set(TEXTS) <= set(other.seen)


def test_equal_sentences_share_a_vector_and_find_every_owner(tmp_path: Path) -> None:
    index = built(tmp_path, ["Same words here. First end.", "Same words here. Second end."])
    assert index.manifest.units == 5
    rows = index.candidates(HashingEmbedder().encode(["Same words here."])[0], [], 1)
    assert rows.tolist() == [0, 1]


@pytest.mark.parametrize("texts", [[], [""], ["...", "—"]])
def test_a_collection_without_words_is_an_index_too(tmp_path: Path, texts: list[str]) -> None:
    built(tmp_path, texts)
    index = indexes.load(tmp_path)
    rows = index.candidates(HashingEmbedder().encode(["word"])[0], ["word"], 10)
    assert index.bm25(["word"], rows).tolist() == [0.0] * len(rows)
    assert len(index.dense(HashingEmbedder().encode(["word"])[0], rows)) == len(rows)


def test_the_vectors_of_its_units_are_known_and_of_nothing_else(tmp_path: Path) -> None:
    index, asked = built(tmp_path), ["Send it back within 30 days.", "Never heard.", TEXTS[1], ""]
    known = index.known(asked)
    assert list(known) == [asked[0], asked[2]]
    assert np.allclose(np.stack(list(known.values())), HashingEmbedder().encode(list(known)))
    assert index.known([]) == built(tmp_path / "none", []).known(asked) == {}


def test_the_heading_path_is_searched_too(tmp_path: Path) -> None:
    passages = [passage("p0", "Within 30 days.", "Tents", "Returns"), passage("p1", "Within 30 days.", "Boats")]
    index = indexes.build(
        tmp_path, RECIPE, passages=passages, embedder=HashingEmbedder(), old=None, progress=lambda done, total: None
    )
    assert best(index, "boats") == "p1"
    assert best(index, "tents") == "p0"


def test_bm25_is_a_share_of_the_most_it_could_be(tmp_path: Path) -> None:
    index = built(tmp_path)
    rows = np.arange(3)
    known = index.bm25(["return"], rows)
    diluted = index.bm25(["return", "zebra"], rows)
    assert np.all((known >= 0) & (known <= 1))
    assert 0 < diluted[0] < known[0] / 2
    assert known[1] == known[2] == 0


def test_a_rarer_term_weighs_more(tmp_path: Path) -> None:
    index = built(tmp_path, ["tent blue", "tent red", "tent green"])
    assert index.idf("tent") < index.idf("red") < index.idf("zebra")


def test_the_content_digest_follows_order_text_and_headings() -> None:
    one, two = passage("a", "x"), passage("b", "y")
    digests = {
        indexes.content_digest(group)
        for group in ([one, two], [two, one], [one], [dataclasses.replace(one, headings=("h",)), two], [])
    }
    assert len(digests) == 5


def test_the_parts_of_hyphened_words_are_terms_too() -> None:
    assert indexes.terms("left-handed scissors") == ["left-hand", "left", "hand", "scissor"]


def test_the_forms_of_a_word_are_one_term() -> None:
    for forms in ("return returns returned returning", "glass glasses", "address addresses", "退货"):
        assert len(set(indexes.terms(forms))) == 1


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), max_size=30), st.integers(1, 10))
def test_the_best_are_the_highest_and_of_equals_the_first(scores: list[float], count: int) -> None:
    best = sorted(int(row) for row in indexes._top(np.array(scores, dtype=np.float32), count))
    assert best == sorted(sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:count])
