"""Checked records of one task: the rows, their split by customer, and what is wrong with them as a whole.

Values and judgements only; reading a file is `data.py`'s, tokens are `tasks.py`'s. Pure.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from assistant.types import Message, Task

GREETING = 20
"""A text that more customers than this wrote ("Thank you!") does not bind them together in a split."""
FEW = {"chat": 50, "classify": 8, "tag": 50}
"""Fewer records (classify: fewer of a class) teach little: a warning."""


@dataclass(frozen=True, slots=True)
class ChatRow:
    """A conversation that ends with the assistant's answer, and the passages it stands on."""

    messages: tuple[Message, ...]
    passages: tuple[str, ...] = ()
    customer: str = ""
    company: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class ClassifyRow:
    """A text and its class."""

    text: str
    label: str
    customer: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class TagRow:
    """Words and a tag for each (BIO: "B-person", "I-person", "O")."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    customer: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class PairRow:
    """A conversation with the answer to give, and the same one with the answer not to give."""

    chosen: ChatRow
    rejected: ChatRow

    @property
    def customer(self) -> str:
        """Whose conversation it is."""
        return self.chosen.customer

    @property
    def line(self) -> int:
        """Where it stands in its file."""
        return self.chosen.line


Row = ChatRow | ClassifyRow | TagRow | PairRow


@dataclass(frozen=True, slots=True)
class Records:
    """Checked rows of one task.

    `labels`: the classes or tags in the order of the head, () for chat. `sha256` of the file.
    """

    task: Task
    rows: tuple[Row, ...]
    labels: tuple[str, ...] = ()
    sha256: str = ""
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def subset(self, indices: Iterable[int]) -> Records:
        """The records at these places, in this order; labels stay."""
        return replace(self, rows=tuple(self.rows[index] for index in indices))

    def split(self, share: float, *, seed: int = 0, singly: bool = False) -> tuple[Records, Records]:
        """(the rest, about `share` of the records): a customer is on one side only.

        Records without a customer stand each for itself; the same text goes to one side too. Of a text of more
        than `GREETING` customers the share has no copy where the rest has one. `singly`: every customer's side, or
        text's where it is nobody's, is drawn by itself, so that no record moves another, as a private run's
        accounting takes for granted. Then a side can be empty, and two customers' same text parted.
        """
        groups = [] if singly else list(_groups(self.rows, most=GREETING).values())
        random.Random(seed).shuffle(groups)
        taken = [place for place, row in enumerate(self.rows) if _draw(row, seed) < share] if singly else []
        wanted = math.ceil(share * len(self.rows))
        for group in groups:
            if len(taken) + len(group) / 2 <= wanted:  # one that overshoots by more leaves room for the smaller ones
                taken += group
        if wanted and not taken:
            taken = min(groups, key=len, default=[])
        chosen = set(taken)
        rest = self.subset(i for i in range(len(self.rows)) if i not in chosen)
        seen = set() if singly else {_content(row) for row in rest.rows}
        return rest, self.subset(i for i in sorted(chosen) if _content(self.rows[i]) not in seen)

    def groups(self) -> tuple[int, ...]:
        """A number a row: rows of one customer or of one text have the same, and stay together in a split."""
        numbers = [0] * len(self.rows)
        for number, places in enumerate(_groups(self.rows).values()):
            for place in places:
                numbers[place] = number
        return tuple(numbers)

    def statistics(self) -> dict[str, float]:
        """What a page shows of the data: counts and lengths, by name."""
        lengths = sorted(len(text_of(row)) for row in self.rows) or [0]
        found = {
            "records": float(len(self.rows)),
            "customers": float(len({row.customer for row in self.rows if row.customer})),
            "duplicates": float(len(self.rows) - len({_content(row) for row in self.rows})),
            "characters_median": float(lengths[len(lengths) // 2]),
            "characters_longest": float(lengths[-1]),
        }
        if self.task == "chat":
            found["grounded"] = float(sum(bool(row.passages) for row in self.rows if isinstance(row, ChatRow)))
        else:
            found["labels"] = float(len(self.labels))
        return found

    def counts(self) -> dict[str, int]:
        """label -> how many records (classify) or words (tag) have it; {} for chat."""
        counted: Counter[str] = Counter(dict.fromkeys(self.labels, 0))
        for row in self.rows:
            counted.update(
                (row.label,) if isinstance(row, ClassifyRow) else row.tags if isinstance(row, TagRow) else ()
            )
        return dict(counted)


def records_of(task: Task, rows: Sequence[Row], *, labels: Sequence[str] | None = None, sha256: str = "") -> Records:
    """Records from rows that are known to be good: labels collected, warnings made."""
    found = tuple(labels) if labels is not None else _labels(task, rows)
    records = Records(task, tuple(rows), found, sha256)
    return replace(records, warnings=tuple(_warnings(records)))


def leaks(train: Records, test: Records) -> tuple[str, ...]:
    """Warnings where a test measures memory: customers or texts that both sides have."""
    found = []
    customers = {row.customer for row in train.rows} & {row.customer for row in test.rows} - {""}
    if customers:
        found.append(f"{len(customers)} customers are in the training and in the test data: split by customer.")
    texts = {_content(row) for row in train.rows}
    shared = sum(_content(row) in texts for row in test.rows)
    if shared:
        found.append(f"{shared} of {len(test)} test records are in the training data word for word.")
    return tuple(found)


def crowded(records: Records, share: float) -> tuple[str, ...]:
    """A warning where more records than `share` of them stay together in a split: one side is without their like."""
    largest = max(map(len, _groups(records.rows, most=GREETING).values()), default=0)
    if not 0 < share * len(records) < largest:
        return ()
    return (
        f"{largest} of {len(records)} records are one customer's, or customers' who wrote the same texts: "
        "they are all trained on or all kept from it.",
    )


def text_of(row: Row) -> str:
    """The row's text as one string: what is searched for duplicates and shown."""
    if isinstance(row, PairRow):
        return f"{text_of(row.chosen)}\n{row.rejected.messages[-1].text}"
    if isinstance(row, ChatRow):
        return "\n".join((*row.passages, *(message.text for message in row.messages)))
    return row.text if isinstance(row, ClassifyRow) else " ".join(row.tokens)


def members_of(records: Records) -> list[tuple[str, str]]:
    """(what was said, by whom) of every record: by this a record is known again in another file.

    For chat that is the conversation without its passages: those are the company's.
    """
    rows = [row.chosen if isinstance(row, PairRow) else row for row in records.rows]
    return [
        (
            "\n".join(message.text for message in row.messages) if isinstance(row, ChatRow) else text_of(row),
            row.customer,
        )
        for row in rows
    ]


# Judging


def _labels(task: Task, rows: Iterable[Row]) -> tuple[str, ...]:
    used: set[str] = set()
    for row in rows:
        used.update((row.label,) if isinstance(row, ClassifyRow) else row.tags if isinstance(row, TagRow) else ())
    return tuple(sorted(used, key=lambda tag: (tag != "O", tag))) if task == "tag" else tuple(sorted(used))


def _content(row: Row) -> str:
    return " ".join(text_of(row).casefold().split())


def _draw(row: Row, seed: int) -> float:
    """A number from 0 to 1 by the seed and by whose the row is (by its text where it is nobody's), and nothing else."""
    whose = f"customer {row.customer}" if row.customer else f"text {_content(row)}"
    digest = hashlib.sha256(f"{seed} {whose}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _groups(rows: Sequence[Row], *, most: float = math.inf) -> dict[str, list[int]]:
    """Places of the rows that must stay together: of one customer, or of a text that at most `most` customers wrote."""
    texts = [_content(row) for row in rows]
    writers: dict[str, set[str]] = {}
    for row, text in zip(rows, texts, strict=True):
        writers.setdefault(text, set()).update({row.customer} - {""})
    parent = list(range(len(rows)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[str, int] = {}
    for place, (row, text) in enumerate(zip(rows, texts, strict=True)):
        binds = len(writers[text]) <= most
        for key in (f"customer {row.customer}" if row.customer else "", f"text {text}" if binds else ""):
            if key:
                parent[root(place)] = root(first.setdefault(key, place))
    groups: dict[str, list[int]] = {}
    for place in range(len(rows)):
        groups.setdefault(str(root(place)), []).append(place)
    return groups


def _warnings(records: Records) -> Iterator[str]:
    few, counts = FEW[records.task], records.counts()
    duplicates = int(records.statistics()["duplicates"])
    if records.task != "classify" and len(records) < few:
        yield f"Only {len(records)} records: with fewer than {few} an adapter learns little beyond them."
    if duplicates > 0.02 * len(records):
        yield f"{duplicates} of {len(records)} records repeat another word for word: they count more than the rest."
    if records.task == "classify":
        scarce = [label for label, count in counts.items() if count < few]
        if scarce:
            yield f"{len(scarce)} of {len(counts)} classes have fewer than {few} records: {', '.join(scarce[:5])}."
        if len(counts) < 2:
            yield "There is only one class: nothing to tell apart."
        elif min(counts.values()) * 10 < max(counts.values()):
            yield (
                f"The classes are imbalanced ({min(counts.values())} to {max(counts.values())} records): "
                "use class weights, and read macro-F1, not accuracy."
            )
    conflicting = _conflicting(records)
    if conflicting:
        yield f"{conflicting} texts have two different labels."


def _conflicting(records: Records) -> int:
    labels: dict[str, set[str]] = {}
    for row in records.rows:
        if isinstance(row, ClassifyRow):
            labels.setdefault(_content(row), set()).add(row.label)
    return sum(len(found) > 1 for found in labels.values())
