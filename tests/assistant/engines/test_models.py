from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from assistant.engines import folder, models
from assistant.errors import BadInput, ModelNotReady, SettingsError, UnknownName
from assistant.settings import ModelSettings, Settings


def settings_of(data_dir: Path, name: str = "smollm2-135m") -> Settings:
    return Settings(data_dir=data_dir, model=ModelSettings(name=name))


def put_model(path: Path, *, mark: str = "") -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"max_position_embeddings": 64}))
    (path / "model.safetensors").write_bytes(b"weights")
    if mark:
        folder.write_mark(path / folder.MARK, folder.measure(path, name=mark, source="hub"))
    return path


def test_default_model_is_ready_after_prepare(model_dir: Path):
    path, info = models.resolve(settings_of(model_dir))
    assert path == models.prepare(settings_of(model_dir)) == model_dir / "models" / "smollm2-135m"
    assert (info.name, info.context_tokens, info.languages) == ("smollm2-135m", 8192, ("en",))
    assert info.sha256 == folder.sha256_of(path / "model.safetensors")


def test_second_prepare_reads_no_weights(model_dir: Path, monkeypatch):
    monkeypatch.setattr(folder, "sha256_of", lambda path: pytest.fail(f"hashed {path}"))
    monkeypatch.setattr("assistant.engines.gguf.convert", lambda *_, **__: pytest.fail("converted again"))
    models.prepare(settings_of(model_dir))


def test_default_model_that_was_damaged_is_converted_again(model_dir: Path, tmp_path: Path, monkeypatch):
    path = tmp_path / "models" / "smollm2-135m"
    path.mkdir(parents=True)
    for file in (model_dir / "models" / "smollm2-135m").iterdir():
        shutil.copy(file, path) if file.suffix == ".json" else os.link(file.resolve(), path / file.name)
    (path / "model.safetensors").unlink()
    (path / "model.safetensors").write_bytes(b"half")
    converted = []
    monkeypatch.setattr("assistant.engines.gguf.convert", lambda source, target, **_: converted.append(target))
    models.prepare(settings_of(tmp_path))
    assert converted == [path]


def test_model_is_not_ready_before_prepare_and_resolve_changes_nothing(tmp_path: Path):
    with pytest.raises(ModelNotReady, match="models prepare"):
        models.resolve(settings_of(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["qwen2.5-1.5b", "Qwen/Qwen2.5-1.5B-Instruct", "somebody/else"])
def test_model_that_was_not_pulled_says_how(tmp_path: Path, name: str):
    for act in (models.resolve, models.prepare):
        with pytest.raises(ModelNotReady, match=f"models pull {name}"):
            act(settings_of(tmp_path, name))


def test_unknown_name_proposes_the_nearest(tmp_path: Path):
    with pytest.raises(UnknownName, match='Did you mean "smollm2-135m"'):
        models.resolve(settings_of(tmp_path, "smolm2-135m"))


@pytest.mark.parametrize(
    ("name", "where"),
    [("qwen2.5-0.5b", "qwen2.5-0.5b"), ("Qwen/Qwen2.5-0.5B-Instruct", "qwen2.5-0.5b"), ("a/b", "a--b")],
)
def test_pulled_model_is_found_by_its_names(tmp_path: Path, name: str, where: str):
    path = put_model(tmp_path / "models" / where, mark=where)
    assert models.prepare(settings_of(tmp_path, name)) == path
    found, info = models.resolve(settings_of(tmp_path, name))
    assert (found, info.context_tokens) == (path, 64)


def test_pulled_weights_that_changed_are_refused(tmp_path: Path):
    path = put_model(tmp_path / "models" / "a--b", mark="b")
    (path / "model.safetensors").write_bytes(b"others!")
    with pytest.raises(ModelNotReady, match="not those that were verified"):
        models.prepare(settings_of(tmp_path, "a/b"))


def test_touched_weights_are_verified_again(tmp_path: Path):
    path = put_model(tmp_path / "models" / "a--b", mark="b")
    os.utime(path / "model.safetensors", ns=(1, 1))
    models.prepare(settings_of(tmp_path, "a/b"))
    mark = folder.read_mark(path / folder.MARK)
    assert mark is not None
    assert folder.unchanged(path, mark)


def test_local_folder_is_used_where_it_is_and_nothing_is_written_there(tmp_path: Path):
    path = put_model(tmp_path / "mine" / "My-Model")
    settings = settings_of(tmp_path / "data", str(path))
    before = sorted(path.iterdir())
    assert models.prepare(settings) == path
    _, info = models.resolve(settings)
    assert (info.name, info.languages) == ("My-Model", ())
    assert sorted(path.iterdir()) == before


def test_local_folder_with_pickles_is_refused(tmp_path: Path):
    path = put_model(tmp_path / "mine")
    (path / "model.safetensors").rename(path / "pytorch_model.bin")
    with pytest.raises(BadInput, match="pickled"):
        models.prepare(settings_of(tmp_path / "data", str(path)))


def test_users_gguf_is_converted_once_and_again_when_it_changes(tmp_path: Path, monkeypatch):
    source = tmp_path / "Mine.gguf"
    source.write_bytes(b"GGUF one")
    converted = []

    def convert(gguf: Path, target: Path, **_: object) -> None:
        converted.append(target)
        shutil.rmtree(target, ignore_errors=True)
        put_model(target)
        mark = folder.measure(target, name="Mine", source=gguf.name, source_sha256=folder.sha256_of(gguf))
        folder.write_mark(target / folder.MARK, mark)

    monkeypatch.setattr("assistant.engines.gguf.convert", convert)
    settings = settings_of(tmp_path / "data", str(source))
    assert models.prepare(settings) == models.prepare(settings) == converted[0]
    assert len(converted) == 1
    assert models.resolve(settings)[1].name == "Mine"
    source.write_bytes(b"GGUF two")
    models.prepare(settings)
    assert len(converted) == 2


def test_list_says_what_is_here_in_use_and_recommended(model_dir: Path):
    listed = models.catalogue(settings_of(model_dir))
    assert [entry.name for entry in listed if entry.in_use] == ["smollm2-135m"]
    assert [entry.name for entry in listed if entry.ready] == ["smollm2-135m"]
    assert sum(entry.recommended for entry in listed) == 1


def test_pull_of_the_bundled_model_only_prepares_it(model_dir: Path):
    assert models.pull("smollm2-135m", settings_of(model_dir)) == models.prepare(settings_of(model_dir))
    assert "nothing to download" in models.announce("smollm2-135m", settings_of(model_dir))


def test_announcement_says_size_licence_and_place(tmp_path: Path):
    text = models.announce("qwen2.5-7b", settings_of(tmp_path))
    assert all(part in text for part in ("Qwen/Qwen2.5-7B-Instruct", "15.3 GB", "apache-2.0", str(tmp_path)))


@pytest.mark.parametrize("name", ["../../etc", "not a model", ""])
def test_pull_of_a_name_that_is_none_is_refused(tmp_path: Path, name: str):
    with pytest.raises(UnknownName):
        models.pull(name, settings_of(tmp_path))
    assert list(tmp_path.iterdir()) == []


class TestUse:
    def test_name_is_written_and_comments_stay(self, model_dir: Path, tmp_path: Path):
        file = tmp_path / "confide.toml"
        file.write_text('# mine\ndata_dir = "d"\n[model]\nname = "x"  # the old\ndevice = "cpu"\n')
        models.use("smollm2-135m", settings_of(model_dir), file)
        text = file.read_text()
        assert 'name = "smollm2-135m"' in text
        assert all(part in text for part in ("# mine", 'data_dir = "d"', 'device = "cpu"'))

    def test_file_is_made_where_there_is_none(self, model_dir: Path, tmp_path: Path):
        models.use("smollm2-135m", settings_of(model_dir), tmp_path / "new.toml")
        assert (tmp_path / "new.toml").read_text() == '[model]\nname = "smollm2-135m"\n'

    def test_model_that_is_not_here_changes_nothing(self, tmp_path: Path):
        with pytest.raises(ModelNotReady, match="models pull"):
            models.use("qwen2.5-0.5b", settings_of(tmp_path), tmp_path / "confide.toml")
        assert not (tmp_path / "confide.toml").exists()

    def test_local_folder_is_written_as_a_whole_path(self, tmp_path: Path, monkeypatch):
        path = put_model(tmp_path / "mine")
        monkeypatch.chdir(tmp_path)
        models.use("mine", settings_of(tmp_path), tmp_path / "confide.toml")
        assert str(path) in (tmp_path / "confide.toml").read_text()

    def test_broken_settings_file_is_left_alone(self, model_dir: Path, tmp_path: Path):
        (tmp_path / "confide.toml").write_text("[model")
        with pytest.raises(SettingsError, match="not TOML"):
            models.use("smollm2-135m", settings_of(model_dir), tmp_path / "confide.toml")
        assert (tmp_path / "confide.toml").read_text() == "[model"
