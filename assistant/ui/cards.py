"""Items as cards: what a row of the catalogue says, and why it is recommended. Pure HTML through `render.safe`.

A card is drawn from the same JSON object as the text above it (`Advice.to_dict`), so that both say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assistant.goods import Interaction, Item
from assistant.recommend.reasons import field_name, money, priced
from assistant.ui.render import Look, safe

Data = Mapping[str, Any]


def cards(advice: Data, look: Look, *, language: str, act: bool = False) -> str:
    """The items of an advice as a grid; `act` adds the links by which a customer tells what they think of one."""
    found = advice["recommendations"]
    if not found:
        return ""
    body = "".join(_card(number, one, look, language=language, act=act) for number, one in enumerate(found, start=1))
    return f'<div class="goods">{body}</div>'


def conditions(advice: Data, look: Look, *, language: str) -> str:
    """The filter in force as chips, and how many items it leaves."""
    signs = {"is": "=", "not": "≠", "<=": "≤", ">=": "≥"}
    chips = "".join(
        f'<span class="chip condition">{safe(field_name(one["field"], language))} '
        f"{safe(signs.get(one['test'], one['test']))} {safe(' / '.join(one['values']))}</span>"
        for one in advice["conditions"]
    )
    count = safe(look.say("goods_left", n=advice["items"]))
    return f'<div class="conditions">{chips}<span class="quiet">{count}</span></div>'


def notes(advice: Data) -> str:
    """Remarks: a currency that is not the catalogue's."""
    return "".join(f'<div class="notice bad">{safe(note)}</div>' for note in advice["notes"])


def history(events: Sequence[Interaction], items: Mapping[str, Item], look: Look, *, most: int = 30) -> str:
    """What a customer did, the latest first, as a table."""
    if not events:
        return f'<p class="quiet">{safe(look.say("goods_no_history"))}</p>'
    head = "".join(f"<th>{safe(title)}</th>" for title in look.say("goods_history_head").split("|"))
    lines = []
    for one in list(reversed(events))[:most]:
        name = items[one.item].name if one.item in items else one.item
        what = look.say(f"goods_{one.event}") + (f" {one.value:g}" if one.event == "rating" else "")
        cells = (f"{one.at:%Y-%m-%d}", what, name)
        lines.append(f"<tr>{''.join(f'<td>{safe(cell)}</td>' for cell in cells)}</tr>")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<div class="table">{table}</div>'


def reliability(bins: Sequence[tuple[float, float, int]], look: Look) -> str:
    """The reliability picture: predicted against observed, one pair of bars a bin, as tall as the share."""
    if not bins:
        return ""
    top = max(max(predicted, observed) for predicted, observed, _ in bins) or 1.0
    lines = "".join(
        f"<tr><td>{predicted:.2%}</td><td>{observed:.2%}</td><td>{count:,}</td>"
        f"<td>{_bar(predicted / top, 'said')}{_bar(observed / top, 'seen')}</td></tr>"
        for predicted, observed, count in bins
    )
    head = "".join(f"<th>{safe(title)}</th>" for title in look.say("goods_reliability_head").split("|"))
    return f'<div class="table reliability"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def likely(names: Sequence[str], chances: Sequence[float], look: Look) -> str:
    """Items with the probability of their purchase, the likeliest first."""
    if not names:
        return ""
    found = sorted(zip(names, chances, strict=True), key=lambda one: -one[1])
    lines = "".join(f"<tr><td>{safe(name)}</td><td>{chance:.2%}</td></tr>" for name, chance in found)
    head = "".join(f"<th>{safe(title)}</th>" for title in look.say("goods_likely_head").split("|"))
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _bar(share: float, kind: str) -> str:
    """A bar of one to forty steps; the page's policy for HTML leaves no style of its own to a cell."""
    return f'<div class="bar {kind}">{"█" * max(1, round(28 * share))}</div>'


def _card(number: int, one: Data, look: Look, *, language: str, act: bool) -> str:
    item = one["item"]
    name = item["names"].get(language) or item["name"]
    price = priced(item["price"], item["currency"], language) if item["price"] is not None else ""
    facts = [item["category"], item["brand"], item["colour"], item["size"]]
    place = " · ".join(fact for fact in facts if fact)
    why = "".join(f"<li>{safe(reason['text'])}</li>" for reason in one["reasons"])
    more = f'<details class="whole"><summary>{safe(look.say("goods_more"))}</summary>{_all(item, language)}</details>'
    links = _links(item, look) if act else ""
    head = f'<span class="number">{number}</span><span class="name">{safe(name)}</span>'
    return (
        f'<div class="good"><h4>{head}</h4><div class="price">{safe(price)}{_stock(item["stock"], look)}</div>'
        f'<div class="place">{safe(place)}</div><ul class="why">{why}</ul>{more}{links}</div>'
    )


def _all(item: Data, language: str) -> str:
    rows = {**item["attributes"], "id": item["id"]}
    text = "".join(f"<li>{safe(field_name(key, language))}: {safe(value)}</li>" for key, value in rows.items())
    prose = f"<p>{safe(item['description'])}</p>" if item["description"] else ""
    return f'<div class="passage">{prose}<ul>{text}</ul></div>'


def _stock(stock: int | None, look: Look) -> str:
    if stock is None:
        return ""
    text = look.say("goods_stock", n=stock) if stock else look.say("goods_no_stock")
    return f' <span class="chip {"added" if stock else "refused"}">{safe(text)}</span>'


def _links(item: Data, look: Look) -> str:
    """Links that `page.js` turns into an event of the visitor's own session."""
    name = "".join(letter if letter.isalnum() and letter.isascii() else f"_{ord(letter):x}_" for letter in item["id"])
    parts = [
        f'<a class="act" href="{look.path}#act-{event}-{name}">{safe(look.say(f"goods_{event}_it"))}</a>'
        for event in ("click", "buy", "dismiss")
    ]
    return f'<div class="acts">{"".join(parts)}</div>'


def line(item: Item) -> str:
    """An item in a list to choose from."""
    return f"{item.name} ({money(item)})" if item.price is not None else item.name
