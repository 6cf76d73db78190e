"""The desk and stored conversations as HTML: who waits and how long, what was said, notes. Pure; see `render.py`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from assistant.desk import Case, Note, State
from assistant.history import Entry
from assistant.rows import now
from assistant.store import Turn
from assistant.ui import render
from assistant.ui.render import Look, safe
from assistant.ui.texts import Say

_LABEL_CHARS = 60


def span(since: dt.datetime, say: Say) -> str:
    """How long ago, in the largest unit that fits."""
    minutes = max(0, int((now() - since).total_seconds() // 60))
    if minutes < 60:
        return say("minutes", n=minutes)
    return say("hours", n=minutes // 60) if minutes < 48 * 60 else say("days", n=minutes // 1440)


def label(case: Case, me: str, say: Say) -> str:
    """A line of the queue, as plain text: what it is about; who has it or how long it waits; what was said last."""
    who = say("desk_waiting", time=span(case.asked, say))
    if case.state is State.TAKEN:
        who = say("desk_mine") if case.holder == me else case.staff
    return f"{_short(case.topic)}\n{who} · {_short(case.last)}"


def count(waiting: int, taken: int, look: Look) -> str:
    """How many wait, how many have somebody."""
    told = look.say("desk_count", waiting=waiting, taken=taken) if waiting or taken else look.say("desk_empty")
    return f'<p class="quiet">{safe(told)}</p>'


def head(case: Case | None, me: str, look: Look) -> str:
    """What the open conversation is about, who has it, how its customer can be reached."""
    if case is None:
        return f'<p class="quiet">{safe(look.say("desk_pick"))}</p>'
    state = f"desk_is_{case.state}"
    if case.state is State.TAKEN:
        state = "desk_is_mine" if case.holder == me else "desk_is_theirs"
    line = look.say(state, time=span(case.asked, look.say), name=case.staff)
    reach = look.say("desk_reachable", email=case.email, name=case.name).strip() if case.email else ""
    lines = "".join(f'<p class="quiet">{safe(text)}</p>' for text in (line, reach) if text)
    return f"<h3>{safe(case.topic)}</h3>{lines}"


def thread(turns: Sequence[Turn], look: Look) -> str:
    """The conversation with the passages found."""
    return render.thread(turns, look, "desk-open-thread", answered=False)


def notes(found: Sequence[Note], look: Look) -> str:
    """The staff's notes, oldest first."""
    if not found:
        return ""
    rows = "".join(
        f'<div class="note"><span class="by">{safe(one.staff)} · {one.at:%Y-%m-%d %H:%M} UTC</span>'
        f"{safe(one.text)}</div>"
        for one in found
    )
    return f"<h4>{safe(look.say('desk_notes'))}</h4>{rows}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LABEL_CHARS else f"{line[: _LABEL_CHARS - 1]}…"


def entry(one: Entry, say: Say) -> str:
    """A line of the list of conversations, as plain text."""
    told = [f"{one.updated:%Y-%m-%d %H:%M} UTC", say("talks_messages", n=one.messages)]
    told += [say(one.outcome)] if one.outcome else []
    told += [say(f"talks_{one.rating}")] if one.rating else []
    return f"{_short(one.title)}\n{' · '.join(told)}"


def about(one: Entry, look: Look) -> str:
    """What the open conversation is about, and whose it is."""
    line = f"{one.collection} · {one.updated:%Y-%m-%d %H:%M} UTC · {look.say('desk_customer')}: {one.customer}"
    return f'<h3>{safe(one.title)}</h3><p class="quiet">{safe(line)}</p>'


def many(found: int, shown: int, look: Look) -> str:
    """How many were found, or that there are more than are shown."""
    if not found:
        return f'<p class="quiet">{safe(look.say("talks_none"))}</p>'
    text = look.say("talks_most", n=shown) if found > shown else look.say("talks_found", n=found)
    return f'<p class="quiet">{safe(text)}</p>'


def exports(query: str, kinds: Sequence[str], look: Look) -> str:
    """The links that take what was found away; `query` is form-encoded."""
    links = " ".join(
        f'<a class="nav" href="./receipts/conversations.{kind}?{safe(query)}">{safe(kind.upper())}</a>'
        for kind in kinds
    )
    return f'<p class="quiet">{safe(look.say("talks_export"))} {links}</p>'
