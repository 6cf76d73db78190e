"""Whether a classifier still says the same when a customer writes differently: typos, casing, other words around.

The disturbances keep the meaning by construction; they are drawn from a seed. They are not attacks made
against the model: those would find more.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Sequence

from assistant import metrics
from assistant.types import Measure

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEAR = {
    row[place]: row[max(0, place - 1) : place] + row[place + 1 : place + 2]
    for row in _ROWS
    for place in range(len(row))
}
_FRAMES = (
    "Hi, {} Thanks!",
    "Hello there. {}",
    "{} Please help me.",
    "I have a question. {}",
    "Sorry to bother you again, but {}",
    "{} I would be glad of an answer today.",
)
_SHORTER = {
    "I am": "I'm", "do not": "don't", "does not": "doesn't", "can not": "can't", "cannot": "can't", "is not": "isn't",
    "did not": "didn't", "what is": "what's", "I have": "I've", "it is": "it's", "will not": "won't", "I would": "I'd",
}  # fmt: skip
_LONGER = {short: long for long, short in _SHORTER.items() if long != "can not"}


def typos(text: str, chance: random.Random) -> str:
    """A slip in twenty letters, one at least: swapped, dropped, doubled or the neighbouring key."""
    letters = list(text)
    places = [place for place, letter in enumerate(letters) if letter.isalpha()]
    for place in sorted(chance.sample(places, min(len(places), max(1, len(places) // 20))), reverse=True):
        kind, letter = chance.randrange(4), letters[place]
        if kind == 0 and place + 1 < len(letters):
            letters[place], letters[place + 1] = letters[place + 1], letter
        elif kind == 1 and len(places) > 1:
            letters[place] = ""
        elif kind == 2:
            letters[place] = letter * 2
        else:
            letters[place] = chance.choice(_NEAR.get(letter.lower(), letter))
    return "".join(letters)


def framed(text: str, chance: random.Random) -> str:
    """The same request with what people write around it."""
    return chance.choice(_FRAMES).format(text)


def contracted(text: str, chance: random.Random) -> str:
    """Contractions written out, or the other way round: "I am" and "I'm"."""
    table = _LONGER if any(short in text for short in _LONGER) else _SHORTER
    for one, other in table.items():
        text = text.replace(one, other)
    return text


def unmarked(text: str, chance: random.Random) -> str:
    """Without marks, but for the apostrophe; a space stands for each, so that no two words become one."""
    kept = (each if unicodedata.category(each)[0] not in "PS" or each in "'\u2019" else " " for each in text)
    return " ".join("".join(kept).split())


DISTURBANCES: dict[str, Callable[[str, random.Random], str]] = {
    "typos": typos,
    "lower_case": lambda text, chance: text.lower(),
    "upper_case": lambda text, chance: text.upper(),
    "no_punctuation": unmarked,
    "framed": framed,
    "contractions": contracted,
}


def robustness(
    texts: Sequence[str], gold: Sequence[str], predict: Callable[[Sequence[str]], Sequence[str]], *, seed: int = 0
) -> list[Measure]:
    """`accuracy` as written, then of each disturbance `<name>` and `<name>_change`, paired by text."""
    plain = _hits(gold, predict(texts))
    found = [metrics.mean("accuracy", plain)]
    for name, change in DISTURBANCES.items():
        chance = random.Random(f"{seed}/{name}")
        hits = _hits(gold, predict([change(text, chance) for text in texts]))
        found.append(metrics.mean(name, hits))
        found.append(metrics.difference(f"{name}_change", [(hit, 1.0) for hit in plain], [(hit, 1.0) for hit in hits]))
    return found


def _hits(gold: Sequence[str], found: Sequence[str]) -> list[float]:
    return [float(one == other) for one, other in zip(gold, found, strict=True)]
