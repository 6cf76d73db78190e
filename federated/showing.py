"""A run and a partner's own part in one as HTML, for the Federation tab. Pure; nothing from outside is markup.

A coordinator's folder shows what it knows: partners, rounds, refusals, measures, bytes. A partner's folder shows
what only it knows: every update that left, and the privacy its data has spent. What is not here: gradio (`panel.py`).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assistant.texts import fill
from assistant.ui.render import notice, safe, table
from federated.coordinator import Home
from federated.local import COUNT
from federated.rounds import POOLED, UNMEASURED
from federated.site import Site
from federated.spending import UNITS
from federated.types import RoundResult
from privacy.accounting import epsilon
from privacy.errors import PrivacyError
from privacy.types import PrivacySpend

Say = Callable[..., str]
SHOWN = 50
"""The last rounds and updates that are listed."""
_DELTA = 1e-5

TEXTS: Mapping[str, Mapping[str, str]] = {
    "partner": {"en": "Partner", "zh": "合作方"},
    "state": {"en": "State", "zh": "状态"},
    "invited": {"en": "invited", "zh": "已邀请"},
    "enrolled": {"en": "enrolled", "zh": "已加入"},
    "revoked": {"en": "revoked", "zh": "已撤销"},
    "before": {"en": "Before", "zh": "之前"},
    "after": {"en": "After", "zh": "之后"},
    "counted": {"en": "Counted in", "zh": "计入轮次"},
    "quality": {"en": "Partners and their own quality", "zh": "合作方及其自测质量"},
    "score": {
        "en": "Each partner judges the shared adapter on rows of its own that it keeps aside: the mean "
        "log-likelihood of the right answers, higher is better.",
        "zh": "每个合作方用自己保留的数据评估共享适配器：正确答案的平均对数似然，越高越好。",
    },
    "together": {"en": "all of their {n} records together", "zh": "全部 {n} 条记录合计"},
    "own_suite": {"en": "coordinator's suite", "zh": "协调方测试集"},
    "curve": {
        "en": "Round 0 to {n}: from {low} to {high}; bold is the mean",
        "zh": "第 0 至 {n} 轮：{low} 至 {high}；粗线为均值",
    },
    "rounds": {"en": "Rounds", "zh": "轮次"},
    "round": {"en": "Round", "zh": "轮次"},
    "accepted": {"en": "Accepted", "zh": "接受"},
    "refused": {"en": "Refused, and why", "zh": "拒绝及原因"},
    "nobody": {"en": "nobody", "zh": "无"},
    "traffic": {"en": "MB up / down", "zh": "上行 / 下行 MB"},
    "seconds": {"en": "Seconds", "zh": "秒"},
    "void": {"en": "void", "zh": "作废"},
    "facts": {
        "en": "{mode}, {made} of {planned} {planned:round|rounds}, {mb} MB of updates and weights",
        "zh": "{mode}，{planned} 轮中的 {made} 轮，更新与权重共 {mb} MB",
    },
    "masked": {"en": "Masked: the coordinator sees sums only", "zh": "掩码模式：协调方只看到总和"},
    "robust": {"en": "Robust: hostile updates are outvoted", "zh": "稳健模式：恶意更新被多数否决"},
    "plain": {"en": "Plain: everybody is trusted", "zh": "普通模式：信任所有人"},
    "published": {"en": "Published: {adapter}", "zh": "已发布：{adapter}"},
    "objections": {"en": "Not published; worse for {reason}", "zh": "未发布；变差的指标：{reason}"},
    "got_worse": {"en": "{name}: {before} before, {after} after", "zh": "{name}：之前 {before}，之后 {after}"},
    "unmeasured": {
        "en": "Not published: nobody measured it. The coordinator has no suite, and no partner tells its own measures.",
        "zh": "未发布：无人评估。协调方没有测试集，也没有合作方告知自测指标。",
    },
    "sums": {
        "en": "The item-item sums of all partners are in {path}.",
        "zh": "全部合作方的商品共现总和已存于 {path}。",
    },
    "ended_early": {
        "en": "The run ended after round {rounds}: its privacy is spent.",
        "zh": "训练在第 {rounds} 轮后提前结束：隐私预算已用尽。",
    },
    "missing": {"en": "{name} has not got it: {reason}", "zh": "{name} 尚未收到：{reason}"},
    "ended_void": {"en": "Stopped: {reason}", "zh": "已停止：{reason}"},
    "running": {"en": "Not ended yet.", "zh": "尚未结束。"},
    "privacy": {"en": "Privacy", "zh": "隐私"},
    "promised": {
        "en": "Promised: epsilon {epsilon} per {unit} at delta {delta}, over {rounds} rounds.",
        "zh": "承诺：每{unit} epsilon {epsilon}（delta {delta}），共 {rounds} 轮。",
    },
    "run_spent": {"en": "Spent by the run so far: {spent}.", "zh": "本次训练至今已消耗：{spent}。"},
    "own_books": {
        "en": "What a partner has spent stands in its own book, and is told to nobody.",
        "zh": "各合作方的消耗只记录在其自己的账本中，不告知任何人。",
    },
    "run_open": {
        "en": "This run promises no bound: no noise was asked for. What a partner has spent stands in its own "
        "book only.",
        "zh": "本次训练不承诺上限：未加噪声。各合作方的消耗只记录在其自己的账本中。",
    },
    "pack": {"en": "Download the audit pack of this run", "zh": "下载本次训练的审计包"},
    "pack_hint": {
        "en": "Settings, rounds, outcome and public keys. No weights, no private keys.",
        "zh": "包含设置、轮次、结果和公钥；不含权重和私钥。",
    },
    "site": {"en": "{name}, fingerprint {fingerprint}", "zh": "{name}，指纹 {fingerprint}"},
    "left": {
        "en": "You have left: your keys are deleted. What was sent stays listed.",
        "zh": "您已退出：密钥已删除，发送记录保留。",
    },
    "policy": {
        "en": "Your policy allows: {modes}; up to {rounds} rounds; {told}.",
        "zh": "您的策略允许：{modes}；最多 {rounds} 轮；{told}。",
    },
    "tells": {"en": "your measures are told", "zh": "告知自测指标"},
    "keeps": {"en": "your measures stay here", "zh": "不告知自测指标"},
    "sent": {"en": "What left this company", "zh": "离开本公司的内容"},
    "sent_none": {"en": "Nothing has left.", "zh": "尚无内容离开。"},
    "sent_sum": {"en": "Updates: {n}, {mb} MB", "zh": "{n} 次更新，{mb} MB"},
    "sent_head": {
        "en": "When|Run|Round|Mode|Numbers|MB|Norm|Spend",
        "zh": "时间|训练|轮次|模式|数值个数|MB|范数|隐私消耗",
    },
    "told": {
        "en": "Your measures of the shared adapter were told {n} {n:time|times}, last: {last}.",
        "zh": "您对共享适配器的自测指标已告知 {n} 次，最近一次：{last}。",
    },
    "own_spent": {
        "en": "Federated training has spent epsilon {spent} per {unit} of your data (delta {delta}); "
        "the Privacy tab shows the whole book.",
        "zh": "联邦训练消耗了您数据的每{unit} epsilon {spent}（delta {delta}）；完整账本见“隐私”页。",
    },
    "own_open": {
        "en": "No bound: these trainings were without noise, so their epsilon is infinite.",
        "zh": "无上限：这些训练未加噪声，epsilon 为无穷大。",
    },
    "example": {"en": "example", "zh": "样本"},
    "customer": {"en": "customer", "zh": "客户"},
    "unit_partner": {"en": "partner", "zh": "合作方"},
    "no_noise": {"en": "no noise", "zh": "无噪声"},
}


def sayer(language: str) -> Say:
    """(key, values of its braces) -> the text in a language, English where there is none."""

    def say(key: str, **values: object) -> str:
        words = TEXTS[key]
        return fill(words.get(language) or words["en"], language if language in words else "en", **values)

    return say


def run(home: Home, say: Say, download: str) -> str:
    """The whole of a coordinator's run; `download` is the link to its audit pack."""
    rounds, outcome, config = home.rounds(), home.outcome(), home.config
    committed = [result for result in rounds if result.committed]
    baseline: Mapping[str, float] = (outcome or {}).get("baseline", {})
    megabytes = sum(result.bytes_up + result.bytes_down for result in rounds) / 1e6
    facts = say("facts", mode=say(config.mode), made=len(committed), planned=config.rounds, mb=f"{megabytes:.1f}")
    pack = (
        f'<p class="doing-text"><a class="nav" href="{safe(download)}">{safe(say("pack"))}</a></p>'
        f'<p class="quiet">{safe(say("pack_hint"))}</p>'
    )
    return "".join(
        (
            _ending(outcome, say, home.missing()),
            _quiet(facts),
            _title(say("quality")),
            _partners(home.roster.states(), committed, baseline, say),
            _curves(committed, baseline, say),
            _quiet(say("score")),
            _title(say("rounds")),
            _rounds(rounds, say),
            _title(say("privacy")),
            _quiet(_promise(home.privacy(), say)),
            pack,
        )
    )


def site(own: Site, say: Say) -> str:
    """A partner's own view: who it is, what it allows, what left it, what that spent."""
    policy = own.config.policy
    card = None if own.left else own.identity.card
    head = notice(say("left"), "bad") if card is None else ""
    who = "" if card is None else _quiet(say("site", name=card.name, fingerprint=card.fingerprint))
    modes = ", ".join(policy.modes)
    told = say("tells" if policy.evaluates else "keeps")
    sent, measured = own.sent(), own.told()
    sums = say("sent_sum", n=len(sent), mb=f"{sum(entry['bytes'] for entry in sent) / 1e6:.2f}")
    return "".join(
        (
            head,
            who,
            _quiet(say("policy", modes=modes, rounds=policy.max_rounds, told=told)),
            _title(say("sent")),
            f"{_quiet(sums)}{_sent(sent, say)}" if sent else _quiet(say("sent_none")),
            _quiet(_measured(measured, say)) if measured else "",
            f"{_title(say('privacy'))}{_quiet(_own_spend(own, sent, say))}" if sent else "",
        )
    )


def _promise(privacy: Mapping[str, Any] | None, say: Say) -> str:
    """What the run promises; what it has spent where that is the run's to know."""
    if privacy is None:
        return say("run_open")
    said = say("promised", **{**privacy, "unit": _unit(privacy["unit"], say), "delta": f"{privacy['delta']:g}"})
    more = say("run_spent", spent=f"{privacy['spent']:.2f}") if "spent" in privacy else say("own_books")
    return f"{said} {more}"


def _unit(unit: str, say: Say) -> str:
    return say("unit_partner" if unit == "partner" else unit)


def _partners(
    states: Mapping[str, str], committed: Sequence[RoundResult], baseline: Mapping[str, float], say: Say
) -> str:
    last = next((result.metrics for result in reversed(committed)), {})
    rows = [
        [
            safe(name),
            _number(baseline.get(f"{name}/score")),
            _number(last.get(f"{name}/score")),
            f"{sum(name in result.accepted for result in committed)} / {len(committed)}",
            safe(say(state)),
        ]
        for name, state in states.items()
    ]
    records = f"{last.get(POOLED + COUNT, 0):.0f}"
    rows += [
        [
            safe(say("together", n=records) if name.startswith(POOLED) else f"{say('own_suite')}: {name}"),
            _number(baseline.get(name)), _number(value), "", "",
        ]
        for name, value in last.items()
        if "/" not in name and name != POOLED + COUNT
    ]  # fmt: skip
    return table([say(key) for key in ("partner", "before", "after", "counted", "state")], rows)


def _rounds(rounds: Sequence[RoundResult], say: Say) -> str:
    heads = [say(key) for key in ("round", "accepted", "refused", "traffic", "seconds")]
    made = table(heads, [_row(result, say) for result in reversed(rounds[-SHOWN:])])
    return f'<div class="run-rounds">{made}</div>'


def _row(result: RoundResult, say: Say) -> list[str]:
    reasons = [f"{item.partner}: {item.reason}" for item in result.refused]
    reasons += [result.reason] if result.reason and not result.committed else []
    accepted = "<br>".join(map(safe, result.accepted)) if result.committed else safe(say("void"))
    traffic = f"{result.bytes_up / 1e6:.2f} / {result.bytes_down / 1e6:.2f}"
    why = "<br>".join(map(safe, reasons)) or safe(say("nobody"))
    return [str(result.round), accepted, why, traffic, f"{result.seconds:.0f}"]


def _ending(outcome: Mapping[str, Any] | None, say: Say, missing: Mapping[str, str] | None = None) -> str:
    if outcome is None:
        return notice(say("running"))
    early = _quiet(say("ended_early", rounds=outcome["rounds"])) if outcome.get("ended") else ""
    if outcome.get("adapter"):
        away = [_quiet(say("missing", name=name, reason=reason)) for name, reason in (missing or {}).items()]
        return "".join((notice(say("published", adapter=outcome["adapter"])), early, *away))
    if outcome.get("sums"):
        return notice(say("sums", path=outcome["sums"]))
    if outcome.get("void"):
        return notice(say("ended_void", reason=outcome["void"]), "bad")
    objections = outcome.get("objections", ())
    if UNMEASURED in objections:
        return notice(say("unmeasured"), "bad") + early
    return notice(say("objections", reason="; ".join(_objection(each, say) for each in objections)), "bad") + early


def _objection(text: str, say: Say) -> str:
    """An objection of `rounds.py` in the page's language; another text as it is."""
    found = re.fullmatch(r"(.+): (\S+) before, (\S+) after", text)
    return say("got_worse", name=found[1], before=found[2], after=found[3]) if found else text


def _curves(committed: Sequence[RoundResult], baseline: Mapping[str, float], say: Say) -> str:
    """Each partner's score by round as a thin line, their mean as a bold one."""
    steps = [baseline, *(result.metrics for result in committed)]
    names = sorted({name for step in steps for name in step if name.endswith("/score")})
    lines = [[(place, step[name]) for place, step in enumerate(steps) if name in step] for name in names]
    means = [
        (place, sum(values) / len(values))
        for place, step in enumerate(steps)
        if (values := [step[name] for name in names if name in step])
    ]
    every = [value for line in lines for _, value in line]
    if len(means) < 2:
        return ""
    low, high = min(every), max(every)

    def drawn(line: Sequence[tuple[int, float]], kind: str) -> str:
        spots = [
            (2 + 96 * place / (len(steps) - 1), 6 + 88 * (high - value) / max(high - low, 1e-9))
            for place, value in line
        ]
        return "".join(
            f'<line class="{kind}" x1="{x:.1f}%" y1="{y:.1f}%" x2="{to_x:.1f}%" y2="{to_y:.1f}%"></line>'
            for (x, y), (to_x, to_y) in itertools.pairwise(spots)
        )

    drawing = "".join(drawn(line, "one") for line in lines) + drawn(means, "mean")
    under = say("curve", n=len(steps) - 1, low=f"{low:.2f}", high=f"{high:.2f}")
    return f'<div class="curve"><svg>{drawing}</svg></div>{_quiet(under)}'


def _sent(sent: Sequence[Mapping[str, Any]], say: Say) -> str:
    rows = [
        [
            safe(_time(entry["at"])),
            safe(str(entry["run"])),
            str(int(entry["round"])),
            safe(str(entry["mode"])),
            f"{int(entry['numbers']):,}",
            f"{entry['bytes'] / 1e6:.2f}",
            f"{entry['norm']:.3g}",
            safe(_noise(entry, say)),
        ]
        for entry in reversed(sent[-SHOWN:])
    ]
    return table(say("sent_head").split("|"), rows)


def _noise(entry: Mapping[str, Any], say: Say) -> str:
    spend = entry.get("spend")
    if not spend or spend["mechanism"] == "nonprivate":
        return say("no_noise")
    return f"σ {spend['noise_multiplier']:.2f} × {spend['steps']}"


def _measured(told: Sequence[Mapping[str, Any]], say: Say) -> str:
    last = ", ".join(f"{name} {value:.4g}" for name, value in sorted(told[-1]["measures"].items()))
    return say("told", n=len(told), last=last)


def _own_spend(own: Site, sent: Sequence[Mapping[str, Any]], say: Say) -> str:
    """Epsilon by the own book, where a round that was asked for twice stands once; without one by what left."""
    try:
        spends = own.spends()
    except PrivacyError as error:
        return str(error)
    spends = spends or tuple(PrivacySpend.from_dict(entry["spend"]) for entry in sent if entry.get("spend"))
    if not spends:
        return say("own_open")
    unit = min((spend.unit for spend in spends), key=UNITS.index)  # what is spent for a larger one covers it too
    spent = epsilon(spends, _DELTA, unit=unit)
    if not math.isfinite(spent):
        return say("own_open")
    return say("own_spent", spent=f"{spent:.2f}", unit=_unit(unit, say), delta=f"{_DELTA:g}")


def _time(seconds: float) -> str:
    import datetime as dt

    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _quiet(text: str) -> str:
    return f'<p class="quiet">{safe(text)}</p>'


def _title(text: str) -> str:
    return f'<h3 class="run-title">{safe(text)}</h3>'
