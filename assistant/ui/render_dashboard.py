"""The Dashboard tab's sums, days and topics as HTML. Pure; the colours are the style sheet's, so the dark works too."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.dashboard import Day, Overview
from assistant.questions import Topic
from assistant.types import Measure, Outcome
from assistant.ui.render import Look, safe, table

_EXAMPLES = 3


def tiles(found: Overview, look: Look) -> str:
    """The sums, one tile each."""
    say = look.say
    rated = found.up + found.down
    seconds = f"{found.seconds_p50:.1f}" if found.seconds_p50 is not None else "–"
    p95 = say("dashboard_p95", s=f"{found.seconds_p95:.1f}") if found.seconds_p95 is not None else ""
    opinion = say("dashboard_rated", up=found.up, down=found.down, n=found.corrections)
    answered = _percent(found.share(Outcome.ANSWERED), found.answers)
    helpful = _percent(found.up / rated if rated else 0, rated)
    tokens = say("dashboard_split", prompt=f"{found.prompt_tokens:,}", written=f"{found.completion_tokens:,}")
    cards = (
        ("dashboard_answers", f"{found.answers:,}", say("dashboard_conversations", n=f"{found.conversations:,}")),
        ("dashboard_answered", answered, say("dashboard_approved", n=found.approved)),
        ("dashboard_coverage", _percent(found.coverage, found.citable), say("dashboard_of", n=f"{found.citable:,}")),
        ("dashboard_ratings", helpful, opinion if rated else say("dashboard_unrated")),
        ("dashboard_seconds", seconds, p95),
        ("dashboard_tokens", f"{found.prompt_tokens + found.completion_tokens:,}", tokens),
    )
    drawn = "".join(
        f'<div class="tile"><p class="quiet">{safe(say(key))}</p><p class="big">{safe(value)}</p>'
        f'<p class="quiet">{safe(below)}</p></div>'
        for key, value, below in cards
    )
    return f'<div class="tiles">{drawn}</div>'


def days(found: Overview, look: Look) -> str:
    """Three drawings: answers by outcome, ratings, tokens; a day is a column."""
    if not found.answers and not (found.up or found.down):
        return f'<p class="quiet">{safe(look.say("dashboard_none"))}</p>'
    outcomes = [
        (one.value.lower(), look.say(f"outcome_{one.value}"), [day.outcomes.get(one.value, 0) for day in found.days])
        for one in Outcome
    ]
    opinions = [
        ("answered", look.say("dashboard_up"), [day.up for day in found.days]),
        ("component_failed", look.say("dashboard_down"), [day.down for day in found.days]),
    ]
    used = [("chat", look.say("dashboard_tokens"), [day.tokens for day in found.days])]
    return "".join(
        (
            columns(look.say("dashboard_volume"), found.days, outcomes, look),
            columns(look.say("dashboard_opinions"), found.days, opinions, look) if found.up or found.down else "",
            columns(look.say("dashboard_used"), found.days, used, look),
        )
    )


def columns(title: str, when: Sequence[Day], series: Sequence[tuple[str, str, list[int]]], look: Look) -> str:
    """Stacked columns: `series` are (class, name, a value for each day). Read out as a sentence."""
    totals = [sum(values[n] for _, _, values in series) for n in range(len(when))]
    most = max(totals, default=0) or 1
    bars = []
    for n in range(len(when)):
        top = 100.0
        for kind, _, values in series:
            height = 100 * values[n] / most
            if height:
                top -= height
                x, width = 100 * n / len(when), 100 / len(when)
                bars.append(
                    f'<rect class="{kind}" x="{x + 0.1 * width:.2f}%" y="{top:.2f}%" width="{0.8 * width:.2f}%" '
                    f'height="{height:.2f}%"></rect>'
                )
    busiest = totals.index(max(totals)) if totals else 0
    caption = look.say("dashboard_most", day=when[busiest].day, n=f"{totals[busiest]:,}") if when else ""
    legend = "".join(
        f'<span><i class="{kind}"></i>{safe(name)} {sum(values):,}</span>'
        for kind, name, values in series
        if any(values)
    )
    edges = f'<p class="edges"><span>{safe(when[0].day)}</span><span>{safe(when[-1].day)}</span></p>' if when else ""
    return (
        f'<div class="columns"><h3>{safe(title)}</h3><svg role="img" aria-label="{safe(f"{title}. {caption}")}">'
        f'{"".join(bars)}</svg>{edges}<p class="legend">{legend}</p><p class="quiet">{safe(caption)}</p></div>'
    )


def topics(found: Sequence[Topic], look: Look) -> str:
    """What was refused, by topic."""
    if not found:
        return f'<p class="quiet">{safe(look.say("dashboard_no_topics"))}</p>'
    rows = []
    for topic in found:
        others = dict.fromkeys(one.text for one in topic.questions[1:] if one.text != topic.name)
        rows.append(
            (safe(topic.name), str(topic.customers), "<br>".join(safe(text) for text in list(others)[:_EXAMPLES]))
        )
    return table(look.say("dashboard_topics_head").split("|"), rows)


def drift(found: Measure | None, look: Look) -> str:
    """How far the questions moved, in a sentence."""
    if found is None or found.low is None or found.high is None:
        return f'<p class="quiet">{safe(look.say("dashboard_no_drift"))}</p>'
    verdict = look.say("dashboard_moved" if found.low > 0 else "dashboard_still")
    numbers = {"value": f"{found.value:.3f}", "low": f"{found.low:.3f}", "high": f"{found.high:.3f}"}
    return f'<p class="quiet">{safe(look.say("dashboard_drift", verdict=verdict, **numbers))}</p>'


def _percent(share: float, n: int) -> str:
    return f"{share:.0%}" if n else "–"
