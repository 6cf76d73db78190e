"""Why an item is recommended, in sentences whose every fact is a cell of its row, a count of the log, or the
customer's own interaction. No model writes here; a reason that cannot be shown is not given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from assistant import texts
from assistant.goods import Condition, Interaction, Item, Reason
from assistant.recommend.cells import cell, normal
from assistant.recommend.lexicon import TERMS

MOST = 3
FEWEST_TOGETHER = 2
"""Fewer customers than this who took both say nothing."""
_FIELDS = {
    "price": "价格", "stock": "库存", "category": "类别", "brand": "品牌", "colour": "颜色", "size": "尺码",
    "name": "名称", "material": "材质", "waterproof": "防水", "season": "季节", "weight_g": "重量（克）",
    "capacity": "容量", "genres": "类型", "year": "年份", "level": "难度", "minutes": "时长（分钟）", "topic": "主题",
    "description": "说明",
}  # fmt: skip
_ZH = {"yes": "是", "no": "否"}


def field_name(field: str, language: str) -> str:
    """What a field is called."""
    return _FIELDS.get(field, field) if language == "zh" else re.sub("_g$", " (g)", field).replace("_", " ")


def condition(one: Condition, language: str) -> str:
    """A condition as a customer is told it: "colour: not red", "price < 20", "in stock"."""
    if one == Condition("stock", ">=", ("1",)):
        return texts.say("condition_stock", language)
    field = field_name(one.field, language)
    if one.test in {"is", "not"}:
        values = texts.say("condition_or", language).join(_said(one.field, one.values, language))
        return texts.say(f"condition_{one.test}", language, field=field, values=values)
    return f"{field} {one.test.replace('<=', '≤').replace('>=', '≥')} {one.values[0]}"


def _said(field: str, values: Sequence[str], language: str) -> list[str]:
    """Values in a customer's words, each once: 红色 in Chinese for "red", "yes" as 是."""
    terms = TERMS.get(field, {}) if field != "waterproof" else {}  # whose one value is yes
    said: dict[str, None] = {}
    for value in values:
        key = next((key for key, term in terms.items() if value.casefold() in {key, *term.words}), None)
        own = next((word for word in terms[key].words if not word.isascii()), value) if key else _ZH.get(value, value)
        said[own if language == "zh" else key or value] = None
    return list(said)


def money(item: Item, language: str = "en") -> str:
    """The price as the row has it, with its currency; "" where the row has none."""
    return "" if item.price is None else priced(str(item.price), item.currency, language)


def priced(price: str, currency: str, language: str) -> str:
    """A price with its currency, as a language writes it.

    >>> priced("1280", "CNY", "zh"), priced("1280", "CNY", "en")
    ('¥1280', '1280 CNY')
    """
    return f"¥{price}" if (currency, language) == ("CNY", "zh") else f"{price} {currency}".strip()


def matched(item: Item, conditions: Sequence[Condition], language: str = "en") -> list[Reason]:
    """What was asked for, and what the row says to it."""
    found = []
    for field in dict.fromkeys(one.field for one in conditions if one.test != "not" and one.field != "category"):
        value = money(item, language) if field == "price" else cell(item, field)
        if value and field not in {"name", "stock"}:
            found.append(Reason("matches", field=field, value=value))
    return found


def shared(item: Item, history: Sequence[Interaction], items: Mapping[str, Item]) -> Reason | None:
    """A field in which the item is like the latest thing of the same category that the customer dealt with."""
    for one in reversed(history):
        other = items.get(one.item)
        if other is None or other.id == item.id or one.event == "dismiss":
            continue
        if other.category and normal(other.category) == normal(item.category):
            for field in ("brand", "season", "material", "level", "category"):
                value = cell(item, field)
                if value and value == cell(other, field):
                    return Reason("shares", field=field, value=value, item=other.id, at=one.at)
    return None


def sold(buyers: int, *, counted: bool) -> list[Reason]:
    """How many took an item, or that nobody has yet where purchases are `counted`."""
    if buyers >= FEWEST_TOGETHER:
        return [Reason("popular", value=str(buyers))]
    return [Reason("new")] if buyers == 0 and counted else []


def told(reason: Reason, items: Mapping[str, Item], language: str) -> str:
    """The sentence of a reason."""
    other = items.get(reason.item)
    return texts.say(
        f"because_{reason.kind}",
        language,
        field=field_name(reason.field, language),
        value=reason.value,
        item=other.title(language) if other else reason.item,
    )
