"""A run's result on a shelf: at the coordinator when its gate lets it pass, and at each partner that took part.

What is published is a signed notice and the weights. A partner checks the signature against the key
in its invitation, judges the weights on the records it kept from training, and puts them on its own
shelf as a new version; `adapters use` and `adapters rollback` are then as for any other adapter. What
a partner trains on top of it (`personalise`) stays at home: no message carries it.

What is not here: the gate's question whether anything got worse (`rounds.Coordinator.objections`).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from federated.errors import BadRequest, IdentityRefused
from federated.learning import Recipe, put_weights
from federated.types import Arrays
from federated.weights import weights_sha256
from privacy.keys import Signer, is_signed
from privacy.types import PrivacyBudget, PrivacySpend

if TYPE_CHECKING:
    from assistant.core import Assistant
    from assistant.finetune import Trained, Watch
    from assistant.settings import Settings
    from assistant.types import Adapter, Report
    from federated.site import Site


@dataclass(frozen=True, slots=True)
class Notice:
    """What a coordinator signs when it publishes: which weights, of which run and round, for which recipe.

    `promise` says in words what privacy the run kept, "" = none.
    """

    run: str
    round: int
    weights_sha256: str
    recipe: dict[str, Any]
    partners: tuple[str, ...]
    promise: str = ""
    signer: str = ""
    signature: str = ""

    def content(self) -> bytes:
        """What is signed."""
        fields = {**dataclasses.asdict(self), "signature": ""}
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    def signed(self, signer: Signer) -> Notice:
        """The notice with the signer's public key and signature."""
        named = dataclasses.replace(self, signer=signer.public, signature="")
        return dataclasses.replace(named, signature=signer.sign(named.content()))

    def check(self, public: str, weights: Arrays) -> None:
        """Passes weights that the holder of this public key published.

        Raises:
            IdentityRefused: the signature is another's, or the weights are not those it speaks of.
        """
        if self.signer != public or not is_signed(public, self.signature, self.content()):
            raise IdentityRefused("What is to be published is not signed by this partner's coordinator.")
        if weights_sha256(weights) != self.weights_sha256:
            raise IdentityRefused("The published weights are not those that the coordinator signed.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` is its inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Notice:
        """The notice that `to_dict` wrote. Raises BadRequest: it is none."""
        try:
            return cls(**{**data, "partners": tuple(data["partners"])})
        except (KeyError, TypeError) as error:
            raise BadRequest(f"This is not a notice of publication: {error!r}.") from error


@dataclass(frozen=True, slots=True)
class Learnt:
    """What one side knows of the weights beyond the notice: its own privacy, customers and judgement."""

    privacy: tuple[PrivacySpend, ...] = ()
    customers: tuple[str, ...] = ()
    examples: int = 0
    owners: int = 0
    before: Report | None = None
    after: Report | None = None


def name_of(run: str) -> str:
    """What a run's adapter is called."""
    return f"shared-{run}"


def shelve(notice: Notice, weights: Arrays, parts: tuple[Any, Any, Any], settings: Settings, learnt: Learnt) -> Adapter:
    """The weights as a new version of `shared-RUN` on this side's shelf; the same weights are not kept twice.

    `parts` are (tokenizer, model, base) of the notice's recipe. Whose records they learned from is written down first.
    """
    from assistant import template
    from assistant.adapters import CONFIG, WEIGHTS, Shelf, sha256_of
    from assistant.tuning import lora
    from assistant.types import Adapter

    tokenizer, model, base = parts
    put_weights(model, weights)
    recipe, name = Recipe.of({"recipe": notice.recipe}), name_of(notice.run)
    draft = settings.data_dir / "tmp" / f"{name}-{notice.round}"
    lora.save(model, draft)
    sha256 = sha256_of(draft / WEIGHTS)
    _remember(settings, sha256, learnt.customers)
    shelf = Shelf(settings.data_dir)
    for known in shelf.all():
        if (known.name, known.sha256) == (name, sha256):
            return known
    config = json.loads((draft / CONFIG).read_text(encoding="utf-8"))
    words = f"Federated run {notice.run}: {notice.round} rounds, partners {', '.join(notice.partners)}."
    notes = [words, f"Notice {notice.content().decode()} signed {notice.signature}.", notice.promise]
    card = Adapter(
        name=name, version=0, path="", task=recipe.learns, base=base.name, base_sha256=base.sha256, sha256="",
        rank=int(config["r"]), alpha=float(config["lora_alpha"]), targets=tuple(sorted(config["target_modules"])),
        method=recipe.method, labels=recipe.labels, examples=learnt.examples, owners=learnt.owners,
        template_sha256=template.template_sha256(tokenizer) if recipe.task == "chat" else "",
        before=learnt.before, after=learnt.after, privacy=learnt.privacy,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        notes=tuple(filter(None, notes)),
    )  # fmt: skip
    return shelf.save(card, lambda folder: lora.save(model, folder))


def _remember(settings: Settings, sha256: str, customers: tuple[str, ...]) -> None:
    """Whose records the weights learned from. Partners of one machine may share a shelf: nobody is dropped."""
    from privacy.erasure import Learned

    if not customers:
        return
    known = settings.data_dir / "privacy" / "learned" / f"{sha256}.json"
    before = json.loads(known.read_text(encoding="ascii")) if known.is_file() else []
    Learned(settings.data_dir, settings.tenant).remember(sha256, [*before, *customers])


def put_to_use(adapter: Adapter, settings: Settings, collection: str, *, note: str) -> None:
    """From its next question on a running server answers with it; `adapters rollback` is the way back."""
    from assistant.deployments import Deployments, slot_of
    from assistant.store import Store
    from assistant.vetting import verify

    verify(Path(adapter.path))
    store = Store.of(settings)
    try:
        Deployments(store).put(settings.tenant, collection, adapter.id, slot=slot_of(adapter), note=note)
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class Personal:
    """How a partner trains its own adapter; `budget` = with differential privacy. `suite` is a golden file (chat)."""

    epochs: float = 3.0
    learning_rate: float = 3e-4
    collection: str | None = None
    suite: Path | None = None
    aside: bool = False
    budget: PrivacyBudget | None = None


def personalise(site: Site, assistant: Assistant, options: Personal, watch: Watch = lambda event: None) -> Trained:
    """A partner's own adapter on top of the published one: trained on its records alone, judged, kept at home.

    The records that the rounds kept from training are kept from this training too. The result goes on the
    shelf as `own-RUN` and is put to use where it passes the promotion gate; the shared one stays as it is.

    Raises:
        BadRequest: nothing was published to this partner.
        BudgetExceeded: its book does not cover the training.
    """
    from assistant import finetune
    from assistant.charging import Privately
    from assistant.runs import Plan
    from assistant.tuning.private import Goal
    from federated.site import HELD_OUT

    notice, adapter = site.published()
    recipe = Recipe.of({"recipe": notice.recipe})
    plan = Plan(
        recipe.learns, Path(site.config.data), f"own-{notice.run}", base=recipe.base, parent=adapter,
        rank=recipe.rank, epochs=options.epochs, learning_rate=options.learning_rate, held_out=HELD_OUT,
        suite=options.suite, seed=recipe.seed, singly=True,
    )  # fmt: skip
    book = site.book().ledger
    private = Privately(Goal(options.budget), book) if options.budget else None
    return finetune.train(
        plan, assistant, collection=options.collection, watch=watch, use=not options.aside, ledger=book, private=private
    )
