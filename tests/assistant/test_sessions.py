import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import accounts, rows, sessions
from assistant.accounts import Role
from assistant.errors import BadInput, StoreError
from assistant.sessions import Door, Entry, Sessions
from assistant.settings import ServerSettings, Settings
from assistant.store import Store

KEY = b"k" * 32


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a hash is not the point here."""
    monkeypatch.setattr(accounts, "_HASHER", argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST))


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


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    settings = Settings(data_dir=tmp_path, server=ServerSettings(admin_password="mine"))
    store = Store.open(tmp_path)
    yield Door.open(store, settings)
    store.close()


def test_a_random_password_is_made_once(tmp_path: Path):
    store, settings = Store.open(tmp_path), Settings(data_dir=tmp_path)
    Door.open(store, settings)
    password = sessions.password_file(tmp_path).read_text().strip()
    assert len(password) >= 16
    assert Door.open(store, settings).enter("s", password, address="1.2.3.4")


def test_the_settings_password_wins(door: Door, tmp_path: Path):
    assert door.enter("s", "mine", address="1.2.3.4")
    assert not sessions.password_file(tmp_path).exists()


def test_a_login_holds_for_its_session_and_its_hours_only(door: Door, monkeypatch: pytest.MonkeyPatch):
    assert door.enter("a", "mine", address="1.2.3.4")
    assert door.account("a") is not None
    assert door.account("a").name == "owner"
    assert door.is_inside("a")
    assert not door.is_inside("b")
    later = rows.now() + dt.timedelta(seconds=sessions.ADMIN_SECONDS + 1)
    monkeypatch.setattr(accounts, "now", lambda: later)
    assert not door.is_inside("a")


@pytest.mark.parametrize("password", ["", "Mine", "mine ", "min", "密码", "\ud800"])
def test_a_wrong_password_opens_nothing(door: Door, password: str):
    assert not door.enter("a", password, address="1.2.3.4")
    assert not door.is_inside("a")


def test_who_leaves_is_outside(door: Door):
    door.enter("a", "mine", address="1.2.3.4")
    door.leave("a")
    assert not door.is_inside("a")


def test_one_address_that_guesses_does_not_lock_out_the_others(door: Door):
    for _ in range(1000):
        door.enter("a", "wrong", address="6.6.6.6")
    assert not door.enter("a", "mine", address="6.6.6.6")
    assert door.enter("b", "mine", address="1.2.3.4")


def test_many_addresses_that_guess_at_one_account_lock_only_that_one(door: Door, monkeypatch: pytest.MonkeyPatch):
    password = door.accounts.add("ada", Role.STAFF)
    monkeypatch.setattr(door.accounts, "check", lambda name, password: None)
    for number in range(110):
        door.enter("x", "guess", name="ADA ", address=f"6.6.6.{number}")
    monkeypatch.undo()
    assert door.enter("a", password, name="ada", address="1.2.3.4") is Entry.WRONG
    assert door.enter("b", "mine", address="1.2.3.4")


def test_a_one_time_password_opens_nothing_until_another_is_chosen(door: Door):
    once = door.accounts.add("ada", Role.STAFF)
    assert door.enter("a", once, name="ada", address="1.2.3.4") is Entry.CHOOSE
    assert not door.is_inside("a")
    with pytest.raises(BadInput, match="at least"):
        door.enter("a", once, name="ada", address="1.2.3.4", chosen="short")
    assert door.enter("a", once, name="Ada", address="1.2.3.4", chosen="correct horse")
    assert door.may("a", "staff")
    assert not door.may("a", "owner")
    assert door.enter("a", once, name="ada", address="1.2.3.5") is Entry.WRONG
    assert door.enter("b", "correct horse", name="ada", address="1.2.3.5")


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_the_ones_below_may_and_no_more(door: Door, role: Role):
    door.accounts.admit("ada@example.org", role)
    door.admit("a", "ada@example.org")
    assert [door.may("a", each) for each in ("viewer", "staff", "owner")] == [role.covers(each) for each in Role]
    assert not any(door.may("stranger", each) for each in Role)


def test_what_is_done_is_logged_under_the_sessions_name(door: Door):
    door.accounts.admit("ada", Role.STAFF)
    door.admit("a", "ada")
    door.log("a", "document.add", "returns.md")
    door.log("stranger", "document.add")
    assert [(one.who, one.action, one.what) for one in door.accounts.logged()] == [
        ("nobody", "document.add", ""),
        ("ada", "document.add", "returns.md"),
    ]
