import pydantic
import pytest

from assistant.errors import SettingsError
from assistant.settings import Settings, describe, load_settings


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No settings file and no environment of the machine."""
    monkeypatch.chdir(tmp_path)
    for name in ("CONFIDE_SETTINGS", "CONFIDE_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_flags_beat_the_environment_beats_the_file_beats_the_default(alone, monkeypatch):
    assert load_settings().server.port == 7860
    (alone / "confide.toml").write_text("[server]\nport = 1000\nconcurrency = 7\n")
    assert load_settings().server.port == 1000
    monkeypatch.setenv("CONFIDE_SERVER__PORT", "2000")
    assert load_settings().server.port == 2000
    settings = load_settings(server={"port": 3000})
    assert (settings.server.port, settings.server.concurrency) == (3000, 7)


def test_every_wrong_value_is_named_at_once(alone):
    (alone / "confide.toml").write_text('[server]\nport = "many"\n[model]\ntemperature = 9\nnmae = "x"\n')
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert all(name in caught.value.message for name in ("server.port", "model.temperature", "model.nmae"))


def test_an_unknown_variable_of_ours_is_refused(monkeypatch):
    monkeypatch.setenv("CONFIDE_SERVER__PROT", "1")
    with pytest.raises(SettingsError, match="CONFIDE_SERVER__PROT"):
        load_settings()


def test_a_file_that_is_not_toml_is_refused(alone):
    (alone / "confide.toml").write_text("port: 1\n")
    with pytest.raises(SettingsError, match="is not TOML"):
        load_settings()


def test_a_named_file_must_exist(alone, monkeypatch):
    monkeypatch.setenv("CONFIDE_SETTINGS", str(alone / "none.toml"))
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load_settings()


def test_settings_do_not_change():
    with pytest.raises(pydantic.ValidationError):
        load_settings().language = "zh"


def test_secrets_are_not_shown():
    settings = Settings(remote={"api_key": "very-secret"}, server={"admin_password": "very-secret"})
    assert "very-secret" not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "x" * 64])
def test_a_tenant_or_collection_is_a_plain_name(name):
    with pytest.raises(SettingsError):
        load_settings(tenant=name)
    with pytest.raises(SettingsError):
        load_settings(collection=name)


def test_the_description_has_every_setting_once():
    names = [name for name, _, _ in describe()]
    assert len(names) == len(set(names))
    assert {"data_dir", "model.name", "server.port", "retrieval.top_k"} <= set(names)
