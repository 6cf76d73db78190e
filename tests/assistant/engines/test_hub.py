"""Downloads, from a small hub in this process that speaks the real one's protocol over HTTP."""

from __future__ import annotations

import errno
import hashlib
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from assistant.engines import folder, models
from assistant.errors import BadInput, ModelNotReady
from assistant.settings import ModelSettings, Settings

COMMIT = "a" * 40
FILES = {
    "config.json": json.dumps({"max_position_embeddings": 64}).encode(),
    "model.safetensors": bytes(range(256)) * 2000,
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a pickle",
    "model.py": b"raise SystemExit",
    "README.md": b"# A model",
}


class Hub:
    """`files` are offered as org/name; those in `lies` are served otherwise than they are described."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = dict(FILES)
        self.lies: dict[str, bytes] = {}
        self.asked: list[str] = []
        app = FastAPI()
        app.get("/api/models/{org}/{name}")(self._info)
        app.get("/api/models/{org}/{name}/tree/{revision}")(self._tree)
        app.api_route("/{org}/{name}/resolve/{revision}/{file}", methods=["HEAD", "GET"])(self._file)
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="none"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def _lfs(self, file: str) -> dict[str, object] | None:
        content = self.files[file]
        if not file.endswith(".safetensors"):
            return None
        return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}

    async def _info(self, org: str, name: str) -> Response:
        if (org, name) != ("org", "name"):
            return Response(status_code=404, headers={"X-Error-Code": "RepoNotFound"})
        siblings = [{"rfilename": file, "size": len(self.files[file]), "lfs": self._lfs(file)} for file in self.files]
        body = {"id": "org/name", "sha": COMMIT, "siblings": siblings, "cardData": {"license": "mit"}}
        return Response(json.dumps(body), media_type="application/json")

    async def _tree(self, revision: str) -> Response:
        rows = []
        for file, content in self.files.items():
            lfs = self._lfs(file)
            row = {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            rows.append(row | ({"lfs": {"oid": lfs["sha256"], **lfs}} if lfs else {}))
        return Response(json.dumps(rows), media_type="application/json")

    async def _file(self, request: Request, file: str, revision: str) -> Response:
        if request.method == "GET":
            self.asked.append(file)
        lfs = self._lfs(file)
        etag = lfs["sha256"] if lfs else hashlib.sha1(self.files[file]).hexdigest()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"'}
        return Response(self.lies.get(file, self.files[file]), headers=headers)


@pytest.fixture
def hub(monkeypatch):
    hub = Hub()
    thread = threading.Thread(target=hub.server.run, daemon=True)
    thread.start()
    while not hub.server.started:
        time.sleep(0.01)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    yield hub
    hub.server.should_exit = True
    thread.join(10)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, model=ModelSettings(name="org/name"))


def test_pulled_model_is_whole_verified_and_ready(hub: Hub, settings: Settings):
    moved: list[tuple[int, int]] = []
    path = models.pull("org/name", settings, progress=lambda done, of, what: moved.append((done, of)))
    wanted = {name for name in FILES if name.endswith((".json", ".safetensors"))}
    assert {file.name for file in path.iterdir()} == wanted | {folder.MARK}
    assert {name: (path / name).read_bytes() for name in wanted} == {name: FILES[name] for name in wanted}
    found, info = models.resolve(settings)
    assert (found, info.name, info.sha256) == (path, "org/name", hashlib.sha256(FILES["model.safetensors"]).hexdigest())
    mark = folder.read_mark(path / folder.MARK)
    assert mark is not None
    assert (mark.licence, mark.source) == ("mit", f"org/name@{COMMIT}")
    assert moved == sorted(moved)
    assert moved[-1] == (sum(len(FILES[name]) for name in wanted),) * 2


def test_nothing_but_weights_and_tokenizer_is_fetched(hub: Hub, settings: Settings):
    models.pull("org/name", settings)
    assert not {"pytorch_model.bin", "model.py"} & set(hub.asked)


def test_second_pull_fetches_nothing(hub: Hub, settings: Settings):
    models.pull("org/name", settings)
    hub.asked.clear()
    models.pull("org/name", settings)
    assert hub.asked == []


@pytest.mark.parametrize("lie", [b"x" * len(FILES["model.safetensors"]), FILES["model.safetensors"][:-9]])
def test_weights_that_are_not_what_the_hub_says_are_thrown_away(hub: Hub, settings: Settings, lie: bytes):
    hub.lies["model.safetensors"] = lie
    with pytest.raises(ModelNotReady):
        models.pull("org/name", settings)
    with pytest.raises(ModelNotReady, match="models pull"):
        models.resolve(settings)
    hub.lies.clear()
    models.pull("org/name", settings)
    models.resolve(settings)


def test_pickles_alone_are_refused_before_any_download(hub: Hub, settings: Settings):
    del hub.files["model.safetensors"]
    with pytest.raises(BadInput, match="no safetensors"):
        models.pull("org/name", settings)
    assert hub.asked == []


def test_model_with_its_own_code_is_refused(hub: Hub, settings: Settings):
    hub.files["config.json"] = json.dumps({"auto_map": {"AutoModel": "model.Model"}}).encode()
    with pytest.raises(BadInput, match="its own Python code"):
        models.pull("org/name", settings)
    with pytest.raises(ModelNotReady):
        models.resolve(settings)


def test_model_with_its_own_code_is_refused_before_its_weights_are_fetched_and_leaves_nothing(
    hub: Hub, settings: Settings
):
    hub.files["config.json"] = json.dumps({"auto_map": {"AutoModel": "model.Model"}}).encode()
    left = settings.data_dir / "models" / ".org--name.part"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"of an earlier pull")
    with pytest.raises(BadInput, match="org/name brings its own Python code"):
        models.pull("org/name", settings)
    assert "model.safetensors" not in hub.asked
    assert [path.name for path in left.parent.iterdir() if path.suffix != ".lock"] == []


def test_weights_that_are_offered_twice_are_fetched_once(hub: Hub, settings: Settings):
    hub.files["consolidated.safetensors"] = b"the same again"
    path = models.pull("org/name", settings)
    assert "consolidated.safetensors" not in hub.asked
    assert sorted(file.name for file in path.glob("*.safetensors")) == ["model.safetensors"]


def test_a_download_goes_on_where_only_the_rest_of_it_fits(hub: Hub, settings: Settings, monkeypatch):
    part = settings.data_dir / "models" / ".org--name.part"
    part.mkdir(parents=True)
    (part / "model.safetensors").write_bytes(FILES["model.safetensors"])
    room = len(FILES["model.safetensors"]) // 2
    monkeypatch.setattr("assistant.engines.hub.shutil.disk_usage", lambda path: SimpleNamespace(free=room))
    models.pull("org/name", settings)
    models.resolve(settings)


def test_a_download_that_does_not_fit_says_so(hub: Hub, settings: Settings, monkeypatch):
    monkeypatch.setattr("assistant.engines.hub.shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(ModelNotReady, match="GB free"):
        models.pull("org/name", settings)
    assert "model.safetensors" not in hub.asked


def test_a_disk_that_is_full_is_not_told_as_a_lost_connection(hub: Hub, settings: Settings, monkeypatch):
    def full(*_: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    with pytest.raises(ModelNotReady, match="the disk is full"):
        models.pull("org/name", settings)


def test_unknown_model_says_so(hub: Hub, settings: Settings):
    with pytest.raises(ModelNotReady, match="no public model org/other"):
        models.pull("org/other", settings)


def test_announcement_asks_the_hub_for_size_and_licence(hub: Hub, settings: Settings):
    text = models.announce("org/name", settings)
    assert "licence mit" in text
    assert "0.0 GB" in text


def test_no_connection_says_what_to_do(settings: Settings, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelNotReady, match="Check the connection"):
        models.pull("org/name", settings)
    assert not [path for path in (settings.data_dir / "models").iterdir() if path.suffix != ".lock"]


def test_a_machine_that_is_set_offline_is_told_so(hub: Hub, settings: Settings, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotReady, match="HF_HUB_OFFLINE"):
        models.pull("org/name", settings)
    assert hub.asked == []
