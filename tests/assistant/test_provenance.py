import json

from assistant.provenance import git_hash, machine, provenance, versions
from assistant.settings import Settings


def test_provenance_is_json_without_secrets_or_folders(tmp_path):
    (tmp_path / "f.txt").write_text("x")
    settings = Settings(
        data_dir=tmp_path / "private-folder", remote={"api_key": "very-secret", "url": "http://127.0.0.1:1/v1"}
    )
    shown = json.dumps(provenance(settings, seed=7, files=[tmp_path / "f.txt"], adapter="a"))
    assert "very-secret" not in shown
    assert str(tmp_path) not in shown
    assert json.loads(shown)["seed"] == 7
    assert json.loads(shown)["adapter"] == "a"
    assert len(json.loads(shown)["files"]["f.txt"]) == 64


def test_the_versions_that_matter_are_named():
    assert {"python", "torch", "transformers", "numpy"} <= set(versions())


def test_the_machine_is_described_but_not_named():
    import socket

    facts = machine()
    assert facts["cores"] >= 1
    assert socket.gethostname() not in map(str, facts.values())


def test_outside_a_clone_there_is_no_hash(monkeypatch, tmp_path):
    monkeypatch.setattr("assistant.provenance._ROOT", tmp_path)
    assert git_hash() == ""
