"""The values of a federated round, the same in one process and over the wire.

Arrays are NumPy's; a set of tensors is a dict from name to array. What is not here: Flower's
records (`records.py`), keys (`enrol.py`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from privacy.types import PrivacySpend, Unit

Mode = Literal["plain", "masked", "robust"]
Encoding = Literal["float32", "float16", "int8", "masked"]
Arrays = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name and shape of one tensor of the adapter that is sent."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Promise:
    """The privacy a whole run promises: `epsilon` at `delta` per `unit`, over `rounds` rounds.

    Units example and customer: each partner trains privately and charges its own book; `clip_norm`
    bounds one unit's gradient, `per_customer` counts a customer's examples in one step. Unit
    partner: the sum of the clipped updates carries noise of `noise_multiplier` times the round's clip norm.
    """

    unit: Unit
    epsilon: float
    delta: float
    rounds: int
    clip_norm: float = 1.0
    per_customer: int = 4
    noise_multiplier: float = 0.0


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """What the coordinator asks of the partners in one round.

    `nonce` is 32 random hex digits, new in every attempt; `deadline` is in seconds since 1970;
    `quorum` the fewest updates that make a round; `start_sha256` of the weights to start from;
    `clip_norm` the largest L2 norm of a whole update; `weights` a share per partner, set by the
    coordinator and never by a reply. `training` are the loop's options as JSON-ready values;
    `dp` is what the whole run promises, None = no differential privacy.
    """

    run: str
    round: int
    nonce: str
    partners: tuple[str, ...]
    quorum: int
    deadline: float
    mode: Mode
    encoding: Encoding
    tensors: tuple[TensorSpec, ...]
    clip_norm: float
    start_sha256: str
    weights: tuple[float, ...]
    training: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dp: Promise | None = None

    @property
    def size(self) -> int:
        """How many numbers one update holds."""
        return sum(tensor.size for tensor in self.tensors)

    def digest(self) -> bytes:
        """sha256 of the whole plan: what masks and signatures are bound to."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).digest()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` is its inverse."""
        return {**dataclasses.asdict(self), "training": dict(self.training)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RoundPlan:
        """The plan that `to_dict` wrote."""
        tensors = tuple(TensorSpec(item["name"], tuple(item["shape"])) for item in data["tensors"])
        lists = {"partners": tuple(data["partners"]), "weights": tuple(data["weights"]), "tensors": tensors}
        return cls(**{**data, **lists, "dp": Promise(**data["dp"]) if data.get("dp") else None})

    @property
    def hides_partners(self) -> bool:
        """Whether the round's sum carries noise for the unit partner."""
        return self.dp is not None and self.dp.unit == "partner"


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A tensor as it travels: `data` times `scale` is its value (masked: integers modulo 2^32)."""

    data: NDArray[Any]
    scale: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class ClientUpdate:
    """One partner's reply: the change of the adapter, never the adapter, never data.

    `examples` and `metrics` are reported, not trusted: they weigh nothing. `signature` (hex) is
    the partner's over `claim()`.
    """

    run: str
    round: int
    partner: str
    nonce: str
    tensors: Mapping[str, Encoded]
    examples: int = 0
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    spend: PrivacySpend | None = None
    signature: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors on the wire."""
        return sum(tensor.data.nbytes for tensor in self.tensors.values())

    def payload_sha256(self) -> str:
        """sha256 over names, dtypes, shapes, scales and bytes, in the order of the names."""
        digest = hashlib.sha256()
        for name in sorted(self.tensors):
            tensor = self.tensors[name]
            head = json.dumps([name, tensor.data.dtype.str, list(tensor.data.shape), repr(float(tensor.scale))])
            digest.update(head.encode() + b"\n" + np.ascontiguousarray(tensor.data).tobytes())
        return digest.hexdigest()

    def claim(self) -> bytes:
        """What is signed: run, round, partner, nonce, the payload's hash and everything reported."""
        fields = {
            "run": self.run,
            "round": self.round,
            "partner": self.partner,
            "nonce": self.nonce,
            "payload": self.payload_sha256(),
            "examples": self.examples,
            "metrics": dict(self.metrics),
            "spend": self.spend.to_dict() if self.spend else None,
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a partner's update was not used."""

    partner: str
    reason: str


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What became of a round; `committed` False = void, and the weights are those before it."""

    round: int
    nonce: str
    committed: bool
    accepted: tuple[str, ...]
    refused: tuple[Refusal, ...]
    weights_sha256: str
    bytes_up: int = 0
    bytes_down: int = 0
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` is its inverse."""
        return {**dataclasses.asdict(self), "metrics": dict(self.metrics)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RoundResult:
        """The result that `to_dict` wrote."""
        refused = tuple(Refusal(**item) for item in data["refused"])
        return cls(**{**data, "accepted": tuple(data["accepted"]), "refused": refused})
