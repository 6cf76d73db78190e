"""Laws of federated recommendation and evaluation: the sums are everybody's, the model is the pooled one, no row moves."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standin import identities

from assistant.recommend.log import History, Log
from assistant.recommend.scorers import Ease
from federated.errors import BadRequest, PolicyVeto
from federated.local import Partner
from federated.recommending import GramTrainer, gram_of, load_gram, model_of, packed, save_gram, specs, total, unpacked
from federated.rounds import Coordinator, RunConfig, pooled
from federated.simulate import InProcess
from federated.spending import OwnBook, promise
from federated.weights import weights_sha256
from privacy.ledger import Ledger
from privacy.types import PrivacyBudget

ITEMS = [f"item-{number}" for number in range(25)]


def shop(folder: Path, partner: int, customers: int = 30) -> Path:
    """An interactions file; every partner's customers are its own."""
    chance = np.random.default_rng(partner)
    lines = ["customer,item,event,at"]
    for customer in range(customers):
        for number in range(int(chance.integers(2, 8))):
            item = ITEMS[int(chance.integers(0, 25)) if chance.random() < 0.3 else (customer + number) % 25]
            event = ("buy", "view", "cart")[int(chance.integers(0, 3))]
            at = dt.datetime(2025, 1, 1) + dt.timedelta(hours=int(chance.integers(0, 5000)))
            lines.append(f"p{partner}-c{customer},{item},{event},{at.isoformat()}")
    path = folder / f"shop{partner}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def summed(folder: Path, mode: Any, files: list[Path]) -> Any:
    made, roster = identities(folder, len(files))
    sites = [
        Partner(one, GramTrainer(*gram_of(file, ITEMS)), folder / one.card.name / "run", peers=roster.cards())
        for one, file in zip(made, files, strict=True)
    ]
    config = RunConfig("sums", 1, mode=mode, encoding="float32", clip_norm=10.0)
    start = {spec.name: np.zeros(spec.shape) for spec in specs(len(ITEMS))}
    lead = Coordinator(config, folder / "run", start, wire=InProcess(sites), verify=roster.verify)
    (result,) = lead.go()
    return total(lead.weights, len(result.accepted))


@pytest.mark.parametrize("mode", ["plain", "masked"])
def test_the_federated_linear_model_is_the_pooled_one(tmp_path: Path, mode: str) -> None:
    files = [shop(tmp_path, number) for number in range(3)]
    whole = tmp_path / "all.csv"
    heads, *_ = (file.read_text().splitlines()[0] for file in files)
    whole.write_text("\n".join([heads, *(row for file in files for row in file.read_text().splitlines()[1:])]) + "\n")
    gram, _ = gram_of(whole, ITEMS)
    found = summed(tmp_path / mode, mode, files)
    # a masked sum is off by at most half a step of each partner's integers
    step = 1000.0 * 10.0 * 3 / 2**31
    assert np.abs(found - gram).max() <= (1.01 * 1.5 * step if mode == "masked" else 1e-4)
    histories = [History.of([1, 2, 3]), History.of([24]), History.of([7, 7, 9, 11])]
    pooled_model = model_of(gram)
    off = np.abs(model_of(found).scores(histories) - pooled_model.scores(histories)).max()
    assert off < 1e-6


def test_the_model_of_sums_is_the_model_of_the_log() -> None:
    chance = np.random.default_rng(0)
    log = Log.of(chance.integers(0, 60, 400), chance.integers(0, 20, 400), n_items=20)
    made = Ease(regularization=300, recent=5)
    made.fit(log)
    matrix = log.matrix()
    histories = [History.of([1, 2]), History.of([19, 3, 3])]
    of_sums = model_of((matrix.T @ matrix).toarray())
    assert np.abs(made.scores(histories) - of_sums.scores(histories)).max() < 1e-9


def test_an_erased_customer_does_not_count(tmp_path: Path) -> None:
    path = shop(tmp_path, 0)
    whole, customers = gram_of(path, ITEMS)
    without, left = gram_of(path, ITEMS, gone=lambda names: {"p0-c3"} & set(names))
    assert left == customers - 1
    assert (without <= whole + 1e-12).all()
    assert without.sum() < whole.sum()


def test_sums_that_would_be_clipped_or_should_be_noisy_are_not_sent(tmp_path: Path) -> None:
    from test_local import plan

    site = GramTrainer(np.full((25, 25), 1e6), 5)
    with pytest.raises(BadRequest, match="clip-norm"):
        site.train({}, plan(clip_norm=1.0))
    with pytest.raises(BadRequest, match="noise"):
        site.train({}, plan(dp=promise("example", 8.0, 1e-5, 1)))


def test_sums_are_on_the_partners_book_once_and_a_budget_refuses_them(tmp_path: Path) -> None:
    from test_local import plan

    made, _ = identities(tmp_path, 1)
    weights = {spec.name: np.zeros(spec.shape) for spec in specs(2)}
    asked = plan(tensors=specs(2), start_sha256=weights_sha256(weights), partners=("p0", "p1"), weights=(1.0,) * 2)

    def answer(name: str) -> Ledger:
        ledger = Ledger(tmp_path / "book", holder="x")
        book = OwnBook(ledger, name, tmp_path / name)
        site = Partner(made[0], GramTrainer(np.eye(2), 5, book=book), tmp_path / name, book=book)
        site.answer(asked, weights)
        site.answer(asked, weights)
        return ledger

    ledger = answer("interactions")
    assert [spend.mechanism for spend in ledger.book().spends("interactions")] == ["nonprivate"]
    ledger.set_budget("orders", PrivacyBudget(3.0, 1e-5, "customer"))
    with pytest.raises(PolicyVeto, match="budget is spent"):
        answer("orders")
    assert not ledger.book().spends("orders")


def test_a_file_of_which_nothing_counts_is_no_answer_of_zeros(tmp_path: Path) -> None:
    path = shop(tmp_path, 0)
    with pytest.raises(BadRequest, match="no interaction that counts"):
        gram_of(path, ["another", "spelling"])
    with pytest.raises(BadRequest, match="no interaction that counts"):
        gram_of(path, ITEMS, gone=set)


@given(st.integers(1, 12), st.integers(0, 2**31))
def test_a_triangle_is_its_whole_matrix(count: int, seed: int) -> None:
    half = np.random.default_rng(seed).normal(size=(count, count))
    gram = half @ half.T
    assert np.allclose(unpacked(packed(gram)), gram)
    assert packed(gram).shape == specs(count)[0].shape


def test_sums_come_back_from_their_file_with_their_items(tmp_path: Path) -> None:
    gram, _ = gram_of(shop(tmp_path, 0), ITEMS)
    save_gram(tmp_path / "sums.safetensors", gram, ITEMS)
    found, items = load_gram(tmp_path / "sums.safetensors")
    assert np.allclose(found, gram)
    assert items == tuple(ITEMS)


@given(st.lists(st.lists(st.floats(-5, 5), min_size=1, max_size=9), min_size=1, max_size=6))
def test_measures_by_counts_are_those_of_all_rows_together(partners: list[list[float]]) -> None:
    told = [{"score": float(np.mean(rows)), "n": float(len(rows))} for rows in partners]
    rows = [value for part in partners for value in part]
    found = pooled([*told, {"score": 99.0}])  # who tells no count is not in it
    assert found["pooled_score"] == pytest.approx(float(np.mean(rows)), abs=1e-9)
    assert found["pooled_n"] == len(rows)


def test_partners_that_come_and_go_raise_no_objection_by_the_pooled_measure(tmp_path: Path) -> None:
    from standin import partners
    from test_rounds import config, coordinator

    sites, trainers, roster = partners(tmp_path, 4)
    for trainer in trainers:
        closeness = trainer.evaluate
        trainer.evaluate = lambda weights, told=closeness: {**told(weights), "n": 10.0}  # type: ignore[method-assign]
    wire = InProcess(sites, unreachable=lambda number, name: (number, name) == (2, "p1"))
    lead = coordinator(tmp_path, wire, roster, config(rounds=2))
    results = lead.go()
    assert results[0].metrics["pooled_n"] == 40
    assert results[1].metrics["pooled_n"] == 30
    assert not any(text.startswith("pooled") for text in lead.objections())


@pytest.mark.parametrize("mode", ["masked", "plain"])
def test_the_whole_walk_of_sums_from_the_coordinators_folder(tmp_path: Path, mode: Any) -> None:
    pytest.importorskip("flwr")
    from test_publishing import Sites

    from federated.coordinator import Address, Home
    from federated.enrol import apply
    from federated.learning import Recipe
    from federated.site import Site, SiteConfig

    home = Home(tmp_path / "hub")
    recipe = Recipe(task="recommend", labels=tuple(ITEMS))
    settled = RunConfig("spring", 1, mode=mode, clip_norm=10.0)
    with pytest.raises(BadRequest, match="one round"):
        home.init(dataclasses.replace(settled, rounds=2), recipe, Address(), data_dir=tmp_path / "data")
    home.init(settled, recipe, Address(), data_dir=tmp_path / "data")
    sites = {}
    for number in range(3):
        site, invitation = Site(tmp_path / f"p{number}"), home.invite(f"p{number}")
        data = shop(tmp_path, number)
        home.roster.enrol(apply(invitation, site.join(invitation, SiteConfig(str(data), str(tmp_path / "d")))), now=0.0)
        sites[f"p{number}"] = site
    outcome = home.conduct(Sites(sites))
    gram, items = load_gram(Path(outcome["sums"]))
    exact = sum(gram_of(tmp_path / f"shop{number}.csv", ITEMS)[0] for number in range(3))
    assert items == tuple(ITEMS)
    assert np.abs(gram - exact).max() < 1e-4
    assert [spend.mechanism for spend in sites["p0"].spends("spring")] == ["nonprivate"]
    entry = json.loads((tmp_path / "p0" / "run" / "sent.jsonl").read_text())
    assert (entry["tensors"], entry["numbers"]) == (1, 25 * 26 // 2)
