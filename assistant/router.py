"""What a message is about beyond its words: its language, intent, sentiment and entities, by small adapters.

An adapter called `intent`, `sentiment` or `entities` that is in use in the collection is asked; where none
is, the router is off and costs nothing. It offers a person, it never refuses an answer: a classifier may err.
The wish for a person and private matters are told by rules (`smalltalk.py`), which always hold.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from assistant import language
from assistant.adapters import Shelf
from assistant.deployments import Deployments
from assistant.errors import AdapterRefused, ConfideError
from assistant.types import Adapter
from assistant.vetting import stamp, verify

SLOTS = ("intent", "sentiment", "entities")
"""The names under which an adapter becomes part of the router."""
UPSET = frozenset({"angry", "anger", "furious", "negative", "very negative", "complaint", "complain"})
"""Labels (in lower case, spaces for _) of customers who are offered a person."""
SURE = 0.6
"""A label below this probability is not acted upon."""
_ORDER = re.compile(
    r"(?:\b(?:order|parcel|shipment|ticket|invoice|case|reference|ref|booking|tracking)\b(?:\s+(?:number|no|nr|id|code))?|订单号?|单号|运单号?|编号)"
    r"[\s.:：#]*(?P<named>(?=[\w-]*\d)[A-Z0-9][A-Z0-9-]{3,23})|#(?P<hashed>[A-Z0-9-]*\d[A-Z0-9-]{3,23})|\b(?P<shaped>[A-Z]{1,4}-\d{4,12}(?:-\d{1,6})?)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+|[^\w\s]")
_log = logging.getLogger(__name__)


class Network(Protocol):
    """A loaded classifier or tagger: `tuning.classifier.LoadedClassifier`, or a test's own."""

    labels: tuple[str, ...]

    def classify(self, texts: Sequence[str]) -> Any:
        """(n, labels) probabilities, as rows of numbers."""
        ...

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
        """A tag a word."""
        ...


Open = Callable[[Adapter], Network]


@dataclass(frozen=True, slots=True)
class Guess:
    """A label and how likely it is."""

    label: str
    probability: float

    @property
    def upset(self) -> bool:
        """Whether it surely says that the customer is angry or complains."""
        return self.probability >= SURE and self.label.lower().replace("_", " ") in UPSET


@dataclass(frozen=True, slots=True)
class Route:
    """What is known of a message. `entities` are (type, text); what no adapter was asked for is None or ()."""

    language: str
    orders: tuple[str, ...] = ()
    intent: Guess | None = None
    sentiment: Guess | None = None
    entities: tuple[tuple[str, str], ...] = ()

    @property
    def offers_person(self) -> bool:
        """Whether a person is offered beside the answer."""
        return any(guess is not None and guess.upset for guess in (self.intent, self.sentiment))

    def notes(self) -> list[str]:
        """One line each, for the receipt."""
        guesses = {"intent": self.intent, "sentiment": self.sentiment}
        lines = [f"{name}: {guess.label} ({guess.probability:.2f})" for name, guess in guesses.items() if guess]
        lines += [f"{kind}: {text}" for kind, text in self.entities]
        return lines + [f"order number: {order}" for order in self.orders]


class Router:
    """The router of a data folder. Thread-safe; networks are loaded at first use and kept."""

    def __init__(
        self, shelf: Shelf, deployments: Deployments, tenant: str, *, open_network: Open | None = None
    ) -> None:
        self._shelf, self._deployments, self._tenant = shelf, deployments, tenant
        self._open = open_network or load
        self._networks: dict[str, Network] = {}
        self._refused: dict[str, object] = {}  # adapter -> what its folder looked like
        self._lock = threading.Lock()

    def route(self, message: str, collection: str, *, conversation: str = "") -> Route | None:
        """What is known of a message; None where no adapter of the router is in use in the collection."""
        asked: dict[str, Network] = {}
        for slot in SLOTS:
            network = self._network(slot, collection, conversation)
            if network is not None:
                asked[slot] = network
        if not asked:
            return None
        with self._lock:  # a network is not for two threads at once
            guesses = {slot: _guess(asked[slot], message) for slot in ("intent", "sentiment") if slot in asked}
            entities = _entities(asked["entities"], message) if "entities" in asked else ()
        return Route(
            language.detect(message), orders(message), guesses.get("intent"), guesses.get("sentiment"), entities
        )

    def _network(self, slot: str, collection: str, conversation: str) -> Network | None:
        if not (self._shelf.root / slot).is_dir():  # nobody has made one: no question to the store
            return None
        deployment = self._deployments.current(self._tenant, collection, slot)
        name = deployment.arm(conversation) if deployment else ""
        if not name:
            return None
        with self._lock:
            if name not in self._networks:
                self._load(name, tags=slot == "entities")
            return self._networks.get(name)

    def _load(self, name: str, *, tags: bool) -> None:
        """Keeps the network of an adapter. What was refused is not read again until its folder changes."""
        now = stamp(self._shelf.root.joinpath(*name.split("@")))
        if name in self._refused and self._refused[name] == now:
            return
        try:
            adapter = self._shelf.find(name)
            if adapter.task != ("tag" if tags else "classify"):
                raise AdapterRefused(f"it is for {adapter.task}")
            verify(Path(adapter.path))
            self._networks[name] = self._open(adapter)
        except ConfideError as error:
            self._refused[name] = now
            _log.warning("the router goes without %s: %s", name, error.message)


def orders(message: str) -> tuple[str, ...]:
    """The order, parcel and case numbers of a message, as written, each once.

    >>> orders("Where is order no. AB-10293, or #55812? I paid 2024 euros."), orders("订单号：20240115")
    (('AB-10293', '55812'), ('20240115',))
    """
    found = (
        match.group("named") or match.group("hashed") or match.group("shaped") for match in _ORDER.finditer(message)
    )
    return tuple(dict.fromkeys(found))


def load(adapter: Adapter) -> Network:
    """The classifier or tagger of a vetted adapter on the bundled encoder.

    Raises:
        AdapterRefused: it was made for another base.
    """
    from assistant.tuning import classifier, networks

    if adapter.base != networks.MINILM:
        raise AdapterRefused(f"{adapter.id} was made for {adapter.base}; the router runs on {networks.MINILM}.")
    found: Network = classifier.load(Path(adapter.path), networks.minilm_folder(), name=networks.MINILM)
    return found


def _guess(network: Network, message: str) -> Guess:
    odds = [float(each) for each in network.classify([message])[0]]
    best = max(range(len(odds)), key=odds.__getitem__)
    return Guess(network.labels[best], odds[best])


def _entities(network: Network, message: str) -> tuple[tuple[str, str], ...]:
    """(type, text) of each run of words that is tagged as one entity."""
    words = list(_WORD.finditer(message))
    if not words:
        return ()
    found: list[tuple[str, int, int]] = []
    before = "O"
    for word, tag in zip(words, network.tag([[word.group() for word in words]])[0], strict=True):
        if tag.startswith("I-") and before[2:] == tag[2:] and found:
            found[-1] = (tag[2:], found[-1][1], word.end())
        elif tag != "O":
            found.append((tag[2:], word.start(), word.end()))
        before = tag
    return tuple((kind, message[start:end]) for kind, start, end in found)
