"""The privacy book under load: its epsilon against other implementations, kills, races, tampering."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import tempfile
import time
import warnings
from pathlib import Path

from assistant.types import Measure, Report
from benchmarks.common import provenance
from benchmarks.privacy_books import ATTACKS, filled, race, spend, train_forever
from privacy.accounting import epsilon
from privacy.ledger import Ledger
from privacy.types import PrivacyBudget, PrivacySpend

PLANS, KILLS, PROCESSES, ROUNDS = 200, 500, 50, 5
_FORK = multiprocessing.get_context("fork")


def accounting() -> Report:
    """Epsilon that was written to a book and read from it, against dp-accounting's on a fine grid and Opacus' own.

    `max_relative_error` is against dp-accounting composed by hand on a grid of 1e-4 (1e-5 under epsilon 1);
    `max_relative_error_prv` against the middle of what Opacus' PRV accountant bounds, another
    implementation; `understated` counts plans whose epsilon is under Opacus' lower bound.
    """
    chance = random.Random(7)
    worst = worst_prv = 0.0
    understated = compared = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(PLANS):
            spends, delta = _plan(chance, f"plan {number}")
            ours = _through_a_book(Path(folder) / str(number % 10), spends, delta)
            if not 0.01 <= ours <= 50:
                continue
            compared += 1
            exact = _by_hand(spends, delta, 1e-4 if ours > 1 else 1e-5)
            worst = max(worst, abs(ours / exact - 1))
            low, high = _prv(spends, delta, ours)
            understated += ours < low
            worst_prv = max(worst_prv, abs(ours / ((low + high) / 2) - 1))
    return Report(
        "ledger-accounting",
        (
            Measure("max_relative_error", worst, n=compared), Measure("understated", understated, n=compared),
            Measure("max_relative_error_prv", worst_prv, n=compared),
        ),
        provenance(seed=7),
    )  # fmt: skip


def _plan(chance: random.Random, name: str) -> tuple[list[PrivacySpend], float]:
    """One to three runs over a data set, as large and as noisy as runs are."""
    spends = []
    for _ in range(chance.randint(1, 3)):
        rate = 10 ** chance.uniform(-3, -0.5)
        noise = 10 ** chance.uniform(-0.15, 0.8)
        steps = int(10 ** chance.uniform(1, 3.5))
        spends.append(PrivacySpend("dpsgd", round(noise, 3), round(rate, 5), steps, 1.0, "example", name))
    return spends, 10 ** chance.uniform(-7, -4.5)


def _through_a_book(folder: Path, spends: list[PrivacySpend], delta: float) -> float:
    """Charged, half of them settled at fewer steps and charged again for the rest, then asked."""
    ledger = Ledger(folder)
    for one in spends:
        charge = ledger.charge(one, "a run")
        if one.steps % 2:
            ledger.settle(charge, steps=one.steps)
    return epsilon(ledger.book().spends(spends[0].dataset), delta)


def _by_hand(spends: list[PrivacySpend], delta: float, grid: float) -> float:
    import dp_accounting as dp
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(value_discretization_interval=grid)
    for one in spends:
        event = dp.PoissonSampledDpEvent(one.sample_rate, dp.GaussianDpEvent(one.noise_multiplier))
        accountant.compose(event, one.steps)
    return float(accountant.get_epsilon(delta))


def _prv(spends: list[PrivacySpend], delta: float, about: float) -> tuple[float, float]:
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(one.noise_multiplier, one.sample_rate, one.steps) for one in spends]
    error = max(0.002 * about, 1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        low, _, high = accountant._get_dprv(error, delta / 1000).compute_epsilon(delta, delta / 1000, error)
    return float(low), float(high)


def kills() -> Report:
    """SIGKILL at random moments of charging, training and settling: steps taken that the book does not count."""
    chance = random.Random(11)
    understated = broken = 0
    epsilon([spend()], 1e-5)  # the children inherit what this imports and are killed at work, not at importing
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name) / "data", Path(name) / "steps"
        for number in range(KILLS):
            child = _FORK.Process(target=train_forever, args=(folder, log, number))
            child.start()
            time.sleep(0.01 + chance.random() * 0.4)
            os.kill(child.pid or 0, signal.SIGKILL)
            child.join()
            ledger = Ledger(folder)
            broken += not ledger.verify().ok
            taken = log.stat().st_size if log.exists() else 0
            counted = sum(charge.counted.steps for charge in ledger.book().charges.values())
            understated += counted < taken
        entries = len(ledger.chain.entries())
    measures = (Measure("understated", understated, n=KILLS), Measure("broken", broken, n=KILLS),
                Measure("entries", entries), Measure("steps_taken", taken), Measure("steps_counted", counted))  # fmt: skip
    return Report("ledger-kills", measures, provenance(seed=11))


def racing() -> Report:
    """Fifty processes charge one budget at once: what was spent beyond it, and charges that are not on the book."""
    lost = over = unused = 0
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            folder, room = Path(name) / "data", 40 + 17 * number
            ledger = Ledger(folder)
            limit = epsilon([spend(room, noise=5.0)], 1e-5) * 1.0001
            ledger.set_budget("chats", PrivacyBudget(limit, 1e-5, "example"))
            with _FORK.Pool(PROCESSES) as pool:
                taken = sum(pool.starmap(race, [(folder, 10)] * PROCESSES, chunksize=1))
            report, rows = ledger.reports()["chats"], len(ledger.book().charges)
            over += report.spent > limit
            lost += taken - rows
            unused += room - rows
    measures = (Measure("overspent", over, n=ROUNDS), Measure("lost_rows", lost, n=ROUNDS),
                Measure("left_unused", unused, n=ROUNDS), Measure("processes", PROCESSES))  # fmt: skip
    return Report("ledger-race", measures, provenance(seed=0))


def tampering() -> Report:
    """Every attack on ten books each: how many go unnoticed, and how many untouched books are suspected."""
    undetected, false_alarms, tried = 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        for seed in range(10):
            for number, attack in enumerate(ATTACKS.values()):
                folder = Path(name) / f"{seed}-{number}"
                ledger = filled(folder, 3 + seed % 3)
                false_alarms += not ledger.verify().ok
                attack(folder, random.Random(seed))
                undetected += Ledger(folder).verify().ok
                tried += 1
    measures = (Measure("undetected", undetected, n=tried), Measure("false_alarms", false_alarms, n=tried))
    return Report("ledger-tamper", measures, provenance(seed=0))
