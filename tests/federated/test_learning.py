"""Laws of federated LoRA on tiny real networks: only the adapter moves, B alone, and it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from standin import identities

from assistant.tuning import loop, lora, records
from assistant.tuning.records import ChatRow
from assistant.tuning.tasks import make_task
from assistant.types import Message
from federated import learning
from federated.config import BASE
from federated.errors import BadRequest
from federated.learning import LoraTrainer
from federated.local import Partner, Policy
from federated.rounds import Coordinator, RunConfig
from federated.simulate import InProcess

PLAN = lora.LoraPlan(method="frozen-a", rank=4, seed=7)
ANSWERS = {"how long can i return boots": "30 days", "is the shop open late": "yes", "is the tent red": "no"}


def rows(partner: int) -> list[ChatRow]:
    made = []
    for number, (question, answer) in enumerate(list(ANSWERS.items()) * 3):
        messages = (Message("user", question), Message("assistant", answer))
        made.append(ChatRow(line=number + 1, messages=messages, customer=f"c{partner}"))
    return made


def trainer(partner: int, *, model: Any = None, **more: Any) -> LoraTrainer:
    kept = records.records_of("chat", rows(partner))
    task = make_task(kept)
    net = model or lora.attach(tiny.llama(), PLAN)
    return LoraTrainer(net, task, task.examples(kept, tiny.tokenizer()), **more)


def run(folder: Path, trainers: list[LoraTrainer], **changes: Any) -> Coordinator:
    made, roster = identities(folder, len(trainers)) if not changes.pop("known", False) else again(folder, trainers)
    sites = [
        Partner(
            identity, site, folder / identity.card.name / "run", peers=roster.cards(), policy=Policy(min_partners=1)
        )
        for identity, site in zip(made, trainers, strict=True)
    ]
    start = changes.pop("start", None) or learning.weights_of(lora.attach(tiny.llama(), PLAN))
    frozen = changes.pop("frozen", None)
    training = {"epochs": 4.0, "learning_rate": 0.02, "batch_size": 4, "precision": "float32"}
    training |= changes.pop("training", {})
    config = RunConfig("run", **{"rounds": 3, "clip_norm": 100.0, "training": training, **changes})
    wire = InProcess(sites)
    return Coordinator(config, folder / "run", start, wire=wire, verify=roster.verify, frozen=frozen)


def again(folder: Path, trainers: list[LoraTrainer]) -> Any:
    """The partners of a run that was begun."""
    from federated.enrol import Roster, load_identity

    return [load_identity(folder / f"p{number}") for number in range(len(trainers))], Roster(folder / "coordinator")


@pytest.mark.parametrize("mode", ["masked", "plain"])
def test_the_shared_adapter_learns_and_only_b_is_sent(tmp_path: Path, mode: str) -> None:
    sites = [trainer(number) for number in range(3)]
    lead = run(tmp_path, sites, mode=mode, encoding="float32")
    assert all("lora_B" in spec.name for spec in sites[0].tensors())
    results = lead.go()
    assert [result.committed for result in results] == [True] * 3
    net = lora.attach(tiny.llama(), PLAN)
    before = loop.evaluate(net, sites[0]._task, sites[0]._examples)
    learning.put_weights(net, lead.weights)
    after = loop.evaluate(net, sites[0]._task, sites[0]._examples)
    assert after < before
    # everybody has the same rows here, so the federation learns what one partner alone would learn
    alone = run(tmp_path / "alone", [trainer(0)], mode="plain", encoding="float32", quorum=1)
    alone.go()
    learning.put_weights(net, alone.weights)
    assert loop.evaluate(net, sites[0]._task, sites[0]._examples) == pytest.approx(after, abs=0.01 * (before - after))


@pytest.mark.parametrize("mode", ["masked", "plain"])
def test_a_round_of_equals_is_what_one_of_them_does_alone(tmp_path: Path, mode: str) -> None:
    """Up to the masks' fixed point. In later rounds Adam amplifies that where a gradient is next to nothing."""
    lead = run(tmp_path, [trainer(number) for number in range(3)], rounds=1, mode=mode, encoding="float32")
    lead.go()
    alone = run(tmp_path / "alone", [trainer(0)], rounds=1, mode="plain", encoding="float32", quorum=1)
    alone.go()
    far = sum(((lead.weights[name] - array) ** 2).sum() for name, array in alone.weights.items())
    assert far < 1e-4**2 * sum((array**2).sum() for array in alone.weights.values())


def test_the_update_is_the_change_of_the_weights_and_the_base_stays(tmp_path: Path) -> None:
    net = lora.attach(tiny.llama(), PLAN)
    base = {name: value.clone() for name, value in net.named_parameters() if not value.requires_grad}
    site = trainer(0, model=net)
    lead = run(tmp_path, [site, trainer(1), trainer(2)], rounds=1, mode="plain", encoding="float32")
    lead.go()
    for name, value in net.named_parameters():
        if name in base:
            assert bool((value == base[name]).all())
    assert float(np.abs(lead.weights[sites_first(site)]).max()) > 0


def sites_first(site: LoraTrainer) -> str:
    return site.tensors()[0].name


def test_another_frozen_a_is_refused(tmp_path: Path) -> None:
    net = lora.attach(tiny.llama(), PLAN)
    other = lora.attach(tiny.llama(), lora.LoraPlan(method="frozen-a", rank=4, seed=8))
    assert learning.frozen_sha256(net) != learning.frozen_sha256(other)
    sites = [trainer(0), trainer(1), trainer(2, model=other), trainer(3)]
    lead = run(tmp_path, sites, rounds=1, training={learning.FROZEN: learning.frozen_sha256(net)})
    (result,) = lead.go()
    assert result.accepted == ("p0", "p1", "p3")
    assert "frozen adapter matrices" in result.refused[0].reason


def test_another_base_under_the_same_frozen_a_is_refused(tmp_path: Path) -> None:
    training = {learning.FROZEN: learning.frozen_sha256(lora.attach(tiny.llama(), PLAN)), BASE: "ours"}
    sites = [trainer(number, base=base) for number, base in enumerate(("ours", "ours", "another", "ours"))]
    (result,) = run(tmp_path, sites, rounds=1, training=training).go()
    assert result.accepted == ("p0", "p1", "p3")
    assert "base model is not the coordinator's" in result.refused[0].reason
    # a run that was begun before the hash was sent goes on
    older = run(tmp_path, sites, known=True, rounds=1, training={learning.FROZEN: training[learning.FROZEN]})
    assert older.go() == (result,)


def test_a_proximal_term_keeps_partners_near_the_shared_weights() -> None:
    from test_local import plan as bare

    sizes = []
    for strength in (0.0, 50.0):
        site = trainer(0)
        start = {spec.name: np.zeros(spec.shape) for spec in site.tensors()}
        training = {"epochs": 4.0, "learning_rate": 0.02, "precision": "float32", learning.PROXIMAL: strength}
        change = site.train(start, bare(training=training)).change
        sizes.append(float(np.sqrt(sum((array**2).sum() for array in change.values()))))
    assert sizes[1] < 0.5 * sizes[0]


def test_an_unknown_training_option_is_named(tmp_path: Path) -> None:
    from test_local import plan as bare

    site = trainer(0)
    start = {spec.name: np.zeros(spec.shape) for spec in site.tensors()}
    with pytest.raises(BadRequest, match="epoochs"):
        site.train(start, bare(training={"epoochs": 1}))


def products(lead: Coordinator) -> dict[str, Any]:
    """B A of each layer."""
    weights = lead.sent_weights()
    names = [name for name in weights if "lora_B" in name]
    return {name: weights[name] @ weights[name.replace("lora_B", "lora_A")] for name in names}


def test_matrices_factorised_anew_learn_on_and_a_resumed_run_has_them(tmp_path: Path) -> None:
    frozen = learning.frozen_of(lora.attach(tiny.llama(), PLAN))
    sites = [trainer(number) for number in range(3)]
    options = {"rounds": 3, "refactor": 2, "frozen": frozen}
    lead = run(tmp_path, sites, **options)
    seen: list[dict[str, Any]] = []
    lead.go(lambda result: seen.append(products(lead)))
    assert all(np.allclose(a @ a.T, np.eye(4), atol=5e-3) for a in lead.frozen.values())  # fp16
    assert not all(np.allclose(lead.frozen[name], frozen[name], atol=1e-2) for name in frozen)
    assert any(np.abs(seen[2][name] - seen[1][name]).max() > 1e-3 for name in seen[1])
    net = lora.attach(tiny.llama(), PLAN)
    assert loss(sites[0], lead) < loop.evaluate(net, sites[0]._task, sites[0]._examples)
    again = run(tmp_path, sites, known=True, **options)
    again.go()
    assert all((again.frozen[name] == array).all() for name, array in lead.frozen.items())


def loss(site: LoraTrainer, lead: Coordinator) -> float:
    net = lora.attach(tiny.llama(), PLAN)
    learning.put_weights(net, lead.sent_weights())
    return loop.evaluate(net, site._task, site._examples)


def test_a_weaker_partner_trains_its_first_columns_and_the_sum_stays_linear(tmp_path: Path) -> None:
    from test_local import plan as bare

    start = {spec.name: np.zeros(spec.shape) for spec in trainer(0).tensors()}
    training = {"epochs": 2.0, "learning_rate": 0.02, "precision": "float32"}
    weak, strong = (trainer(0, rank=rank).train(start, bare(training=training)).change for rank in (2, 0))
    for name, array in weak.items():
        assert float(np.abs(array[:, :2]).max()) > 0
        assert not array[:, 2:].any()
        assert strong[name][:, 2:].any()
    found = []
    for mode in ("masked", "plain"):
        sites = [trainer(0, rank=2), trainer(1, rank=2), trainer(2, rank=3)]
        lead = run(tmp_path / mode, sites, mode=mode, encoding="float32", rounds=1)
        lead.go()
        assert all(not array[:, 3:].any() or mode == "masked" for array in lead.weights.values())
        found.append(lead.weights)
    assert all(np.allclose(found[0][name], found[1][name], atol=1e-4) for name in found[0])


def test_partners_that_train_both_matrices_are_stacked_by_a_trusted_coordinator_only(tmp_path: Path) -> None:
    both = lora.LoraPlan(method="lora", rank=4, seed=7)
    sites = [trainer(number, model=lora.attach(tiny.llama(), both)) for number in range(3)]
    assert any("lora_A" in spec.name for spec in sites[0].tensors())
    start = learning.weights_of(lora.attach(tiny.llama(), both))
    lead = run(tmp_path, sites, mode="plain", encoding="float32", combine="stack", rounds=2, start=start)
    net = lora.attach(tiny.llama(), both)
    before = loop.evaluate(net, sites[0]._task, sites[0]._examples)
    lead.go()
    learning.put_weights(net, lead.weights)
    assert loop.evaluate(net, sites[0]._task, sites[0]._examples) < before
    for mode in ("masked", "robust"):
        with pytest.raises(BadRequest, match="every partner's own matrices"):
            RunConfig("run", 2, mode=mode, combine="stack")  # type: ignore[arg-type]


def test_a_weaker_partner_does_not_train_privately() -> None:
    from test_local import plan as bare

    from federated.spending import promise

    site = trainer(0, rank=2)
    start = {spec.name: np.zeros(spec.shape) for spec in site.tensors()}
    with pytest.raises(BadRequest, match="lower rank"):
        site.train(start, bare(dp=promise("example", 8.0, 1e-5, 3)))
