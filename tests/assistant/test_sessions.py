import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import sessions
from assistant.errors import StoreError
from assistant.sessions import Door, Sessions

KEY = b"k" * 32


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """Moves the wall clock and the monotonic one."""
    real, shift = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + shift[0])
    monkeypatch.setattr(time, "monotonic", lambda: real() + shift[0])

    def move(seconds: float) -> None:
        shift[0] += seconds

    return move


def test_a_cookie_is_read_back_and_is_fresh_for_a_day(clock):
    made = Sessions(KEY).new()
    assert Sessions(KEY).read(made.cookie) == sessions.Session(made.id)
    clock(86400 + 60)
    renewed = Sessions(KEY).read(made.cookie)
    assert renewed is not None
    assert renewed.id == made.id
    assert renewed.cookie not in ("", made.cookie)


def test_a_cookie_ends_after_its_days_unless_it_was_renewed(clock):
    made = Sessions(KEY, days=3).new()
    clock(2 * 86400)
    renewed = Sessions(KEY, days=3).read(made.cookie)
    assert renewed is not None
    clock(2 * 86400)
    assert Sessions(KEY, days=3).read(made.cookie) is None
    assert Sessions(KEY, days=3).read(renewed.cookie) is not None


@given(st.text(max_size=80))
def test_no_other_text_is_a_cookie(text: str):
    assert Sessions(KEY).read(text) is None


def test_another_key_signs_other_cookies():
    assert Sessions(b"x" * 32).read(Sessions(KEY).new().cookie) is None


def test_ids_are_long_and_never_the_same():
    ids = {Sessions(KEY).new().id for _ in range(100)}
    assert len(ids) == 100
    assert min(map(len, ids)) >= 24


def test_a_conversation_belongs_to_its_session_only():
    one = Sessions(KEY)
    conversation = one.new_conversation("a")
    assert one.owns("a", conversation)
    assert not one.owns("b", conversation)
    assert not Sessions(b"x" * 32).owns("a", conversation)


@given(st.text(max_size=60))
def test_no_invented_conversation_id_is_owned(text: str):
    assert not Sessions(KEY).owns("a", text)


def test_the_key_survives_a_restart_and_a_damaged_one_is_told(tmp_path: Path):
    cookie = Sessions.open(tmp_path).new().cookie
    assert Sessions.open(tmp_path).read(cookie) is not None
    (tmp_path / "keys" / "session.key").write_text("abcd")
    with pytest.raises(StoreError, match="damaged"):
        Sessions.open(tmp_path)
    (tmp_path / "keys" / "session.key").write_text("not hex")
    with pytest.raises(StoreError, match="damaged"):
        Sessions.open(tmp_path)


def test_a_random_password_is_made_once(tmp_path: Path):
    Door.open(tmp_path)
    password = sessions.password_file(tmp_path).read_text().strip()
    assert len(password) >= 16
    assert Door.open(tmp_path).enter("s", password, address="1.2.3.4")


def test_the_settings_password_wins(tmp_path: Path):
    assert Door.open(tmp_path, "mine").enter("s", "mine", address="1.2.3.4")
    assert not sessions.password_file(tmp_path).exists()


def test_a_login_holds_for_its_session_and_its_hours_only(clock):
    door = Door("mine")
    assert door.enter("a", "mine", address="1.2.3.4")
    assert door.is_inside("a")
    assert not door.is_inside("b")
    clock(sessions.ADMIN_SECONDS + 1)
    assert not door.is_inside("a")


@pytest.mark.parametrize("password", ["", "Mine", "mine ", "min", "密码"])
def test_a_wrong_password_opens_nothing(password: str):
    door = Door("mine")
    assert not door.enter("a", password, address="1.2.3.4")
    assert not door.is_inside("a")


def test_one_address_that_guesses_does_not_lock_out_the_others():
    door = Door("mine")
    for _ in range(1000):
        door.enter("a", "wrong", address="6.6.6.6")
    assert not door.enter("a", "mine", address="6.6.6.6")
    assert door.enter("b", "mine", address="1.2.3.4")
