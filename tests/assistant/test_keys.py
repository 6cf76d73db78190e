"""API keys: only their hash is kept, a revoked or foreign one opens nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.errors import BadInput, UnknownName
from assistant.keys import Keys, Role
from assistant.store import Store


@pytest.fixture
def keys(tmp_path: Path):
    store = Store.open(tmp_path)
    yield Keys(store, "default")
    store.close()


def test_a_key_is_found_by_its_text_and_by_nothing_near_it(keys: Keys):
    key, text = keys.create("backend", role=Role.STAFF, collection="shop", per_minute=5, per_day=7)
    assert keys.find(text) == key
    changed = text[:-1] + ("A" if text[-1] != "A" else "B")
    for wrong in ("", "ck_", text[:-1], changed, text + "x", text.replace(key.id, "0" * 12), f" {text}", "ck_\x00"):
        assert keys.find(wrong) is None


def test_the_secret_is_nowhere_in_the_data_folder(keys: Keys, tmp_path: Path):
    secret = keys.create("backend", role=Role.VISITOR)[1].rpartition("_")[2].encode()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_bytes()]


def test_a_revoked_key_opens_nothing_at_once(keys: Keys, tmp_path: Path):
    key, text = keys.create("backend", role=Role.VISITOR)
    other = Store.open(tmp_path)
    assert Keys(other, "default").revoke("backend").revoked is not None
    other.close()
    assert keys.find(text) is None
    assert [one.id for one in keys.all()] == [key.id]
    with pytest.raises(UnknownName):
        keys.revoke(key.id)


def test_two_keys_of_one_name_are_revoked_by_id(keys: Keys):
    first, _ = keys.create("backend", role=Role.VISITOR)
    _, text = keys.create("backend", role=Role.VISITOR)
    with pytest.raises(UnknownName, match="Several"):
        keys.revoke("backend")
    keys.revoke(first.id)
    assert keys.find(text) is not None


def test_another_tenants_key_opens_nothing(tmp_path: Path):
    store = Store.open(tmp_path)
    text = Keys(store, "one").create("backend", role=Role.OWNER)[1]
    assert Keys(store, "two").find(text) is None
    store.close()


def test_every_problem_of_a_key_is_told_at_once(keys: Keys):
    with pytest.raises(BadInput, match=r"name .* minute"):
        keys.create(" ", role=Role.VISITOR, per_minute=0)


def test_each_role_covers_those_before_it():
    assert [[a.covers(b) for b in Role] for a in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
