"""Every scorer gives the textbook's numbers, candidates only choose among them, and nobody's history is nobody's score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from assistant.recommend.blend import Blend, ranks
from assistant.recommend.factors import Als, Bpr
from assistant.recommend.log import History, Log
from assistant.recommend.scorers import Content, Ease, ItemKNN, Popularity, Transitions

DICE = np.random.default_rng(5)
LOG = Log.of(DICE.integers(0, 70, 700), DICE.integers(0, 30, 700), n_users=70, n_items=30)
VECTORS = DICE.normal(size=(30, 8)).astype(np.float32)
ALL = {
    "popularity": lambda: Popularity(30), "item-knn": lambda: ItemKNN(10), "session": lambda: Transitions(),
    "ease": lambda: Ease(10), "als": lambda: Als(8), "bpr": lambda: Bpr(8, iterations=3), "content": lambda: Content(VECTORS),
    "blend": lambda: Blend([Popularity(), Transitions()]),
}  # fmt: skip


@pytest.fixture(params=ALL)
def scorer(request: pytest.FixtureRequest) -> Any:
    made = ALL[request.param]()
    made.fit(LOG)
    return made


def test_scores_are_finite_a_row_a_history_a_column_a_candidate(scorer: Any):
    found = scorer.scores(LOG.histories(), np.array([4, 2, 9]))
    assert found.shape == (70, 3)
    assert np.isfinite(found).all()


def test_candidates_choose_columns(scorer: Any):
    if scorer.name == "blend":
        pytest.skip("a blend ranks within its candidates")
    whole = scorer.scores(LOG.histories()[:5])
    assert np.allclose(whole[:, [7, 3]], scorer.scores(LOG.histories()[:5], np.array([7, 3])), atol=1e-6)


def test_an_empty_history_says_nothing(scorer: Any):
    if scorer.name in {"popularity", "blend"}:
        pytest.skip("it does not look at the history alone")
    assert not scorer.scores([History.of([])]).any()


def test_the_same_log_gives_the_same_scores(scorer: Any):
    if scorer.name == "als":
        scorer.fit(LOG)
    twin = ALL[scorer.name]()
    twin.fit(LOG)
    assert np.allclose(twin.scores(LOG.histories()[:3]), scorer.scores(LOG.histories()[:3]), atol=1e-4)


def test_ease_is_the_closed_form_from_either_side():
    x = LOG.matrix().toarray()
    inverse = np.linalg.inv(x.T @ x + 10 * np.eye(30))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    taken = np.stack([np.bincount(one.items, minlength=30) / len(one.items) for one in LOG.histories()])
    by_items, by_customers = Ease(10), Ease(10)
    by_items.fit(LOG)
    by_customers._place = by_items._place
    by_customers._fit_customers(LOG.matrix())
    assert np.abs(by_items.scores(LOG.histories()) - taken @ weights).max() < 1e-10
    assert np.abs(by_customers.scores(LOG.histories()) - taken @ weights).max() < 1e-10


def test_ease_leaves_rare_items_to_others_where_there_are_too_many():
    scorer = Ease(10, max_items=12)
    scorer.fit(LOG)
    found = scorer.scores(LOG.histories())
    assert (np.abs(found).sum(axis=0) > 0).sum() == 12


def test_what_came_next_is_counted_by_distance():
    log = Log.of([0, 0, 0], [0, 1, 2], [0, 1, 2])
    scorer = Transitions(window=2, recent=0)
    scorer.fit(log)
    assert scorer.scores([History.of([0])])[0].tolist() == [0, 1, 0.5]


def test_old_sales_count_half_after_the_half_life():
    scorer = Popularity(half_life_days=10)
    scorer.fit(Log.of([0, 1], [0, 1], [0.0, 10.0]))
    assert scorer.scores([History.of([])])[0].tolist() == [0.5, 1.0]


def test_without_last_takes_each_customers_last_event_by_time():
    log = Log.of([0, 0, 1, 0], [5, 6, 7, 8], [3.0, 1.0, 0.0, 3.0])
    rest, users, taken = log.without_last(1)
    assert (users.tolist(), taken.tolist()) == ([0], [8])
    assert sorted(rest.items.tolist()) == [5, 6, 7]


def test_a_blend_learns_which_scorer_to_trust():
    dice = np.random.default_rng(1)
    users = np.repeat(np.arange(200), 6)
    log = Log.of(users, (dice.integers(0, 40, 200)[:, None] + np.arange(6)).ravel() % 40, np.tile(np.arange(6.0), 200))
    blend = Blend([Popularity(), Transitions(window=1, recent=1)])
    blend.fit(log)
    assert blend.weights[1] > 5 * blend.weights[0]


def test_ranks_do_not_depend_on_the_scale():
    scores = np.array([[0.1, 5.0, -2.0, 5.0]])
    assert np.array_equal(ranks(scores), ranks(100 * scores + 7))
    assert ranks(np.zeros((1, 4))).tolist() == [[0, 0, 0, 0]]
