"""Laws of the book: it refuses before, counts the worst, loses nothing, and notices what was done to it."""

import dataclasses
import math
import multiprocessing
import os
import random
import signal
import sqlite3
import time

import pytest

from benchmarks.privacy_books import (
    ATTACKS,
    INTERRUPTED,
    charge_and_die,
    charge_interrupted,
    filled,
    race,
    spend,
    train_forever,
)
from privacy.accounting import epsilon
from privacy.chain import verify_export
from privacy.errors import BadRequest, BudgetExceeded, LedgerTampered, PrivacyError
from privacy.ledger import Ledger
from privacy.types import PrivacyBudget, PrivacySpend

# Never a fork of the test's own process: it has threads, and its child holds the pipe to pytest's controller.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["benchmarks.privacy_books"])

TARGET = PrivacyBudget(1.0, 1e-5, "example")


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "data", holder="demo")


def customer(dataset, steps=10, noise=20.0):
    return PrivacySpend("gaussian", noise, 1.0, steps, 1.0, "customer", dataset)


def test_two_that_planned_for_one_target_at_once_do_not_both_spend_it(ledger, tmp_path):
    def planned(book):
        return book.plan("chats", TARGET, sample_rate=0.05, steps=40, clip_norm=1.0)

    other = Ledger(tmp_path / "data")
    first, second = planned(ledger), planned(other)
    ledger.charge(first, "one", target=TARGET)
    with pytest.raises(BudgetExceeded, match=r"promises 1 per example.*since it was planned"):
        other.charge(second, "the other", target=TARGET)
    assert ledger.reports()["chats"].spent <= 1.0


def test_what_will_be_charged_beside_counts_for_the_target(ledger):
    score = spend(4)
    plan = ledger.plan("chats", TARGET, sample_rate=0.05, steps=40, clip_norm=1.0, beside=(score,))
    with pytest.raises(BudgetExceeded):
        ledger.charge(score, "too many scores", target=TARGET, beside=(plan, spend(1)))
    ledger.charge(score, "scores", target=TARGET, beside=(plan,))
    ledger.charge(plan, "run", target=TARGET)
    assert 0.9 < ledger.reports()["chats"].spent <= 1.0


# Counting


def test_a_book_that_was_never_opened_is_empty_and_whole(ledger):
    assert ledger.reports() == {}
    assert ledger.verify().ok
    assert not ledger.chain.path.exists()


def test_an_open_charge_counts_at_its_worst_and_settling_lowers_it(ledger):
    charge = ledger.charge(spend(10), "run")
    worst = ledger.reports()["chats"].spent
    assert worst == epsilon([spend(10)], 1e-5)
    ledger.settle(charge, steps=4)
    assert ledger.reports()["chats"].spent == epsilon([spend(4)], 1e-5) < worst


def test_a_quote_writes_nothing_and_tells_what_the_charge_will_cost(ledger):
    ledger.charge(spend(10), "run")
    before = len(ledger.chain.entries())
    quoted = ledger.quote(spend(5))["chats"]
    assert len(ledger.chain.entries()) == before
    ledger.charge(spend(5), "run")
    assert quoted.after_plan == ledger.reports()["chats"].spent > quoted.spent


def test_parameters_are_stored_and_no_epsilon(ledger):
    ledger.set_budget("chats", PrivacyBudget(3.0, 1e-5, "example"))
    ledger.charge(spend(), "run")
    charge = ledger.chain.entries()[-1]
    assert charge.body == {"spend": spend().to_dict(), "purpose": "run"}


def test_a_charge_is_settled_once_and_never_for_more_than_it_covers(ledger):
    charge = ledger.charge(spend(10), "run")
    for steps in (11, -1):
        with pytest.raises(BadRequest):
            ledger.settle(charge, steps=steps)
    ledger.settle(charge, steps=0)
    assert ledger.reports()["chats"].spent == 0
    for wrong in (charge, 99, 1):
        with pytest.raises(BadRequest, match="not open"):
            ledger.settle(wrong, steps=0)


# Refusing


def test_the_book_refuses_before_and_a_refusal_spends_nothing(ledger):
    ledger.set_budget("chats", PrivacyBudget(2.0, 1e-5, "example"))
    ledger.charge(spend(10), "first")
    with pytest.raises(BudgetExceeded, match="chats"):
        ledger.charge(spend(1000), "too much")
    assert len(ledger.book().charges) == 1
    report = ledger.reports()["chats"]
    assert report.spent + report.remaining == pytest.approx(2.0)


def test_a_run_without_privacy_is_infinite_and_refused_where_there_is_a_budget(ledger):
    ledger.charge(PrivacySpend.nonprivate("free"), "ordinary training")
    assert ledger.reports()["free"].spent == math.inf
    ledger.set_budget("chats", PrivacyBudget(8.0, 1e-5, "example"))
    with pytest.raises(BudgetExceeded, match="infinite"):
        ledger.charge(PrivacySpend.nonprivate("chats"), "ordinary training")
    ledger.set_budget("chats", None)
    ledger.charge(PrivacySpend.nonprivate("chats"), "ordinary training")
    assert ledger.reports()["chats"].remaining == 0


def test_customers_of_two_data_sets_lose_the_sum_unless_declared_apart(ledger):
    ledger.set_budget("customers:everyone", PrivacyBudget(1.6, 1e-5, "customer"))
    one = epsilon([customer("chats", 40)], 1e-5, unit="customer")
    assert 1 < one < 1.6
    ledger.charge(customer("chats", 40), "run")
    with pytest.raises(BudgetExceeded, match="customers:everyone"):
        ledger.charge(customer("tickets", 40), "run")
    ledger.declare("abroad", "foreigners")
    ledger.charge(customer("abroad", 40), "run")
    reports = ledger.reports()
    assert reports["customers:everyone"].spent == reports["chats"].spent == one
    assert reports["customers:foreigners"].spent == one


def test_a_budget_per_customer_is_not_kept_by_a_spend_per_example_of_unknown_count(ledger):
    ledger.set_budget("customers:everyone", PrivacyBudget(8.0, 1e-5, "customer"))
    with pytest.raises(BudgetExceeded, match="infinite"):
        ledger.charge(spend(1), "run")
    ledger.charge(dataclasses.replace(spend(1), per_customer=3), "run")


def test_a_plan_keeps_the_target_and_the_budgets_with_what_was_spent(ledger):
    ledger.charge(spend(20), "earlier")
    target = PrivacyBudget(3.0, 1e-5, "example")
    plan = ledger.plan("chats", target, sample_rate=0.05, steps=40, clip_norm=1.0)
    assert ledger.quote(plan)["chats"].after_plan <= 3.0
    ledger.set_budget("chats", PrivacyBudget(1.5, 1e-5, "example"))
    careful = ledger.plan("chats", target, sample_rate=0.05, steps=40, clip_norm=1.0)
    assert careful.noise_multiplier > plan.noise_multiplier
    ledger.charge(careful, "run")
    with pytest.raises(BudgetExceeded):
        ledger.plan("chats", target, sample_rate=1.0, steps=10**6, clip_norm=1.0)


@pytest.mark.parametrize("wrong", [(0, 1e-5), (math.inf, 1e-5), (1, 0), (1, 1), (-1, 1e-5)])
def test_a_budget_that_is_none_is_refused(ledger, wrong):
    with pytest.raises(BadRequest):
        ledger.set_budget("chats", PrivacyBudget(*wrong, "example"))


# Being interrupted and interfered with


def test_a_book_cannot_be_changed_in_place(ledger, tmp_path):
    filled(tmp_path / "data")
    connection = sqlite3.connect(ledger.chain.path)
    for statement in ("UPDATE entries SET at='x'", "DELETE FROM entries"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)


@pytest.mark.parametrize("name", ATTACKS)
def test_whoever_tampers_is_noticed_and_nothing_more_is_charged(tmp_path, name):
    filled(tmp_path / "data")
    ATTACKS[name](tmp_path / "data", random.Random(5))
    attacked = Ledger(tmp_path / "data")
    assert not attacked.verify().ok
    with pytest.raises(LedgerTampered, match="privacy verify"):
        attacked.charge(spend(), "more")


def test_an_untouched_book_is_whole_also_after_a_move(tmp_path):
    filled(tmp_path / "data")
    (tmp_path / "data").rename(tmp_path / "moved")
    assert Ledger(tmp_path / "moved").verify().ok


def test_a_roll_back_of_book_and_anchor_shows_only_against_a_head_kept_elsewhere(tmp_path):
    folder = tmp_path / "data"
    ledger = filled(folder)
    old = {name: (folder / name).read_bytes() for name in ("privacy/ledger.db", "keys/ledger.head")}
    ledger.charge(spend(), "later")
    head = ledger.verify().head
    for name, data in old.items():
        (folder / name).write_bytes(data)
    assert ledger.verify().ok
    assert not ledger.verify(head=head).ok


def test_a_copy_is_used_only_after_it_was_adopted_and_that_stays_in_the_book(tmp_path):
    filled(tmp_path / "data")
    ATTACKS["copy the folder"](tmp_path / "data", random.Random(1))
    ledger = Ledger(tmp_path / "data")
    ledger.chain.adopt("restored on a new disk; the old one is destroyed")
    assert ledger.verify().ok
    ledger.charge(spend(), "more")
    assert [entry.kind for entry in ledger.chain.entries()].count("adopted") == 1


@pytest.mark.parametrize("name", ["roll the database back", "edit a charge", "forge a settlement"])
def test_a_book_that_was_tampered_with_cannot_be_adopted(tmp_path, name):
    filled(tmp_path / "data")
    ATTACKS[name](tmp_path / "data", random.Random(1))
    with pytest.raises(LedgerTampered):
        Ledger(tmp_path / "data").chain.adopt("please")


def test_a_book_that_is_gone_is_told_as_that_with_the_file_to_put_back(tmp_path):
    ledger = filled(tmp_path / "data")
    ledger.chain.path.unlink()
    (problem,) = Ledger(tmp_path / "data").verify().problems
    assert all(word in problem for word in (str(ledger.chain.path), "empty or missing", "put back"))


def test_a_lost_key_is_replaced_in_the_open(tmp_path):
    ledger = filled(tmp_path / "data")
    ATTACKS["remove the key"](tmp_path / "data", random.Random(1))
    ledger.chain.adopt("the key was lost")
    assert ledger.verify().ok
    assert verify_export(ledger.chain.export()).ok


@pytest.mark.parametrize("place", ["before the anchor", "after the anchor", "before the commit"])
@pytest.mark.parametrize("first", [True, False])
def test_wherever_it_dies_a_charge_is_on_the_book_or_was_never_promised(tmp_path, place, first):
    folder = tmp_path / "data"
    if not first:
        filled(folder)
    before = len(Ledger(folder).book().charges)
    child = PROCESSES.Process(target=charge_and_die, args=(folder, place))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    ledger = Ledger(folder)
    assert ledger.verify().ok
    ledger.charge(spend(), "the next")
    assert ledger.verify().ok
    assert len(ledger.book().charges) >= before + 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_at_the_commit_leaves_a_book_that_is_whole(tmp_path, when):
    folder = tmp_path / "data"
    ledger = filled(folder)
    child = PROCESSES.Process(target=charge_interrupted, args=(folder, when))
    child.start()
    child.join(60)
    assert child.exitcode == INTERRUPTED
    assert ledger.verify().ok
    assert len(ledger.book().charges) == (4 if when == "before" else 5)
    ledger.charge(spend(), "the next")


def test_a_full_disk_charges_nothing_and_leaves_the_book_whole(tmp_path, monkeypatch):
    ledger = filled(tmp_path / "data")
    monkeypatch.setattr("privacy.chain._insert", _full)
    with pytest.raises(PrivacyError, match="full"):
        ledger.charge(spend(), "no room")
    monkeypatch.undo()
    assert ledger.verify().ok
    assert ledger.verify().notes == ()
    assert len(ledger.book().charges) == 4


def _full(*_):
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


def test_after_kills_at_any_moment_the_book_never_says_less_than_was_done(tmp_path):
    folder, log = tmp_path / "data", tmp_path / "steps"
    rng = random.Random(3)
    for number in range(12):
        begun = log.stat().st_size if log.exists() else 0
        child = PROCESSES.Process(target=train_forever, args=(folder, log, number))
        child.start()
        while not log.exists() or log.stat().st_size == begun:
            assert child.is_alive()
            time.sleep(0.005)
        time.sleep(rng.random() * 0.15)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        ledger = Ledger(folder)
        assert ledger.verify().ok
        taken = log.stat().st_size if log.exists() else 0
        assert sum(charge.counted.steps for charge in ledger.book().charges.values()) >= taken
    assert taken > 0


def test_racing_processes_spend_the_budget_exactly_and_lose_nothing(tmp_path):
    folder = tmp_path / "data"
    one = PrivacyBudget(epsilon([spend(20, noise=5.0)], 1e-5) * 1.0001, 1e-5, "example")
    ledger = Ledger(folder)
    ledger.set_budget("chats", one)
    with PROCESSES.Pool(8) as pool:
        taken = pool.starmap(race, [(folder, 10)] * 8, chunksize=1)
    assert sum(taken) == len(ledger.book().charges) == 20
    assert ledger.reports()["chats"].spent <= one.epsilon
    assert ledger.verify().ok


def test_an_export_is_checked_without_the_machine_and_shows_every_change(tmp_path):
    exported = filled(tmp_path / "data").chain.export()
    assert verify_export(exported).ok
    assert verify_export(exported).head == exported["head"]
    changed = {**exported, "entries": exported["entries"][:-1]}
    assert not verify_export(changed).ok
    assert not verify_export({}).ok


def test_a_name_spelled_another_way_has_no_budget_of_its_own(tmp_path):
    book = Ledger(tmp_path)
    book.set_budget("Chats", PrivacyBudget(1.0, 1e-5, "example"))
    for name in ("chats", " CHATS ", "ｃhats"):
        with pytest.raises(BudgetExceeded):
            book.charge(PrivacySpend("dpsgd", 0.5, 0.5, 1000, 1.0, "example", name), "again")


def test_a_budget_per_customer_is_not_replaced_by_one_per_record_under_another_spelling(tmp_path):
    book = Ledger(tmp_path)
    book.set_budget("customers:everyone", PrivacyBudget(3.0, 1e-5, "customer"))
    with pytest.raises(BadRequest, match="per customer"):
        book.set_budget("Customers:Everyone", PrivacyBudget(3.0, 1e-5, "example"))
    with pytest.raises(BadRequest, match="name"):
        book.set_budget("  ", PrivacyBudget(3.0, 1e-5, "example"))
    assert book.book().budgets["customers:everyone"].unit == "customer"


def test_declaring_another_population_takes_nothing_back(tmp_path):
    book = Ledger(tmp_path)
    spend = PrivacySpend("dpsgd", 1.0, 0.01, 500, 1.0, "customer", "chats")
    book.charge(spend, "first")
    before = book.book().report("customers:everyone").spent
    book.declare("chats", "others")
    assert book.book().report("customers:everyone").spent == before > 0
    assert book.book().report("customers:others").spent == before


def test_an_ordinary_training_cannot_be_taken_off_the_book(tmp_path):
    book = Ledger(tmp_path)
    charge = book.charge(PrivacySpend.nonprivate("chats"), "ordinary")
    with pytest.raises(BadRequest, match="taken back"):
        book.settle(charge, steps=0)
    assert book.book().report("chats").spent == math.inf


def test_a_budget_whose_delta_promises_nothing_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="delta"):
        Ledger(tmp_path).set_budget("chats", PrivacyBudget(1.0, 0.99, "example"))


def test_noise_that_is_none_is_an_infinite_epsilon():
    assert epsilon([PrivacySpend("dpsgd", 1e-300, 0.5, 10, 1.0, "example", "d")], 1e-5) == math.inf
