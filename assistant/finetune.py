"""The walk fine-tune: records -> adapter with its card -> judged without and with it -> live, or not.

Nothing is trained or measured here: a run is `runs.py`'s, the suite `evaluate.py`'s, the gate `promotion.py`'s.
A running server answers with the new adapter from its next question on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant import evaluate, promotion
from assistant.charging import Ledger, Privately
from assistant.core import Assistant
from assistant.deployments import CHAT, Deployment, slot_of
from assistant.errors import AdapterRefused, BadInput, UnknownName
from assistant.golden import read_golden
from assistant.runs import HELD_OUT, Plan, Run
from assistant.types import UNNAMED, Adapter, Company, Report

if TYPE_CHECKING:
    from assistant.tuning.loop import TrainingResult


@dataclass(frozen=True, slots=True)
class Judging:
    """So many questions of the suite were asked; `what` is before or after."""

    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Trained:
    """The end of the walk. `adapter` is None where it was interrupted; `kept_aside` says why it is not live."""

    adapter: Adapter | None
    result: TrainingResult
    kept_aside: str = ""


Watch = Callable[[Any], None]
"""Called with what `Run` tells (`Prepared`, then `Progress` a step), then with `Judging`."""


def train(
    plan: Plan,
    assistant: Assistant,
    *,
    collection: str | None = None,
    watch: Watch = lambda event: None,
    resume: bool = False,
    use: bool = True,
    force: bool = False,
    share: float = 0.0,
    ledger: Ledger | None = None,
    private: Privately | None = None,
) -> Trained:
    """The adapter that the plan makes, judged, and put to use in the collection where it passes the gate.

    `use` False keeps it aside in any case; `force` puts it to use whatever the suite says; with a `share` it answers
    only that share of the conversations. `ledger` is
    charged before the first step; without `private` the run counts as an ordinary one.

    Raises:
        BadInput: the data or the suite is wrong, or the plan does not fit; nothing was trained.
        TrainingFailed: the loss is not finite.
    """
    if plan.suite is not None and plan.task == "chat":
        read_golden(plan.suite)  # its faults are told before the training, not after
        assistant.company(collection)
    live, company = _live(assistant, plan, collection), company_of(assistant, collection)
    made, result = Run(plan, assistant.settings, watch, ledger, private, live, company).train(resume=resume)
    if made is None:
        return Trained(None, result, "interrupted")
    gc.collect()  # the trained network goes before the serving one comes
    if plan.suite is not None and plan.task == "chat":
        made = judge(assistant, made, plan.suite, collection=collection, watch=watch)
    if not use:
        return Trained(made, result, "it was to be kept aside")
    live = _live(assistant, plan, collection)
    if live is not None and not force and made.after and made.after.provenance.get("against") != live.id:
        why = f"it was not compared with {live.id}, which answers (other labels or base, or live only since)."
        return Trained(made, result, f"{why} `adapters use {made.id}` puts it to use.")
    try:
        promote(assistant, made, collection=collection, force=force, share=share)
    except AdapterRefused as error:
        return Trained(made, result, error.message)
    return Trained(assistant.hosting.shelf.find(made.id), result)


def company_of(assistant: Assistant, collection: str | None) -> Company:
    """Whose documents the collection holds, as prompts name it; nobody's where there is no such collection yet."""
    info = assistant.store.collection(assistant.settings.tenant, collection or assistant.settings.collection)
    return info.company if info else UNNAMED


def _live(assistant: Assistant, plan: Plan, collection: str | None) -> Adapter | None:
    """The classifier or tagger whose place the new one would take; chat adapters are judged on what answers."""
    if plan.task == "chat":
        return None
    name = collection or assistant.settings.collection
    now = assistant.hosting.deployments.current(assistant.settings.tenant, name, plan.name)
    with contextlib.suppress(AdapterRefused, UnknownName):  # one that is damaged or gone answers nobody
        live = assistant.hosting.shelf.find(now.adapter if now else "")
        assistant.hosting.vet(live)
        return live
    return None


def judge(
    assistant: Assistant,
    adapter: Adapter,
    suite: Path,
    *,
    collection: str | None = None,
    watch: Watch = lambda event: None,
) -> Adapter:
    """The adapter with the suite on its card: as the collection answers now, and as it would with it.

    Raises:
        BadInput: the golden file has faults, or the adapter does not chat.
    """
    if adapter.task != "chat":
        raise BadInput(f"{adapter.id} does not chat: no golden file can judge it.", hint="Train it with a suite.")
    name = collection or assistant.settings.collection
    now = assistant.hosting.deployments.current(assistant.settings.tenant, name)

    def rows(which: str | None, what: str) -> list[evaluate.Judged]:
        return evaluate.judge_all(
            suite, assistant, collection=name, adapter=which,
            progress=lambda _question, done, total: watch(Judging(what, done, total)),
        )  # fmt: skip

    before, after = rows((now.adapter if now else "") or None, "before"), rows(adapter.id, "after")
    reports = [_for_card(evaluate.report_on(part, suite, assistant)) for part in (before, after)]
    whole = dataclasses.replace(reports[1], measures=(*reports[1].measures, *promotion.gains(before, after)))
    return assistant.hosting.shelf.amend(adapter, before=reports[0], after=whole)


def promote(
    assistant: Assistant, adapter: Adapter, *, collection: str | None = None, force: bool = False, share: float = 0.0
) -> Deployment:
    """Puts an adapter to use in a collection, or in a share of its conversations.

    Raises:
        AdapterRefused: it is damaged, of another base, would take another kind's place, or an audit disproved its
            claim (nothing helps), or the gate objects and there is no `force`.
    """
    if slot_of(adapter) == CHAT != adapter.task:  # it was made when this name was not refused
        raise AdapterRefused(f"{adapter.id} would take the place of those that chat.", hint="Train it by another name.")
    assistant.hosting.vet(adapter)
    if found := promotion.disproved(adapter.audits):
        raise AdapterRefused(
            f"{adapter.id} is not put to use: {'; '.join(found)}.",
            hint="--force does not overrule an audit. Find the cause (`privacy conform`) and train it again.",
        )
    note = ""
    objections = objections_to(adapter)
    name = collection or assistant.settings.collection
    if objections and not force:
        raise AdapterRefused(
            f"{adapter.id} is not put to use: {'; '.join(objections)}.",
            hint="Judge it on a golden file (--suite), or overrule that (--force): its card will say so.",
        )
    if objections:
        today = dt.datetime.now(dt.UTC).date().isoformat()
        note = f"put to use in {name} by force on {today}, although: {'; '.join(objections)}"
        assistant.hosting.shelf.amend(adapter, notes=lambda notes: (*notes, note))
    tenant, slot = assistant.settings.tenant, slot_of(adapter)
    if share:
        return assistant.hosting.deployments.split(tenant, name, adapter.id, share=share, slot=slot, note=note)
    return assistant.hosting.deployments.put(tenant, name, adapter.id, slot=slot, note=note)


def objections_to(adapter: Adapter) -> list[str]:
    """Why the gate does not let an adapter pass; [] where it does.

    A chat adapter needs a golden suite: that it predicts held-out answers better does not show how it
    answers customers.
    """
    broken = promotion.disproved(adapter.audits)
    if adapter.after is None:
        return [*broken, "no suite has judged it"]
    unseen = ["no golden suite has judged how it answers"]
    return [
        *broken,
        *(unseen if adapter.task == "chat" and adapter.after.suite == HELD_OUT else []),
        *promotion.worse(adapter.after.measures),
    ]


def _for_card(report: Report) -> Report:
    """A card travels: of the settings it keeps those that the numbers depend on."""
    settings = report.provenance.get("settings") or {}
    kept = {name: settings[name] for name in ("model", "retrieval") if name in settings}
    return dataclasses.replace(report, provenance={**report.provenance, "settings": kept})
