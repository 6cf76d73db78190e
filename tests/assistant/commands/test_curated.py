"""`curated` on the command line: what is approved is listed and asked, what is wrong is said with exit code 2."""

import json

import pytest

from assistant.commands import run
from assistant.curated import suggest
from assistant.store import Store
from assistant.types import CollectionInfo


@pytest.fixture
def folder(tmp_path):
    store = Store.open(tmp_path)
    store.save_collection(CollectionInfo("default", "shop", ("en",), "hashing", 0.5))
    store.close()
    return tmp_path


def confide(folder, *words):
    return run(["--data-dir", str(folder), "curated", *words])


def test_answers_are_approved_listed_and_removed(folder, capsys):
    assert (
        confide(folder, "add", "Kayaks?", "Do you rent kayaks?", "--answer", "From May on.", "--until", "2099-12-31")
        == 0
    )
    store = Store.open(folder)
    suggestion = suggest(store, "default", "shop", "Dogs?", "", "mined", asked=4)
    store.close()
    assert confide(folder, "approve", suggestion, "--answer", "On a lead.") == 0
    capsys.readouterr()
    assert confide(folder, "list", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {tuple(one["questions"]) for one in told["approved"]} == {("Kayaks?", "Do you rent kayaks?"), ("Dogs?",)}
    assert told["waiting"] == []
    (kayaks,) = (one for one in told["approved"] if len(one["questions"]) == 2)
    assert (kayaks["live"], kayaks["expires"]) == (True, "2100-01-01T00:00:00")
    assert confide(folder, "remove", kayaks["id"]) == 0
    assert confide(folder, "list") == 0
    assert "Kayaks?" not in capsys.readouterr().out


def test_an_answer_is_given_until_the_end_of_its_last_day_where_the_desk_is(folder, capsys, monkeypatch):
    monkeypatch.setenv("CONFIDE_DESK__HOURS", "Mon-Fri 09:00-17:00 America/Los_Angeles")
    assert confide(folder, "add", "Kayaks?", "--answer", "From May on.", "--until", "2099-12-31") == 0
    capsys.readouterr()
    assert confide(folder, "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["approved"][0]["expires"] == "2100-01-01T08:00:00"
    assert confide(folder, "add", "Dogs?", "--answer", "On a lead.", "--until", "9999-12-31") == 2
    assert "--until" in capsys.readouterr().err


def test_the_shops_own_order_numbers_are_not_shown_to_everybody(folder, capsys, monkeypatch):
    monkeypatch.setenv("CONFIDE_PRIVACY__ORDER_FORMATS", '["KF-####-@@"]')
    store = Store.open(folder)
    suggestion = suggest(store, "default", "shop", "Parcel?", "KF-1001-XY is on its way.", "desk")
    store.close()
    for words in (("add", "Parcel?", "--answer", "KF-1001-XY is on its way."), ("approve", suggestion)):
        assert confide(folder, *words) == 2
        assert "KF-1001-XY" in capsys.readouterr().err


def test_what_cannot_be_approved_is_said(folder, capsys):
    assert confide(folder, "add", "Mail?", "--answer", "Write to max@web.de.") == 2
    assert "max@web.de" in capsys.readouterr().err
    assert confide(folder, "approve", "nothing") == 2
    assert confide(folder, "remove", "nothing") == 2
