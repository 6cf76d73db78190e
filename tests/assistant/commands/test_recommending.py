"""recommend, catalog and interactions as a user meets them: exit codes, stdout, stderr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.commands import run

ITEMS = "sku,name,category,price,currency,stock\nB-1,Rain Boot,boots,60,EUR,3\nB-2,Hill Boot,boots,120,EUR,2\nJ-1,Coat,coats,abc,EUR,1\n"
EVENTS = "customer,item,event,at\nann,B-1,buy,2026-01-02\nbob,B-9,buy,2026-01-02\n"


def says(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """(stdout, stderr), after checking the exit code and that it is no traceback."""
    found = run(list(arguments))
    captured = capsys.readouterr()
    assert found == code, captured.err
    assert "Traceback" not in captured.err
    return captured.out, captured.err


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "confide.toml").write_text('[model]\nengine = "echo"\n[retrieval]\nembedder = "hashing"\n')
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "events.csv").write_text(EVENTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONFIDE_SETTINGS", str(tmp_path / "confide.toml"))
    return tmp_path


@pytest.fixture
def stocked(shop: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    out, err = says(capsys, "catalog", "import", "items.csv")
    assert out == "2 added, 0 replaced, 0 unchanged, 0 removed\n"
    assert "line 4: the price 'abc' is not a number" in err
    assert says(capsys, "interactions", "import", "events.csv")[0] == "1 added, 0 known, 1 of unknown items\n"
    return shop


def test_items_are_recommended_at_their_price(stocked: Path, capsys: pytest.CaptureFixture[str]):
    assert "1. Hill Boot: 120 EUR, 2 in stock" in says(capsys, "recommend", "--user", "ann", "--n", "1")[0]
    data = json.loads(says(capsys, "recommend", "--query", "boots under 100", "--json")[0])
    assert [one["item"]["id"] for one in data["recommendations"]] == ["B-1"]
    assert {"field": "price", "test": "<", "values": ["100"]} in data["conditions"]


def test_a_file_without_a_price_says_so_and_one_with_a_price_does_not(shop: Path, capsys: pytest.CaptureFixture[str]):
    assert "is the price" not in says(capsys, "catalog", "import", "items.csv")[1]
    (shop / "items.csv").write_text("sku,name,批发价\nB-1,Rain Boot,60\n", encoding="utf-8")
    assert "No column of items.csv is the price" in says(capsys, "catalog", "import", "items.csv")[1]


def test_a_filter_replaces_the_requests_own(stocked: Path, capsys: pytest.CaptureFixture[str]):
    shown = says(capsys, "recommend", "--query", "boots under 100", "--filter", "price > 100")[0]
    assert "Hill Boot" in shown
    assert "Rain Boot" not in shown
    assert "Did you mean" in says(capsys, "recommend", "--filter", "prise > 100", code=2)[1]


def test_what_is_missing_is_named_with_the_next_command(shop: Path, capsys: pytest.CaptureFixture[str]):
    assert "catalog import" in says(capsys, "recommend", "--user", "ann", code=2)[1]
    assert "catalog import" in says(capsys, "interactions", "import", "events.csv", code=2)[1]
    assert "no-such.csv" in says(capsys, "catalog", "import", "no-such.csv", code=2)[1]


def test_a_bad_file_removes_nothing(stocked: Path, capsys: pytest.CaptureFixture[str]):
    head = ITEMS.split("\n")[0]
    for rows in ("", "B-1,Rain Boot,boots,abc,EUR,3\n", ",Rain Boot,boots,60,EUR,3\n"):
        (stocked / "items.csv").write_text(f"{head}\n{rows}")
        assert "Nothing was changed" in says(capsys, "catalog", "import", "items.csv", "--prune", code=2)[1]
    listed = json.loads(says(capsys, "catalog", "list", "--json")[0])
    assert [one["id"] for one in listed] == ["B-1", "B-2"]


def test_an_item_whose_new_row_is_wrong_keeps_its_old_one(stocked: Path, capsys: pytest.CaptureFixture[str]):
    (stocked / "items.csv").write_text(
        "sku,name,price,status\nB-1,Rain Boot,60-70,\nB-2,Hill Boot,120,draft\nB-3,Cup,5,\n"
    )
    assert says(capsys, "catalog", "import", "items.csv", "--prune")[0].endswith("1 removed\n")
    listed = json.loads(says(capsys, "catalog", "list", "--json")[0])
    assert [(one["id"], one["price"]) for one in listed] == [("B-1", "60 EUR"), ("B-3", "5")]


def test_a_forgotten_customer_is_gone(stocked: Path, capsys: pytest.CaptureFixture[str]):
    assert "Deleted 1 interactions" in says(capsys, "interactions", "forget", "ann")[0]
    assert "Deleted 0 interactions" in says(capsys, "interactions", "forget", "ann")[0]


def test_the_catalogue_is_listed(stocked: Path, capsys: pytest.CaptureFixture[str]):
    assert [one["id"] for one in json.loads(says(capsys, "catalog", "list", "--json")[0])] == ["B-1", "B-2"]


@pytest.mark.parametrize(
    "words", ['{"category": {"boots": "coat"}}', '{"category": {"boots": [["boot"]]}}', "[" * 100_000], ids=str.__len__
)
def test_words_that_are_no_lists_are_refused_and_nothing_is_kept(
    stocked: Path, capsys: pytest.CaptureFixture[str], words: str
):
    (stocked / "words.json").write_text(words)
    assert "field, value, words" in says(capsys, "catalog", "import", "items.csv", "--words", "words.json", code=2)[1]
    found = json.loads(says(capsys, "recommend", "--query", "a tent please", "--json")[0])
    assert "category" not in [one["field"] for one in found["conditions"]]


@pytest.mark.parametrize("name", ["../../escape", "BAD NAME!", "x" * 64])
def test_a_catalogue_has_the_name_of_a_collection(shop: Path, capsys: pytest.CaptureFixture[str], name: str):
    assert "cannot name a collection" in says(capsys, "catalog", "import", "items.csv", "-c", name, code=2)[1]


def test_a_file_that_nests_without_end_is_refused(stocked: Path, capsys: pytest.CaptureFixture[str]):
    (stocked / "deep.json").write_text("[" * 100_000)
    assert "cannot be read" in says(capsys, "catalog", "import", "deep.json", code=2)[1]
    assert "cannot be read" in says(capsys, "interactions", "import", "deep.json", code=2)[1]
