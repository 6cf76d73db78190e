"""Adapters on disk: versions, cards, damage."""

import json
import math
import shutil
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from shelves import CARD, put, write

from assistant.adapters import SHIPPED, Shelf, card_from, card_to, read_card
from assistant.errors import AdapterRefused, BadInput, UnknownName
from assistant.types import Measure, Report
from assistant.vetting import verify
from privacy.types import PrivacySpend

FULL = replace(
    CARD,
    labels=("a", "b"),
    before=Report("golden", (Measure("facts", 0.5, 0.4, 0.6, 9),), {"seed": 1}),
    after=Report("golden", (Measure("facts", 0.7),)),
    privacy=(PrivacySpend.nonprivate("data.jsonl"), PrivacySpend("dpsgd", 1.1, 0.1, 20, 1.0, "customer", "d")),
    notes=("promoted by force",),
)


def test_a_card_says_the_same_after_a_way_through_json():
    data = json.loads(json.dumps(card_to(FULL), allow_nan=False))
    assert card_from(data, path=Path("")) == replace(FULL, path=".")
    assert math.isinf(card_from(data, path=Path("")).privacy[0].clip_norm)


def test_versions_count_up_and_the_newest_is_meant_without_one(tmp_path):
    assert [put(tmp_path).version for _ in range(3)] == [1, 2, 3]
    shelf = Shelf(tmp_path)
    assert shelf.find("support").id == "support@3"
    assert shelf.find("support@1").id == "support@1"
    assert [adapter.id for adapter in shelf.all()] == ["support@1", "support@2", "support@3"]


def test_an_unknown_adapter_is_named_with_the_nearest(tmp_path):
    put(tmp_path)
    for wanted in ("suport", "support@2", "support@x", "../support", ""):
        with pytest.raises(UnknownName):
            Shelf(tmp_path).find(wanted)
    with pytest.raises(UnknownName, match="support"):
        Shelf(tmp_path).find("suport")


@pytest.mark.parametrize("name", ["", "Support", "a/b", "..", ".hidden", "x" * 64])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path, name):
    with pytest.raises(BadInput):
        Shelf(tmp_path).save(replace(CARD, name=name), write)
    assert not any(tmp_path.rglob("*.json"))


def test_what_breaks_while_it_is_written_leaves_nothing(tmp_path):
    def breaks(folder):
        write(folder)
        raise OSError("disk full")

    put(tmp_path)
    with pytest.raises(OSError, match="disk full"):
        Shelf(tmp_path).save(CARD, breaks)
    assert [adapter.version for adapter in Shelf(tmp_path).all()] == [1]
    assert not list((tmp_path / "adapters" / "support").glob(".*.part"))


def _put(data_dir):
    put(Path(data_dir))


def test_two_processes_never_get_the_same_version(tmp_path):
    context = get_context("spawn")
    workers = [context.Process(target=_put, args=(str(tmp_path),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [adapter.version for adapter in Shelf(tmp_path).all()] == [1, 2, 3]


@pytest.mark.parametrize("gone", ["support/3", "support"])
def test_a_version_is_never_given_twice(tmp_path, gone):
    for _ in range(3):
        put(tmp_path)
    shutil.rmtree(tmp_path / "adapters" / gone)
    assert put(tmp_path).version == 4


def test_a_name_that_is_taken_is_refused_and_its_cards_can_be_read(tmp_path):
    for name, task in (("built-in", "chat"), ("chat", "classify"), ("chat", "tag")):
        with pytest.raises(BadInput, match=name):
            Shelf(tmp_path).save(replace(CARD, name=name, task=task), write)
    assert read_card(SHIPPED).name == "built-in"
    card = Shelf(tmp_path).amend(put(tmp_path, name="chat"), task="classify")  # of an earlier version
    assert Shelf(tmp_path).find("chat") == card


def test_a_card_that_was_changed_is_not_believed_and_the_others_are(tmp_path):
    put(tmp_path)
    second = put(tmp_path)
    card = Path(second.path) / "card.json"
    card.write_text(card.read_text().replace('"examples": 0', '"examples": 9'))
    with pytest.raises(AdapterRefused, match="seal"):
        read_card(Path(second.path))
    shelf = Shelf(tmp_path)
    assert [adapter.version for adapter in shelf.all()] == [1]
    assert len(shelf.broken()) == 1


def test_what_is_learned_later_goes_on_the_card_and_stays_whole(tmp_path):
    adapter = put(tmp_path)
    changed = Shelf(tmp_path).amend(adapter, after=FULL.after, notes=("forced",))
    assert Shelf(tmp_path).find("support") == changed
    assert changed.sha256 == adapter.sha256


def test_of_two_that_write_on_a_card_neither_is_lost(tmp_path):
    put(tmp_path)
    shelf = Shelf(tmp_path)
    one, other, third = (shelf.find("support") for _ in range(3))
    shelf.amend(one, notes=("withdrawn",))
    shelf.amend(other, after=FULL.after)
    shelf.amend(third, notes=lambda notes: (*notes, "forced"))
    card = shelf.find("support")
    assert (card.after, card.notes) == (FULL.after, ("withdrawn", "forced"))


def test_a_process_that_dies_while_it_writes_a_card_spoils_nothing(tmp_path, monkeypatch):
    def dies(*_):
        raise MemoryError

    adapter = put(tmp_path)
    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(MemoryError):
        Shelf(tmp_path).amend(adapter, notes=("half",))
    assert verify(Path(adapter.path)) == adapter
