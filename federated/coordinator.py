"""The coordinator's own folder, and the conduct of its run from the first weights to a published adapter.

    ca.pem server.pem *.key   TLS and signing        roster.json   who was invited, is enrolled, is revoked
    run.json                  what is trained, how    run/          the run's one file, its lock, rounds.jsonl
    app/                      the two lines of code that are shipped to partners

What is not here: the rounds (`rounds.py`), the daemons (`deploy.py`), what `app/` holds (`shipping.py`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import ipaddress
import json
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from assistant.adapters import check_name
from federated.certificates import make_authority, renew_certificate
from federated.config import BASE, CARDS
from federated.enrol import Invitation, Roster
from federated.errors import BadRequest, RoundVoid
from federated.learning import (
    CALIBRATED,
    FROZEN,
    PROXIMAL,
    RECIPE,
    RECOMMEND,
    Recipe,
    frozen_of,
    frozen_sha256,
    put_weights,
    weights_of,
)
from federated.masking import alike
from federated.publishing import Learnt, Notice, name_of, put_to_use, shelve
from federated.rounds import Coordinator, RunConfig, Wire
from federated.shipping import write_app
from federated.types import Arrays, Promise, RoundResult
from federated.weights import weights_sha256
from privacy.accounting import epsilon
from privacy.erasure import append_line, read_lines
from privacy.keys import Signer, durable_write, load_signer, new_signer
from privacy.ledger import Ledger
from privacy.types import PrivacySpend

if TYPE_CHECKING:
    from assistant.settings import Settings
    from assistant.tuning.records import Records
    from assistant.types import Report

HOME = "FEDERATED_COORDINATOR_HOME"
ROUNDS = "rounds.jsonl"
"""Every attempt of the run, in `run/`."""
FAILED = "failed.txt"
"""What the coordinator's program leaves in `run/` when it ends without an outcome: why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where partners reach the coordinator. `insecure` = without TLS and keys: on loopback only.

    `listen` is this machine's own address where `host` is that of a gateway before it; "" = the host itself.
    """

    host: str = "127.0.0.1"
    port: int = 18000
    insecure: bool = False
    listen: str = ""

    def __post_init__(self) -> None:
        for name in filter(None, (self.host, self.listen)):
            if not _is_address(name):
                raise BadRequest(f"{name!r} is neither a host's name nor an address.", hint="Mend --host or --listen.")
        if not self.host or not 1 <= self.port <= 65535:
            raise BadRequest(f"Nobody can reach {self.host}:{self.port}.", hint="--port is from 1 to 65535.")
        if self.insecure and self.host not in ("127.0.0.1", "localhost", "::1"):
            raise BadRequest(f"Without TLS the coordinator listens on this machine only, not on {self.host}.")
        if self.insecure and self.listen:
            raise BadRequest("Without TLS there is no gateway: --listen and --insecure exclude each other.")

    @property
    def names(self) -> tuple[str, ...]:
        """What its certificate is for."""
        return tuple(dict.fromkeys((self.host, self.here, "localhost", "127.0.0.1")))

    def at(self, host: str = "") -> str:
        """A host, by default the one that partners name, with the port; an IPv6 address in brackets."""
        host = host or self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def here(self) -> str:
        """The address by which this machine reaches its own coordinator."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.listen, self.listen or self.host)


def _is_address(text: str) -> bool:
    """Whether it is an IP address or can be a host's name (RFC 1123; `_` for the names of containers)."""
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(text))
    label = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
    return len(text) <= 253 and re.fullmatch(rf"{label}(\.{label})*\.?", text, re.I | re.A) is not None


class Home:
    """One coordinator's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.roster = Roster(folder)

    @classmethod
    def here(cls) -> Home:
        """The folder this process belongs to.

        Raises:
            BadRequest: the process was not started for a coordinator.
        """
        folder = os.environ.get(HOME)
        if not folder:
            raise BadRequest(f"{HOME} is not set.", hint="Start with: federated coordinator start")
        return cls(Path(folder))

    def init(
        self,
        config: RunConfig,
        recipe: Recipe,
        address: Address,
        *,
        data_dir: Path,
        suite: Path | None = None,
        use_in: str = "",
    ) -> None:
        """Makes the folder: authority, signing key, the run's settings, the app that is shipped. In the
        collection `use_in` the adapter answers as soon as it is published.

        Raises:
            BadRequest, BadInput: a run that could not go; nothing was made, so that no partner has to join anew.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise BadRequest(f"{self.folder} is a file.", hint="Name a folder for the coordinator.")
        added = config.share, config.step, config.server_rate, config.refactor, config.combine
        if recipe.task == RECOMMEND and (
            config.rounds != 1 or config.mode == "robust" or config.weights or config.dp
            or added != (1.0, "plain", 1.0, 0, "mean")
        ):  # fmt: skip
            raise BadRequest(
                "Item-item sums take one round in which every partner counts alike, masked or plain, and no noise.",
                hint="--task recommend --rounds 1, without --weight, --dp, --share, --server, --server-rate, "
                "--refactor and --combine.",
            )
        if (recipe.method == "lora") != (config.combine == "stack"):
            raise BadRequest(
                "Means of A and of B are not the mean of their products: whoever trains both, stacks.",
                hint="--combine stack trains both, in mode plain; B alone goes with every mode.",
            )
        if config.training.get(CALIBRATED) and (recipe.task != "classify" or config.dp):
            raise BadRequest(
                "Calibration is by the exact numbers of records of each class: task classify, without --dp."
            )
        if recipe.task != "chat" and (not recipe.labels or len({*recipe.labels}) != len(recipe.labels)):
            raise BadRequest(
                f"The task {recipe.task} needs its classes, tags or items by name, each once.",
                hint="--label A --label B for classify and tag, --items FILE for recommend.",
            )
        _require_partners_can_follow(config)
        if suite and recipe.task != RECOMMEND:
            self._records(suite, recipe)
        check_name(name_of(config.run))
        make_authority(self.folder, address.names)
        new_signer().save(self.folder / "signing.key")
        about = {
            "config": {**dataclasses.asdict(config), "training": dict(config.training)},
            "recipe": recipe.to_dict(),
            "address": dataclasses.asdict(address),
            "data_dir": str(data_dir.resolve()),
            "suite": str(suite.resolve()) if suite else None,
            "use_in": use_in,
        }
        durable_write(self.folder / "run.json", json.dumps(about, indent=1).encode())
        write_app(self.folder / "app")

    def renew(self) -> dt.datetime:
        """A new TLS certificate by the same authority, in force with the next start; when it runs out."""
        return renew_certificate(self.folder, self.address.names)

    def invite(self, partner: str, *, days: float = 7) -> Invitation:
        """A new invitation for a partner. Without TLS it names no authority: the partner's node asks for none then."""
        address = self.address
        authority = "" if address.insecure else (self.folder / "ca.pem").read_text(encoding="ascii")
        return self.roster.invite(
            partner, address=address.at(), days=days, coordinator=self.signer.public, authority=authority
        )

    @property
    def signer(self) -> Signer:
        """The coordinator's signing key."""
        return load_signer(self.folder / "signing.key")

    @property
    def address(self) -> Address:
        """Where partners reach it."""
        return Address(**self._about()["address"])

    @property
    def recipe(self) -> Recipe:
        """What is trained."""
        return Recipe.of({RECIPE: self._about()["recipe"]})

    @property
    def config(self) -> RunConfig:
        """How the run goes."""
        fields = self._about()["config"]
        dp = Promise(**fields["dp"]) if fields.get("dp") else None
        return RunConfig(**{**fields, "weights": tuple((str(k), float(v)) for k, v in fields["weights"]), "dp": dp})

    def rounds(self) -> list[RoundResult]:
        """What became of each attempt so far, oldest first: for a live view."""
        return [RoundResult.from_dict(line) for line in read_lines(self.folder / "run" / ROUNDS)]

    def outcome(self) -> dict[str, Any] | None:
        """How the run ended: the adapter that was published, or the objections; None = it has not."""
        path = self.folder / "run" / "outcome.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def missing(self) -> dict[str, str]:
        """Who has not got the adapter that was published, and why; a new `coordinator start` sends it to them."""
        told = self._told()
        if told is None:
            return {}
        away = {name: told.get(name, "It was not connected.") for name in self.roster.cards()}
        return {name: why for name, why in away.items() if not why.startswith(f"{name_of(self.config.run)}@")}

    def _told(self) -> dict[str, str] | None:
        """What each partner answered when the adapter was published: its adapter there or why not; None = none did."""
        path = self.folder / "run" / "published.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def pack(self, target: Path | IO[bytes]) -> None:
        """What an auditor needs, as a zip: settings, rounds, outcome, public cards. No keys, no weights.

        Raises:
            BadRequest: this is no coordinator's folder; `target` is as it was.
        """
        self._about()
        states = self.roster.states()
        cards = {name: card.content().decode() for name, card in self.roster.cards().items()}
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("partners.json", json.dumps({"states": states, "cards": cards}, indent=1))
            for name in ("run.json", f"run/{ROUNDS}", "run/outcome.json", "run/published.json"):
                if (self.folder / name).exists():
                    archive.write(self.folder / name, name)

    def conduct(self, wire: Wire) -> dict[str, Any]:
        """Runs what is left of the run, and publishes the adapter where nobody objects.

        Returns:
            `adapter` (its id or None), `objections`, `rounds`, `ended` (why before the last round, or ""), and in
            a run with differential privacy `privacy`.
        """
        from assistant.settings import load_settings

        settings = load_settings(data_dir=Path(self._about()["data_dir"]))
        if self.recipe.task == RECOMMEND:
            return self._add_up(wire, settings)
        tokenizer, model, base = self.recipe.model(settings)
        frozen = frozen_sha256(model)
        config = self.config
        cards = [dataclasses.asdict(card) for card in self.roster.cards().values()]
        training = {**config.training, RECIPE: self.recipe.to_dict(), FROZEN: frozen, BASE: base.sha256, CARDS: cards}
        lead = Coordinator(
            dataclasses.replace(config, training=training), self.folder / "run", weights_of(model), wire=wire,
            verify=self.roster.verify, judge=self._judge(model, tokenizer),
            book=self.book if config.hides_partners else None, frozen=frozen_of(model),
        )  # fmt: skip
        try:
            lead.go(lambda result: self._note(lead))
            self._note(lead)  # a kill before a round was noted leaves it to the next start
        except RoundVoid as void:
            self._end({"adapter": None, "objections": [], "rounds": lead.round, "void": str(void)})
            raise
        objections = lead.objections()
        adapter = None if objections else self._publish((tokenizer, model, base), lead, wire, settings)
        outcome = {
            "adapter": adapter, "objections": list(objections), "rounds": lead.round, "baseline": lead.baseline,
            "ended": lead.ended, "privacy": self.privacy(),
        }  # fmt: skip
        self._end(outcome)
        return outcome

    def _add_up(self, wire: Wire, settings: Settings) -> dict[str, Any]:
        """One round of item-item sums; their total is kept as a file, from which the linear item model is made."""
        from federated import recommending

        recipe, config = self.recipe, self.config
        start = {spec.name: np.zeros(spec.shape) for spec in recommending.specs(len(recipe.labels))}
        cards = [dataclasses.asdict(card) for card in self.roster.cards().values()]
        training = {RECIPE: recipe.to_dict(), CARDS: cards}
        # a plain round sends them in full: nothing that halves lose is sent in a second one
        encoding = config.encoding if config.mode == "masked" else "float32"
        whole = dataclasses.replace(config, training=training, encoding=encoding)
        lead = Coordinator(whole, self.folder / "run", start, wire=wire, verify=self.roster.verify)
        try:
            (result, *_) = lead.go(lambda result: self._note(lead))[-1:]
            self._note(lead)
        except RoundVoid as void:
            self._end({"adapter": None, "objections": [], "rounds": lead.round, "void": str(void)})
            raise
        path = settings.data_dir / "recommend" / f"{name_of(config.run)}.safetensors"
        recommending.save_gram(path, recommending.total(lead.weights, len(result.accepted)), recipe.labels)
        outcome: dict[str, Any] = {"adapter": None, "objections": [], "rounds": lead.round, "sums": str(path)}
        self._end(outcome)
        return outcome

    @property
    def book(self) -> Ledger:
        """What the run has spent per partner, where it hides partners."""
        return Ledger(self.folder, holder=self.config.run)

    def privacy(self) -> dict[str, Any] | None:
        """What the run promises, and for the unit partner what it has spent; what a partner spent only it knows."""
        dp = self.config.dp
        if dp is None:
            return None
        told: dict[str, Any] = {"unit": dp.unit, "epsilon": dp.epsilon, "delta": dp.delta, "rounds": dp.rounds}
        if dp.unit == "partner":
            told["spent"] = epsilon(self.book.book().spends(self.config.run), dp.delta, unit="partner")
        return told

    def _spends(self) -> tuple[PrivacySpend, ...]:
        """What the shared adapter spent, for its card; () = in the partners' own books, not known here."""
        dp = self.config.dp
        if dp is None:
            return (PrivacySpend.nonprivate(f"federation {self.config.run}"),)
        return tuple(self.book.book().spends(self.config.run)) if dp.unit == "partner" else ()

    def _end(self, outcome: dict[str, Any]) -> None:
        durable_write(self.folder / "run" / "outcome.json", json.dumps(outcome, indent=1).encode())

    def _judge(self, model: Any, tokenizer: Any) -> Callable[[Arrays], Mapping[str, float]] | None:
        suite = self._about()["suite"]
        if suite is None:
            return None
        from assistant.tuning import loop
        from assistant.tuning.tasks import make_task

        records = self._records(Path(suite), self.recipe)
        task = make_task(records)
        examples = task.examples(records, tokenizer)

        def judge(weights: Arrays) -> Mapping[str, float]:
            put_weights(model, weights)
            return {"score": -loop.evaluate(model, task, examples)}

        return judge

    @staticmethod
    def _records(suite: Path, recipe: Recipe) -> Records:
        from assistant.tuning.data import read_records

        return read_records(suite, recipe.learns, labels=recipe.labels or None)

    def _note(self, lead: Coordinator) -> None:
        """Adds the attempts that rounds.jsonl does not have."""
        noted = {result.nonce for result in self.rounds()}
        for result in lead.results:
            if result.nonce not in noted:
                append_line(self.folder / "run" / ROUNDS, result.to_dict())

    def _publish(self, parts: tuple[Any, Any, Any], lead: Coordinator, wire: Wire, settings: Settings) -> str:
        """The adapter on the coordinator's shelf, and sent to the partners; their spends are not on its card."""
        config, weights = self.config, lead.sent_weights()
        last = next(result for result in reversed(lead.results) if result.committed)
        notice = Notice(
            config.run, last.round, weights_sha256(weights), self.recipe.to_dict(), last.accepted,
            _promised(config.dp) if config.dp else "",
        ).signed(self.signer)  # fmt: skip
        learnt = Learnt(self._spends(), before=_report(lead.baseline), after=_report(last.metrics))
        adapter = shelve(notice, weights, parts, settings, learnt)
        collection, before = self._about().get("use_in"), self._told()
        if collection and before is None:  # sent once more, it moves nothing that was rolled back
            put_to_use(adapter, settings, collection, note=f"published by the run {config.run}")
        told = {**(before or {}), **dict(wire.publish(notice.to_dict(), weights))}
        durable_write(self.folder / "run" / "published.json", json.dumps(told, indent=1).encode())
        return adapter.id

    def _about(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / "run.json").read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise BadRequest(
                f"{self.folder} is no coordinator's folder: {error}.", hint="Make one: federated coordinator init"
            ) from error


def _require_partners_can_follow(config: RunConfig) -> None:
    """Passes a run whose plans no partner has to decline. Raises BadRequest: they all would, in each round."""
    if config.dp and not config.hides_partners and config.training.get(PROXIMAL):
        raise BadRequest(
            "FedProx and differential privacy at the partners exclude each other: the pull is not clipped.",
            hint="--proximal goes without --dp, or with --dp partner.",
        )
    if config.mode == "masked" and not alike([1.0, *(share for _, share in config.weights)]):
        raise BadRequest(
            "Who is not named by --weight counts 1, and masked shares differ tenfold at most.",
            hint="Weigh from 0.1 to 10.",
        )


def _report(measures: Mapping[str, float]) -> Report | None:
    """The gate's measures for the card, higher is better: the coordinator's suite, and what partners tell."""
    from assistant.types import Measure, Report

    return Report("federation", tuple(Measure(name, value) for name, value in sorted(measures.items())), {})


def _promised(dp: Promise) -> str:
    where = "on the sum of the updates" if dp.unit == "partner" else "at each partner, by its own book"
    return f"Differential privacy {where}: epsilon at most {dp.epsilon:g} per {dp.unit} at delta {dp.delta:g}."
