"""What the training of an adapter has spent, in words for the person who reads an answer's receipt.

No book is asked: the card says it, so that it travels with the adapter. Not the gauge of a data set (`privacy.ledger`):
that is about everything ever trained on the data, this about one adapter.
"""

from __future__ import annotations

import functools
import math

from assistant import texts
from assistant.adapters import is_built_in
from assistant.types import Adapter
from privacy.accounting import epsilon
from privacy.types import PrivacySpend, Unit

_UNITS: tuple[Unit, ...] = ("example", "customer", "partner")


def in_words(name: str | None, adapter: Adapter | None, language: str) -> str:
    """One sentence for a receipt: `name` answered (None = no adapter), `adapter` is its card (None = not here)."""
    if name is None:
        return texts.say("spent_nobody", language)
    if is_built_in(name):
        return texts.say("spent_built_in", language)
    if adapter is None or not adapter.privacy:
        return texts.say("spent_unknown", language, adapter=name)
    value, unit = _of(adapter)
    if not math.isfinite(value):
        return texts.say("spent_all", language, adapter=name)
    each = texts.say(f"unit_{unit}", language)
    return texts.say("spent", language, adapter=name, epsilon=f"{value:.2f}", delta=f"{adapter.delta:g}", unit=each)


def short(adapter: Adapter) -> str:
    """The same in a line of a table, in English."""
    if not adapter.privacy:
        return "not known: take epsilon for infinite"
    value, unit = _of(adapter)
    each = texts.say(f"unit_{unit}", "en")
    return f"epsilon {value:.2f} per {each} at delta {adapter.delta:g}" if value < math.inf else "epsilon is infinite"


def _of(adapter: Adapter) -> tuple[float, Unit]:
    """(epsilon, the unit it is for): the smallest that a part of its training was private for."""
    unit = min((spend.unit for spend in adapter.privacy), key=_UNITS.index)
    return _epsilon(adapter.privacy, adapter.delta, unit), unit


@functools.lru_cache(256)
def _epsilon(spends: tuple[PrivacySpend, ...], delta: float, unit: Unit) -> float:
    """Rounded up: a receipt never says less than was spent."""
    value = epsilon(spends, delta, unit=unit)
    return math.ceil(100 * value) / 100 if math.isfinite(value) else value
