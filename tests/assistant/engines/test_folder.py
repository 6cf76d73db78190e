from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from assistant.engines import folder
from assistant.errors import BadInput, ModelNotReady


def model(path: Path, **files: str) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps({"max_position_embeddings": 64}))
    (path / "model.safetensors").write_bytes(b"weights")
    for name, content in files.items():
        (path / name.replace("__", ".")).write_text(content)
    return path


def test_plain_folder_is_safe(tmp_path: Path):
    folder.check_safe(model(tmp_path, tokenizer_config__json="{}"))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "weights.ckpt", "model.pkl", "M.BIN"])
def test_pickled_weights_are_refused(tmp_path: Path, name: str):
    (model(tmp_path) / "model.safetensors").rename(tmp_path / name)
    with pytest.raises(BadInput, match="pickled"):
        folder.check_safe(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "processor_config.json"])
def test_model_with_its_own_code_is_refused(tmp_path: Path, name: str):
    (model(tmp_path) / name).write_text(json.dumps({"auto_map": {"AutoModelForCausalLM": "evil.Model"}}))
    with pytest.raises(BadInput, match="its own Python code"):
        folder.check_safe(tmp_path)


@pytest.mark.parametrize("content", [None, "", "[]", "{"])
def test_folder_without_a_config_is_no_model(tmp_path: Path, content: str | None):
    (model(tmp_path) / "config.json").unlink()
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelNotReady):
        folder.check_safe(tmp_path)


def test_mark_comes_back_as_it_was_written(tmp_path: Path):
    mark = folder.measure(model(tmp_path), name="tiny", source="here", licence="mit")
    folder.write_mark(tmp_path / folder.MARK, mark)
    assert folder.read_mark(tmp_path / folder.MARK) == mark
    assert mark.weights_sha256 == folder.sha256_of(tmp_path / "model.safetensors")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": "a", "files": 3}', '{"files": {"a": [1]}}'])
def test_broken_mark_is_no_mark(tmp_path: Path, content: str):
    (tmp_path / folder.MARK).write_text(content)
    assert folder.read_mark(tmp_path / folder.MARK) is None


def test_hash_of_several_files_depends_on_each_and_its_name(tmp_path: Path):
    model(tmp_path)

    def sha256() -> str:
        return folder.measure(tmp_path, name="tiny", source="").weights_sha256

    seen = [sha256()]
    (tmp_path / "more.safetensors").write_bytes(b"more")
    seen.append(sha256())
    (tmp_path / "more.safetensors").write_bytes(b"other")
    seen.append(sha256())
    (tmp_path / "more.safetensors").rename(tmp_path / "renamed.safetensors")
    seen.append(sha256())
    assert len(set(seen)) == 4


def test_change_of_size_time_or_names_is_seen(tmp_path: Path):
    mark = folder.measure(model(tmp_path), name="tiny", source="")
    assert folder.unchanged(tmp_path, mark)
    os.utime(tmp_path / "model.safetensors", ns=(1, 1))
    assert not folder.unchanged(tmp_path, mark)
    (tmp_path / "model.safetensors").unlink()
    assert not folder.unchanged(tmp_path, mark)


@pytest.mark.parametrize(
    ("config", "window"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 512}}, 512),
        ({}, 2048),
    ],
)
def test_window_is_the_configs(tmp_path: Path, config: dict, window: int):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert folder.context_tokens(tmp_path) == window
