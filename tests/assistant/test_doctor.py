import dataclasses
import json
import socket

import pytest

from assistant import doctor
from assistant.commands import run
from assistant.engines import choice
from assistant.engines.choice import Choice, Trial
from assistant.errors import IndexUnavailable, SettingsError
from assistant.retrieval import e5
from assistant.settings import Settings


def settings(tmp_path, **more):
    return Settings(data_dir=tmp_path / "data", **{"model": {"engine": "echo"}, **more})


def checks(one):
    return {check.name: check for check in doctor.examine(lambda: one)}


def test_a_sound_installation_has_nothing_broken(tmp_path):
    found = checks(settings(tmp_path))
    assert [check for check in found.values() if check.state == "broken"] == []
    assert {
        "python",
        "packages",
        "settings",
        "data folder",
        "disk",
        "memory",
        "gpu",
        "model",
        "engine",
        "embedders",
        "judge",
        "collections",
        "vectors",
        "erasures",
        "port",
        "browser",
    } == set(found)


def test_a_doctor_changes_nothing(tmp_path):
    checks(settings(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_wrong_settings_are_the_finding_and_the_end():
    def load():
        raise SettingsError("Settings are wrong: server.port.", hint="Mend it.")

    found = list(doctor.examine(load))
    assert (found[-1].name, found[-1].state, found[-1].hint) == ("settings", "broken", "Mend it.")


def test_a_model_that_is_not_prepared_is_broken_and_says_the_command(tmp_path):
    model = checks(settings(tmp_path, model={"engine": "hf"}))["model"]
    assert model.state == "broken"
    assert "models prepare" in model.hint


def test_the_engine_is_shown_with_what_was_measured_and_how_to_measure(tmp_path):
    auto = settings(tmp_path, model={"engine": "auto"})
    assert "--measure" in checks(auto)["engine"].hint
    trials = (Trial("hf", 1.0, 3.0, 900.0), Trial("openvino", failed="exit code -4: it said nothing"))
    made = Choice("hf", trials, "2026-01-01T00:00:00+00:00", choice._about(auto))
    auto.data_dir.mkdir()
    (auto.data_dir / "engine.json").write_text(json.dumps(dataclasses.asdict(made)))
    assert checks(auto)["engine"].found == (
        "hf, measured 2026-01-01: hf 3 s an answer, 900 MB; openvino exit code -4: it said nothing"
    )
    assert checks(settings(tmp_path))["engine"].found == "echo, by the settings"


def test_a_missing_package_is_broken_and_another_version_is_a_note(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_pins", lambda file: {"no-such-package": "1.0"})
    assert checks(settings(tmp_path))["packages"].state == "broken"
    monkeypatch.setattr(doctor, "_pins", lambda file: {"numpy": "0.1"})
    assert checks(settings(tmp_path))["packages"].state == "note"


def test_a_build_of_the_pinned_version_is_the_pinned_version(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "2.0+cpu")
    monkeypatch.setattr(doctor, "_pins", lambda file: {"torch": "2.0"})
    assert checks(settings(tmp_path))["packages"].state == "ok"


def test_a_folder_that_cannot_be_made_is_broken(tmp_path):
    (tmp_path / "file").write_text("x")
    assert (
        checks(Settings(data_dir=tmp_path / "file" / "data", model={"engine": "echo"}))["data folder"].state == "broken"
    )


@pytest.mark.filterwarnings("ignore:Api key is used:UserWarning")
def test_a_vector_server_that_is_away_is_broken_and_its_key_is_not_shown(tmp_path):
    pytest.importorskip("qdrant_client")
    one = settings(tmp_path, retrieval={"index_url": "http://:secret@127.0.0.1:9"})
    with pytest.raises(IndexUnavailable, match=r"http://127\.0\.0\.1:9 cannot be reached") as caught:
        doctor._vectors(one)
    assert "secret" not in str(caught.value)
    assert doctor._vectors(settings(tmp_path)).state == "ok"


def test_a_taken_port_is_told(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert checks(settings(tmp_path, server={"port": port}))["port"].state == "note"


def test_a_port_is_probed_as_the_server_takes_it(tmp_path, monkeypatch):
    asked = []

    class Probe(socket.socket):
        def setsockopt(self, *option):
            asked.append(option[1])
            super().setsockopt(*option)

    monkeypatch.setattr(doctor.socket, "socket", Probe)
    for system in ("linux", "win32"):  # there it would take a port that another has
        monkeypatch.setattr(doctor.sys, "platform", system)
        doctor._port(settings(tmp_path))
    assert asked == [socket.SO_REUSEADDR]


def test_a_check_that_dies_is_a_finding(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: 1 / 0)
    assert checks(settings(tmp_path))["disk"].state == "broken"


def test_the_settings_table_shows_values_and_no_secret(tmp_path):
    rows = {
        name: value for name, value, _ in doctor.settings_table(settings(tmp_path, remote={"api_key": "very-secret"}))
    }
    assert rows["remote.api_key"] == "(set)"
    assert rows["server.admin_password"] == "(not set)"
    assert rows["server.port"] == "7860"


@pytest.mark.parametrize(("engine", "code"), [("echo", 0), ("hf", 1)])
def test_the_exit_code_says_whether_something_is_broken(tmp_path, monkeypatch, capsys, engine, code):
    (tmp_path / "confide.toml").write_text(f'data_dir = "{tmp_path.as_posix()}/data"\n[model]\nengine = "{engine}"\n')
    monkeypatch.setenv("CONFIDE_SETTINGS", str(tmp_path / "confide.toml"))
    assert run(["doctor"]) == code
    assert ("BROKEN" in capsys.readouterr().out) is bool(code)
    assert run(["doctor", "--settings"]) == 0
    assert "server.port" in capsys.readouterr().out


def test_the_judge_is_missed_damaged_or_there(tmp_path, monkeypatch):
    wheel = tmp_path / e5.FILE
    monkeypatch.setattr(e5, "installed", lambda: wheel if wheel.exists() else None)
    missing = checks(settings(tmp_path))["judge"]
    assert (missing.state, "pip install" in missing.hint) == ("note", True)
    wheel.write_bytes(e5.MAGIC)
    assert checks(settings(tmp_path))["judge"].state == "broken"


def test_a_package_that_is_not_for_every_machine_is_not_missed(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("a==1.0\nb[c]==2.0 --hash=sha256:0\nd==3.10 ; sys_platform == 'linux' --hash=sha256:0\n", "utf-8")
    assert doctor._pins(file) == {"a": "1.0", "b": "2.0"}
