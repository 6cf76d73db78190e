"""The keys and values kept between the turns of a conversation.

A cache belongs to one conversation and one adapter: the same tokens under another adapter have
other keys and values, so nothing is ever shared across either. In float32 a kept cache gives the
text of a fresh one; in bfloat16 the two differ in the last bit, so that a near-tie may fall otherwise.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Key = tuple[str, str | None]
"""(conversation, adapter)."""


@dataclass(slots=True)
class Kept:
    """A transformers `DynamicCache` and the token ids it holds, in order."""

    cache: Any
    ids: list[int] = field(default_factory=list)


class KvStore:
    """Least recently used caches out first, bounded by count and by tokens in all."""

    def __init__(self, *, max_count: int = 8, max_tokens: int = 16_384) -> None:
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._max_count = max_count
        self._max_tokens = max_tokens

    def take(self, key: Key) -> Kept | None:
        """The cache of this conversation, out of the store until it is put back."""
        return self._kept.pop(key, None)

    def put(self, key: Key, kept: Kept) -> None:
        """Keeps a cache; drops those used longest ago until the bounds hold."""
        self._kept[key] = kept
        while self._kept and (len(self._kept) > self._max_count or self.tokens > self._max_tokens):
            self._kept.popitem(last=False)

    def forget_adapter(self, adapter: str) -> None:
        """Drops what was computed under an adapter that changed or went."""
        for key in [key for key in self._kept if key[1] == adapter]:
            del self._kept[key]

    def clear(self) -> None:
        """Drops everything."""
        self._kept.clear()

    @property
    def tokens(self) -> int:
        """Tokens held in all."""
        return sum(len(kept.ids) for kept in self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """How many ids at the start are the same.

    >>> common_prefix([1, 2, 3], [1, 2, 4, 5])
    2
    """
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))
