"""The values of recommending: items of a catalogue, what customers did with them, what is recommended and why.

The part of `types.py` that has to do with goods; the same rules hold. What is not here: database rows
(`stock.py`), files (`recommend/catalog.py`).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Item:
    """A row of a catalogue: what can be recommended.

    `names` are further names by language code; `sizes` is the size column as the row has it; `stock` None =
    the catalogue does not count it. `attributes` are all other columns, by column name, as the row has them.
    `requires` are ids of items that have to be in a customer's history first (lessons).
    """

    id: str
    name: str
    names: dict[str, str] = dataclasses.field(default_factory=dict)
    price: Decimal | None = None
    currency: str = ""
    category: str = ""
    brand: str = ""
    colour: str = ""
    size: str = ""
    stock: int | None = None
    description: str = ""
    url: str = ""
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    requires: tuple[str, ...] = ()

    def title(self, language: str) -> str:
        """The name in a language, else the row's first name."""
        return self.names.get(language) or self.name


Event = Literal["view", "click", "cart", "buy", "rating", "dismiss"]


@dataclass(frozen=True, slots=True)
class Interaction:
    """What a customer did with an item, and when (UTC, without a zone). `value` is the stars of a rating, else 1."""

    customer: str
    item: str
    event: Event
    at: dt.datetime
    value: float = 1.0


Test = Literal["is", "not", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Condition:
    """One hard condition on a catalogue field. `values`: any of them (`is`), none of them (`not`), or one number."""

    field: str
    test: Test
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is recommended: a catalogue field and its value, or an item of the customer's own history.

    `kind` names the sentence it is told with (see `recommend/reasons.py`); `item` is an id, `at` the day of
    the interaction.
    """

    kind: str
    field: str = ""
    value: str = ""
    item: str = ""
    at: dt.datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An item with its score (comparable within one list only) and reasons that are true of its row."""

    item: Item
    score: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Relaxation:
    """How many items there would be without one of the conditions."""

    condition: Condition
    items: int


@dataclass(frozen=True, slots=True)
class Advice:
    """The end of the walk recommend. `text` is made from the same rows as the list.

    `conditions` were applied before ranking; `items` counts what they leave; `relax` says, where that is
    nothing, which condition to give up. `asked` is the request, "" where there was none.
    """

    asked: str
    text: str
    recommendations: tuple[Recommendation, ...]
    conditions: tuple[Condition, ...] = ()
    items: int = 0
    relax: tuple[Relaxation, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `recommend --json`, of the API and of a stored turn."""
        data = dataclasses.asdict(self)
        for row in data["recommendations"]:
            price = row["item"]["price"]
            row["item"]["price"] = None if price is None else str(price)
            for reason in row["reasons"]:
                reason["at"] = reason["at"].isoformat() if reason["at"] else None
        return data
