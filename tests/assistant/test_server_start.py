"""What `serve` looks at before it loads anything: the data folder's lock, the address, and what it announces."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from assistant import server
from assistant.errors import StoreBusy
from assistant.settings import ServerSettings, Settings

# The data folder's lock (R26)

HOLD = "import sys, time; from pathlib import Path; from assistant.server import data_lock\n" \
       "with data_lock(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"  # fmt: skip


def test_a_second_server_on_the_same_data_folder_is_refused(tmp_path: Path):
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy, match="Another Confide server runs"), server.data_lock(tmp_path):
            pass
    finally:
        first.kill()
        first.wait()
    with server.data_lock(tmp_path):
        pass  # a killed server leaves nothing behind


def test_serve_refuses_before_it_loads_anything(tmp_path: Path):
    with server.data_lock(tmp_path), pytest.raises(StoreBusy):
        server.serve(Settings(data_dir=tmp_path))


def test_an_address_in_use_is_said_clearly(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(data_dir=tmp_path, server=ServerSettings(port=taken.getsockname()[1]))
        with pytest.raises(StoreBusy, match="cannot be used"):
            server.serve(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::"])
def test_the_address_that_is_announced_is_one_that_is_answered(host: str):
    settings = Settings(server=ServerSettings(host=host))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        netloc = urlsplit(server._url(settings, listener)).netloc
    hosts = TrustedHostMiddleware(PlainTextResponse("here"), allowed_hosts=list(settings.server.allowed_hosts))
    answer = TestClient(hosts).get("/", headers={"host": netloc})
    assert (answer.status_code, answer.text) == (200, "here")
