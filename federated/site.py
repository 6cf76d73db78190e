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
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from federated.config import CARDS
from federated.enrol import Card, Identity, Invitation, load_identity, make_identity
from federated.errors import BadRequest, PolicyVeto
from federated.learning import RECIPE, RECOMMEND, LoraTrainer, Recipe, put_weights
from federated.local import COUNT, SENT, SKIPPED, TOLD, Partner, Policy, Trained, Trainer
from federated.publishing import Learnt, Notice, put_to_use, shelve
from federated.spending import OwnBook
from federated.types import Arrays, RoundPlan, TensorSpec
from federated.weights import load_weights, save_weights
from privacy.erasure import Tombstones, read_lines
from privacy.keys import durable_write
from privacy.types import PrivacySpend

HOME = "FEDERATED_PARTNER_HOME"
HELD_OUT = 0.2
"""The share of a partner's records that is kept from training, to judge by."""


@dataclasses.dataclass(frozen=True, slots=True)
class SiteConfig:
    """What this partner brings: `data` is a JSONL file for the recipe's task, `data_dir` holds the models.

    `book` is the folder of the privacy book that is charged, "" = this partner's own folder; `partner join` names
    `data_dir`, so that a company has one book for all its trainings. `use_in` is a collection of this company in
    which a published adapter answers at once. `rank` is what a weaker partner trains of the shared rank, 0 = all.
    """

    data: str
    data_dir: str = "data"
    policy: Policy = dataclasses.field(default_factory=Policy)
    book: str = ""
    use_in: str = ""
    rank: int = 0

    def __post_init__(self) -> None:
        if self.rank < 0 or not 0 <= self.policy.max_epsilon < math.inf:
            raise BadRequest("A partner's own rank and epsilon are numbers from 0 on.", hint="--rank, --max-epsilon")

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
        if self.home.exists() and not self.home.is_dir():
            raise BadRequest(f"{self.home} is a file.", hint="Name a folder for the partner's keys.")
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

    def require(self) -> None:
        """Passes a folder that a partner joined with. Raises BadRequest: it is none, perhaps mistyped."""
        if not (self.home / "partner.json").exists():
            raise BadRequest(
                f"{self.home} is no partner's folder.", hint="Name the folder of `federated partner join`."
            )

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
                hint=f"After reading it: federated partner approve {self.home} {sha256}",
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
        return read_lines(self.home / "run" / SENT)

    def told(self) -> list[dict[str, Any]]:
        """The measures of its own that were told, oldest first."""
        return read_lines(self.home / "run" / TOLD)

    def skipped(self) -> list[dict[str, Any]]:
        """The rounds that were sat out, because the privacy budget was spent or something failed: for this partner's
        eyes."""
        return read_lines(self.home / "run" / SKIPPED)

    def show(self, weights: Arrays) -> None:
        """Keeps shared weights that came to be judged: the next round begins with them."""
        (self.home / "run").mkdir(parents=True, exist_ok=True)
        save_weights(self.home / "run" / "shown.safetensors", weights, {})

    def shown(self) -> Arrays:
        """What `show` kept; nothing where it kept nothing."""
        path = self.home / "run" / "shown.safetensors"
        return load_weights(path)[0] if path.exists() else {}

    @property
    def left(self) -> bool:
        """Whether this partner's part has ended: its keys are deleted."""
        return not (self.home / "identity").is_dir()

    def leave(self) -> None:
        """No app code may run here any more; keys, masks and trained changes are deleted, the manifests stay.

        Raises:
            BadRequest: this is no partner's folder: the keys of the real one would stay.
        """
        self.require()
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
            self.identity, _WhenAsked(lambda: self._trainer(recipe)), self.home / "run",
            peers=self._pinned(training.get(CARDS, [])), policy=self.config.policy, book=self.book(),
            data=self._data_sha256,
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

    def _trainer(self, recipe: Recipe) -> Trainer:
        from assistant.tuning import loop

        if recipe.task == RECOMMEND:
            from federated.recommending import GramTrainer, gram_of

            sums = gram_of(Path(self.config.data), recipe.labels, gone=self._gone)
            return GramTrainer(*sums, book=self.book())
        desk = self._desk(recipe)
        count = float(len(desk.test))
        judge = (lambda net: {"score": -loop.evaluate(net, desk.task, desk.test), COUNT: count}) if count else None
        return LoraTrainer(
            desk.model, desk.task, desk.train, judge=judge, book=desk.book, rank=self._rank(recipe),
            base=desk.base.sha256,
        )  # fmt: skip

    def _rank(self, recipe: Recipe) -> int:
        """How many columns this site trains; 0 = all."""
        return self.config.rank if 0 < self.config.rank < recipe.rank else 0

    def _desk(self, recipe: Recipe) -> _Desk:
        """This site's records for a recipe: without those of erased customers, some kept from training."""
        from assistant.runs import members_in
        from assistant.settings import load_settings
        from assistant.tuning import data
        from assistant.tuning.tasks import make_task

        config = self.config
        settings = load_settings(data_dir=Path(config.data_dir))
        records = data.read_records(Path(config.data), recipe.learns, labels=recipe.labels or None)
        gone = self._gone(row.customer for row in records.rows)
        records = records.subset(place for place, row in enumerate(records.rows) if row.customer not in gone)
        if not len(records):
            raise BadRequest(f"Every customer in {config.data} has been erased: there is nothing to train on.")
        # singly, whatever this run promises: a site's records stay on their sides, and a promise takes it for granted
        kept, aside = records.split(HELD_OUT, seed=recipe.seed, singly=True)
        tokenizer, model, base = recipe.model(settings)
        task = make_task(records)
        test = task.examples(aside, tokenizer) if len(aside) else ()
        book = self.book()
        # another name for the same records is no new budget
        book = dataclasses.replace(book, ledger=book.ledger.knowing(book.dataset, members_in(records, settings)))
        return _Desk(settings, tokenizer, model, base, task, task.examples(kept, tokenizer), test, book)

    def _gone(self, customers: Iterable[str]) -> set[str]:
        """Those of the customers who were erased here."""
        return self._tombstones().erased(customers)

    def _tombstones(self) -> Tombstones:
        from assistant.settings import load_settings

        settings = load_settings(data_dir=Path(self.config.data_dir))
        return Tombstones(settings.data_dir, settings.tenant)

    def _data_sha256(self) -> str:
        """Of this site's records and of who was erased: with other ones, nothing that was made before is sent."""
        with Path(self.config.data).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(json.dumps(sorted(self._tombstones().marks())).encode())
        return digest.hexdigest()

    # What the coordinator published

    def receive(self, notice: Notice, weights: Arrays) -> str:
        """The published weights on this site's own shelf, judged on its own records; gives the adapter's id.

        Where `use_in` names a collection it answers there from the next question on, unless a measure got worse.

        Raises:
            IdentityRefused: it is not what this partner's coordinator signed.
        """
        from assistant import heldout, promotion
        from assistant.runs import HELD_OUT as SUITE
        from assistant.types import Report

        notice.check(self.invitation.coordinator, weights)
        if (kept := self._kept(notice)) is not None:
            return kept
        recipe = Recipe.of({RECIPE: notice.recipe})
        desk = self._desk(recipe)
        learnt = Learnt()
        if any(entry["run"] == notice.run for entry in self.sent()):
            owners = tuple(sorted({example.owner for example in desk.train} - {""}))
            learnt = Learnt(self.spends(notice.run), owners, len(desk.train), len(owners))
        if desk.test:
            plain = recipe.task == "chat"
            before = heldout.judge(desk.model, desk.task, desk.test) if plain else desk.guess()
            put_weights(desk.model, weights)
            after = heldout.judge(desk.model, desk.task, desk.test)
            reports = (heldout.measures(before), [*heldout.measures(after), *heldout.gains(before, after)])
            learnt = dataclasses.replace(
                learnt, before=Report(SUITE, tuple(reports[0]), {}), after=Report(SUITE, tuple(reports[1]), {})
            )
        adapter = shelve(notice, weights, (desk.tokenizer, desk.model, desk.base), desk.settings, learnt)
        durable_write(self.home / "published.json", json.dumps({**notice.to_dict(), "adapter": adapter.id}).encode())
        if self.config.use_in and adapter.after is not None and not promotion.worse(adapter.after.measures):
            put_to_use(adapter, desk.settings, self.config.use_in, note=f"published by the run {notice.run}")
        return adapter.id

    def _kept(self, notice: Notice) -> str | None:
        """The adapter that this very notice became before: sent again, it moves nothing that was rolled back."""
        from assistant.adapters import Shelf

        path = self.home / "published.json"
        if not path.exists() or (found := self.published())[0].signature != notice.signature:
            return None
        return found[1] if any(one.id == found[1] for one in Shelf(Path(self.config.data_dir)).all()) else None

    def published(self) -> tuple[Notice, str]:
        """The last notice and the adapter it became here. Raises BadRequest: nothing was published yet."""
        path = self.home / "published.json"
        if not path.exists():
            raise BadRequest(
                "Nothing was published to this partner yet.",
                hint="The coordinator sends it after the run's last round.",
            )
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Notice.from_dict({name: value for name, value in fields.items() if name != "adapter"}), fields["adapter"]

    def spends(self, run: str = "") -> tuple[PrivacySpend, ...]:
        """What this partner's own book says the run spent here, or all runs."""
        charges = self.book().ledger.book().charges.values()
        purpose = f"federation {run}, " if run else "federation "
        return tuple(one.counted for one in charges if one.purpose.startswith(purpose))


@dataclasses.dataclass(slots=True)
class _WhenAsked:
    """A trainer that is made when something is to be learned: a veto or a mask needs no model."""

    make: Callable[[], Trainer]
    made: Trainer | None = None

    def _trainer(self) -> Trainer:
        self.made = self.made or self.make()
        return self.made

    def tensors(self) -> tuple[TensorSpec, ...]:
        """The trainer's."""
        return self._trainer().tensors()

    def train(self, start: Arrays, plan: RoundPlan) -> Trained:
        """The trainer's."""
        return self._trainer().train(start, plan)

    def evaluate(self, weights: Arrays) -> Mapping[str, float]:
        """The trainer's."""
        return self._trainer().evaluate(weights)


@dataclasses.dataclass(frozen=True, slots=True)
class _Desk:
    """What a site works with for one recipe."""

    settings: Any
    tokenizer: Any
    model: Any
    base: Any
    task: Any
    train: Sequence[Any]
    test: Sequence[Any]
    book: OwnBook

    def guess(self) -> Any:
        """What a rule without any model scores."""
        from assistant import heldout

        return heldout.guess(self.task, self.train, self.test)


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
