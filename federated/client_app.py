"""The partner's Flower app: a thin shell around `local.py`. Each message starts a process of its own.

Everything it uses - data, keys, policy, model - is in the partner's own installed package and folder
(FEDERATED_PARTNER_HOME); the coordinator ships two lines that import this.
"""

from __future__ import annotations

from typing import Any

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from assistant.errors import ConfideError
from federated import records
from federated.rounds import PRIVATE
from federated.types import RoundPlan
from federated.wire import hello
from privacy.errors import PrivacyError

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """A plan and weights -> this partner's signed update, or why there is none."""
    from federated.site import Site

    try:
        plan, start = records.to_plan(message.content)
        site = Site.here()
        # without weights: those that were judged after the round before; the plan's hash says whether they are
        content = records.from_update(site.partner(plan.training).answer(plan, start or site.shown()))
    except (ConfideError, PrivacyError) as error:
        content = records.pack({"declined": str(error)})
    return Message(content=content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Shared weights -> this partner's own measures, where its policy tells them."""
    from federated.site import Site

    weights = {name: array.astype("f8") for name, array in records.arrays(message.content).items()}
    training, site = records.about(message.content)["training"], Site.here()
    site.show(weights)
    measures = site.partner(training).evaluate(weights, private=bool(training.get(PRIVATE)))
    return Message(content=records.pack({"measures": dict(measures)}), reply_to=message)


@app.query("hello")
def say_hello(message: Message, context: Context) -> Message:
    """A challenge -> this partner's name, signed."""
    from federated.site import Site

    identity = Site.here().identity
    name = identity.card.name
    signature = identity.signer.sign(hello(str(records.about(message.content)["challenge"]), name))
    return Message(content=records.pack({"partner": name, "signature": signature}), reply_to=message)


@app.query("disclose")
def disclose(message: Message, context: Context) -> Message:
    """Who arrived -> what takes this partner's masks off their sum."""
    from federated.site import Site

    fields = records.about(message.content)
    plan = RoundPlan.from_dict(fields["plan"])
    try:
        disclosure = Site.here().partner(plan.training).disclose(plan, tuple(fields["arrived"]))
    except (ConfideError, PrivacyError) as error:
        return Message(content=records.pack({"declined": str(error)}), reply_to=message)
    return Message(content=records.from_disclosure(disclosure), reply_to=message)


@app.query("publish")
def publish(message: Message, context: Context) -> Message:
    """What the coordinator published -> the adapter on this partner's own shelf, or why there is none."""
    from federated.publishing import Notice
    from federated.site import Site

    try:
        weights = {name: array.astype("f8") for name, array in records.arrays(message.content).items()}
        content = records.pack({"kept": Site.here().receive(Notice.from_dict(_notice(message)), weights)})
    except (ConfideError, PrivacyError) as error:
        content = records.pack({"declined": str(error)})
    return Message(content=content, reply_to=message)


def _notice(message: Message) -> dict[str, Any]:
    found = records.about(message.content).get("notice")
    return found if isinstance(found, dict) else {}
