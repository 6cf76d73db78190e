"""Conversations and tables as HTML in which nothing from outside is markup. Pure.

Everything that a customer, a document or a model wrote goes through `safe`: each character that HTML,
Markdown or a template could read becomes a numeric entity, so the browser shows it as text, never as
an image, a link or a script. The page's sanitizer and the Content-Security-Policy stand behind it.
The HTML has no line breaks of its own: to the Markdown component it is one block, passed through as it is.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.store import Turn
from assistant.types import CollectionInfo, Document, FileVerdict, Outcome
from assistant.ui.texts import Say

EXCERPT = 150
"""Characters of a passage that are shown on either side of its quotes."""
_HARDLY, _VERY = math.log(1.5), math.log(1000)
_ICONS = {
    "ANSWERED": "✓",
    "CHAT": "✓",
    "UNSURE": "?",
    "NOT_IN_KNOWLEDGE_BASE": "∅",
    "NEEDS_HUMAN": "☎",
    "COMPONENT_FAILED": "!",
}
_PLAIN = frozenset(" ,;%") | frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
# Marks that turn the reading direction of what follows: a document could reverse our own words with them.
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")


def safe(text: str) -> str:
    """Text that stays text, whatever is in it.

    >>> safe("<b>![x](//a)")
    '&#60;b&#62;&#33;&#91;x&#93;&#40;&#47;&#47;a&#41;'
    """
    return "".join(_entity(letter) for letter in text)


def _entity(letter: str) -> str:
    if letter in _PLAIN or (letter > "\u00a0" and letter.isalnum()):
        return letter
    kind = unicodedata.category(letter)
    if letter == "\r" or letter in _BIDI:
        return ""
    if letter in "\n\t" or kind not in {"Cc", "Cs", "Zl", "Zp"}:
        return f"&#{ord(letter)};"
    return "&#10;" if kind in {"Zl", "Zp"} else "\ufffd"


@dataclass(frozen=True, slots=True)
class Look:
    """How a thread is shown: its words, the page's own path (links stay on it), the company's contact.

    `rate`: answer id -> its signed id and what was thought of it so far; None where answers cannot be rated.
    `person`: what there is to say about a person who has the thread, or will; "" where the assistant has it.
    """

    say: Say
    path: str = ""
    contact: str = ""
    rate: Callable[[str], tuple[str, str]] | None = None
    person: str = ""


@dataclass(frozen=True, slots=True)
class _Source:
    """A cited passage: its number in the answer, what is known of it, and the spans that were quoted."""

    number: int
    hit: Mapping[str, Any]
    spans: tuple[tuple[int, int], ...]


def thread(
    turns: Sequence[Turn],
    look: Look,
    conversation: str,
    *,
    why: Mapping[str, float] | None = None,
    answered: bool = True,
) -> str:
    """A whole conversation. `conversation` becomes the element's id, so that a reload finds it.

    `why`: passage id -> what it contributed to the last answer, in nats; shown with its source. `answered`: every
    question has an answer, unless it was stopped; nobody says so where a person has yet to write one.
    """
    if not turns:
        return ""
    last = len(turns) - 1
    parts = [_turn(turn, look, number, why if number == last else None) for number, turn in enumerate(turns)]
    if look.person:
        parts.append(f'<p class="desk-line">{safe(look.person)}</p>')
    elif answered and turns[-1].message.role == "user":
        parts.append(_assistant(f'<p class="quiet">{safe(look.say("stopped"))}</p>', look))
    return f'<div class="thread" id="{safe(conversation)}">{"".join(parts)}</div>'


def live(question: str, text: str, look: Look, status: str = "") -> str:
    """The turn in the making: the question, what has been said so far, what is being done."""
    said = f'<div class="said">{safe(text)}<span class="caret"></span></div>' if text else ""
    doing = f'<p class="doing">{safe(status)}</p>' if status else ""
    return f'<div class="thread">{_user(question, look)}{_assistant(said + doing, look)}</div>'


def welcome(company: str, look: Look, *, empty: bool) -> str:
    """What stands where no conversation is yet."""
    promise = look.say("empty_collection") if empty else look.say("promise", company=company)
    return f'<div class="welcome"><h1>{safe(look.say("hello"))}</h1><p>{safe(promise)}</p></div>'


def answer(data: Mapping[str, Any], look: Look, number: int, why: Mapping[str, float] | None = None) -> str:
    """An answer (`Answer.to_dict`) with its chip, markers, sources and receipt."""
    sources = _sources(data)
    chip = _chip(data, look)
    said = f'<div class="said">{_marked(data, sources, look, number)}</div>'
    if data["outcome"] == Outcome.NEEDS_HUMAN and look.contact:
        said += f'<p class="contact">{safe(look.say("contact", contact=look.contact))}</p>'
    aside = "".join(_card(source, look, number, why or {}) for source in sources)
    if aside:
        aside = f'<div class="sources"><h3>{safe(look.say("sources"))}</h3>{aside}</div>'
    looked = "" if sources else _looked_at(data["hits"], look)
    goods = _goods(data, look)
    return _assistant(f"{said}{goods}{looked}{_foot(data, chip, look)}", look, aside)


def banner(info: CollectionInfo, known: Sequence[str], look: Look) -> str:
    """A warning where documents are in a language the embedder does not know; "" where all is well."""
    strange = [language for language in info.languages if known and language not in known]
    if not strange:
        return ""
    text = look.say("language_warning", embedder=info.embedder, languages=", ".join(strange))
    return f'<div class="banner">{safe(text)}</div>'


def verdicts(files: Iterable[FileVerdict], look: Look) -> str:
    """The table of an ingest: one line a file, with the reason."""
    rows = [
        (safe(file.name), _verdict(file.verdict, look), str(file.passages or ""), safe(file.reason))
        for file in sorted(files, key=lambda file: (file.verdict != "refused", file.name))
    ]
    return table(look.say("verdict_head").split("|"), rows)


def documents(found: Sequence[Document], look: Look) -> str:
    """The table of a collection's documents."""
    if not found:
        return f'<p class="quiet">{safe(look.say("no_documents"))}</p>'
    rows = [(safe(one.name), safe(one.kind), safe(one.language), f"{len(one.text):,}") for one in found]
    return table(look.say("documents_head").split("|"), rows)


def facts(info: CollectionInfo, look: Look) -> str:
    """One line about a collection."""
    text = look.say(
        "collection_facts",
        documents=info.documents,
        passages=info.passages,
        languages=", ".join(info.languages) or "-",
        embedder=info.embedder,
    )
    return f'<p class="quiet">{safe(text)}</p>'


def notice(text: str, kind: str = "good") -> str:
    """A line that says how something went; `kind` is good or bad."""
    return f'<div class="notice {kind}">{safe(text)}</div>' if text else ""


def _turn(turn: Turn, look: Look, number: int, why: Mapping[str, float] | None) -> str:
    if turn.message.role == "user":
        return _user(turn.message.text, look)
    if turn.answer is None:
        rates = _rate(turn.answer_id, look) if turn.by else ""
        foot = f'<div class="foot">{rates}</div>' if rates else ""
        return _assistant(f'<div class="said">{safe(turn.message.text)}</div>{foot}', look, by=turn.by)
    return answer(turn.answer, look, number, why)


def _user(text: str, look: Look) -> str:
    return f'<div class="turn user"><h2>{safe(look.say("you"))}</h2><div class="bubble">{safe(text)}</div></div>'


def _assistant(inner: str, look: Look, aside: str = "", *, by: str = "") -> str:
    heading = f"<h2>{safe(by or look.say('assistant'))}</h2>"
    who = f'<p class="by" aria-hidden="true">{safe(by)}</p>' if by else ""
    kind = "turn assistant person" if by else "turn assistant"
    return f'<div class="{kind}">{heading}<div class="answer">{who}{inner}</div>{aside}</div>'


def _goods(data: Mapping[str, Any], look: Look) -> str:
    """The cards of a recommendation; imported here because they are drawn with this module's own parts."""
    advice = data.get("advice")
    if not advice or not advice["recommendations"]:
        return ""
    from assistant.ui import cards

    language = "zh" if data["receipt"].get("language") == "zh" else "en"
    shown = cards.conditions(advice, look, language=language)
    return shown + cards.notes(advice) + cards.cards(advice, look, language=language, act=True)


def _chip(data: Mapping[str, Any], look: Look) -> str:
    outcome = str(data["outcome"])
    if outcome == Outcome.ANSWERED and not data["citations"]:
        outcome = "CHAT"
    elif outcome == Outcome.ANSWERED and not data["receipt"].get("sure", True):
        outcome = "UNSURE"
    icon = _ICONS[outcome]
    text = look.say(outcome)
    failed = data["receipt"].get("failed_component")
    if failed:
        text += f" · {look.say('failed_component', component=failed)}"
    return f'<span class="chip {outcome.lower()}"><span class="icon">{icon}</span>{safe(text)}</span>'


def _foot(data: Mapping[str, Any], chip: str, look: Look) -> str:
    """The chip and the receipt: the whole of it as JSON, one click away."""
    receipt = json.dumps(
        {"id": data["id"], "outcome": data["outcome"], **data["receipt"]}, ensure_ascii=False, indent=2
    )
    summary = f"<summary>{safe(look.say('receipt'))} · {data['receipt']['seconds']:.1f} s</summary>"
    spent = data["receipt"].get("privacy")
    line = f'<p class="spent">{safe(spent)}</p>' if spent else ""
    shown = f'<details class="receipt">{summary}{line}<pre>{safe(receipt)}</pre></details>'
    return f'<div class="foot">{chip}{_rate(data["id"], look)}{shown}</div>'


def _rate(answer: str, look: Look) -> str:
    """Links that `page.js` turns into a rating, and the words of the form it shows then."""
    if look.rate is None:
        return ""
    ticket, said = look.rate(answer)
    links = "".join(
        f'<a class="rate{" told" if said == way else ""}" href="{look.path}#rate-{way}-{ticket}">'
        f"{safe(look.say(f'rate_{way}'))}</a>"
        for way in ("up", "down")
    )
    words = "|".join(look.say(f"rate_{key}") for key in ("correction", "consent", "send", "thanks", "refused"))
    return f'<span class="rates">{links}<span class="words">{safe(words)}</span></span>'


def _sources(data: Mapping[str, Any]) -> list[_Source]:
    """The cited passages in the order of their first citation."""
    hits = {hit["passage_id"]: hit for hit in data["hits"]}
    spans: dict[str, list[tuple[int, int]]] = {}
    for citation in data["citations"]:
        spans.setdefault(citation["passage_id"], []).append((citation["start"], citation["end"]))
        hits.setdefault(citation["passage_id"], {**citation, "text": "", "headings": []})
    return [_Source(number, hits[name], tuple(spans[name])) for number, name in enumerate(spans, start=1)]


def _marked(data: Mapping[str, Any], sources: Sequence[_Source], look: Look, number: int) -> str:
    """The answer's text with a numbered marker after each part that a source proves."""
    text: str = data["text"]
    numbers = {source.hit["passage_id"]: source.number for source in sources}
    ends: dict[int, list[int]] = {}
    for citation in data["citations"]:
        end = min(max(citation["answer_end"], 0), len(text))
        marks = ends.setdefault(end, [])
        if numbers[citation["passage_id"]] not in marks:
            marks.append(numbers[citation["passage_id"]])
    parts, start = [], 0
    for end in sorted(ends):
        parts.append(safe(text[start:end]))
        parts += [_marker(mark, look, number) for mark in ends[end]]
        start = end
    return "".join(parts) + safe(text[start:])


def _marker(mark: int, look: Look, number: int) -> str:
    title = safe(look.say("source", n=mark))
    return f'<a class="cite" href="{look.path}#source-{number}-{mark}" title="{title}">{mark}</a>'


def _card(source: _Source, look: Look, number: int, why: Mapping[str, float]) -> str:
    """A source: where it stands, the quotes highlighted in their passage, and what it contributed."""
    hit = source.hit
    where = [*hit["headings"], *([look.say("page", n=hit["page"])] if hit["page"] else [])]
    place = f'<div class="place">{safe(" › ".join(where))}</div>' if where else ""
    head = f'<span class="number">{source.number}</span><span class="name">{safe(hit["document"])}</span>'
    body = _passage(hit["text"] or hit.get("quote", ""), source.spans if hit["text"] else (), look)
    part = _contribution(why[hit["passage_id"]], look) if hit["passage_id"] in why else ""
    return f'<div class="source" id="source-{number}-{source.number}"><h4>{head}</h4>{place}{body}{part}</div>'


def _contribution(nats: float, look: Look) -> str:
    """What a passage contributed, in words; a factor is easier to read than nats."""
    if nats < _HARDLY:
        return f'<p class="quiet why">{safe(look.say("why_none"))}</p>'
    times = f"{math.exp(nats):.3g}" if nats < _VERY else "1000+"
    return f'<p class="quiet why">{safe(look.say("why_part", times=times))}</p>'


def _passage(text: str, spans: Sequence[tuple[int, int]], look: Look) -> str:
    """The passage around its quotes, and the whole of it behind a click where that is more."""
    whole = _highlighted(text, spans, 0, len(text))
    if not spans:
        return f'<div class="passage">{whole}</div>'
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    left, right = _word_start(text, first - EXCERPT), _word_end(text, last + EXCERPT)
    if left == 0 and right == len(text):
        return f'<div class="passage">{whole}</div>'
    excerpt = ("… " if left else "") + _highlighted(text, spans, left, right) + (" …" if right < len(text) else "")
    summary = f"<summary>{safe(look.say('whole'))}</summary>"
    more = f'<details class="whole">{summary}<div class="passage">{whole}</div></details>'
    return f'<div class="passage excerpt">{excerpt}</div>{more}'


def _word_start(text: str, at: int) -> int:
    if at <= 20:
        return 0
    space = text.find(" ", at, at + 25)
    return space + 1 if space >= 0 else at


def _word_end(text: str, at: int) -> int:
    if at >= len(text) - 20:
        return len(text)
    space = text.rfind(" ", at - 25, at)
    return space if space >= 0 else at


def _highlighted(text: str, spans: Sequence[tuple[int, int]], left: int, right: int) -> str:
    parts, at = [], left
    for start, end in sorted(spans):
        start, end = max(start, at), min(end, right)
        if start < end:
            parts += [safe(text[at:start]), *map(_mark, re.split(r"(\n\s*)", text[start:end]))]
            at = end
    return "".join(parts) + safe(text[at:right])


def _mark(piece: str) -> str:
    """A line of a quote, highlighted; the line breaks between are not."""
    return f"<mark>{safe(piece)}</mark>" if piece.strip() else safe(piece)


def _looked_at(hits: Sequence[Mapping[str, Any]], look: Look) -> str:
    """What was read without finding an answer: the places, behind a click."""
    if not hits:
        return ""
    places = "".join(f"<li>{safe(' › '.join([hit['document'], *hit['headings']]))}</li>" for hit in hits)
    return f'<details class="looked"><summary>{safe(look.say("looked_at"))}</summary><ul>{places}</ul></details>'


def _verdict(verdict: str, look: Look) -> str:
    return f'<span class="chip {verdict}">{safe(look.say(verdict))}</span>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already: whatever came from outside went through `safe`."""
    titles = "".join(f"<th>{safe(title)}</th>" for title in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    body = f"<thead><tr>{titles}</tr></thead><tbody>{lines}</tbody>"
    return f'<div class="table" tabindex="0"><table>{body}</table></div>'  # a table may scroll: the keyboard reaches it
