"""What is recommended is allowed, new to the customer, and not the same thing twice."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wares import DAY, ITEMS, events

from assistant.goods import Interaction
from assistant.recommend.candidates import EXACT, Nearest
from assistant.recommend.recommender import Ask, fit
from assistant.recommend.table import Table

TABLE = Table(ITEMS)
VECTORS = np.eye(9, dtype=np.float32)
MODEL = fit(TABLE, events(), VECTORS)
EVERYTHING = np.ones(9, dtype=np.bool_)


def names(ask: Ask) -> list[str]:
    return [ITEMS[row].id for row, _ in MODEL.rank(ask)]


def test_a_customer_is_not_recommended_what_they_bought_unless_it_is_bought_again():
    own = [one for one in events() if one.customer == "c1"]
    found = names(Ask(own, EVERYTHING))
    assert "camp-stove" not in found
    assert "gas-can" in found


def test_a_purchase_and_its_rating_are_not_two_purchases():
    log = [Interaction(f"c{number}", "camp-stove", event, DAY + dt.timedelta(days=day)) for number in range(9) for day, event in enumerate(("buy", "rating"))]  # fmt: skip
    rows = [row for row, _ in fit(TABLE, log).rank(Ask(log[:2], EVERYTHING))]
    assert TABLE.row["camp-stove"] not in rows


def test_few_stars_are_no_liking_whatever_the_scale():
    for most in (5, 10, 1):
        log = [Interaction(f"c{number}", "gas-can", "rating", DAY, 0.2 * most) for number in range(9)]
        log += [Interaction(f"d{number}", "long-spoon", "rating", DAY, most) for number in range(3)]
        model = fit(TABLE, log)
        assert ITEMS[model.rank(Ask([], EVERYTHING, 1))[0][0]].id == "long-spoon"
        assert not len(model.history_of(log[:1]).items)
        assert model.buyers[TABLE.row["gas-can"]] == 9
    unstarred = [Interaction("c", "gas-can", "rating", DAY)]
    assert len(fit(TABLE, unstarred).history_of(unstarred).items) == 1


def test_what_was_dismissed_does_not_come_back():
    gone = [Interaction("x", "long-spoon", "dismiss", DAY)]
    assert "long-spoon" not in names(Ask(gone, EVERYTHING))


def test_a_click_counts_at_once():
    before = dict(MODEL.rank(Ask([], EVERYTHING)))
    boots = [Interaction("new", "hill-boot-men", "click", DAY + dt.timedelta(days=99))]
    first = MODEL.rank(Ask(boots, EVERYTHING))[0][0]
    assert before
    assert ITEMS[first].id in {"rain-jacket-men", "hill-boot-men"}


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=9, max_size=9), st.integers(1, 9))
def test_only_allowed_rows_no_row_twice_at_most_n(allowed: list[bool], n: int):
    found = MODEL.rank(Ask([], np.array(allowed), n))
    rows = [row for row, _ in found]
    assert len(set(rows)) == len(rows) <= n
    assert all(allowed[row] for row in rows)
    assert len(rows) == min(n, sum(allowed))


def test_a_request_comes_before_taste():
    ask = Ask(events()[:2], EVERYTHING, words="long spoon", vector=VECTORS[8])
    assert names(ask)[0] == "long-spoon"


def test_seeds_are_not_recommended_but_what_is_like_them():
    assert "hill-boot-men" not in names(Ask([], EVERYTHING, seeds=[0]))


def test_without_any_interaction_content_carries():
    empty = fit(TABLE, [], VECTORS)
    assert len(empty.rank(Ask([], EVERYTHING, 3, vector=VECTORS[4], words="red jacket"))) == 3
    assert empty.rank(Ask([], EVERYTHING, 1, vector=VECTORS[4]))[0][0] == 4


def test_how_many_took_both_is_counted_from_the_log():
    rows = [TABLE.row[name] for name in ("rain-jacket-men", "gas-can")]
    others = [TABLE.row[name] for name in ("hill-boot-men", "gas-can")]
    assert MODEL.together(rows, others).tolist() == [[10, 0], [0, 10]]
    assert MODEL.together([], others).shape == (0, 2)


def test_the_exact_search_finds_the_nearest():
    found = Nearest(VECTORS).search(VECTORS[3], 2)
    assert found[0][0] == 3


@pytest.mark.slow
def test_the_approximate_search_finds_nearly_all_of_the_nearest():
    dice = np.random.default_rng(0)
    vectors = (dice.normal(size=(200, 1, 16)) + dice.normal(size=(200, 150, 16))).reshape(-1, 16).astype(np.float32)
    assert len(vectors) > EXACT
    near = Nearest(vectors)
    hits = [len(set(near.search(one, 20)[0]) & set(np.argsort(-(vectors @ one))[:20])) for one in vectors[:50]]
    assert np.mean(hits) / 20 > 0.9
