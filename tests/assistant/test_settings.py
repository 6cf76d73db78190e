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


@pytest.mark.parametrize("start", [b"\xff\xfe", b"\xef\xbb\xbf"], ids=["UTF-16", "UTF-8 with BOM"])
def test_a_file_in_another_encoding_is_refused_and_says_which_is_wanted(alone, start):
    (alone / "confide.toml").write_bytes(start + b'language = "en"\n')
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "confide.toml" in caught.value.message
    assert "UTF-8 without" in caught.value.hint


@pytest.mark.parametrize("named", [False, True])
def test_a_folder_in_the_files_place_is_refused_not_passed_over(alone, monkeypatch, named):  # Docker makes one
    (alone / "confide.toml").mkdir()
    if named:
        monkeypatch.setenv("CONFIDE_SETTINGS", "confide.toml")
    with pytest.raises(SettingsError, match="is a folder"):
        load_settings()


def test_a_variable_that_should_be_a_list_is_named_with_the_form_it_wants(monkeypatch):
    monkeypatch.setenv("CONFIDE_SERVER__ALLOWED_HOSTS", "help.shop.example")
    monkeypatch.setenv("CONFIDE_PRIVACY__LOCAL_ONLY", '["shop"]')
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "CONFIDE_SERVER__ALLOWED_HOSTS" in caught.value.message
    assert "LOCAL_ONLY" not in caught.value.message
    assert '["' in caught.value.hint
    monkeypatch.setenv("CONFIDE_SERVER__ALLOWED_HOSTS", '["help.shop.example"]')
    assert load_settings().server.allowed_hosts == ("help.shop.example",)


def test_a_data_folder_may_be_said_from_home_and_is_a_folder(alone, monkeypatch):
    monkeypatch.setenv("HOME", str(alone))
    monkeypatch.setenv("USERPROFILE", str(alone))
    assert load_settings(data_dir="~/confide").data_dir == alone / "confide"
    (alone / "file").write_text("x")
    for wrong in ("", str(alone / "file")):
        (alone / "confide.toml").write_text(f"data_dir = '{wrong}'\n")
        with pytest.raises(SettingsError, match=r"data_dir: .* is not a folder"):
            load_settings()


@pytest.mark.parametrize("url", ["garbage", "mysql://user:very-secret@host/name"])
def test_a_store_is_a_database_that_is_known_and_its_password_is_not_shown(url):
    with pytest.raises(SettingsError, match="store_url") as caught:
        load_settings(store_url=url)
    assert "postgresql://" in caught.value.message
    assert "very-secret" not in str(caught.value)


def test_an_empty_host_does_not_listen_everywhere(alone):
    (alone / "confide.toml").write_text('[server]\nhost = ""\n')
    with pytest.raises(SettingsError, match=r"server\.host"):
        load_settings()


def test_days_that_no_calendar_has_are_refused():
    with pytest.raises(SettingsError, match="keep_days"):
        load_settings(privacy={"keep_days": 99_999_999_999})


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
