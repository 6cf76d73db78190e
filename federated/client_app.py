"""The partner's Flower app: a thin shell around `local.py`. Each message starts a process of its own.

Everything it uses - data, keys, policy, model - is in the partner's own installed package and folder
(FEDERATED_PARTNER_HOME); the coordinator ships two lines that import this.

What goes wrong here stays here: an error's text may quote a record. Only the errors of the round itself are told.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from federated import records
from federated.errors import IdentityRefused, PlanRefused, PolicyVeto, RoundVoid, UpdateRefused
from federated.local import note_skipped
from federated.rounds import PRIVATE
from federated.types import RoundPlan
from federated.wire import hello

_log = logging.getLogger(__name__)
_TOLD = (IdentityRefused, PolicyVeto, RoundVoid, UpdateRefused)
_KEPT = "This partner's data or program could not be used; its own log says why."

app = ClientApp()


def _answering(handler: Callable[[Message], RecordDict]) -> Callable[[Message, Context], Message]:
    """A handler as Flower calls it, which never raises: Flower would send the error's text to the coordinator."""

    def answer(message: Message, context: Context) -> Message:
        try:
            content = handler(message)
        except PlanRefused as error:
            content = records.pack({"declined": str(error)})
        except _TOLD as error:  # their hints are for this side
            content = records.pack({"declined": error.message})
        except Exception as error:
            _keep(message, error)
            content = records.pack({"declined": _KEPT})
        return Message(content=content, reply_to=message)

    return answer


def _keep(message: Message, error: Exception) -> None:
    """Why there is no answer, in this partner's own log; of a round also where `partner status` shows it."""
    from federated.site import Site

    _log.error("No answer to the coordinator", exc_info=error)
    with contextlib.suppress(Exception):
        plan = RoundPlan.from_dict(records.about(message.content)["plan"])
        note_skipped(Site.here().home / "run", plan, str(error) or repr(error))


@app.train()
@_answering
def train(message: Message) -> RecordDict:
    """A plan and weights -> this partner's signed update."""
    from federated.site import Site

    plan, start = records.to_plan(message.content)
    site = Site.here()
    # without weights: those that were judged after the round before; the plan's hash says whether they are
    return records.from_update(site.partner(plan.training).answer(plan, start or site.shown()))


@app.evaluate()
@_answering
def evaluate(message: Message) -> RecordDict:
    """Shared weights -> this partner's own measures, where its policy tells them."""
    from federated.site import Site

    weights = {name: array.astype("f8") for name, array in records.arrays(message.content).items()}
    training, site = records.about(message.content)["training"], Site.here()
    site.show(weights)
    measures = site.partner(training).evaluate(weights, private=bool(training.get(PRIVATE)))
    return records.pack({"measures": dict(measures)})


@app.query("hello")
@_answering
def say_hello(message: Message) -> RecordDict:
    """A challenge -> this partner's name, signed."""
    from federated.site import Site

    identity = Site.here().identity
    name = identity.card.name
    signature = identity.signer.sign(hello(str(records.about(message.content)["challenge"]), name))
    return records.pack({"partner": name, "signature": signature})


@app.query("disclose")
@_answering
def disclose(message: Message) -> RecordDict:
    """Who arrived -> what takes this partner's masks off their sum."""
    from federated.site import Site

    fields = records.about(message.content)
    plan = RoundPlan.from_dict(fields["plan"])
    disclosure = Site.here().partner(plan.training).disclose(plan, tuple(fields["arrived"]))
    return records.from_disclosure(disclosure)


@app.query("publish")
@_answering
def publish(message: Message) -> RecordDict:
    """What the coordinator published -> the adapter on this partner's own shelf."""
    from federated.publishing import Notice
    from federated.site import Site

    weights = {name: array.astype("f8") for name, array in records.arrays(message.content).items()}
    return records.pack({"kept": Site.here().receive(Notice.from_dict(_notice(message)), weights)})


def _notice(message: Message) -> dict[str, Any]:
    found = records.about(message.content).get("notice")
    return found if isinstance(found, dict) else {}
