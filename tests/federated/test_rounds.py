"""Laws of the coordinator's loop: what is committed stays, what is broken is done once again, never twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from standin import partners, start

from federated import rounds as rounds_module
from federated.config import CARDS
from federated.encoding import encode
from federated.errors import BadRequest, FederationError, RoundVoid, RunLocked
from federated.rounds import Coordinator, RunConfig
from federated.simulate import InProcess
from federated.types import Arrays, ClientUpdate, Encoded, RoundPlan


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs, no handler sees it."""


def config(**changes: Any) -> RunConfig:
    return dataclasses.replace(RunConfig("run", rounds=8, mode="plain", encoding="float32", clip_norm=100.0), **changes)


def coordinator(folder: Path, wire: Any, roster: Any, run: RunConfig, **more: Any) -> Coordinator:
    return Coordinator(run, folder / "run", start(), wire=wire, verify=roster.verify, **more)


def optimum(trainers: Iterable[Any]) -> Arrays:
    targets = [trainer.target for trainer in trainers]
    return {name: np.mean([target[name] for target in targets], axis=0) for name in targets[0]}


def distance(weights: Arrays, other: Arrays) -> float:
    return float(np.sqrt(sum(((weights[name] - other[name]) ** 2).sum() for name in weights)))


@pytest.mark.parametrize(
    "run",
    [
        config(),
        config(encoding="float16"),
        config(encoding="int8"),
        config(mode="masked"),
        config(mode="robust", rule="trimmed-mean", quorum=5, rounds=12),
    ],
    ids=lambda run: f"{run.mode}-{run.encoding}",
)
def test_every_mode_reaches_the_common_optimum(tmp_path: Path, run: RunConfig) -> None:
    sites, trainers, roster = partners(tmp_path, 5)
    lead = coordinator(tmp_path, InProcess(sites), roster, run)
    results = lead.go()
    assert [result.round for result in results] == list(range(1, run.rounds + 1))
    assert all(result.committed and len(result.accepted) == 5 for result in results)
    # a trimmed mean of different optima is near their mean, not on it
    near = 1.5 if run.mode == "robust" else 0.05
    assert distance(lead.weights, optimum(trainers)) < near


def test_masked_and_plain_rounds_give_the_same_weights(tmp_path: Path) -> None:
    found = []
    for mode in ("plain", "masked"):
        sites, _, roster = partners(tmp_path / mode, 4)
        lead = coordinator(tmp_path / mode, InProcess(sites), roster, config(mode=mode, rounds=3))
        lead.go()
        found.append(lead.weights)
    assert distance(*found) < 1e-3 * distance(found[0], start())


def test_in_a_masked_run_the_coordinator_holds_no_single_update(tmp_path: Path, monkeypatch: Any) -> None:
    sites, trainers, roster = partners(tmp_path, 4)
    seen: list[Arrays] = []
    decoded = rounds_module.decode
    monkeypatch.setattr(rounds_module, "decode", lambda tensors: seen.append(tensors) or decoded(tensors))
    updates: list[ClientUpdate] = []

    class Listening(InProcess):
        def train(self, plan: RoundPlan, start: Arrays) -> Iterable[Any]:
            for update in super().train(plan, start):
                updates.append(update)
                yield update

    coordinator(tmp_path, Listening(sites), roster, config(mode="masked", rounds=1)).go()
    assert not seen
    stored = (tmp_path / "run" / "run.safetensors").read_bytes()
    for update, trainer in zip(updates, trainers, strict=True):
        for name, tensor in update.tensors.items():
            values = tensor.data.astype(np.int64).ravel() / 2**32
            change = np.ravel(0.5 * trainer.target[name])
            assert abs(np.corrcoef(values, change)[0, 1]) < 0.9
            assert tensor.data.tobytes() not in stored
            assert change.tobytes() not in stored


def test_a_killed_coordinator_goes_on_and_ends_where_it_would_have(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path / "whole", 3)
    whole = coordinator(tmp_path / "whole", InProcess(sites), roster, config(step="momentum", server_rate=0.5))
    whole.go()
    sites, trainers, roster = partners(tmp_path / "killed", 3)

    class Dying(InProcess):
        def train(self, plan: RoundPlan, start: Arrays) -> Iterable[Any]:
            for count, update in enumerate(super().train(plan, start)):
                if plan.round == 4 and count == 2 and not killed:
                    killed.append(True)
                    raise Killed
                yield update

    killed: list[bool] = []
    run = config(step="momentum", server_rate=0.5)
    with pytest.raises(Killed):
        coordinator(tmp_path / "killed", Dying(sites), roster, run).go()
    lead = coordinator(tmp_path / "killed", Dying(sites), roster, run)
    results = lead.go()
    assert [result.round for result in results] == list(range(1, 9))
    assert len({result.nonce for result in results}) == 8
    assert distance(lead.weights, whole.weights) == 0.0
    # the broken round was trained once: a repeated plan is answered from the disk
    assert [trainer.trained for trainer in trainers] == [8, 8, 8]


def test_a_run_goes_on_without_a_partner_that_was_revoked_and_trains_nothing_twice(tmp_path: Path) -> None:
    sites, trainers, roster = partners(tmp_path, 4)

    def run(rounds: int) -> RunConfig:
        cards = [dataclasses.asdict(card) for card in roster.cards().values()]
        return config(rounds=rounds, training={CARDS: cards, "epochs": 1.0})

    class Dying(InProcess):
        def train(self, plan: RoundPlan, start: Arrays) -> Iterable[Any]:
            for update in super().train(plan, start):
                if plan.round == 3:
                    raise Killed
                yield update

    with pytest.raises(Killed):
        coordinator(tmp_path, Dying(sites), roster, run(4)).go()
    roster.revoke("p3")
    results = coordinator(tmp_path, InProcess(sites[:3]), roster, run(4)).go()
    assert [len(result.accepted) for result in results] == [4, 4, 3, 3]
    assert trainers[0].trained == 4
    with pytest.raises(BadRequest, match="other settings"):
        coordinator(tmp_path, InProcess(sites[:3]), roster, run(5)).go()


def test_a_coordinator_killed_while_it_measures_keeps_the_round_and_measures_it_later(tmp_path: Path) -> None:
    sites, trainers, roster = partners(tmp_path, 3)

    class Dying(InProcess):
        def evaluate(self, *asked: Any) -> Iterable[Any]:
            if trainers[0].trained:
                raise Killed
            return super().evaluate(*asked)

    with pytest.raises(Killed):
        coordinator(tmp_path, Dying(sites), roster, config(rounds=1, mode="masked")).go()
    lead, told = coordinator(tmp_path, InProcess(sites), roster, config(rounds=1, mode="masked")), list[Any]()
    (result,) = lead.go(told.append)
    assert told == [result]
    assert set(result.metrics) == set(lead.baseline)
    assert [len(site._folder.joinpath("sent.jsonl").read_text().splitlines()) for site in sites] == [1, 1, 1]


def test_a_sum_that_may_be_known_is_formed_again_with_the_same_partners_only(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 5)
    away = {"p4"}
    wire = InProcess(sites, unreachable=lambda number, name: name in away)

    def lead() -> Coordinator:
        return coordinator(tmp_path, wire, roster, config(rounds=2, mode="masked"))

    def killed(*result: Any, **more: Any) -> None:
        raise Killed

    first = lead()
    first._commit = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        first.go()
    away.add("p3")
    with pytest.raises(RoundVoid, match=r"p3 did not take part.*one partner's update"):
        lead().go()
    away.clear()
    # p4 would make another sum of it, too: it is back in the next round
    assert [result.accepted for result in lead().go()] == [("p0", "p1", "p2", "p3"), ("p0", "p1", "p2", "p3", "p4")]


def test_an_attempt_whose_sum_stayed_masked_is_repeated_with_whoever_is_there_and_names_who_was_silent(
    tmp_path: Path,
) -> None:
    sites, _, roster = partners(tmp_path, 4)

    class Dying(InProcess):
        def disclose(self, plan: RoundPlan, arrived: tuple[str, ...]) -> Iterable[Any]:
            return (each for each in super().disclose(plan, arrived) if each.partner != "p3")

    wire = Dying(sites, unreachable=lambda number, name: name == "p3" and bool(lead.results))
    lead = coordinator(tmp_path, wire, roster, config(rounds=1, mode="masked"))
    void, result = lead.go()
    assert [each.partner for each in void.refused] == ["p3"]
    assert result.accepted == ("p0", "p1", "p2")


@pytest.mark.parametrize("mode", ["plain", "masked"])
def test_who_is_given_no_weight_counts_one(tmp_path: Path, mode: Any) -> None:
    sites, trainers, roster = partners(tmp_path, 4)
    lead = coordinator(tmp_path, InProcess(sites), roster, config(mode=mode, rounds=1, weights=(("p0", 2.0),)))
    lead.go()
    wanted = {
        name: 0.5 * np.average([trainer.target[name] for trainer in trainers], axis=0, weights=[2, 1, 1, 1])
        for name in start()
    }
    assert distance(lead.weights, wanted) < 1e-3


def test_a_masked_round_that_would_show_one_partner_gets_no_update(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 3)
    with pytest.raises(BadRequest, match="factor of 10"):
        config(mode="masked", weights=(("p0", 1.0), ("p1", 0.05)))
    # a coordinator that sets what its own checks forbid is refused by every partner
    run = config(mode="masked", rounds=1, weights=(("p0", 1e9),))
    with pytest.raises(RoundVoid, match="0 updates"):
        coordinator(tmp_path, InProcess(sites), roster, run).go()


@pytest.mark.parametrize(
    "change",
    [
        {"weights": (("p0", 0.0),)},
        {"weights": (("p0", -1.0),)},
        {"weights": (("p0", float("nan")),)},
        {"mode": "robust", "weights": (("p0", 2.0),)},
        {"mode": "robust", "hostile": -1},
        {"mode": "robust", "rule": "multi-krum", "quorum": 4},
    ],
)
def test_a_run_that_could_never_work_is_refused_before_it_begins(change: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="cannot go like this"):
        config(**change)


def test_a_silent_partner_is_left_out_and_named(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 4)
    wire = InProcess(sites, unreachable=lambda number, name: (number, name) == (2, "p1"))
    results = coordinator(tmp_path, wire, roster, config(rounds=3, mode="masked")).go()
    assert [len(result.accepted) for result in results] == [4, 3, 4]
    (refusal,) = results[1].refused
    assert (refusal.partner, refusal.reason) == ("p1", "No answer before the deadline.")


def test_under_its_quorum_a_round_is_void_and_changes_nothing_until_the_partners_are_back(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 3)
    away = {"p2"}
    wire = InProcess(sites, unreachable=lambda number, name: number == 3 and name in away)
    lead = coordinator(tmp_path, wire, roster, config(rounds=4, mode="masked"))
    with pytest.raises(RoundVoid, match="Round 3 was void 3 times"):
        lead.go()
    before = lead.weights
    assert [result.committed for result in lead.results] == [True, True, False, False, False]
    away.clear()
    again = coordinator(tmp_path, wire, roster, config(rounds=4, mode="masked"))
    results = again.go()
    assert [result.round for result in results if result.committed] == [1, 2, 3, 4]
    assert distance(again.weights, before) > 0


@pytest.mark.parametrize("attack", ["replay", "foreign", "nan", "huge", "twice"])
def test_a_bad_update_is_refused_and_the_round_goes_on(tmp_path: Path, attack: str) -> None:
    sites, _, roster = partners(tmp_path, 4)
    old: list[ClientUpdate] = []

    class Hostile(InProcess):
        def train(self, plan: RoundPlan, start: Arrays) -> Iterable[Any]:
            for update in super().train(plan, start):
                if update.partner != "p3":
                    yield update
                    continue
                if attack == "twice":
                    yield from (update, update)
                elif attack == "replay":
                    old.append(update)
                    yield old[0] if plan.round > 1 else update
                else:
                    yield forged(update, plan)

    def forged(update: ClientUpdate, plan: RoundPlan) -> ClientUpdate:
        values = {
            spec.name: np.full(spec.shape, {"nan": np.nan, "huge": 1e9}.get(attack, 0.1)) for spec in plan.tensors
        }
        tensors, _ = encode(values, plan.encoding)
        forged = dataclasses.replace(update, tensors=tensors, partner="p1" if attack == "foreign" else "p3")
        signer = sites[3]._identity.signer
        return dataclasses.replace(forged, signature=signer.sign(forged.claim()))

    lead = coordinator(tmp_path, Hostile(sites), roster, config(rounds=2))
    results = lead.go()
    assert all(result.committed for result in results)
    assert results[1].refused
    assert set(results[1].accepted) == ({"p0", "p1", "p2", "p3"} if attack == "twice" else {"p0", "p1", "p2"})
    assert np.isfinite(distance(lead.weights, start()))


def test_a_masked_sum_that_no_clipped_updates_make_is_void_and_the_weights_stay(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 4)
    chance = np.random.default_rng(0)

    class Hostile(InProcess):
        def train(self, plan: RoundPlan, start: Arrays) -> Iterable[Any]:
            for update in super().train(plan, start):
                if update.partner != "p3":
                    yield update
                    continue
                shapes = {name: tensor.data.shape for name, tensor in update.tensors.items()}
                noise = {n: Encoded(chance.integers(0, 2**32, shape, dtype=np.uint32)) for n, shape in shapes.items()}
                forged = dataclasses.replace(update, tensors=noise)
                yield dataclasses.replace(forged, signature=sites[3]._identity.signer.sign(forged.claim()))

    lead = coordinator(tmp_path, Hostile(sites), roster, config(mode="masked", rounds=1, clip_norm=10.0))
    with pytest.raises(RoundVoid, match=r"void 3 times.*no clipped update"):
        lead.go()
    assert distance(lead.weights, start()) == 0.0
    # the sum is known: with one partner fewer its difference to the next would be that partner's update
    assert lead._asked() == ("p0", "p1", "p2", "p3")
    results = coordinator(tmp_path, InProcess(sites), roster, config(mode="masked", rounds=1, clip_norm=10.0)).go()
    assert [result.committed for result in results] == [True]


def test_a_revoked_partner_is_refused_with_its_next_message(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 4)

    def revoke(result: Any) -> None:
        if result.round == 1:
            roster.revoke("p0")

    results = coordinator(tmp_path, InProcess(sites), roster, config(rounds=2)).go(revoke)
    assert "p0" in results[0].accepted
    assert "p0" not in results[1].accepted
    assert "signature" in results[1].refused[0].reason


def test_a_run_goes_on_with_its_own_settings_only(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 3)
    coordinator(tmp_path, InProcess(sites), roster, config(rounds=1)).go()
    with pytest.raises(BadRequest, match="other settings"):
        coordinator(tmp_path, InProcess(sites), roster, config(rounds=2)).go()


def test_a_second_coordinator_on_the_same_run_is_refused(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 3)

    def second(result: Any) -> None:
        with pytest.raises(RunLocked):
            coordinator(tmp_path, InProcess(sites), roster, config()).go()

    coordinator(tmp_path, InProcess(sites), roster, config(rounds=1)).go(second)


def test_a_flipped_byte_in_the_run_is_a_clear_error(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 3)
    coordinator(tmp_path, InProcess(sites), roster, config(rounds=1)).go()
    path = tmp_path / "run" / "run.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(FederationError, match="damaged"):
        coordinator(tmp_path, InProcess(sites), roster, config(rounds=1)).go()


def test_what_a_run_promises_and_cannot_keep_is_refused_at_once() -> None:
    for wrong in (
        {"mode": "masked", "quorum": 2},
        {"mode": "robust", "quorum": 2},
        {"encoding": "masked"},
        {"rounds": 0},
    ):
        with pytest.raises(BadRequest):
            config(**wrong)


def test_metrics_are_the_coordinators_and_what_each_partner_tells(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 3)
    lead = coordinator(
        tmp_path, InProcess(sites), roster, config(rounds=2), judge=lambda weights: {"size": distance(weights, start())}
    )
    results = lead.go()
    assert set(results[0].metrics) == {"size", "p0/closeness", "p1/closeness", "p2/closeness"} == set(lead.baseline)
    assert results[1].metrics["p0/closeness"] > lead.baseline["p0/closeness"]


def test_weights_that_are_worse_for_one_partner_meet_its_objection(tmp_path: Path) -> None:
    sites, trainers, roster = partners(tmp_path, 4)
    # three pull far away from where the fourth is at home
    trainers[3].target = start()
    for trainer in trainers[:3]:
        trainer.target = {name: array + 5.0 for name, array in trainer.target.items()}
    lead = coordinator(tmp_path, InProcess(sites), roster, config(rounds=2))
    lead.go()
    (objection,) = lead.objections()
    assert objection.startswith("p3/closeness")
    again = coordinator(tmp_path, InProcess(sites), roster, config(rounds=2))
    again.go()
    assert again.objections() == (objection,)


def test_a_partner_that_is_away_in_the_last_round_objects_by_what_it_told_last(tmp_path: Path) -> None:
    sites, trainers, roster = partners(tmp_path, 4)
    trainers[3].target = start()
    wire = InProcess(sites, unreachable=lambda number, name: (number, name) == (3, "p3"))
    lead = coordinator(tmp_path, wire, roster, config(rounds=3))
    results = lead.go()
    assert "p3/closeness" not in results[2].metrics
    (objection,) = lead.objections()
    assert objection.startswith(f"p3/closeness: {lead.baseline['p3/closeness']:.4g} before")
    assert f"{results[1].metrics['p3/closeness']:.4g} after" in objection


def test_where_partners_are_drawn_all_are_asked_before_anything_is_published(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 6)
    lead = coordinator(tmp_path, InProcess(sites), roster, config(rounds=2, share=0.5))
    first, last = lead.go()
    assert (len(first.accepted), len(first.metrics)) == (3, 3)
    assert (len(last.accepted), set(last.metrics)) == (3, set(lead.baseline))


@pytest.mark.parametrize("after", [0.4, float("nan"), float("inf")])
def test_weights_that_are_worse_or_broken_on_the_coordinators_suite_meet_its_objection(
    tmp_path: Path, after: float
) -> None:
    sites, _, roster = partners(tmp_path, 3)
    judge = {True: 0.5, False: after}
    lead = coordinator(
        tmp_path, InProcess(sites), roster, config(rounds=2),
        judge=lambda weights: {"score": judge[distance(weights, start()) == 0]},
    )  # fmt: skip
    lead.go()
    (objection,) = lead.objections()
    assert objection.startswith("score: 0.5 before")
