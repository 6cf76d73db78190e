"""A partner's own folder: keys, invitation, data, policy, approved app code, what was sent. Nothing in it is shared.

    identity/        three private keys and the card       invitation.json   the coordinator's address and authority
    partner.json     data, model, policy                   peers.json        cards of the others, pinned at first sight
    approved.json    hashes of app code that may run here  run/              what must survive a crash; sent.jsonl
    bin/             what Flower starts instead of its own client program: it checks the hash first

Run as a program (`python -m federated.site`) it is that client program: Flower's, behind the check.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from federated.enrol import Card, Identity, Invitation, load_identity, make_identity
from federated.errors import BadRequest, PolicyVeto
from federated.learning import CARDS, LoraTrainer, Recipe
from federated.local import Partner, Policy
from federated.spending import OwnBook
from privacy.erasure import Tombstones
from privacy.keys import durable_write

HOME = "FEDERATED_PARTNER_HOME"
_HELD_OUT = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class SiteConfig:
    """What this partner brings: `data` is a JSONL file for the recipe's task, `data_dir` holds the models.

    `book` is the folder of the privacy book that is charged, "" = this partner's own folder; `partner join` names
    `data_dir`, so that a company has one book for all its trainings.
    """

    data: str
    data_dir: str = "data"
    policy: Policy = dataclasses.field(default_factory=Policy)
    book: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` is its inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SiteConfig:
        """The configuration that `to_dict` wrote."""
        policy = data.get("policy", {})
        lists = {name: tuple(policy[name]) for name in ("modes", "reports", "runs") if name in policy}
        return cls(**{**data, "policy": Policy(**{**policy, **lists})})


class Site:
    """One partner's folder."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @classmethod
    def here(cls) -> Site:
        """The folder this process belongs to.

        Raises:
            BadRequest: the process was not started for a partner.
        """
        home = os.environ.get(HOME)
        if not home:
            raise BadRequest(f"{HOME} is not set.", hint="Start the partner with: federated partner start")
        return cls(Path(home))

    def join(self, invitation: Invitation, config: SiteConfig) -> Identity:
        """Makes the folder: keys, configuration, and the approval of the app code this Confide ships."""
        if not Path(config.data).is_file():
            raise BadRequest(f"There is no file {config.data}.", hint="--data names your own training file (JSONL).")
        identity = make_identity(self.home / "identity", invitation.partner)
        invitation.save(self.home / "invitation.json")
        durable_write(self.home / "ca.pem", invitation.authority.encode())
        durable_write(self.home / "partner.json", json.dumps(config.to_dict(), indent=1).encode())
        return identity

    @property
    def identity(self) -> Identity:
        """The partner's keys."""
        return load_identity(self.home / "identity")

    @property
    def invitation(self) -> Invitation:
        """Where the coordinator is."""
        return Invitation.load(self.home / "invitation.json")

    @property
    def config(self) -> SiteConfig:
        """What this partner brings. Raises BadRequest: the file is damaged."""
        try:
            return SiteConfig.from_dict(json.loads((self.home / "partner.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise BadRequest(f"{self.home / 'partner.json'} cannot be read: {error}.") from error

    # App code

    def approve(self, sha256: str) -> None:
        """App code of this hash may run here from now on."""
        kept = sorted({*self.approved(), sha256.lower()})
        durable_write(self.home / "approved.json", json.dumps(kept).encode())

    def approved(self) -> tuple[str, ...]:
        """The hashes of app code that may run here."""
        path = self.home / "approved.json"
        return tuple(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else ()

    def check_app(self, content: bytes) -> None:
        """Passes app code this partner approved. Raises PolicyVeto: any other."""
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 not in self.approved():
            raise PolicyVeto(
                f"The coordinator sent app code {sha256[:16]}..., which this partner has not approved; it did not run.",
                hint=f"After reading it: federated partner approve {sha256}",
            )

    def write_launcher(self) -> Path:
        """The folder to put first on PATH for Flower's node: its client program is then this file, run as a program."""
        folder = self.home / "bin"
        script = folder / "flwr-clientapp"
        durable_write(script, f'#!/bin/sh\nexec "{sys.executable}" -m federated.site "$@"\n'.encode())
        script.chmod(0o700)
        return folder

    def sent(self) -> list[dict[str, Any]]:
        """Everything that ever left, oldest first: the manifests."""
        path = self.home / "run" / "sent.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def skipped(self) -> list[dict[str, Any]]:
        """The rounds that were sat out because the privacy budget was spent, and why: for this partner's eyes."""
        path = self.home / "run" / "skipped.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def leave(self) -> None:
        """No app code may run here any more; keys, masks and trained changes are deleted, the manifests stay."""
        durable_write(self.home / "approved.json", b"[]")
        shutil.rmtree(self.home / "identity", ignore_errors=True)
        shutil.rmtree(self.home / "run" / "masks", ignore_errors=True)
        for name in ("trained.safetensors", "residual.safetensors"):
            (self.home / "run" / name).unlink(missing_ok=True)

    # The learning partner

    def partner(self, training: Mapping[str, Any]) -> Partner:
        """This site as a partner that trains by a plan's options."""
        recipe = Recipe.of(training)
        return Partner(
            self.identity, self._trainer(recipe), self.home / "run",
            peers=self._pinned(training.get(CARDS, [])), policy=self.config.policy, book=self.book(),
        )  # fmt: skip

    def book(self) -> OwnBook:
        """What this partner's data has spent, and the run's part of it."""
        from privacy.ledger import Ledger

        config = self.config
        ledger = Ledger(Path(config.book) if config.book else self.home, holder=self.invitation.partner)
        return OwnBook(ledger, Path(config.data).stem, self.home / "run", config.policy.max_epsilon)

    def _pinned(self, cards: list[dict[str, Any]]) -> dict[str, Card]:
        """The others' cards. One that changed since it was first seen is a veto: its masks would be another's."""
        path = self.home / "peers.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        for fields in cards:
            card = Card(**fields).check()
            if known.setdefault(card.name, fields) != fields:
                raise PolicyVeto(
                    f"The keys of {card.name} are not those seen before.",
                    hint=f"If {card.name} joined anew, compare fingerprints and remove it from {path}.",
                )
        durable_write(path, json.dumps(known, indent=1).encode())
        return {name: Card(**fields) for name, fields in known.items()}

    def _trainer(self, recipe: Recipe) -> LoraTrainer:
        from assistant.runs import members_in
        from assistant.settings import load_settings
        from assistant.tuning import data, loop
        from assistant.tuning.tasks import make_task

        config = self.config
        settings = load_settings(data_dir=Path(config.data_dir))
        records = data.read_records(Path(config.data), recipe.task, labels=recipe.labels or None)
        gone = Tombstones(settings.data_dir, settings.tenant).erased(row.customer for row in records.rows)
        records = records.subset(place for place, row in enumerate(records.rows) if row.customer not in gone)
        if not len(records):
            raise BadRequest(f"Every customer in {config.data} has been erased: there is nothing to train on.")
        own = self.book()
        own = dataclasses.replace(own, ledger=own.ledger.knowing(own.dataset, members_in(records, settings)))
        kept, aside = records.split(_HELD_OUT, seed=recipe.seed)
        tokenizer, model, _ = recipe.model(settings)
        task = make_task(records)
        test = task.examples(aside, tokenizer) if len(aside) else ()
        judge = (lambda net: {"score": -loop.evaluate(net, task, test)}) if test else None
        return LoraTrainer(model, task, task.examples(kept, tokenizer), judge=judge, book=own)


def main() -> None:
    """Flower's client program, which installs the coordinator's app only after the check."""
    from flwr.supernode.cli.flwr_clientapp import flwr_clientapp

    runtime: Any = importlib.import_module("flwr.supernode.runtime.run_clientapp")
    install = runtime.install_from_fab

    def checked(content: Any, *arguments: Any, **options: Any) -> Any:
        Site.here().check_app(content if isinstance(content, bytes) else Path(content).read_bytes())
        return install(content, *arguments, **options)

    runtime.install_from_fab = checked
    sys.argv[0] = "flwr-clientapp"
    flwr_clientapp()


if __name__ == "__main__":
    main()
