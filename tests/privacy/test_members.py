"""A budget follows records and customers, whatever the file is called."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.erasure import Learned, Marks, Tombstones
from privacy.errors import BadRequest, BudgetExceeded, LedgerTampered
from privacy.ledger import Ledger
from privacy.members import Members
from privacy.types import PrivacyBudget, PrivacySpend

ROWS = [(f"Where is order {number}?", f"c{number // 2}") for number in range(40)]


def spend(dataset, unit="example", noise=20.0):
    return PrivacySpend("gaussian", noise, 1.0, 10, 1.0, unit, dataset)


def knowing(folder, name, rows):
    return Ledger(folder).knowing(name, Members.of(rows, folder))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (ROWS, "renamed"),
        (ROWS[:4], "a subset"),
        ([*ROWS, ("something new", "nobody before")], "extended"),
        ([(f"  {text.upper()} ", "") for text, _ in ROWS], "the customers struck out, other case and spaces"),
    ],
)
def test_another_name_for_the_same_records_is_the_same_budget(tmp_path, rows, why):
    book = knowing(tmp_path, "chats", ROWS)
    book.set_budget("chats", PrivacyBudget(1.5, 1e-5, "example"))
    book.charge(spend("chats", noise=10.0), "first")
    spent = book.book().report("chats").spent
    other = knowing(tmp_path, "renamed", rows)
    with pytest.raises(BudgetExceeded, match="chats"):
        other.charge(spend("renamed", noise=10.0), why)
    other.charge(spend("renamed", noise=40.0), why)
    after = Ledger(tmp_path).book()
    assert after.report("chats").spent > spent
    assert after.report("renamed").spent == pytest.approx(after.report("chats").spent)


def test_what_was_never_charged_is_known_by_the_records_that_its_budget_was_set_with(tmp_path):
    knowing(tmp_path, "chats", ROWS).set_budget("chats", PrivacyBudget(1.0, 1e-5, "example"))
    with pytest.raises(BudgetExceeded, match="chats"):
        knowing(tmp_path, "other", ROWS).charge(PrivacySpend.nonprivate("other"), "a run")


def test_data_sets_without_anybody_in_common_do_not_spend_from_each_other(tmp_path):
    knowing(tmp_path, "a", ROWS[:20]).charge(PrivacySpend.nonprivate("a"), "a run")
    knowing(tmp_path, "b", ROWS[20:]).charge(spend("b"), "a run")
    assert Ledger(tmp_path).book().report("b").spent < math.inf


def test_other_records_of_the_same_customers_count_per_customer_and_not_per_record(tmp_path):
    later = [(f"another question {number}", customer) for number, (_, customer) in enumerate(ROWS)]
    knowing(tmp_path, "may", ROWS).charge(PrivacySpend.nonprivate("may"), "a run")
    knowing(tmp_path, "june", later).charge(spend("june"), "a run")
    book = Ledger(tmp_path).book()
    assert math.isfinite(book.report("june").spent)
    assert book.spends("june", "customer") == book.spends("may", "customer")
    assert len(book.spends("june", "customer")) == 2


def test_a_declaration_does_not_part_customers_who_are_the_same(tmp_path):
    book = knowing(tmp_path, "may", ROWS)
    book.declare("june", "strangers")
    book.charge(spend("may", "customer"), "a run")
    knowing(tmp_path, "june", ROWS).charge(spend("june", "customer"), "a run")
    reports = Ledger(tmp_path).reports()
    assert reports["customers:everyone"].spent == pytest.approx(reports["customers:strangers"].spent)


def test_the_plan_leaves_room_for_what_the_same_records_spent_elsewhere(tmp_path):
    target = PrivacyBudget(4.0, 1e-5, "example")
    plan = {"sample_rate": 0.1, "steps": 50, "clip_norm": 1.0}
    alone = Ledger(tmp_path).plan("new", target, **plan)
    knowing(tmp_path, "old", ROWS).charge(spend("old", noise=8.0), "a run")
    assert knowing(tmp_path, "new", ROWS[:3]).plan("new", target, **plan).noise_multiplier > alone.noise_multiplier


def test_a_customer_and_the_mark_that_stands_for_them_are_one(tmp_path):
    marks = Marks(tmp_path)
    one, other = Members.of([("a", "anna")], tmp_path), Members.of([("b", marks.of("anna"))], tmp_path)
    assert one.shared(other) == (0, 1)


def test_a_list_that_was_changed_or_lost_stops_the_next_charge(tmp_path):
    knowing(tmp_path, "chats", ROWS).charge(spend("chats"), "a run")
    assert Ledger(tmp_path).verify().ok
    for file in (tmp_path / "privacy" / "members").iterdir():
        file.unlink()
    assert not Ledger(tmp_path).verify().ok
    with pytest.raises(LedgerTampered, match="members"):
        knowing(tmp_path, "renamed", ROWS).charge(spend("renamed"), "a run")


def test_a_lost_key_gives_no_data_set_a_second_budget_and_brings_nobody_back(tmp_path):
    knowing(tmp_path, "chats", ROWS).charge(spend("chats"), "a run")
    (tmp_path / "keys" / "members.key").unlink()
    with pytest.raises(BadRequest, match=r"members\.key is missing"):
        knowing(tmp_path, "renamed", ROWS)
    Tombstones(tmp_path).add(Marks(tmp_path).of("c1"), "2026-01-01")
    assert Tombstones(tmp_path).erased(["c1", "c2"]) == {"c1"}
    (tmp_path / "keys" / "erasure.key").unlink()
    with pytest.raises(BadRequest, match=r"erasure\.key is missing"):
        Tombstones(tmp_path).erased(["c1", "c2"])


def test_an_adapter_that_learned_from_nobody_s_records_needs_no_key(tmp_path):
    Learned(tmp_path).remember("weights", [""])
    assert Marks(tmp_path).of("c1").startswith("cust")


def test_an_id_that_only_looks_like_a_mark_is_none(tmp_path):
    marks = Marks(tmp_path)
    assert marks.known("customer-of-the-shop-number-00000042") != "customer-of-the-shop-number-00000042"
    assert marks.known(marks.of("anna")) == marks.of("anna")


def test_the_lists_name_nobody(tmp_path):
    knowing(tmp_path, "chats", ROWS).charge(spend("chats"), "a run")
    held = b"".join(file.read_bytes() for file in (tmp_path / "privacy").rglob("*") if file.is_file())
    assert b"order 1?" not in held


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_what_two_data_sets_share_is_counted(tmp_path_factory, one, other):
    folder = tmp_path_factory.getbasetemp() / "members"
    made = [Members.of([(f"text {n}", f"c{n}") for n in part], folder) for part in (one, other)]
    assert made[0].shared(made[1]) == (len(one & other), len(one & other))
