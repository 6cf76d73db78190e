import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.hours import Hours

WEEK = Hours.read("Mon-Fri 09:00-17:00, Sat 10:00-14:00 Europe/Berlin")
times = st.datetimes(dt.datetime(2025, 1, 1), dt.datetime(2027, 12, 31)).map(lambda at: at.replace(tzinfo=dt.UTC))


@given(times)
def test_the_next_time_somebody_is_there_is_one_when_somebody_is_there_and_within_a_week(at: dt.datetime):
    then = WEEK.next_open(at)
    assert WEEK.is_open(then)
    assert dt.timedelta(0) <= then - at <= dt.timedelta(days=8)
    assert WEEK.is_open(at) == (then == at)


@given(
    st.dates(dt.date(2000, 1, 1), dt.date(2100, 1, 1)), st.sampled_from(["America/Los_Angeles", "Asia/Shanghai", "UTC"])
)
def test_a_day_ends_at_the_desks_midnight_and_is_read_back_from_its_end(day: dt.date, zone: str):
    desk = Hours.read(f"Mon 09:00-17:00 {zone}")
    end = desk.end_of(day)
    assert end.replace(tzinfo=dt.UTC).astimezone(desk.zone).replace(tzinfo=None) == dt.datetime.combine(
        day + dt.timedelta(days=1), dt.time()
    )
    assert desk.last_day(end) == day


def test_no_hours_means_always():
    assert Hours.read("").is_open(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


def test_summer_time_counts():
    assert WEEK.is_open(dt.datetime(2026, 7, 1, 7, 30, tzinfo=dt.UTC))
    assert not WEEK.is_open(dt.datetime(2026, 1, 7, 7, 30, tzinfo=dt.UTC))


def test_it_is_said_in_both_languages():
    sunday = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
    assert WEEK.says_when(sunday, "en") == "Monday 09:00 (Europe/Berlin)"
    assert WEEK.says_when(sunday, "zh") == "周一 09:00（Europe/Berlin）"


@pytest.mark.parametrize("text", ["Mon 9-17 UTC", "Mon 09:00-17:00", "Mon 09:00-17:00 Mars/Base", "Mon 17:00-09:00 UTC",
                                  "Xxx 09:00-17:00 UTC", "Mon 09:75-17:00 UTC"])  # fmt: skip
def test_what_says_no_hours_is_refused(text: str):
    with pytest.raises(ValueError, match="for example"):
        Hours.read(text)
