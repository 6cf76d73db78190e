"""The probability of a purchase is calibrated on customers it never saw, and refuses to be made of too little."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from wares import DAY, ITEMS, events

from assistant.errors import BadInput
from assistant.goods import Interaction
from assistant.recommend.catalog import read_catalog
from assistant.recommend.interactions import read_interactions
from assistant.recommend.propensity import fit_propensity
from assistant.recommend.recommender import fit
from assistant.recommend.table import Table

SHOP = Path(__file__).resolve().parents[3] / "examples" / "demo_shop"


def test_the_demo_shops_probabilities_rise_with_what_was_seen_and_stay_near_it():
    items = read_catalog(SHOP / "documents" / "products.csv").items
    log = sorted(read_interactions(SHOP / "interactions.csv").interactions, key=lambda one: one.at)
    model = fit(Table(items), log)
    fitted = fit_propensity(model, log)
    assert fitted.error < 0.003
    predicted, seen, counts = zip(*fitted.bins, strict=True)
    assert list(predicted) == sorted(predicted)
    assert seen[-1] > 2 * np.average(seen, weights=counts)
    own = [one for one in log if one.customer == "C-001"]
    said = fitted.probability(model, own, np.arange(5))
    assert said.shape == (5,)
    assert ((said > 0) & (said < 1)).all()
    assert np.allclose(fitted.probability(model, own, np.arange(224))[[3, 1]], fitted.probability(model, own, [3, 1]))


def test_a_click_long_after_the_log_does_not_move_the_days_that_are_predicted():
    items = read_catalog(SHOP / "documents" / "products.csv").items
    log = sorted(read_interactions(SHOP / "interactions.csv").interactions, key=lambda one: one.at)
    late = Interaction("C-001", items[0].id, "view", log[-1].at + dt.timedelta(days=200))
    model = fit(Table(items), log)
    before, after = fit_propensity(model, log), fit_propensity(model, [*log, late])
    assert (after.days, after.bins) == (before.days, before.bins)


def test_too_few_purchases_are_said_to_be_too_few():
    with pytest.raises(BadInput, match="are needed"):
        fit_propensity(fit(Table(ITEMS), events()), events())
    with pytest.raises(BadInput, match="no interactions"):
        fit_propensity(fit(Table(ITEMS), []), [])
    assert dt.timedelta(0) < events()[-1].at - DAY
