"""Sharing by the tunnel, with a fake one."""

import pytest
from gradio import networking

from assistant import server
from assistant.errors import SettingsError
from assistant.settings import ServerSettings, Settings
from assistant.ui.sharing import open_tunnel


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path, server=ServerSettings(admin_password="correct horse"))


@pytest.mark.parametrize("password", ["", "short"])
def test_nothing_is_shared_without_a_password(tmp_path, password):
    with pytest.raises(SettingsError, match="password"):
        server.serve(Settings(data_dir=tmp_path, server=ServerSettings(admin_password=password)), share=True)
    assert not list(tmp_path.iterdir())


def test_the_public_host_is_answered_and_what_leaves_is_said_before(settings, monkeypatch, capsys):
    def tunnel(host, port, token, address, certificate):
        assert "passes through Gradio's servers" in capsys.readouterr().out
        assert (host, port, address, certificate) == ("127.0.0.1", 7860, None, None)
        assert len(token) >= 32
        return "https://abc.gradio.example"

    monkeypatch.setattr(networking, "setup_tunnel", tunnel)
    found = server.shared(settings, 7860)
    assert found.server.allowed_hosts == ("127.0.0.1", "localhost", "abc.gradio.example")
    assert "https://abc.gradio.example" in capsys.readouterr().out


@pytest.mark.parametrize("error", [RuntimeError("no network"), OSError("no binary"), ValueError("refused")])
def test_without_a_tunnel_it_is_served_here_only(settings, monkeypatch, capsys, error):
    def tunnel(*arguments):
        raise error

    monkeypatch.setattr(networking, "setup_tunnel", tunnel)
    assert server.shared(settings, 7860) == settings
    assert "this machine only" in capsys.readouterr().out
    assert open_tunnel(7860) is None
