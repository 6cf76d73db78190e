"""Our values <-> Flower's records: the only place that translates. Nothing is pickled.

A message carries one JSON text (`about`) and, where there are tensors, all of them as one safetensors file: Flower
sends each array as objects of their own, a request for each, which costs more than a small tensor does. What comes
from outside is read with suspicion: a reply that cannot be read is an `UpdateRefused`, never a crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from safetensors.numpy import load, save

from federated.errors import UpdateRefused
from federated.masking import Disclosure
from federated.types import Arrays, ClientUpdate, Encoded, RoundPlan
from privacy.types import PrivacySpend

HELLO, DISCLOSE, PUBLISH = "query.hello", "query.disclose", "query.publish"
_FILE = "safetensors"


def pack(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]] | None = None) -> RecordDict:
    """A message's content."""
    content = RecordDict({"about": ConfigRecord({"json": json.dumps(about)})})
    if arrays is not None:
        file = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        content["arrays"] = ArrayRecord({_FILE: Array("uint8", (len(file),), _FILE, file)})
    return content


def about(content: RecordDict) -> dict[str, Any]:
    """The JSON object of a message.

    Raises:
        UpdateRefused: there is none.
    """
    try:
        found = json.loads(str(content["about"]["json"]))
    except Exception as error:  # a hundred thousand brackets are a RecursionError: whatever it is, it is this reply's
        raise UpdateRefused("The message holds nothing that can be read.") from error
    if not isinstance(found, dict):
        raise UpdateRefused("The message holds nothing that can be read.")
    return found


def arrays(content: RecordDict) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of a message.

    Raises:
        UpdateRefused: there are none, or they are no safetensors file.
    """
    try:
        record: Any = content["arrays"]
        found: dict[str, np.ndarray[Any, Any]] = load(record[_FILE].data)  # `numpy()` would read the sender's own type
    except Exception as error:
        raise UpdateRefused("The message's tensors cannot be read.") from error
    return found


def from_plan(plan: RoundPlan, start: Arrays) -> RecordDict:
    """What a partner is asked; the weights travel as fp16, which is what they were rounded to."""
    return pack({"plan": plan.to_dict()}, {name: array.astype("<f2") for name, array in start.items()})


def to_plan(content: RecordDict) -> tuple[RoundPlan, Arrays]:
    """The inverse of `from_plan`."""
    plan = RoundPlan.from_dict(about(content)["plan"])
    return plan, {name: array.astype(np.float64) for name, array in arrays(content).items()}


def from_update(update: ClientUpdate) -> RecordDict:
    """A partner's reply."""
    fields = {
        "run": update.run,
        "round": update.round,
        "partner": update.partner,
        "nonce": update.nonce,
        "examples": update.examples,
        "metrics": dict(update.metrics),
        "spend": update.spend.to_dict() if update.spend else None,
        "signature": update.signature,
        "scales": {name: tensor.scale for name, tensor in update.tensors.items()},
    }
    return pack(fields, {name: tensor.data for name, tensor in update.tensors.items()})


def to_update(content: RecordDict) -> ClientUpdate:
    """The inverse of `from_update`; what the values are worth is for the gate to say.

    Raises:
        UpdateRefused: it is not an update.
    """
    fields = about(content)
    try:
        scales = fields["scales"]
        tensors = {name: Encoded(data, scales.get(name, 1.0)) for name, data in arrays(content).items()}
        spend = PrivacySpend.from_dict(fields["spend"]) if fields["spend"] else None
        return ClientUpdate(
            str(fields["run"]), fields["round"], str(fields["partner"]), str(fields["nonce"]), tensors,
            fields["examples"], dict(fields["metrics"]), spend, str(fields["signature"]),
        )  # fmt: skip
    except UpdateRefused:
        raise
    except Exception as error:
        raise UpdateRefused("The reply is not an update.") from error


def from_disclosure(disclosure: Disclosure) -> RecordDict:
    """A partner's second reply of a masked round."""
    return pack(
        {
            "partner": disclosure.partner,
            "arrived": list(disclosure.arrived),
            "own_seed": disclosure.own_seed.hex(),
            "pair_seeds": {name: seed.hex() for name, seed in disclosure.pair_seeds.items()},
        }
    )


def to_disclosure(content: RecordDict) -> Disclosure:
    """The inverse of `from_disclosure`.

    Raises:
        UpdateRefused: it is not a disclosure.
    """
    fields = about(content)
    try:
        seeds = {str(name): bytes.fromhex(seed) for name, seed in fields["pair_seeds"].items()}
        arrived = tuple(str(name) for name in fields["arrived"])
        disclosure = Disclosure(str(fields["partner"]), arrived, bytes.fromhex(fields["own_seed"]), seeds)
    except Exception as error:
        raise UpdateRefused("The reply is not a disclosure.") from error
    if any(len(seed) != 32 for seed in (disclosure.own_seed, *seeds.values())):
        raise UpdateRefused("A seed of the disclosure is not 32 bytes.")
    return disclosure
