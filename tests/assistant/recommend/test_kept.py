"""What was fitted comes back the same from disk, without names or objects, and what is damaged counts as nothing kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from wares import ITEMS, events

from assistant.goods import Item
from assistant.recommend import candidates, kept, recommender
from assistant.recommend.recommender import Ask, fit
from assistant.recommend.table import Table

TABLE = Table(ITEMS)
VECTORS = np.eye(9, dtype=np.float32)
EVERYTHING = np.ones(9, dtype=np.bool_)


@pytest.mark.parametrize("log", [events(), []], ids=["a log", "no log"])
@pytest.mark.parametrize("vectors", [VECTORS, None], ids=["vectors", "no vectors"])
def test_a_kept_model_ranks_as_the_fitted_one(log: list[object], vectors: object, tmp_path: Path):
    model = fit(TABLE, log, vectors)  # type: ignore[arg-type]
    assert kept.save(model, tmp_path / "shop", "key")
    again = kept.load(TABLE, vectors, tmp_path / "shop", "key")
    assert again is not None
    assert (again.fitted_on, again.liked_from) == (len(log), model.liked_from)
    asks = [Ask([], EVERYTHING), Ask(events()[:3], EVERYTHING, words="blue jacket"), Ask([], EVERYTHING, seeds=[2])]
    for ask in asks:
        assert again.rank(ask) == model.rank(ask)
    assert again.together([0, 3], [6]).tolist() == model.together([0, 3], [6]).tolist()


def test_a_large_catalogues_lists_are_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(candidates, "EXACT", 4)
    monkeypatch.setattr(recommender, "SMALL", 4)
    large = Table([*ITEMS, *(Item(f"i{number}", f"Thing {number}") for number in range(91))])
    vectors = np.random.default_rng(0).normal(size=(100, 16)).astype(np.float32)
    ask = Ask(events()[:3], np.ones(100, dtype=np.bool_), words="blue thing", vector=vectors[50])
    model = fit(large, events(), vectors)
    kept.save(model, tmp_path, "key")
    again = kept.load(large, vectors, tmp_path, "key")
    assert again is not None
    assert sorted(model.near) == sorted(again.near) == ["als", "content"]
    for name, near in model.near.items():
        assert np.array_equal(near.centres, again.near[name].centres)
    assert again.rank(ask) == model.rank(ask)


def test_another_key_a_damaged_file_and_a_missing_one_are_nothing_kept(tmp_path: Path):
    kept.save(fit(TABLE, events(), None), tmp_path, "key")
    assert kept.load(TABLE, None, tmp_path, "other") is None
    model = tmp_path / kept.MODEL
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert kept.load(TABLE, None, tmp_path, "key") is None
    model.unlink()
    assert kept.load(TABLE, None, tmp_path, "key") is None
    (tmp_path / kept.MANIFEST).write_text("[]", encoding="utf-8")
    assert kept.load(TABLE, None, tmp_path, "key") is None


def test_no_customers_name_is_on_the_disk(tmp_path: Path):
    log = [one.__class__("somebody@example.org", one.item, one.event, one.at, one.value) for one in events()]
    kept.save(fit(TABLE, log, None), tmp_path, "key")
    assert all(b"somebody" not in path.read_bytes() for path in tmp_path.iterdir())


def test_where_nothing_can_be_written_the_model_is_only_not_kept(tmp_path: Path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert not kept.save(fit(TABLE, events(), None), tmp_path / "file" / "shop", "key")
