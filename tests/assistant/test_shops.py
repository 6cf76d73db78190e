"""A second start does not fit again; a changed catalogue, a grown log and a forgotten customer do."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from wares import DAY, ITEMS, WORDS, events

from assistant import shops
from assistant.goods import Interaction, Item
from assistant.shops import Shops
from assistant.stock import Stock
from assistant.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path)
    stock = Stock(store, "t", "shop")
    stock.put(ITEMS)
    stock.save_words(WORDS)
    stock.add(events())
    yield store
    store.close()


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many interactions each fit was made of."""
    made: list[int] = []
    real = shops.fit

    def counted(table, interactions, vectors):  # type: ignore[no-untyped-def]
        made.append(len(interactions))
        return real(table, interactions, vectors)

    monkeypatch.setattr(shops, "fit", counted)
    return made


def opened(store: Store, tmp_path: Path) -> Shops:
    return Shops(store, "t", lambda name, said: np.eye(len(said), 16, dtype=np.float32), folder=tmp_path / "cache")


def test_a_second_start_does_not_fit_again(store: Store, tmp_path: Path, fits: list[int]):
    first = opened(store, tmp_path).shop("shop")
    second = opened(store, tmp_path).shop("shop")
    assert fits == [len(events())]
    assert np.array_equal(first.model.blend.weights, second.model.blend.weights)


def test_the_same_import_again_fits_nothing_anew(store: Store, tmp_path: Path, fits: list[int]):
    running, stock = opened(store, tmp_path), Stock(store, "t", "shop")
    running.shop("shop")
    stock.put(ITEMS)
    stock.save_words(WORDS)
    stock.add(events())
    running.shop("shop")
    assert len(fits) == 1


def test_a_changed_catalogue_is_fitted_anew_now_and_at_the_next_start(store: Store, tmp_path: Path, fits: list[int]):
    running = opened(store, tmp_path)
    running.shop("shop")
    Stock(store, "t", "shop").put([Item("tent", "Tent")])
    assert "tent" in running.shop("shop").items
    assert "tent" in opened(store, tmp_path).shop("shop").items
    assert len(fits) == 2


def test_a_log_that_grew_by_a_fifth_is_fitted_anew_and_a_click_is_not(store: Store, tmp_path: Path, fits: list[int]):
    running, stock = opened(store, tmp_path), Stock(store, "t", "shop")
    running.shop("shop")
    stock.add([Interaction("new", "gas-can", "click", DAY)])
    running.shop("shop")
    opened(store, tmp_path).shop("shop")
    assert len(fits) == 1
    many = int(shops.GROWTH * len(events())) + shops.SLACK + 1
    stock.add([Interaction(f"n{number}", "gas-can", "buy", DAY) for number in range(many)])
    running.shop("shop")
    opened(store, tmp_path).shop("shop")
    assert fits == [len(events()), len(events()) + many + 1]


def test_a_forgotten_customer_is_in_no_model_though_others_came(store: Store, tmp_path: Path, fits: list[int]):
    running, stock = opened(store, tmp_path), Stock(store, "t", "shop")
    running.shop("shop")
    gone = stock.forget("c0")
    stock.add([Interaction("new", "gas-can", "buy", DAY), Interaction("newer", "gas-can", "buy", DAY)])
    running.shop("shop")
    opened(store, tmp_path).shop("shop")
    assert gone
    assert fits == [len(events()), len(events()) - gone + 2]


def test_models_that_an_erasure_took_away_are_not_used_on(store: Store, tmp_path: Path, fits: list[int]):
    running = opened(store, tmp_path)
    running.shop("shop")
    shutil.rmtree(tmp_path / "cache")
    running.shop("shop")
    assert len(fits) == 2


def test_another_companys_log_under_the_same_catalogue_is_fitted_anew(store: Store, tmp_path: Path, fits: list[int]):
    opened(store, tmp_path).shop("shop")
    (tmp_path / "other").mkdir()
    with_others = Store.open(tmp_path / "other")
    stock = Stock(with_others, "t", "shop")
    stock.put(ITEMS)
    stock.save_words(WORDS)
    stock.add([Interaction(f"x{one.customer}", one.item, one.event, one.at) for one in events()])
    opened(with_others, tmp_path).shop("shop")
    with_others.close()
    assert len(fits) == 2


def test_a_shop_that_is_being_fitted_holds_up_no_other(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    Stock(store, "t", "slow").put(ITEMS)
    running = opened(store, tmp_path)
    running.shop("shop")
    begun, go_on = threading.Event(), threading.Event()
    real = shops.fit

    def slow(table, interactions, vectors):  # type: ignore[no-untyped-def]
        begun.set()
        go_on.wait(60)
        return real(table, interactions, vectors)

    monkeypatch.setattr(shops, "fit", slow)
    other = threading.Thread(target=lambda: running.shop("slow"))
    other.start()
    begun.wait(60)
    assert running.shop("shop").items
    go_on.set()
    other.join()
    assert running.shop("slow").items
