"""Office hours: when somebody is at the desk, and when next. Pure; knows no public holidays."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from dataclasses import dataclass

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}
_PART = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? (\d\d):(\d\d)-(\d\d):(\d\d)")
_EXAMPLE = "for example: Mon-Fri 09:00-17:00, Sat 10:00-14:00 Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of a week. `spans`: (day of the week, 0 = Monday; first and last minute of that day)."""

    spans: tuple[tuple[int, int, int], ...]
    zone: zoneinfo.ZoneInfo

    @classmethod
    def read(cls, text: str) -> Hours:
        """Hours from their text; "" = always.

        >>> Hours.read("Mon-Fri 09:00-17:00 UTC").is_open(dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC))
        True

        Raises:
            ValueError: the text says no hours.
        """
        if not text.strip():
            return cls((), zoneinfo.ZoneInfo("UTC"))
        rest, _, name = text.strip().rpartition(" ")
        try:
            zone = zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no time zone; {_EXAMPLE}") from error
        return cls(tuple(sorted(span for part in rest.split(",") for span in _spans(part.strip().lower()))), zone)

    def is_open(self, at: dt.datetime) -> bool:
        """Whether somebody is there at that time (with a zone)."""
        here = at.astimezone(self.zone)
        minute = here.hour * 60 + here.minute
        return not self.spans or any(
            day == here.weekday() and first <= minute < last for day, first, last in self.spans
        )

    def next_open(self, at: dt.datetime) -> dt.datetime:
        """When somebody is there next, in the desk's own zone; `at` itself where somebody is."""
        here = at.astimezone(self.zone)
        if self.is_open(at):
            return here
        begins = [
            dt.datetime.combine(here.date() + dt.timedelta(days), dt.time(first // 60, first % 60), self.zone)
            for days in range(8)
            for day, first, _ in self.spans
            if day == (here.weekday() + days) % 7
        ]
        return min(begin for begin in begins if begin > here)

    def says_when(self, at: dt.datetime, language: str) -> str:
        """When somebody is there next, in words: the day, the time, the zone."""
        then = self.next_open(at)
        day = _NAMES.get(language, _NAMES["en"])[then.weekday()]
        zone = f"（{self.zone.key}）" if language == "zh" else f" ({self.zone.key})"
        return f"{day} {then:%H:%M}{zone}"

    def end_of(self, day: dt.date) -> dt.datetime:
        """When that day ends here, in UTC without a zone, as it is stored. Raises OverflowError in the year 9999."""
        midnight = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), self.zone)
        return midnight.astimezone(dt.UTC).replace(tzinfo=None)

    def last_day(self, end: dt.datetime) -> dt.date:
        """The day here that ends with that time, or in which it lies (in UTC without a zone)."""
        return (end.replace(tzinfo=dt.UTC) - dt.timedelta(seconds=1)).astimezone(self.zone).date()


def _spans(part: str) -> list[tuple[int, int, int]]:
    match = _PART.fullmatch(part)
    if match is None or {match[1], match[2] or match[1]} - set(_DAYS):
        raise ValueError(f"{part!r} says no hours; {_EXAMPLE}")
    first, last = int(match[3]) * 60 + int(match[4]), int(match[5]) * 60 + int(match[6])
    if not first < last <= 24 * 60 or int(match[4]) > 59 or int(match[6]) > 59:
        raise ValueError(f"{part!r} does not end after it begins, on the same day; {_EXAMPLE}")
    begin, end = _DAYS.index(match[1]), _DAYS.index(match[2] or match[1])
    return [(day % 7, first, last) for day in range(begin, end + 1 if end >= begin else end + 8)]
