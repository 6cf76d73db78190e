"""A hostile partner's client program, for `federated-identity`: after an honest first round it sends that update again.

In round 2 as it was; later with the new round and nonce written into it and the old signature under it.
Started as Flower's client program, as `federated.site` is.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from federated import site
from federated.local import Partner
from federated.types import Arrays, ClientUpdate, Encoded, RoundPlan
from federated.weights import load_weights, save_weights
from privacy.types import PrivacySpend

_honest = Partner.answer


def replayed(partner: Partner, plan: RoundPlan, start: Arrays) -> ClientUpdate:
    """The first round's update, whatever is asked. Tensors are fp32 (the run's encoding): the file keeps them exactly."""
    path = Path(partner._folder) / "first.safetensors"
    if path.exists():
        tensors, about = load_weights(path)
        spend = PrivacySpend.from_dict(about.pop("spend")) if about["spend"] else None
        sent = {name: Encoded(array.astype(np.float32)) for name, array in tensors.items()}
        update = ClientUpdate(**{**about, "tensors": sent, "spend": spend})
        return update if plan.round == 2 else dataclasses.replace(update, round=plan.round, nonce=plan.nonce)
    update = _honest(partner, plan, start)
    kept = ("run", "round", "partner", "nonce", "examples", "metrics", "signature")
    about = {name: getattr(update, name) for name in kept}
    about["spend"] = update.spend.to_dict() if update.spend else None
    save_weights(path, {name: np.asarray(tensor.data) for name, tensor in update.tensors.items()}, about)
    return update


if __name__ == "__main__":
    Partner.answer = replayed  # type: ignore[method-assign]
    site.main()
