"""Make items.csv and interactions.csv: sixty invented films and what eighty invented viewers thought of them.

Run:  python make_movies.py

The films do not exist. A viewer likes two genres and rates what they watch: 4 or 5 stars for a film of those
genres, 2 or 3 for another. One seed; a new run writes the same files.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
from pathlib import Path

HERE = Path(__file__).resolve().parent
GENRES = ("Comedy", "Drama", "Thriller", "Science fiction", "Animation", "Documentary")
FIRST = "The Quiet|A Borrowed|Seven|The Last|Paper|Northern|Salt and|The Glass|Under the|Almost".split("|")
SECOND = {
    "Comedy": "Wedding|Landlord|Picnic|Umbrella|Cousins|Parrot|Elevator|Neighbours|Cake|Holiday",
    "Drama": "Harbour|Letters|Winter|Orchard|Daughter|Bridge|River|Photograph|House|Sunday",
    "Thriller": "Witness|Alibi|Corridor|Signal|Tunnel|Ransom|Hour|Shadow|Cipher|Passenger",
    "Science fiction": "Orbit|Colony|Machine|Horizon|Satellite|Android|Eclipse|Comet|Archive|Moon",
    "Animation": "Fox|Lantern|Whale|Kite|Dragonfly|Forest|Robot|Teapot|Snowman|Compass",
    "Documentary": "Glacier|Bakers|Orchestra|Beekeepers|Desert|Railway|Market|Coral|Weavers|Mountain",
}


def main() -> None:
    """Writes both files beside this one."""
    dice = random.Random(7)
    films = []
    for genre in GENRES:
        for first, second in zip(FIRST, SECOND[genre].split("|"), strict=True):
            other = dice.choice([name for name in GENRES if name != genre])
            films.append(
                (
                    f"M-{len(films) + 1:02d}",
                    f"{first} {second}",
                    f"{genre} | {other}",
                    dice.randint(1975, 2025),
                    dice.randint(78, 160),
                )
            )
    with (HERE / "items.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("id", "title", "genres", "year", "minutes"))
        writer.writerows(films)
    with (HERE / "interactions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("user", "item", "rating", "timestamp"))
        for number in range(1, 81):
            liked = dice.sample(GENRES, 2)
            moment = dt.datetime(2025, 1, 1, 19, tzinfo=dt.UTC) + dt.timedelta(days=dice.randint(0, 60))
            pool = [film for film in films if any(genre in film[2] for genre in liked)] + dice.sample(films, 6)
            for film in dict.fromkeys(dice.sample(pool, 12)):
                fits = any(genre in film[2] for genre in liked)
                moment += dt.timedelta(days=dice.randint(1, 9))
                writer.writerow(
                    (f"V-{number:02d}", film[0], dice.choice((4, 5) if fits else (2, 3)), int(moment.timestamp()))
                )


if __name__ == "__main__":
    main()
