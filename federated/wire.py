"""The way to partners over a real Flower deployment: messages through its grid (see `rounds.Wire`).

Who a node is, it proves: asked for its name it signs this run's own challenge, and the roster
decides. A node that is silent, broken or a stranger is left out; nothing here raises for it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from federated import gate, records
from federated.errors import UpdateRefused
from federated.gate import Verify
from federated.masking import Disclosure
from federated.types import Arrays, ClientUpdate, Refusal, RoundPlan
from federated.weights import weights_sha256

_POLL_S, _POLL_MOST_S, _POLL_SHARE = 0.2, 2.0, 0.05
_HELLO_S = 60.0
_NOT_UNPACKED = (LookupError, TypeError, ValueError, AttributeError, EOFError, MemoryError, RecursionError)
"""What Flower raises for a reply that holds something else than it says; a lost line raises others."""


class FlowerWire:
    """A wire over a Flower grid. `seconds` is how long partners may take to evaluate or disclose, and how long the
    coordinator waits for a quorum of them to connect; for the rest of the `enrolled` it waits a minute."""

    def __init__(
        self,
        grid: Grid,
        verify: Verify,
        *,
        enrolled: Callable[[], Collection[str]],
        quorum: int = 1,
        seconds: float = 600.0,
    ) -> None:
        self._grid = grid
        self._verify = verify
        self._enrolled = enrolled
        self._quorum = quorum
        self._seconds = seconds
        self._nodes: dict[str, int] = {}
        self._singly = False
        """Whether replies are fetched one by one: since the first of them that Flower could not unpack."""
        self._shown: dict[int, str] = {}
        """Node -> sha256 of the weights it has judged and therefore kept: it is not sent them again."""

    def partners(self) -> Sequence[str]:
        """The enrolled partners whose node is connected now."""
        began = time.time()
        while True:
            found = self._connected()
            patience = _HELLO_S if len(found) >= self._quorum else max(_HELLO_S, self._seconds)
            if len(found) >= len(self._enrolled()) or time.time() - began > patience:
                return sorted(found)
            time.sleep(1.0)

    def _connected(self) -> dict[str, int]:
        """Partner -> node, each proven once; one that was revoked since is a stranger again."""
        connected, enrolled = set(self._grid.get_node_ids()), self._enrolled()
        known = {name: node for name, node in self._nodes.items() if node in connected and name in enrolled}
        strangers = connected - set(known.values())
        challenge = secrets.token_hex(16)
        asked = {node: records.pack({"challenge": challenge}) for node in strangers}
        for node, reply in self._ask(records.HELLO, asked, time.time() + _HELLO_S):
            if isinstance(reply, str):
                continue
            try:
                fields = records.about(reply)
                name, signature = str(fields["partner"]), str(fields["signature"])
            except (UpdateRefused, KeyError):
                continue
            if self._verify(name, hello(challenge, name), signature):
                known[name] = node
        self._nodes = known
        return known

    def train(self, plan: RoundPlan, start: Arrays) -> Iterable[ClientUpdate | Refusal]:
        """Updates as they come, until all have answered or the deadline has passed."""
        names = {self._nodes[name]: name for name in plan.partners if name in self._nodes}
        kept = {node for node in names if self._shown.pop(node, "") == plan.start_sha256}
        asked = {node: records.from_plan(plan, {} if node in kept else start) for node in names}
        for node, reply in self._ask("train", asked, plan.deadline):
            if isinstance(reply, str):
                yield Refusal(names[node], reply)
                continue
            try:
                yield self._answered(names[node], reply)
            except UpdateRefused as refusal:
                yield Refusal(names[node], refusal.message)

    def disclose(self, plan: RoundPlan, arrived: tuple[str, ...]) -> Iterable[Disclosure]:
        """The disclosures that came in time."""
        about = {"plan": plan.to_dict(), "arrived": list(arrived)}
        asked = {self._nodes[name]: records.pack(about) for name in arrived if name in self._nodes}
        names = {self._nodes[name]: name for name in arrived if name in self._nodes}
        for node, reply in self._ask(records.DISCLOSE, asked, time.time() + self._seconds):
            if not isinstance(reply, str):
                try:
                    disclosure = records.to_disclosure(reply)
                except UpdateRefused:
                    continue
                if disclosure.partner == names[node]:
                    yield disclosure

    def evaluate(
        self, partners: Sequence[str], weights: Arrays, training: Mapping[str, Any]
    ) -> Iterable[tuple[str, Mapping[str, float]]]:
        """What partners tell of the shared weights; who does not tell is skipped. Who answers has kept them."""
        sha256 = weights_sha256(weights)
        names = {self._nodes[name]: name for name in partners if name in self._nodes}
        sent = {name: array.astype("<f2") for name, array in weights.items()}
        asked = {node: records.pack({"training": dict(training)}, sent) for node in names}
        for node, reply in self._ask("evaluate", asked, time.time() + self._seconds):
            if isinstance(reply, str):
                continue
            try:
                told = gate.measures(records.about(reply).get("measures"))
            except UpdateRefused:
                continue
            self._shown[node] = sha256
            yield names[node], told

    def publish(self, notice: Mapping[str, Any], weights: Arrays) -> Iterable[tuple[str, str]]:
        """What became of it at each connected partner: its adapter there, or why there is none."""
        self.partners()  # a coordinator that was killed after its last round has not met them yet
        sent = {name: array.astype("<f2") for name, array in weights.items()}
        names = {node: name for name, node in self._nodes.items()}
        asked = {node: records.pack({"notice": dict(notice)}, sent) for node in names}
        for node, reply in self._ask(records.PUBLISH, asked, time.time() + self._seconds):
            try:
                fields = {"declined": reply} if isinstance(reply, str) else records.about(reply)
                yield names[node], str(fields.get("kept") or fields.get("declined", "no answer"))[:300]
            except UpdateRefused as refusal:
                yield names[node], refusal.message

    @staticmethod
    def _answered(name: str, reply: RecordDict) -> ClientUpdate | Refusal:
        fields = records.about(reply)
        if "declined" in fields:
            return Refusal(name, str(fields["declined"])[:300])
        update = records.to_update(reply)
        if update.partner != name:
            raise UpdateRefused("It answers in another partner's name.")
        return update

    def _ask(
        self, kind: str, contents: Mapping[int, RecordDict], deadline: float
    ) -> Iterator[tuple[int, RecordDict | str]]:
        """(node, its reply, or in words why there is none) as they come; ends at the deadline."""
        if not contents:
            return
        left = max(1.0, deadline - time.time())
        messages = [
            Message(content=content, message_type=kind, dst_node_id=node, ttl=left + 60)
            for node, content in contents.items()
        ]
        # by the question, never by who says to have answered: for a node that is gone the SuperLink answers itself
        asked = time.time()
        waiting = {key: node for key, node in zip(self._grid.push_messages(messages), contents, strict=False) if key}
        while waiting and time.time() < deadline:
            for message in self._pull(list(waiting)):
                node = waiting.pop(message.metadata.reply_to_message_id, None)
                if node is None:
                    continue
                if message.has_error():
                    yield node, f"Its program failed: {message.error.reason or 'no reason given'}."[:300]
                else:
                    yield node, message.content
            # a question costs the SuperLink and this program more than it looks: seldom where a round takes long
            time.sleep(min(_POLL_MOST_S, max(_POLL_S, _POLL_SHARE * (time.time() - asked))))

    def _pull(self, keys: list[str]) -> list[Any]:
        """The replies that are there. One that Flower cannot unpack fails the whole call: from then on each alone."""
        found: list[Any] = []
        for part in [[key] for key in keys] if self._singly else [keys]:
            try:
                found += self._grid.pull_messages(part)
            except _NOT_UNPACKED:
                self._singly = True
        return found


def hello(challenge: str, partner: str) -> bytes:
    """What a partner signs to prove who its node is."""
    return f"confide hello {challenge} {partner}".encode()
