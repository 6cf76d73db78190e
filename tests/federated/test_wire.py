"""The wire over Flower's grid: who counts as connected, and how long is waited for whom."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flwr")
from flwr.app import Message
from flwr.supercore.task_identity import TaskIdentity
from standin import identities, start

from federated import records, wire
from federated.masking import Disclosure
from federated.types import ClientUpdate, Refusal, RoundPlan
from federated.weights import weights_sha256
from federated.wire import FlowerWire, hello


class Nodes:
    """A grid whose nodes answer hello as these identities; a node without one stays silent."""

    def __init__(self, partners: dict[int, Any]) -> None:
        self.partners = partners
        self.waiting: dict[str, Message] = {}
        self.asked: list[int] = []
        self.had_weights: list[bool] = []

    def get_node_ids(self) -> list[int]:
        return list(self.partners)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        keys = []
        for message in messages:
            self.asked.append(message.metadata.dst_node_id)
            keys.append(f"m{len(self.asked)}")
            self.waiting[keys[-1]] = message
        return keys

    def pull_messages(self, keys: Iterable[str]) -> list[Any]:
        found = []
        for key in list(keys):
            if key in self.waiting:
                message = self.waiting.pop(key)
                node = message.metadata.dst_node_id
                identity, name = self.partners[node], self.partners[node].card.name
                if message.metadata.message_type != records.HELLO:
                    self.had_weights.append("arrays" in message.content and len(records.arrays(message.content)) > 0)
                    evaluates = message.metadata.message_type == "evaluate"
                    found.append(Reply(key, node, records.pack({"measures": {}} if evaluates else {"declined": "no"})))
                    continue
                challenge = str(records.about(message.content)["challenge"])
                content = records.pack({"partner": name, "signature": identity.signer.sign(hello(challenge, name))})
                found.append(Reply(key, node, content))
        return found


class Reply:
    """What the wire reads of a message."""

    def __init__(self, key: str, node: int, content: Any, error: str = "") -> None:
        self.content = content
        self.error = type("Error", (), {"reason": error})()
        self.metadata = type("Metadata", (), {"reply_to_message_id": key, "src_node_id": node})()

    def has_error(self) -> bool:
        return bool(self.error.reason)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_POLL_S", 0.0)
    monkeypatch.setattr(wire, "_POLL_SHARE", 0.0)
    monkeypatch.setattr(wire, "_HELLO_S", 0.2)
    for name in ("run_id", "node_id", "task_id"):  # what a process that Flower started has
        monkeypatch.setattr(TaskIdentity, f"_{name}", 1)


def test_a_partner_revoked_while_it_is_connected_is_left_out(tmp_path: Path) -> None:
    made, roster = identities(tmp_path, 3)
    grid: Any = Nodes(dict(enumerate(made)))
    line = FlowerWire(grid, roster.verify, enrolled=roster.cards, quorum=2, seconds=5)
    assert line.partners() == ["p0", "p1", "p2"]
    roster.revoke("p1")
    assert line.partners() == ["p0", "p2"]


def test_each_partner_proves_itself_once(tmp_path: Path) -> None:
    made, roster = identities(tmp_path, 2)
    grid: Any = Nodes(dict(enumerate(made)))
    line = FlowerWire(grid, roster.verify, enrolled=roster.cards)
    line.partners()
    line.partners()
    assert grid.asked == [0, 1]


def test_below_the_quorum_it_waits_longer_than_for_the_last_partner(tmp_path: Path, monkeypatch: Any) -> None:
    made, roster = identities(tmp_path, 3)
    clock = [0.0]
    monkeypatch.setattr(wire.time, "time", lambda: clock[0])
    monkeypatch.setattr(wire.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + max(seconds, 0.01)))
    one: Any = Nodes({0: made[0]})
    assert FlowerWire(one, roster.verify, enrolled=roster.cards, quorum=1, seconds=50).partners() == ["p0"]
    soon = clock[0]
    assert FlowerWire(one, roster.verify, enrolled=roster.cards, quorum=2, seconds=50).partners() == ["p0"]
    assert soon < 5
    assert clock[0] - soon > 50


def test_weights_that_were_judged_are_not_sent_again_but_after_a_refusal(tmp_path: Path) -> None:
    made, roster = identities(tmp_path, 1)
    grid: Any = Nodes(dict(enumerate(made)))
    line = FlowerWire(grid, roster.verify, enrolled=roster.cards, seconds=5)
    weights, names = start(), tuple(line.partners())
    plan = RoundPlan(
        "run", 1, "ab" * 8, names, 1, time.time() + 60, "plain", "float32", (), 1.0, weights_sha256(weights), (1.0,)
    )
    list(line.train(plan, weights))
    list(line.evaluate(names, weights, {}))
    list(line.train(plan, weights))
    list(line.train(plan, weights))
    list(line.evaluate(names, weights, {}))
    assert grid.had_weights == [True, True, False, True, True]
    other = dataclasses.replace(plan, start_sha256="of other weights")
    list(line.evaluate(names, weights, {}))
    list(line.train(other, weights))
    assert grid.had_weights[-2:] == [True, True]


SUPERLINK = 1
"""The node that Flower's SuperLink says it is, where it answers for a node that is gone."""


class OneGone(Nodes):
    """As `Nodes`; for the node 8 the SuperLink answers, and it answers a question twice."""

    def pull_messages(self, keys: Iterable[str]) -> list[Any]:
        found = super().pull_messages(keys)
        late = [Reply(each.metadata.reply_to_message_id, SUPERLINK, None, "Node Unavailable") for each in found]
        return [
            *(gone if each.metadata.src_node_id == 8 else each for each, gone in zip(found, late, strict=True)),
            *late,
        ]


def test_a_node_that_is_gone_is_one_refusal_and_the_round_goes_on(tmp_path: Path) -> None:
    made, roster = identities(tmp_path, 2)
    grid: Any = Nodes({7: made[0], 8: made[1]})
    line = FlowerWire(grid, roster.verify, enrolled=roster.cards, seconds=5)
    names = tuple(line.partners())
    grid.__class__ = OneGone
    plan = RoundPlan("run", 1, "ab" * 8, names, 1, time.time() + 60, "plain", "float32", (), 1.0, "", (1.0, 1.0))
    refusals = {each.partner: each.reason for each in line.train(plan, start()) if isinstance(each, Refusal)}
    assert refusals == {"p0": "no", "p1": "Its program failed: Node Unavailable."}


class Telling(Nodes):
    """As `Nodes`; each node answers what `replies` has for it."""

    replies: dict[int, Any]

    def pull_messages(self, keys: Iterable[str]) -> list[Any]:
        found = super().pull_messages(keys)
        for each in found:
            each.content = self.replies.get(each.metadata.src_node_id, each.content)
        return found


def telling(folder: Path, count: int, replies: dict[int, Any]) -> tuple[FlowerWire, tuple[str, ...]]:
    made, roster = identities(folder, count)
    grid: Any = Nodes(dict(enumerate(made)))
    line = FlowerWire(grid, roster.verify, enrolled=roster.cards, seconds=5)
    names = tuple(line.partners())
    grid.__class__ = Telling
    grid.replies = replies
    return line, names


def test_a_measure_that_is_none_is_left_out_and_the_others_are_heard(tmp_path: Path) -> None:
    told = [{"score": 10**400}, {"score": [1]}, {"score": 2.0}, {"<b>": 1.0}, {f"m{i}": 1.0 for i in range(99)}, 3]
    replies = {node: records.pack({"measures": each}) for node, each in enumerate(told)}
    line, names = telling(tmp_path, len(told), replies)
    assert dict(line.evaluate(names, start(), {})) == {"p2": {"score": 2.0}}


def test_nobody_answers_in_anothers_name(tmp_path: Path) -> None:
    plan = RoundPlan("run", 1, "ab" * 8, ("p0", "p1"), 1, time.time() + 60, "plain", "float32", (), 1.0, "", (1.0, 1.0))
    stolen = records.from_update(ClientUpdate("run", 1, "p1", plan.nonce, {}, signature="00"))
    disclosed = records.from_disclosure(Disclosure("p1", ("p0", "p1"), bytes(32)))
    line, _ = telling(tmp_path / "train", 2, {0: stolen})
    reasons = {each.partner: each.reason for each in line.train(plan, start()) if isinstance(each, Refusal)}
    assert reasons == {"p0": "It answers in another partner's name.", "p1": "no"}
    line, _ = telling(tmp_path / "disclose", 2, {0: disclosed, 1: disclosed})
    assert [each.partner for each in line.disclose(plan, ("p0", "p1"))] == ["p1"]


def test_a_reply_that_flower_cannot_unpack_costs_its_own_partner_only(tmp_path: Path) -> None:
    class Broken(Telling):
        def pull_messages(self, keys: Iterable[str]) -> list[Any]:
            keys = list(keys)
            if any(self.waiting[key].metadata.dst_node_id == 1 for key in keys if key in self.waiting):
                raise KeyError("array_keys")
            return super().pull_messages(keys)

    line, names = telling(tmp_path, 3, {node: records.pack({"measures": {"score": float(node)}}) for node in range(3)})
    grid: Any = line._grid
    grid.__class__ = Broken
    line._seconds = 0.3
    assert dict(line.evaluate(names, start(), {})) == {"p0": {"score": 0.0}, "p2": {"score": 2.0}}


def test_a_coordinator_that_starts_after_the_last_round_still_publishes(tmp_path: Path) -> None:
    made, roster = identities(tmp_path, 2)
    grid: Any = Nodes(dict(enumerate(made)))
    line = FlowerWire(grid, roster.verify, enrolled=roster.cards, seconds=5)
    assert dict(line.publish({}, start())) == {"p0": "no", "p1": "no"}
