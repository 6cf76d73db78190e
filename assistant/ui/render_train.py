"""The Training tab's tables, bar and curve as HTML. Pure; as `render.py`, nothing from outside is markup."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping, Sequence

from assistant.deployments import Deployment
from assistant.trainer import State
from assistant.types import Adapter, Measure
from assistant.ui.render import Look, notice, safe, table
from privacy.quote import Quote

_POINTS = 100
_LABELS = 12


def data(statistics: Mapping[str, float], counts: Mapping[str, int], warnings: Sequence[str], look: Look) -> str:
    """What is in the records, and what is doubtful about them."""
    doubts = "".join(notice(warning, "bad") for warning in warnings) or notice(look.say("train_good"))
    rows = [(safe(look.say(f"stat_{name}")), f"{value:,.0f}") for name, value in statistics.items()]
    shown = table(look.say("train_statistics_head").split("|"), rows)
    if counts:
        top = sorted(counts.items(), key=lambda one: -one[1])[:_LABELS]
        shown += table(look.say("train_labels_head").split("|"), [(safe(name), f"{n:,}") for name, n in top])
    return f"{doubts}{shown}"


def quote(quote: Quote, look: Look) -> str:
    """What a private training would spend, and what else its records can afford."""
    say, spend = look.say, quote.spend
    line = say(
        "quote", epsilon=f"{quote.goal.epsilon:g}", delta=f"{quote.goal.delta:g}", unit=say(f"unit_{spend.unit}"),
        noise=f"{spend.noise_multiplier:g}", steps=f"{spend.steps:,}", signal=f"{quote.signal_to_noise:.3f}",
    )  # fmt: skip
    rows = [(f"{row.epsilon:g}", f"{row.noise_multiplier:g}", f"{row.signal_to_noise:.3f}") for row in quote.afford()]
    table_ = table(say("quote_head").split("|"), rows)
    return f'{notice(line)}{table_}<p class="quiet">{safe(say("quote_go"))}</p>'


def state(now: State, look: Look) -> str:
    """How the training stands: a bar while it runs, its end in words, the curve."""
    shown = _phase(now, look)
    if now.prepared is not None and now.is_running:
        shown += "".join(notice(warning, "bad") for warning in now.prepared.warnings)
    return f"{shown}{curve(now.losses, look)}"


def _phase(now: State, look: Look) -> str:
    say = look.say
    if now.phase == "training" and now.progress is not None:
        step = now.progress
        minutes, seconds = divmod(round(step.seconds_left), 60)
        text = say(
            "train_training", step=step.step, steps=step.steps, loss=f"{step.loss:.3f}",
            rate=f"{step.tokens_per_second:.0f}", left=f"{minutes}:{seconds:02d}",
        )  # fmt: skip
        return _bar(text, step.step, step.steps)
    if now.phase == "judging" and now.judging is not None:
        asked = now.judging
        return _bar(
            say("train_judging", what=say(asked.what), done=asked.done, total=asked.total), asked.done, asked.total
        )
    if now.phase in ("preparing", "training"):
        return f'<p class="doing">{safe(say("train_preparing"))}</p>'
    if now.phase == "failed":
        lines = "".join(f"<li>{safe(line.strip())}</li>" for line in now.error.splitlines() if line.strip())
        return f'<div class="notice bad"><ul class="problems">{lines}</ul></div>'
    if now.phase == "interrupted":
        return notice(say("train_interrupted"))
    if now.trained is None or now.trained.adapter is None:
        return f'<p class="quiet">{safe(say("train_idle"))}</p>'
    done, name = now.trained, now.trained.adapter.id
    if done.kept_aside:
        return notice(say("train_aside", adapter=name, why=done.kept_aside), "bad")
    return notice(say("train_live", adapter=name))


def _bar(text: str, done: int, total: int) -> str:
    width = f"{100 * done / total if total else 0:.0f}%"  # shares, not a viewBox: the page's sanitizer takes that away
    return (
        f'<p class="doing-text">{safe(text)}</p><svg class="bar">'
        f'<rect class="rail" width="100%" height="8" rx="4"></rect>'
        f'<rect class="done" width="{width}" height="8" rx="4"></rect></svg>'
    )


def curve(losses: Sequence[tuple[int, float]], look: Look) -> str:
    """The loss by step as a line, smoothed over a few steps; "" where there is too little to draw."""
    if len(losses) < 3:
        return ""
    size = max(1, len(losses) // _POINTS, min(10, len(losses) // 10))
    parts = [losses[start : start + size] for start in range(0, len(losses), size)]
    points = [(part[-1][0], sum(loss for _, loss in part) / len(part)) for part in parts]
    low, high = min(loss for _, loss in points), max(loss for _, loss in points)
    first, last = points[0][0], points[-1][0]
    places = [
        (100 * (step - first) / max(last - first, 1), 4 + 92 * (high - loss) / max(high - low, 1e-9))
        for step, loss in points
    ]
    lines = "".join(
        f'<line x1="{x:.1f}%" y1="{y:.1f}%" x2="{to_x:.1f}%" y2="{to_y:.1f}%"></line>'
        for (x, y), (to_x, to_y) in itertools.pairwise(places)
    )
    caption = look.say("train_curve", first=f"{points[0][1]:.3f}", last=f"{points[-1][1]:.3f}")
    return f'<div class="curve"><svg>{lines}</svg><p class="quiet">{safe(caption)}</p></div>'


def adapters(found: Sequence[Adapter], live: Mapping[str, Deployment], look: Look) -> str:
    """The table of what was trained, the newest first."""
    if not found:
        return f'<p class="quiet">{safe(look.say("adapters_none"))}</p>'
    rows = [
        (
            safe(one.id),
            safe(look.say(f"train_{one.task}")),
            f"{one.examples:,}",
            safe(one.created[:10]),
            _use(one, live, look),
        )
        for one in sorted(found, key=lambda one: one.created, reverse=True)
    ]
    return table(look.say("adapters_head").split("|"), rows)


def _use(adapter: Adapter, live: Mapping[str, Deployment], look: Look) -> str:
    for deployment in live.values():
        if deployment.share and adapter.id == deployment.challenger:
            return f'<span class="chip replaced">{deployment.share:.0%}</span>'
        if adapter.id == deployment.adapter:
            rest = f"{1 - deployment.share:.0%}" if deployment.share else look.say("live")
            return f'<span class="chip added">{safe(rest)}</span>'
    return ""


def before_after(adapter: Adapter, look: Look, picture: bytes = b"") -> str:
    """An adapter's exam, without and with it, what its card notes, and the PNG of its training."""
    notes = "".join(notice(note, "bad") for note in adapter.notes)
    drawn = ""
    if picture:
        source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        drawn = f'<img class="picture" alt="{safe(look.say("train_picture", adapter=adapter.id))}" src="{source}">'
    if adapter.after is None:
        return f'{notes}<p class="quiet">{safe(look.say("not_judged"))}</p>{drawn}'
    before = {measure.name: measure for measure in (adapter.before.measures if adapter.before else ())}
    after = {measure.name: measure for measure in adapter.after.measures}
    rows = [
        (safe(name), _value(before.get(name)), _value(measure), _value(after.get(f"{name}_gain"), sign="+"))
        for name, measure in after.items()
        if not name.endswith("_gain") and "[" not in name
    ]
    return notes + table(look.say("measures_head", suite=adapter.after.suite).split("|"), rows) + drawn


def _value(measure: Measure | None, *, sign: str = "") -> str:
    if measure is None:
        return ""
    bounds = ""
    if measure.low is not None and measure.high is not None:
        bounds = f'<span class="bounds">{safe(f"{measure.low:{sign}.3f} … {measure.high:{sign}.3f}")}</span>'
    return f"{safe(f'{measure.value:{sign}.3f}')}{bounds}"
