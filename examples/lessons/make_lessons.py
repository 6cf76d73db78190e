"""Make interactions.csv: what sixty invented learners did with the lessons of items.csv, which is written by hand.

Run:  python make_lessons.py

A learner prefers one topic and sits down on some days. They open a lesson whose prerequisites they have done, of
their topic twice as likely as another, and finish nine of ten; what they left they may open again. One seed; a new
run writes the same file.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEED = 7
LEARNERS = 60
TOPICS = ("basics", "data", "statistics")


def main() -> None:
    """Writes the file beside this one."""
    dice = random.Random(SEED)
    with (HERE / "items.csv").open(encoding="utf-8", newline="") as stream:
        lessons = list(csv.DictReader(stream))
    rows = [row for number in range(1, LEARNERS + 1) for row in learner(f"S-{number:02d}", lessons, dice)]
    with (HERE / "interactions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("customer", "item", "event", "at"))
        writer.writerows(sorted(rows, key=lambda row: (row[3], row[0])))


def learner(name: str, lessons: list[dict[str, str]], dice: random.Random) -> list[tuple[str, str, str, str]]:
    """(learner, lesson, event, time) of everything one learner did, in order."""
    topic = dice.choice(TOPICS)
    moment = dt.datetime(2026, 1, 5, 17) + dt.timedelta(days=dice.randint(0, 30))
    done: set[str] = set()
    rows = []
    for _ in range(dice.randint(3, 14)):
        ready = [
            one
            for one in lessons
            if one["id"] not in done and done.issuperset(filter(None, one["requires"].split("|")))
        ]
        lesson = dice.choices(ready, [2 if one["topic"] == topic else 1 for one in ready])[0]
        rows.append((name, lesson["id"], "view", moment.isoformat()))
        if dice.random() < 0.9:
            done.add(lesson["id"])
            end = moment + dt.timedelta(minutes=int(lesson["minutes"]))
            rows.append((name, lesson["id"], "done", end.isoformat()))
        moment += dt.timedelta(days=dice.randint(1, 4))
    return rows


if __name__ == "__main__":
    main()
