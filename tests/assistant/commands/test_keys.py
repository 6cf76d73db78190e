"""`keys`: the text is printed once and alone on stdout; the list never shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.commands import run
from assistant.keys import Keys, Role
from assistant.store import Store


def test_a_key_is_made_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def confide(*arguments: str) -> str:
        assert run(["--data-dir", str(tmp_path), "keys", *arguments]) == 0
        return capsys.readouterr().out

    text = confide("create", "backend", "--role", "staff", "--per-day", "5").strip()
    store = Store.open(tmp_path)
    assert Keys(store, "default").find(text).role is Role.STAFF  # type: ignore[union-attr]
    listed = confide("list", "--json")
    assert text.split("_", 2)[2] not in listed
    assert [(one["name"], one["role"], one["per_day"]) for one in json.loads(listed)] == [("backend", "staff", 5)]
    confide("revoke", "backend")
    assert Keys(store, "default").find(text) is None
    store.close()


def test_a_key_for_a_collection_that_does_not_exist_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["--data-dir", str(tmp_path), "keys", "create", "x", "--collection", "no"]) == 2
    assert run(["--data-dir", str(tmp_path), "keys", "revoke", "x"]) == 2
    assert "no" in capsys.readouterr().err
