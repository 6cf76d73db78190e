"""Laws of publication: signed, a new version on every side, in use at once, one step back; what is personal stays."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from standin import identities

pytest.importorskip("flwr")

from assistant.adapters import Shelf
from assistant.core import Assistant
from assistant.deployments import Deployments
from assistant.settings import Settings
from assistant.vetting import verify
from federated import publishing
from federated.config import BASE
from federated.coordinator import Address, Home
from federated.enrol import apply
from federated.errors import BadRequest, IdentityRefused, PlanRefused
from federated.learning import RECIPE, Recipe, frozen_of, put_weights, weights_of
from federated.local import Partner
from federated.publishing import Notice
from federated.rounds import RunConfig
from federated.simulate import InProcess
from federated.site import Site, SiteConfig
from federated.types import Arrays, ClientUpdate, Refusal, RoundPlan
from federated.weights import load_weights
from privacy.erasure import Learned, Marks
from privacy.errors import BudgetExceeded
from privacy.keys import new_signer
from privacy.types import PrivacyBudget

LABELS = ("delivery", "return")
TEXTS = {
    "delivery": ["when will my parcel arrive", "the courier lost my parcel", "can you ship to the islands"],
    "return": ["how do I send the boots back", "can I return a worn coat", "I want my money back"],
}


@pytest.fixture(autouse=True, scope="module")
def one_network() -> Iterator[None]:
    """The network is read from the disk once; whoever asks gets it as it was then."""
    kept: dict[Recipe, tuple[Any, Arrays]] = {}
    read = Recipe.model

    def again(recipe: Recipe, settings: Settings) -> Any:
        if recipe not in kept:
            parts = read(recipe, settings)
            kept[recipe] = parts, {**weights_of(parts[1]), **frozen_of(parts[1])}
        parts, fresh = kept[recipe]
        put_weights(parts[1], fresh)
        return parts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recipe, "model", again)
        yield


class Sites(InProcess):
    """Real sites in one process: each message makes the partner anew from its folder, as over the wire."""

    def __init__(self, sites: Mapping[str, Site]) -> None:
        super().__init__(())
        self.sites = dict(sites)

    def partners(self) -> list[str]:
        return sorted(self.sites)

    def _partner(self, name: str, training: Mapping[str, Any]) -> Partner:
        return self.sites[name].partner(training)

    def train(self, plan: RoundPlan, start: Arrays) -> Iterable[ClientUpdate | Refusal]:
        for name in plan.partners:
            yield self._partner(name, plan.training).answer(plan, start)

    def disclose(self, plan: RoundPlan, arrived: tuple[str, ...]) -> Iterable[Any]:
        for name in arrived:
            yield self._partner(name, plan.training).disclose(plan, arrived)

    def evaluate(self, partners: Any, weights: Arrays, training: Mapping[str, Any]) -> Iterable[Any]:
        for name in partners:
            yield name, self._partner(name, training).evaluate(weights)

    def publish(self, notice: Mapping[str, Any], weights: Arrays) -> Iterable[tuple[str, str]]:
        for name, site in self.sites.items():
            yield name, site.receive(Notice.from_dict(dict(notice)), weights)


def write(path: Path, partner: int, *, flipped: bool = False) -> Path:
    lines = []
    for number in range(24):
        label = LABELS[number % 2]
        text = f"{TEXTS[label][number % 3]}, order {number * 7 + partner}"
        kept = LABELS[(number + 1) % 2] if flipped else label
        lines.append(json.dumps({"text": text, "label": kept, "customer": f"c{partner}-{number // 2}"}))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@dataclasses.dataclass
class Federation:
    home: Home
    sites: dict[str, Site]
    outcome: dict[str, Any]


def federation(root: Path, *, flipped: int = -1, rounds: int = 1) -> Federation:
    home = Home(root / "hub")
    training = {"epochs": 4.0, "learning_rate": 5e-3, "batch_size": 4, "precision": "float32"}
    config = RunConfig("spring", rounds, mode="masked", training=training)
    recipe = Recipe(task="classify", rank=4, targets=("query", "value"), labels=LABELS)
    home.init(config, recipe, Address(), data_dir=root / "hub-data", use_in="shop")
    sites = {}
    for number in range(3):
        name, folder = f"p{number}", root / f"p{number}"
        data = write(folder / "mine.jsonl", number, flipped=number == flipped)
        site = Site(folder / "site")
        data_dir = str(folder / "data")
        invitation = home.invite(name)
        identity = site.join(invitation, SiteConfig(str(data), data_dir, book=data_dir, use_in="shop"))
        home.roster.enrol(apply(invitation, identity), now=0.0)
        sites[name] = site
    return Federation(home, sites, home.conduct(Sites(sites)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    return federation(tmp_path_factory.mktemp("federation"))


def test_what_is_published_is_signed_and_on_the_shelf_of_every_side(made: Federation) -> None:
    assert made.outcome["adapter"] == "shared-spring@1", made.outcome["objections"]
    hub = Shelf(made.home.folder.parent / "hub-data").find("shared-spring")
    for site in made.sites.values():
        adapter = Shelf(Path(site.config.data_dir)).find("shared-spring")
        verify(Path(adapter.path))
        assert adapter.sha256 == hub.sha256
        assert any(made.home.signer.public in note for note in adapter.notes)
        notice, name = site.published()
        assert name == adapter.id
        assert notice.signer == made.home.signer.public
    assert set(json.loads((made.home.folder / "run" / "published.json").read_text())) == set(made.sites)


def test_a_partner_keeps_whose_records_the_shared_adapter_learned_from(made: Federation) -> None:
    site = made.sites["p1"]
    data_dir = Path(site.config.data_dir)
    adapter = Shelf(data_dir).find("shared-spring")
    trained = {entry["customer"] for entry in map(json.loads, Path(site.config.data).read_text().splitlines())}
    learned = Learned(data_dir)
    found = {who for who in trained if adapter.sha256 in learned.from_(Marks(data_dir).of(who))}
    assert len(found) == adapter.owners > 0
    assert adapter.owners < len(trained)  # some were kept from training
    assert not learned.from_(Marks(data_dir).of("c0-1"))  # another company's customer
    assert [spend.mechanism for spend in adapter.privacy] == ["nonprivate"]


def test_it_answers_at_once_and_one_step_back_is_what_answered_before(made: Federation) -> None:
    for data_dir in (made.home.folder.parent / "hub-data", Path(made.sites["p2"].config.data_dir)):
        assistant = Assistant.open(Settings(data_dir=data_dir))
        with contextlib.closing(assistant):
            deployments = Deployments(assistant.store)
            now = deployments.current("default", "shop", "shared-spring")
            assert now is not None
            assert now.adapter == "shared-spring@1"
            deployments.rollback("default", "shop", "shared-spring")
            assert deployments.current("default", "shop", "shared-spring").adapter == ""  # type: ignore[union-attr]


def test_what_is_sent_again_reaches_who_was_away_and_moves_nothing_that_was_rolled_back(made: Federation) -> None:
    hub, away = made.home.folder.parent / "hub-data", made.home.folder / "run" / "published.json"
    told = json.loads(away.read_text())
    away.write_text(json.dumps({**told, "p1": "It has no room.", "p2": "No answer."}))
    assert set(made.home.missing()) == {"p1", "p2"}

    def answers(data_dir: Path, *, back: bool) -> str:
        with contextlib.closing(Assistant.open(Settings(data_dir=data_dir))) as assistant:
            deployments = Deployments(assistant.store)
            if back and deployments.current("default", "shop", "shared-spring").adapter:  # type: ignore[union-attr]
                deployments.rollback("default", "shop", "shared-spring")
            return deployments.current("default", "shop", "shared-spring").adapter  # type: ignore[union-attr]

    places = (hub, Path(made.sites["p2"].config.data_dir))
    assert [answers(place, back=True) for place in places] == ["", ""]
    assert made.home.conduct(Sites(made.sites))["adapter"] == made.outcome["adapter"]
    assert made.home.missing() == {}
    assert [answers(place, back=False) for place in places] == ["", ""]


def test_a_round_that_a_kill_left_out_of_the_list_is_added_by_the_next_start(made: Federation) -> None:
    listed = made.home.rounds()
    (made.home.folder / "run" / "rounds.jsonl").unlink()
    for _ in range(2):
        made.home.conduct(Sites(made.sites))
        assert made.home.rounds() == listed


def test_what_another_signed_or_changed_is_not_kept(made: Federation) -> None:
    site = made.sites["p0"]
    notice, _ = site.published()
    weights = {"a": np.zeros(2)}
    with pytest.raises(IdentityRefused, match="not those"):
        site.receive(notice, weights)
    with pytest.raises(IdentityRefused, match="not signed"):
        site.receive(notice.signed(new_signer()), weights)
    with pytest.raises(IdentityRefused, match="not signed"):
        site.receive(dataclasses.replace(notice, round=9), weights)


def test_a_partner_whose_records_say_otherwise_objects_and_nothing_is_published(tmp_path: Path) -> None:
    made = federation(tmp_path, flipped=2)
    assert made.outcome["adapter"] is None
    assert any(text.startswith("p2/score") for text in made.outcome["objections"])
    with pytest.raises(BadRequest, match="Nothing was published"):
        made.sites["p2"].published()


def test_a_personal_adapter_is_better_at_home_and_nothing_of_it_leaves(made: Federation) -> None:
    site = made.sites["p0"]
    sent, shared = site.sent(), Shelf(Path(site.config.data_dir)).find("shared-spring")
    # this partner's staff now files the same questions the other way round
    write(Path(site.config.data), 0, flipped=True)
    with contextlib.closing(Assistant.open(Settings(data_dir=Path(site.config.data_dir)))) as assistant:
        options = publishing.Personal(epochs=8.0, learning_rate=5e-3)
        done = publishing.personalise(site, assistant, options)
        assert done.adapter is not None
        assert (done.adapter.id, done.adapter.parent) == ("own-spring@1", "shared-spring@1")
        gain = next(one for one in done.adapter.after.measures if one.name == "accuracy_gain")  # type: ignore[union-attr]
        assert gain.low is not None
        assert gain.low > 0
        assert not done.kept_aside
        slot = Deployments(assistant.store).current("default", assistant.settings.collection, "own-spring")
        assert slot is not None
        assert slot.adapter == "own-spring@1"
        assert assistant.hosting.shelf.find("shared-spring").sha256 == shared.sha256
        # the same book: with a budget on its records an ordinary training is refused
        site.book().ledger.set_budget("mine", PrivacyBudget(3.0, 1e-5, "example"))
        with pytest.raises(BudgetExceeded):
            publishing.personalise(site, assistant, options)
    assert site.sent() == sent


def test_a_partner_with_another_base_than_the_coordinators_declines(made: Federation) -> None:
    from test_local import plan

    site, hub = made.sites["p1"], Shelf(made.home.folder.parent / "hub-data").find("shared-spring")
    _, about = load_weights(site.home / "run" / "trained.safetensors")
    assert json.dumps({BASE: hub.base_sha256})[1:-1] in about["key"]  # what the coordinator asked
    training = {RECIPE: site.published()[0].recipe, BASE: "ab" * 32}
    with pytest.raises(PlanRefused, match="base model"):
        site.partner(training)._trainer.train({}, plan(training=training))


def test_a_customer_more_moves_no_other_record_of_a_site(made: Federation) -> None:
    site = made.sites["p2"]
    recipe = Recipe.of({"recipe": site.published()[0].recipe})

    def trained_on() -> set[str]:
        return {example.owner for example in site._desk(recipe).train} - {"new"}

    before, data = trained_on(), Path(site.config.data)
    with data.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"text": "is it in stock", "label": LABELS[0], "customer": "new"}))
    assert trained_on() == before


def test_a_notice_survives_the_wire(tmp_path: Path) -> None:
    identity = identities(tmp_path, 1)[0][0]
    notice = Notice("run", 3, "ab", {"task": "chat"}, ("p0", "p1")).signed(identity.signer)
    assert Notice.from_dict(json.loads(json.dumps(notice.to_dict()))) == notice
    with pytest.raises(BadRequest, match="not a notice"):
        Notice.from_dict({"run": "x"})
