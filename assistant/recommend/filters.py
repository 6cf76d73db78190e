"""The text form of a filter (`price < 100; colour = blue | navy`): what a reader sees and may edit.

Which rows satisfy a condition is `table.py`; where requests are understood is `requests.py`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.errors import BadInput
from assistant.goods import Condition, Test
from assistant.recommend.table import Table, number
from assistant.registry import did_you_mean

_SIGNS: dict[str, Test] = {
    "!=": "not",
    "<=": "<=",
    ">=": ">=",
    "≤": "<=",
    "≥": ">=",
    "≠": "not",
    "<": "<",
    ">": ">",
    "=": "is",
}


def to_text(conditions: Sequence[Condition]) -> str:
    """The text form.

    >>> to_text([Condition("price", "<", ("100",)), Condition("colour", "not", ("blue", "navy"))])
    'price < 100; colour != blue | navy'
    """
    signs = {"is": "=", "not": "!="}
    return "; ".join(f"{one.field} {signs.get(one.test, one.test)} {' | '.join(one.values)}" for one in conditions)


def from_text(text: str, table: Table) -> tuple[Condition, ...]:
    """The conditions of a text form, as `to_text` writes it.

    Raises:
        BadInput: lists every part that is none, and the field that was meant.
    """
    found, problems = [], []
    for part in re.split(r"[;；\n]", text):
        if not part.strip():
            continue
        sign = re.search(r"!=|<=|>=|[≤≥≠<>=]", part)
        if sign is None:
            problems.append(f"{part.strip()!r} has none of = != < <= > >=")
            continue
        field, test = part[: sign.start()].strip().lower(), _SIGNS[sign.group()]
        values = tuple(value.strip() for value in re.split(r"[|,，、]", part[sign.end() :]) if value.strip())
        problem = _problem(field, test, values, table)
        if problem:
            problems.append(problem)
        else:
            found.append(Condition(field, test, values))
    if problems:
        raise BadInput(
            f"The filter cannot be read: {'; '.join(problems)}.", hint="For example: price < 100; colour = blue"
        )
    return tuple(found)


def checked(conditions: Sequence[Condition], table: Table) -> tuple[Condition, ...]:
    """The conditions as they are.

    Raises:
        BadInput: one names no field of this catalogue, or no number where one is needed.
    """
    problems = [_problem(one.field, one.test, one.values, table) for one in conditions]
    if any(problems):
        raise BadInput(f"The filter is wrong: {'; '.join(filter(None, problems))}.")
    return tuple(conditions)


def _problem(field: str, test: str, values: Sequence[str], table: Table) -> str:
    if field not in table.fields:
        return f"there is no field {field!r}. {did_you_mean(field, table.fields)}"
    if test not in _SIGNS.values():
        return f"there is no test {test!r}"
    if not values:
        return f"{field!r} is compared with nothing"
    if test not in {"is", "not"} and (len(values) != 1 or number(values[0]) is None):
        return f"{field} {test} needs one number, not {' | '.join(values)!r}"
    return ""


def merged(old: Sequence[Condition], new: Sequence[Condition]) -> tuple[Condition, ...]:
    """The old conditions with the new ones, which win: one bound a side of a number, one choice a field."""

    def side(one: Condition) -> tuple[str, str]:
        return one.field, {"<=": "<", ">=": ">"}.get(one.test, one.test)

    def replaced(one: Condition) -> bool:
        return any(side(one) == side(other) and other.test != "not" for other in new)

    kept = [one for one in old if not replaced(one) and one not in new]
    return (*kept, *new)
