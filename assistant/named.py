"""Names and addresses for the redactor, by a tagger of your own: an adapter called `names`, made by `train tag`.

No such adapter is shipped: there is no data of names and addresses that this project may give away, and a tagger that
misses what it was not shown is worse than none if nobody knows. So its recall is reported, on records of yours that it
was not trained on. Structured data (numbers, e-mail ...) is `privacy.recognise`'s, and goes first.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assistant import heldout, metrics
from assistant.adapters import Shelf
from assistant.errors import BadInput, UnknownName
from assistant.router import Network, load
from assistant.settings import Settings
from assistant.types import Adapter, Measure
from assistant.vetting import verify
from privacy.recognise import Found

if TYPE_CHECKING:
    from privacy.recognise import Finder

ADAPTER = "names"
_KINDS = {"person": "name", "per": "name", "name": "name", "address": "address", "street": "address",
          "location": "address", "loc": "address"}  # fmt: skip
_WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")


def tagger(settings: Settings) -> Finder:
    """The finder that `privacy.finder = "tagger"` names: the newest adapter called `names`.

    Raises:
        BadInput: there is none, or it does not tag names or addresses.
        AdapterRefused: it is damaged, or of another base than the bundled encoder.
    """
    network, lock = _network(settings)[1], threading.Lock()

    def find(text: str) -> Iterable[Found]:
        words = list(_WORD.finditer(text))
        if not words:
            return []
        with lock:
            tags = network.tag([[word.group() for word in words]])[0]
        return [
            Found(kind, words[start].start(), words[end - 1].end(), _plain(text, words[start:end]))
            for kind, start, end in sorted(_personal(tags), key=lambda span: span[1])
        ]

    return find


def recall(data: Path, settings: Settings) -> tuple[Adapter, tuple[Measure, ...]]:
    """How much of the names and addresses in tagged records it finds, whole, and how much of what it finds is one.

    Raises:
        BadInput: the records have faults, or hold none.
    """
    from assistant.tuning.data import read_records
    from assistant.tuning.records import TagRow

    adapter, network = _network(settings)
    rows = [row for row in read_records(data, "tag").rows if isinstance(row, TagRow)]
    said = network.tag([row.tokens for row in rows])
    measures = found([(row.tags, tags) for row, tags in zip(rows, said, strict=True)])
    if not measures:
        raise BadInput(f"{data} holds no name and no address.", hint=f"Tags are B-/I- of {', '.join(sorted(_KINDS))}.")
    return adapter, measures


def found(sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> tuple[Measure, ...]:
    """Recall (of whole names and addresses) and precision from (right tags, said tags) of each sentence; () = none."""
    hits: dict[str, list[bool]] = {}
    for right, said in sentences:
        gold, mine = _covered(right), _covered(said)
        for kind, start, end in _personal(right):
            whole = all(place in mine for place in range(start, end))
            for name in ("recall", f"recall[{kind}]"):
                hits.setdefault(name, []).append(whole)
        for _, start, end in _personal(said):
            hits.setdefault("precision", []).append(any(place in gold for place in range(start, end)))
    if "recall" not in hits:
        return ()
    return tuple(metrics.share(name, one) for name, one in sorted(hits.items(), reverse=True))


def _network(settings: Settings) -> tuple[Adapter, Network]:
    try:
        adapter = Shelf(settings.data_dir).find(ADAPTER)
    except UnknownName as error:
        raise BadInput(
            f"There is no adapter called {ADAPTER!r}: nothing finds names and addresses.",
            hint=f"`train tag DATA --out {ADAPTER}` makes one from tagged sentences; or leave privacy.finder empty.",
        ) from error
    verify(Path(adapter.path))
    if adapter.task != "tag" or not _personal([label for label in adapter.labels if label.lower().startswith("b-")]):
        raise BadInput(f"{adapter.id} does not tag names or addresses.", hint=f"Tags: {', '.join(sorted(_KINDS))}.")
    return adapter, load(adapter)


def _personal(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """(name or address, start, end) in words."""
    lowered = [tag[:2].upper() + tag[2:].lower() if tag != "O" else tag for tag in tags]
    return sorted((_KINDS[kind], start, end) for kind, start, end in heldout.spans(lowered) if kind in _KINDS)


def _covered(tags: Sequence[str]) -> set[int]:
    return {place for _, start, end in _personal(tags) for place in range(start, end)}


def _plain(text: str, words: Sequence[re.Match[str]]) -> str:
    """One form however it was written: small letters, single spaces."""
    return " ".join(text[words[0].start() : words[-1].end()].casefold().split())
