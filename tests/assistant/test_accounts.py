from collections.abc import Iterator
from pathlib import Path

import argon2
import databases
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from assistant import accounts as accounts_module
from assistant.accounts import Accounts, Role, tidy
from assistant.errors import BadInput, UnknownName
from assistant.rows import AuditRow, Base
from assistant.store import Store


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a hash is not the point here."""
    monkeypatch.setattr(accounts_module, "_HASHER", argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST))


@pytest.fixture(params=databases.BOTH)
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    opened = Store.open(tmp_path, databases.url_of(request.param))
    yield opened
    opened.close()


@pytest.fixture
def accounts(store: Store) -> Accounts:
    found = Accounts(store, "default")
    found.keep_owner("the owner's own")
    return found


def test_a_password_is_nowhere_in_the_data_folder(tmp_path: Path):
    store = Store.open(tmp_path)
    accounts = Accounts(store, "default")
    accounts.keep_owner("the owner's own")
    once = accounts.add("ada", Role.STAFF)
    accounts.choose("ada", "correct horse battery")
    store.close()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"$argon2id$" in written
    assert not any(text.encode() in written for text in (once, "correct horse battery", "the owner's own"))


def test_only_its_own_password_is_an_accounts(accounts: Accounts):
    once = accounts.add("ada", Role.VIEWER)
    other = accounts.add("bob", Role.VIEWER)
    assert accounts.check("Ada ", once).role is Role.VIEWER
    assert accounts.check("ada", other) is None
    assert accounts.check("nobody", once) is None
    assert accounts.check("", "the owner's own").name == "owner"


def test_an_account_of_an_identity_provider_has_no_password(accounts: Accounts):
    accounts.admit("ada@example.org", Role.STAFF)
    assert accounts.check("ada@example.org", "") is None
    assert [one.own_password for one in accounts.all()] == [True, False]
    accounts.admit("ada@example.org", Role.VIEWER)
    assert accounts.all()[1].role is Role.VIEWER


def test_nobody_becomes_an_account_with_a_password_by_an_identity_provider(accounts: Accounts):
    accounts.add("ada", Role.STAFF)
    for name in ("ada", "owner"):
        with pytest.raises(BadInput):
            accounts.admit(name, Role.OWNER)


@pytest.mark.parametrize("ended_by", ["remove", "renew", "choose"])
def test_a_removed_account_or_a_changed_password_ends_its_logins(accounts: Accounts, ended_by: str):
    accounts.add("ada", Role.STAFF)
    accounts.choose("ada", "correct horse battery")
    accounts.sign_in("s", "ada", seconds=60)
    assert accounts.of("s").name == "ada"
    getattr(accounts, ended_by)("ada", *(["another password"] if ended_by == "choose" else []))
    assert accounts.of("s") is None


def test_a_removed_account_that_comes_back_has_no_login(accounts: Accounts):
    accounts.admit("ada", Role.STAFF)
    accounts.sign_in("s", "ada", seconds=60)
    accounts.remove("ada")
    accounts.admit("ada", Role.STAFF)
    assert accounts.of("s") is None


def test_a_role_changes_at_once(accounts: Accounts):
    accounts.admit("ada", Role.OWNER)
    accounts.sign_in("s", "ada", seconds=60)
    accounts.set_role("ada", Role.VIEWER)
    assert accounts.of("s").role is Role.VIEWER


def test_another_owners_password_ends_the_owners_logins_and_the_same_one_does_not(accounts: Accounts):
    accounts.sign_in("s", "owner", seconds=60)
    accounts.keep_owner("the owner's own")
    assert accounts.of("s") is not None
    accounts.keep_owner("another")
    assert accounts.of("s") is None


def test_the_owner_cannot_be_removed_or_made_less(accounts: Accounts):
    for change in (accounts.remove, accounts.renew, lambda name: accounts.set_role(name, Role.VIEWER)):
        with pytest.raises(BadInput, match="owner"):
            change("Owner")


def test_an_account_that_is_not_there_is_said(accounts: Accounts):
    with pytest.raises(UnknownName, match="ada"):
        accounts.remove("ada")


@pytest.mark.parametrize("name", ["ADA ", "-ada", "a b", "<b>", "a" * 101, "ä"])
def test_a_name_is_plain_and_taken_once(accounts: Accounts, name: str):
    accounts.add("ada", Role.STAFF)
    with pytest.raises(BadInput):
        accounts.add(name, Role.STAFF)


@given(st.text(max_size=30))
def test_a_tidy_name_stays_as_it_is(name: str):
    assert tidy(tidy(name)) == tidy(name)


def test_tenants_do_not_share_accounts_or_logs(accounts: Accounts, store: Store):
    other = Accounts(store, "other")
    accounts.admit("ada", Role.OWNER)
    accounts.sign_in("s", "ada", seconds=60)
    accounts.log("document.add")
    assert other.all() == []
    assert other.of("s") is None
    assert other.logged() == []


def test_the_log_is_kept_in_order_and_can_only_grow(accounts: Accounts, store: Store):
    for number in range(3):
        accounts.log("document.add", f"{number}.md", who="ada")
    assert [one.what for one in accounts.logged(2)] == ["2.md", "1.md"]
    sessions = store.tables(Base.metadata)
    for change in (sa.delete(AuditRow), sa.update(AuditRow).values(who="bob")):
        with pytest.raises(sa.exc.DatabaseError, match="append-only"), sessions.begin() as session:
            session.execute(change)
