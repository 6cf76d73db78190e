"""What the Dashboard draws: nothing from outside is markup, columns fill the drawing, an empty period is said."""

from assistant.dashboard import Day, Overview
from assistant.questions import Asked, Topic
from assistant.types import Measure
from assistant.ui.render import Look
from assistant.ui.render_dashboard import days, drift, tiles, topics
from assistant.ui.texts import words

LOOK = Look(words("en"))
DAYS = (Day("2026-03-01", {"ANSWERED": 3, "NEEDS_HUMAN": 1}, 1, 0, 40), Day("2026-03-02", {}))
FOUND = Overview(4, 2, {"ANSWERED": 3, "NEEDS_HUMAN": 1}, 1, 3, 2, 1.25, 3.5, 30, 10, 1, 0, 0, DAYS)
EMPTY = Overview(0, 0, {}, 0, 0, 0, None, None, 0, 0, 0, 0, 0, ())


def test_the_tallest_column_fills_the_drawing():
    drawn = days(FOUND, LOOK)
    assert 'class="needs_human" x="5.00%" y="0.00%"' in drawn
    assert drawn.count("<svg") == 3


def test_an_empty_period_has_no_drawing_and_no_number_made_up():
    assert "<svg" not in days(EMPTY, LOOK)
    assert tiles(EMPTY, LOOK).count("&#8211;") == 4


def test_what_customers_wrote_is_text():
    asked = (Asked("<img src=x>", "c", "u"), Asked("**b**", "c", "u"))
    shown = topics([Topic(asked, 2)], LOOK)
    assert "<img" not in shown
    assert "**" not in shown


def test_drift_says_change_only_where_its_interval_lies_above_zero():
    assert "differently" in drift(Measure("drift", 0.2, 0.1, 0.3, 40), LOOK)
    assert "chance" in drift(Measure("drift", 0.01, -0.02, 0.03, 40), LOOK)
    assert "Too few" in drift(None, LOOK)
