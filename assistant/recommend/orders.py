"""Which order a request asks for: "the cheapest", "which one is lighter?", "cheaper tents". English and Chinese. Pure.

"Cheaper" about a list that was shown is a limit: `intents.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.recommend.refusals import Mention, blanked, is_refused, is_small


def _compared(more: str, more_zh: str) -> str:
    """The pattern of a choice among what is shown, "which one is cheaper"; "cheaper" by itself is a limit."""
    which = (
        r"\bwhich(?: one| of (?:them|these|those|the (?:two|three|four)))?(?: is|'s)(?: the)? "
        r"|\bthe (?=[a-z]+(?: expensive)? (?:one|of)\b)"
    )
    return rf"(?:{which})(?:{more})\b(?! than)|哪一?[个款件双顶条种](?:更|比较)?(?:{more_zh})(?:一?[点些])?(?=\W*$)"


COMPARED = re.compile(
    _compared("cheaper|less expensive|more expensive|dearer|pricier|lighter|heavier", "便宜|贵|轻|重")
)
_CHEAPEST = re.compile(
    r"\b(?:cheapest|least expensive|lowest[ -]priced?|most affordable)\b|最便宜|最低价|价格最低"
    rf"|{_compared('cheaper|less expensive', '便宜')}"
)
_DEAREST = re.compile(
    r"\b(?:most expensive|dearest|priciest|highest[ -]priced?)\b|最贵|价格最高"
    rf"|{_compared('more expensive|dearer|pricier', '贵')}"
)
_LIGHTEST = re.compile(rf"\blightest\b|最轻|{_compared('lighter', '轻')}")
_HEAVIEST = re.compile(rf"\bheaviest\b|最重(?!要)|{_compared('heavier', '重')}")
_CHEAP = re.compile(
    r"(?<!not )(?<!too )(?<!so )(?<!how )(?<![太不么没])"
    r"(?:\b(?:cheap(?:er)?|inexpensive|less expensive|(?:more )?affordable)\b|(?:便宜|实惠)(?:一?[点些])?的?)"
)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to come first: the least of a numeric field, or the most."""

    field: str
    descending: bool = False


def superlative(text: str, weight: str, is_filled: Callable[[str], bool]) -> tuple[str, Order | None]:
    """The text without its superlatives, and what the last of them asks for, where the catalogue has such numbers."""
    last, order = -1, None
    for words, field, descending in (
        (_CHEAPEST, "price", False), (_DEAREST, "price", True), (_LIGHTEST, weight, False), (_HEAVIEST, weight, True),
    ):  # fmt: skip
        for found in words.finditer(text) if is_filled(field) else ():
            if found.start() > last:
                last, order = found.start(), Order(field, descending)
    for words in (_CHEAPEST, _DEAREST, _LIGHTEST, _HEAVIEST):
        text = words.sub(lambda found: " " * len(found.group()), text)
    return text, order


def cheap(text: str, mentions: Sequence[Mention]) -> tuple[str, Order | None]:
    """The same of "cheaper tents", 便宜点的帐篷; "cheaper delivery" and "cheaper than 100" are none."""
    left, goods = blanked(text, mentions), [one.start for one in mentions if one.is_goods]
    for found in _CHEAP.finditer(text):
        start = next((start for start in goods if start >= found.end()), None)
        if start is not None and is_small(left[found.end() : start]) and not is_refused(text, found.start()):
            return text[: found.start()] + " " * len(found.group()) + text[found.end() :], Order("price")
    return text, None
