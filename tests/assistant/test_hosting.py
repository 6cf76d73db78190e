"""Who answers, and that the engine has it: on an engine that only counts what it was handed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from shelves import CARD, put, write

from assistant.adapters import SHIPPED, WEIGHTS, Shelf, read_card
from assistant.engines.echo import EchoEngine
from assistant.errors import AdapterUnsupported, EngineUnavailable, UnknownName
from assistant.hosting import LOADED, Choice, Hosting
from assistant.settings import Settings
from assistant.store import Store
from assistant.vetting import Base, read_header


class Host(EchoEngine):
    """An echo that takes adapters and refuses to let go of one in use."""

    def __init__(self):
        super().__init__()
        self.loaded: dict[str, Path] = {}
        self.loads = 0
        self.unfit: set[str] = set()
        self.down: set[str] = set()

    def adapters(self):
        return tuple(sorted(self.loaded))

    def add_adapter(self, name, path):
        self.loads += 1
        if name in self.unfit:
            raise AdapterUnsupported(f"{name} does not fit.")
        if name in self.down:
            raise EngineUnavailable(f"{name} cannot be loaded now.")
        self.loaded[name] = path

    def remove_adapter(self, name):
        del self.loaded[name]


@pytest.fixture
def house(tmp_path):
    settings = Settings(data_dir=tmp_path, model={"engine": "hf", "name": "nowhere"})
    store = Store.open(tmp_path)
    yield Hosting(settings, store), Host()
    store.close()


def answers(hosting, engine, wanted=None, conversation="c"):
    with hosting.lease(engine, hosting.choose("shop", conversation, wanted)) as leased:
        assert leased.adapter is None or leased.adapter in engine.adapters()
        return leased


def test_without_a_decision_the_bare_model_answers(house):
    assert answers(*house).adapter is None


def test_where_nothing_was_put_to_use_the_built_in_adapter_answers_if_it_fits(house, monkeypatch):
    hosting, engine = house
    base = base_of_shipped()
    monkeypatch.setattr(Hosting, "_base_of_model", lambda self: base)
    assert answers(hosting, engine).adapter == "built-in@1"
    hosting.deployments.put("default", "shop", "none")
    assert answers(hosting, engine).adapter is None
    hosting.deployments.put("default", "shop", "")
    assert answers(hosting, engine).adapter == "built-in@1"
    hosting.deployments.rollback("default", "shop")
    assert answers(hosting, engine).adapter is None


def test_for_another_model_the_bare_one_answers_and_nothing_is_said(house, monkeypatch):
    hosting, engine = house
    base = replace(base_of_shipped(), sha256="0" * 64)
    monkeypatch.setattr(Hosting, "_base_of_model", lambda self: base)
    leased = answers(hosting, engine)
    assert (leased.adapter, leased.notes) == (None, ())
    assert engine.loads == 0


def test_a_refused_adapter_is_passed_over_for_the_built_in_one(house, tmp_path, monkeypatch):
    hosting, engine = house
    put(tmp_path)
    base = base_of_shipped()
    monkeypatch.setattr(Hosting, "_base_of_model", lambda self: base)
    hosting.deployments.put("default", "shop", "support@1")
    leased = answers(hosting, engine)
    assert leased.adapter == "built-in@1"
    assert "support@1 is not used" in leased.notes[0]


def base_of_shipped() -> Base:
    """The model that the built-in adapter was made for, as far as it can tell."""
    card = read_card(SHIPPED)
    shapes = {}
    for key, entry in read_header(SHIPPED / WEIGHTS).items():
        name = key.removeprefix("base_model.model.").split(".lora_")[0] + ".weight"
        rows, columns = entry["shape"]
        before = shapes.get(name, (0, 0))
        shapes[name] = (rows, before[1]) if ".lora_B" in key else (before[0], columns)
    return Base(card.base, card.base_sha256, card.template_sha256, shapes)


def test_what_is_put_to_use_answers_the_next_question_and_is_read_once(house, tmp_path):
    hosting, engine = house
    put(tmp_path)
    hosting.deployments.put("default", "shop", "support@1")
    assert [answers(*house).adapter for _ in range(3)] == ["support@1"] * 3
    assert engine.loads == 1
    put(tmp_path)
    hosting.deployments.put("default", "shop", "support@2")
    assert answers(*house).adapter == "support@2"
    hosting.deployments.rollback("default", "shop")
    assert answers(*house).adapter == "support@1"


def test_a_request_may_name_its_adapter_or_none(house, tmp_path):
    put(tmp_path)
    put(tmp_path)
    house[0].deployments.put("default", "shop", "support@1")
    assert answers(*house, wanted="support").adapter == "support@2"
    assert answers(*house, wanted="none").adapter is None
    with pytest.raises(UnknownName):
        house[0].choose("shop", "c", "suport")


def spoil(path, how):
    file = Path(path) / WEIGHTS
    if how == "flip":
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(bytes(data))
    else:
        (Path(path) / "adapter_model.bin").write_bytes(b"\x80\x04.")


@pytest.mark.parametrize("how", ["flip", "pickle", "unfit"])
def test_a_refused_adapter_leaves_the_previous_one_answering_and_the_notes_say_why(house, tmp_path, how):
    hosting, engine = house
    put(tmp_path)
    bad = put(tmp_path)
    if how == "unfit":
        engine.unfit.add(bad.id)
    else:
        spoil(bad.path, how)
    for adapter in ("support@1", "support@2"):
        hosting.deployments.put("default", "shop", adapter)
    for _ in range(2):
        leased = answers(*house)
        assert leased.adapter == "support@1"
        assert "support@2 is not used" in leased.notes[0]
    with pytest.raises(AdapterUnsupported):
        answers(*house, wanted="support@2")


def test_a_refused_adapter_is_not_read_again_until_it_changes(house, tmp_path):
    hosting, engine = house
    bad = put(tmp_path)
    engine.unfit.add(bad.id)
    hosting.deployments.put("default", "shop", bad.id)
    assert [answers(*house).adapter for _ in range(3)] == [None] * 3
    assert engine.loads == 1
    engine.unfit.clear()
    (Path(bad.path) / "card.json").touch()
    assert answers(*house).adapter == bad.id


def test_an_adapter_that_cannot_be_loaded_now_is_passed_over_and_tried_again(house, tmp_path):
    hosting, engine = house
    for _ in range(2):
        hosting.deployments.put("default", "shop", put(tmp_path).id)
    engine.down.add("support@2")
    leased = answers(*house)
    assert leased.adapter == "support@1"
    assert "support@2 is not used" in leased.notes[0]
    with pytest.raises(EngineUnavailable, match="cannot be loaded now"):
        answers(*house, wanted="support@2")
    engine.down.clear()
    assert answers(*house).adapter == "support@2"


def test_where_even_the_built_in_adapter_cannot_be_loaded_the_bare_model_answers_and_it_is_said(house, monkeypatch):
    _, engine = house
    base = base_of_shipped()
    monkeypatch.setattr(Hosting, "_base_of_model", lambda self: base)
    engine.down.add("built-in@1")
    leased = answers(*house)
    assert leased.adapter is None
    assert "built-in@1 is not used" in leased.notes[0]


def test_an_adapter_whose_folder_is_gone_is_passed_over(house):
    house[0].deployments.put("default", "shop", "gone@1")
    leased = answers(*house)
    assert leased.adapter is None
    assert "gone@1" in leased.notes[0]


def test_few_are_kept_and_never_one_in_use_is_dropped(house, tmp_path):
    hosting, engine = house
    for _ in range(LOADED + 2):
        put(tmp_path)
    with hosting.lease(engine, Choice(("support@1",), asked=True)):
        for version in range(2, LOADED + 3):
            answers(*house, wanted=f"support@{version}")
        assert "support@1" in engine.adapters()
    assert len(engine.adapters()) == LOADED


def test_requests_at_once_all_find_their_adapter_loaded(house, tmp_path):
    hosting, engine = house
    for _ in range(LOADED + 3):
        put(tmp_path)
    barrier = threading.Barrier(8)

    def work(number):
        barrier.wait()
        for turn in range(30):
            wanted = f"support@{(number * 7 + turn) % (LOADED + 3) + 1}"
            assert answers(hosting, engine, wanted=wanted).adapter == wanted

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(engine.adapters()) == LOADED


def test_an_engine_without_adapters_answers_bare_and_says_so(house, tmp_path):
    put(tmp_path)
    house[0].deployments.put("default", "shop", "support@1")
    leased = answers(house[0], EchoEngine())
    assert leased.adapter is None
    assert "hosts none" in leased.notes[0]


def test_a_split_is_by_conversation(house, tmp_path):
    hosting, _ = house
    put(tmp_path)
    Shelf(tmp_path).save(replace(CARD, name="other"), write)
    hosting.deployments.put("default", "shop", "support@1")
    hosting.deployments.split("default", "shop", "other@1", share=0.5)
    arms = {f"c{number}": answers(*house, conversation=f"c{number}").adapter for number in range(40)}
    assert set(arms.values()) == {"support@1", "other@1"}
    assert {one: answers(*house, conversation=one).adapter for one in arms} == arms
