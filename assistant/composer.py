"""An answer's text from a reading: which quotes lead, and which of the model's sentences may follow.

Nothing here invents text: a piece is either a byte-exact quote or a sentence that passed
`citations.support`. It is not the walk: it knows no engine, no store.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from assistant import citations, claims, language
from assistant.citations import Span
from assistant.retrieval.reader import Reading, Unit
from assistant.types import Citation, Passage

MAX_QUOTES = 5
"""The most sentences or fields an answer quotes: a customer reads two or three."""
MAX_PASSAGES = 2
"""The passages it quotes, as long as no further one is nearly as likely to answer as the best."""
FURTHER_RELATIVE = 0.5
"""How nearly: where the reader is not sure, a third passage is worth its lines."""
MAX_QUOTE_CHARS = 600
"""The most text it quotes, in characters of English (a Chinese character counts as three)."""
MAX_SENTENCE_CHARS = 300
"""A longer sentence of the model is an echo of its prompt."""
RELATIVE = 0.2
"""A further sentence is quoted when it is at least so likely to answer, relative to the best."""
SAME_PASSAGE_RELATIVE = 0.1
"""The same for a sentence of the passage that leads: its conditions often stand beside it."""
SAME_RECORD_RELATIVE = 0.01
"""The same for a field of the record that leads: a few more fields cost a glance, a missing one the answer."""

CUT = "… "
"""Stands before a quote that begins in the middle of its sentence; no part of the quote."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the answer's text and the spans that prove it. `lead` goes before it, uncited."""

    text: str
    spans: tuple[Span, ...]
    lead: str = ""


def quotes(reading: Reading) -> list[Piece]:
    """The quotes that answer, the best passage first, each passage's sentences in their own order."""
    if not reading.units:
        return []
    chosen = _choose(reading)
    pieces: list[Piece] = []
    for passage_id in dict.fromkeys(unit.span.passage.id for unit in chosen):
        units = sorted(
            (unit for unit in chosen if unit.span.passage.id == passage_id), key=lambda unit: unit.span.start
        )
        pieces += _as_pieces(_with_name(units, reading.units) if units[0].record else units, first=not pieces)
    return pieces


def _as_pieces(units: Sequence[Unit], *, first: bool) -> Iterator[Piece]:
    """Units of one passage in their order as quotes."""
    row = False
    for number, whole in enumerate(_joined(units)):
        span, after_row = _without_verdict(whole), row
        row = bool(language.cells(span.passage.text, span.start, span.end))
        lead = "\n" if units[0].record or row or after_row or span.text.startswith("- ") else " "
        if number == 0:
            lead = "" if first else "\n\n"
        if span.start > whole.start and span.text[:1].islower():  # a capital would no longer be the document's letter
            lead += CUT
        yield Piece(span.text, (span,), lead)


def _choose(reading: Reading) -> list[Unit]:
    """The best unit and those nearly as good, within the limits."""
    leading = reading.units[0].span.passage.id
    chosen: list[Unit] = []
    room = MAX_QUOTE_CHARS
    for unit, score in zip(reading.units, reading.scores, strict=True):
        if sum(not _is_name(other) for other in chosen) == MAX_QUOTES:
            break
        if score < reading.scores[0] * _relative(unit, leading, looked_up=reading.looked_up):
            continue
        passages = {other.span.passage.id for other in chosen}
        cost = sum(3 if ord(letter) > 0x2E80 else 1 for letter in unit.span.text)
        further = unit.span.passage.id not in passages and len(passages) >= MAX_PASSAGES
        if further and score < reading.scores[0] * FURTHER_RELATIVE:
            continue
        if chosen and (cost > room or _repeats(unit, chosen)):
            continue
        chosen.append(unit)
        room -= cost
    return [*chosen, *_continuations(chosen, reading.units)]


def _is_name(unit: Unit) -> bool:
    """Whether it is a record's first line, which comes with its fields and takes no field's place."""
    return unit.record and unit.span.start == 0


def _relative(unit: Unit, leading: str, *, looked_up: bool) -> float:
    """How likely a unit must be to answer, relative to the best one."""
    if unit.span.passage.id != leading or looked_up:
        return RELATIVE
    return SAME_RECORD_RELATIVE if unit.record else SAME_PASSAGE_RELATIVE


def _continuations(chosen: Sequence[Unit], units: Sequence[Unit]) -> list[Unit]:
    """What a chosen unit says nothing without.

    The rest of a sentence that was cut at a semicolon ("free in the first year; then 7 EUR"), what stands below a
    heading, what follows a bare "Yes.".
    """
    found: list[Unit] = []
    ordered = sorted(units, key=lambda unit: (unit.span.passage.id, unit.span.start))
    below: Span | None = None  # the last line whose sentences come with the heading above them
    for before, unit in itertools.pairwise(ordered):
        if before.span.passage.id != unit.span.passage.id:
            continue
        if before in chosen and _heads(before, unit):
            below = unit.span
        same_line = below is not None and "\n" not in below.passage.text[below.start : unit.span.start]
        under = below is not None and below.passage.id == unit.span.passage.id and same_line
        goes_on = before.span.text.endswith(("；", ";")) or _is_verdict(before.span.text)
        if (under or (goes_on and (before in chosen or before in found))) and unit not in chosen:
            found.append(unit)
    return found


MAX_HEADING_CHARS = 60


def _heads(unit: Unit, below: Unit) -> bool:
    """Whether a unit is a line of its own like a heading and `below` is text: "Wifi", "The network is called Guest"."""
    text = unit.span.passage.text
    start, end = unit.span.start, unit.span.end
    alone = not text[text.rfind("\n", 0, start) + 1 : start].strip() and text[end : end + 1] == "\n"
    bare, says = unit.span.text, below.span.text
    if (
        not alone
        or unit.record
        or len(bare) > MAX_HEADING_CHARS
        or re.search(r"^[-•·|\d]|[:：|]|[.!?。！？；;,，]$", bare)
    ):
        return False
    return len(says) > MAX_HEADING_CHARS or bool(re.search(r"^[-*•·] |[.!?。！？；;]$", says))


def _repeats(unit: Unit, chosen: Iterable[Unit]) -> bool:
    """Whether a quote says what another one says already: a FAQ and the policy it sums up."""
    return any(claims.coverage(unit.span.text, other.span.text) > 0.8 for other in chosen)


def _with_name(units: Sequence[Unit], read: Iterable[Unit]) -> list[Unit]:
    """A record's fields under its first line: a price without its product's name says nothing.

    Where what was read has another record of that name, the first line that tells them apart comes with it.
    """
    passage = units[0].span.passage
    name, *lines = (Span(passage, start, end) for start, end in language.fields(passage.text))
    others = {unit.span.passage.text for unit in read if unit.record and unit.span.passage.id != passage.id}
    twins = [text.split("\n") for text in others if text.split("\n", 1)[0] == name.text]
    telling = (next((line for line in lines if _tells(line.text) and line.text not in twin), None) for twin in twins)
    spans = {name.start: name} | {line.start: line for line in telling if line is not None}
    named = {start: Unit(span, "", units[0].rank, record=True) for start, span in spans.items()}
    together = named | {unit.span.start: unit for unit in units}
    return [together[start] for start in sorted(together)]


_CODE_OR_PRICE = re.compile(
    r"[^:：]*(?:(?<![a-z])(?:id|sku|ean|gtin|barcode|code|price|cost|fee|stock|quantity)(?![a-z])|[价费]|编号|货号|条码|库存|数量)[^:：]*[:：]"
    r"|[^:：]*[:：]\s*(?:[¥€$£]|\d[\d.,]*\s*(?:元|[€$£]|(?:eur|usd|gbp|cny)\b))",
    re.IGNORECASE,
)


def _tells(line: str) -> bool:
    """Whether a field may tell a customer two records of one name apart: no number of the shop's, no price."""
    return not _CODE_OR_PRICE.match(line)


_VERDICT = re.compile(
    r"(?:yes|no|yep|nope|sure|of course|certainly"
    r"|是的|是|不是|可以|不可以|能|不能|会|不会|有|没有|对|不|当然(?:可以)?)(?:\s*[,，.。!！;；:：]\s*|\s+[–—-]\s+)",
    re.IGNORECASE,
)


def _without_verdict(span: Span) -> Span:
    """The span without a leading yes or no: that answers the FAQ's question, which is seldom quite the customer's."""
    found = _VERDICT.match(span.text)
    return Span(span.passage, span.start + found.end(), span.end) if found and found.end() < len(span.text) else span


def _is_verdict(text: str) -> bool:
    """Whether it is a yes or no alone, which answers the FAQ's question only."""
    return any(_VERDICT.fullmatch(said) for said in (text, f"{text}."))


def _joined(units: Sequence[Unit]) -> Iterator[Span]:
    """Neighbouring sentences as one span, with the white space between them."""
    current = units[0].span
    for unit in units[1:]:
        between = current.passage.text[current.end : unit.span.start]
        if between.strip():
            yield current
            current = unit.span
        else:
            current = Span(current.passage, current.start, unit.span.end)
    yield current


def sentences_of(stream: Iterable[str]) -> Iterator[str]:
    """A stream of text as whole sentences, each as soon as the next one has begun."""
    buffer = ""
    for text in stream:
        buffer += text
        spans = language.sentences(buffer)
        if len(spans) > 1:
            yield from (buffer[start:end] for start, end in spans[:-1])
            buffer = buffer[spans[-1][0] :]
    yield from (buffer[start:end] for start, end in language.sentences(buffer))


@dataclass(frozen=True, slots=True)
class Dropped:
    """A sentence of the model that did not reach the reader, and why."""

    text: str
    reason: str


def checked(sentence: str, passages: Sequence[Passage], said: Sequence[Piece]) -> Piece | Dropped | None:
    """The sentence with its proof, or why it is dropped; None where it repeats what was said."""
    sentence = sentence.strip().lstrip("-*•# ").strip()
    if not language.content_words(sentence) or _is_verdict(sentence):
        return None
    if len(sentence) > MAX_SENTENCE_CHARS:
        return Dropped(sentence, "it is too long for a sentence")
    verdict = citations.support(sentence, passages)
    if verdict.span is None:
        return Dropped(sentence, verdict.reason)
    if any(claims.coverage(sentence, piece.text) > 0.8 for piece in said):
        return None
    return Piece(sentence, (verdict.span,), "\n\n" if said else "")


def pointed(sentence: str, units: Iterable[Unit]) -> Unit | None:
    """The sentence or field of a passage that the model repeats letter by letter; None where it repeats none."""
    wanted = _bare(sentence) if language.content_words(sentence) and not _is_verdict(sentence.strip()) else ""
    return next((unit for unit in units if wanted and _bare(unit.span.text) == wanted), None)


def quoted(unit: Unit, said: Sequence[Piece], read: Iterable[Unit] = ()) -> list[Piece]:
    """A unit as one more quote, a field under its record's name (see `_with_name`); [] where that is said already."""
    spans = [span for piece in said for span in piece.spans if span.passage.id == unit.span.passage.id]
    named = not unit.record or any(span.start == 0 for span in spans)
    pieces = list(_as_pieces([unit] if named else _with_name([unit], read), first=not said))
    shown = unit.span if unit.record else pieces[-1].spans[0]
    if any(span.start <= shown.start and shown.end <= span.end for span in spans):
        return []
    if not unit.record and any(claims.coverage(shown.text, piece.text) > 0.8 for piece in said):
        return []
    return pieces


def _bare(sentence: str) -> str:
    return re.sub(r"\s+", "", sentence.strip().lstrip("-*•# ")).casefold()


def render(pieces: Iterable[Piece]) -> tuple[str, tuple[Citation, ...]]:
    """The answer's text and its citations, each with the part of the text it proves."""
    text = ""
    cited: list[Citation] = []
    for piece in pieces:
        text += piece.lead
        cited += [span.cite(len(text), len(text) + len(piece.text)) for span in piece.spans]
        text += piece.text
    return text, tuple(cited)
