import pytest

from assistant import router as routing
from assistant.adapters import Shelf
from assistant.deployments import Deployments
from assistant.errors import AdapterRefused
from assistant.router import Guess, Route, Router, orders
from assistant.store import Store
from assistant.types import Adapter


class Fake:
    """A classifier that looks for one word, or a tagger of words with a capital."""

    def __init__(self, adapter):
        self.labels = {"sentiment": ("calm", "angry"), "intent": ("question", "complaint")}.get(adapter.name, ())

    def classify(self, texts):
        return [(0.1, 0.9) if "terrible" in text else (0.8, 0.2) for text in texts]

    def tag(self, sentences):
        made = []
        for words in sentences:
            tags, before = [], False
            for word in words:
                tags.append(("I-name" if before else "B-name") if word[:1].isupper() else "O")
                before = word[:1].isupper()
            made.append(tuple(tags))
        return made


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setattr(routing, "verify", lambda folder: None)
    store = Store.open(tmp_path)
    shelf, deployments, opened = Shelf(tmp_path), Deployments(store), []

    def use(*names, task=None):
        for name in names:
            kind = task or ("tag" if name == "entities" else "classify")
            card = Adapter(
                name=name, version=0, path="", task=kind, base="b", base_sha256="", sha256="", rank=1, alpha=1.0, targets=()
            )  # fmt: skip
            kept = shelf.save(card, lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"x"))
            deployments.put("default", "shop", kept.id, slot=name)

    def network(adapter):
        opened.append(adapter.id)
        if adapter.base == "refused":
            raise AdapterRefused("no")
        return Fake(adapter)

    router = Router(shelf, deployments, "default", open_network=network)
    yield router, use, opened, deployments
    store.close()


def test_without_an_adapter_the_router_is_off(made):
    router, _, opened, _ = made
    assert router.route("this is terrible", "shop") is None
    assert not opened


def test_an_adapter_that_is_not_in_use_in_the_collection_is_not_asked(made):
    router, use, _, _ = made
    use("sentiment")
    assert router.route("this is terrible", "other") is None


@pytest.mark.parametrize("slot", ["intent", "sentiment"])
def test_an_angry_customer_or_a_complaint_is_offered_a_person(made, slot):
    router, use, _, _ = made
    use(slot)
    assert router.route("this is terrible", "shop").offers_person
    assert not router.route("how long can I return boots?", "shop").offers_person


def test_an_unsure_classifier_offers_nobody():
    assert not Route("en", sentiment=Guess("angry", 0.55)).offers_person
    assert Route("en", intent=Guess("Complaint", 0.95)).offers_person


def test_entities_are_runs_of_words(made):
    router, use, _, _ = made
    use("entities")
    route = router.route("is the Alder Two tent at the shop in Graz?", "shop")
    assert route.entities == (("name", "Alder Two"), ("name", "Graz"))


def test_a_network_is_loaded_once(made):
    router, use, opened, _ = made
    use("sentiment")
    for _ in range(3):
        router.route("hello", "shop")
    assert opened == ["sentiment@1"]


def test_a_refused_adapter_is_asked_again_once_its_folder_was_repaired(made, tmp_path, monkeypatch):
    router, use, opened, _ = made
    use("sentiment")
    strange, read = tmp_path / "adapters" / "sentiment" / "1" / "strange.bin", []
    strange.write_bytes(b"")

    def verify(folder):
        read.append(folder)
        if strange.exists():
            raise AdapterRefused("strange")

    monkeypatch.setattr(routing, "verify", verify)
    assert [router.route("hello", "shop") for _ in range(3)] == [None] * 3
    assert (len(read), opened) == (1, [])
    strange.unlink()
    assert router.route("hello", "shop") is not None


def test_a_rollback_turns_the_router_off_at_the_next_message(made):
    router, use, _, deployments = made
    use("sentiment")
    assert router.route("hello", "shop") is not None
    deployments.put("default", "shop", "", slot="sentiment")
    assert router.route("hello", "shop") is None


def test_an_adapter_of_another_task_is_left_out(made):
    router, use, opened, _ = made
    use("entities", task="classify")
    assert router.route("hello", "shop") is None
    assert not opened


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("my order AB-10293 has not come", ("AB-10293",)),
        ("Order number: 5551234, order number 5551234", ("5551234",)),
        ("where is #A1B2C3D4?", ("A1B2C3D4",)),
        ("订单号 20240115 到哪了", ("20240115",)),
        ("case id X99-11", ("X99-11",)),
        ("I want to order boots in size 42", ()),
        ("order within 30 days for 2024 points", ()),
        ("COVID-19 rules for the year 2024", ()),
    ],
)
def test_order_numbers_are_recognised_and_other_numbers_are_not(message, found):
    assert orders(message) == found


def test_the_notes_say_what_was_found(made):
    router, use, _, _ = made
    use("sentiment", "entities")
    notes = router.route("terrible, order no. AB-10293 to Graz", "shop").notes()
    assert notes[0] == "sentiment: angry (0.90)"
    assert "order number: AB-10293" in notes
