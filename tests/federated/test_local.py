"""Laws of a partner: its policy decides, its keys sign, its disk remembers, and nothing else is told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from standin import SHAPES, partners, start

from federated.aggregation import norm
from federated.encoding import decode
from federated.errors import PolicyVeto, RoundVoid, UpdateRefused
from federated.local import Policy, Trained
from federated.types import Promise, RoundPlan, TensorSpec
from federated.weights import weights_sha256


def plan(**changes: Any) -> RoundPlan:
    base = RoundPlan(
        "run", 1, "ab" * 16, ("p0", "p1", "p2"), 3, 1e12, "plain", "float32",
        tuple(TensorSpec(name, SHAPES[name]) for name in sorted(SHAPES)), 1.0, weights_sha256(start()), (1.0,) * 3,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def test_an_update_is_clipped_signed_and_tells_only_what_the_policy_lists(tmp_path: Path) -> None:
    sites, _, roster = partners(tmp_path, 3)
    update = sites[0].answer(plan(), start())
    assert norm(decode(update.tensors)) <= 1.0 + 1e-6
    assert roster.verify("p0", update.claim(), update.signature)
    assert not roster.verify("p1", update.claim(), update.signature)
    assert set(update.metrics) == {"loss"}


@pytest.mark.parametrize(
    ("policy", "changes", "word"),
    [
        (Policy(modes=("masked",)), {}, "mode plain"),
        (Policy(tensors=r".*lora_B.*"), {"tensors": (TensorSpec("embed_tokens.weight", (9, 9)),)}, "embed_tokens"),
        (Policy(max_rounds=3), {"round": 4}, "3 rounds"),
        (Policy(max_norm=0.5), {}, "norm"),
        (Policy(min_partners=4), {}, "fewer than 4"),
        (Policy(max_megabytes=1e-6), {}, "MB"),
        (Policy(runs=("other",)), {}, "the run run"),
        (Policy(max_epsilon=3.0), {}, "without differential privacy"),
        (Policy(), {"dp": Promise("partner", 8.0, 0.5, 3)}, "delta above"),
        (Policy(), {"dp": Promise("partner", float("nan"), 1e-5, 3)}, "finite epsilon"),
    ],
)
def test_the_partners_policy_vetoes_before_anything_is_trained(
    tmp_path: Path, policy: Policy, changes: dict[str, Any], word: str
) -> None:
    sites, trainers, _ = partners(tmp_path, 3, policy)
    with pytest.raises(PolicyVeto, match=word):
        sites[0].answer(plan(**changes), start())
    assert trainers[0].trained == 0
    assert not (tmp_path / "p0" / "run" / "sent.jsonl").exists()


def test_what_leaves_is_written_down_first(tmp_path: Path) -> None:
    sites, _, _ = partners(tmp_path, 3)
    update = sites[0].answer(plan(), start())
    (line,) = (tmp_path / "p0" / "run" / "sent.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["payload_sha256"] == update.payload_sha256()
    assert entry["bytes"] == update.nbytes
    assert entry["spend"]["mechanism"] == "nonprivate"
    assert entry["examples"] == update.examples


def test_measures_that_are_told_are_written_down_too(tmp_path: Path) -> None:
    (site, *_), _, _ = partners(tmp_path, 3)
    told = site.evaluate(start())
    path = tmp_path / "p0" / "run" / "told.jsonl"
    assert [json.loads(line)["measures"] for line in path.read_text().splitlines()] == [dict(told)]
    site.evaluate(start(), private=True)  # keeps them, so nothing was told
    site.policy = Policy(evaluates=False)
    site.evaluate(start())
    assert len(path.read_text().splitlines()) == 1


def test_weights_that_are_not_the_plans_are_refused(tmp_path: Path) -> None:
    sites, _, _ = partners(tmp_path, 3)
    with pytest.raises(RoundVoid):
        sites[0].answer(plan(), {name: array + 1 for name, array in start().items()})


def test_a_repeated_round_is_answered_from_the_disk_with_the_same_content(tmp_path: Path) -> None:
    sites, trainers, _ = partners(tmp_path, 3)
    first = sites[0].answer(plan(encoding="int8"), start())
    again = sites[0].answer(plan(encoding="int8", nonce="cd" * 16), start())
    assert trainers[0].trained == 1
    assert first.payload_sha256() == again.payload_sha256()
    assert first.signature != again.signature


PROMISED = plan(encoding="int8", dp=Promise("customer", 8.0, 1e-5, 3))


@pytest.mark.parametrize(("before", "records"), [(plan(encoding="int8"), ""), (PROMISED, "other records")])
def test_nothing_made_without_the_promise_or_of_other_records_is_sent(
    tmp_path: Path, before: RoundPlan, records: str
) -> None:
    (site, *_), (trainer, *_), _ = partners(tmp_path, 3)
    site._data = lambda: records
    site.answer(before, start())
    site._data = lambda: ""
    sent = site.answer(PROMISED, start())
    assert trainer.trained == 2
    # nor what the encoding lost before: it is as if this were the first round of all
    (fresh, *_), _, _ = partners(tmp_path / "fresh", 3)
    assert sent.payload_sha256() == fresh.answer(PROMISED, start()).payload_sha256()


def test_a_training_that_went_wrong_is_not_sent(tmp_path: Path) -> None:
    sites, trainers, _ = partners(tmp_path, 3)
    trainers[0].train = lambda start, plan: Trained({n: np.full(s, np.nan) for n, s in SHAPES.items()}, 1)  # type: ignore[method-assign]
    with pytest.raises(UpdateRefused, match="finite"):
        sites[0].answer(plan(), start())
    assert not (tmp_path / "p0" / "run" / "sent.jsonl").exists()


def test_a_mask_is_disclosed_for_one_list_only_also_after_a_restart(tmp_path: Path) -> None:
    masked = plan(mode="masked", encoding="masked", partners=("p0", "p1", "p2", "p3"), weights=(1.0,) * 4)
    sites, _, _ = partners(tmp_path, 4)
    sites[0].answer(masked, start())
    first = sites[0].disclose(masked, ("p0", "p1", "p2"))
    restarted, _, _ = partners_again(tmp_path)
    assert restarted.disclose(masked, ("p0", "p1", "p2")) == first
    with pytest.raises(RoundVoid, match="another list"):
        restarted.disclose(masked, ("p0", "p1", "p2", "p3"))


def partners_again(folder: Path) -> Any:
    """p0 as a new process would make it: the same folder, the same keys."""
    from standin import Quadratic

    from federated.enrol import Roster, load_identity
    from federated.local import Partner

    roster = Roster(folder / "coordinator")
    identity = load_identity(folder / "p0")
    return Partner(identity, Quadratic(0), folder / "p0" / "run", peers=roster.cards()), None, None


def test_nothing_sent_nothing_disclosed(tmp_path: Path) -> None:
    masked = plan(mode="masked", encoding="masked")
    sites, _, _ = partners(tmp_path, 3)
    with pytest.raises(RoundVoid):
        sites[0].disclose(masked, ("p0", "p1", "p2"))
    with pytest.raises(PolicyVeto):
        sites[0].disclose(dataclasses.replace(masked, nonce="../../evil"), ("p0", "p1", "p2"))
