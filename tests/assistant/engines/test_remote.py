from __future__ import annotations

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from assistant.engines.base import HostsAdapters
from assistant.engines.echo import EchoEngine
from assistant.engines.remote import RemoteEngine, build
from assistant.errors import AdapterUnsupported, EngineTimeout, EngineUnavailable, SettingsError
from assistant.settings import RemoteSettings, Settings
from assistant.testing import ASK, SHORT, EngineContract, FakeServer, ask


@pytest.fixture(scope="module")
def server():
    with FakeServer(models=("echo", "echo-tuned")) as running:
        yield running


def engine_of(server: FakeServer, model: str = "echo", **remote) -> RemoteEngine:
    return RemoteEngine(RemoteSettings(url=server.url, model=model, **remote))


class TestContract(EngineContract):
    @pytest.fixture
    def engine(self, server: FakeServer) -> RemoteEngine:
        return engine_of(server)


def test_remote_says_what_the_engine_behind_it_says(server: FakeServer):
    assert ask(engine_of(server)) == ask(EchoEngine())


def test_adapter_is_asked_for_as_a_model(server: FakeServer):
    assert ask(engine_of(server), adapter="echo-tuned")
    assert server.seen[-1][1]["model"] == "echo-tuned"


def test_more_stops_than_the_protocol_takes_are_cut_here(server: FakeServer):
    stops = ("1", "2", "3", "4", "days")
    assert ask(engine_of(server), stop=stops) == "Name the "
    assert len(server.seen[-1][1]["stop"]) == 4


def test_request_does_not_describe_this_machine(server: FakeServer):
    ask(engine_of(server))
    assert not [name for name in server.seen[-1][0] if name.startswith(("x-stainless", "openai-"))]


def test_closing_the_stream_stops_the_server(server: FakeServer):
    before, server.delay_s = server.stopped, 0.05
    try:
        stream = engine_of(server).stream(ASK, SHORT)
        next(stream)
        stream.close()
        until = time.monotonic() + 20
        while server.stopped == before and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        server.delay_s = 0.0
    assert server.stopped > before


@pytest.mark.parametrize("model", ["hangs", "stalls"])
def test_silent_server_is_a_timeout(server: FakeServer, model: str):
    with pytest.raises(EngineTimeout):
        ask(engine_of(server, model), time_limit_s=0.3)


@pytest.mark.parametrize("model", ["breaks", "broken", "busy", "errs"])
def test_failing_server_is_unavailable(server: FakeServer, model: str):
    with pytest.raises(EngineUnavailable):
        ask(engine_of(server, model))


def test_slow_server_is_cut_at_the_limit(server: FakeServer):
    server.delay_s = 0.2
    try:
        with pytest.raises(EngineTimeout):
            ask(engine_of(server), time_limit_s=0.5)
    finally:
        server.delay_s = 0.0


def test_unknown_model_names_those_of_the_server(server: FakeServer):
    with pytest.raises(EngineUnavailable, match=r"no model 'ecko'; it has .*echo"):
        ask(engine_of(server, "ecko"))


def test_url_without_v1_says_so(server: FakeServer):
    engine = RemoteEngine(RemoteSettings(url=server.url.removesuffix("/v1"), model="echo"))
    with pytest.raises(EngineUnavailable, match="/v1"):
        ask(engine)


def test_no_server_says_what_to_check():
    engine = RemoteEngine(RemoteSettings(url="http://127.0.0.1:9/v1", model="echo"))
    with pytest.raises(EngineUnavailable, match=r"\[remote\] url"):
        ask(engine)


def test_key_is_sent_and_a_wrong_one_names_the_setting():
    with FakeServer(key="right") as server:
        assert ask(engine_of(server, api_key="right"))
        with pytest.raises(EngineUnavailable, match=r"\[remote\] api_key"):
            ask(engine_of(server, api_key="wrong"))


def test_missing_settings_are_all_named():
    with pytest.raises(SettingsError, match=r"\[remote\] url and \[remote\] model"):
        build(Settings())


# Several servers


def test_a_server_that_fails_is_passed_over_for_the_next_and_rests(server: FakeServer):
    with FakeServer(models=("echo",)) as second:
        engine = RemoteEngine(RemoteSettings(url=f"http://127.0.0.1:9/v1, {second.url}", model="echo"))
        dead = engine._servers.all[0]
        for _ in range(4):
            assert ask(engine) == ask(EchoEngine())
        assert dead.failures == 3
        assert engine._servers.ready()[0].url == second.url
        assert len(second.seen) == 4


def test_what_was_said_is_not_said_again_by_another_server(server: FakeServer):
    with FakeServer(models=("breaks",)) as second:
        engine = RemoteEngine(RemoteSettings(url=f"{server.url},{second.url}", model="breaks"))
        before = len(server.seen) + len(second.seen)
        with pytest.raises(EngineUnavailable):
            ask(engine)
        assert len(server.seen) + len(second.seen) == before + 1


class Raw(BaseHTTPRequestHandler):
    """Answers every question with the bytes it was given, as a stream of events."""

    says = b""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(self.says)

    def log_message(self, *_: object):
        pass


@pytest.mark.parametrize(
    "says",
    [
        b'data: {"error": {"message": "EngineDeadError", "code": 500}}\n\ndata: [DONE]\n\n',
        b'data: {"error": {"message": "It broke."}}\n\n',
        b'data: {"choices": [{"del\n\n',
        b"<html>Please log in.</html>",
        b"",
    ],
)
def test_a_server_that_fails_within_its_stream_but_before_a_word_is_passed_over(server: FakeServer, says: bytes):
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Says", (Raw,), {"says": says})) as sick:
        threading.Thread(target=sick.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{sick.server_port}/v1"
        engine = RemoteEngine(RemoteSettings(url=f"{url},{server.url}", model="echo"))
        assert ask(engine) == ask(EchoEngine())
        assert [one.failures for one in engine._servers.all] == [1, 0]
        with pytest.raises(EngineUnavailable):
            ask(RemoteEngine(RemoteSettings(url=url, model="echo")))
        sick.shutdown()


def test_an_answer_that_is_empty_is_an_answer(server: FakeServer):
    assert ask(engine_of(server), stop=(ask(EchoEngine())[0],)) == ""


def test_an_answer_that_was_read_as_far_as_wanted_clears_the_servers_name(server: FakeServer):
    engine = engine_of(server)
    engine._servers.all[0].failures = 3
    stream = engine.stream(ASK, SHORT)
    next(stream)
    stream.close()
    assert engine._servers.all[0].failures == 0


def test_a_server_that_always_breaks_off_comes_to_rest(server: FakeServer):
    engine = engine_of(server, "breaks")
    for _ in range(3):
        with pytest.raises(EngineUnavailable):
            ask(engine)
    with pytest.raises(EngineUnavailable, match="left alone"):
        ask(engine)


def test_a_server_process_that_is_killed_is_passed_over(server: FakeServer):
    code = (
        "import time\nfrom assistant.testing import FakeServer\n"
        "with FakeServer() as one:\n    print(one.url, flush=True)\n    time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        engine = RemoteEngine(RemoteSettings(url=f"{url},{server.url}", model="echo"))
        assert ask(engine)
        process.kill()
        process.wait(30)
        assert ask(engine)
        assert engine._servers.all[0].failures == 1
    finally:
        process.kill()
        process.stdout.close()


def test_servers_that_all_rest_are_not_asked():
    engine = RemoteEngine(RemoteSettings(url="http://127.0.0.1:9/v1", model="echo"))
    for _ in range(2):
        with pytest.raises(EngineUnavailable):
            ask(engine)
    with pytest.raises(EngineUnavailable, match="left alone"):
        ask(engine)


# Adapters that are loaded on the servers


def test_an_adapter_is_loaded_on_every_server_asked_for_and_unloaded(tmp_path):
    with FakeServer() as one, FakeServer() as two:
        remote = RemoteSettings(url=f"{one.url},{two.url}", model="echo", adapters="/srv/adapters")
        engine = build(Settings(data_dir=tmp_path, remote=remote))
        assert isinstance(engine, HostsAdapters)
        engine.add_adapter("tone-v2", tmp_path / "adapters" / "tone" / "v2")
        assert one.loaded == two.loaded == {"tone-v2": "/srv/adapters/tone/v2"}
        one.forget("tone-v2")
        two.forget("tone-v2")
        assert ask(engine, adapter="tone-v2")
        assert one.seen[-1][1]["model"] == "tone-v2"
        engine.add_adapter("tone-v2", tmp_path / "adapters" / "tone" / "v2")
        engine.remove_adapter("tone-v2")
        assert one.loaded == two.loaded == {}
        assert engine.adapters() == ()


def test_an_adapter_that_no_server_loads_or_sees_is_unsupported(tmp_path):
    with FakeServer() as one:
        remote = RemoteSettings(url=one.url, model="echo", adapters="/srv/adapters")
        engine = build(Settings(data_dir=tmp_path, remote=remote))
        with pytest.raises(AdapterUnsupported, match="No adapter there"):
            engine.add_adapter("bad", tmp_path / "adapters" / "refused")
        with pytest.raises(AdapterUnsupported, match="which the servers see"):
            engine.add_adapter("far", tmp_path / "elsewhere")
        assert engine.adapters() == ()


def test_an_adapter_that_no_server_can_load_now_may_be_asked_for_again(tmp_path):
    with FakeServer() as one:
        remote = RemoteSettings(url=f"http://127.0.0.1:9/v1,{one.url}", model="echo", adapters="/srv/adapters")
        engine = build(Settings(data_dir=tmp_path, remote=remote))
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            engine.add_adapter("bad", tmp_path / "adapters" / "refused")
        engine.add_adapter("good", tmp_path / "adapters" / "good")
        assert engine.adapters() == ("good",)
        assert engine._servers.all[0].failures == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_starting_again_has_refused_no_adapter(tmp_path, status: int):
    with FakeServer() as one:
        remote = RemoteSettings(url=one.url, model="echo", adapters="/srv/adapters")
        engine = build(Settings(data_dir=tmp_path, remote=remote))
        one.load_status = status
        for _ in range(4):
            with pytest.raises(EngineUnavailable):
                engine.add_adapter("tone", tmp_path / "adapters" / "tone")
