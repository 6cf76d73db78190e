"""The book of what a data holder's data has spent: quote -> charge -> settle.

Not training and no arithmetic of privacy (`accounting.py`); what makes the book tamper-evident is `chain.py`.
Parameters are stored, never epsilon. A charge stands at its worst cost from before the first step; settling
lowers it to the steps that were taken. A crash in between leaves the worst cost on the book.

Budgets belong to scopes: a data set's name, or `customers:NAME` for all data sets whose customers may be the same
people. Every data set belongs to the population `everyone` until it is declared to another; what a customer
loses at two data sets of a population adds up. A data set is its records, not its name: where those are known
(`members.py`) data sets with records or customers in common spend from each other's budgets, whatever they are called.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from privacy.accounting import calibrate, epsilon
from privacy.chain import Chain, Entry
from privacy.errors import BadRequest, BudgetExceeded, LedgerTampered
from privacy.members import Members
from privacy.types import DELTA, PrivacyBudget, PrivacyReport, PrivacySpend, Unit, Verification

EVERYONE = "everyone"
CUSTOMERS = "customers:"
MOST_DELTA = 0.01
_UNITS: tuple[Unit, ...] = ("example", "customer", "partner")
Shares = Mapping[str, tuple[int, int]]
"""Another data set -> how many (records, customers) one has in common with it."""


def known_as(name: str) -> str:
    """The one spelling of a data set's or scope's name: case, width and outer spaces make no new budget."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


@dataclass(frozen=True, slots=True)
class Charge:
    """One spend on the book. `settled` is the steps that were taken; None = open, counted at its worst.

    `population` is whose customers the data set's were said to be when it was charged.
    """

    id: int
    at: str
    spend: PrivacySpend
    purpose: str
    settled: int | None = None
    population: str = "everyone"

    @property
    def counted(self) -> PrivacySpend:
        """What counts of it."""
        return self.spend if self.settled is None else dataclasses.replace(self.spend, steps=self.settled)


@dataclass(slots=True)
class Book:
    """What the entries add up to. `budgets` by scope, `populations` by data set, `charges` by id.

    `members`: data set -> the lists of its records and customers, as often as they changed. `shared`: data set ->
    data sets that have records or customers in common with it.
    """

    budgets: dict[str, PrivacyBudget] = field(default_factory=dict)
    populations: dict[str, str] = field(default_factory=dict)
    charges: dict[int, Charge] = field(default_factory=dict)
    members: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    shared: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Book:
        """The book that these entries make."""
        book = cls()
        for entry in entries:
            book._read(entry)
        return book

    def _read(self, entry: Entry) -> None:
        body = entry.body
        if entry.kind == "budget":
            if body["budget"] is None:
                self.budgets.pop(known_as(body["scope"]), None)
            else:
                self.budgets[known_as(body["scope"])] = PrivacyBudget(**body["budget"])
            self._know(body["scope"], body)
        elif entry.kind == "population":
            self.populations[known_as(body["dataset"])] = known_as(body["population"])
        elif entry.kind == "charge":
            spend = PrivacySpend.from_dict(body["spend"])
            population = self.populations.get(known_as(spend.dataset), EVERYONE)
            self.charges[entry.seq] = Charge(entry.seq, entry.at, spend, body["purpose"], population=population)
            self._know(spend.dataset, body)
        elif entry.kind == "settle":
            charge = self.charges[body["charge"]]
            self.charges[charge.id] = dataclasses.replace(charge, settled=body["steps"])

    def _know(self, dataset: str, body: dict[str, Any]) -> None:
        if "members" in body:
            self.members.setdefault(known_as(dataset), set()).add(tuple(body["members"]))
            self.link(dataset, {name: (both[0], both[1]) for name, both in body["shares"].items()})

    def link(self, dataset: str, shares: Shares) -> None:
        """Says what a data set has in common with others; what is known already only grows."""
        one = known_as(dataset)
        for other, (records, customers) in shares.items():
            for here, there in ((one, known_as(other)), (known_as(other), one)):
                before = self.shared.setdefault(here, {}).get(there, (0, 0))
                self.shared[here][there] = (max(records, before[0]), max(customers, before[1]))

    def same(self, dataset: str, unit: Unit) -> list[str]:
        """The data set, and those that hold some of its units: of its records, or of its customers too."""
        name = known_as(dataset)
        found = self.shared.get(name, {}).items()
        return [name, *(other for other, (records, people) in found if records or (people and unit != "example"))]

    def scopes(self, dataset: str) -> list[str]:
        """The scopes that a spend of the data set falls into: its own, and its population."""
        name = known_as(dataset)
        return [name, CUSTOMERS + self.populations.get(name, EVERYONE)]

    def limits(self, dataset: str) -> list[str]:
        """The scopes with a budget that a spend of the data set must keep: its own, its population's, and those of
        the data sets that hold some of its units."""
        own = [name for name in self.budgets if name in self.same(dataset, self.budgets[name].unit)]
        people = {self.scopes(name)[1] for name in self.same(dataset, "customer")}
        return [*sorted(own, key=lambda name: name != known_as(dataset)), *sorted(people & set(self.budgets))]

    def spends(self, scope: str, unit: Unit | None = None) -> list[PrivacySpend]:
        """All that counts in a scope, for a unit (default: its budget's). A charge also counts where its data set
        belonged when it was made: declaring another population later takes nothing back."""
        scope = known_as(scope)
        unit = unit or self.budget(scope).unit
        if not scope.startswith(CUSTOMERS):
            same = set(self.same(scope, unit))
            return [one.counted for one in self.charges.values() if known_as(one.spend.dataset) in same]
        return [
            charge.counted
            for charge in self.charges.values()
            if scope == CUSTOMERS + charge.population
            or any(scope == self.scopes(name)[1] for name in self.same(charge.spend.dataset, "customer"))
        ]

    def budget(self, scope: str) -> PrivacyBudget:
        """The scope's budget; without one an endless one, for the unit that its spends were made for."""
        scope = known_as(scope)
        if scope in self.budgets:
            return self.budgets[scope]
        units = {one.spend.unit for one in self.charges.values() if known_as(one.spend.dataset) == scope}
        smallest: Unit = "customer" if scope.startswith(CUSTOMERS) else min(units or {"example"}, key=_UNITS.index)
        return PrivacyBudget(math.inf, DELTA, smallest)

    def report(self, scope: str, plan: PrivacySpend | None = None) -> PrivacyReport:
        """What is spent and left in a scope, and what would be spent after `plan`."""
        budget, spends = self.budget(scope), self.spends(scope)
        if plan is not None and scope not in self.budgets and not spends and not scope.startswith(CUSTOMERS):
            budget = dataclasses.replace(budget, unit=plan.unit)
        spent = epsilon(spends, budget.delta, unit=budget.unit)
        after = None if plan is None else epsilon([*spends, plan], budget.delta, unit=budget.unit)
        return PrivacyReport(budget, spent, max(0.0, budget.epsilon - spent) if spent < math.inf else 0.0, after)


class Ledger:
    """The book in `folder/privacy/ledger.db`; its key and anchor are in `folder/keys`. Safe among processes."""

    def __init__(self, folder: Path, *, keys: Path | None = None, holder: str = "") -> None:
        """`keys`: another folder for key and anchor, best on another disk. `holder`: whose data, for a new book."""
        self.chain = Chain(folder / "privacy" / "ledger.db", keys=keys or folder / "keys", holder=holder)
        self._lists = folder / "privacy" / "members"
        self._known: dict[str, Members] = {}

    def knowing(self, dataset: str, members: Members) -> Ledger:
        """The same book, which knows who is in a data set: what is planned and charged for it is held against every
        data set that has some of them."""
        other = copy.copy(self)
        other._known = {**self._known, known_as(dataset): members}
        return other

    def book(self) -> Book:
        """Everything on the book. Raises LedgerTampered."""
        return self._linked(Book.of(self.chain.entries()))

    def _linked(self, book: Book) -> Book:
        """The book with what the data sets in hand have in common with those on it."""
        for name, members in self._known.items():
            book.link(name, self._shares(book, name, members))
        return book

    def _shares(self, book: Book, dataset: str, members: Members) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for other in set(book.members) - {dataset}:
            for names in book.members[other]:
                records, customers = members.shared(Members.load(self._lists, names))
                before = found.get(other, (0, 0))
                found[other] = (max(records, before[0]), max(customers, before[1]))
        return {other: both for other, both in found.items() if any(both)}

    def _membership(self, book: Book, dataset: str) -> dict[str, Any]:
        """What an entry says of who is in the data set; nothing where that is not in hand."""
        name = known_as(dataset)
        if name not in self._known:
            return {}
        shares = {other: list(both) for other, both in sorted(book.shared.get(name, {}).items())}
        return {"members": self._known[name].save(self._lists), "shares": shares}

    def quote(self, spend: PrivacySpend) -> dict[str, PrivacyReport]:
        """What every scope would look like after `spend`; nothing is written."""
        book = self.book()
        return {scope: book.report(scope, spend) for scope in _asked(book, spend)}

    def charge(
        self, spend: PrivacySpend, purpose: str, *, target: PrivacyBudget | None = None,
        beside: Sequence[PrivacySpend] = (),
    ) -> int:  # fmt: skip
        """Puts the worst cost of a plan on the book, durably, and gives its id. Call before the first step.

        `target` is what it was planned for, `beside` what will be charged with it: others may have charged since.

        Raises:
            BudgetExceeded: the target or a budget does not cover it; nothing was spent.
            LedgerTampered: the book cannot be trusted; nothing was spent.
            BadRequest: a parameter is out of its range.
        """
        if spend.steps < 1 or not known_as(spend.dataset) or known_as(spend.dataset).startswith(CUSTOMERS):
            raise BadRequest(f"A charge names a data set and at least one step; this one: {spend}.")
        epsilon([spend], DELTA, unit=spend.unit)  # says what is wrong with its parameters
        with self.chain.writing() as writer:
            book = self._linked(Book.of(writer.entries))
            if target is not None:
                _refuse_beyond(target, [*book.spends(spend.dataset, target.unit), spend, *beside], spend.dataset)
            for scope in _asked(book, spend):
                if scope in book.budgets:
                    _refuse_over(scope, book.report(scope, spend), spend)
            body = {"spend": spend.to_dict(), "purpose": purpose, **self._membership(book, spend.dataset)}
            return writer.append("charge", body).seq

    def settle(self, charge: int, *, steps: int) -> None:
        """Lowers a charge to the steps that were taken, 0 where training never began. Once.

        Raises:
            BadRequest: there is no such open charge, or more steps were taken than charged.
        """
        with self.chain.writing() as writer:
            known = Book.of(writer.entries).charges.get(charge)
            if known is None or known.settled is not None:
                raise BadRequest(f"Charge {charge} is not open.", hint="`privacy report` lists the charges.")
            if not 0 <= steps <= known.spend.steps:
                raise BadRequest(f"Charge {charge} covers {known.spend.steps} steps, not {steps}.")
            if steps == 0 and known.spend.mechanism == "nonprivate":
                raise BadRequest(
                    f"Charge {charge} (an ordinary training) cannot be taken back: nobody can show that the data "
                    "was not used.", hint="It stays on the book.",
                )  # fmt: skip
            writer.append("settle", {"charge": charge, "steps": steps})

    def set_budget(self, scope: str, budget: PrivacyBudget | None) -> None:
        """Sets the most that may be spent in a scope; None lifts it. It stands in the book who could do what, when.

        Raises:
            BadRequest: epsilon, delta or unit is out of its range.
        """
        scope = known_as(scope)
        if budget is not None:
            if not (0 < budget.epsilon < math.inf and 0 < budget.delta <= MOST_DELTA and budget.unit in _UNITS):
                raise BadRequest(
                    f"A budget has an epsilon above 0 and a delta above 0 and at most {MOST_DELTA:g}, "
                    f"not {budget.epsilon:g} and {budget.delta:g}.",
                    hint="Delta is the chance that the promise fails altogether: less than one over the records.",
                )
            if scope.startswith(CUSTOMERS) and budget.unit != "customer":
                raise BadRequest(f"The budget of {scope} is one per customer.", hint="Add --unit customer.")
        if not scope:
            raise BadRequest("A budget needs the name of a data set.")
        with self.chain.writing() as writer:
            body: dict[str, Any] = {"scope": scope, "budget": dataclasses.asdict(budget) if budget else None}
            book = self._linked(Book.of(writer.entries))
            writer.append("budget", body | self._membership(book, scope))

    def declare(self, dataset: str, population: str) -> None:
        """Says that the data set's customers are `population`: none of them is in another population's data sets."""
        if not known_as(dataset) or not known_as(population):
            raise BadRequest("A declaration names a data set and its population.")
        with self.chain.writing() as writer:
            writer.append("population", {"dataset": dataset, "population": population})

    def plan(
        self,
        dataset: str,
        target: PrivacyBudget,
        *,
        sample_rate: float,
        steps: int,
        clip_norm: float,
        per_customer: int | None = None,
        beside: Sequence[PrivacySpend] = (),
    ) -> PrivacySpend:
        """The plan with the least noise that keeps the target and every budget, all that was spent included.

        `beside` is what will be charged with it.

        Raises:
            BudgetExceeded: nothing is left for so many steps.
        """
        book = self.book()
        unit: Unit = target.unit
        limits = [(target, book.spends(dataset, unit))]
        for scope in book.limits(dataset):
            limits.append((book.budgets[scope], book.spends(scope)))
        group = per_customer or 1
        noise = 0.0
        for budget, before in limits:
            spent = [*before, *beside]
            if _UNITS.index(budget.unit) > _UNITS.index(unit) and per_customer is None:
                raise BudgetExceeded(
                    f"{dataset} has a budget per {budget.unit}, and a plan per {unit} does not bound that.",
                    hint=f"Train with --unit {budget.unit}.",
                )
            grouped = group if budget.unit != unit else 1
            noise = max(
                noise, calibrate(budget, sample_rate=sample_rate, steps=steps, spent=spent, per_customer=grouped)
            )
        return PrivacySpend("dpsgd", noise, sample_rate, steps, clip_norm, unit, dataset, per_customer)

    def reports(self) -> dict[str, PrivacyReport]:
        """Every scope that has spends or a budget, by name; the populations last."""
        book = self.book()
        charged = {scope for charge in book.charges.values() for scope in book.scopes(charge.spend.dataset)}
        named = {scope for scope in charged if not scope.startswith(CUSTOMERS)} | set(book.budgets)
        if any(charge.spend.unit == "customer" for charge in book.charges.values()):
            named |= charged
        return {scope: book.report(scope) for scope in sorted(named, key=lambda s: (s.startswith(CUSTOMERS), s))}

    def verify(self, *, head: str | None = None) -> Verification:
        """Looks at the whole book and its witnesses; `head` is one kept elsewhere."""
        found = self.chain.verify(head=head)
        if not (found.ok and found.entries):
            return found
        lost = []
        for lists in self.book().members.values():
            for names in lists:
                try:
                    Members.load(self._lists, names)
                except LedgerTampered as error:
                    lost.append(error.message)
        return dataclasses.replace(found, problems=tuple(lost))


def _asked(book: Book, spend: PrivacySpend) -> list[str]:
    """The scopes that have a say in a spend: its data set, and its population where customers are the unit; and all
    that have a budget which it must keep."""
    own, people = book.scopes(spend.dataset)
    return list(dict.fromkeys([own, *([people] if spend.unit == "customer" else []), *book.limits(spend.dataset)]))


def _refuse_beyond(target: PrivacyBudget, spends: Sequence[PrivacySpend], dataset: str) -> None:
    after = epsilon(spends, target.delta, unit=target.unit)
    if after > target.epsilon:
        after_words = f"{after:.3g}" if math.isfinite(after) else "infinite"
        raise BudgetExceeded(
            f"Refused: epsilon of {dataset} would be {after_words}, and this run promises {target.epsilon:g} per "
            f"{target.unit} at delta {target.delta:g}: others were charged since it was planned.",
            hint="Nothing was trained. Start it again: it is planned anew for what is left.",
        )


def _refuse_over(scope: str, report: PrivacyReport, spend: PrivacySpend) -> None:
    budget, after = report.budget, report.after_plan or 0.0
    if after <= budget.epsilon:
        return
    same = (
        ""
        if known_as(spend.dataset) == scope or scope.startswith(CUSTOMERS)
        else (f"{spend.dataset} has records or customers in common with {scope}. ")
    )
    limit = f"its budget is epsilon {budget.epsilon:g} per {budget.unit} at delta {budget.delta:g}"
    if spend.mechanism == "nonprivate":
        raise BudgetExceeded(
            f"{same}Training on {scope} without differential privacy makes its epsilon infinite, and {limit}.",
            hint="Train with --dp, or lift the budget with `privacy budget`.",
        )
    after_words = f"{after:.3g}" if math.isfinite(after) else "infinite"
    raise BudgetExceeded(
        f"{same}Refused: epsilon of {scope} would be {after_words}; {limit}, and {report.spent:.3g} is spent.",
        hint="`privacy plan` shows what can still be afforded.",
    )
