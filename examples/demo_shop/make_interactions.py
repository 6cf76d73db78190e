"""Make interactions.csv: what 300 invented customers did in the demo shop over eighteen months.

Run:  python make_interactions.py

How it is made, all from one seed, so that a new run writes the same file:
- Each customer has an interest (hiking, family camping, climbing, winter, ultralight, running and cycling), a
  cut of clothes (men, women) and a budget. An interest is a weight per category; words of an item's row
  (season, name) raise or lower it.
- A customer comes 2 to 9 times. A visit is about one or two categories: two to five views, and of what was
  viewed something may go into the cart, and most of the cart is bought. A tent is followed by its footprint,
  mats and bags; boots by socks, gaiters and wax; a stove by cartridges, which are bought again.
- One in six leaves a rating of a bought thing: 3 to 5 stars, 1 or 2 where it was dear for their budget.
- What is out of stock today could still be bought in the past.

Customers C-001 to C-300 are not people. C-001 hikes, and bought boots.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEED, CUSTOMERS = 20_240_229, 300
START, DAYS = dt.datetime(2025, 3, 1, 8), 540

INTERESTS = {
    "hiking": {
        "boots and shoes": 5,
        "trousers": 3,
        "jackets": 3,
        "backpacks": 3,
        "accessories": 3,
        "base layers": 2,
        "fleece and midlayers": 2,
        "cookware and drinking": 1,
    },
    "family": {
        "tents": 4,
        "sleeping bags": 3,
        "sleeping mats": 3,
        "stoves and fuel": 2,
        "cookware and drinking": 2,
        "lamps and electronics": 3,
        "accessories": 2,
        "jackets": 1,
    },
    "climbing": {"climbing": 7, "backpacks": 2, "jackets": 2, "trousers": 2, "boots and shoes": 2, "accessories": 1},
    "winter": {
        "jackets": 4,
        "sleeping bags": 3,
        "base layers": 3,
        "fleece and midlayers": 3,
        "boots and shoes": 2,
        "accessories": 3,
        "tents": 1,
    },
    "ultralight": {
        "tents": 3,
        "sleeping bags": 3,
        "sleeping mats": 3,
        "backpacks": 3,
        "stoves and fuel": 2,
        "cookware and drinking": 3,
        "lamps and electronics": 1,
    },
    "running": {
        "boots and shoes": 4,
        "base layers": 3,
        "backpacks": 2,
        "cookware and drinking": 2,
        "trousers": 2,
        "jackets": 2,
        "lamps and electronics": 2,
    },
}
LIKES = {
    "hiking": ("Carn", "Trail", "Fell", "Drizzle", "Vetta"),
    "family": ("Lodge", "Camp", "Kids", "Fenn", "Duo"),
    "climbing": ("Spire", "Sasso", "Summit", "Climb"),
    "winter": ("Winter", "Down", "Isbre", "Merino", "Snow"),
    "ultralight": ("UL", "Feather", "Skylark", "Titan", "Quilt", "Light"),
    "running": ("Rill", "Run", "Sprint", "Soft Flask", "Bike"),
}
NEXT = {
    "TE-114": ["TE-219", "MA-107", "SB-135"],
    "TE-142": ["TE-226", "TE-268"],
    "BO-107": ["AC-177", "BO-254"],
    "BO-114": ["AC-177", "BO-254"],
    "BO-142": ["BO-247", "AC-268"],
    "BO-163": ["AC-268", "AC-177"],
    "ST-107": ["ST-170"],
    "ST-114": ["ST-177"],
    "ST-121": ["ST-170"],
    "SB-107": ["SB-205", "AC-254"],
    "CL-107": ["CL-177", "CL-170"],
}
AGAIN = ("ST-170", "ST-177", "CO-184", "CO-191", "CO-198", "AC-177")


def main() -> None:
    """Writes interactions.csv beside this file."""
    with (HERE / "documents" / "products.csv").open(encoding="utf-8", newline="") as stream:
        products = list(csv.DictReader(stream))
    dice = random.Random(SEED)
    rows = [row for number in range(1, CUSTOMERS + 1) for row in customer(number, products, dice)]
    rows.sort(key=lambda row: (row[3], row[0], row[1]))
    with (HERE / "interactions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("customer", "item", "event", "at", "value"))
        writer.writerows(rows)


def customer(number: int, products: list[dict[str, str]], dice: random.Random) -> list[tuple[str, ...]]:
    """Everything that one customer did."""
    name = f"C-{number:03d}"
    interest = "hiking" if number == 1 else dice.choice(list(INTERESTS))
    cut = "Men" if number == 1 else dice.choice(("Men", "Women"))
    budget = dice.uniform(60, 320)
    by_id = {row["sku"]: row for row in products}
    owned: set[str] = set()
    rows: list[tuple[str, ...]] = []
    days = sorted(dice.sample(range(DAYS), dice.randint(2, 9)))
    queue = ["BO-107"] if number == 1 else []
    for day in days:
        moment = START + dt.timedelta(days=day, minutes=dice.randint(0, 720))
        seen = queue[:2] + chosen(products, interest, cut, budget=budget, owned=owned, dice=dice)
        queue = queue[2:]
        for sku in dict.fromkeys(seen):
            moment += dt.timedelta(minutes=dice.randint(1, 9))
            rows.append((name, sku, "view", stamp(moment), "1"))
            fits = float(by_id[sku]["price"]) < budget * dice.uniform(0.5, 1.6)
            forced = number == 1 and sku == "BO-107" and sku not in owned
            if not forced and not (fits and dice.random() < 0.5):
                continue
            moment += dt.timedelta(minutes=1)
            rows.append((name, sku, "cart", stamp(moment), "1"))
            if not forced and dice.random() > 0.75:
                continue
            moment += dt.timedelta(minutes=3)
            rows.append((name, sku, "buy", stamp(moment), "1"))
            owned.add(sku)
            queue += [one for one in NEXT.get(sku, []) if one not in owned]
            if dice.random() < 1 / 6:
                dear = float(by_id[sku]["price"]) > budget
                stars = dice.choice((1, 2, 3)) if dear else dice.choice((3, 4, 4, 5, 5))
                rows.append((name, sku, "rating", stamp(moment + dt.timedelta(days=dice.randint(3, 20))), str(stars)))
    return rows


def chosen(
    products: list[dict[str, str]], interest: str, cut: str, *, budget: float, owned: set[str], dice: random.Random
) -> list[str]:
    """What is looked at in a visit: of one or two categories."""
    weights = INTERESTS[interest]
    categories = set(dice.choices(list(weights), weights=list(weights.values()), k=dice.randint(1, 2)))
    other = "Women" if cut == "Men" else "Men"
    pool, odds = [], []
    for row in products:
        if row["category"] not in categories or f" {other}" in f" {row['name']} ".replace("Women", " Women"):
            continue
        if row["sku"] in owned and row["sku"] not in AGAIN:
            continue
        odd = 1.0 + 4.0 * any(word in row["name"] for word in LIKES[interest])
        odd *= 3.0 if row["sku"] in owned else 1.0
        odd *= 1.0 if float(row["price"]) < budget else 0.25
        pool.append(row["sku"])
        odds.append(odd)
    return dice.choices(pool, weights=odds, k=dice.randint(2, 5)) if pool else []


def stamp(moment: dt.datetime) -> str:
    """A time as the file has it (UTC)."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


if __name__ == "__main__":
    main()
