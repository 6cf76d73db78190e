"""A shop of nine items and a few customers, for the tests of recommending."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from assistant.goods import Interaction, Item

DAY = dt.datetime(2026, 1, 1)
WORDS = {"category": {"boots and shoes": ["boot", "shoe", "sandal", "鞋", "凉鞋"], "jackets": ["jacket", "夹克"]}}


def item(name: str, category: str, price: str, **more: object) -> Item:
    attributes = {key: str(value) for key, value in more.items() if key in {"material", "waterproof", "weight_g"}}
    fields = {key: value for key, value in more.items() if key not in attributes}
    base = {"stock": 5, "brand": "Alda", "currency": "EUR"} | fields
    return Item(
        name.lower().replace(" ", "-"), name, price=Decimal(price), category=category, attributes=attributes, **base
    )


ITEMS = (
    item("Hill Boot Men", "boots and shoes", "120.00", colour="brown", size="40-47", material="nubuck leather", waterproof="yes, membrane"),
    item("Rain Boot", "boots and shoes", "60.00", colour="night blue", size="36-42", material="rubber", waterproof="10000 mm"),
    item("Beach Sandal", "boots and shoes", "35.50", colour="black", size="36-47", material="synthetic leather", waterproof="no"),
    item("Rain Jacket Men", "jackets", "150.00", colour="navy", size="S-XXL", material="nylon", waterproof="20000 mm", brand="Borea"),
    item("Down Jacket Women", "jackets", "220.00", colour="red", size="XS-L", material="nylon, goose down", waterproof="no"),
    item("Town Jacket", "jackets", "90.00", colour="black", size="M, L", material="cotton", waterproof="no, water-repellent", stock=0),
    item("Gas Can", "fuel", "8.00", colour="white", material="steel", waterproof="no", weight_g=370),
    item("Camp Stove", "fuel", "45.00", colour="silver", material="steel", waterproof="no", weight_g=110),
    item("Long Spoon", "kitchen", "9.90", colour="silver", material="titanium", waterproof="no", weight_g=17, names={"zh": "长柄勺"}),
)  # fmt: skip


def events() -> list[Interaction]:
    """Twenty customers: the even ones buy a boot and then a jacket, the odd ones a stove and gas, twice."""
    found = []
    for number in range(20):
        bought = ["hill-boot-men", "rain-jacket-men"] if number % 2 == 0 else ["camp-stove", "gas-can", "gas-can"]
        for place, name in enumerate(bought):
            found.append(Interaction(f"c{number}", name, "buy", DAY + dt.timedelta(days=number, hours=place)))
    return found
