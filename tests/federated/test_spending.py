"""Laws of a run's privacy: one calibration for all rounds, each side its own book, a spent partner sits out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from standin import SHAPES, Quadratic, identities, start
from test_learning import PLAN, rows

from assistant.tuning import lora, records
from assistant.tuning.tasks import make_task
from federated import learning, masking
from federated.errors import BadRequest, PolicyVeto, RoundVoid
from federated.learning import LoraTrainer
from federated.local import Partner, Policy
from federated.rounds import Coordinator, RunConfig
from federated.simulate import InProcess
from federated.spending import OwnBook, promise
from federated.types import ClientUpdate, RoundPlan, TensorSpec
from privacy.accounting import epsilon
from privacy.ledger import Ledger
from privacy.types import PrivacyBudget, PrivacySpend

OPTIONS = {"epochs": 1.0, "learning_rate": 0.02, "batch_size": 4, "precision": "float32"}


class Federation:
    """Three partners with tiny networks and books of their own, two customers each."""

    def __init__(self, folder: Path, unit: str, *, rounds: int = 3, target: float = 8.0, most: float = 0.0) -> None:
        self.folder = folder
        made, roster = identities(folder, 3)
        self.books, sites, self.updates = [], [], list[ClientUpdate]()
        for number, identity in enumerate(made):
            kept = records.records_of(
                "chat", [dataclasses.replace(row, customer=f"c{row.line % 4}") for row in rows(number)]
            )
            task = make_task(kept)
            home = folder / identity.card.name
            book = OwnBook(Ledger(home, holder="x"), "chats", home / "run", most if number == 0 else 0.0)
            trainer = LoraTrainer(
                lora.attach(tiny.llama(), PLAN), task, task.examples(kept, tiny.tokenizer()), book=book,
                judge=lambda net: {"score": 1.0},
            )  # fmt: skip
            trainer._conforms = number > 0  # the set-ups are alike: the questions are asked once
            sites.append(Partner(identity, trainer, home / "run", peers=roster.cards(), policy=Policy(), book=book))
            self.books.append(book)
        federation = self

        class Wire(InProcess):
            def train(self, plan: RoundPlan, start: Any) -> Iterable[Any]:
                for update in super().train(plan, start):
                    federation.updates += [update] if isinstance(update, ClientUpdate) else []
                    yield update

        config = RunConfig(
            "run", rounds, mode="plain", encoding="float32", quorum=2, clip_norm=100.0, training=OPTIONS,
            dp=promise(unit, target, 1e-5, rounds),
        )  # fmt: skip
        first = learning.weights_of(lora.attach(tiny.llama(), PLAN))
        self.lead = Coordinator(config, folder / "run", first, wire=Wire(sites), verify=roster.verify)

    def spends(self, number: int) -> list[PrivacySpend]:
        return self.books[number].ledger.book().spends("chats")


@pytest.mark.parametrize("unit", ["example", "customer"])
def test_each_partners_book_ends_where_the_one_calibration_said(tmp_path: Path, unit: Any) -> None:
    made = Federation(tmp_path, unit)
    results = made.lead.go()
    assert all(result.accepted == ("p0", "p1", "p2") for result in results)
    for number in range(3):
        calibrated = json.loads((tmp_path / f"p{number}" / "run" / "calibration.json").read_text())["spend"]
        part = PrivacySpend.from_dict(calibrated)
        whole = dataclasses.replace(part, steps=3 * part.steps)
        spends = made.spends(number)
        assert len(spends) == 3
        assert {spend.noise_multiplier for spend in spends} == {whole.noise_multiplier}
        assert sum(spend.steps for spend in spends) == whole.steps
        booked = made.books[number].epsilon(1e-5, unit)
        assert abs(booked - epsilon([whole], 1e-5, unit=unit)) < 1e-9
        # the least noise that keeps the target: not more than it, and near to it
        assert 0.97 * 8 < booked <= 8


def test_the_manifest_shows_the_spend_and_the_update_tells_nothing_of_it(tmp_path: Path) -> None:
    made = Federation(tmp_path, "example", rounds=2)
    made.lead.go()
    first, second = (json.loads(line) for line in (tmp_path / "p1" / "run" / "sent.jsonl").read_text().splitlines())
    assert first["spend"]["mechanism"] == "dpsgd"
    assert 0 < first["epsilon"] < second["epsilon"] <= 8
    assert second["epsilon"] == pytest.approx(made.books[1].epsilon(1e-5, "example"))
    assert all((update.spend, update.examples, dict(update.metrics)) == (None, 0, {}) for update in made.updates)
    assert all(not result.metrics for result in made.lead.results)
    assert "nobody measured it" in made.lead.objections()[0]


def test_a_partner_whose_budget_is_spent_sits_out_and_the_round_goes_on(tmp_path: Path) -> None:
    made = Federation(tmp_path, "example")
    spend = PrivacySpend("dpsgd", 0.6, 0.5, 60, 1.0, "example", "chats")

    def spend_elsewhere(result: Any) -> None:
        if result.round == 1:
            made.books[0].ledger.charge(spend, "another training")

    results = made.lead.go(spend_elsewhere)
    assert [result.accepted for result in results] == [("p0", "p1", "p2"), ("p1", "p2"), ("p1", "p2")]
    (refusal,) = results[1].refused
    assert refusal.reason.startswith("Its privacy budget is spent")
    assert not any(letter.isdigit() for letter in refusal.reason)  # how much, only the partner knows
    (entry, _) = (json.loads(line) for line in (tmp_path / "p0" / "run" / "skipped.jsonl").read_text().splitlines())
    assert "limit of this run is 8" in entry["reason"]


def test_a_partners_own_lower_limit_is_kept(tmp_path: Path) -> None:
    made = Federation(tmp_path, "example", rounds=2, most=2.0)
    made.lead.go()
    assert 1.9 < made.books[0].epsilon(1e-5, "example") <= 2.0
    assert 7.7 < made.books[1].epsilon(1e-5, "example") <= 8.0


def test_an_ordinary_round_stays_on_the_book_and_a_budget_refuses_it(tmp_path: Path) -> None:
    made = Federation(tmp_path, "", rounds=1)
    made.books[0].ledger.set_budget("chats", PrivacyBudget(8.0, 1e-5, "example"))
    (result,) = made.lead.go()
    assert result.accepted == ("p1", "p2")
    assert [spend.mechanism for spend in made.spends(1)] == ["nonprivate"]
    assert made.spends(0) == []


# The unit partner


def partner_run(folder: Path, *, mode: Any = "masked", rounds: int = 4, count: int = 4, **more: Any) -> Any:
    made, roster = identities(folder, count)
    trainers = [Quadratic(number) for number in range(count)]
    books = [OwnBook(Ledger(folder / f"p{n}", holder="x"), "chats", folder / f"p{n}" / "run") for n in range(count)]
    sites = [
        Partner(identity, trainer, folder / identity.card.name / "run", peers=roster.cards(), book=book)
        for identity, trainer, book in zip(made, trainers, books, strict=True)
    ]
    config = RunConfig(
        "run", rounds, mode=mode, encoding="float32", clip_norm=1.0, dp=promise("partner", 4.0, 1e-5, rounds)
    )
    wire = more.pop("wire", InProcess)(sites, **more)
    ledger = Ledger(folder / "lead", holder="run")
    lead = Coordinator(config, folder / "run", start(), wire=wire, verify=roster.verify, book=ledger)
    return lead, ledger, books, sites


@pytest.mark.parametrize("mode", ["masked", "plain"])
def test_the_runs_and_the_partners_books_spend_what_was_promised(tmp_path: Path, mode: str) -> None:
    lead, ledger, books, _ = partner_run(tmp_path, mode=mode)
    lead.go()
    for spent in (epsilon(ledger.book().spends("run"), 1e-5, unit="partner"), books[2].epsilon(1e-5, "partner")):
        assert 0.97 * 4 < spent <= 4
    assert books[0].epsilon(1e-5, "customer") <= 4  # who hides a partner hides its customers


def test_a_void_round_costs_nothing_and_a_killed_one_its_whole_charge(tmp_path: Path) -> None:
    away = {"p0", "p1"}
    lead, ledger, books, _ = partner_run(tmp_path, unreachable=lambda number, name: name in away)
    with pytest.raises(RoundVoid):
        lead.go()
    assert sum(spend.steps for spend in ledger.book().spends("run")) == 0
    assert books[3].epsilon(1e-5, "partner") == 0  # nothing was disclosed, so no sum was readable
    away.clear()
    ledger.charge(PrivacySpend("gaussian", lead.config.dp.noise_multiplier, 1.0, 1, 1.0, "partner", "run"), "killed")
    lead.results = ()
    lead.go()
    assert lead.round == 3
    assert "privacy is spent after 3 rounds" in lead.ended


@pytest.mark.parametrize("mode", ["masked", "plain"])
def test_an_attempt_that_partners_charged_counts_for_the_run_too_which_ends_early_and_is_kept(
    tmp_path: Path, mode: str
) -> None:
    lead, ledger, books, sites = partner_run(tmp_path, mode=mode, count=3)

    class Late(InProcess):
        def train(self, plan: RoundPlan, start: Any) -> Iterable[Any]:
            for update in super().train(plan, start):
                if lead.results or mode == "masked" or update.partner != "p2":
                    yield update

        def disclose(self, plan: RoundPlan, arrived: tuple[str, ...]) -> Iterable[Any]:
            return (each for each in super().disclose(plan, arrived) if lead.results or each.partner != "p2")

    lead._wire = Late(sites)
    results = lead.go()
    assert [result.committed for result in results] == [False, True, True, True]
    assert "spent after 3 rounds" in lead.ended
    assert ledger.book().spends("run") != []
    spent = epsilon(ledger.book().spends("run"), 1e-5, unit="partner")
    assert [book.epsilon(1e-5, "partner") for book in books] == [spent] * 3


@pytest.mark.parametrize("mode", ["masked", "plain"])
def test_a_partner_whose_own_book_has_a_smaller_budget_sits_out_and_nobody_is_told_how_small(
    tmp_path: Path, mode: str
) -> None:
    lead, _, books, _ = partner_run(tmp_path, mode=mode, rounds=1)
    books[3].ledger.set_budget("chats", PrivacyBudget(1.0, 1e-5, "customer"))
    (result,) = lead.go()
    assert result.accepted == ("p0", "p1", "p2")
    (refusal,) = result.refused
    assert refusal.reason == "Its privacy budget is spent: it sits this round out."
    assert "its budget is 1 per customer" in (tmp_path / "p3" / "run" / "skipped.jsonl").read_text()


@pytest.mark.parametrize("mode", ["masked", "plain"])
def test_a_budget_that_others_spend_during_the_round_is_a_veto_without_numbers(tmp_path: Path, mode: str) -> None:
    lead, _, books, sites = partner_run(tmp_path, mode=mode, rounds=1)
    asked, train = lead._plan(1), sites[0]._trainer.train
    spend = PrivacySpend("gaussian", 0.5, 1.0, 1, 1.0, "partner", "chats")

    def meanwhile(weights: Any, plan: RoundPlan) -> Any:
        books[0].ledger.charge(spend, "something else")
        return train(weights, plan)

    def take_part() -> None:
        sites[0]._trainer.train = meanwhile
        sites[0].answer(asked, start())
        sites[0].disclose(asked, asked.partners)

    with pytest.raises(PolicyVeto, match="sits this round out") as veto:
        take_part()
    assert not any(letter.isdigit() for letter in veto.value.message)


def plan(partners: int, quorum: int, noise: float, size: int = 60_000) -> RoundPlan:
    promised = dataclasses.replace(promise("partner", 4.0, 1e-5, 4), noise_multiplier=noise)  # type: ignore[type-var]
    names = tuple(f"p{number}" for number in range(partners))
    tensors = (TensorSpec("a.lora_B", (size, 1)),)
    return RoundPlan(
        "run", 1, "ab" * 16, names, quorum, 1e12, "masked", "masked", tensors, 2.0, "", (1.0,) * partners, {}, promised
    )  # fmt: skip


@pytest.mark.parametrize("arrived", [3, 4, 5])
def test_however_many_of_the_allowed_drop_out_the_sum_has_its_noise(tmp_path: Path, arrived: int) -> None:
    asked, noise = plan(5, 3, 1.5), 1.5
    made, roster = identities(tmp_path, 5)
    keys = {card.name: bytes.fromhex(card.masking) for card in roster.cards().values()}
    maskers = [masking.Masker(one.card.name, one.masking, keys, asked) for one in made]
    rng = np.random.default_rng(0)
    updates = []
    for _ in range(5):
        vector = rng.normal(size=(60_000, 1))
        updates.append({"a.lora_B": 2.0 * vector / np.linalg.norm(vector)})
    total = None
    for masker, update in list(zip(maskers, updates, strict=True))[:arrived]:
        total = masking.add(total, masker.protect(update), asked)
    names = asked.partners[:arrived]
    assert total is not None
    summed = masking.unmask(asked, total, [masker.disclose(names) for masker in maskers[:arrived]])
    off = summed["a.lora_B"] - sum(update["a.lora_B"] for update in updates[:arrived])
    wanted = noise * 2.0 * np.sqrt(arrived / 3)  # sigma times the clip norm, at the quorum exactly
    assert float(off.std()) == pytest.approx(wanted, rel=0.02)
    assert abs(float(off.mean())) < 5 * wanted / np.sqrt(60_000)


def test_central_noise_is_divided_by_the_updates_that_really_came(tmp_path: Path, monkeypatch: Any) -> None:
    asked: list[float] = []
    monkeypatch.setattr("federated.rounds.gaussian", lambda shape, std: asked.append(std) or np.zeros(shape))
    lead, _, _, _ = partner_run(
        tmp_path, mode="plain", rounds=2, unreachable=lambda number, name: (number, name) == (2, "p1")
    )
    lead.go()
    sigma = lead.config.dp.noise_multiplier
    assert asked == pytest.approx([sigma / 4] * len(SHAPES) + [sigma / 3] * len(SHAPES))


def test_a_partner_discloses_no_mask_when_its_own_budget_has_run_out(tmp_path: Path) -> None:
    lead, _, books, sites = partner_run(tmp_path, rounds=2)
    plans: list[RoundPlan] = []

    class Listening(InProcess):
        def train(self, plan: RoundPlan, start: Any) -> Iterable[Any]:
            plans.append(plan)
            yield from super().train(plan, start)

    lead._wire = Listening(sites)
    lead.go()
    spend = PrivacySpend("gaussian", 0.5, 1.0, 1, 1.0, "partner", "chats")
    books[0].ledger.charge(spend, "something else")
    with pytest.raises(PolicyVeto, match="budget is spent"):
        sites[0].answer(dataclasses.replace(plans[0], nonce="ef" * 16), lead.sent_weights() and start())


@pytest.mark.parametrize(
    "wrong", [{"mode": "robust"}, {"weights": (("p0", 2.0),)}, {"rounds": 5}], ids=["robust", "weights", "rounds"]
)
def test_noise_for_partners_fits_an_equal_sum_of_the_planned_rounds_only(wrong: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"rounds": 4, "mode": "plain", "dp": promise("partner", 4.0, 1e-5, 4)}
    RunConfig("run", **fields)
    with pytest.raises(BadRequest):
        RunConfig("run", **{**fields, **wrong})


@pytest.mark.parametrize("wrong", [("house", 8.0, 1e-5), ("example", 0.0, 1e-5), ("customer", 8.0, 1.0)])
def test_a_promise_that_means_nothing_is_refused(wrong: tuple[str, float, float]) -> None:
    with pytest.raises(BadRequest, match="cannot promise"):
        promise(*wrong, 3)
