"""Laws of key files and of durable writing."""

import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from privacy.errors import BadRequest
from privacy.keys import durable_write, is_signed, load_signer, new_signer, secret_key


def test_a_signature_holds_for_its_key_and_its_text_alone(tmp_path):
    signer, other = new_signer(), new_signer()
    signer.save(tmp_path / "a.key")
    signature = load_signer(tmp_path / "a.key").sign(b"text")
    assert is_signed(signer.public, signature, b"text")
    assert not is_signed(signer.public, signature, b"Text")
    assert not is_signed(other.public, signature, b"text")
    assert not is_signed(signer.public, "zz", b"text")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_keys_are_their_owner_s_alone(tmp_path):
    new_signer().save(tmp_path / "a.key")
    secret_key(tmp_path / "keys" / "b.key")
    for path in (tmp_path / "a.key", tmp_path / "keys" / "b.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_is_made_once_also_when_many_race_for_it(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: secret_key(tmp_path / "deep" / "a.key"), range(64)))
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.key"]


def test_a_file_without_a_key_is_refused(tmp_path):
    (tmp_path / "a.key").write_text("nothing")
    with pytest.raises(BadRequest):
        secret_key(tmp_path / "a.key")
    with pytest.raises(BadRequest):
        load_signer(tmp_path / "a.key")
    with pytest.raises(FileNotFoundError):
        load_signer(tmp_path / "b.key")


def test_a_key_that_was_lost_is_told_and_no_other_takes_its_place(tmp_path):
    (tmp_path / "made").touch()
    with pytest.raises(BadRequest, match=r"a\.key is missing, and .*made was made with it.*backup"):
        secret_key(tmp_path / "a.key", made=[tmp_path / "made"])
    assert not (tmp_path / "a.key").exists()
    key = secret_key(tmp_path / "a.key")
    assert secret_key(tmp_path / "a.key", made=[tmp_path / "made"]) == key


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    durable_write(tmp_path / "a", b"old")

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("privacy.keys.os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        durable_write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
