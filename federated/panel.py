"""The Federation tab of the staff's page: the runs of this data folder, and this company's own part in others'.

With `assistant/ui` the only file that imports gradio. It shows, and gives the audit pack; runs are started on
the command line. The HTML is `showing.py`'s.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import gradio as gr
from gradio.context import Context

from assistant.gate import LIGHT
from assistant.ui import render
from assistant.ui.build import DOWNLOADS, Panel
from assistant.ui.front import Front
from assistant.ui.parts import html, visitor
from federated import showing
from federated.coordinator import Home
from federated.site import Site

_log = logging.getLogger(__name__)
_TEXTS: Mapping[str, Mapping[str, str]] = {
    "title": {"en": "Federation", "zh": "联邦学习"},
    "choose": {"en": "Run, or this company's own part in one", "zh": "训练，或本公司在其中的部分"},
    "hint": {
        "en": "Partner companies train one adapter; what leaves a company is the masked change of it. "
        "Try it: python app.py federated demo",
        "zh": "合作公司共同训练一个适配器；离开公司的只有经过掩码的改动。试一试：python app.py federated demo",
    },
    "none": {"en": "No run in this data folder yet.", "zh": "此数据文件夹中还没有联邦训练。"},
    "inside": {"en": "Sign in first.", "zh": "请先登录。"},
}


def panel() -> Panel:
    """The tab, for `build_ui`."""
    return Panel(dict(_TEXTS["title"]), _build, download=pack)


def _build(front: Front) -> None:
    tab = Context.block
    html(f'<p class="quiet">{render.safe(_say(front, "hint"))}</p>')
    runs = gr.Dropdown([], label=_say(front, "choose"), elem_id="federation-runs", visible=False)
    shown = html("", elem_id="federation-run")
    outputs = [runs, shown]
    light: dict[str, Any] = {"api_visibility": "private", "concurrency_id": LIGHT, "show_progress": "hidden"}

    def show(name: str | None, request: gr.Request) -> list[Any]:
        return _view(front, name, inside=front.door.is_inside(visitor(request).session))

    def open_tab(request: gr.Request) -> list[Any]:
        return show(None, request)

    cast(gr.Tab, tab).select(open_tab, None, outputs, **light)
    runs.input(show, [runs], outputs, **light)


def _view(front: Front, name: str | None, *, inside: bool) -> list[Any]:
    if not inside:
        return [gr.update(), render.notice(_say(front, "inside"), "bad")]
    found = folders(front.settings.data_dir)
    if not found:
        return [gr.update(choices=[], visible=False), render.notice(_say(front, "none"))]
    runs = [each for each, folder in found.items() if isinstance(folder, Home)]
    chosen = name if name in found else (runs or list(found))[-1]
    choices = gr.update(choices=list(reversed(found)), value=chosen, visible=True)
    say, folder = showing.sayer(front.language), found[chosen]
    try:
        body = showing.site(folder, say) if isinstance(folder, Site) else showing.run(folder, say, _link(chosen))
    except Exception:
        _log.exception("a federated run cannot be shown")
        return [choices, render.notice(front.say("broken"), "bad")]
    return [choices, body]


def folders(data_dir: Path) -> dict[str, Home | Site]:
    """The coordinators' and partners' folders below `data_dir/federated`, by name, oldest first."""
    root = data_dir / "federated"
    marks = [*root.rglob("run.json"), *root.rglob("partner.json")] if root.is_dir() else []
    ours = (path for path in marks if "app" not in path.relative_to(root).parts)
    made = sorted(ours, key=lambda path: path.stat().st_mtime)
    return {
        str(path.parent.relative_to(root)): Home(path.parent) if path.name == "run.json" else Site(path.parent)
        for path in made
    }


def pack(data_dir: Path, name: str) -> bytes | None:
    """The audit pack that `_link` points to; None where there is no such run."""
    for each, folder in folders(data_dir).items():
        if isinstance(folder, Home) and _file(each) == name:
            target = io.BytesIO()
            folder.pack(target)
            return target.getvalue()
    return None


def _link(name: str) -> str:
    return f"./{DOWNLOADS}/{_file(name)}"


def _file(name: str) -> str:
    return f"audit-pack-{'-'.join(Path(name).parts)}.zip"


def _say(front: Front, key: str) -> str:
    words = _TEXTS[key]
    return words.get(front.language) or words["en"]
