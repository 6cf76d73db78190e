"""The Federation tab of the staff's page: the runs of this data folder, their partners, rounds, measures.

With `assistant/ui` the only file that imports gradio. It shows; runs are started on the command line.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import gradio as gr
from gradio.context import Context

from assistant.gate import LIGHT
from assistant.ui import render
from assistant.ui.build import Panel
from assistant.ui.desk import Desk
from assistant.ui.parts import html, visitor
from federated.coordinator import Home
from federated.types import RoundResult

_log = logging.getLogger(__name__)
_TEXTS: Mapping[str, Mapping[str, str]] = {
    "title": {"en": "Federation", "zh": "联邦学习"},
    "hint": {
        "en": "Partner companies train one adapter; what leaves a company is the masked change of it. "
        "Try it: python app.py federated demo",
        "zh": "合作公司共同训练一个适配器；离开公司的只有经过掩码的改动。试一试：python app.py federated demo",
    },
    "none": {"en": "No run in this data folder yet.", "zh": "此数据文件夹中还没有联邦训练。"},
    "show": {"en": "Show", "zh": "显示"},
    "partner": {"en": "Partner", "zh": "合作方"},
    "state": {"en": "State", "zh": "状态"},
    "before": {"en": "Before", "zh": "之前"},
    "after": {"en": "After", "zh": "之后"},
    "round": {"en": "Round", "zh": "轮次"},
    "accepted": {"en": "Accepted", "zh": "接受"},
    "refused": {"en": "Refused, and why", "zh": "拒绝及原因"},
    "traffic": {"en": "MB up / down", "zh": "上行 / 下行 MB"},
    "seconds": {"en": "Seconds", "zh": "秒"},
    "void": {"en": "void", "zh": "作废"},
    "published": {"en": "Published", "zh": "已发布"},
    "objections": {"en": "Not published; worse for", "zh": "未发布；变差的指标"},
    "running": {"en": "Not ended yet.", "zh": "尚未结束。"},
    "pack": {"en": "The audit pack of this run:", "zh": "本次训练的审计包："},
    "inside": {"en": "Sign in first.", "zh": "请先登录。"},
}


def panel() -> Panel:
    """The tab, for `build_ui`."""
    return Panel(dict(_TEXTS["title"]), _build)


def _build(desk: Desk) -> None:
    tab = Context.block
    html(f'<p class="quiet">{render.safe(_say(desk, "hint"))}</p>')
    runs = gr.Dropdown([], label=_say(desk, "title"), elem_id="federation-runs")
    shown = html("", elem_id="federation-run")
    outputs = [runs, shown]
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}

    def show(name: str | None, request: gr.Request) -> list[Any]:
        return _view(desk, name, inside=desk.door.is_inside(visitor(request).session))

    def open_tab(request: gr.Request) -> list[Any]:
        return show(None, request)

    cast(gr.Tab, tab).select(open_tab, None, outputs, **light)
    runs.input(show, [runs], outputs, **light)


def _view(desk: Desk, name: str | None, *, inside: bool) -> list[Any]:
    if not inside:
        return [gr.update(), render.notice(_say(desk, "inside"), "bad")]
    found = homes(desk.settings.data_dir)
    if not found:
        return [gr.update(choices=[]), render.notice(_say(desk, "none"))]
    chosen = name if name in found else next(reversed(found))
    try:
        body = _run(desk, found[chosen])
    except Exception:
        _log.exception("a federated run cannot be shown")
        return [gr.update(choices=list(found)), render.notice(desk.say("broken"), "bad")]
    return [gr.update(choices=list(found), value=chosen), body]


def homes(data_dir: Path) -> dict[str, Home]:
    """The coordinators' folders below `data_dir/federated`, by name, oldest first."""
    root = data_dir / "federated"
    found = sorted(root.rglob("run.json"), key=lambda path: path.stat().st_mtime) if root.is_dir() else []
    return {str(path.parent.relative_to(root)): Home(path.parent) for path in found}


def _run(desk: Desk, home: Home) -> str:
    rounds, outcome = home.rounds(), home.outcome()
    last = next((result.metrics for result in reversed(rounds) if result.committed), {})
    baseline = (outcome or {}).get("baseline", {})
    partners = render.table(
        [_say(desk, key) for key in ("partner", "state", "before", "after")],
        [
            [render.safe(name), render.safe(state), _score(baseline, name), _score(last, name)]
            for name, state in home.roster.states().items()
        ],
    )
    heads = [_say(desk, key) for key in ("round", "accepted", "refused", "traffic", "seconds")]
    table = render.table(heads, [_row(desk, result) for result in rounds])
    command = f"python app.py federated coordinator pack {home.folder}"
    pack = f'<p class="quiet">{render.safe(_say(desk, "pack"))} <code>{render.safe(command)}</code></p>'
    return f"{_ending(desk, outcome)}{partners}{_curve(rounds, baseline)}{table}{pack}"


def _score(metrics: Mapping[str, float], partner: str) -> str:
    value = metrics.get(f"{partner}/score")
    return "" if value is None else f"{value:.4f}"


def _row(desk: Desk, result: RoundResult) -> list[str]:
    refused = "; ".join(f"{item.partner}: {item.reason}" for item in result.refused) or result.reason
    accepted = ", ".join(result.accepted) if result.committed else _say(desk, "void")
    traffic = f"{result.bytes_up / 1e6:.2f} / {result.bytes_down / 1e6:.2f}"
    return [str(result.round), render.safe(accepted), render.safe(refused), traffic, f"{result.seconds:.0f}"]


def _ending(desk: Desk, outcome: Mapping[str, Any] | None) -> str:
    if outcome is None:
        return render.notice(_say(desk, "running"))
    if outcome.get("adapter"):
        return render.notice(f"{_say(desk, 'published')}: {outcome['adapter']}")
    reason = "; ".join(outcome.get("objections", ())) or str(outcome.get("void", ""))
    return render.notice(f"{_say(desk, 'objections')}: {reason}", "bad")


def _curve(rounds: Sequence[RoundResult], baseline: Mapping[str, float]) -> str:
    """The mean of the partners' scores by round, as a line."""
    steps = [baseline, *(result.metrics for result in rounds if result.committed)]
    means = [
        sum(values) / len(values)
        for step in steps
        if (values := [value for name, value in step.items() if name.endswith("/score")])
    ]
    if len(means) < 2:
        return ""
    low, high = min(means), max(means)
    spots = [
        (100 * place / (len(means) - 1), 4 + 92 * (high - value) / max(high - low, 1e-9))
        for place, value in enumerate(means)
    ]
    lines = "".join(
        f'<line x1="{x:.1f}%" y1="{y:.1f}%" x2="{to_x:.1f}%" y2="{to_y:.1f}%"></line>'
        for (x, y), (to_x, to_y) in itertools.pairwise(spots)
    )
    return f'<div class="curve"><svg>{lines}</svg></div>'


def _say(desk: Desk, key: str) -> str:
    words = _TEXTS[key]
    return words.get(desk.language) or words["en"]
