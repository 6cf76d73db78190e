"""The part that does not work is named; the others are not blamed."""

import shutil

import pytest
from stand_in import StandIn, furnish

from assistant import health
from assistant.errors import IndexUnavailable
from assistant.health import Health
from assistant.settings import load_settings


@pytest.fixture
def assistant(tmp_path):
    made = StandIn(load_settings(data_dir=tmp_path))
    furnish(made)
    yield made
    made.close()


def wrong(assistant):
    return {part.name: part.wrong for part in Health(assistant).parts() if part.wrong}


def test_all_is_well(assistant):
    assert wrong(assistant) == {}


def test_a_lost_database_is_the_store_and_what_needs_it(assistant):
    assistant.store.close()
    for path in assistant.settings.data_dir.glob("confide.db*"):
        path.unlink()
    assert set(wrong(assistant)) == {"store", "index"}


def test_a_lost_index_is_named_with_its_collection(assistant, monkeypatch):
    monkeypatch.setattr(type(assistant.searcher), "is_sound", lambda *_: False)
    assert list(wrong(assistant)) == ["index"]
    assert "shop" in wrong(assistant)["index"]


def test_a_vector_server_that_is_away_is_the_index(assistant, monkeypatch):
    def away(*_):
        raise IndexUnavailable("The vector server at http://vectors:6333 cannot be reached.")

    monkeypatch.setattr(type(assistant.searcher), "is_sound", away)
    assert wrong(assistant) == {"index": "The vector server at http://vectors:6333 cannot be reached."}


def test_a_model_that_is_not_there_and_a_remote_one_that_nobody_listens_for(assistant):
    assistant.is_loaded = False
    update = {"model": assistant.settings.model.model_copy(update={"name": "no-such-model"})}
    assistant.settings = assistant.settings.model_copy(update=update)
    assert list(wrong(assistant)) == ["model"]
    remote = assistant.settings.remote.model_copy(update={"url": "http://127.0.0.1:9/v1"})
    assistant.settings = assistant.settings.model_copy(update={"remote": remote})
    assert list(wrong(assistant)) == ["model"]


def test_a_full_disk_and_a_folder_that_takes_no_file(assistant, monkeypatch):
    full = shutil.disk_usage(assistant.settings.data_dir)._replace(free=10**6)
    monkeypatch.setattr(health.shutil, "disk_usage", lambda folder: full)
    assert list(wrong(assistant)) == ["disk"]


def test_a_finding_is_kept_for_a_moment(assistant):
    found = Health(assistant)
    assert found.parts() is found.parts()
